//! MusicBrainz by ISRC: an optional source of recording MBIDs for tracks that Last.fm gives none for.
//!
//! One call a second by address, with a User-Agent that names us; 503 means "too fast", also for the fault of others.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::address;
use super::http::{Account, AccountSpec, Answer, ApiError, ApiRequest, Http, RateWindow, Verdict};
use super::loose;
use super::options::MusicBrainzOptions;
use crate::supervision::Pulse;

/// How long to stay away after a 503: its counters look back a few seconds.
const THROTTLE_PAUSE: Duration = Duration::from_secs(5);

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MusicBrainz {
    account: Account,
    base: Url,
}

impl MusicBrainz {
    /// A client, when the configuration wants one.
    ///
    /// # Errors
    /// When `musicbrainz.api_url` is no URL.
    pub fn new(http: &Http, options: &MusicBrainzOptions) -> anyhow::Result<Option<MusicBrainz>> {
        if !options.enabled {
            return Ok(None);
        }
        let base = address::configured("musicbrainz.api_url", &options.api_url)?;
        let windows = vec![RateWindow { calls: 1, per: Duration::from_secs(1) }];
        let spec = AccountSpec { api: "musicbrainz", name: "musicbrainz".to_owned(), windows, max_concurrent: 1 };
        Ok(Some(MusicBrainz { account: http.account(spec), base }))
    }

    /// The MBID of the recording with this ISRC, the first by id where there are several: the answer is the
    /// same whenever the data are.
    ///
    /// # Errors
    /// See [`ApiError`]; a miss is `Ok(None)`.
    pub async fn recording(&self, isrc: &str, pulse: &Pulse) -> Result<Option<String>, ApiError> {
        let mut url = address::below(&self.base, &["isrc", &isrc.to_ascii_uppercase()]);
        url.query_pairs_mut().append_pair("fmt", "json");
        let request = ApiRequest::get("isrc", url);
        let judge = |answer: &Answer| verdict(answer.status, answer.retry_after, &answer.body);
        match self.account.call(&request, &judge, pulse).await {
            Ok(answer) => Ok(mbid(&answer.body)),
            Err(ApiError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn verdict(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Verdict {
    match (status, loose::json(body)) {
        (200..=299, Ok(value)) if value.get("recordings").is_some_and(Value::is_array) => Verdict::Accept,
        (404, _) => Verdict::Missing("not_found".to_owned()),
        // "Invalid isrc": nothing can be found by it.
        (400, _) => Verdict::Missing("refused".to_owned()),
        (503 | 429, _) => Verdict::throttled("rate limit", retry_after, THROTTLE_PAUSE),
        (403, _) => Verdict::throttled("refused (403)", retry_after, Duration::from_secs(60)),
        (_, Ok(_)) => Verdict::Retry(format!("status {status} without recordings")),
        (_, Err(problem)) => Verdict::Retry(format!("status {status}: {problem}")),
    }
}

/// The smallest of the recordings' ids.
fn mbid(body: &[u8]) -> Option<String> {
    let value = loose::json(body).ok()?;
    let recordings = loose::items(&value, "recordings");
    recordings.into_iter().filter_map(|recording| loose::text(recording, "id")).min().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_the_same_whatever_the_order() {
        let body = br#"{"isrc":"GBAAA9900303","recordings":[{"id":"bf7845cc","length":null},{"id":"02aa45cc","title":"x"},{"title":"y"}]}"#;
        assert_eq!(mbid(body).as_deref(), Some("02aa45cc"));
        assert_eq!(mbid(br#"{"recordings":[]}"#), None);
    }

    #[test]
    fn every_answer_is_classified() {
        let limit = br#"{"error":"Your requests are exceeding the allowable rate limit."}"#;
        assert!(matches!(verdict(503, None, limit), Verdict::WaitLonger { .. }));
        assert!(matches!(verdict(404, None, br#"{"error":"Not Found","help":"x"}"#), Verdict::Missing(_)));
        assert!(matches!(verdict(400, None, br#"{"error":"Invalid isrc."}"#), Verdict::Missing(_)));
        assert!(matches!(verdict(200, None, br#"{"isrc":"x","recordings":[]}"#), Verdict::Accept));
        for (status, body) in [(200, "<html>"), (200, "{"), (200, "{}"), (500, ""), (502, "{}")] {
            assert!(matches!(verdict(status, None, body.as_bytes()), Verdict::Retry(_)), "{status} {body}");
        }
    }
}
