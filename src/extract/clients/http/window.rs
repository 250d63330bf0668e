//! Rolling windows: how many calls an API takes in any span of a given length.
//!
//! A token bucket with burst *n* lets nearly 2*n* calls through in one window, which is how accounts get blocked. Here the
//! log of calls decides: a call may go when, in each window, the *n*-th last call left it. A call is in a window from when it
//! is sent until `per` after the server can have counted it: that is unknown between sending and the answer, so the later
//! one counts, but at most [`MARGIN`] of the window after sending, so that slow answers do not eat the allowed rate.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// At most `calls` in any span of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateWindow {
    /// How many.
    pub calls: u32,
    /// In any span of this length.
    pub per: Duration,
}

impl RateWindow {
    /// At most `calls` in any span of `per`.
    pub const fn new(calls: u32, per: Duration) -> RateWindow {
        RateWindow { calls, per }
    }
}

/// The share of a window, in percent, by which a call's place in it may be shifted by slow answers. Larger: safe on slower
/// lines; smaller: nearer to the allowed rate, which stays above 100 / (100 + MARGIN) = 96 %.
const MARGIN: u32 = 4;

/// A call in the log.
#[derive(Debug, Clone, Copy)]
struct Call {
    id: u64,
    sent: Duration,
    answered: Option<Duration>,
}

impl Call {
    /// From when the window's length counts.
    fn counts_from(&self, per: Duration) -> Duration {
        let latest = self.sent + per * MARGIN / 100;
        self.answered.map_or(latest, |answered| answered.clamp(self.sent, latest))
    }

    /// When it is out of a window of this length.
    fn leaves(&self, per: Duration) -> Duration {
        self.counts_from(per) + per
    }
}

/// The log of one account. Time is a span since any fixed start, so that tests need no clock.
#[derive(Debug)]
pub(super) struct CallLog {
    windows: Vec<RateWindow>,
    calls: VecDeque<Call>,
    next_id: u64,
}

impl CallLog {
    /// An empty log. A window of no calls counts as one of one call: nothing could ever be sent.
    pub(super) fn new(windows: Vec<RateWindow>) -> CallLog {
        CallLog { windows, calls: VecDeque::new(), next_id: 0 }
    }

    /// Notes calls made before this log began, by their times.
    pub(super) fn remember(&mut self, times: impl IntoIterator<Item = Duration>) {
        for sent in times {
            self.send(sent);
        }
    }

    /// When the next call may be sent; `now` or earlier means at once.
    pub(super) fn ready_at(&self, now: Duration) -> Duration {
        self.windows.iter().map(|window| self.ready_in(window)).max().unwrap_or(now)
    }

    /// The window is full until its *n*-th last departure: answers come in any order, so departures are sorted first.
    fn ready_in(&self, window: &RateWindow) -> Duration {
        let calls = usize::try_from(window.calls.max(1)).unwrap_or(usize::MAX);
        if self.calls.len() < calls {
            return Duration::ZERO;
        }
        let mut leaves: Vec<Duration> = self.calls.iter().map(|call| call.leaves(window.per)).collect();
        leaves.sort_unstable();
        let last_full = leaves.len().checked_sub(calls).and_then(|position| leaves.get(position));
        last_full.map_or(Duration::ZERO, |at| *at + Duration::from_micros(1))
    }

    /// The windows, and how many calls each holds at `now`.
    pub(super) fn used(&self, now: Duration) -> impl Iterator<Item = (RateWindow, usize)> + '_ {
        self.windows.iter().map(move |window| (*window, self.calls.iter().filter(|call| call.leaves(window.per) > now).count()))
    }

    /// Notes a call sent at `now`. Only after [`CallLog::ready_at`] said so.
    pub(super) fn send(&mut self, now: Duration) -> u64 {
        let longest = self.windows.iter().map(|window| window.per).max().unwrap_or_default();
        self.calls.retain(|call| call.leaves(longest) >= now);
        let id = self.next_id;
        self.next_id += 1;
        self.calls.push_back(Call { id, sent: now, answered: None });
        id
    }

    /// Notes that the server answered, and so had counted, this call.
    pub(super) fn answered(&mut self, id: u64, now: Duration) {
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.id == id) {
            call.answered = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn windows() -> impl Strategy<Value = Vec<RateWindow>> {
        let window = (1..40_u32, 100..60_000_u64).prop_map(|(calls, per)| RateWindow::new(calls, Duration::from_millis(per)));
        prop::collection::vec(window, 1..3)
    }

    /// Sends as fast as the log allows; the server counts each call `delay` after it was sent and answers at once.
    fn greedy(windows: &[RateWindow], delays: &[Duration], calls: usize) -> Vec<Duration> {
        let mut log = CallLog::new(windows.to_vec());
        let mut now = Duration::from_secs(1);
        let mut counted = Vec::new();
        for delay in delays.iter().cycle().take(calls) {
            now = now.max(log.ready_at(now));
            let id = log.send(now);
            counted.push(now + *delay);
            now += *delay;
            log.answered(id, now);
        }
        counted
    }

    fn most_in_any(counted: &[Duration], per: Duration) -> usize {
        let within = |start: &Duration| counted.iter().filter(|at| *at >= start && **at < *start + per).count();
        counted.iter().map(within).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_calls_than_allowed(
            windows in windows(),
            percents in prop::collection::vec(0..4_u32, 1..20),
        ) {
            let shortest = windows.iter().map(|window| window.per).min().unwrap_or_default();
            let delays: Vec<Duration> = percents.iter().map(|percent| shortest * *percent / 100).collect();
            let counted = greedy(&windows, &delays, 200);
            for window in &windows {
                prop_assert!(most_in_any(&counted, window.per) <= window.calls as usize);
            }
        }

        #[test]
        fn a_busy_account_reaches_ninety_five_percent_of_its_rate(calls in 1..40_u32, per in 100..60_000_u64, percent in 0..3_u32) {
            let window = RateWindow::new(calls, Duration::from_millis(per));
            // Answers quick enough that the limiter and not the server is the limit.
            let delay = window.per * percent / 100 / calls;
            let rounds = 50 * calls as usize;
            let counted = greedy(&[window], &[delay], rounds);
            let took = *counted.last().unwrap_or(&Duration::ZERO) - Duration::from_secs(1);
            let allowed = took.as_secs_f64() / window.per.as_secs_f64() * f64::from(calls);
            prop_assert!(rounds as f64 >= 0.95 * allowed, "{rounds} of {allowed}");
        }
    }

    #[test]
    fn a_window_tells_how_many_calls_it_holds() {
        let mut log = CallLog::new(vec![RateWindow::new(5, Duration::from_secs(10))]);
        for second in [1, 2, 9] {
            log.send(Duration::from_secs(second));
        }
        let held = |second| log.used(Duration::from_secs(second)).map(|(_, calls)| calls).collect::<Vec<_>>();
        assert_eq!((held(9), held(15), held(60)), (vec![3], vec![1], vec![0]));
    }

    #[test]
    fn calls_without_an_answer_leave_the_window_too() {
        let mut log = CallLog::new(vec![RateWindow::new(1, Duration::from_secs(10))]);
        log.send(Duration::from_secs(1));
        let ready = log.ready_at(Duration::from_secs(2));
        assert!(ready > Duration::from_secs(11) && ready < Duration::from_secs(12), "{ready:?}");
    }
}
