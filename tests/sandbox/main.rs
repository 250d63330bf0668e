//! The sandbox's promises: everything follows from the seed, faults heal, every API keeps its habits, clips play.

mod agreement;
mod catalogue;
mod clips;
mod faults;
mod lastfm;
mod limits;
mod previews;
mod search;
mod server;
mod spotify;
mod truth;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reprise::sandbox::engine::{Engine, Moment};
use reprise::sandbox::wire::{Reply, Request};
use reprise::sandbox::{CLIENT_ID, CLIENT_SECRET, LASTFM_API_KEY, Regime, SandboxOptions};
use serde_json::{Value, json};

/// When calls come unless a test says otherwise.
pub const NOW: Moment = Moment { elapsed_ms: 1_000, unix_s: 1_790_000_000 };

/// A small world, built once: tests that only read share it.
pub static SMALL: LazyLock<Engine> = LazyLock::new(|| engine(&small(Regime::Extended)));

/// Options of a small world.
pub fn small(regime: Regime) -> SandboxOptions {
    SandboxOptions { artists: 300, tracks: 1_500, regime, ..SandboxOptions::default() }
}

/// An engine without a server.
pub fn engine(options: &SandboxOptions) -> Engine {
    Engine::new(options, "http://127.0.0.1:1")
}

/// The answer to a call at [`NOW`].
pub fn ask(engine: &Engine, request: &Request) -> Reply {
    engine.answer(request, NOW).reply
}

/// The request for a token.
pub fn token_request() -> Request {
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    let mut request = Request::get("/accounts/api/token").with_header("authorization", &format!("Basic {basic}"));
    request.method = "POST".to_owned();
    request.body = b"grant_type=client_credentials".to_vec();
    request
}

/// A token, however often it takes.
pub fn token(engine: &Engine) -> String {
    for _ in 0..20 {
        if let Some(token) = ask(engine, &token_request()).value()["access_token"].as_str() {
            return token.to_owned();
        }
    }
    panic!("no token in 20 tries");
}

/// An authorised Spotify call.
pub fn spotify_request(token: &str, target: &str) -> Request {
    Request::get(&format!("/spotify/v1{target}")).with_header("authorization", &format!("Bearer {token}"))
}

/// The answer to an authorised Spotify call.
pub fn spotify(engine: &Engine, target: &str) -> Reply {
    ask(engine, &spotify_request(&token(engine), target))
}

/// A Last.fm call; values must be encoded.
pub fn lastfm_request(method: &str, more: &str) -> Request {
    Request::get(&format!("/lastfm/2.0/?method={method}&autocorrect=1&format=json&api_key={LASTFM_API_KEY}&{more}"))
}

/// The answer to a Last.fm call.
pub fn lastfm(engine: &Engine, method: &str, more: &str) -> Reply {
    ask(engine, &lastfm_request(method, more))
}

/// Switches an engine.
pub fn switch(engine: &Engine, change: Value) {
    engine.control(&change).unwrap_or_else(|problem| panic!("{change}: {problem}"));
}

/// The truth about some searches.
pub fn truth(engine: &Engine, searches: Value, more: &str) -> Value {
    let queries = reprise::sandbox::wire::encode(&searches.to_string());
    let reply = ask(engine, &Request::get(&format!("/__truth?queries={queries}{more}")));
    assert_eq!(reply.status, 200, "{}", reply.value());
    reply.value()
}

#[test]
fn control_refuses_what_is_no_switch_and_changes_nothing() {
    let engine = engine(&small(Regime::Extended));
    let before = engine.switches();
    for change in [json!({"fault_rat": 0.1}), json!({"fault_rate": 2}), json!({"latency_ms": 5, "regime": "free"}), json!(3)] {
        assert!(engine.control(&change).is_err(), "{change} was accepted");
        assert_eq!(engine.switches(), before);
    }
    switch(&engine, json!({"mean": {"deezer": "down"}, "limits": {"spotify": {"calls": 3, "window_ms": 10}}}));
    assert_eq!(engine.switches().mean.len(), 1);
    assert_eq!(engine.switches().limits.len(), before.limits.len(), "limits are merged by API");
    switch(&engine, json!({"mean": {"deezer": null}}));
    assert!(engine.switches().mean.is_empty());
}
