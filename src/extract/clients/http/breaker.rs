//! A circuit breaker: after enough failures in a row nothing is sent for a while, then one call probes.

use std::time::Duration;

/// One account's breaker. Time is a span since any fixed start.
#[derive(Debug)]
pub(super) struct Breaker {
    limit: u32,
    pause: Duration,
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Duration,
    },
    /// One call is out to see; if nothing is heard of it (its caller died), another may follow after `until`.
    Probing {
        until: Duration,
    },
}

/// May a call go?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    Free,
    Closed { until: Duration },
}

impl Breaker {
    /// Opens after `limit` failures in a row, for `pause`.
    pub(super) fn new(limit: u32, pause: Duration) -> Breaker {
        Breaker { limit: limit.max(1), pause, failures: 0, state: State::Closed }
    }

    /// Asks to send a call now; the first one after the pause becomes the probe.
    pub(super) fn pass(&mut self, now: Duration) -> Passage {
        match self.state {
            State::Closed => Passage::Free,
            State::Open { until } | State::Probing { until } if now < until => Passage::Closed { until },
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { until: now + self.pause };
                Passage::Free
            }
        }
    }

    /// Until when nothing is sent, unless it is closed.
    pub(super) fn closed_until(&self) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Open { until } | State::Probing { until } => Some(until),
        }
    }

    /// The server answered, with whatever.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.state = State::Closed;
    }

    /// No connection, a time-out or a status of 500 and above. Answers true when this opens the breaker.
    pub(super) fn failed(&mut self, now: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= self.limit;
        if opens {
            self.state = State::Open { until: now + self.pause };
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(3, at(30));
        assert!(!breaker.failed(at(1)) && !breaker.failed(at(2)) && breaker.failed(at(3)));
        breaker
    }

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(3, at(30));
        for second in 0..10 {
            assert!(!breaker.failed(at(second)));
            breaker.succeeded();
        }
        assert_eq!(opened().pass(at(4)), Passage::Closed { until: at(33) });
    }

    #[test]
    fn one_probe_goes_first_and_its_success_closes_the_breaker() {
        let mut breaker = opened();
        assert_eq!(breaker.pass(at(33)), Passage::Free);
        assert_eq!(breaker.pass(at(33)), Passage::Closed { until: at(63) });
        breaker.succeeded();
        assert_eq!(breaker.pass(at(34)), Passage::Free);
        assert_eq!(breaker.pass(at(34)), Passage::Free);
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_a_lost_probe_does_not_block_for_ever() {
        let mut breaker = opened();
        assert_eq!(breaker.pass(at(33)), Passage::Free);
        assert!(breaker.failed(at(40)));
        assert_eq!(breaker.pass(at(41)), Passage::Closed { until: at(70) });
        assert_eq!(breaker.pass(at(70)), Passage::Free);
        assert_eq!(breaker.pass(at(100)), Passage::Free);
    }
}
