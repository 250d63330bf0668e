//! A wrong configuration is refused with exit code 2 and a message that names the key, what was found and what was expected.

use crate::process::{Ended, Settings};
use crate::scene::{SMALL, Scene};

fn refused(settings: &Settings, arguments: &[&str], words: &[&str]) -> Ended {
    let ended = settings.run(arguments);
    assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.log);
    assert_eq!(ended.answer, "", "standard output carries answers only");
    for word in words {
        assert!(ended.log.contains(word), "{word:?} is missing in: {}", ended.log);
    }
    ended
}

fn in_file(text: &str, words: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("odd.toml"), text).expect("a configuration file");
    refused(&Settings::new(folder.path()), &["--config", "odd.toml", "run", "--once"], words);
}

#[test]
fn an_unknown_key_in_the_file_is_named_with_its_line() {
    in_file("[spotify]\nclient_idd = \"x\"\n", &["odd.toml", "client_idd", "line 2", "client_id"]);
}

#[test]
fn a_value_of_the_wrong_kind_says_what_was_found_and_expected() {
    in_file("[kafka]\npartitions = \"six\"\n", &["odd.toml", "partitions", "six", "i32"]);
}

#[test]
fn a_value_out_of_range_says_the_range() {
    in_file("[matching]\nartist_threshold = 1.5\n", &["matching.artist_threshold", "1.5", "0.7 to 0.9"]);
}

#[test]
fn a_variable_that_sets_no_key_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::new(folder.path()).with("spotify.client_idd", "x");
    refused(&settings, &["run", "--once"], &["REPRISE__SPOTIFY__CLIENT_IDD", "spotify.client_idd"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    refused(&Settings::new(folder.path()), &["--config", "nowhere.toml", "run"], &["nowhere.toml"]);
}

#[test]
fn missing_credentials_are_named_with_where_to_get_them() {
    let scene = Scene::new(SMALL, 10);
    let key = "spotify.client_id";
    refused(&scene.settings("id").with(key, ""), &["run", "--once"], &[key, "developer.spotify.com"]);
    let key = "spotify.client_secret";
    refused(&scene.settings("secret").with(key, ""), &["run", "--once"], &[key, "dashboard"]);
}

#[test]
fn a_database_of_no_known_kind_is_refused_without_its_password() {
    let scene = Scene::new(SMALL, 10);
    let settings = scene.settings("odd").with("database.url", "mysql://me:hunter2@localhost/music");
    let ended = refused(&settings, &["run", "--once"], &["database.url", "mysql", "postgres://"]);
    assert!(!ended.log.contains("hunter2"), "{}", ended.log);
}

#[test]
fn credentials_that_the_service_refuses_end_a_single_run_with_what_to_change() {
    let scene = Scene::new(SMALL, 10);
    let ended = scene.settings("refused").with("spotify.client_secret", "not0the0secret").run(&["run", "--once"]);
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains("spotify.client_secret") && !ended.log.contains("not0the0secret"), "{}", ended.log);
}
