//! Loaders that write the same artists, albums and genres at once lose nothing and end up with the same rows.

use std::time::Duration;

use rand_order::shuffled;
use reprise::store::{Change, Store, StoreError};

use crate::changes::{album, artist, change, listeners, profile, song, song_listeners};
use crate::place::{self, dump};

/// Orders by chance, the same in every run.
mod rand_order {
    /// `items` in the order that `seed` gives.
    pub fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut keyed: Vec<(u64, T)> = items
            .iter()
            .map(|item| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state, item.clone())
            })
            .collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, item)| item).collect()
    }
}

/// Few artists, and genres that come and go.
fn contested() -> Vec<Change> {
    let genres = ["rock", "pop", "jazz", "folk", "punk"];
    let mut changes = Vec::new();
    for round in 0..12_i64 {
        for number in 0..8_usize {
            let (by, on) = (format!("a{number}"), format!("b{}", number % 5));
            let some = &genres[number % 5..(number % 5 + 1 + round as usize % 3).min(5)];
            changes.push(change(round, artist(&by, &format!("Artist {round}"))));
            changes.push(change(round, profile(&by, &format!("Profile {round}"), (round % 3 > 0).then_some(some))));
            changes.push(change(round, listeners(&by, Some(round), &genres[..(round as usize) % 4])));
            changes.push(change(round, album(&on, &format!("Album {round}"), Some(&by))));
            changes.push(change(round, song(&format!("s{number}"), &format!("Song {round}"), &by, Some(&on))));
            changes.push(change(round, song_listeners(&format!("s{}", number + 4), Some(round as i32))));
        }
    }
    changes
}

/// Applies until it holds; how often it had to wait.
fn apply_until_it_holds(store: &dyn Store, changes: &[Change]) -> u32 {
    for waits in 0..200 {
        match store.apply(changes, &[]) {
            Ok(_) => return waits,
            Err(StoreError::Unavailable(_)) => std::thread::sleep(Duration::from_millis(5)),
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the batch never held");
}

#[test]
fn loaders_at_once_lose_nothing_and_agree_with_one_alone() {
    let changes = contested();
    let alone = place::sqlite();
    let one = alone.store();
    one.apply(&changes, &[]).expect("all at once");
    let expected = dump(one.as_ref());
    for place in place::all() {
        place.store();
        let waits: u32 = std::thread::scope(|scope| {
            let loaders: Vec<_> = (1..=4_u64)
                .map(|seed| {
                    let (changes, place) = (shuffled(&changes, seed), &place);
                    scope.spawn(move || {
                        let store = place.open();
                        changes.chunks(40).map(|batch| apply_until_it_holds(store.as_ref(), batch)).sum::<u32>()
                    })
                })
                .collect();
            loaders.into_iter().map(|loader| loader.join().expect("no panic")).sum()
        });
        assert_eq!(expected, dump(place.open().as_ref()), "{}", place.name);
        eprintln!("{}: {waits} waits", place.name);
    }
}

#[test]
fn two_loaders_that_take_away_the_last_two_links_leave_no_genre_behind() {
    for place in place::all() {
        let store = place.store();
        for round in 0..15_i64 {
            let with: Vec<Change> = ["a1", "a2"].map(|id| change(2 * round, profile(id, "x", Some(&["rock"])))).into();
            store.apply(&with, &[]).expect("a genre");
            std::thread::scope(|scope| {
                for id in ["a1", "a2"] {
                    let place = &place;
                    scope.spawn(move || {
                        let without = [change(2 * round + 1, profile(id, "x", Some(&[])))];
                        apply_until_it_holds(place.open().as_ref(), &without)
                    });
                }
            });
            assert_eq!(store.row_counts().expect("counts")["genres"], 0, "{} in round {round}", place.name);
        }
    }
}

#[test]
fn two_claims_at_once_get_two_epochs() {
    for place in place::all() {
        place.store();
        let mut epochs: Vec<i64> = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..6)
                .map(|_| scope.spawn(|| place.open().claim(&[crate::changes::partition(0)]).expect("a claim")[0].epoch))
                .collect();
            claims.into_iter().map(|claim| claim.join().expect("no panic")).collect()
        });
        epochs.sort_unstable();
        assert_eq!(epochs, [1, 2, 3, 4, 5, 6]);
    }
}
