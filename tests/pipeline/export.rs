//! `reprise export` after a run: what was loaded is what is exported.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::process::Settings;
use crate::scene::{SMALL, Scene};

#[test]
fn the_files_of_an_export_have_the_rows_that_the_run_loaded() {
    let scene = Scene::new(SMALL, 40);
    let settings = scene.settings("exported");
    let run = settings.answer(&["run", "--once", "--json"]);
    let mut expected: BTreeMap<String, u64> = serde_json::from_value(run["rows"].clone()).expect("rows by table");
    expected.insert("tracks".to_owned(), expected["songs"]);
    for format in ["csv", "jsonl", "parquet"] {
        let answer = settings.answer(&["export", "--format", format, "out", "--json"]);
        let files = answer["files"].as_array().expect("files");
        let rows: BTreeMap<String, u64> = files
            .iter()
            .map(|file| (file["table"].as_str().expect("a table").to_owned(), file["rows"].as_u64().expect("rows")))
            .collect();
        assert_eq!(rows, expected, "{format}");
        for file in files {
            let path = settings.folder().join("out").join(file["file"].as_str().expect("a name"));
            assert_eq!(std::fs::metadata(&path).expect("the file is there").len(), file["bytes"].as_u64().expect("bytes"));
        }
    }
    // Every track of the flat file has its artist beside it.
    let tracks = std::fs::read_to_string(settings.folder().join("out/tracks.jsonl")).expect("a file");
    let unnamed =
        tracks.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).filter(|t| t["artist_name"].is_null());
    assert_eq!((tracks.lines().count(), unnamed.count()), (40, 0));
}

#[test]
fn an_export_that_cannot_be_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::new(folder.path());
    let empty = settings.run(&["export", "out"]);
    assert_eq!(empty.code, Some(1));
    assert!(empty.log.contains("reprise migrate"), "{}", empty.log);
    assert!(!folder.path().join("out").exists(), "nothing is made where there is nothing to export");
    assert_eq!(settings.run(&["migrate"]).code, Some(0));
    std::fs::write(folder.path().join("file"), "text").expect("a file");
    let blocked = settings.run(&["export", "file"]);
    assert_eq!(blocked.code, Some(1));
    assert!(blocked.log.contains("nothing was exported") && blocked.log.contains("file: "), "{}", blocked.log);
    for wrong in [&["export"] as &[&str], &["export", "--format", "xml", "out"]] {
        assert_eq!(settings.run(wrong).code, Some(2), "{wrong:?}");
    }
}
