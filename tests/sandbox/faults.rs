use std::collections::BTreeSet;

use reprise::sandbox::engine::Engine;
use reprise::sandbox::wire::{Body, Request};
use reprise::sandbox::{Regime, SandboxOptions};
use serde_json::json;

use super::{SMALL, ask, engine, lastfm_request, small, spotify_request, switch, token};

fn faulty(rate: f64) -> Engine {
    engine(&SandboxOptions { fault_rate: rate, ..small(Regime::Extended) })
}

/// Calls to every API, many keys each.
fn calls(token: &str) -> Vec<Request> {
    let catalogue = &SMALL.world().catalogue;
    let mut calls = Vec::new();
    for artist in catalogue.artists.iter().take(60) {
        calls.push(spotify_request(token, &format!("/artists/{}", artist.id)));
        calls.push(lastfm_request("artist.getInfo", &format!("artist={}", reprise::sandbox::wire::encode(&artist.name))));
    }
    for track in catalogue.tracks.iter().take(60) {
        calls.push(Request::get(&format!("/deezer/track/isrc:{}", track.isrc.clone().unwrap_or_default())));
        calls.push(Request::get(&format!("/itunes/search?term={}", reprise::sandbox::wire::encode(&track.title))));
        calls.push(Request::get(&format!("/musicbrainz/ws/2/isrc/{}", track.isrc.clone().unwrap_or_default())));
    }
    // One call a key: a key's own tries do have an order.
    let mut seen = BTreeSet::new();
    calls.retain(|call| seen.insert((call.path.clone(), call.query.clone())));
    calls
}

#[test]
fn up_to_three_tenths_nothing_fails_more_than_three_times_in_a_row_and_answers_are_the_same() {
    let (clean, faulty) = (engine(&small(Regime::Extended)), faulty(0.3));
    let (clean_token, faulty_token) = (token(&clean), token(&faulty));
    let mut spoilt = 0;
    for (good, bad) in calls(&clean_token).iter().zip(calls(&faulty_token)) {
        let expected = ask(&clean, good);
        let tries: Vec<_> = (0..4).map(|_| ask(&faulty, &bad)).collect();
        spoilt += tries.iter().filter(|reply| **reply != expected).count();
        assert!(tries.contains(&expected), "{}?{} failed four times", bad.path, bad.query);
    }
    assert!(spoilt > 200, "{spoilt} answers were spoilt");
    let kinds: BTreeSet<String> = faulty.calls().faults.into_keys().collect();
    for kind in ["throttled", "try_again", "server_error", "html", "empty", "cut_text", "cut_length", "wrong_type", "drip"] {
        assert!(kinds.contains(kind), "no {kind} in {kinds:?}");
    }
}

#[test]
fn faults_do_not_depend_on_the_order_of_calls() {
    let (first, second) = (faulty(0.3), faulty(0.3));
    let forward: Vec<_> = calls(&token(&first)).iter().map(|call| ask(&first, call)).collect();
    let mut backward: Vec<_> = calls(&token(&second)).iter().rev().map(|call| ask(&second, call)).collect();
    backward.reverse();
    assert!(forward == backward);
}

#[test]
fn a_clip_is_never_replaced_by_something_that_could_be_taken_for_one() {
    let engine = faulty(0.3);
    let catalogue = &SMALL.world().catalogue;
    for track in catalogue.tracks.iter().filter(|track| catalogue.recording(track).itunes_listed()).take(40) {
        let mut whole = BTreeSet::new();
        for _ in 0..4 {
            let reply = ask(&engine, &Request::get(&format!("/clips/itunes/{}.flac", track.itunes_id)));
            let cut = matches!(reply.body, Body::Cut(_));
            if reply.status == 200 && !cut {
                whole.insert(reply.body.into_bytes());
            }
        }
        assert_eq!(whole.len(), 1, "all whole answers are the same clip");
    }
}

#[test]
fn mean_switches_do_what_they_say_until_switched_back() {
    let engine = engine(&small(Regime::Extended));
    let call = Request::get("/deezer/search?q=night");
    let good = ask(&engine, &call);
    let meet = |mean: &str| {
        switch(&engine, json!({"mean": {"deezer": mean}}));
        engine.answer(&call, super::NOW)
    };
    assert!(matches!(meet("flood").reply.body, Body::Flood(100_000_000)));
    assert_eq!(meet("redirect_loop").reply.headers, [("location", "http://127.0.0.1:1/deezer/search".to_owned())]);
    assert_eq!(meet("redirect_away").reply.status, 302);
    assert_eq!(meet("throttled").reply.value()["error"]["code"], json!(4));
    assert_eq!(meet("down").reply.status, 500);
    assert!(meet("hang").delay_ms >= 600_000);
    assert!(matches!(meet("drip").reply.body, Body::Drip(_, 60_000)));
    assert!(matches!(meet("cut").reply.body, Body::Cut(_)));
    assert_eq!(meet("html").reply.content_type, "text/html");
    switch(&engine, json!({"mean": {"deezer": null, "lastfm": "key_refused"}}));
    assert_eq!(ask(&engine, &call), good);
    assert_eq!(ask(&engine, &lastfm_request("artist.getInfo", "artist=x")).value()["error"], json!(26));
}

trait Listed {
    fn itunes_listed(&self) -> bool;
}

impl Listed for reprise::sandbox::catalogue::Recording {
    fn itunes_listed(&self) -> bool {
        self.itunes == reprise::sandbox::catalogue::Shelf::Listed
    }
}
