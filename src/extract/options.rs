//! The knobs of the extractors: `[http]`, `[spotify]`, `queries`. Everything has a default except credentials.

use serde::{Deserialize, Serialize};

use url::Url;

use crate::config::{Period, Secret};

use super::scheduler::Every;

/// `[http]`: how the one HTTP client underneath all APIs behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpOptions {
    /// To reach a server. Longer: dead hosts are noticed late; shorter: far hosts on bad lines count as dead.
    pub connect_timeout: Period,
    /// Most time between two bytes of an answer: ends a server that stopped talking.
    pub read_timeout: Period,
    /// For the whole answer: ends a server that drips a byte a second.
    pub total_timeout: Period,
    /// Attempts after the first, for one call. Later calls of the stage try again; see `give_up_rounds`.
    pub retries: u32,
    /// The first retry waits a random time up to this, each further one up to twice as long.
    pub backoff_base: Period,
    /// No retry waits longer than this.
    pub backoff_max: Period,
    /// Waits up to this happen inside the call; above it the stage hands its unfinished messages back and waits itself.
    pub max_wait_in_place: Period,
    /// Sent with every request. MusicBrainz and Last.fm want one that names the application and a contact.
    pub user_agent: String,
    /// Failures in a row (no connection, time-out, status 5xx) after which an account stops asking for a while.
    pub breaker_failures: u32,
    /// How long it stops; then one request probes, and the others follow if that one is answered.
    pub breaker_pause: Period,
    /// A request that failed in this many calls, all retries used, is given up if the same account answered others meanwhile.
    /// Without this, one page that a server can never deliver would hold up its partition for ever.
    pub give_up_rounds: u32,
    /// A request that keeps failing is given up after this time even if no other was answered.
    pub give_up_after: Period,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            connect_timeout: Period::seconds(5),
            read_timeout: Period::seconds(10),
            total_timeout: Period::seconds(30),
            retries: 5,
            backoff_base: Period(std::time::Duration::from_millis(250)),
            backoff_max: Period::seconds(10),
            max_wait_in_place: Period::seconds(20),
            user_agent: concat!("reprise/", env!("CARGO_PKG_VERSION"), " (music ETL; contact not configured)").to_owned(),
            breaker_failures: 10,
            breaker_pause: Period::seconds(30),
            give_up_rounds: 6,
            give_up_after: Period::days(1),
        }
    }
}

/// `[spotify]`: the developer app and where to find the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpotifyOptions {
    /// The app's client id, from the developer dashboard.
    pub client_id: String,
    /// The app's client secret.
    pub client_secret: Secret,
    /// ISO 3166-1 alpha-2 market of searches that name none. Without a market Spotify counts every track as unavailable.
    pub market: String,
    /// Base of the API: `/search` and `/artists/{id}` are appended.
    pub api_url: String,
    /// Base of the accounts service: `/api/token` is appended.
    pub accounts_url: String,
    /// Calls in any 30 seconds. Spotify publishes no number and counts per developer account: share it among processes.
    pub calls_per_30s: u32,
    /// Calls under way at once. Parallel calls are what gets accounts throttled for hours.
    pub max_concurrent: usize,
}

impl Default for SpotifyOptions {
    fn default() -> Self {
        SpotifyOptions {
            client_id: String::new(),
            client_secret: Secret::default(),
            market: "US".to_owned(),
            api_url: "https://api.spotify.com/v1".to_owned(),
            accounts_url: "https://accounts.spotify.com".to_owned(),
            calls_per_30s: 90,
            max_concurrent: 2,
        }
    }
}

impl SpotifyOptions {
    /// What is wrong with these options: which key, what it says, what was expected.
    pub fn problem(&self) -> Option<String> {
        if self.client_id.trim().is_empty() {
            return Some("spotify.client_id is not set: create an app at https://developer.spotify.com/dashboard".to_owned());
        }
        if self.client_secret.is_empty() {
            return Some("spotify.client_secret is not set: it stands beside the client id in the dashboard".to_owned());
        }
        if !is_market(&self.market) {
            return Some(format!("spotify.market is {:?}, expected two capital letters such as \"US\"", self.market));
        }
        if self.calls_per_30s == 0 || self.max_concurrent == 0 {
            return Some("spotify.calls_per_30s and spotify.max_concurrent must be at least 1".to_owned());
        }
        let urls = [("spotify.api_url", &self.api_url), ("spotify.accounts_url", &self.accounts_url)];
        urls.into_iter().find_map(|(key, url)| url_problem(key, url))
    }
}

/// Two capital letters.
pub(crate) fn is_market(market: &str) -> bool {
    market.len() == 2 && market.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// What is wrong with a base address, if anything.
pub(crate) fn url_problem(key: &str, value: &str) -> Option<String> {
    let usable = Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    (!usable).then(|| format!("{key} is {value:?}, expected an http or https address"))
}

/// One entry of `queries`: what to search for, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryOptions {
    /// The search text, Spotify's field filters included (`artist:`, `year:1990-1999`, ...).
    pub q: String,
    /// `"6h"`, or a cron expression in UTC such as `"0 4 * * 1"`.
    #[serde(default)]
    pub every: Every,
    /// How many distinct tracks to take, 1 to 1000.
    #[serde(default = "default_max_tracks")]
    pub max_tracks: u32,
    /// Market, if not `spotify.market`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<String>,
}

/// Twenty small pages: enough of a search to be of use, little enough for a quota.
const fn default_max_tracks() -> u32 {
    200
}

/// `[scheduler]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerOptions {
    /// Each run comes later by up to this, a fixed time for each run, so that queries of the same rhythm do not come at once.
    /// At most half of an interval is used.
    pub jitter: Period,
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        SchedulerOptions { jitter: Period::seconds(30) }
    }
}

/// What is wrong with `queries`, if anything: which entry, what it says, what was expected.
pub fn queries_problem(queries: &[QueryOptions]) -> Option<String> {
    let problem = |(position, query): (usize, &QueryOptions)| {
        let key = format!("queries[{position}]");
        if query.q.trim().is_empty() {
            return Some(format!("{key}.q is empty, expected a search text"));
        }
        if !(1..=1_000).contains(&query.max_tracks) {
            return Some(format!("{key}.max_tracks is {}, expected 1 to 1000: Spotify gives no more", query.max_tracks));
        }
        if let Some(market) = query.market.as_ref().filter(|market| !is_market(market)) {
            return Some(format!("{key}.market is {market:?}, expected two capital letters such as \"US\""));
        }
        let same = |other: &QueryOptions| other.q == query.q && other.market == query.market;
        let twin = queries.iter().take(position).position(same)?;
        Some(format!("{key} repeats queries[{twin}]: {:?} in the same market", query.q))
    };
    queries.iter().enumerate().find_map(problem)
}
