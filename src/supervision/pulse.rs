//! Signs of life: how a watchdog tells working from waiting from hanging.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Shared between an actor's incarnation and its supervisor. The actor shows that it is alive between long steps, and beats when
/// it has finished work; a wait that has a name (rate limit, broker gone) is declared with [`Pulse::waiting`] and is not a hang however long it takes.
#[derive(Debug, Clone)]
pub struct Pulse {
    inner: Arc<Mutex<Beat>>,
}

#[derive(Debug)]
struct Beat {
    last: Instant,
    beats: u64,
    waits: Vec<Declared>,
    next_wait: u64,
}

/// A wait as declared.
#[derive(Debug)]
struct Declared {
    id: u64,
    /// Before this it is work.
    from: Instant,
    waiting: Waiting,
}

/// What an actor waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// For people, such as `spotify: rate limit` or `database: connection refused`.
    pub reason: String,
    /// When it will try again, microseconds since the Unix epoch, if that is known.
    pub until: Option<i64>,
}

impl Pulse {
    /// A pulse that beats now.
    pub fn new() -> Pulse {
        let beat = Beat { last: Instant::now(), beats: 0, waits: Vec::new(), next_wait: 0 };
        Pulse { inner: Arc::new(Mutex::new(beat)) }
    }

    /// Work is finished, its effects are kept: an incarnation that came this far does not count towards giving up.
    pub fn beat(&self) {
        let mut beat = self.inner.lock();
        beat.last = Instant::now();
        beat.beats += 1;
    }

    /// Alive: between long steps, or with nothing to do. Not a hang, and no progress either.
    pub fn alive(&self) {
        self.inner.lock().last = Instant::now();
    }

    /// Declares a wait until the guard is dropped. `until` is in microseconds since the Unix epoch.
    pub fn waiting(&self, reason: impl Into<String>, until: Option<i64>) -> WaitGuard {
        self.declare(Instant::now(), Waiting { reason: reason.into(), until })
    }

    /// Declares that what comes now, until the guard is dropped, is a wait if it takes longer than `patience`: a question to
    /// somebody else who may not answer, asked where nothing can be said any more until the answer is there.
    pub fn waiting_after(&self, patience: Duration, reason: impl Into<String>) -> WaitGuard {
        self.declare(Instant::now() + patience, Waiting { reason: reason.into(), until: None })
    }

    fn declare(&self, from: Instant, waiting: Waiting) -> WaitGuard {
        let mut beat = self.inner.lock();
        let id = beat.next_wait;
        beat.next_wait += 1;
        beat.waits.push(Declared { id, from, waiting });
        WaitGuard { pulse: self.clone(), id }
    }

    /// Since the last sign of life; zero while waiting.
    pub fn age(&self) -> Duration {
        let beat = self.inner.lock();
        if beat.wait().is_none() { beat.last.elapsed() } else { Duration::ZERO }
    }

    /// Beats so far.
    pub fn beats(&self) -> u64 {
        self.inner.lock().beats
    }

    /// The oldest wait under way.
    pub fn current_wait(&self) -> Option<Waiting> {
        self.inner.lock().wait().cloned()
    }
}

impl Beat {
    fn wait(&self) -> Option<&Waiting> {
        let now = Instant::now();
        self.waits.iter().find(|declared| declared.from <= now).map(|declared| &declared.waiting)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse::new()
    }
}

/// Ends the wait, and beats, when dropped.
#[derive(Debug)]
#[must_use = "the wait ends when the guard is dropped"]
pub struct WaitGuard {
    pulse: Pulse,
    id: u64,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let mut beat = self.pulse.inner.lock();
        beat.waits.retain(|declared| declared.id != self.id);
        beat.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_than_patience_is_a_wait_and_no_hang() {
        let pulse = Pulse::new();
        let working = pulse.waiting_after(Duration::from_secs(3_600), "database: no answer");
        assert_eq!(pulse.current_wait(), None, "still work");
        assert!(pulse.age() > Duration::ZERO, "and a hang if it went on without a word");
        let waiting = pulse.waiting_after(Duration::ZERO, "mailbox: no answer");
        assert_eq!(pulse.current_wait().map(|wait| wait.reason).as_deref(), Some("mailbox: no answer"));
        assert_eq!(pulse.age(), Duration::ZERO);
        drop(waiting);
        assert_eq!(pulse.current_wait(), None);
        drop(working);
    }
}
