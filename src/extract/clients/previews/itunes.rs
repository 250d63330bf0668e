//! The iTunes search's answers: JSON between blank lines, served as JavaScript, and throttled by an empty result with
//! status 403 that must not be taken for a miss. Pure.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::candidate::Candidate;
use crate::extract::clients::address::below;
use crate::extract::clients::http::Verdict;
use crate::extract::clients::loose;

/// How long to stay away when throttled; it never says for how long, and its window is about a minute.
const THROTTLE_PAUSE: Duration = Duration::from_secs(20);
/// Results to look at.
const SEARCH_LIMIT: &str = "25";

/// Searches songs of a store front.
pub fn search_url(base: &Url, terms: &str, country: &str) -> Url {
    let mut url = below(base, &["search"]);
    url.query_pairs_mut()
        .append_pair("term", terms)
        .append_pair("media", "music")
        .append_pair("entity", "song")
        .append_pair("country", country)
        .append_pair("limit", SEARCH_LIMIT);
    url
}

/// The songs in a body of `/search`. Rows that are no songs or cannot be read are left out.
///
/// # Errors
/// What the body means instead.
pub fn search(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<Vec<Candidate>, Verdict> {
    match (status, loose::json(body)) {
        (200..=299, Ok(value)) => {
            let rows = value.get("results").and_then(Value::as_array);
            let rows = rows.ok_or_else(|| Verdict::Retry("a search without results".to_owned()))?;
            Ok(rows.iter().filter_map(candidate).collect())
        }
        (403 | 429, _) => Err(Verdict::throttled(format!("rate limit ({status})"), retry_after, THROTTLE_PAUSE)),
        (400, Ok(value)) if loose::text(&value, "errorMessage").is_some() => {
            Err(Verdict::Reject(loose::text(&value, "errorMessage").unwrap_or_default().to_owned()))
        }
        (_, Ok(_)) => Err(Verdict::Retry(format!("status {status}"))),
        (_, Err(problem)) => Err(Verdict::Retry(format!("status {status}: {problem}"))),
    }
}

fn candidate(row: &Value) -> Option<Candidate> {
    let song = loose::text(row, "wrapperType").is_none_or(|kind| kind == "track")
        && loose::text(row, "kind").is_none_or(|kind| kind == "song");
    if !song {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a track")]
    let duration_s = loose::count(row, "trackTimeMillis").filter(|ms| *ms > 0).map(|ms| ms as f64 / 1_000.0);
    Some(Candidate {
        id: loose::count(row, "trackId")?,
        title: loose::text(row, "trackName")?.to_owned(),
        artist: loose::text(row, "artistName")?.to_owned(),
        album: loose::text(row, "collectionName").map(str::to_owned),
        duration_s,
        isrc: None,
        link: loose::text(row, "previewUrl").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SONG: &str = r#"{"wrapperType":"track","kind":"song","trackId":265611396,"artistName":"Skid Row","trackName":"I Remember You",
        "collectionName":"40 Seasons","trackTimeMillis":314027,"trackPrice":-1.0,"previewUrl":"https://audio-ssl.itunes.apple.com/x.m4a"}"#;

    #[test]
    fn songs_are_read_between_blank_lines() {
        let body = format!(
            "\n\n\n{{\"resultCount\":3,\"results\":[{{\"wrapperType\":\"collection\",\"collectionId\":1}},{SONG},null]}}\n\n\n"
        );
        let songs = search(200, None, body.as_bytes()).unwrap_or_default();
        assert_eq!(songs.len(), 1);
        assert_eq!(songs.first().and_then(|song| song.duration_s), Some(314.027));
    }

    #[test]
    fn an_empty_result_with_403_is_a_throttle_and_no_miss() {
        assert!(matches!(search(403, None, br#"{"resultCount":0,"results":[]}"#), Err(Verdict::WaitLonger { .. })));
        assert_eq!(search(200, None, br#"{"resultCount":0,"results":[]}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_song_without_a_preview_or_length_is_still_a_song() {
        let body = br#"{"results":[{"trackId":1,"artistName":"a","trackName":"b"}]}"#;
        let songs = search(200, None, body).unwrap_or_default();
        assert!(songs.first().is_some_and(|song| song.link.is_none() && song.duration_s.is_none()));
    }

    #[test]
    fn every_other_answer_is_classified() {
        assert!(matches!(
            search(400, None, br#"{"errorMessage":"Invalid value(s) for key(s): [country]"}"#),
            Err(Verdict::Reject(_))
        ));
        for (status, body) in [(503, ""), (500, "<html>"), (200, "{}"), (200, "<html>"), (200, "{\"results\":[{"), (404, "")] {
            assert!(matches!(search(status, None, body.as_bytes()), Err(Verdict::Retry(_))), "{status} {body}");
        }
    }

    #[test]
    fn a_search_names_store_front_and_kind() {
        let base = Url::parse("https://itunes.apple.com").unwrap_or_else(|error| panic!("{error}"));
        let url = search_url(&base, "jack johnson", "DE");
        assert_eq!(
            url.as_str(),
            "https://itunes.apple.com/search?term=jack+johnson&media=music&entity=song&country=DE&limit=25"
        );
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(status in 100..600_u16, body in any::<Vec<u8>>()) {
            let _ = search(status, None, &body);
        }
    }
}
