//! Every switch of the sandbox: how big it is, and how mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the Spotify account may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Extended quota: pages of 50, batches, every field.
    Extended,
    /// A development app from before 2026: pages of 50, batches, no previews.
    Legacy,
    /// A development app of today: pages of 10, no batches, neither genres nor popularity nor followers.
    #[default]
    Restricted,
}

/// A rolling-window limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Calls allowed in any window.
    pub calls: usize,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
}

/// Ways to misbehave that do not heal by trying again. For one API at a time, see [`Switches::mean`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mean {
    /// A body of 100 MB.
    Flood,
    /// A redirect to itself.
    RedirectLoop,
    /// A redirect to a private address that is on no list.
    RedirectAway,
    /// Every answer is HTML.
    Html,
    /// Every answer is cut in the middle.
    Cut,
    /// Every answer takes a minute, byte by byte.
    Drip,
    /// Every answer is a 500.
    Down,
    /// No answer within ten minutes.
    Hang,
    /// Throttled, with a `Retry-After` of [`Switches::long_retry_after_s`] where the API sends one.
    Throttled,
    /// The key is refused: an invalid client, a suspended API key.
    KeyRefused,
}

/// What can be switched at any time, through `POST /__control`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Share of calls that fail, 0 to 1, all passing kinds mixed. Up to 0.3 no call fails more than three times in a row.
    pub fault_rate: f64,
    /// What the Spotify account may do.
    pub regime: Regime,
    /// Spotify calls until the quota is used up; `null`: no quota. Counted from the last change of this switch.
    pub quota_after: Option<u64>,
    /// Seconds in the quota answer's `Retry-After`; `null`: none is sent.
    pub quota_retry_after_s: Option<u64>,
    /// Seconds after which a used-up quota is whole again; `null`: never.
    pub quota_resets_s: Option<u64>,
    /// Seconds in the `Retry-After` of passing 429s.
    pub retry_after_s: u64,
    /// Seconds in the `Retry-After` of [`Mean::Throttled`].
    pub long_retry_after_s: u64,
    /// Life of a Spotify token, seconds.
    pub token_life_s: u64,
    /// Added to every answer, milliseconds.
    pub latency_ms: u64,
    /// Milliseconds over which a slow drip sends its answer.
    pub drip_ms: u64,
    /// Share of clips, 0 to 1, whose link is dead (403), always. Changes the truth.
    pub dead_clips: f64,
    /// Life of a signed Deezer link, seconds.
    pub clip_life_s: u64,
    /// Refuse what goes over `limits`, in the style of each API.
    pub enforce_limits: bool,
    /// Limits by API: `spotify`, `lastfm`, `deezer`, `itunes`, `musicbrainz`. `over_limit` counts against them in any case.
    pub limits: BTreeMap<String, Limit>,
    /// Milliseconds by which windows are shortened, so that jitter on the way is nobody's fault.
    pub limit_slack_ms: u64,
    /// The owner's subscription has lapsed: Spotify answers 403 in plain text.
    pub premium_lost: bool,
    /// Every number of Spotify is a float.
    pub floats: bool,
    /// Mean behaviour by API: `accounts`, `spotify`, `lastfm`, `deezer`, `itunes`, `musicbrainz`, `embed`, `clips`.
    pub mean: BTreeMap<String, Mean>,
    /// Bytes of [`Mean::Flood`].
    pub flood_bytes: u64,
}

impl Default for Switches {
    fn default() -> Switches {
        let limit = |api: &str, calls, window_ms| (api.to_owned(), Limit { calls, window_ms });
        Switches {
            fault_rate: 0.0,
            regime: Regime::default(),
            quota_after: None,
            quota_retry_after_s: None,
            quota_resets_s: None,
            retry_after_s: 1,
            long_retry_after_s: 3600,
            token_life_s: 3600,
            latency_ms: 0,
            drip_ms: 400,
            dead_clips: 0.0,
            clip_life_s: 900,
            enforce_limits: false,
            limits: BTreeMap::from([
                limit("spotify", 300, 30_000),
                limit("lastfm", 5, 1_000),
                limit("deezer", 50, 5_000),
                limit("itunes", 20, 60_000),
                limit("musicbrainz", 1, 1_000),
            ]),
            limit_slack_ms: 50,
            premium_lost: false,
            floats: false,
            mean: BTreeMap::new(),
            flood_bytes: 100_000_000,
        }
    }
}

/// What a sandbox is started with. What is not here is switched through [`super::Sandbox::control`].
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxOptions {
    /// Port on 127.0.0.1; 0: any free one.
    pub port: u16,
    /// Everything follows from it.
    pub seed: u64,
    /// See [`Switches::fault_rate`].
    pub fault_rate: f64,
    /// What the Spotify account may do.
    pub regime: Regime,
    /// Artists of the catalogue.
    pub artists: usize,
    /// Tracks of the catalogue.
    pub tracks: usize,
    /// See [`Switches::quota_after`].
    pub quota_after: Option<u64>,
    /// See [`Switches::retry_after_s`].
    pub retry_after_s: u64,
    /// See [`Switches::token_life_s`].
    pub token_life_s: u64,
    /// See [`Switches::latency_ms`].
    pub latency_ms: u64,
    /// See [`Switches::dead_clips`].
    pub dead_clips: f64,
    /// See [`Switches::enforce_limits`].
    pub enforce_limits: bool,
}

impl Default for SandboxOptions {
    fn default() -> SandboxOptions {
        let switches = Switches::default();
        SandboxOptions {
            port: 0,
            seed: 1,
            fault_rate: switches.fault_rate,
            regime: switches.regime,
            artists: 2_000,
            tracks: 10_000,
            quota_after: switches.quota_after,
            retry_after_s: switches.retry_after_s,
            token_life_s: switches.token_life_s,
            latency_ms: switches.latency_ms,
            dead_clips: switches.dead_clips,
            enforce_limits: switches.enforce_limits,
        }
    }
}

impl SandboxOptions {
    /// Where the switches stand at first.
    pub fn switches(&self) -> Switches {
        Switches {
            fault_rate: self.fault_rate,
            regime: self.regime,
            quota_after: self.quota_after,
            retry_after_s: self.retry_after_s,
            token_life_s: self.token_life_s,
            latency_ms: self.latency_ms,
            dead_clips: self.dead_clips,
            enforce_limits: self.enforce_limits,
            ..Switches::default()
        }
    }
}
