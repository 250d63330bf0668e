//! Tells the operator what happens between us and the database: lost, found again, slow.
//!
//! One line a change, not one a failure: while a database is away, everybody who needs it tries again every second.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{MigrationReport, StoreError};

/// A transaction that takes longer is worth a line: a batch of rows takes milliseconds.
const SLOW: Duration = Duration::from_secs(5);

/// A database that is slow is so for a while: one line in this time is enough.
const SLOW_AGAIN: Duration = Duration::from_secs(60);

/// What was last known of a database.
#[derive(Debug, Default)]
pub(super) struct Watch {
    away_since: Mutex<Option<Instant>>,
    slow_at: Mutex<Option<Instant>>,
}

impl Watch {
    /// Runs `work`, called `what`, on the database at `place`.
    pub(super) fn over<T>(
        &self,
        place: &str,
        what: &'static str,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let done = work();
        match &done {
            Err(StoreError::Unavailable(reason)) => self.lost(place, reason),
            // Whatever it answered, it answered.
            _ => self.found(place),
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

    fn lost(&self, place: &str, reason: &str) {
        let mut away_since = self.away_since.lock();
        if away_since.is_none() {
            *away_since = Some(Instant::now());
            slog_scope::warn!("The database cannot be used; waiting for it."; "database" => place, "reason" => reason);
        }
    }

    fn found(&self, place: &str) {
        let Some(since) = self.away_since.lock().take() else { return };
        let seconds = since.elapsed().as_secs_f64();
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

    #[test]
    fn a_database_is_lost_once_and_found_once() {
        let watch = Watch::default();
        let away = || Err::<(), _>(StoreError::Unavailable("connection refused".to_owned()));
        for _ in 0..3 {
            assert!(watch.over("db", "test", away).is_err());
        }
        let since = *watch.away_since.lock();
        assert!(since.is_some() && watch.over("db", "test", away).is_err() && *watch.away_since.lock() == since);
        assert!(watch.over("db", "test", || Err::<(), _>(StoreError::Data("bad row".to_owned()))).is_err());
        assert_eq!(*watch.away_since.lock(), None, "an answer is an answer");
    }
}
