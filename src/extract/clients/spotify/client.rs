//! The calls.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::extract::clients::http::{Account, AccountSpec, Answer, ApiError, ApiRequest, Http, RateWindow};
use crate::extract::options::SpotifyOptions;
use crate::observe::Metrics;
use crate::records::{ArtistProfile, Parsed, now_micros};
use crate::supervision::Pulse;

use super::judge::{Ask, is_batch_refused, is_page_refused, judge};
use super::parse::{SearchPage, parse_artist, parse_search};
use super::regime::{Regime, SMALL_PAGE};
use super::token::TokenKeeper;

/// No result at or beyond this offset is ever given.
pub const WALL: u32 = 1_000;

/// Most artists in one look-up.
pub const MAX_BATCH: usize = 50;

/// Spotify counts calls in a rolling window of this length.
const WINDOW: Duration = Duration::from_secs(30);

/// Tokens fetched in any window. One an hour is normal; room for tokens that live for a second.
const TOKENS_PER_WINDOW: u32 = 60;

/// Tokens tried for one call. More than one refusal happens when the account is busy and tokens live for seconds.
const TOKENS_PER_CALL: u32 = 3;

/// Before a call is made again whose fresh tokens were all refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// The client of one app. Clones share its token, limits and what was learnt about it.
#[derive(Debug, Clone)]
pub struct Spotify {
    account: Account,
    token: TokenKeeper,
    regime: Regime,
    api: Url,
    market: String,
    metrics: Metrics,
}

/// A page of a search, with the facts of the call.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchAnswer {
    /// What was found.
    pub page: SearchPage,
    /// How many rows were asked for.
    pub limit: u32,
    /// When Spotify answered, microseconds since the Unix epoch.
    pub observed_at: i64,
}

impl Spotify {
    /// The client of the app in `options`.
    ///
    /// # Errors
    /// When the options are unusable: the message names the key.
    pub fn new(options: &SpotifyOptions, http: &Http) -> anyhow::Result<Spotify> {
        if let Some(problem) = options.problem() {
            anyhow::bail!(problem);
        }
        let name = account_name(&options.client_id);
        let spec = |name: String, calls| AccountSpec {
            api: "spotify",
            name,
            windows: vec![RateWindow::new(calls, WINDOW)],
            max_concurrent: options.max_concurrent,
        };
        let token_account = http.account(spec(format!("{name}/token"), TOKENS_PER_WINDOW));
        let token_url = below(&Url::parse(&options.accounts_url)?, &["api", "token"]);
        Ok(Spotify {
            account: http.account(spec(name.clone(), options.calls_per_30s)),
            token: TokenKeeper::new(token_account, token_url, options.client_id.trim(), &options.client_secret),
            regime: Regime::new(http, &name),
            api: Url::parse(&options.api_url)?,
            market: options.market.clone(),
            metrics: http.metrics().clone(),
        })
    }

    /// One page of a search for tracks from `offset` on: at most `wanted` rows, but no fewer than a small page, because a call
    /// costs the same whatever it brings; fewer where the wall says so.
    ///
    /// # Errors
    /// [`ApiError::Missing`] when there is nothing from `offset` on.
    pub async fn search(
        &self,
        q: &str,
        market: Option<&str>,
        offset: u32,
        wanted: u32,
        pulse: &Pulse,
    ) -> Result<SearchAnswer, ApiError> {
        loop {
            let limit = self.regime.page_size().min(wanted.max(SMALL_PAGE)).min(WALL.saturating_sub(offset));
            if limit == 0 {
                return Err(ApiError::Missing { reason: "end_of_results".to_owned() });
            }
            let ask = Ask::Search { offset, can_shrink: Regime::can_shrink(limit) };
            let request = ApiRequest::get("search", self.search_url(q, market, offset, limit));
            let answer = self.call(request, ask, pulse).await?;
            if is_page_refused(&answer) {
                self.regime.refuse_large_pages();
                continue;
            }
            let page = answer.json().as_ref().and_then(parse_search).ok_or_else(|| unreadable("search"))?;
            self.metrics.nulled("tracks", &page.nulled);
            return Ok(SearchAnswer { page, limit, observed_at: now_micros() });
        }
    }

    /// Looks up artists, at most [`MAX_BATCH`] at once. An artist without an entry in the answer was not answered for: look it
    /// up with [`Spotify::artist`]. `None` in the entry: Spotify knows no such artist. `Ok(None)`: batches do not work here.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn artists(
        &self,
        ids: &[String],
        pulse: &Pulse,
    ) -> Result<Option<BTreeMap<String, Option<ArtistProfile>>>, ApiError> {
        if !self.regime.allows_batches() || ids.len() > MAX_BATCH || !ids.iter().all(|id| is_id(id)) {
            return Ok(None);
        }
        let mut url = below(&self.api, &["artists"]);
        url.query_pairs_mut().append_pair("ids", &ids.join(","));
        let answer = self.call(ApiRequest::get("artists", url), Ask::Artists, pulse).await?;
        if is_batch_refused(&answer) {
            self.regime.refuse_batches();
            return Ok(None);
        }
        if answer.status != 200 {
            return Ok(None);
        }
        let body = answer.json().ok_or_else(|| unreadable("artists"))?;
        let found = assign(ids, body.get("artists").and_then(Value::as_array).map_or(&[], Vec::as_slice));
        Ok(Some(found.into_iter().map(|(id, profile)| (id, profile.map(|profile| self.counted(profile)))).collect()))
    }

    /// Whether [`Spotify::artists`] is worth a try, as far as is known.
    pub fn allows_batches(&self) -> bool {
        self.regime.allows_batches()
    }

    /// Looks up one artist.
    ///
    /// # Errors
    /// [`ApiError::Missing`] when Spotify knows no such artist.
    pub async fn artist(&self, id: &str, pulse: &Pulse) -> Result<ArtistProfile, ApiError> {
        if !is_id(id) {
            return Err(ApiError::Rejected(format!("spotify: {id:?} is no artist id")));
        }
        let request = ApiRequest::get("artist", below(&self.api, &["artists", id]));
        let answer = self.call(request, Ask::Artist, pulse).await?;
        let profile = answer.json().as_ref().and_then(parse_artist).ok_or_else(|| unreadable("artist"))?;
        Ok(ArtistProfile { artist_id: id.to_owned(), ..self.counted(profile) })
    }

    fn counted(&self, profile: Parsed<ArtistProfile>) -> ArtistProfile {
        self.metrics.nulled("artists", &profile.nulled);
        profile.record
    }

    /// A call with a token; with another one when the first is refused.
    async fn call(&self, request: ApiRequest, ask: Ask, pulse: &Pulse) -> Result<Answer, ApiError> {
        for _ in 0..TOKENS_PER_CALL {
            let token = self.token.get(pulse).await?;
            let request = request.clone().header("authorization", token.header.clone());
            match self.account.call(&request, &|answer: &Answer| judge(ask, answer), pulse).await {
                Err(ApiError::Reauthorize) => self.token.refuse(&token).await,
                outcome => return outcome,
            }
        }
        Err(ApiError::Wait { reason: "spotify: fresh tokens are refused".to_owned(), pause: REFUSED_PAUSE })
    }

    fn search_url(&self, q: &str, market: Option<&str>, offset: u32, limit: u32) -> Url {
        let mut url = below(&self.api, &["search"]);
        url.query_pairs_mut()
            .append_pair("q", q)
            .append_pair("type", "track")
            .append_pair("market", market.unwrap_or(&self.market))
            .append_pair("limit", &limit.to_string())
            .append_pair("offset", &offset.to_string());
        url
    }
}

/// Gives each asked id its row. Rows come in the order of the ids; if their number differs, they are told apart by id. The
/// asked id stays the artist's key even if Spotify answers under another one: songs refer to it.
fn assign(ids: &[String], rows: &[Value]) -> BTreeMap<String, Option<Parsed<ArtistProfile>>> {
    let keyed = |id: &String, row: &Value| {
        let renamed = |profile| ArtistProfile { artist_id: id.clone(), ..profile };
        let profile = parse_artist(row).map(|Parsed { record, nulled }| Parsed { record: renamed(record), nulled });
        // A row that is there but unreadable is no answer; a null is one.
        (row.is_null() || profile.is_some()).then(|| (id.clone(), profile))
    };
    if ids.len() == rows.len() {
        return ids.iter().zip(rows).filter_map(|(id, row)| keyed(id, row)).collect();
    }
    let find = |id: &&String| rows.iter().find(|row| row.get("id").and_then(Value::as_str) == Some(id.as_str()));
    ids.iter().filter_map(|id| find(&id).and_then(|row| keyed(id, row))).collect()
}

/// Names the account in the park book: by the app's id, hashed because ids belong to people too.
fn account_name(client_id: &str) -> String {
    let digest = Sha256::digest(client_id.trim().as_bytes());
    let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("spotify/{hash}")
}

/// Only these are put into addresses: anything else could lead to another endpoint.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// `base` with further path segments, whether or not it ends in a slash.
fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// The judge accepted what the parser cannot read: they disagree, which is a mistake of ours.
fn unreadable(endpoint: &str) -> ApiError {
    ApiError::Rejected(format!("spotify: the answer to {endpoint} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_of_a_batch_find_their_artists_also_when_some_are_missing() {
        let ids = ["a1".to_owned(), "a2".to_owned(), "a3".to_owned()];
        let row = |id: &str| json!({"id": id, "name": "N"});
        let in_order = assign(&ids, &[row("a1"), Value::Null, row("moved")]);
        assert_eq!(in_order["a2"], None);
        assert_eq!(in_order["a3"].as_ref().map(|profile| profile.record.artist_id.as_str()), Some("a3"));
        let short = assign(&ids, &[row("a3")]);
        assert_eq!(short.keys().collect::<Vec<_>>(), ["a3"], "the others were not answered for");
    }

    #[test]
    fn ids_cannot_lead_to_another_endpoint() {
        assert!(is_id("0gxyHStUsqpMadRV0Di1Qt"));
        for id in ["", "..", "a/b", "a?b", "a,b", "a%2fb", "ä"] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn bases_may_end_in_a_slash() {
        for base in ["http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1/"] {
            let url = below(&Url::parse(base).unwrap(), &["artists", "a1"]);
            assert_eq!(url.as_str(), "http://127.0.0.1:1/v1/artists/a1");
        }
    }
}
