//! A replay changes only what has to be changed, and disturbs nobody.

use diesel::{RunQueryDsl, sql_query};
use reprise::mailbox::{Committed, Ledger};
use reprise::records::Topic;
use reprise::service::StageName;
use reprise::store::Claim;

use crate::rig::{Rig, rigs, tracks};

#[derive(diesel::QueryableByName)]
struct Seen {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    data_version: i64,
}

type Places = (Vec<Committed>, Vec<Committed>, Vec<(Claim, Ledger)>);

fn places(rig: &Rig) -> Places {
    let committed = |stage: StageName| rig.mailbox().committed(&stage.group(), &stage.topics()).unwrap();
    (committed(StageName::Transform), committed(StageName::Load), rig.store().ledger().unwrap())
}

#[test]
fn a_replay_of_everything_already_loaded_writes_no_row_and_moves_nobody() {
    for rig in rigs() {
        rig.publish(&tracks(0..40, 1_000, 0.9));
        rig.work_off();
        let (before, dump) = (places(&rig), rig.dump());
        // SQLite tells a connection by `data_version` whether any other one committed a write; PostgreSQL counts.
        let mut watcher = rig.is_sqlite().then(|| rig.sqlite());
        let mut written = || match &mut watcher {
            Some(watcher) => sql_query("PRAGMA data_version").get_result::<Seen>(watcher).unwrap().data_version,
            None => rig.written(),
        };
        let count = written();
        for args in [&["replay"][..], &["replay", "--since", "7d"], &["replay", "--topic", "artist_genres", "--from-beginning"]]
        {
            let answer = rig.answer(args);
            assert_eq!((&answer["rows_changed"], &answer["appended"]), (&0.into(), &0.into()), "{answer}");
            for (topic, counts) in answer["topics"].as_object().unwrap() {
                let of = |name: &str| counts[name].as_u64().unwrap();
                assert_eq!(of("applied") + of("undecodable") + of("refused"), 0, "{topic}: {counts}");
                assert_eq!(of("read"), of("unchanged") + of("superseded"), "{topic}: {counts}");
            }
            let read = answer["topics"]["artist_genres"]["read"].as_u64().unwrap();
            assert_eq!(read, 40, "{answer}");
            assert_eq!(answer["digest"], rig.digest());
        }
        assert_eq!(written(), count, "{}: the database was written to", rig.name);
        assert_eq!(places(&rig), before, "{}: a group moved", rig.name);
        assert_eq!(rig.dump(), dump);
        rig.assert_sound();
    }
}

#[test]
fn rows_deleted_by_hand_come_back() {
    for rig in rigs() {
        rig.publish(&tracks(0..30, 1_000, 0.9));
        rig.work_off();
        let dump = rig.dump();
        rig.sql("DELETE FROM artist_genres; DELETE FROM songs WHERE song_id <> 'song3'; UPDATE songs SET album_id = NULL");
        rig.sql("DELETE FROM albums");
        assert_ne!(rig.dump(), dump);
        let answer = rig.answer(&["replay", "--topic", "music_top_tracks"]);
        assert_eq!(answer["topics"].as_object().unwrap().len(), 1);
        assert!(answer["rows_changed"].as_u64().unwrap() >= 29, "{answer}");
        assert_eq!(rig.number("SELECT CAST(count(*) AS BIGINT) AS value FROM songs"), 30);
        // Genres hang on the artist's row, which is unchanged: they are linked anew when the row is.
        rig.sql("UPDATE artists SET profile_observed_at = NULL; UPDATE songs SET track_observed_at = NULL");
        rig.answer(&["replay"]);
        assert_eq!(rig.dump(), dump, "{}", rig.name);
        rig.assert_sound();
    }
}

#[test]
fn from_an_offset_only_that_stretch_is_read() {
    for rig in rigs() {
        rig.publish(&tracks(0..20, 1_000, 0.9));
        rig.work_off();
        let ends = rig.mailbox().watermarks(Topic::MusicTopTracks).unwrap();
        let ends = ends.iter().find(|ends| ends.high > ends.low + 2).unwrap();
        let (partition, messages) = (ends.at.partition, rig.mailbox().read(ends.at, ends.low, 1_000).unwrap());
        let place = format!("{partition}:{}", messages[1].offset);
        let answer = rig.answer(&["replay", "--topic", "music_top_tracks", "--from-offset", &place]);
        assert_eq!(answer["topics"]["music_top_tracks"]["read"].as_u64(), Some(messages.len() as u64 - 1), "{answer}");
    }
}

#[test]
fn what_a_replay_with_other_thresholds_finds_is_kept_for_later_rebuilds() {
    for rig in rigs() {
        rig.publish(&tracks(0..20, 1_000, 0.87));
        let strict = [("REPRISE__MATCHING__ARTIST_THRESHOLD", "0.9")];
        rig.answer_with(&["run", "--once", "--only", "transform,load"], &strict);
        let with_figures = "SELECT CAST(count(*) AS BIGINT) AS value FROM artists WHERE total_listeners > 0";
        assert_eq!(rig.number(with_figures), 0);
        let answer = rig.answer(&["replay", "--topic", "lastfm_artist"]);
        assert_eq!(rig.number(with_figures), 7);
        assert!(answer["appended"].as_u64().unwrap() >= 7, "{answer}");
        assert_eq!(rig.answer(&["replay"])["appended"], 0);
        assert_eq!(rig.rebuilt_elsewhere(), rig.digest());
        // The loader meets what was appended, and finds it there.
        rig.work_off();
        assert_eq!(rig.rebuilt_elsewhere(), rig.digest());
        rig.assert_sound();
    }
}

#[test]
fn what_nobody_transformed_yet_is_left_to_the_transformer() {
    for rig in rigs() {
        rig.publish(&tracks(0..20, 1_000, 0.9));
        let answer = rig.answer(&["replay"]);
        assert_eq!((&answer["appended"], &answer["topics"]["music_top_tracks"]["applied"]), (&0.into(), &20.into()));
        let digest = rig.digest();
        rig.work_off();
        assert_eq!(rig.digest(), digest);
        assert_eq!(rig.rebuilt_elsewhere(), digest);
        rig.assert_sound();
    }
}

#[test]
fn replays_beside_a_running_service_change_nothing_in_the_end() {
    for rig in rigs() {
        let service = rig.service();
        for round in 0..4 {
            rig.publish(&tracks(0..30, 1_000 * (4 - round), 0.9));
            rig.answer(&["replay"]);
        }
        rig.settle();
        let answer = rig.answer(&["replay"]);
        assert_eq!(answer["rows_changed"], 0, "{answer}");
        assert_eq!(rig.rebuilt_elsewhere(), rig.digest(), "{}", rig.name);
        drop(service);
        rig.assert_sound();
    }
}
