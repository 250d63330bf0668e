//! `reprise demo`: the first command anybody runs.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, PATIENCE, Settings};

fn demo(extra: &[&str]) -> (Ended, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut arguments = vec!["demo", "--tracks", "40", "--json"];
    arguments.extend(extra);
    let ended = Settings::new(folder.path()).start(&arguments).end(PATIENCE);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    (ended, folder)
}

#[test]
fn fresh_directories_give_the_same_digest_with_and_without_faults() {
    let digests: Vec<(Value, Value)> = [&["--no-faults"][..], &["--no-faults"], &[]]
        .into_iter()
        .map(|extra| {
            let (ended, folder) = demo(extra);
            let audit = Settings::new(folder.path()).answer(&["audit", "--json"]);
            (ended.json()["digest"].clone(), audit["digest"].clone())
        })
        .collect();
    let (first, _) = digests.first().expect("three runs");
    assert!(first.as_str().is_some_and(|digest| digest.len() == 64), "{first}");
    assert!(digests.iter().all(|(demo, audit)| demo == first && audit == first), "{digests:#?}");
}

#[test]
fn the_summary_has_the_fields_that_programs_rely_on_and_stdout_nothing_else() {
    let (ended, _folder) = demo(&["--no-faults"]);
    assert_eq!(ended.answer.trim_end().lines().count(), 1, "{}", ended.answer);
    let summary = ended.json();
    let tables: BTreeSet<&str> = summary["rows"].as_object().expect("rows by table").keys().map(String::as_str).collect();
    let six = ["albums", "artist_genres", "artists", "genres", "song_audio_features", "songs"];
    assert_eq!(tables, BTreeSet::from(six), "{summary}");
    assert_eq!(summary["rows"]["songs"], 40, "{summary}");
    assert_eq!((&summary["restarts"], &summary["dead_letters"]), (&Value::from(0), &Value::from(0)), "{summary}");
    assert!(summary["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{summary}");
}

#[test]
fn a_demo_with_faults_restarts_actors_and_loses_nothing() {
    let (ended, folder) = demo(&[]);
    let summary = ended.json();
    assert!(summary["restarts"].as_u64().is_some_and(|restarts| restarts > 0), "{summary}");
    assert_eq!(summary["rows"]["songs"], 40, "{summary}");
    let audit = Settings::new(folder.path()).answer(&["audit", "--json"]);
    assert_eq!(audit["balanced"], true, "{audit}");
    assert_eq!(audit["findings"].as_array().map(Vec::len), Some(0), "{audit}");
}
