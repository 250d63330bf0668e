//! No faster than asked.

use std::time::{Duration, Instant};

/// Holds a replay to so many records a second, over its whole time.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<u32>,
    began: Instant,
    done: u64,
}

impl Pace {
    pub(super) fn new(rate: Option<u32>) -> Pace {
        Pace { rate, began: Instant::now(), done: 0 }
    }

    /// Most records to take at a time: a quarter of a second's worth, so that the rate shows in short spans too.
    pub(super) fn batch(&self, most: usize) -> usize {
        self.rate.map_or(most, |rate| usize::try_from(rate / 4).unwrap_or(most).clamp(1, most.max(1)))
    }

    /// Waits until `records` more are due.
    pub(super) fn spend(&mut self, records: usize) {
        self.done += u64::try_from(records).unwrap_or(0);
        if let Some(rate) = self.rate {
            let due = Duration::from_secs_f64(self.done as f64 / f64::from(rate.max(1)));
            std::thread::sleep(due.saturating_sub(self.began.elapsed()));
        }
    }
}
