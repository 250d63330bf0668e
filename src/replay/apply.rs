//! Writing to the database: waits for what is away, and finds by halving what is refused.

use std::time::{Duration, Instant};

use super::{Counts, Event, Listener, ReplayError};
use crate::store::{Applied, Change, Store, StoreError};

/// How long to wait for a database that is away before giving up: a replay goes on later where it was.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of the changes of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Applied,
    Unchanged,
    Superseded,
    Undecodable,
    Refused,
}

/// What a batch did.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// One for each message, in order.
    pub(super) outcomes: Vec<Outcome>,
    pub(super) rows_changed: u64,
}

impl Counts {
    /// Counts one message more.
    pub(super) fn note(&mut self, outcome: Outcome) {
        self.read += 1;
        *match outcome {
            Outcome::Applied => &mut self.applied,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Superseded => &mut self.superseded,
            Outcome::Undecodable => &mut self.undecodable,
            Outcome::Refused => &mut self.refused,
        } += 1;
    }
}

/// Applies what each message changes (`None`: it cannot be read), moving nobody's progress.
pub(super) fn apply(
    store: &dyn Store,
    messages: &[Option<Vec<Change>>],
    listener: Listener<'_>,
) -> Result<Written, ReplayError> {
    let changes: Vec<Change> = messages.iter().flatten().flatten().cloned().collect();
    if changes.is_empty() {
        return Ok(Written { outcomes: outcomes(messages, &Applied::default()), rows_changed: 0 });
    }
    match patiently(listener, || store.apply(&changes, &[])) {
        Ok(applied) => Ok(Written { rows_changed: applied.rows_changed(), outcomes: outcomes(messages, &applied) }),
        Err(ReplayError::Store(StoreError::Data(_))) if messages.len() == 1 => {
            Ok(Written { outcomes: vec![Outcome::Refused], rows_changed: 0 })
        }
        Err(ReplayError::Store(StoreError::Data(_))) => {
            let (left, right) = messages.split_at(messages.len() / 2);
            let mut written = apply(store, left, listener)?;
            let rest = apply(store, right, listener)?;
            written.outcomes.extend(rest.outcomes);
            written.rows_changed += rest.rows_changed;
            Ok(written)
        }
        Err(error) => Err(error),
    }
}

/// What became of each message, from what became of its changes.
fn outcomes(messages: &[Option<Vec<Change>>], applied: &Applied) -> Vec<Outcome> {
    let mut fates = applied.won.iter().copied().zip(applied.same.iter().copied());
    let outcome = |changes: &Option<Vec<Change>>| {
        let Some(changes) = changes else { return Outcome::Undecodable };
        let own: Vec<(bool, bool)> = fates.by_ref().take(changes.len()).collect();
        if own.iter().any(|(won, _)| *won) {
            Outcome::Applied
        } else if own.iter().all(|(_, same)| *same) {
            Outcome::Unchanged
        } else {
            Outcome::Superseded
        }
    };
    messages.iter().map(outcome).collect()
}

/// Tries again what is only away, and says so.
pub(super) fn patiently<T>(listener: Listener<'_>, mut work: impl FnMut() -> Result<T, StoreError>) -> Result<T, ReplayError> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        match work() {
            Err(StoreError::Unavailable(detail)) if Instant::now() < deadline => {
                if !told {
                    listener(Event::Note(&format!("waiting for the database: {detail}")));
                    told = true;
                }
                std::thread::sleep(PAUSE);
            }
            outcome => return Ok(outcome?),
        }
    }
}
