//! The database is a function of the set of changes: not of order, repetition or batching.

use proptest::prelude::*;
use reprise::store::{Change, Store};

use crate::changes::{album, artist, audio, change, listeners, one_of_each, profile, set_of_changes, song, song_listeners};
use crate::place::{self, Place, dump};

fn apply_in(store: &dyn Store, changes: &[Change], batch: usize) {
    for part in changes.chunks(batch.max(1)) {
        store.apply(part, &[]).expect("the changes apply");
    }
}

fn empty(place: &Place) {
    place.run("DELETE FROM artist_genres; DELETE FROM genres; DELETE FROM song_audio_features; DELETE FROM songs; DELETE FROM albums; DELETE FROM artists; DELETE FROM source_misses; DELETE FROM loader_progress;");
}

/// `changes` some more than once, in an order by chance, and a batch size.
fn another_course(changes: Vec<Change>) -> impl Strategy<Value = (Vec<Change>, Vec<Change>, usize)> {
    let repeats = proptest::sample::subsequence(changes.clone(), 0..=changes.len());
    (Just(changes), repeats, 1..9_usize).prop_flat_map(|(changes, repeats, batch)| {
        let course: Vec<Change> = changes.iter().cloned().chain(repeats).collect();
        (Just(changes), Just(course).prop_shuffle(), Just(batch))
    })
}

#[test]
fn any_order_repetition_and_batching_gives_the_same_dump_on_every_database() {
    let places = place::all();
    let stores: Vec<_> = places.iter().map(Place::store).collect();
    let cases = if places.len() > 1 { 60 } else { 200 };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    });
    let strategy = set_of_changes().prop_flat_map(another_course);
    let outcome = runner.run(&strategy, |(changes, course, batch)| {
        let mut dumps = Vec::new();
        for (place, store) in places.iter().zip(&stores) {
            for (order, size) in [(&changes, changes.len()), (&course, batch)] {
                empty(place);
                apply_in(store.as_ref(), order, size);
                let once = dump(store.as_ref());
                apply_in(store.as_ref(), &course, 3);
                prop_assert_eq!(&once, &dump(store.as_ref()), "a replay changed something on {}", place.name);
                let faults: Vec<_> = store
                    .check()
                    .expect("a check")
                    .into_iter()
                    .filter(|found| !found.information && found.problem.contains("genre"))
                    .collect();
                prop_assert!(faults.is_empty(), "{}: {:?}", place.name, faults);
                dumps.push(once);
            }
        }
        for other in &dumps {
            prop_assert_eq!(&dumps[0], other);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn both_databases_have_the_same_digest() {
    let digests: Vec<String> = place::all()
        .iter()
        .map(|place| {
            let store = place.store();
            apply_in(store.as_ref(), &one_of_each(), 2);
            store.digest().expect("a digest")
        })
        .collect();
    assert!(digests.iter().all(|digest| digest == &digests[0] && digest.len() == 64), "{digests:?}");
}

#[test]
fn a_child_before_its_parents_makes_stubs_that_the_real_ones_fill() {
    for place in place::all() {
        let store = place.store();
        store.apply(&[change(1, audio("s1", Some(100.0), 1))], &[]).expect("audio first");
        store.apply(&[change(1, song("s1", "Song", "a1", Some("b1")))], &[]).expect("then the song");
        let stubs = dump(store.as_ref());
        assert!(stubs.contains(r#""artist_id":"a1","artist_name":"a1","on_tour":false,"total_listeners":0"#), "{stubs}");
        assert!(stubs.contains(r#"albums {"album_id":"b1","album_title":"b1","artist_id":null"#), "{stubs}");
        let informed = store.check().expect("a check");
        assert!(informed.iter().all(|finding| finding.information), "{informed:?}");
        assert_eq!(informed.len(), 2, "{informed:?}");
        store.apply(&[change(1, album("b1", "Album", Some("a1"))), change(1, artist("a1", "Artist"))], &[]).expect("parents");
        let filled = dump(store.as_ref());
        assert!(filled.contains(r#""album_title":"Album","artist_id":"a1""#) && filled.contains(r#""artist_name":"Artist""#));
        assert_eq!(store.check().expect("a check"), []);
    }
}

#[test]
fn a_superseded_record_still_makes_its_parents_exist() {
    let newer = change(2, song("s1", "Song", "a2", None));
    let older = change(1, song("s1", "Song", "a1", Some("b1")));
    for place in place::all() {
        let store = place.store();
        apply_in(store.as_ref(), &[newer.clone(), older.clone()], 1);
        let late = dump(store.as_ref());
        empty(&place);
        apply_in(store.as_ref(), &[older.clone(), newer.clone()], 1);
        assert_eq!(late, dump(store.as_ref()));
        assert_eq!(store.row_counts().expect("counts")["artists"], 2);
    }
}

#[test]
fn no_source_overwrites_another_and_a_newer_none_overwrites_its_own_value() {
    for place in place::all() {
        let store = place.store();
        store.apply(&[change(1, song_listeners("s1", Some(9)))], &[]).expect("figures");
        store.apply(&[change(99, song("s1", "Song", "a1", None))], &[]).expect("a track");
        assert_eq!(place.number("SELECT CAST(song_listeners AS BIGINT) AS value FROM songs"), Some(9));
        store.apply(&[change(2, song_listeners("s1", None))], &[]).expect("newer figures");
        assert_eq!(place.number("SELECT CAST(song_listeners AS BIGINT) AS value FROM songs"), None);
        assert_eq!(place.text("SELECT song_name AS value FROM songs").as_deref(), Some("Song"));
    }
}

#[test]
fn the_newest_profile_names_the_artist_whenever_tracks_come() {
    for place in place::all() {
        let store = place.store();
        let name = || place.text("SELECT artist_name AS value FROM artists");
        store.apply(&[change(5, profile("a1", "Profile", None))], &[]).expect("a profile");
        store.apply(&[change(9, artist("a1", "Track"))], &[]).expect("a newer track");
        assert_eq!(name().as_deref(), Some("Profile"));
        store.apply(&[change(6, profile("a1", "Newer profile", None))], &[]).expect("a newer profile");
        assert_eq!(name().as_deref(), Some("Newer profile"));
    }
}

#[test]
fn genres_are_the_profiles_or_else_the_tags_and_none_stays_behind() {
    for place in place::all() {
        let store = place.store();
        let genres = || {
            place.text(if place.is_sqlite() {
            "SELECT group_concat(n, ',') AS value FROM (SELECT g.genre_name || ':' || l.source AS n FROM genres g LEFT JOIN artist_genres l ON l.genre_id = g.genre_id ORDER BY 1)"
        } else {
            "SELECT string_agg(g.genre_name || ':' || l.source, ',' ORDER BY g.genre_name) AS value FROM genres g LEFT JOIN artist_genres l ON l.genre_id = g.genre_id"
        })
        };
        let has = || {
            place.number("SELECT CAST(CASE WHEN has_genres THEN 1 WHEN NOT has_genres THEN 0 END AS BIGINT) AS value FROM artists WHERE artist_id = 'a1'")
        };
        store.apply(&[change(1, artist("a1", "Artist"))], &[]).expect("a name");
        assert_eq!((genres(), has()), (None, None));
        store.apply(&[change(1, profile("a1", "Artist", None))], &[]).expect("a profile without genres");
        assert_eq!((genres(), has()), (None, Some(0)));
        store.apply(&[change(2, listeners("a1", Some(1), &["rock", "pop"]))], &[]).expect("tags");
        assert_eq!((genres().as_deref(), has()), (Some("pop:lastfm,rock:lastfm"), Some(1)));
        store.apply(&[change(3, profile("a1", "Artist", Some(&["jazz", "pop"])))], &[]).expect("genres");
        assert_eq!((genres().as_deref(), has()), (Some("jazz:profile,pop:profile"), Some(1)));
        store.apply(&[change(4, profile("a1", "Artist", Some(&[])))], &[]).expect("none again");
        assert_eq!((genres().as_deref(), has()), (Some("pop:lastfm,rock:lastfm"), Some(1)));
        store.apply(&[change(5, listeners("a1", Some(1), &[]))], &[]).expect("no tags");
        assert_eq!((genres(), has()), (None, Some(0)));
    }
}

#[test]
fn what_was_deleted_by_hand_heals_on_replay() {
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        let whole = dump(store.as_ref());
        for damage in [
            "DELETE FROM artist_genres",
            "DELETE FROM genres",
            "DELETE FROM song_audio_features",
            "DELETE FROM songs",
            "DELETE FROM songs; DELETE FROM albums; DELETE FROM artists; DELETE FROM genres",
        ] {
            place.run(damage);
            assert_ne!(whole, dump(store.as_ref()), "{damage}");
            store.apply(&one_of_each(), &[]).expect("a replay");
            assert_eq!(whole, dump(store.as_ref()), "{damage}");
        }
    }
}

#[test]
fn a_batch_larger_than_any_statement_is_written_whole() {
    let names: Vec<String> = (0..5_100).map(|number| format!("genre {}", number % 700)).collect();
    let batch: Vec<Change> = names
        .iter()
        .enumerate()
        .map(|(number, name)| change(1, profile(&format!("a{number}"), "Artist", Some(&[name, "all"]))))
        .collect();
    let digests: Vec<String> = place::all()
        .iter()
        .map(|place| {
            let store = place.store();
            let applied = store.apply(&batch, &[]).expect("one large batch");
            assert!(applied.won.iter().all(|won| *won));
            let counts = store.row_counts().expect("counts");
            assert_eq!((counts["artists"], counts["genres"], counts["artist_genres"]), (5_100, 701, 10_200), "{}", place.name);
            let whole = store.digest().expect("a digest");
            empty(place);
            apply_in(store.as_ref(), &batch, 997);
            assert_eq!(whole, store.digest().expect("a digest"), "{}", place.name);
            whole
        })
        .collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}
