//! What `reprise report` promises, by the real binary: on SQLite always, on PostgreSQL where `REPRISE_TEST_POSTGRES` is set.

#![allow(dead_code, reason = "the changes and places serve other tests too")]

use std::path::Path;

use serde_json::Value;

#[path = "store/changes.rs"]
mod changes;
#[path = "store/place.rs"]
mod place;
mod process;

use changes::{artist, audio, change, listeners, one_of_each, profile, song, song_listeners};
use place::Place;
use process::Settings;
use reprise::store::Change;

/// Thirty songs by three artists, with holes.
fn songs() -> Vec<Change> {
    let mut rows = one_of_each();
    rows.extend([
        change(5, artist("a2", "Björk")),
        change(5, artist("a3", "<script>alert(1)</script>\u{202e}")),
        change(8, profile("a2", "Björk", Some(&["art pop"]))),
        change(9, listeners("a2", Some(4_000_000), &["electronic"])),
    ]);
    for number in 0..30_u32 {
        let id = format!("t{number:02}");
        rows.push(change(5, song(&id, &format!("Song {number} \"&'"), ["a1", "a2", "a3"][number as usize % 3], None)));
        if !number.is_multiple_of(4) {
            let bpm = (!number.is_multiple_of(5)).then_some(80.0 + f64::from(number) * 3.3);
            rows.push(change(5, audio(&id, bpm, 2)));
        }
        if number.is_multiple_of(2) {
            rows.push(change(5, song_listeners(&id, Some(i32::try_from(number).unwrap_or_default() * 100))));
        }
    }
    rows
}

fn filled(place: &Place) {
    place.store().apply(&songs(), &[]).expect("records");
}

/// A process that finds its database at `place`.
fn settings(folder: &Path, place: &Place) -> Settings {
    Settings::new(folder).with("database.url", &place.url)
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("a whole number: {value}"))
}

#[test]
fn the_figures_are_what_sql_counts() {
    for place in place::all() {
        filled(&place);
        let folder = tempfile::tempdir().expect("a folder");
        let answer = settings(folder.path(), &place).answer(&["report", "page.html", "--json"]);
        assert_eq!(answer["file"], "page.html");
        let figures = &answer["figures"];
        let count = |sql: &str| place.number(sql).expect(sql);
        let same = [
            (&figures["counts"]["tracks"], "SELECT COUNT(*) AS value FROM songs"),
            (&figures["counts"]["artists"], "SELECT COUNT(*) AS value FROM artists"),
            (&figures["counts"]["albums"], "SELECT COUNT(*) AS value FROM albums"),
            (&figures["counts"]["genres"], "SELECT COUNT(*) AS value FROM genres"),
            (&figures["coverage"]["audio"], "SELECT COUNT(*) AS value FROM song_audio_features"),
            (&figures["coverage"]["lastfm"], "SELECT COUNT(*) AS value FROM songs WHERE lastfm_observed_at IS NOT NULL"),
            (
                &figures["coverage"]["artists_lastfm"],
                "SELECT COUNT(*) AS value FROM artists WHERE lastfm_observed_at IS NOT NULL",
            ),
            (&figures["spreads"]["bpm"]["known"], "SELECT COUNT(bpm) AS value FROM song_audio_features"),
            (
                &figures["keys"][21]["tracks"],
                "SELECT COUNT(*) AS value FROM song_audio_features WHERE music_key = 'A' AND music_mode = 'minor'",
            ),
        ];
        for (figure, sql) in same {
            assert_eq!(whole(figure), count(sql), "{} {sql}", place.name);
            assert!(whole(figure) > 0, "{sql}: nothing to compare");
        }
        for bin in figures["spreads"]["bpm"]["bins"].as_array().expect("bars") {
            let [from, to] = ["from", "to"].map(|edge| bin[edge].as_f64().expect("an edge"));
            let sql = format!("SELECT COUNT(*) AS value FROM song_audio_features WHERE bpm >= {from} AND bpm < {to}");
            assert_eq!(whole(&bin["tracks"]), count(&sql), "{sql}");
        }
        let pop = figures["genres"]["top"].as_array().expect("genres").iter().find(|genre| genre["name"] == "art pop");
        assert_eq!(
            pop.map(|genre| whole(&genre["tracks"])),
            Some(count("SELECT COUNT(*) AS value FROM songs WHERE artist_id = 'a2'"))
        );
    }
}

#[test]
fn both_databases_give_the_same_figures_and_page() {
    let pages: Vec<(Value, String)> = place::all()
        .iter()
        .map(|place| {
            filled(place);
            let folder = tempfile::tempdir().expect("a folder");
            let answer = settings(folder.path(), place).answer(&["report", "page.html", "--json"]);
            let html = std::fs::read_to_string(folder.path().join("page.html")).expect("the page");
            // Its address and the time of making are each page's own.
            let main = html.split_once("<section").and_then(|(_, rest)| rest.split_once("<footer>")).expect("a body");
            (answer["figures"].clone(), main.0.to_owned())
        })
        .collect();
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]), "{pages:#?}");
}

#[test]
fn the_page_is_one_file_that_asks_for_nothing_and_holds_no_foreign_markup() {
    let (place, folder) = (place::sqlite(), tempfile::tempdir().expect("a folder"));
    filled(&place);
    let file = folder.path().join("page.html");
    std::fs::write(&file, "an older page").expect("a file");
    let ended = settings(folder.path(), &place).run(&["report", "page.html"]);
    assert_eq!((ended.code, ended.answer.lines().count()), (Some(0), 1), "{}", ended.log);
    assert!(ended.answer.starts_with("page.html: 31 tracks"), "{}", ended.answer);
    let html = std::fs::read_to_string(&file).expect("the page");
    for outside in ["http://", "https://", "src=", "url(", "href=", "@import", "<script", "\u{202e}"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the name is shown as text");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn an_empty_database_gives_a_page_that_says_what_to_do() {
    for place in place::all() {
        place.store();
        let folder = tempfile::tempdir().expect("a folder");
        let ended = settings(folder.path(), &place).run(&["report", "page.html"]);
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        let html = std::fs::read_to_string(folder.path().join("page.html")).expect("the page");
        assert!(html.contains("reprise search") && html.contains("No track here yet"), "{html}");
    }
}

#[test]
fn a_target_that_cannot_be_written_is_named_with_what_is_wrong() {
    let (place, folder) = (place::sqlite(), tempfile::tempdir().expect("a folder"));
    place.store();
    std::fs::create_dir(folder.path().join("there")).expect("a folder");
    std::fs::write(folder.path().join("plain"), "").expect("a file");
    let settings = settings(folder.path(), &place);
    for (file, code, said) in [
        ("there", 2, "is a folder"),
        ("nowhere/page.html", 2, "there is no folder nowhere"),
        ("plain/page.html", 2, "there is no folder plain"),
        ("/dev/null", 2, "is a device"),
        ("..", 2, "is a folder"),
        ("/proc/page.html", 1, "cannot be written"),
    ] {
        let ended = settings.run(&["report", file]);
        assert_eq!((ended.code, ended.answer.as_str()), (Some(code), ""), "{file}: {}", ended.log);
        assert!(ended.log.contains(said) && ended.log.contains(file), "{file}: {}", ended.log);
    }
    assert_eq!(settings.run(&["report"]).code, Some(2));
}

#[test]
fn a_database_that_is_not_set_up_or_not_there_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    for place in place::all() {
        let ended = settings(folder.path(), &place).run(&["report", "page.html"]);
        assert_eq!(ended.code, Some(1), "{}: {}", place.name, ended.log);
        assert!(ended.log.contains("reprise migrate"), "{}: {}", place.name, ended.log);
    }
    let url = format!("postgres://me:hunter2@127.0.0.1:{}/music", process::free_port());
    let ended = Settings::new(folder.path()).with("database.url", url).run(&["report", "page.html"]);
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains("127.0.0.1") && !ended.log.contains("hunter2"), "{}", ended.log);
    assert!(!folder.path().join("page.html").exists(), "no page of nothing");
}
