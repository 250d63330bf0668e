//! Notices that mailbox or database do not answer at all: whoever asks them hangs then and can tell nobody.
//!
//! The asking thread notes each question before it asks; everybody who answers for it looks here how old the question is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A question that waits longer for its answer is a silence.
const SILENCE: Duration = Duration::from_secs(10);

/// Unless it usually takes long, such as counting the rows of a large table: then only this many times as long is one.
const USUAL_TIMES: u32 = 3;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The topics, of the mailbox.
    Topics,
    /// The loader's ledger, of the database.
    Ledger,
    /// How many rows there are, of the database.
    Rows,
}

/// The question under way, and how long each took before. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Silence(Arc<Mutex<Asking>>);

#[derive(Debug, Default)]
struct Asking {
    now: Option<(Question, Instant)>,
    /// The last two times: one that was long because of a silence does not excuse the next.
    took: BTreeMap<Question, [Duration; 2]>,
}

impl Silence {
    /// Asks.
    pub fn over<T>(&self, question: Question, ask: impl FnOnce() -> T) -> T {
        let asked = Instant::now();
        self.0.lock().now = Some((question, asked));
        let answer = ask();
        let mut asking = self.0.lock();
        // A successor may have asked already while this one hung.
        asking.now.take_if(|(_, since)| *since == asked);
        let [last, _] = asking.took.get(&question).copied().unwrap_or_default();
        asking.took.insert(question, [asked.elapsed(), last]);
        answer
    }

    /// What is asked without an answer, and for how long, if that is too long.
    pub fn lasting(&self) -> Option<(Question, Duration)> {
        self.0.lock().lasting(Instant::now())
    }
}

impl Asking {
    fn lasting(&self, now: Instant) -> Option<(Question, Duration)> {
        let (question, asked) = self.now?;
        let [last, before] = self.took.get(&question).copied().unwrap_or_default();
        let patience = last.min(before).saturating_mul(USUAL_TIMES).max(SILENCE);
        let since = now.saturating_duration_since(asked);
        (since > patience).then_some((question, since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(took: [u64; 2]) -> (Asking, Instant) {
        let now = Instant::now();
        let took = BTreeMap::from([(Question::Rows, took.map(Duration::from_secs))]);
        (Asking { now: Some((Question::Rows, now)), took }, now)
    }

    #[test]
    fn a_question_without_an_answer_is_a_silence_after_a_while() {
        let (asking, now) = asked([0, 0]);
        assert_eq!(asking.lasting(now + Duration::from_secs(9)), None);
        let silent = asking.lasting(now + Duration::from_secs(11));
        assert_eq!(silent, Some((Question::Rows, Duration::from_secs(11))));
        assert_eq!(Asking::default().lasting(now), None, "nothing is asked");
    }

    #[test]
    fn what_always_takes_long_is_no_silence_and_one_silence_does_not_excuse_the_next() {
        let (slow, now) = asked([20, 15]);
        assert_eq!(slow.lasting(now + Duration::from_secs(40)), None);
        assert!(slow.lasting(now + Duration::from_secs(46)).is_some());
        let (after_a_silence, now) = asked([600, 1]);
        assert!(after_a_silence.lasting(now + Duration::from_secs(11)).is_some());
    }

    #[test]
    fn an_answer_ends_it() {
        let silence = Silence::default();
        assert_eq!(silence.over(Question::Topics, || silence.0.lock().now.map(|(asked, _)| asked)), Some(Question::Topics));
        assert_eq!(silence.0.lock().now, None);
    }
}
