//! The knobs of the extractors: `[http]`, `[spotify]`, `queries`. Everything has a default except credentials.

use serde::{Deserialize, Serialize};

use crate::config::Period;

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
