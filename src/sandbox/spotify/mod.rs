//! Stand-in for Spotify: the Web API in its three regimes, and the embed page.

mod embed;
mod objects;
mod search;

pub use embed::page as embed_page;

use serde_json::{Value, json};

use super::options::Regime;
use super::wire::{Reply, Request};
use super::world::Stand;

/// The text of a lapsed subscription: 159 bytes that are not JSON.
const PREMIUM_LOST: &str = "Active premium subscription required for the owner of the app. \
     When the subscription status changes, it can take a few hours before requests are allowed again.";

/// Ids in one batch.
const BATCH_MAX: usize = 50;
/// Paths that development apps lost in February 2026.
const REMOVED: [&str; 4] = ["/markets", "/browse", "/users", "/recommendations"];

/// An error in Spotify's usual shape.
pub fn error(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"status": status, "message": message}}))
}

/// The 403 of a lapsed subscription.
pub fn premium_lost() -> Reply {
    Reply::text(403, "text/plain", PREMIUM_LOST)
}

/// The 429 of a used-up quota.
pub fn quota_exceeded(retry_after_s: Option<u64>) -> Reply {
    let reply =
        Reply::json(429, &json!({"error": {"status": 429, "message": "Too many requests", "reason": "QUOTA_EXCEEDED"}}));
    match retry_after_s {
        Some(seconds) => reply.with_header("retry-after", seconds.to_string()),
        None => reply,
    }
}

/// A passing 429, as plain text from the proxy or as JSON from behind it.
pub fn rate_limited(retry_after_s: u64, plain: bool) -> Reply {
    let reply = if plain { Reply::text(429, "text/plain", "Too many requests") } else { error(429, "API rate limit exceeded") };
    reply.with_header("retry-after", retry_after_s.to_string())
}

/// Answers an authorised call; `path` is what follows `/v1`.
pub fn answer(stand: &Stand<'_>, path: &str, request: &Request) -> Reply {
    let restricted = stand.switches.regime == Regime::Restricted;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["search"] => search::answer(stand, request),
        ["artists"] if restricted => error(403, "Forbidden"),
        ["artists"] => several_artists(stand, request),
        ["artists", id] => artist(stand, id),
        ["tracks"] | ["albums"] if restricted => error(403, "Forbidden"),
        ["tracks", id] => track(stand, id, request),
        ["artists", _, "top-tracks"] if restricted => error(403, "Forbidden"),
        ["audio-features" | "audio-analysis", ..] | ["artists", _, "related-artists"] => error(403, "Forbidden"),
        _ if restricted && REMOVED.iter().any(|removed| path.starts_with(removed)) => error(403, "Forbidden"),
        _ => error(404, "Service not found"),
    }
}

fn is_id(id: &str) -> bool {
    id.len() == 22 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn artist(stand: &Stand<'_>, id: &str) -> Reply {
    if !is_id(id) {
        return error(400, "invalid id");
    }
    match stand.catalogue().artist_by_id(id) {
        Some(artist) => Reply::json(200, &objects::artist(stand, artist)),
        None => error(404, "Resource not found"),
    }
}

fn several_artists(stand: &Stand<'_>, request: &Request) -> Reply {
    let ids = request.param("ids").unwrap_or_default();
    let ids: Vec<&str> = ids.split(',').filter(|id| !id.is_empty()).collect();
    if ids.is_empty() || !ids.iter().all(|id| is_id(id)) {
        return error(400, "invalid id");
    }
    if ids.len() > BATCH_MAX {
        return error(400, "Too many ids requested");
    }
    let one = |id: &&str| stand.catalogue().artist_by_id(id).map_or(Value::Null, |artist| objects::artist(stand, artist));
    Reply::json(200, &json!({"artists": ids.iter().map(one).collect::<Vec<_>>()}))
}

fn track(stand: &Stand<'_>, id: &str, request: &Request) -> Reply {
    if !is_id(id) {
        return error(400, "invalid id");
    }
    match stand.catalogue().track_by_id(id) {
        Some(track) => {
            let body = objects::track(stand, track, request.param("market").as_deref());
            Reply::text(200, "application/json; charset=utf-8", objects::with_floats(&body.to_string()))
        }
        None => error(404, "Resource not found"),
    }
}
