//! What is stored is what the sandbox says is true, field by field, whatever fails on the way.

use std::collections::BTreeMap;

use reprise::sandbox::{Regime, SandboxOptions, Truth, Wish};
use serde_json::Value;

use crate::scene::{SMALL, Scene, lines};

/// By table: its key, and the columns compared.
const TABLES: [(&str, &str, &[&str]); 4] = [
    (
        "songs",
        "song_id",
        &[
            "song_id",
            "song_name",
            "artist_id",
            "album_id",
            "song_listeners",
            "mbid",
            "duration_ms",
            "duration_seconds",
            "duration_minutes",
            "engagement_ratio",
            "release_date",
            "release_date_precision",
            "is_explicit",
            "popularity",
            "track_number",
            "is_playable",
            "isrc",
        ],
    ),
    ("albums", "album_id", &["album_id", "album_title", "artist_id", "album_type", "album_total_tracks"]),
    (
        "artists",
        "artist_id",
        &[
            "artist_id",
            "artist_name",
            "on_tour",
            "total_listeners",
            "total_playcount",
            "plays_per_listener",
            "artist_popularity",
            "artist_followers",
            "has_genres",
        ],
    ),
    ("song_audio_features", "song_id", &["song_id", "provider"]),
];

fn truth(scene: &Scene) -> Truth {
    let mut wish = Wish::new(scene.searches.clone(), &scene.sandbox.switches());
    wish.providers = ["deezer", "itunes"].map(str::to_owned).to_vec();
    scene.sandbox.truth(&wish)
}

/// Columns that say 0 by the tables' own default where nobody knows better, and "none found" where the truth says "unknown".
const ZERO_IS_UNKNOWN: [&str; 5] = ["song_listeners", "total_listeners", "total_playcount", "on_tour", "has_genres"];

/// The same to the reader: SQLite's booleans are numbers, an empty title is none, floats are near.
fn same(column: &str, stored: &Value, told: &Value) -> bool {
    match (stored, told) {
        (Value::Number(stored), Value::Null) => ZERO_IS_UNKNOWN.contains(&column) && stored.as_i64() == Some(0),
        (Value::Number(stored), Value::Bool(told)) => stored.as_i64() == Some(i64::from(*told)),
        (Value::Number(stored), Value::Number(told)) => {
            let (stored, told) = (stored.as_f64().unwrap_or(f64::NAN), told.as_f64().unwrap_or(f64::NAN));
            (stored - told).abs() <= 1e-9 * told.abs().max(1.0)
        }
        (Value::String(stored), Value::Null) => stored.is_empty(),
        _ => stored == told,
    }
}

/// Where the stored table differs from the truth.
fn differences(scene: &Scene, truth: &Truth, table: &str, key: &str, columns: &[&str]) -> Vec<String> {
    let pairs: Vec<String> = columns.iter().map(|column| format!("'{column}', {column}")).collect();
    let sql = format!("SELECT json_object({}) AS value FROM {table}", pairs.join(", "));
    let stored: BTreeMap<String, Value> = lines(&scene.place("once/data"), &sql)
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|row| (row[key].as_str().unwrap_or_default().to_owned(), row))
        .collect();
    let told = truth.tables.get(table).map(Vec::as_slice).unwrap_or_default();
    let mut found = Vec::new();
    if stored.len() != told.len() {
        found.push(format!("{table}: {} rows are stored, {} are true", stored.len(), told.len()));
    }
    for row in told {
        let id = row[key].as_str().unwrap_or_default();
        let Some(stored) = stored.get(id) else {
            found.push(format!("{table} {id} is not stored"));
            continue;
        };
        // Only the name of an artist of an album alone is certain: whether it is looked up is not promised.
        let columns = if row["role"] == "album" { &["artist_id", "artist_name"][..] } else { columns };
        for column in columns.iter().filter(|column| !same(column, &stored[**column], &row[**column])) {
            found.push(format!("{table} {id}: {column} is {}, true is {}", stored[*column], row[*column]));
        }
    }
    found
}

fn names(scene: &Scene, sql: &str) -> Vec<String> {
    let mut names = lines(&scene.place("once/data"), sql);
    names.sort();
    names
}

fn stored_is_true(options: SandboxOptions) {
    let scene = Scene::new(options, 60);
    let summary = scene.settings("once").answer(&["run", "--once", "--json"]);
    assert_eq!(summary["dead_letters"], 0, "{summary}");
    let truth = truth(&scene);
    let differences: Vec<String> =
        TABLES.into_iter().flat_map(|(table, key, columns)| differences(&scene, &truth, table, key, columns)).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let mut genres: Vec<String> = truth.tables["genres"].iter().map(|row| text(row, "genre_name")).collect();
    genres.sort();
    assert_eq!(names(&scene, "SELECT genre_name AS value FROM genres"), genres);
    let link = |row: &Value| format!("{} {}", text(row, "artist_id"), text(row, "genre_name"));
    let mut links: Vec<String> = truth.tables["artist_genres"].iter().map(link).collect();
    links.sort();
    let sql = "SELECT artist_id || ' ' || genre_name AS value FROM artist_genres JOIN genres USING (genre_id)";
    assert_eq!(names(&scene, sql), links);
}

#[test]
fn what_a_restricted_app_stores_is_the_truth() {
    stored_is_true(SMALL);
}

#[test]
fn what_an_extended_app_stores_is_the_truth_while_a_tenth_of_all_calls_fails() {
    stored_is_true(SandboxOptions { regime: Regime::Extended, fault_rate: 0.1, ..SMALL });
}

/// MusicBrainz allows a call a second: a few tracks only.
#[test]
fn musicbrainz_gives_the_ids_that_lastfm_does_not() {
    let scene = Scene::new(SMALL, 24);
    let settings = scene.settings("once").with("musicbrainz.enabled", true);
    settings.with("musicbrainz.api_url", scene.sandbox.urls().musicbrainz_url).answer(&["run", "--once", "--json"]);
    let calls = scene.sandbox.calls();
    assert_eq!(calls.over_limit.get("musicbrainz"), None, "never more than one a second");
    let told = |musicbrainz: bool| {
        let wish = Wish { musicbrainz, ..Wish::new(scene.searches.clone(), &scene.sandbox.switches()) };
        scene.sandbox.truth(&wish)
    };
    let with_mbid = |truth: &Truth| truth.tables["songs"].iter().filter(|row| row["mbid"].is_string()).count();
    assert!(with_mbid(&told(true)) > with_mbid(&told(false)), "somebody has to be asked");
    assert_eq!(differences(&scene, &told(true), "songs", "song_id", &["song_id", "mbid"]), Vec::<String>::new());
}
