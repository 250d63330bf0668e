//! What came back, what it means, and what the stage has to do about it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::records::DeadReason;
use crate::stage::{Ending, StageError};

/// A complete answer: status, headers that matter, body within its limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type as the server named it. A hint at most: iTunes sends JSON as `text/javascript`.
    pub content_type: Option<String>,
    /// What `Retry-After` asked for, from now; both its forms are understood.
    pub retry_after: Option<Duration>,
    /// The bytes.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    /// Without the body: an answer may carry a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.body.len();
        f.debug_struct("Answer").field("status", &self.status).field("bytes", &bytes).finish_non_exhaustive()
    }
}

impl Answer {
    /// The body as JSON; white space around it is allowed (iTunes sends plenty). `None` for anything else, such as the HTML
    /// of an outage or a body that was cut.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The first characters of the body on one line, for messages to people. Only for error answers: see [`Answer::fmt`].
    pub fn quote(&self) -> String {
        const QUOTED_CHARS: usize = 160;
        let text = String::from_utf8_lossy(&self.body);
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(QUOTED_CHARS).collect()
    }
}

/// What an answer means, from its status and its body. Every API has one judge that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was asked for.
    Accept,
    /// There is no such thing; the reason is from a closed set, such as `not_found`. Asking again now is a waste.
    Missing(String),
    /// A passing fault of the server or the way to it, or a body that cannot be read.
    Retry(String),
    /// The whole account is throttled or out of quota: nothing is sent until the pause is over.
    WaitFor {
        /// For people.
        reason: String,
        /// What the server asked for; `None` if it did not say: the account then waits longer each time.
        pause: Option<Duration>,
    },
    /// The same, of a service that does not say for how long, but of which something is known.
    WaitLonger {
        /// For people.
        reason: String,
        /// Our guess for the first time; longer each time until an answer is good.
        first: Duration,
    },
    /// The token was refused: fetch another and ask again.
    Reauthorize,
    /// The request makes no sense to the server: the message is given up.
    Reject(String),
    /// Credentials refused, key suspended: a person must act; the text says how.
    Stop(String),
}

impl Verdict {
    /// Throttled: for as long as the server says, else for `first`, and longer each time.
    pub fn throttled(reason: impl Into<String>, said: Option<Duration>, first: Duration) -> Verdict {
        let reason = reason.into();
        match said {
            Some(pause) => Verdict::WaitFor { reason, pause: Some(pause) },
            None => Verdict::WaitLonger { reason, first },
        }
    }
}

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApiError {
    /// Not now. Nothing is lost: hand the message back and come again after `pause`.
    #[error("waiting: {reason}")]
    Wait {
        /// For people.
        reason: String,
        /// To the end of the wait. A stage takes a long one in steps, so that a pause that ends early is noticed.
        pause: Duration,
    },
    /// There is no such thing: a result, to be recorded as one.
    #[error("missing: {reason}")]
    Missing {
        /// From a closed set.
        reason: String,
    },
    /// The token was refused. Clients that use tokens deal with it and never pass it on.
    #[error("the access token was refused")]
    Reauthorize,
    /// The request makes no sense to the server, or failed too often: the message is given up.
    #[error("{0}")]
    Rejected(String),
    /// A person must act.
    #[error("{0}")]
    Stop(String),
}

impl ApiError {
    /// What the error means for the one message that led to the call: a dead letter, or the stage's own wait or stop.
    ///
    /// # Errors
    /// [`ApiError::Wait`] and [`ApiError::Stop`] concern the whole stage.
    pub fn into_ending(self) -> Result<Ending, StageError> {
        match self {
            ApiError::Rejected(detail) => Ok(Ending::Dead(DeadReason::new("rejected", detail))),
            ApiError::Missing { reason } => Ok(Ending::Dead(DeadReason::new("rejected", format!("there is none: {reason}")))),
            other => Err(other.into()),
        }
    }
}

impl From<ApiError> for StageError {
    fn from(error: ApiError) -> StageError {
        match error {
            ApiError::Wait { reason, pause } => StageError::wait(reason, pause),
            ApiError::Stop(advice) => StageError::Stop(advice),
            other => StageError::Failed(anyhow::Error::new(other)),
        }
    }
}

/// Longest pause believed: a broken header must not park an account for years. Real ones go up to a day.
const LONGEST_PAUSE: Duration = Duration::from_secs(7 * 86_400);

/// What a `Retry-After` header asks for: seconds (also with a fraction, which some proxies send) or an HTTP date.
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    let pause = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE),
        Ok(_) => return None,
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(value).ok()?;
            until.with_timezone(&Utc).signed_duration_since(now).to_std().unwrap_or(Duration::ZERO)
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_792_584_000, 0).unwrap_or_default()
    }

    #[test]
    fn retry_after_is_understood_as_seconds_and_as_a_date() {
        assert_eq!(retry_after("19056", noon()), Some(Duration::from_secs(19_056)));
        assert_eq!(retry_after(" 1.5 ", noon()), Some(Duration::from_millis(1_500)));
        let date = (noon() + chrono::Duration::seconds(90)).to_rfc2822().replace("+0000", "GMT");
        assert_eq!(retry_after(&date, noon()), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT", noon()), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", noon()), None);
        assert_eq!(retry_after("-5", noon()), None);
        assert_eq!(retry_after("1e300", noon()), Some(LONGEST_PAUSE));
    }

    proptest! {
        #[test]
        fn no_header_asks_for_more_than_a_week(text in ".*") {
            prop_assert!(retry_after(&text, noon()).is_none_or(|pause| pause <= LONGEST_PAUSE));
        }
    }

    #[test]
    fn a_refusal_kills_the_message_and_a_wait_does_not() {
        assert!(matches!(ApiError::Rejected("bad id".into()).into_ending(), Ok(Ending::Dead(_))));
        let wait = ApiError::Wait { reason: "quota".into(), pause: Duration::from_secs(5) };
        assert!(matches!(wait.into_ending(), Err(StageError::Wait(_))));
    }

    #[test]
    fn debug_output_of_an_answer_shows_no_body() {
        let answer = Answer { status: 200, content_type: None, retry_after: None, body: b"{\"access_token\":\"BQ\"}".to_vec() };
        assert!(!format!("{answer:?}").contains("BQ"));
    }
}
