//! Allowances are used up and never overdrawn: minutes long, so only by
//! `cargo test --release --test pipeline -- --ignored --nocapture allowance`.

use std::time::Duration;

use reprise::sandbox::{ApiCalls, Sandbox, SandboxOptions, Search};
use serde_json::{Value, json};

use crate::process::Settings;

/// As the services have them: calls, in so many seconds.
const LIMITS: [(&str, u64, u64); 4] = [("spotify", 90, 30), ("lastfm", 5, 1), ("deezer", 50, 5), ("itunes", 20, 60)];

/// A thousand tracks of the usual catalogue.
fn thousand() -> Vec<Search> {
    let half = |q: &str| Search { q: q.to_owned(), max_tracks: 500 };
    vec![half("year:1980-1989"), half("year:2000-2009")]
}

/// The service with its usual limits, whatever the other tests set.
fn settings(folder: &std::path::Path, sandbox: &Sandbox) -> Settings {
    let settings = Settings::new(folder).at(sandbox).searching(&thousand());
    LIMITS.iter().fold(settings, |settings, (api, calls, _)| {
        let key = match *api {
            "spotify" => "spotify.calls_per_30s",
            "lastfm" => "lastfm.calls_per_second",
            "deezer" => "previews.deezer_calls_per_5s",
            _ => "previews.itunes_calls_per_minute",
        };
        settings.with(key, calls)
    })
}

/// How near to the quickest that the allowance lets a client make so many calls it came: that is a window's worth at once at the
/// beginning of each window.
fn share(calls: &ApiCalls, allowed: u64, seconds: u64) -> f64 {
    let quickest_ms = (calls.calls.saturating_sub(1) / allowed) * seconds * 1_000;
    quickest_ms as f64 / (calls.last_ms - calls.first_ms) as f64
}

fn run(options: SandboxOptions, more: &[(&str, &str)]) -> Vec<(&'static str, ApiCalls, f64)> {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::start(SandboxOptions { enforce_limits: true, ..options }).expect("a sandbox");
    let limits = LIMITS.map(|(api, calls, seconds)| (api.to_owned(), json!({"calls": calls, "window_ms": seconds * 1_000})));
    sandbox.control(&json!({"limits": Value::Object(limits.into_iter().collect())})).expect("limits");
    let settings = more.iter().fold(settings(folder.path(), &sandbox), |settings, (key, value)| settings.with(key, value));
    let ended = settings.start(&["run", "--once", "--json"]).end(Duration::from_secs(3_600));
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let counts = sandbox.calls();
    println!("{} tracks in {} s", ended.json()["rows"]["songs"], ended.json()["seconds"]);
    assert!(counts.over_limit.is_empty(), "over the limit: {:?}", counts.over_limit);
    let used: Vec<_> = LIMITS
        .into_iter()
        .filter_map(|(api, allowed, seconds)| {
            let calls = counts.by_api.get(api)?.clone();
            let share = share(&calls, allowed, seconds);
            println!(
                "{api}: {} calls, at most {} of {allowed} in {seconds} s, {:.1} % of the allowance",
                calls.calls,
                calls.peak,
                share * 100.0
            );
            Some((api, calls, share))
        })
        .collect();
    used
}

#[test]
#[ignore = "a quarter of an hour: as long as the allowances make it"]
fn a_thousand_tracks_take_as_long_as_the_allowances_make_them_and_no_longer() {
    let used = run(SandboxOptions::default(), &[]);
    // Deezer waits for the analysis, see below.
    for (api, _, share) in used.iter().filter(|(api, ..)| *api != "deezer") {
        assert!(*share >= 0.95, "{api}: {share:.3}");
    }
}

#[test]
#[ignore = "minutes"]
fn deezers_allowance_is_used_up_where_no_clip_has_to_be_analysed() {
    let options = SandboxOptions { dead_clips: 1.0, ..SandboxOptions::default() };
    let used = run(options, &[("previews.providers", "[\"deezer\"]")]);
    let (_, calls, share) = used.iter().find(|(api, ..)| *api == "deezer").expect("Deezer was asked");
    assert!(*share >= 0.95, "{share:.3} of {calls:?}");
}
