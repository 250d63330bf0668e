//! [`Store`] for anything that can run a transaction.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::database::Database;
use super::errors::Failure;
use super::statement::Statement;
use super::{
    Advance, Applied, Change, Claim, Finding, Known, KnownKey, MigrationReport, Store, StoreError, Summary, TABLES, check,
    digest, known, merge, progress, summary,
};
use crate::mailbox::{Ledger, TopicPartition};

/// The body of a transaction.
pub(super) type Work<'w> = &'w mut dyn FnMut(&mut dyn Database) -> Result<(), Failure>;

/// A database that runs transactions; an error rolls back.
pub(super) trait Backend: fmt::Debug + Send + Sync {
    fn describe(&self) -> String;

    fn migrate(&self) -> Result<MigrationReport, StoreError>;

    /// Sees one state of the database from start to end.
    fn read(&self, work: Work<'_>) -> Result<(), StoreError>;

    /// Sees one state, and fails where somebody else changed what it writes. May run `work` more than once.
    fn write(&self, work: Work<'_>) -> Result<(), StoreError>;

    /// Sees what is committed at each statement: for writes that do not depend on what was read.
    fn write_through(&self, work: Work<'_>) -> Result<(), StoreError>;

    /// As [`Store::beside`].
    fn beside(&self) -> Result<Arc<dyn Store>, StoreError>;

    /// As [`Store::adopt`].
    fn adopt(&self) -> Result<(), StoreError>;

    /// As [`Store::discard_beside`].
    fn discard_beside(&self) -> Result<(), StoreError>;
}

/// A store on one of the databases.
#[derive(Debug)]
pub(super) struct BackendStore<B>(pub(super) B);

/// The result of the last run of a transaction's body.
fn keep<T>(
    run: impl FnOnce(Work<'_>) -> Result<(), StoreError>,
    mut work: impl FnMut(&mut dyn Database) -> Result<T, Failure>,
) -> Result<T, StoreError> {
    let mut kept = None;
    run(&mut |db| {
        kept = Some(work(db)?);
        Ok(())
    })?;
    kept.ok_or_else(|| StoreError::Unavailable("the transaction did not run".to_owned()))
}

impl<B: Backend> Store for BackendStore<B> {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn migrate(&self) -> Result<MigrationReport, StoreError> {
        self.0.migrate()
    }

    fn claim(&self, partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        keep(|work| self.0.write_through(work), |db| progress::claim(db, partitions))
    }

    fn apply(&self, changes: &[Change], advances: &[Advance]) -> Result<Applied, StoreError> {
        keep(|work| self.0.write(work), |db| merge::apply(db, changes, advances))
    }

    fn known(&self, keys: &[KnownKey]) -> Result<BTreeMap<KnownKey, Known>, StoreError> {
        keep(|work| self.0.read(work), |db| known::known(db, keys))
    }

    fn ledger(&self) -> Result<Vec<(Claim, Ledger)>, StoreError> {
        keep(|work| self.0.read(work), progress::ledger)
    }

    fn row_counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let count = |db: &mut dyn Database, table: &str| {
            let rows = db.rows(Statement::new(format!("SELECT count(*) FROM {table}")))?;
            Ok::<_, Failure>((table.to_owned(), rows.first().map_or(0, |row| row.count(0))))
        };
        keep(|work| self.0.read(work), |db| TABLES.iter().map(|table| count(db, table)).collect())
    }

    fn digest(&self) -> Result<String, StoreError> {
        keep(|work| self.0.read(work), digest::digest)
    }

    fn dump(&self, line: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        self.0.read(&mut |db| digest::dump(db, line))
    }

    fn check(&self) -> Result<Vec<Finding>, StoreError> {
        keep(|work| self.0.read(work), check::check)
    }

    fn summary(&self) -> Result<Summary, StoreError> {
        keep(|work| self.0.read(work), summary::summary)
    }

    fn beside(&self) -> Result<Arc<dyn Store>, StoreError> {
        self.0.beside()
    }

    fn adopt(&self) -> Result<(), StoreError> {
        self.0.adopt()
    }

    fn discard_beside(&self) -> Result<(), StoreError> {
        self.0.discard_beside()
    }
}
