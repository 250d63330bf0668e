//! A fifth of all calls fails, in every way that passes: the database is the one of a run without faults.

use reprise::sandbox::{Regime, SandboxOptions};

use crate::scene::{SMALL, Scene};

const TRACKS: usize = 90;

fn a_fifth_of_failing_calls_changes_nothing(regime: Regime) {
    let calm = Scene::new(SandboxOptions { regime, ..SMALL }, TRACKS);
    let expected = calm.settings("once").answer(&["run", "--once", "--json"]);
    let rough = Scene::new(SandboxOptions { regime, fault_rate: 0.2, ..SMALL }, TRACKS);
    let settings = rough.settings("once");
    let stored = settings.answer(&["run", "--once", "--json"]);
    assert_eq!((&stored["digest"], &stored["rows"]), (&expected["digest"], &expected["rows"]), "{regime:?}");
    assert_eq!(stored["dead_letters"], 0);
    let faults = rough.sandbox.calls().faults;
    assert!(faults.len() >= 8 && faults.values().sum::<u64>() >= 60, "too few faults to show anything: {faults:?}");
    let audit = settings.answer(&["audit", "--json"]);
    assert_eq!((&audit["balanced"], &audit["findings"]), (&serde_json::json!(true), &serde_json::json!([])), "{audit}");
    for (stage, books) in audit["stages"].as_object().into_iter().flatten() {
        assert_eq!((&books["dead_lettered"], &books["waiting"]), (&0.into(), &0.into()), "{stage}: {books}");
    }
}

#[test]
fn a_fifth_of_failing_calls_changes_nothing_for_a_restricted_app() {
    a_fifth_of_failing_calls_changes_nothing(Regime::Restricted);
}

#[test]
fn a_fifth_of_failing_calls_changes_nothing_for_an_extended_app() {
    a_fifth_of_failing_calls_changes_nothing(Regime::Extended);
}
