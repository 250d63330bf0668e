//! Passing faults: what fails, how, and that it heals.
//!
//! Whether a call fails is a function of the seed, of what is asked for and of how often it was asked for. The order of
//! calls, their number a second and other keys have no part in it. Up to a rate of [`HEALING_RATE`] nothing fails more
//! than [`RUN_MAX`] times in a row, so that a client that tries five times gets everything.

use std::collections::HashMap;

use super::chance::Dice;
use super::options::Switches;
use super::route::Api;
use super::wire::{Body, Reply};
use super::{deezer, itunes, lastfm, musicbrainz, spotify};

/// Rate up to which faults heal in time.
const HEALING_RATE: f64 = 0.3;
/// Most failures of one key in a row at a rate that heals.
const RUN_MAX: u32 = 3;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Throttled, in the style of the API.
    Throttled,
    /// The API's own word for "try again".
    TryAgain,
    /// 500 with HTML.
    ServerError,
    /// 502 with JSON.
    BadGateway,
    /// 503 without a body.
    Unavailable,
    /// 200 with HTML.
    Html,
    /// 200 without a body.
    Empty,
    /// 200 with the first half of the answer, and a `Content-Length` that agrees.
    CutText,
    /// 200 with the first half of the answer, and a `Content-Length` for all of it.
    CutLength,
    /// The answer, under a wrong type.
    WrongType,
    /// The answer, slowly.
    Drip,
    /// A signed link that expired early.
    Expired,
}

impl Fault {
    /// Name in the counts.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Throttled => "throttled",
            Fault::TryAgain => "try_again",
            Fault::ServerError => "server_error",
            Fault::BadGateway => "bad_gateway",
            Fault::Unavailable => "unavailable",
            Fault::Html => "html",
            Fault::Empty => "empty",
            Fault::CutText => "cut_text",
            Fault::CutLength => "cut_length",
            Fault::WrongType => "wrong_type",
            Fault::Drip => "drip",
            Fault::Expired => "expired",
        }
    }

    /// Whether a client can do without another call.
    pub fn is_answer(self) -> bool {
        matches!(self, Fault::WrongType | Fault::Drip)
    }
}

/// Weights of a JSON API's faults.
const TEXT: [(u32, Fault); 11] = [
    (1, Fault::Throttled),
    (2, Fault::TryAgain),
    (2, Fault::ServerError),
    (2, Fault::BadGateway),
    (2, Fault::Unavailable),
    (2, Fault::Html),
    (1, Fault::Empty),
    (2, Fault::CutText),
    (2, Fault::CutLength),
    (1, Fault::WrongType),
    (1, Fault::Drip),
];
/// Weights of a clip's faults: none that could pass for a shorter clip or another sound.
const CLIP: [(u32, Fault); 7] = [
    (2, Fault::ServerError),
    (2, Fault::BadGateway),
    (2, Fault::Unavailable),
    (2, Fault::CutLength),
    (1, Fault::WrongType),
    (1, Fault::Drip),
    (2, Fault::Expired),
];

/// How often a key was asked for, and how often in a row it failed.
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    asked: u64,
    run: u32,
}

/// Decides on faults.
#[derive(Debug, Default)]
pub struct FaultPlan {
    tries: HashMap<String, Tries>,
}

impl FaultPlan {
    /// The fault of the next call for this key, if it is to fail.
    pub fn next(&mut self, seed: u64, api: Api, key: &str, switches: &Switches) -> Option<Fault> {
        if switches.fault_rate <= 0.0 {
            return None;
        }
        let tries = self.tries.entry(key.to_owned()).or_default();
        tries.asked += 1;
        let mut dice = Dice::new(seed, &["fault", api.name(), key, &tries.asked.to_string()]);
        let healed = switches.fault_rate <= HEALING_RATE && tries.run >= RUN_MAX;
        if !dice.happens(switches.fault_rate) || healed {
            tries.run = 0;
            return None;
        }
        let mut fault = dice.weighted(if api == Api::Clips { &CLIP[..] } else { &TEXT[..] });
        // Only Deezer signs, and twice expired would mean that the link was never good.
        if fault == Fault::Expired && (tries.run > 0 || !key.starts_with("clip/deezer/")) {
            fault = Fault::Unavailable;
        }
        tries.run += 1;
        Some(fault)
    }

    /// Forgets what was asked.
    pub fn reset(&mut self) {
        self.tries.clear();
    }
}

/// An answer as this fault leaves it. `turn` picks among spellings.
pub fn spoil(fault: Fault, api: Api, turn: u64, switches: &Switches, answer: impl FnOnce() -> Reply) -> Reply {
    match fault {
        Fault::Throttled => throttled(api, switches.retry_after_s, turn),
        Fault::TryAgain => try_again(api, turn),
        Fault::ServerError => html(500, "Internal Server Error"),
        Fault::BadGateway => spotify::error(502, "Bad gateway."),
        Fault::Unavailable => Reply::text(503, "", ""),
        Fault::Html => html(200, "We'll be right back"),
        Fault::Empty => Reply::text(200, "application/json", ""),
        Fault::CutText => halved(answer()),
        Fault::CutLength => Reply { body: Body::Cut(answer().body.into_bytes()), ..answer_shell(200) },
        Fault::WrongType => Reply { content_type: "application/octet-stream".to_owned(), ..answer() },
        Fault::Drip => drip(answer(), switches.drip_ms),
        Fault::Expired => expired(),
    }
}

fn answer_shell(status: u16) -> Reply {
    Reply::text(status, "application/json", "")
}

/// An HTML page, as proxies write them.
pub fn html(status: u16, text: &str) -> Reply {
    Reply::text(
        status,
        "text/html",
        format!("<!DOCTYPE html><html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"),
    )
}

fn halved(reply: Reply) -> Reply {
    let Reply { status, content_type, headers, body } = reply;
    let mut bytes = body.into_bytes();
    bytes.truncate(bytes.len() / 2);
    Reply { status, content_type, headers, body: Body::Bytes(bytes) }
}

/// The same answer, in pieces over this many milliseconds.
pub fn drip(reply: Reply, over_ms: u64) -> Reply {
    let Reply { status, content_type, headers, body } = reply;
    Reply { status, content_type, headers, body: Body::Drip(body.into_bytes(), over_ms) }
}

/// The CDN's answer to a link that is no longer good.
pub fn expired() -> Reply {
    Reply::text(403, "application/xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code></Error>")
}

/// Over the limit, in the style of each API.
pub fn throttled(api: Api, retry_after_s: u64, turn: u64) -> Reply {
    match api {
        Api::Lastfm => {
            let http = [429, 200, 400][turn as usize % 3];
            lastfm::error(http, 29, "Rate limit exceeded - Your IP has made too many requests in a short period")
        }
        Api::Deezer => deezer::quota(),
        Api::Itunes => itunes::throttled(),
        Api::Musicbrainz => musicbrainz::throttled(),
        _ => spotify::rate_limited(retry_after_s, turn.is_multiple_of(2)),
    }
}

fn try_again(api: Api, turn: u64) -> Reply {
    const FAILED: &str = "Operation failed - Most likely the backend service failed. Please try again.";
    match api {
        Api::Lastfm => match turn % 4 {
            0 => lastfm::error(200, 8, FAILED),
            1 => lastfm::error(500, 8, FAILED),
            2 => lastfm::error(503, 11, "Service Offline - This service is temporarily offline. Try again later."),
            _ => lastfm::error(503, 16, "There was a temporary error processing your request. Please try again"),
        },
        Api::Embed => html(200, "Spotify"),
        Api::Musicbrainz => musicbrainz::throttled(),
        _ => spotify::error(503, "Service unavailable"),
    }
}
