//! Killed, stopped, started twice: the work is finished once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reprise::sandbox::SandboxOptions;

use crate::process::{PATIENCE, Settings, holds_within};
use crate::scene::{SMALL, Scene};

/// Slow enough that a process is killed in the middle of its calls.
const SLOW: SandboxOptions = SandboxOptions { latency_ms: 15, ..SMALL };

/// Calls that can be under way, or answered and not yet published, when a process dies: a step of each extractor.
const IN_FLIGHT_MAX: u64 = 120;

fn clips(scene: &Scene) -> usize {
    scene.sandbox.calls().answered.keys().filter(|key| key.starts_with("clip/")).count()
}

fn digest(settings: &Settings) -> String {
    let summary = settings.answer(&["run", "--once", "--json"]);
    assert_eq!(summary["dead_letters"], 0, "{summary}");
    summary["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn a_run_killed_twice_finishes_with_the_same_digest_and_repeats_only_what_was_in_flight() {
    let clean = Scene::new(SLOW, 80);
    let expected = digest(&clean.settings("clean"));
    let scene = Scene::new(SLOW, 80);
    let settings = scene.settings("killed");
    for clips_before in [8, 30] {
        let running = settings.start(&["run", "--once", "--json"]);
        assert!(holds_within(PATIENCE, || clips(&scene) >= clips_before), "{}", running.log());
        running.kill();
    }
    assert_eq!(digest(&settings), expected);
    let (once, twice) = (clean.sandbox.calls().answered, scene.sandbox.calls().answered);
    let more = |key: &String| twice[key].saturating_sub(once.get(key).copied().unwrap_or(0));
    let mut again: BTreeMap<&str, u64> = BTreeMap::new();
    for key in twice.keys().filter(|key| *key != "token") {
        *again.entry(key.split('/').next().unwrap_or(key)).or_default() += more(key);
    }
    eprintln!("asked again after 2 kills, by kind: {again:?}");
    assert!(again["search"] <= 2, "a page that was published is not asked for again: {again:?}");
    let calls: u64 = again.values().sum();
    assert!(calls <= 2 * IN_FLIGHT_MAX, "{again:?}");
    let audit = settings.answer(&["audit", "--json"]);
    assert_eq!(audit["balanced"], true, "{audit}");
}

#[test]
fn a_termination_signal_drains_and_ends_well_within_the_grace_period() {
    let scene = Scene::new(SLOW, 80);
    let settings = scene.settings("stopped");
    let running = settings.start(&["run", "--once", "--json"]);
    assert!(holds_within(PATIENCE, || clips(&scene) >= 8), "{}", running.log());
    let asked = Instant::now();
    running.signal("TERM");
    let ended = running.end(PATIENCE);
    assert_eq!(ended.code, Some(1), "it was to finish, and did not: cron must know\n{}", ended.log);
    assert!(asked.elapsed() < Duration::from_secs(15), "it took {:?}:\n{}", asked.elapsed(), ended.log);
    assert_eq!(ended.answer, "", "no summary: it is not finished");
    let clean = Scene::new(SLOW, 80);
    assert_eq!(digest(&settings), digest(&clean.settings("clean")), "what was left is finished by the next run");
}

#[test]
fn a_termination_signal_is_heard_however_early_it_comes() {
    let scene = Scene::new(SMALL, 10);
    // A sweep over the start: before the handler, before the tree, before its children, and when all are at work.
    for (number, delay) in (0..24).map(|step| Duration::from_millis(step * 4)).enumerate() {
        let running = scene.settings(&format!("early-{number}")).start(&["run"]);
        std::thread::sleep(delay);
        running.signal("TERM");
        let ended = running.end(PATIENCE);
        assert!(matches!(ended.code, Some(0) | None), "after {delay:?}: {:?}\n{}", ended.code, ended.log);
    }
}

#[test]
fn a_process_that_stood_still_goes_on_and_takes_none_of_its_actors_for_hung() {
    let scene = Scene::new(SLOW, 80);
    let settings = scene.settings("frozen").with("supervision.hang_after", "3s");
    let running = settings.start(&["run", "--once", "--json"]);
    assert!(holds_within(PATIENCE, || clips(&scene) >= 8), "{}", running.log());
    for _ in 0..3 {
        running.signal("STOP");
        // The standstill itself: longer than the limit.
        std::thread::sleep(Duration::from_secs(5));
        running.signal("CONT");
        let before = clips(&scene);
        assert!(holds_within(PATIENCE, || clips(&scene) > before || running.log().contains("hung")), "{}", running.log());
    }
    let ended = running.end(PATIENCE);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("hung"), "{}", ended.log);
}

#[test]
fn a_second_instance_on_an_embedded_data_directory_is_refused() {
    let scene = Scene::new(SMALL, 20);
    let settings = scene.settings("shared");
    let first = settings.start(&["run"]);
    assert!(holds_within(PATIENCE, || clips(&scene) >= 1), "{}", first.log());
    let second = settings.run(&["run", "--once"]);
    assert_eq!(second.code, Some(1), "{}", second.log);
    let data_dir = settings.get("data_dir").expect("a data directory");
    assert!(second.log.contains(data_dir) && second.log.contains("in use by another reprise"), "{}", second.log);
    first.signal("TERM");
    assert_eq!(first.end(PATIENCE).code, Some(0));
}
