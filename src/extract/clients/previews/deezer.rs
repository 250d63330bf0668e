//! Deezer's answers. Its errors come with HTTP 200: a client that looks at the status alone reads a throttle as a miss. Pure.
//!
//! | body | verdict |
//! |---|---|
//! | `error.code` 4, quota | wait 5 s, the length of its window |
//! | `error.code` 800, no data; 500, 501, 600, the query is refused | missing |
//! | `error.code` 700, busy | retry |
//! | any other error with a status below 500, also `"error": "Not Found"` of an unknown path | reject |
//! | HTML, cut, or without the expected fields | retry |
//!
//! Links to clips are signed and live 900 seconds: only the track id is durable.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::candidate::Candidate;
use crate::extract::clients::address::below;
use crate::extract::clients::http::Verdict;
use crate::extract::clients::loose;

/// The quota's own window.
const QUOTA_PAUSE: Duration = Duration::from_secs(5);
/// Refusals by address last longer.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// Results to look at: the wanted one is among the first or not there.
const SEARCH_LIMIT: &str = "25";

/// Asks for the track with an ISRC.
pub fn isrc_url(base: &Url, isrc: &str) -> Url {
    below(base, &["track", &format!("isrc:{}", isrc.to_ascii_uppercase())])
}

/// Asks for the track with an id, whose link is freshly signed.
pub fn track_url(base: &Url, id: i64) -> Url {
    below(base, &["track", &id.to_string()])
}

/// Searches.
pub fn search_url(base: &Url, terms: &str) -> Url {
    let mut url = below(base, &["search"]);
    url.query_pairs_mut().append_pair("q", terms).append_pair("limit", SEARCH_LIMIT);
    url
}

/// The track in a body of `/track/...`.
///
/// # Errors
/// What the body means instead.
pub fn track(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<Candidate, Verdict> {
    let value = data(status, retry_after, body)?;
    candidate(&value).ok_or_else(|| Verdict::Retry("a track without id, title or artist".to_owned()))
}

/// The tracks in a body of `/search`. Rows that cannot be read are left out.
///
/// # Errors
/// What the body means instead.
pub fn search(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<Vec<Candidate>, Verdict> {
    let value = data(status, retry_after, body)?;
    let rows = value.get("data").and_then(Value::as_array).ok_or_else(|| Verdict::Retry("a search without data".to_owned()))?;
    Ok(rows.iter().filter_map(candidate).collect())
}

fn data(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<Value, Verdict> {
    let parsed = loose::json(body);
    if let Ok(value) = &parsed
        && let Some(error) = value.get("error").filter(|error| !loose::is_blank(error))
    {
        return Err(failure(status, error));
    }
    match (status, parsed) {
        (200..=299, Ok(value)) => Ok(value),
        (429, _) => Err(Verdict::throttled("rate limit", retry_after, QUOTA_PAUSE)),
        (403, _) => Err(Verdict::throttled("refused (403)", retry_after, REFUSED_PAUSE)),
        (_, Ok(_)) => Err(Verdict::Retry(format!("status {status}"))),
        (_, Err(problem)) => Err(Verdict::Retry(format!("status {status}: {problem}"))),
    }
}

fn failure(status: u16, error: &Value) -> Verdict {
    let message = loose::text(error, "message").or_else(|| error.as_str()).unwrap_or("no message");
    match loose::count(error, "code") {
        Some(4) => Verdict::WaitFor { reason: "quota".to_owned(), pause: Some(QUOTA_PAUSE) },
        Some(800) => Verdict::Missing("no data".to_owned()),
        Some(500 | 501 | 600) => Verdict::Missing(format!("query refused: {message}")),
        Some(700) => Verdict::Retry(format!("service busy: {message}")),
        // Words of a proxy in front of the service: they pass.
        _ if status >= 500 => Verdict::Retry(format!("status {status}: {message}")),
        Some(code) => Verdict::Reject(format!("error {code}: {message}")),
        None => Verdict::Reject(format!("error: {message}")),
    }
}

fn candidate(row: &Value) -> Option<Candidate> {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a track")]
    let duration_s = loose::count(row, "duration").filter(|seconds| *seconds > 0).map(|seconds| seconds as f64);
    Some(Candidate {
        id: loose::count(row, "id")?,
        title: loose::text(row, "title")?.to_owned(),
        artist: row.get("artist").and_then(|artist| loose::text(artist, "name"))?.to_owned(),
        album: row.get("album").and_then(|album| loose::text(album, "title")).map(str::to_owned),
        duration_s,
        isrc: loose::text(row, "isrc").map(str::to_owned),
        link: loose::text(row, "preview").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACK: &str = r#"{"id":3135556,"readable":false,"title":"Harder, Better, Faster, Stronger","isrc":"GBDUW0000059","duration":"226",
        "preview":"https:\/\/cdnt-preview.dzcdn.net\/api\/1\/1\/x.mp3?hdnea=exp=1~acl=\/x*~hmac=f","bpm":0,"available_countries":[],
        "artist":{"id":27,"name":"Daft Punk"},"album":{"id":302127,"title":"Discovery"},"type":"track"}"#;

    fn base() -> Url {
        Url::parse("http://127.0.0.1:1/deezer/").unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_track_is_read_with_its_link() {
        let found = track(200, None, TRACK.as_bytes()).unwrap_or_default();
        assert_eq!((found.id, found.duration_s, found.isrc.as_deref()), (3_135_556, Some(226.0), Some("GBDUW0000059")));
        assert!(found.link.is_some_and(|link| link.starts_with("https://cdnt-preview.dzcdn.net/api/")));
    }

    #[test]
    fn no_preview_is_written_as_blank() {
        let body = TRACK.replace("https:\\/\\/cdnt-preview.dzcdn.net\\/api\\/1\\/1\\/x.mp3?hdnea=exp=1~acl=\\/x*~hmac=f", "");
        assert_eq!(track(200, None, body.as_bytes()).map(|found| found.link), Ok(None));
    }

    #[test]
    fn a_throttle_with_status_200_is_no_miss() {
        let body = br#"{"error":{"type":"Exception","message":"Quota limit exceeded","code":4}}"#;
        assert!(matches!(track(200, None, body), Err(Verdict::WaitFor { pause: Some(QUOTA_PAUSE), .. })));
        assert!(matches!(search(200, None, body), Err(Verdict::WaitFor { .. })));
    }

    #[test]
    fn every_error_is_classified() {
        let judged = |status: u16, body: &str| track(status, None, body.as_bytes());
        let coded = |code: i64| judged(200, &format!(r#"{{"error":{{"type":"x","message":"words","code":{code}}}}}"#));
        assert!(matches!(coded(800), Err(Verdict::Missing(_))));
        assert!(matches!(coded(600), Err(Verdict::Missing(_))));
        assert!(matches!(coded(700), Err(Verdict::Retry(_))));
        assert!(matches!(coded(300), Err(Verdict::Reject(_))));
        assert!(matches!(judged(404, r#"{"error":"Not Found"}"#), Err(Verdict::Reject(_))));
        assert!(matches!(judged(429, ""), Err(Verdict::WaitLonger { .. })));
        assert!(matches!(judged(403, "<html>"), Err(Verdict::WaitLonger { .. })));
        for (status, body) in [
            (200, "<html>"),
            (200, "{"),
            (200, "{}"),
            (200, "null"),
            (500, ""),
            (502, TRACK),
            (504, "<html>"),
            (502, r#"{"error":{"status":502,"message":"Bad gateway."}}"#),
        ] {
            assert!(matches!(judged(status, body), Err(Verdict::Retry(_))), "{status} {body}");
        }
    }

    #[test]
    fn a_search_leaves_out_rows_it_cannot_read() {
        let body = format!(r#"{{"data":[{TRACK}, null, {{"id": 1}}],"total":3}}"#);
        assert_eq!(search(200, None, body.as_bytes()).map(|rows| rows.len()), Ok(1));
        assert_eq!(search(200, None, br#"{"data":[],"total":0}"#), Ok(Vec::new()));
        assert!(matches!(search(200, None, b"{}"), Err(Verdict::Retry(_))));
    }

    #[test]
    fn addresses_are_appended_to_the_configured_one() {
        assert_eq!(isrc_url(&base(), "gbduw0000059").as_str(), "http://127.0.0.1:1/deezer/track/isrc:GBDUW0000059");
        assert_eq!(track_url(&base(), 7).path(), "/deezer/track/7");
        assert_eq!(search_url(&base(), "AC/DC & ü").query(), Some("q=AC%2FDC+%26+%C3%BC&limit=25"));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(status in 100..600_u16, body in any::<Vec<u8>>()) {
            let _ = track(status, None, &body);
            let _ = search(status, None, &body);
        }
    }
}
