//! What each of Spotify's answers means. By status and body: its most important refusals share statuses with harmless ones.
//!
//! | answer | verdict |
//! |---|---|
//! | 2xx with the expected document | accept |
//! | 2xx with anything else, 3xx, 408, 5xx | retry |
//! | 400 `Invalid limit` on a search, 400/403 on a batch | accept: the client falls back, see [`Ask`] |
//! | 400 or 404 on a further page of a search | missing `end_of_results`: the wall came earlier than documented |
//! | other 400 with Spotify's error object | reject |
//! | 401 | reauthorize |
//! | 403 plain text about Premium, 403 with an error object | stop |
//! | other 403 (a proxy's or firewall's page) | retry |
//! | 404 on an artist | missing `not_found` |
//! | 429 | wait as long as `Retry-After` says, for the whole account |
//!
//! Losing Premium stops the run instead of waiting: only a person can mend it, and after that Spotify needs hours anyway.

use serde_json::Value;

use crate::extract::clients::http::{Answer, Verdict};

use super::parse::{parse_artist, parse_search};

/// What was asked, as far as the meaning of the answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// `/search`, this page.
    Search {
        offset: u32,
        /// A smaller page is left to fall back to.
        can_shrink: bool,
    },
    /// `/artists?ids=`: single look-ups are left to fall back to.
    Artists,
    /// `/artists/{id}`.
    Artist,
    /// The accounts service's `/api/token`.
    Token,
}

/// The status and message of an error answer.
#[derive(Debug, Default)]
struct ErrorNote {
    /// The body is an error object of Spotify's, in one of its shapes, and not somebody's HTML.
    genuine: bool,
    message: String,
    reason: String,
}

/// Says what `answer` means.
pub(super) fn judge(ask: Ask, answer: &Answer) -> Verdict {
    match answer.status {
        200..=299 if is_expected(ask, answer) => Verdict::Accept,
        200..=299 => Verdict::Retry("unreadable body".to_owned()),
        408 | 300..=399 | 500..=599 => judge_fault(answer),
        429 => judge_throttle(answer),
        status => judge_refusal(ask, status, answer),
    }
}

/// A batch look-up that this account may not do, or that one bad id spoilt.
pub(super) fn is_batch_refused(answer: &Answer) -> bool {
    answer.status == 403
}

/// A page larger than this account may ask for.
pub(super) fn is_page_refused(answer: &Answer) -> bool {
    answer.status == 400 && error_note(answer).message.to_lowercase().contains("invalid limit")
}

fn is_expected(ask: Ask, answer: &Answer) -> bool {
    let Some(body) = answer.json() else { return false };
    match ask {
        Ask::Search { .. } => parse_search(&body).is_some(),
        Ask::Artists => body.get("artists").is_some_and(Value::is_array),
        Ask::Artist => parse_artist(&body).is_some(),
        Ask::Token => body.get("access_token").and_then(Value::as_str).is_some_and(|token| !token.is_empty()),
    }
}

fn judge_fault(answer: &Answer) -> Verdict {
    let reason = format!("status {}", answer.status);
    match answer.retry_after {
        Some(pause) if answer.status == 503 => Verdict::WaitFor { reason, pause: Some(pause) },
        _ => Verdict::Retry(reason),
    }
}

fn judge_throttle(answer: &Answer) -> Verdict {
    let quota = error_note(answer).reason == "QUOTA_EXCEEDED";
    let reason = if quota { "quota exceeded" } else { "rate limit" };
    Verdict::WaitFor { reason: reason.to_owned(), pause: answer.retry_after }
}

fn judge_refusal(ask: Ask, status: u16, answer: &Answer) -> Verdict {
    let note = error_note(answer);
    let quote = format!("status {status}: {}", answer.quote());
    match (status, ask) {
        (403, _) if answer.quote().to_lowercase().contains("premium") => Verdict::Stop(format!(
            "{} Renew the subscription of the app's owner, wait until Spotify allows requests again, then restart",
            answer.quote()
        )),
        (400..=403, Ask::Token) if note.genuine => Verdict::Stop(format!(
            "the token was refused ({}): check spotify.client_id and spotify.client_secret",
            note.message
        )),
        // Somebody in between: no other token would be had from there.
        (401, Ask::Token) => Verdict::Retry(quote),
        (401, _) => Verdict::Reauthorize,
        (400 | 403, Ask::Artists) if note.genuine => Verdict::Accept,
        (400, Ask::Search { can_shrink: true, .. }) if is_page_refused(answer) => Verdict::Accept,
        (400 | 404, Ask::Search { offset: 1.., .. }) if note.genuine => Verdict::Missing("end_of_results".to_owned()),
        (403, _) if note.genuine => Verdict::Stop(format!("the app may not do this ({})", note.message)),
        (404, Ask::Artist) => Verdict::Missing("not_found".to_owned()),
        (403 | 404, _) => Verdict::Retry(quote),
        // Not of Spotify's making: a proxy, a gateway.
        _ if !note.genuine => Verdict::Retry(quote),
        _ => Verdict::Reject(quote),
    }
}

/// Spotify's error objects: `{"error":{"status","message","reason"?}}`, the ancient `{"error":{"type","description"}}`, and
/// the accounts service's `{"error":"invalid_client","error_description"?}`.
fn error_note(answer: &Answer) -> ErrorNote {
    let body = answer.json().unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    match body.get("error") {
        Some(Value::Object(error)) => ErrorNote {
            genuine: true,
            message: text(error.get("message").or_else(|| error.get("description"))),
            reason: text(error.get("reason")),
        },
        Some(Value::String(error)) => {
            let description = text(body.get("error_description"));
            let message = if description.is_empty() { error.clone() } else { format!("{error}: {description}") };
            ErrorNote { genuine: true, message, reason: String::new() }
        }
        _ => ErrorNote::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    const PAGE: Ask = Ask::Search { offset: 0, can_shrink: true };
    const FURTHER: Ask = Ask::Search { offset: 990, can_shrink: false };

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, content_type: None, retry_after: None, body: body.as_bytes().to_vec() }
    }

    fn error(status: u16, message: &str) -> Answer {
        answer(status, &format!("{{\"error\": {{\"status\": {status}, \"message\": \"{message}\" }}}}"))
    }

    fn is_retry(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Retry(_))
    }

    #[test]
    fn every_token_refusal_asks_for_another_token() {
        for message in ["The access token expired", "Invalid access token", "No token provided"] {
            assert_eq!(judge(Ask::Artist, &error(401, message)), Verdict::Reauthorize);
        }
        assert_eq!(judge(PAGE, &answer(401, "")), Verdict::Reauthorize);
    }

    #[test]
    fn a_lost_premium_subscription_stops_the_run_and_says_why() {
        let text = "Active premium subscription required for the owner of the app. When the subscription status changes, \
                    it can take a few hours before requests are allowed again.";
        assert_eq!(text.len(), 159);
        for ask in [PAGE, Ask::Artist, Ask::Artists, Ask::Token] {
            let verdict = judge(ask, &answer(403, text));
            assert!(matches!(&verdict, Verdict::Stop(advice) if advice.contains("Active premium subscription")), "{verdict:?}");
        }
    }

    #[test]
    fn a_removed_batch_endpoint_falls_back_and_a_removed_single_one_stops() {
        assert_eq!(judge(Ask::Artists, &error(403, "Forbidden")), Verdict::Accept);
        assert!(is_batch_refused(&error(403, "Forbidden")));
        assert!(matches!(judge(Ask::Artist, &error(403, "Forbidden")), Verdict::Stop(_)));
        let verdict = judge(PAGE, &error(403, "User not registered in the Developer Dashboard"));
        assert!(matches!(verdict, Verdict::Stop(advice) if advice.contains("Dashboard")));
        assert!(is_retry(&judge(Ask::Artists, &answer(403, "<html>blocked by firewall</html>"))));
    }

    #[test]
    fn a_refused_page_size_falls_back_once_and_is_an_error_then() {
        let refused = error(400, "Invalid limit");
        assert!(is_page_refused(&refused));
        assert_eq!(judge(PAGE, &refused), Verdict::Accept);
        assert!(matches!(judge(Ask::Search { offset: 0, can_shrink: false }, &refused), Verdict::Reject(_)));
    }

    #[test]
    fn requests_that_make_no_sense_are_given_up() {
        assert!(matches!(judge(PAGE, &error(400, "No search query")), Verdict::Reject(_)));
        assert!(matches!(judge(Ask::Artist, &error(400, "invalid id")), Verdict::Reject(_)));
        assert!(matches!(judge(Ask::Artist, &error(400, "Invalid base62 id")), Verdict::Reject(_)));
        assert_eq!(judge(Ask::Artists, &error(400, "invalid id")), Verdict::Accept, "one bad id must not cost the others");
    }

    #[test]
    fn an_unknown_id_is_a_miss_in_both_shapes() {
        let ancient = answer(404, r#"{"error":{"type":"not_found","description":"non existing id"}}"#);
        for answer in [error(404, "Resource not found"), ancient] {
            assert_eq!(judge(Ask::Artist, &answer), Verdict::Missing("not_found".into()));
        }
    }

    #[test]
    fn the_wall_ends_a_search_in_both_shapes_but_a_first_page_does_not_end_it() {
        for answer in [error(400, "Bad request."), error(404, "Not found.")] {
            assert_eq!(judge(FURTHER, &answer), Verdict::Missing("end_of_results".into()));
        }
        assert!(is_retry(&judge(PAGE, &error(404, "Not found."))));
    }

    #[test]
    fn throttles_and_quotas_park_the_account_as_long_as_the_server_says() {
        let mut plain = answer(429, "Too many requests");
        plain.retry_after = Some(Duration::from_secs(19_056));
        let verdict = judge(PAGE, &plain);
        assert_eq!(verdict, Verdict::WaitFor { reason: "rate limit".into(), pause: Some(Duration::from_secs(19_056)) });
        let verdict = judge(PAGE, &error(429, "API rate limit exceeded"));
        assert_eq!(verdict, Verdict::WaitFor { reason: "rate limit".into(), pause: None });
        let quota = answer(429, r#"{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}"#);
        assert_eq!(judge(Ask::Token, &quota), Verdict::WaitFor { reason: "quota exceeded".into(), pause: None });
    }

    #[test]
    fn upstream_faults_are_tried_again_whatever_their_body() {
        for status in [500, 502, 503, 504] {
            for body in ["", "<html>Bad gateway</html>", r#"{"error":{"status":502,"message":"Bad gateway."}}"#] {
                assert!(is_retry(&judge(PAGE, &answer(status, body))), "{status} {body}");
            }
        }
    }

    #[test]
    fn a_success_without_the_document_is_tried_again() {
        for body in ["", "<html>Sign in to this Wi-Fi</html>", "{\"tracks\":{\"items\":[", "{}", "null", "{\"tracks\":null}"] {
            for ask in [PAGE, Ask::Artist, Ask::Artists, Ask::Token] {
                assert!(is_retry(&judge(ask, &answer(200, body))), "{ask:?} {body}");
            }
        }
        assert!(is_retry(&judge(PAGE, &answer(302, ""))));
    }

    #[test]
    fn refused_credentials_stop_the_run_also_without_a_description() {
        let bare = r#"{"error":"invalid_client"}"#;
        let full = r#"{"error":"invalid_client","error_description":"Invalid client secret"}"#;
        for body in [bare, full] {
            let verdict = judge(Ask::Token, &answer(400, body));
            assert!(matches!(&verdict, Verdict::Stop(advice) if advice.contains("spotify.client_id")), "{verdict:?}");
        }
        assert!(is_retry(&judge(Ask::Token, &answer(400, "<html></html>"))));
    }

    proptest! {
        #[test]
        fn every_answer_has_a_verdict(status in 0..1000_u16, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let answer = Answer { status, content_type: None, retry_after: None, body };
            for ask in [PAGE, FURTHER, Ask::Artist, Ask::Artists, Ask::Token] {
                let verdict = judge(ask, &answer);
                prop_assert!(verdict != Verdict::Accept || status < 300 || status == 400 || status == 403);
            }
        }
    }
}
