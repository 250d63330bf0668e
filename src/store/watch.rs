//! Tells the operator what happens between us and the database: lost, found again, slow.
//!
//! One line a change, not one a failure: while a database is away, everybody who needs it tries again every second. A database
//! that refuses writes (read-only, full) goes on answering questions: only a write shows that it takes writes again.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{MigrationReport, StoreError};

/// A transaction that takes longer is worth a line: a batch of rows takes milliseconds.
const SLOW: Duration = Duration::from_secs(5);

/// A database that is slow is so for a while: one line in this time is enough.
const SLOW_AGAIN: Duration = Duration::from_secs(60);

/// What was done on the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Read,
    Write,
}

/// The database cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Away {
    since: Instant,
    /// A write failed: that questions are answered does not end it.
    writes: bool,
}

/// What was last known of a database.
#[derive(Debug, Default)]
pub(super) struct Watch {
    away: Mutex<Option<Away>>,
    slow_at: Mutex<Option<Instant>>,
}

impl Watch {
    /// Runs `work`, called `what`, on the database at `place`.
    pub(super) fn over<T>(
        &self,
        place: &str,
        (deed, what): (Deed, &'static str),
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let done = work();
        match &done {
            Err(StoreError::Unavailable(reason)) => self.lost(place, deed, reason),
            // Whatever it answered, it answered.
            _ => self.found(place, deed),
        }
        if started.elapsed() >= SLOW && done.is_ok() {
            self.slow(place, what, started.elapsed());
        }
        done
    }

    fn slow(&self, place: &str, what: &'static str, took: Duration) {
        let mut slow_at = self.slow_at.lock();
        if slow_at.is_none_or(|at| at.elapsed() >= SLOW_AGAIN) {
            *slow_at = Some(Instant::now());
            slog_scope::warn!("The database is slow."; "what" => what, "database" => place, "seconds" => took.as_secs_f64());
        }
    }

    fn lost(&self, place: &str, deed: Deed, reason: &str) {
        let mut away = self.away.lock();
        let writes = deed == Deed::Write;
        if let Some(away) = away.as_mut() {
            away.writes |= writes;
            return;
        }
        *away = Some(Away { since: Instant::now(), writes });
        slog_scope::warn!("The database cannot be used; waiting for it."; "database" => place, "reason" => reason);
    }

    fn found(&self, place: &str, deed: Deed) {
        let ended = |away: &mut Away| deed == Deed::Write || !away.writes;
        let Some(away) = self.away.lock().take_if(ended) else { return };
        let seconds = away.since.elapsed().as_secs_f64();
        slog_scope::info!("The database can be used again."; "database" => place, "away_s" => seconds);
    }
}

/// Says what a migration did.
pub(super) fn migrated(place: &str, report: &MigrationReport) {
    if report.applied.is_empty() {
        slog_scope::debug!("The tables are up to date."; "database" => place, "migrations" => report.present);
    } else {
        slog_scope::info!("The tables were migrated."; "database" => place, "applied" => report.applied.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: (Deed, &str) = (Deed::Read, "test");
    const WRITE: (Deed, &str) = (Deed::Write, "test");

    fn away() -> Result<(), StoreError> {
        Err(StoreError::Unavailable("connection refused".to_owned()))
    }

    #[test]
    fn a_database_is_lost_once_and_found_once() {
        let watch = Watch::default();
        for _ in 0..3 {
            assert!(watch.over("db", READ, away).is_err());
        }
        let lost = *watch.away.lock();
        assert!(lost.is_some() && watch.over("db", READ, away).is_err() && *watch.away.lock() == lost);
        assert!(watch.over("db", READ, || Err::<(), _>(StoreError::Data("bad row".to_owned()))).is_err());
        assert_eq!(*watch.away.lock(), None, "an answer is an answer");
    }

    #[test]
    fn a_database_that_only_answers_questions_is_not_found_again() {
        let watch = Watch::default();
        for first in [READ, WRITE] {
            assert!(watch.over("db", first, away).is_err() && watch.over("db", WRITE, away).is_err());
            let since = watch.away.lock().map(|away| away.since);
            assert!(watch.over("db", READ, || Ok(())).is_ok());
            assert_eq!(watch.away.lock().map(|away| away.since), since, "the writes still fail");
            assert!(watch.over("db", WRITE, || Ok(())).is_ok());
            assert_eq!(*watch.away.lock(), None);
        }
    }
}
