//! Last.fm: figures of artists and tracks.
//!
//! [`ask`] makes the calls, [`answer`] reads the bodies, [`verdict`] says what an answer means, [`judge`] finds the answers
//! that look like one but are none: all pure. The client here puts them together on the HTTP core.

pub mod answer;
pub mod ask;
pub mod judge;
pub mod verdict;

use std::time::Duration;
use url::Url;

use super::address;
use super::http::{Account, AccountSpec, Answer, ApiError, ApiRequest, Http, RateWindow};
use super::options::LastfmOptions;
use crate::config::Secret;
use crate::supervision::Pulse;

use answer::{ArtistAnswer, Reading, TrackAnswer};
use ask::Method;

/// The client. Cheap to clone; clones share the account and so its limits.
#[derive(Debug, Clone)]
pub struct Lastfm {
    account: Account,
    base: Url,
    key: Secret,
}

impl Lastfm {
    /// A client for one key.
    ///
    /// # Errors
    /// When `lastfm.api_url` is no URL.
    pub fn new(http: &Http, options: &LastfmOptions) -> anyhow::Result<Lastfm> {
        let base = address::configured("lastfm.api_url", &options.api_url)?;
        let windows = vec![RateWindow { calls: options.calls_per_second.max(1), per: Duration::from_secs(1) }];
        let max_concurrent = options.max_concurrent.max(1);
        let spec = AccountSpec { api: "lastfm", name: "lastfm".to_owned(), windows, max_concurrent };
        Ok(Lastfm { account: http.account(spec), base, key: options.api_key.clone() })
    }

    /// Figures of the artist with this name; `Ok(None)` when there is none.
    ///
    /// # Errors
    /// See [`ApiError`]; a miss is no error.
    pub async fn artist(&self, name: &str, pulse: &Pulse) -> Result<Option<ArtistAnswer>, ApiError> {
        self.call(Method::ArtistInfo, ask::url(&self.base, Method::ArtistInfo, name, None), answer::artist, pulse).await
    }

    /// Figures of the track with this title by this artist; `Ok(None)` when there is none.
    ///
    /// # Errors
    /// See [`ApiError`]; a miss is no error.
    pub async fn track(&self, artist: &str, title: &str, pulse: &Pulse) -> Result<Option<TrackAnswer>, ApiError> {
        self.call(Method::TrackInfo, ask::url(&self.base, Method::TrackInfo, artist, Some(title)), answer::track, pulse).await
    }

    async fn call<T>(
        &self,
        method: Method,
        mut url: Url,
        read: fn(&[u8]) -> Reading<T>,
        pulse: &Pulse,
    ) -> Result<Option<T>, ApiError> {
        url.query_pairs_mut().append_pair("api_key", self.key.expose());
        let request = ApiRequest::get(method.name(), url);
        let judge = |answer: &Answer| verdict::verdict(answer.status, answer.retry_after, &read(&answer.body));
        match self.account.call(&request, &judge, pulse).await {
            Ok(answer) => match read(&answer.body) {
                Reading::Found(found) => Ok(Some(found)),
                // The judge has accepted only what was found.
                _ => Ok(None),
            },
            Err(ApiError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
