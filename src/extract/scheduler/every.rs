//! How often: an interval, or a cron expression in UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Period;

/// A rhythm, as written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Every {
    /// So long after the last run.
    Interval(Period),
    /// At the times of a cron expression, in UTC.
    Cron(CronText),
}

/// A cron expression that was checked.
#[derive(Debug, Clone)]
pub struct CronText {
    text: String,
    /// Boxed: an expression takes twenty times the room of an interval.
    cron: Box<Cron>,
}

/// An interval below this is a mistake: a search takes longer than that.
const SHORTEST: Period = Period::seconds(1);

impl Every {
    /// The first time after `last` (microseconds since the Unix epoch).
    pub(super) fn first_after(&self, last: i64) -> Option<i64> {
        match self {
            Every::Interval(period) => last.checked_add(period.as_micros()),
            Every::Cron(cron) => cron.cron.find_next_occurrence(&time(last)?, false).ok().map(|at| at.timestamp_micros()),
        }
    }

    /// The last time at or before `now`, counted from `last`.
    pub(super) fn latest(&self, last: i64, now: i64) -> Option<i64> {
        match self {
            Every::Interval(period) => {
                let runs = now.checked_sub(last)?.checked_div(period.as_micros())?;
                last.checked_add(runs.checked_mul(period.as_micros())?)
            }
            Every::Cron(cron) => cron.cron.find_previous_occurrence(&time(now)?, true).ok().map(|at| at.timestamp_micros()),
        }
    }
}

fn time(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

impl Default for Every {
    fn default() -> Self {
        Every::Interval(Period::days(1))
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Every, String> {
        let text = text.trim();
        if let Ok(period) = text.parse::<Period>() {
            return if period < SHORTEST {
                Err(format!("{text:?} is too often, at least 1s"))
            } else {
                Ok(Every::Interval(period))
            };
        }
        let wrong = |problem: String| {
            format!(
                "expected an interval such as \"6h\" or a cron expression such as \"0 4 * * 1\", found {text:?} ({problem})"
            )
        };
        let cron = Cron::from_str(text).map_err(|error| wrong(error.to_string()))?;
        cron.find_next_occurrence(&Utc::now(), false).map_err(|error| wrong(error.to_string()))?;
        Ok(Every::Cron(CronText { text: text.to_owned(), cron: Box::new(cron) }))
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Every::Interval(period) => period.fmt(f),
            Every::Cron(cron) => f.write_str(&cron.text),
        }
    }
}

impl PartialEq for CronText {
    fn eq(&self, other: &CronText) -> bool {
        self.text == other.text
    }
}

impl Eq for CronText {}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Every, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_cron_expressions_are_told_apart_and_kept_as_written() {
        for text in ["6h", "30s", "0 4 * * 1", "@daily"] {
            assert_eq!(text.parse::<Every>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_rhythm_is_refused_with_both_forms_shown() {
        for text in ["often", "6", "* * *", "61 * * * *", "0 0 30 2 *", ""] {
            let message = text.parse::<Every>().unwrap_err();
            assert!(message.contains("\"6h\"") && message.contains("cron"), "{text}: {message}");
        }
        assert!("0s".parse::<Every>().unwrap_err().contains("at least 1s"));
    }

    #[test]
    fn cron_times_are_utc() {
        let monday_noon = 1_763_985_600_000_000; // 2025-11-24T12:00:00Z
        let every: Every = "0 4 * * 1".parse().unwrap();
        assert_eq!(every.latest(0, monday_noon), Some(monday_noon - 8 * 3_600_000_000));
        assert_eq!(every.first_after(monday_noon), Some(monday_noon + (7 * 24 - 8) * 3_600_000_000));
    }
}
