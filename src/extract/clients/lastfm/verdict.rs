//! What an answer of Last.fm means for the call: by the error number in the body first, by the status only after.
//!
//! | error | means | verdict |
//! |---|---|---|
//! | 2, 8, 11, 16 | service away or failed for the moment | retry |
//! | 3, 4, 5, 7, 9, 13, 14, 15, 17 | the call itself is wrong: ours to mend | reject |
//! | 6 | no such artist or track | missing |
//! | 10, 26 | the key is invalid or suspended | stop |
//! | 29 | too many requests | wait |
//! | any other | unknown to us | retry |

use std::time::Duration;

use super::answer::Reading;
use crate::extract::clients::http::Verdict;

/// How long to stay away at first when the service says "too many requests" and not for how long. We keep to its rate, so somebody
/// else behind our address must have used it up. Shorter may lengthen the ban, longer wastes allowance.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(5);

/// How long to stay away when the service refuses without a reason: an address is blocked for minutes, not for seconds.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// The meaning of an answer with this status, `Retry-After` and body.
pub fn verdict<T>(status: u16, retry_after: Option<Duration>, reading: &Reading<T>) -> Verdict {
    match reading {
        Reading::Failed { code, message } => failure(*code, message, retry_after),
        Reading::Found(_) if (200..300).contains(&status) => Verdict::Accept,
        Reading::Empty if (200..300).contains(&status) => Verdict::Missing("not_found".to_owned()),
        _ if status == 429 => Verdict::throttled("rate limit", retry_after, RATE_LIMIT_PAUSE),
        _ if status == 403 => Verdict::throttled("refused (403)", retry_after, REFUSED_PAUSE),
        Reading::Unreadable(problem) => Verdict::Retry(format!("status {status}: {problem}")),
        Reading::Found(_) | Reading::Empty => Verdict::Retry(format!("status {status} with a body of data")),
    }
}

fn failure(code: i64, message: &str, retry_after: Option<Duration>) -> Verdict {
    let told = format!("error {code}: {message}");
    match code {
        6 => Verdict::Missing("not_found".to_owned()),
        10 | 26 => Verdict::Stop(format!("Last.fm refuses the key (lastfm.api_key): {told}")),
        29 => Verdict::throttled("rate limit", retry_after, RATE_LIMIT_PAUSE),
        3 | 4 | 5 | 7 | 9 | 13 | 14 | 15 | 17 => Verdict::Reject(told),
        _ => Verdict::Retry(told),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::*;

    fn judged(status: u16, body: &str) -> Verdict {
        verdict(status, None, &answer::artist(body.as_bytes()))
    }

    #[test]
    fn every_error_row_is_classified_whatever_the_status() {
        for status in [200, 400, 403, 404, 429, 500, 503] {
            let kinds = [2, 3, 6, 8, 10, 11, 16, 26, 29].map(|code| {
                match judged(status, &format!(r#"{{"message":"words","error":{code}}}"#)) {
                    Verdict::Accept => "accept",
                    Verdict::Missing(_) => "missing",
                    Verdict::Retry(_) => "retry",
                    Verdict::WaitFor { .. } | Verdict::WaitLonger { .. } => "wait",
                    Verdict::Reject(_) => "reject",
                    Verdict::Stop(_) => "stop",
                    Verdict::Reauthorize => "reauthorize",
                }
            });
            assert_eq!(
                kinds,
                ["retry", "reject", "missing", "retry", "stop", "retry", "retry", "stop", "wait"],
                "status {status}"
            );
        }
    }

    #[test]
    fn an_outage_page_is_tried_again_even_with_status_200() {
        assert!(matches!(judged(200, "<html>down</html>"), Verdict::Retry(reason) if reason.contains("HTML")));
        assert!(matches!(judged(503, ""), Verdict::Retry(_)));
    }

    #[test]
    fn a_bare_429_waits_as_long_as_it_says() {
        let pause = Some(Duration::from_secs(90));
        let unreadable = answer::artist(b"slow down");
        let waits = Verdict::WaitFor { reason: "rate limit".to_owned(), pause };
        assert_eq!(verdict(429, pause, &unreadable), waits);
    }

    #[test]
    fn an_empty_container_is_a_miss_only_with_success() {
        assert_eq!(judged(200, r#"{"artist": ""}"#), Verdict::Missing("not_found".to_owned()));
        assert!(matches!(judged(500, r#"{"artist": ""}"#), Verdict::Retry(_)));
    }

    #[test]
    fn stopping_names_the_configuration_key() {
        assert!(matches!(judged(403, r#"{"error":26,"message":"API Key Suspended"}"#),
            Verdict::Stop(reason) if reason.contains("lastfm.api_key") && reason.contains("Suspended")));
    }
}
