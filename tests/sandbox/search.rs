use std::collections::BTreeSet;

use reprise::sandbox::engine::Engine;
use reprise::sandbox::wire::encode;
use reprise::sandbox::{Regime, SandboxOptions, Search, truth::distinct_tracks};
use serde_json::json;

use super::{SMALL, engine, small, spotify, switch};

/// Distinct ids over all pages of a size, as a client meets them; failing pages are asked for again.
pub fn ids_by_paging(engine: &Engine, q: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut seen) = (Vec::new(), BTreeSet::new());
    for offset in (0..1000).step_by(limit) {
        let target = format!("/search?q={}&type=track&market=US&limit={limit}&offset={offset}", encode(q));
        let page = (0..6).map(|_| spotify(engine, &target)).map(|reply| reply.value()).find(|page| page["tracks"].is_object());
        let page = page.unwrap_or_else(|| panic!("{target} failed six times"));
        for id in page["tracks"]["items"].as_array().into_iter().flatten().filter_map(|item| item["id"].as_str()) {
            if seen.insert(id.to_owned()) {
                ids.push(id.to_owned());
            }
        }
        // `next` may be missing where more follows.
        if page["tracks"]["items"].as_array().is_none_or(Vec::is_empty) {
            break;
        }
    }
    ids
}

#[test]
fn page_size_regime_and_faults_do_not_change_which_tracks_come_in_which_order() {
    let expected = ids_by_paging(&SMALL, "river", 50);
    assert!(expected.len() > 50, "{}", expected.len());
    assert_eq!(ids_by_paging(&SMALL, "river", 10), expected);
    for regime in [Regime::Legacy, Regime::Restricted] {
        assert_eq!(ids_by_paging(&engine(&small(regime)), "river", 10), expected, "{regime:?}");
    }
    let faulty = engine(&SandboxOptions { fault_rate: 0.3, ..small(Regime::Extended) });
    assert_eq!(ids_by_paging(&faulty, "river", 50), expected);
}

#[test]
fn pages_overlap_have_holes_and_totals_that_drift() {
    let (mut rows, mut holes, mut ids, mut totals) = (0, 0, BTreeSet::new(), BTreeSet::new());
    let mut local = 0;
    for (q, offset) in ["night", "river", "love", "fire", "home", "dream", "blue", "summer"]
        .iter()
        .flat_map(|q| (0..250).step_by(50).map(move |offset| (q, offset)))
    {
        let page = spotify(&SMALL, &format!("/search?q={q}&type=track&market=US&limit=50&offset={offset}")).value();
        totals.insert(page["tracks"]["total"].as_u64());
        for item in page["tracks"]["items"].as_array().into_iter().flatten() {
            rows += 1;
            holes += usize::from(item["id"].is_null());
            local += usize::from(item["is_local"] == true);
            ids.extend(item["id"].as_str().map(str::to_owned));
        }
    }
    assert!(local > 0 && local < holes, "{local} of {holes} holes are local files");
    assert!(holes > 0 && ids.len() + holes < rows, "{rows} rows, {holes} holes, {} tracks", ids.len());
    assert!(totals.len() > 1, "{totals:?}");
}

#[test]
fn the_wall_is_an_error_to_which_next_still_points() {
    let engine = engine(&SandboxOptions { regime: Regime::Extended, ..SandboxOptions::default() });
    let last = spotify(&engine, "/search?q=genre%3Arock&type=track&market=US&limit=50&offset=950").value();
    assert!(last["tracks"]["next"].as_str().is_some_and(|next| next.contains("offset=1000")), "{}", last["tracks"]["next"]);
    let behind = spotify(&engine, "/search?q=genre%3Arock&type=track&market=US&limit=50&offset=1000");
    assert_eq!((behind.status, behind.value()), (400, json!({"error": {"status": 400, "message": "Bad request."}})));
}

#[test]
fn the_usual_queries_find_plenty() {
    let engine = engine(&SandboxOptions::default());
    let count = |q: &str| distinct_tracks(engine.world(), &Search { q: q.to_owned(), max_tracks: 1000 }).len();
    for (q, least) in
        [("genre:jazz", 500), ("genre:rock", 500), ("night", 300), ("river", 300), ("love", 300), ("year:1990-1999", 300)]
    {
        assert!(count(q) >= least, "{q}: {}", count(q));
    }
    assert!(count("xyzzy") > 0, "words that nothing has find the nearest");
    assert_eq!(count("artist:xyzzy"), 0, "a filter that nothing passes finds nothing");
}

#[test]
fn a_search_without_market_finds_nothing_and_bad_parameters_are_named() {
    let page = spotify(&SMALL, "/search?q=night&type=track&limit=10").value();
    assert_eq!(page["tracks"]["items"], json!([]));
    for (target, message) in [
        ("/search?q=&type=track&market=US", "No search query"),
        ("/search?q=night&type=track&market=US&limit=51", "Invalid limit"),
        ("/search?q=night&type=track&market=usa", "Invalid market code"),
        ("/search?q=night&market=US", "Missing parameter type"),
    ] {
        let reply = spotify(&SMALL, target);
        assert_eq!((reply.status, &reply.value()["error"]["message"]), (400, &json!(message)), "{target}");
    }
}

#[test]
fn numbers_come_as_floats_when_switched() {
    let engine = engine(&small(Regime::Extended));
    switch(&engine, json!({"floats": true}));
    let reply = spotify(&engine, "/search?q=night&type=track&market=US&limit=1");
    let text = String::from_utf8_lossy(reply.body.bytes()).into_owned();
    assert!(text.contains("\"disc_number\":1.0"), "{text}");
    assert!(reply.value()["tracks"]["items"][0]["duration_ms"].as_f64().is_some_and(|ms| ms > 1000.0), "{text}");
    assert!(text.contains('E') && !text.contains("\\u0001"), "{text}");
}
