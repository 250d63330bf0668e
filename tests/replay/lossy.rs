//! What the database has and the log has not: a rebuild does not take it away, and another log does not confuse the loader.

use std::process::Stdio;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::rig::{Rig, embedded, rigs, texts, tracks};

/// Spoils what the log holds about one song, and has the log repaired.
fn repaired_with_a_loss(rig: &Rig) {
    {
        let mut log = SqliteConnection::establish(rig.dir.path().join("mailbox.db").to_str().unwrap()).unwrap();
        let victim = "SELECT position FROM messages WHERE log IN (SELECT log FROM logs WHERE topic = 'music_transformed') \
                      ORDER BY position DESC LIMIT 1";
        log.batch_execute(&format!("UPDATE messages SET checksum = checksum + 1 WHERE position = ({victim})")).unwrap();
    }
    let report = rig.answer(&["topics", "--repair"]);
    assert!(report["lost"][0].as_str().is_some_and(|line| line.starts_with("music_transformed/")), "{report}");
    assert!(report["next"].as_str().is_some_and(|next| next.contains("replay --restart")), "{report}");
}

#[test]
fn after_a_repair_that_lost_rows_a_rebuild_is_refused_until_a_replay_has_put_them_back() {
    let rig = embedded();
    rig.publish(&tracks(0..25, 1_000, 0.9));
    rig.work_off();
    let digest = rig.digest();
    repaired_with_a_loss(&rig);
    for _ in 0..2 {
        let said = rig.refusal(&["replay", "--rebuild"], 2);
        assert!(["lose 1 observations", "reprise replay", "--accept-loss"].iter().all(|part| said.contains(part)), "{said}");
        assert_eq!(rig.digest(), digest);
    }
    assert!(rig.answer(&["replay", "--restart"])["appended"].as_u64() > Some(0));
    assert_eq!(rig.answer(&["replay", "--rebuild"])["digest"], digest.as_str());
    rig.work_off();
    assert_eq!(rig.digest(), digest);
    rig.assert_sound();
}

#[test]
fn what_the_topic_does_not_hold_is_lost_only_where_that_is_accepted() {
    for rig in rigs() {
        rig.publish(&tracks(0..25, 1_000, 0.9));
        rig.work_off();
        let digest = rig.digest();
        rig.sql("UPDATE songs SET song_name = 'later', track_observed_at = track_observed_at + 1");
        let later = rig.digest();
        let said = rig.refusal(&["replay", "--rebuild"], 2);
        assert!(said.contains("lose 25 observations") && said.contains("in songs"), "{said}");
        assert_eq!(rig.digest(), later, "{}", rig.name);
        assert_eq!(rig.answer(&["replay", "--rebuild", "--accept-loss"])["digest"], digest.as_str(), "{}", rig.name);
        rig.refusal(&["replay", "--accept-loss"], 2);
    }
}

#[test]
fn that_a_source_did_not_know_something_is_not_lost_either_or_it_would_be_asked_again() {
    for rig in rigs() {
        rig.publish(&tracks(0..25, 1_000, 0.9));
        rig.work_off();
        rig.sql(
            "INSERT INTO source_misses (entity, entity_id, source, reason, observed_at, tiebreak) \
             SELECT 'song', MIN(song_id), 'audio', 'no_match', 1000, 1 FROM songs",
        );
        let said = rig.refusal(&["replay", "--rebuild"], 2);
        assert!(said.contains("lose 1 observations") && said.contains("/audio in source_misses"), "{}: {said}", rig.name);
        rig.answer(&["replay", "--rebuild", "--accept-loss"]);
        assert_eq!(rig.number("SELECT count(*) AS value FROM source_misses"), 0, "{}", rig.name);
    }
}

#[test]
fn a_rebuild_under_a_service_that_goes_on_loading_is_not_refused() {
    for rig in rigs() {
        rig.publish(&tracks(0..25, 1_000, 0.9));
        rig.work_off();
        let service = rig.service();
        // Slow enough for the service to get ahead of it.
        let rebuild = rig.command(&["replay", "--rebuild", "--rate", "100"]);
        let child = { rebuild }.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        rig.publish(&tracks(0..40, 2_000, 0.9));
        rig.settle();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}: {:?}", rig.name, texts(&output));
        rig.settle();
        drop(service);
        assert_eq!(rig.rebuilt_elsewhere(), rig.digest(), "{}", rig.name);
        rig.assert_sound();
    }
}

#[test]
fn a_log_put_back_from_a_backup_is_loaded_again_and_nothing_after_it_is_passed_over() {
    let (rig, other) = (embedded(), embedded());
    let parts = [tracks(0..10, 1_000, 0.9), tracks(10..30, 2_000, 0.9), tracks(25..70, 3_000, 0.9)];
    parts.iter().for_each(|part| other.publish(part));
    other.work_off();
    let log = |name: &str| rig.dir.path().join(name);
    rig.publish(&parts[0]);
    rig.work_off();
    std::fs::copy(log("mailbox.db"), log("backup")).unwrap();
    rig.publish(&parts[1]);
    rig.work_off();
    std::fs::copy(log("backup"), log("mailbox.db")).unwrap();
    // The log grows beyond where the loader was, with other messages than it had read there.
    for part in [&parts[2][..5], &parts[2]] {
        rig.publish(part);
        rig.work_off();
    }
    assert_eq!(rig.dump(), other.dump());
    assert_eq!(rig.answer(&["replay", "--topic", "music_transformed"])["rows_changed"], 0);
    rig.assert_sound();
}

#[test]
fn a_log_made_anew_beside_an_old_database_is_loaded_from_its_beginning() {
    let (rig, other) = (embedded(), embedded());
    let (first, second) = (tracks(0..25, 1_000, 0.9), tracks(20..28, 2_000, 0.9));
    other.publish(&first);
    other.publish(&second);
    other.work_off();
    rig.publish(&first);
    rig.work_off();
    for name in ["mailbox.db", "mailbox.db-wal", "mailbox.db-shm"] {
        let path = rig.dir.path().join(name);
        assert!(std::fs::remove_file(&path).is_ok() || !path.exists());
    }
    // Fewer messages than the old log had: their offsets were all loaded once.
    rig.answer(&["topics"]);
    rig.publish(&second);
    rig.work_off();
    assert_eq!(rig.dump(), other.dump());
    rig.assert_sound();
    let consumed = rig.audit()["stages"]["load"]["consumed"].clone();
    rig.work_off();
    assert_eq!(rig.audit()["stages"]["load"]["consumed"], consumed, "it begins anew once, and not at every start");
    // Half of the songs are in the database alone.
    rig.refusal(&["replay", "--rebuild"], 2);
    assert_eq!(rig.dump(), other.dump());
}
