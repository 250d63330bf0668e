//! Finished messages a second, by stage, with a short memory for sparklines.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::samples::Sample;

/// Seconds of history: one value a second.
const HISTORY_S: usize = 90;

/// Seconds over which the present rate is averaged: fewer flickers, more lags behind.
const PRESENT_S: usize = 5;

/// The outcome that counts fields of messages that are counted already.
const NO_MESSAGES: &str = "nulled_field";

/// How fast a stage works.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Throughput {
    /// Messages finished since this process started.
    pub total: u64,
    /// Messages a second, averaged over the last seconds.
    pub per_second: f64,
    /// Messages a second, by second, newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<f64>,
}

/// What was counted so far. Fed once a second.
#[derive(Debug, Default)]
pub struct History {
    stages: BTreeMap<String, Series>,
}

#[derive(Debug, Default)]
struct Series {
    total: u64,
    seconds: VecDeque<f64>,
}

impl History {
    /// Takes the counters as they stand now, `seconds` after the last time.
    pub fn feed(&mut self, samples: &[Sample], seconds: f64) {
        let mut totals: BTreeMap<&str, f64> = self.stages.keys().map(|stage| (stage.as_str(), 0.0)).collect();
        let finished = |sample: &&Sample| sample.name == "reprise_records_total" && sample.label("outcome") != NO_MESSAGES;
        for sample in samples.iter().filter(finished) {
            *totals.entry(sample.label("stage")).or_default() += sample.value;
        }
        let totals: Vec<(String, u64)> = totals.into_iter().map(|(stage, total)| (stage.to_owned(), whole(total))).collect();
        for (stage, total) in totals {
            let series = self.stages.entry(stage).or_default();
            let grown = total.saturating_sub(series.total);
            series.total = total;
            if series.seconds.len() == HISTORY_S {
                series.seconds.pop_front();
            }
            series.seconds.push_back(if seconds > 0.0 { grown as f64 / seconds } else { 0.0 });
        }
    }

    /// How fast `stage` works; `None` for what is no stage, or has not finished anything yet.
    pub fn of(&self, stage: &str) -> Option<Throughput> {
        let series = self.stages.get(stage)?;
        let present: Vec<f64> = series.seconds.iter().rev().take(PRESENT_S).copied().collect();
        let per_second = present.iter().sum::<f64>() / present.len().max(1) as f64;
        Some(Throughput { total: series.total, per_second, history: series.seconds.iter().map(|rate| tenths(*rate)).collect() })
    }
}

/// For the eye: the stream carries it every second.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A counter as a whole number: counters count messages.
fn whole(value: f64) -> u64 {
    if value.is_finite() && value > 0.0 { value as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(outcome: &str, value: f64) -> Sample {
        let labels = [("stage", "audio"), ("outcome", outcome)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        Sample { name: "reprise_records_total".to_owned(), labels: labels.into(), value }
    }

    #[test]
    fn outcomes_add_up_and_rates_are_differences() {
        let mut history = History::default();
        history.feed(&[counted("emitted", 4.0), counted("superseded", 2.0)], 1.0);
        history.feed(&[counted("emitted", 10.0), counted("superseded", 2.0), counted("nulled_field", 99.0)], 2.0);
        let audio = history.of("audio").expect("seen");
        assert_eq!(audio.total, 12);
        assert_eq!(audio.history, vec![6.0, 3.0]);
        assert!((audio.per_second - 4.5).abs() < 1e-9);
        assert_eq!(history.of("tracks"), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut history = History::default();
        for second in 0..500 {
            history.feed(&[counted("emitted", f64::from(second))], 1.0);
        }
        assert_eq!(history.of("audio").expect("seen").history.len(), HISTORY_S);
    }
}
