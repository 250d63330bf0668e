//! What the operator and the stages ask.

use reprise::store::{KnownKey, KnownSource, StoreError, TABLES, schema};

use crate::changes::{audio, change, miss, one_of_each, profile, song, song_listeners};
use crate::place::{self, dump};

#[test]
fn a_source_is_known_by_its_latest_answer_with_or_without_data() {
    let key = |source, id: &str| KnownKey { source, id: id.to_owned() };
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        store
            .apply(&[change(20, miss("song", "s1", "audio", 3)), change(3, miss("song", "s1", "lastfm", 0))], &[])
            .expect("misses");
        let keys = [
            key(KnownSource::SongAudio, "s1"),
            key(KnownSource::SongAudio, "s2"),
            key(KnownSource::SongListeners, "s1"),
            key(KnownSource::ArtistProfile, "a1"),
            key(KnownSource::ArtistListeners, "a1"),
            key(KnownSource::ArtistListeners, "s1"),
            key(KnownSource::SongAudio, "nobody"),
        ];
        let known = store.known(&keys).expect("what is known");
        let found: Vec<_> =
            keys.iter().map(|key| known.get(key).map(|known| (known.observed_at, known.features_version))).collect();
        assert_eq!(found, [Some((20, 3)), Some((9, 2)), Some((6, 0)), Some((8, 0)), Some((9, 0)), None, None]);
        assert!(store.known(&[]).expect("nothing asked").is_empty());
    }
}

#[test]
fn a_stub_is_not_known() {
    for place in place::all() {
        let store = place.store();
        store.apply(&[change(1, audio("s1", None, 1)), change(1, song("s2", "Song", "a1", None))], &[]).expect("records");
        let keys = [
            KnownKey { source: KnownSource::SongListeners, id: "s1".into() },
            KnownKey { source: KnownSource::ArtistProfile, id: "a1".into() },
        ];
        assert!(store.known(&keys).expect("what is known").is_empty());
    }
}

#[test]
fn rows_are_counted_by_table() {
    for place in place::all() {
        let store = place.store();
        assert!(store.row_counts().expect("counts").values().all(|rows| *rows == 0));
        store.apply(&one_of_each(), &[]).expect("records");
        let counts = store.row_counts().expect("counts");
        assert_eq!(TABLES.map(|table| counts[table]), [1, 1, 1, 1, 2, 2]);
    }
}

#[test]
fn the_summary_ranks_bins_and_names() {
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        let more = [
            change(1, song("s2", "Other", "a2", None)),
            change(1, song("s3", "Third", "a2", None)),
            change(1, audio("s2", Some(129.9), 1)),
            change(1, audio("s3", Some(60.0), 1)),
        ];
        store.apply(&more, &[]).expect("more");
        let summary = store.summary().expect("a summary");
        assert_eq!(summary.top_artists, [("Radiohead".to_owned(), Some(5_000_000), 1), ("a2".to_owned(), None, 2)]);
        assert_eq!(summary.bpm_histogram, [(60, 1), (120, 2)]);
        assert_eq!(summary.keys, [("A minor".to_owned(), 3)]);
    }
}

#[test]
fn the_check_finds_what_was_broken_by_hand() {
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        assert_eq!(store.check().expect("a check"), []);
        place.run("UPDATE artists SET has_genres = FALSE, plays_per_listener = 1, artist_name = 'Nobody'");
        place.run("UPDATE songs SET duration_minutes = 99; INSERT INTO genres (genre_name) VALUES ('orphan')");
        let findings = store.check().expect("a check");
        assert!(findings.iter().all(|finding| !finding.information && finding.rows == 1), "{findings:?}");
        let text = format!("{findings:?}");
        for expected in ["has_genres is not true", "plays_per_listener", "name is neither", "disagree", "such as orphan"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert_eq!(findings.len(), 5, "{text}");
    }
}

#[test]
fn the_dump_tells_null_from_empty_and_leaves_audit_and_versions_out() {
    for place in place::all() {
        let store = place.store();
        let mut row = song("s1", "\"quoted\"\n", "a1", None);
        if let reprise::records::Row::Song(song) = &mut row {
            song.isrc = Some(String::new());
        }
        store.apply(&[change(1, row), change(2, song_listeners("s1", None))], &[]).expect("a song");
        let text = dump(store.as_ref());
        assert!(text.contains(r#""song_name":"\"quoted\"\n""#) && text.contains(r#""isrc":"","#), "{text}");
        assert!(text.contains(r#""album_id":null,"song_listeners":null"#) && text.contains(r#""duration_minutes":3.025"#));
        for hidden in ["observed_at", "tiebreak", "created_at", "updated_at", "analysis_date", "genre_id", "epoch"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
        let before = store.digest().expect("a digest");
        store.apply(&[change(3, profile("a1", "a1", None))], &[]).expect("a profile");
        assert_ne!(before, store.digest().expect("a digest"));
    }
}

#[test]
fn the_dump_is_in_byte_order_whatever_the_locale() {
    for place in place::all() {
        let store = place.store();
        let ids = ["Z", "a", "_", "ä", "B", "~"];
        let names: Vec<_> = ids.iter().map(|id| change(1, profile(id, "x", Some(&["é", "f", "E"])))).collect();
        store.apply(&names, &[]).expect("artists");
        let text = dump(store.as_ref());
        let listed: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("artists {\"artist_id\":\"")?.split('"').next()).collect();
        assert_eq!(listed, ["B", "Z", "_", "a", "~", "ä"]);
        let genres: Vec<&str> = text.lines().filter(|line| line.starts_with("genres")).collect();
        assert_eq!(genres, [r#"genres {"genre_name":"E"}"#, r#"genres {"genre_name":"f"}"#, r#"genres {"genre_name":"é"}"#]);
    }
}

#[test]
fn migrating_twice_or_at_once_is_the_same_as_once() {
    for place in place::all() {
        let reports: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| place.open().migrate())).collect();
            runs.into_iter().map(|run| run.join().expect("no panic").expect("a report")).collect()
        });
        let mut applied: Vec<&str> = reports.iter().flat_map(|report| &report.applied).map(String::as_str).collect();
        let all = applied.len();
        applied.dedup();
        assert!(applied.len() == all && all > 1, "{}: {reports:?}", place.name);
        let again = place.open().migrate().expect("once more");
        assert_eq!((again.applied.len(), again.present), (0, all));
    }
}

#[test]
fn the_typed_schema_names_every_column_of_both_databases() {
    use diesel::{QueryDsl, RunQueryDsl, debug_query};
    macro_rules! columns_agree {
        ($place:expr, $($table:ident),*) => {$({
            let query = schema::$table::table.select(schema::$table::all_columns);
            let named = debug_query::<diesel::sqlite::Sqlite, _>(&query).to_string().matches("`.`").count();
            let name = stringify!($table);
            let (real, executed) = if $place.is_sqlite() {
                let count = $place.number(&format!("SELECT count(*) AS value FROM pragma_table_info('{name}')"));
                (count, query.execute(&mut $place.sqlite_connection()).is_ok())
            } else {
                let count = $place.number(&format!(
                    "SELECT count(*) AS value FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = '{name}'"
                ));
                (count, query.execute(&mut $place.postgres_connection()).is_ok())
            };
            assert_eq!((real, executed), (i64::try_from(named).ok(), true), "{name} on {}", $place.name);
        })*};
    }
    for place in place::all() {
        place.store();
        columns_agree!(
            place,
            artists,
            albums,
            songs,
            song_audio_features,
            genres,
            artist_genres,
            source_misses,
            loader_progress
        );
    }
}

#[test]
fn the_ledger_of_an_unmigrated_store_needs_a_person() {
    for place in place::all() {
        assert!(matches!(place.open().ledger(), Err(StoreError::Setup(_))), "{}", place.name);
    }
}
