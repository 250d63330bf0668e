//! Reading the database as a whole.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use reprise::store::relations::{ColumnKind, RELATIONS, Relation, TRACKS, Value};
use reprise::store::{Store, StoreError};

use crate::changes::{audio, change, one_of_each, song};
use crate::place;

fn everything() -> Vec<&'static Relation> {
    RELATIONS.iter().chain([&TRACKS]).collect()
}

fn rows(store: &dyn Store, relation: &'static Relation) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    let mut keep = |_, row: &[Value]| {
        rows.push(row.to_vec());
        ControlFlow::Continue(())
    };
    store.scan(&[relation], &mut keep).unwrap_or_else(|error| panic!("{}: {error}", relation.name));
    rows
}

#[test]
fn every_column_of_the_tables_is_read_but_what_decides_between_observations() {
    for place in place::all() {
        place.store();
        for relation in &RELATIONS {
            let name = relation.name;
            let there = if place.is_sqlite() {
                format!("SELECT group_concat(name, ' ') AS value FROM (SELECT name FROM pragma_table_info('{name}'))")
            } else {
                format!(
                    "SELECT string_agg(column_name, ' ') AS value FROM information_schema.columns \
                     WHERE table_schema = current_schema() AND table_name = '{name}'"
                )
            };
            let there = place.text(&there).expect("columns");
            let mut expected: Vec<&str> = there.split(' ').filter(|column| !column.ends_with("_tiebreak")).collect();
            let mut read: Vec<&str> = relation.columns.iter().map(|column| column.name).collect();
            expected.sort_unstable();
            read.sort_unstable();
            assert_eq!(read, expected, "{name} on {}", place.name);
        }
    }
}

#[test]
fn both_databases_give_the_same_values_in_the_order_of_the_keys() {
    let mut given: BTreeMap<&str, Vec<Vec<Value>>> = BTreeMap::new();
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        let more = ["z", "S2", "ä", "_"].map(|id| change(1, song(id, "Söng, \"2\"", "a2", None)));
        store.apply(&more, &[]).expect("more");
        store.apply(&[change(1, audio("S2", None, 1))], &[]).expect("features");
        for relation in everything() {
            let mut rows = rows(store.as_ref(), relation);
            let key = relation.position(relation.key[0]).expect("the key is a column");
            let keys: Vec<Option<&str>> = rows.iter().map(|row| row[key].text()).collect();
            assert!(keys.is_sorted(), "{}: {keys:?}", relation.name);
            for row in &mut rows {
                for (value, column) in row.iter_mut().zip(relation.columns) {
                    // Numbers of genres and the times of writing are each database's own.
                    if column.name == "genre_id" || column.name.ends_with("ated_at") || column.name == "analysis_date" {
                        assert_ne!(value, &Value::Null, "{}.{}", relation.name, column.name);
                        *value = Value::Null;
                    }
                }
            }
            let first = given.entry(relation.name).or_insert_with(|| rows.clone());
            assert_eq!(&rows, first, "{} on {}", relation.name, place.name);
        }
    }
}

#[test]
fn the_flat_view_has_a_row_a_song_and_tells_unknown_from_nothing() {
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        store.apply(&[change(1, song("s2", "Unheard", "a2", None))], &[]).expect("a song nobody was asked about");
        let tracks = rows(store.as_ref(), &TRACKS);
        let value = |row: usize, name: &str| tracks[row][TRACKS.position(name).expect(name)].clone();
        assert_eq!(tracks.len(), 2);
        assert_eq!(value(0, "artist_name"), Value::Text("Radiohead".into()));
        assert_eq!(value(0, "artist_listeners"), Value::Int(5_000_000));
        assert!(matches!(value(0, "genres"), Value::Texts(genres) if genres.len() == 2 && genres.is_sorted()));
        assert!(matches!(value(0, "mfcc"), Value::Reals(_)));
        assert_eq!(value(1, "genres"), Value::Texts(Vec::new()));
        for unknown in ["song_listeners", "artist_listeners", "artist_playcount", "bpm", "album_title"] {
            assert_eq!(value(1, unknown), Value::Null, "{unknown}");
        }
    }
}

#[test]
fn times_are_microseconds_and_now() {
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        let now = chrono::Utc::now().timestamp_micros();
        for relation in &RELATIONS {
            for row in rows(store.as_ref(), relation) {
                for (value, column) in row.iter().zip(relation.columns).filter(|(_, column)| column.kind == ColumnKind::Time) {
                    let Value::Time(time) = value else { panic!("{}.{}: {value:?}", relation.name, column.name) };
                    if column.name.ends_with("_at") && column.name.contains("observed") {
                        assert!((1..1_000).contains(time), "{}.{}: {time}", relation.name, column.name);
                    } else {
                        assert!((now - time).abs() < 60_000_000, "{}.{}: {time} at {now}", relation.name, column.name);
                    }
                }
            }
        }
    }
}

#[test]
fn a_scan_that_is_left_early_is_no_failure_and_leaves_the_database_usable() {
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        let mut seen = 0;
        let mut leave = |_, _: &[Value]| {
            seen += 1;
            ControlFlow::Break(())
        };
        store.scan(&everything(), &mut leave).expect("left early");
        assert_eq!(seen, 1);
        assert_eq!(rows(store.as_ref(), &TRACKS).len(), 1);
    }
}

#[test]
fn what_a_foreign_hand_wrote_is_named() {
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        place.run("UPDATE song_audio_features SET mfcc = '[1, \"two\"]'");
        let outcome = store.scan(&everything(), &mut |_, _| ControlFlow::Continue(()));
        let Err(StoreError::Data(problem)) = outcome else { panic!("{outcome:?}") };
        assert!(problem.contains("song_audio_features.mfcc") && problem.contains("two"), "{problem}");
    }
}
