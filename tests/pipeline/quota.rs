//! No quota is burnt twice: each thing is asked for once, in every regime, and not again while it is fresh.

use std::collections::BTreeMap;

use reprise::sandbox::{Regime, SandboxOptions};

use crate::scene::{SMALL, Scene};

/// What was answered more than once, tokens aside.
fn repeated(answered: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let repeated = answered.iter().filter(|(key, count)| **count > 1 && *key != "token");
    repeated.map(|(key, count)| (key.as_str(), *count)).collect()
}

/// Of two songs that are one recording, each is asked about: only artists and pages are certain to be different.
fn is_unique(key: &str) -> bool {
    ["artists/", "lastfm.artist/", "search/"].iter().any(|kind| key.starts_with(kind))
}

fn nothing_is_asked_twice(regime: Regime) {
    let scene = Scene::new(SandboxOptions { regime, ..SMALL }, 60);
    let settings = scene.settings("once");
    settings.answer(&["run", "--once", "--json"]);
    let first = scene.sandbox.calls().answered;
    let repeats: Vec<(&str, u64)> = repeated(&first).into_iter().filter(|(key, _)| is_unique(key)).collect();
    assert_eq!(repeats, vec![], "{regime:?}");
    assert!(first.keys().filter(|key| key.starts_with("artists/")).count() >= 10, "{first:?}");
    // The same again: the searches are made anew, and all that they find is known and fresh.
    settings.answer(&["run", "--once", "--json"]);
    let second = scene.sandbox.calls().answered;
    let asked_anew = |key: &&String| !key.starts_with("search/") && **key != "token" && first.get(*key) != second.get(*key);
    assert_eq!(second.keys().filter(asked_anew).collect::<Vec<_>>(), Vec::<&String>::new(), "{regime:?}");
}

#[test]
fn a_restricted_app_asks_for_nothing_twice() {
    nothing_is_asked_twice(Regime::Restricted);
}

#[test]
fn a_legacy_app_asks_for_nothing_twice() {
    nothing_is_asked_twice(Regime::Legacy);
}

#[test]
fn an_extended_app_asks_for_nothing_twice() {
    nothing_is_asked_twice(Regime::Extended);
}
