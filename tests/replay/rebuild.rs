//! The database as a function of `music_transformed` alone.

use reprise::mailbox::{EmbeddedMailbox, EmbeddedOptions, Mailbox};
use reprise::records::{Topic, TopicNames, now_micros};

use crate::rig::{rigs, tracks};

#[test]
fn a_rebuild_equals_the_live_database_after_compaction_and_partial_replays() {
    for rig in rigs() {
        for round in [3, 1, 2] {
            rig.publish(&tracks(0..25, 1_000 * round, 0.9));
            rig.work_off();
            rig.answer(&["replay", "--topic", "music_top_tracks"]);
        }
        if rig.is_embedded() {
            let options = EmbeddedOptions { dir: rig.dir.path().to_owned(), names: TopicNames::default() };
            let mailbox = EmbeddedMailbox::open(options).unwrap();
            mailbox.maintain(now_micros()).unwrap();
            let gone = mailbox.watermarks(Topic::MusicTransformed).unwrap().into_iter().any(|marks| {
                let appended = usize::try_from(marks.high).unwrap();
                mailbox.read(marks.at, marks.low, appended).unwrap().len() < appended
            });
            assert!(gone, "nothing was compacted, by the stages or now");
        }
        let digest = rig.digest();
        assert_eq!(rig.rebuilt_elsewhere(), digest, "{}", rig.name);
        assert_eq!(rig.answer(&["replay", "--topic", "music_transformed"])["rows_changed"], 0);
    }
}

#[test]
fn a_rebuild_of_a_spoilt_database_puts_it_right_and_the_loader_goes_on() {
    for rig in rigs() {
        rig.publish(&tracks(0..25, 1_000, 0.9));
        rig.work_off();
        let digest = rig.digest();
        rig.sql("UPDATE artists SET artist_name = 'spoilt', total_listeners = 1; DELETE FROM artist_genres");
        rig.sql("INSERT INTO genres (genre_name) VALUES ('nobody'); UPDATE songs SET song_name = 'spoilt'");
        // What others built on the tables stays.
        rig.sql("CREATE VIEW loud AS SELECT artist_name FROM artists");
        assert_ne!(rig.digest(), digest);
        let epochs: Vec<i64> = rig.store().ledger().unwrap().iter().map(|(claim, _)| claim.epoch).collect();
        let answer = rig.answer(&["replay", "--rebuild"]);
        assert_eq!((&answer["digest"], &answer["rebuilt"]), (&digest.as_str().into(), &true.into()), "{answer}");
        assert_eq!(rig.number("SELECT CAST(count(*) AS BIGINT) AS value FROM loud WHERE artist_name = 'spoilt'"), 0);
        let ledger = rig.store().ledger().unwrap();
        assert!(ledger.iter().zip(&epochs).all(|((claim, _), before)| claim.epoch > *before), "{ledger:?} {epochs:?}");
        rig.assert_sound();
        let consumed = |audit: serde_json::Value| audit["stages"]["load"]["consumed"].as_u64().unwrap();
        let before = consumed(rig.audit());
        rig.work_off();
        assert_eq!(consumed(rig.audit()), before, "the loader read again what the rebuild had read");
        rig.publish(&tracks(20..40, 2_000, 0.9));
        rig.work_off();
        assert!(consumed(rig.audit()) > before);
        assert_eq!(rig.rebuilt_elsewhere(), rig.digest());
        rig.assert_sound();
        assert!(!rig.dir.path().join("reprise.db.rebuild").exists());
    }
}

#[test]
fn a_rebuild_takes_the_place_of_the_rows_under_a_running_service() {
    for rig in rigs() {
        let service = rig.service();
        rig.publish(&tracks(0..25, 1_000, 0.9));
        rig.settle();
        let digest = rig.digest();
        rig.sql("UPDATE songs SET song_name = 'spoilt'");
        assert_eq!(rig.answer(&["replay", "--rebuild"])["digest"], digest.as_str(), "{}", rig.name);
        rig.publish(&tracks(0..40, 2_000, 0.9));
        rig.settle();
        drop(service);
        assert_ne!(rig.digest(), digest);
        assert_eq!(rig.rebuilt_elsewhere(), rig.digest(), "{}", rig.name);
        rig.assert_sound();
    }
}

#[test]
fn a_rebuild_from_an_empty_topic_is_refused_where_it_would_lose_rows() {
    for rig in rigs() {
        rig.publish(&tracks(0..5, 1_000, 0.9));
        // Rows, but nothing transformed.
        rig.answer(&["replay"]);
        let digest = rig.digest();
        let said = rig.refusal(&["replay", "--rebuild"], 2);
        assert!(said.contains("empty") && said.contains("topics.prefix"), "{said}");
        assert_eq!(rig.digest(), digest);
    }
}
