//! Killed at any point, a replay goes on where it was.

use std::process::Stdio;

use crate::rig::{PARTITIONS, Rig, embedded, rigs, texts, tracks, wait};

const REPLAY: [&str; 3] = ["replay", "--topic", "music_top_tracks"];

/// Kills a replay when it has kept a checkpoint.
fn killed_replay(rig: &Rig) {
    let mut slow = rig.command(&REPLAY).args(["--rate", "40"]).stderr(Stdio::null()).spawn().unwrap();
    wait("a checkpoint", || !rig.checkpoints().is_empty());
    slow.kill().unwrap();
    slow.wait().unwrap();
}

#[test]
fn a_killed_replay_goes_on_where_it_was() {
    for rig in rigs() {
        rig.publish(&tracks(0..120, 1_000, 0.9));
        rig.work_off();
        let digest = rig.digest();
        rig.sql("UPDATE songs SET song_name = 'spoilt', track_observed_at = NULL");
        killed_replay(&rig);
        let output = rig.reprise(&[&REPLAY[..], &["--json"]].concat(), &[]);
        let (out, err) = texts(&output);
        assert!(output.status.success() && err.contains("going on where an interrupted replay was"), "{err}");
        let answer: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
        // The one that was killed may have done a few that it had not noted yet: they are read twice and counted once.
        assert_eq!(answer["topics"]["music_top_tracks"]["read"], 120, "{answer}");
        assert_eq!(rig.digest(), digest, "{}", rig.name);
        assert!(rig.checkpoints().is_empty());
    }
}

#[test]
fn an_interrupted_replay_begins_anew_by_another_rule() {
    for rig in rigs() {
        rig.publish(&tracks(0..120, 1_000, 0.9));
        rig.work_off();
        killed_replay(&rig);
        let stricter = [("REPRISE__MATCHING__TRACK_THRESHOLD", "0.85")];
        let (out, err) = texts(&rig.reprise(&[&REPLAY[..], &["--json"]].concat(), &stricter));
        assert!(!out.is_empty() && !err.contains("going on where an interrupted replay was"), "{err}");
        let answer: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
        assert_eq!(answer["topics"]["music_top_tracks"]["read"], 120, "{answer}");
    }
}

#[test]
fn an_interrupted_replay_begins_anew_in_a_database_that_was_put_back() {
    for rig in rigs() {
        rig.publish(&tracks(0..120, 1_000, 0.9));
        rig.work_off();
        let digest = rig.digest();
        killed_replay(&rig);
        rig.sql("DELETE FROM song_audio_features; DELETE FROM songs");
        let (out, err) = texts(&rig.reprise(&[&REPLAY[..], &["--json"]].concat(), &[]));
        assert!(err.contains("fewer rows") && !err.contains("going on where an interrupted replay was"), "{err}");
        let answer: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
        assert_eq!(answer["topics"]["music_top_tracks"]["read"], 120, "{answer}");
        assert_eq!(rig.digest(), digest, "{}", rig.name);
    }
}

#[test]
fn a_killed_rebuild_leaves_the_live_database_alone_and_goes_on() {
    for rig in rigs() {
        rig.publish(&tracks(0..60, 1_000, 0.9));
        rig.work_off();
        let digest = rig.digest();
        let args = ["replay", "--rebuild"];
        killed_rebuild(&rig);
        assert_eq!(rig.digest(), digest);
        assert_eq!(rig.answer(&args)["digest"], digest.as_str(), "{}", rig.name);
        let again = rig.answer(&["replay", "--rebuild", "--restart"]);
        assert_eq!(again["digest"], digest.as_str(), "{again}");
        rig.assert_sound();
    }
}

/// Kills a rebuild when it has done a part of its work.
fn killed_rebuild(rig: &Rig) {
    let mut slow = rig.command(&["replay", "--rebuild", "--rate", "15"]).stderr(Stdio::null()).spawn().unwrap();
    wait("a part of the rebuild", || rig.has_rebuilt_a_part());
    slow.kill().unwrap();
    slow.wait().unwrap();
}

#[test]
fn what_a_killed_rebuild_left_is_not_gone_on_with_in_another_log() {
    let rig = embedded();
    rig.publish(&tracks(0..60, 1_000, 0.9));
    rig.work_off();
    let digest = rig.digest();
    killed_rebuild(&rig);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(rig.dir.path().join(format!("mailbox.db{suffix}")));
    }
    rig.mailbox().create_topics(PARTITIONS).unwrap();
    let mut records = tracks(0..60, 1_000, 0.9);
    records.reverse();
    rig.publish(&records);
    rig.work_off();
    assert_eq!(rig.digest(), digest, "the order does not matter");
    let output = rig.reprise(&["replay", "--rebuild", "--json"], &[]);
    let (out, err) = texts(&output);
    assert!(output.status.success() && err.contains("another mailbox: beginning anew"), "{err}");
    let answer: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(answer["digest"], digest.as_str());
    rig.work_off();
    assert_eq!(rig.digest(), digest);
    rig.assert_sound();
}
