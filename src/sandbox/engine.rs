//! From a call to its answer: count it, refuse it, spoil it, or pass it to the stand-in that it is for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::clips::{ClipShelf, Score};
use super::control;
use super::faults::{self, FaultPlan};
use super::ledger::{CallCounts, Ledger};
use super::options::{Mean, SandboxOptions, Switches};
use super::route::{Api, Route};
use super::shops::split_id;
use super::truth;
use super::wire::{Body, Reply, Request, param};
use super::world::{Stand, World};
use super::{CLIENT_ID, CLIENT_SECRET, LASTFM_API_KEY, chance, deezer, itunes, lastfm, musicbrainz, spotify};

/// Longer than any client waits.
const HANG_MS: u64 = 600_000;
/// How long [`Mean::Drip`] takes.
const LONG_DRIP_MS: u64 = 60_000;
/// Tokens that are remembered, to tell an expired one from an invented one.
const TOKENS_MAX: usize = 10_000;

/// When a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the start of the sandbox: limits and tokens go by them.
    pub elapsed_ms: u64,
    /// Seconds since the Unix epoch: signed links go by them.
    pub unix_s: u64,
}

/// An answer, and how long it is held back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The answer.
    pub reply: Reply,
    /// Milliseconds.
    pub delay_ms: u64,
}

#[derive(Debug)]
struct State {
    switches: Switches,
    ledger: Ledger,
    faults: FaultPlan,
    /// Expiry of each token, in milliseconds since the start.
    tokens: HashMap<String, u64>,
    issued: u64,
    quota_used: u64,
    quota_since_ms: u64,
}

/// All stand-ins behind one door.
#[derive(Debug)]
pub struct Engine {
    world: World,
    clips: ClipShelf,
    base_url: String,
    state: Mutex<State>,
}

impl Engine {
    /// An engine for a seed, which names itself by `base_url` in its answers.
    pub fn new(options: &SandboxOptions, base_url: &str) -> Engine {
        let state = State {
            switches: options.switches(),
            ledger: Ledger::default(),
            faults: FaultPlan::default(),
            tokens: HashMap::new(),
            issued: 0,
            quota_used: 0,
            quota_since_ms: 0,
        };
        Engine {
            world: World::build(options),
            clips: ClipShelf::default(),
            base_url: base_url.to_owned(),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Where the switches stand.
    pub fn switches(&self) -> Switches {
        self.state().switches.clone()
    }

    /// The calls so far.
    pub fn calls(&self) -> CallCounts {
        self.state().ledger.counts()
    }

    /// Applies a change of the switches, see [`control::apply`].
    ///
    /// # Errors
    /// When the change names what is no switch, or a value that is none. Nothing is changed then.
    pub fn control(&self, change: &serde_json::Value) -> Result<Switches, String> {
        let mut state = self.state();
        let (switches, actions) = control::apply(&state.switches, change)?;
        state.switches = switches;
        if actions.reset_calls {
            state.ledger.reset();
        }
        if actions.reset_faults {
            state.faults.reset();
        }
        if actions.expire_tokens {
            state.tokens.values_mut().for_each(|expiry| *expiry = 0);
        }
        if actions.quota_changed {
            state.quota_used = 0;
        }
        Ok(state.switches.clone())
    }

    /// Answers a call.
    pub fn answer(&self, request: &Request, now: Moment) -> Answer {
        if request.path.starts_with("/__") {
            return Answer { reply: self.behind_the_scenes(request), delay_ms: 0 };
        }
        let Some(route) = Route::of(request) else {
            return Answer { reply: Reply::json(404, &json!({"error": "Not Found"})), delay_ms: 0 };
        };
        let mut state = self.state();
        let switches = state.switches.clone();
        let over = state.ledger.received(&route, now.elapsed_ms, &switches);
        let refusal = mean_refusal(&route, &switches, &format!("{}{}", self.base_url, request.path))
            .or_else(|| {
                (over && switches.enforce_limits).then(|| faults::throttled(route.api, switches.retry_after_s, now.elapsed_ms))
            })
            .or_else(|| state.refusal(&route, request, now));
        let seed = self.world.catalogue.seed;
        let fault = if refusal.is_some() { None } else { state.faults.next(seed, route.api, &route.key(), &switches) };
        if let Some(fault) = fault {
            state.ledger.faulted(fault.name());
        }
        let answers = refusal.is_none() && fault.is_none_or(faults::Fault::is_answer);
        let token = (refusal.is_none() && route.api == Api::Accounts).then(|| state.issue(seed, now));
        drop(state);

        let stand = Stand { world: &self.world, switches: &switches, base_url: &self.base_url, unix_s: now.unix_s };
        let answer = || token.clone().unwrap_or_else(|| self.serve(&stand, &route, request));
        let reply = match (refusal, fault) {
            (Some(refusal), _) => refusal,
            (None, Some(fault)) => {
                let turn = chance::mix(seed, &["turn", &route.key()]);
                faults::spoil(fault, route.api, turn, &switches, answer)
            }
            (None, None) => slowed(answer(), switches.mean.get(route.api.name())),
        };
        // A batch that the account may not ask for is refused, and its artists are as unknown as before.
        if answers && !(route.api == Api::Spotify && reply.status == 403) {
            self.state().ledger.answered(&route);
        }
        let hangs = switches.mean.get(route.api.name()) == Some(&Mean::Hang);
        Answer { reply, delay_ms: switches.latency_ms + if hangs { HANG_MS } else { 0 } }
    }

    fn behind_the_scenes(&self, request: &Request) -> Reply {
        match (request.path.as_str(), request.method.as_str()) {
            ("/__calls", _) => Reply::json(200, &json!(self.calls())),
            ("/__control", "GET") => Reply::json(200, &json!(self.switches())),
            ("/__control", _) => {
                let change = serde_json::from_slice(&request.body).map_err(|error| format!("the body is not JSON: {error}"));
                match change.and_then(|change| self.control(&change)) {
                    Ok(switches) => Reply::json(200, &json!(switches)),
                    Err(problem) => Reply::json(400, &json!({"error": problem})),
                }
            }
            ("/__truth", _) => match truth::Wish::parse(request, &self.switches()) {
                Ok(wish) => Reply::json(200, &json!(truth::truth(&self.world, &self.clips, &wish))),
                Err(problem) => Reply::json(400, &json!({"error": problem})),
            },
            _ => Reply::json(404, &json!({"error": "there are /__calls, /__control and /__truth"})),
        }
    }

    /// The clips made last.
    pub fn clips(&self) -> &ClipShelf {
        &self.clips
    }

    fn serve(&self, stand: &Stand<'_>, route: &Route, request: &Request) -> Reply {
        match route.api {
            Api::Accounts => faults::html(404, "Not Found"),
            Api::Spotify => spotify::answer(stand, &route.path, request),
            Api::Embed => match route.path.strip_prefix("/track/") {
                Some(id) => spotify::embed_page(stand, id, request),
                None => faults::html(404, "Not Found"),
            },
            Api::Lastfm => lastfm::answer(stand, request),
            Api::Deezer => deezer::answer(stand, &route.path, request),
            Api::Itunes => itunes::answer(stand, &route.path, request),
            Api::Musicbrainz => musicbrainz::answer(stand, &route.path, request),
            Api::Clips => self.clip(stand, route, request),
        }
    }

    fn clip(&self, stand: &Stand<'_>, route: &Route, request: &Request) -> Reply {
        let missing = || Reply::text(404, "text/plain", "Not Found");
        let Some((provider, name)) = route.path.trim_start_matches('/').split_once('/') else { return missing() };
        let name = name.trim_end_matches(".flac");
        let (number, imitated) = split_id(name.parse().unwrap_or(0));
        let catalogue = stand.catalogue();
        let track = match provider {
            "spotify" => catalogue.track_by_id(name),
            "deezer" => catalogue.track_by_deezer(number),
            "itunes" => catalogue.track_by_itunes(number),
            _ => None,
        };
        let Some(recording) = track.map(|track| catalogue.tracks[track].recording) else { return missing() };
        if stand.is_dead(provider, recording)
            || (provider == "deezer" && !deezer::is_valid(stand, &request.path, &request.query))
        {
            return faults::expired();
        }
        let score = &catalogue.recordings[recording].score;
        let clip = if imitated {
            // Played by others: faster, and in another key.
            let score = Score { bpm: score.bpm * 1.13, tonic: (score.tonic + 5) % 12, ..score.clone() };
            self.clips.clip(provider, &format!("{recording}-karaoke"), &score)
        } else {
            self.clips.clip(provider, &recording.to_string(), score)
        };
        Reply { status: 200, content_type: "audio/flac".to_owned(), headers: Vec::new(), body: Body::Shared(clip) }
    }
}

impl State {
    /// Why a call is refused before anything else: no or expired token, no key, no quota.
    fn refusal(&mut self, route: &Route, request: &Request, now: Moment) -> Option<Reply> {
        match route.api {
            Api::Accounts => token_refusal(&route.path, request),
            Api::Lastfm => {
                let known = request.param("api_key").as_deref() == Some(LASTFM_API_KEY);
                (!known).then(|| lastfm::error(403, 10, "Invalid API key - You must be granted a valid key by last.fm"))
            }
            Api::Spotify if self.switches.premium_lost => Some(spotify::premium_lost()),
            Api::Spotify => self.bearer_refusal(request, now).or_else(|| self.quota_refusal(now)),
            _ => None,
        }
    }

    fn bearer_refusal(&self, request: &Request, now: Moment) -> Option<Reply> {
        let Some(token) = request.header("authorization").strip_prefix("Bearer ").filter(|token| !token.is_empty()) else {
            return Some(spotify::error(401, "No token provided"));
        };
        match self.tokens.get(token) {
            None => Some(spotify::error(401, "Invalid access token")),
            Some(expiry) if *expiry <= now.elapsed_ms => Some(spotify::error(401, "The access token expired")),
            Some(_) => None,
        }
    }

    fn quota_refusal(&mut self, now: Moment) -> Option<Reply> {
        let quota = self.switches.quota_after?;
        let resets_ms = self.switches.quota_resets_s.map(|seconds| seconds * 1000);
        if self.quota_used == 0 || resets_ms.is_some_and(|resets_ms| now.elapsed_ms >= self.quota_since_ms + resets_ms) {
            self.quota_used = 0;
            self.quota_since_ms = now.elapsed_ms;
        }
        self.quota_used += 1;
        (self.quota_used > quota).then(|| spotify::quota_exceeded(self.switches.quota_retry_after_s))
    }

    fn issue(&mut self, seed: u64, now: Moment) -> Reply {
        self.issued += 1;
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.retain(|_, expiry| *expiry > now.elapsed_ms);
        }
        let token = format!("BQ{}", chance::hex(seed, &["token", &self.issued.to_string()], 40));
        let life_s = self.switches.token_life_s;
        self.tokens.insert(token.clone(), now.elapsed_ms + life_s * 1000);
        Reply::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": life_s}))
    }
}

fn token_refusal(path: &str, request: &Request) -> Option<Reply> {
    let refuse =
        |error: &str, description: &str| Some(Reply::json(400, &json!({"error": error, "error_description": description})));
    if path != "/api/token" || request.method != "POST" {
        return Some(faults::html(404, "Not Found"));
    }
    let basic = request.header("authorization").strip_prefix("Basic ").and_then(|text| STANDARD.decode(text.trim()).ok());
    let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    match basic.split_once(':') {
        Some((CLIENT_ID, CLIENT_SECRET)) => {}
        Some((CLIENT_ID, _)) => return refuse("invalid_client", "Invalid client secret"),
        _ => return refuse("invalid_client", "Invalid client"),
    }
    let form = String::from_utf8_lossy(&request.body);
    if param(&form, "grant_type").as_deref() == Some("client_credentials") {
        None
    } else {
        refuse("unsupported_grant_type", "grant_type parameter is missing")
    }
}

/// What a mean switch answers instead of everything.
fn mean_refusal(route: &Route, switches: &Switches, own_url: &str) -> Option<Reply> {
    Some(match switches.mean.get(route.api.name())? {
        Mean::Flood => Reply { body: Body::Flood(switches.flood_bytes), ..Reply::text(200, "application/json", "") },
        Mean::RedirectLoop => Reply::text(302, "text/html", "").with_header("location", own_url),
        Mean::RedirectAway => Reply::text(302, "text/html", "").with_header("location", "http://169.254.10.10/clip.mp3"),
        Mean::Html => faults::html(200, "We'll be right back"),
        Mean::Down => faults::html(500, "Internal Server Error"),
        Mean::Throttled => faults::throttled(route.api, switches.long_retry_after_s, 0),
        Mean::KeyRefused => key_refused(route.api),
        Mean::Cut | Mean::Drip | Mean::Hang => return None,
    })
}

fn key_refused(api: Api) -> Reply {
    match api {
        Api::Accounts => Reply::json(400, &json!({"error": "invalid_client"})),
        Api::Spotify => spotify::error(401, "Invalid access token"),
        Api::Lastfm => {
            lastfm::error(403, 26, "API Key Suspended - This application is not allowed to make requests to the web services")
        }
        _ => Reply::text(403, "text/plain", "Forbidden"),
    }
}

fn slowed(reply: Reply, mean: Option<&Mean>) -> Reply {
    match mean {
        Some(Mean::Cut) => Reply { body: Body::Cut(reply.body.clone().into_bytes()), ..reply },
        Some(Mean::Drip) => faults::drip(reply, LONG_DRIP_MS),
        _ => reply,
    }
}
