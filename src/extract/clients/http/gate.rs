//! Whether an account may send now: its park, its rolling windows and its breaker in one place, without clock or I/O.

use std::time::Duration;

use super::breaker::{Breaker, Passage};
use super::park::{LONG, Park};
use super::window::{CallLog, RateWindow};

/// The two clocks a gate needs: one that never jumps, for windows, and the wall clock, which parks are kept in because they
/// outlive the process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Since the process began.
    pub(super) running: Duration,
    /// Microseconds since the Unix epoch.
    pub(super) wall: i64,
}

/// Why a call has to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    /// Metric label: `limiter`, `retry_after`, `quota`, `breaker`.
    pub(super) label: &'static str,
    /// For people.
    pub(super) reason: String,
    /// How long, from now.
    pub(super) pause: Duration,
}

/// For how long to send nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// As the server said.
    Said(Duration),
    /// It did not say: this the first time, longer each time until an answer is good.
    Guessed(Duration),
    /// It did not say, and nothing is known of it.
    Unsaid,
}

/// One account's gate.
#[derive(Debug)]
pub(super) struct Gate {
    log: CallLog,
    breaker: Breaker,
    park: Option<Park>,
    /// Throttled answers since the last good one: without a `Retry-After` each asks for a longer pause.
    throttled: u32,
}

/// The first pause when a server throttles without saying for how long, and the longest.
const UNSAID_PAUSE: Duration = Duration::from_secs(30);
const UNSAID_PAUSE_MAX: Duration = Duration::from_secs(3600);

/// A `Retry-After: 0` would be asked again at once.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

impl Gate {
    pub(super) fn new(log: CallLog, breaker: Breaker, park: Option<Park>) -> Gate {
        // A park from before a restart counts as a throttle: the first good answer clears it from the book.
        let throttled = u32::from(park.is_some());
        Gate { log, breaker, park, throttled }
    }

    /// Asks to send a call now. Granted with its place in the log, or held.
    pub(super) fn enter(&mut self, clock: Clock) -> Result<u64, Hold> {
        if let Some(park) = &self.park {
            if let Some(pause) = micros_until(park.until, clock.wall) {
                return Err(Hold { label: park.label(), reason: park.reason.clone(), pause });
            }
            self.park = None;
        }
        let ready = self.log.ready_at(clock.running);
        if ready > clock.running {
            let reason = "own rate limit".to_owned();
            return Err(Hold { label: "limiter", reason, pause: ready - clock.running });
        }
        if let Passage::Closed { until } = self.breaker.pass(clock.running) {
            let reason = "not answering, asked again after a pause".to_owned();
            return Err(Hold { label: "breaker", reason, pause: until.saturating_sub(clock.running) });
        }
        Ok(self.log.send(clock.running))
    }

    /// The windows, and how many calls each holds.
    pub(super) fn used(&self, clock: Clock) -> impl Iterator<Item = (RateWindow, usize)> + '_ {
        self.log.used(clock.running)
    }

    /// Why nothing may be sent now, the own rate limit aside.
    pub(super) fn closed(&self, clock: Clock) -> Option<Hold> {
        let parked = self.park.as_ref().and_then(|park| Some((park, micros_until(park.until, clock.wall)?)));
        if let Some((park, pause)) = parked {
            return Some(Hold { label: park.label(), reason: park.reason.clone(), pause });
        }
        let until = self.breaker.closed_until().filter(|until| *until > clock.running)?;
        Some(Hold { label: "breaker", reason: "not answering".to_owned(), pause: until - clock.running })
    }

    /// The server answered, with whatever: the call's place in its windows is settled.
    pub(super) fn settle(&mut self, call: u64, clock: Clock) {
        self.log.answered(call, clock.running);
    }

    /// Notes how a call went for the breaker; answers true when this opened it.
    pub(super) fn report(&mut self, healthy: bool, clock: Clock) -> bool {
        if healthy {
            self.breaker.succeeded();
            return false;
        }
        self.breaker.failed(clock.running)
    }

    /// A good answer: the next silent throttle starts with the short pause again. True when a throttle had come before. While a
    /// park is in force it says nothing: the call was under way when the park began.
    pub(super) fn calm(&mut self, clock: Clock) -> bool {
        let is_parked = self.park.as_ref().is_some_and(|park| micros_until(park.until, clock.wall).is_some());
        !is_parked && std::mem::take(&mut self.throttled) > 0
    }

    /// Sends nothing until the pause is over; a longer park under way stays. Answers the park now in force.
    pub(super) fn park(&mut self, reason: String, pause: Pause, clock: Clock) -> Park {
        let said = !matches!(pause, Pause::Unsaid);
        let length = match pause {
            Pause::Said(length) => length,
            Pause::Guessed(first) => self.longer(first),
            Pause::Unsaid => self.longer(UNSAID_PAUSE),
        };
        let length = length.max(SHORTEST_PAUSE);
        let under_way = self.park.take().filter(|park| micros_until(park.until, clock.wall).is_some());
        if let (Some(park), Pause::Guessed(_) | Pause::Unsaid) = (&under_way, pause) {
            // One of several calls under way when the park began: all of them together are one throttle.
            return self.park.insert(park.clone()).clone();
        }
        self.throttled = self.throttled.saturating_add(1);
        let until = clock.wall.saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
        let park = Park { reason, until, said, long: length >= LONG };
        self.park = under_way;
        let longer = self.park.take().filter(|old| old.until > park.until);
        self.park.insert(longer.unwrap_or(park)).clone()
    }
}

impl Gate {
    fn longer(&self, first: Duration) -> Duration {
        first.saturating_mul(1 << self.throttled.min(10)).min(UNSAID_PAUSE_MAX)
    }
}

/// From `now` to `until`, if that is in the future.
fn micros_until(until: i64, now: i64) -> Option<Duration> {
    let micros = until.saturating_sub(now);
    u64::try_from(micros).ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        let log = CallLog::new(vec![RateWindow::new(2, Duration::from_secs(10))]);
        Gate::new(log, Breaker::new(2, Duration::from_secs(30)), None)
    }

    fn at(seconds: u64) -> Clock {
        Clock { running: Duration::from_secs(seconds), wall: i64::try_from(seconds).unwrap_or(0) * 1_000_000 }
    }

    #[test]
    fn a_park_holds_every_call_until_it_is_over() {
        let mut gate = gate();
        gate.park("quota".into(), Pause::Said(Duration::from_secs(100)), at(0));
        let hold = gate.enter(at(40)).unwrap_err();
        assert_eq!((hold.label, hold.pause), ("retry_after", Duration::from_secs(60)));
        assert!(gate.enter(at(100)).is_ok());
    }

    #[test]
    fn a_used_up_quota_is_one_to_its_last_second_also_where_the_server_names_the_pause() {
        let label = |asked: Option<u64>, later| {
            let mut gate = gate();
            let pause = asked.map_or(Pause::Unsaid, |seconds| Pause::Said(Duration::from_secs(seconds)));
            gate.park("quota".into(), pause, at(0));
            gate.enter(at(later)).unwrap_err().label
        };
        assert_eq!([label(Some(7_200), 0), label(Some(7_200), 7_199), label(None, 0)], ["quota"; 3]);
        assert_eq!([label(Some(5), 0), label(Some(599), 0)], ["retry_after"; 2], "the window of a rate limit");
    }

    #[test]
    fn a_shorter_pause_does_not_shorten_a_longer_one() {
        let mut gate = gate();
        gate.park("day".into(), Pause::Said(Duration::from_secs(86_400)), at(0));
        assert_eq!(gate.park("short".into(), Pause::Said(Duration::from_secs(5)), at(1)).reason, "day");
    }

    #[test]
    fn throttles_that_name_no_pause_wait_longer_each_time_until_one_call_succeeds() {
        let mut gate = gate();
        let first = gate.park("quota".into(), Pause::Unsaid, at(0)).until;
        let second = gate.park("quota".into(), Pause::Unsaid, at(30)).until - 30_000_000;
        assert_eq!((first, second), (30_000_000, 60_000_000));
        assert!(!gate.calm(at(31)), "an answer that was under way when the pause began");
        assert_eq!(gate.park("quota".into(), Pause::Unsaid, at(90)).until, 210_000_000, "longer each time all the same");
        assert!(gate.calm(at(210)));
        assert_eq!(gate.park("quota".into(), Pause::Unsaid, at(220)).until, 250_000_000);
    }

    #[test]
    fn a_closed_gate_says_why_and_for_how_long_without_being_asked_to_open() {
        let mut gate = gate();
        assert_eq!(gate.closed(at(0)), None);
        assert!(!gate.report(false, at(0)) && gate.report(false, at(0)));
        let closed = gate.closed(at(10)).map(|hold| (hold.label, hold.pause));
        assert_eq!(closed, Some(("breaker", Duration::from_secs(20))));
        gate.park("quota of the day".into(), Pause::Said(Duration::from_secs(100)), at(10));
        assert_eq!(gate.closed(at(10)).map(|hold| hold.reason).as_deref(), Some("quota of the day"));
        assert!(gate.enter(at(200)).is_ok(), "looking took nobody's place");
        assert_eq!(gate.used(at(200)).map(|(_, calls)| calls).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_held_call_is_not_counted_as_the_probe() {
        let mut gate = gate();
        assert!(!gate.report(false, at(0)) && gate.report(false, at(0)));
        assert!(gate.enter(at(1)).is_err());
        assert!(gate.enter(at(30)).is_ok(), "the probe");
        assert!(gate.enter(at(31)).is_err(), "only one probe");
    }

    #[test]
    fn a_guessed_pause_grows_and_calls_that_were_under_way_together_count_once() {
        let mut gate = gate();
        let mut throttle =
            |now| gate.park("rate limit".into(), Pause::Guessed(Duration::from_secs(5)), at(now)).until / 1_000_000;
        assert_eq!([throttle(0), throttle(1), throttle(2)], [5; 3], "three calls, one throttle");
        assert_eq!([throttle(5), throttle(15), throttle(35)], [15, 35, 75]);
        for _ in 0..20 {
            let until = throttle(10_000_000);
            assert!(until <= 10_003_600, "never beyond an hour: {until}");
        }
    }
}
