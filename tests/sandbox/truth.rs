use std::collections::BTreeSet;

use reprise::sandbox::wire::{Request, encode};
use serde_json::{Value, json};

use super::search::ids_by_paging;
use super::{SMALL, ask, lastfm, truth};

fn rows<'a>(truth: &'a Value, table: &str) -> &'a [Value] {
    truth["tables"][table].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn songs_are_the_first_distinct_ones_of_each_search() {
    let truth = truth(&SMALL, json!([{"q": "night", "max_tracks": 40}, {"q": "river", "max_tracks": 25}]), "");
    let stored: BTreeSet<&str> = rows(&truth, "songs").iter().filter_map(|row| row["song_id"].as_str()).collect();
    let mut expected: BTreeSet<String> = ids_by_paging(&SMALL, "night", 10).into_iter().take(40).collect();
    expected.extend(ids_by_paging(&SMALL, "river", 50).into_iter().take(25));
    assert_eq!(stored, expected.iter().map(String::as_str).collect());
    assert_eq!(truth["counts"]["songs"], json!(expected.len()));
}

#[test]
fn every_reference_has_its_row() {
    let truth = truth(&SMALL, json!([{"q": "genre:rock"}, {"q": "love"}]), "&profiles=all");
    let keys = |table: &str, field: &str| -> BTreeSet<String> {
        rows(&truth, table).iter().filter_map(|row| row[field].as_str()).map(str::to_owned).collect()
    };
    let artists = keys("artists", "artist_id");
    assert!(keys("songs", "artist_id").is_subset(&artists) && keys("albums", "artist_id").is_subset(&artists));
    assert!(keys("artist_genres", "artist_id").is_subset(&artists));
    assert!(keys("songs", "album_id").is_subset(&keys("albums", "album_id")));
    assert_eq!(keys("artist_genres", "genre_name"), keys("genres", "genre_name"));
    assert!(keys("song_audio_features", "song_id").is_subset(&keys("songs", "song_id")));
}

#[test]
fn a_regime_hides_fields_and_changes_no_row() {
    let queries = json!([{"q": "night", "max_tracks": 60}]);
    let (full, hidden) = (truth(&SMALL, queries.clone(), "&regime=legacy"), truth(&SMALL, queries, "&regime=restricted"));
    for table in ["artists", "albums", "songs", "song_audio_features"] {
        assert_eq!(full["counts"][table], hidden["counts"][table], "{table}");
    }
    assert!(rows(&full, "songs").iter().all(|row| row["popularity"].is_u64()));
    assert!(rows(&hidden, "songs").iter().all(|row| row["popularity"].is_null()));
    assert!(rows(&hidden, "artists").iter().all(|row| row["artist_popularity"].is_null()));
}

#[test]
fn figures_are_what_lastfm_answers() {
    let truth = truth(&SMALL, json!([{"q": "night"}]), "");
    let mut compared = 0;
    for row in rows(&truth, "artists").iter().filter(|row| row["total_listeners"].is_u64()) {
        let name = row["artist_name"].as_str().unwrap_or_default().replace('+', "%2B");
        let body = lastfm(&SMALL, "artist.getInfo", &format!("artist={}", encode(&name))).value();
        assert_eq!(body["artist"]["stats"]["listeners"], json!(row["total_listeners"].to_string()), "{name}");
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn the_clip_that_is_named_is_the_clip_that_is_served() {
    let truth = truth(&SMALL, json!([{"q": "night", "max_tracks": 6}]), "&providers=itunes&hashes=1");
    assert!(!rows(&truth, "song_audio_features").is_empty());
    for row in rows(&truth, "song_audio_features") {
        let id = row["clip_refs"][0].as_str().and_then(|name| name.strip_prefix("itunes:track:")).unwrap_or_default();
        let reply = ask(&SMALL, &Request::get(&format!("/clips/itunes/{id}.flac")));
        let digest = <sha2::Sha256 as sha2::Digest>::digest(reply.body.bytes());
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(row["clip_sha256"], json!(hash));
    }
}

#[test]
fn what_cannot_be_told_is_refused() {
    for target in ["/__truth?queries=night", "/__truth?regime=free", "/__truth?queries=%5B%7B%7D%5D"] {
        assert_eq!(ask(&SMALL, &Request::get(target)).status, 400, "{target}");
    }
}
