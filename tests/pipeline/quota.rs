//! No quota is burnt twice: each thing is asked for once, in every regime, and not again while it is fresh.

use std::collections::BTreeMap;

use reprise::sandbox::{Regime, SandboxOptions};

use crate::scene::{SMALL, Scene};

/// What was answered more than once, tokens aside.
pub fn repeated(answered: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let repeated = answered.iter().filter(|(key, count)| **count > 1 && *key != "token");
    repeated.map(|(key, count)| (key.as_str(), *count)).collect()
}

fn nothing_is_asked_twice(regime: Regime) {
    let scene = Scene::new(SandboxOptions { regime, ..SMALL }, 60);
    let settings = scene.settings("once");
    settings.answer(&["run", "--once", "--json"]);
    let calls = scene.sandbox.calls();
    assert_eq!(repeated(&calls.answered), vec![], "{regime:?}");
    let artists = |counts: &BTreeMap<String, u64>| counts.keys().filter(|key| key.starts_with("artists/")).count();
    assert!(artists(&calls.answered) >= 10, "{:?}", calls.by_endpoint);
    // The same again: the searches are new ones, what they find is known and fresh.
    settings.answer(&["run", "--once", "--json"]);
    let again = scene.sandbox.calls();
    let searched = |key: &str| key.starts_with("search/");
    let repeats: Vec<(&str, u64)> = repeated(&again.answered).into_iter().filter(|(key, _)| !searched(key)).collect();
    assert_eq!(repeats, vec![], "{regime:?}");
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
