//! [`Store`] for anything that can run a transaction.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::database::Database;
use super::errors::Failure;
use super::relations::{Relation, Value};
use super::statement::Statement;
use super::watch::{Deed, Watch, migrated};
use super::{
    Advance, Applied, Change, Claim, Finding, Known, KnownKey, MigrationReport, Observation, Store, StoreError, Summary,
    TABLES, check, digest, known, merge, progress, relations, summary,
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

    /// As [`Store::lacking_beside`].
    fn lacking_beside(&self, limit: usize) -> Result<Vec<Observation>, StoreError>;

    /// As [`Store::adopt`].
    fn adopt(&self) -> Result<(), StoreError>;

    /// As [`Store::discard_beside`].
    fn discard_beside(&self) -> Result<(), StoreError>;
}

/// A store on one of the databases.
#[derive(Debug)]
pub(super) struct BackendStore<B> {
    backend: B,
    place: String,
    watch: Watch,
}

impl<B: Backend> BackendStore<B> {
    pub(super) fn new(backend: B) -> BackendStore<B> {
        let (place, watch) = (backend.describe(), Watch::default());
        BackendStore { backend, place, watch }
    }

    fn reading<T>(&self, what: &'static str, work: impl FnOnce(&B) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.watch.over(&self.place, (Deed::Read, what), || work(&self.backend))
    }

    fn writing<T>(&self, what: &'static str, work: impl FnOnce(&B) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.watch.over(&self.place, (Deed::Write, what), || work(&self.backend))
    }
}

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
        self.place.clone()
    }

    fn migrate(&self) -> Result<MigrationReport, StoreError> {
        let report = self.writing("migration", Backend::migrate)?;
        migrated(&self.place, &report);
        Ok(report)
    }

    fn recognise(&self, identity: &str, beyond: &[TopicPartition]) -> Result<bool, StoreError> {
        // Nothing to write is what it usually is: a database that only takes reads just now holds no start up.
        let known = self.reading("recognition", |backend| keep(|work| backend.read(work), progress::identity_of))?;
        if known.as_deref() == Some(identity) && beyond.is_empty() {
            return Ok(false);
        }
        let recognise = |db: &mut dyn Database| progress::recognise(db, identity, beyond);
        self.writing("recognition", |backend| keep(|work| backend.write_through(work), recognise))
    }

    fn claim(&self, partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        self.writing("claim", |backend| keep(|work| backend.write_through(work), |db| progress::claim(db, partitions)))
    }

    fn apply(&self, changes: &[Change], advances: &[Advance]) -> Result<Applied, StoreError> {
        self.writing("merge", |backend| keep(|work| backend.write(work), |db| merge::apply(db, changes, advances)))
    }

    fn known(&self, keys: &[KnownKey]) -> Result<BTreeMap<KnownKey, Known>, StoreError> {
        self.reading("look-up", |backend| keep(|work| backend.read(work), |db| known::known(db, keys)))
    }

    fn ledger(&self) -> Result<Vec<(Claim, Ledger)>, StoreError> {
        self.reading("ledger", |backend| keep(|work| backend.read(work), progress::ledger))
    }

    fn row_counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let count = |db: &mut dyn Database, table: &str| {
            let rows = db.rows(Statement::new(format!("SELECT count(*) FROM {table}")))?;
            Ok::<_, Failure>((table.to_owned(), rows.first().map_or(0, |row| row.count(0))))
        };
        let count_all = |db: &mut dyn Database| TABLES.iter().map(|table| count(db, table)).collect();
        self.reading("row counts", |backend| keep(|work| backend.read(work), count_all))
    }

    // What follows is for commands, which say themselves how it went.

    fn digest(&self) -> Result<String, StoreError> {
        keep(|work| self.backend.read(work), digest::digest)
    }

    fn dump(&self, line: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        self.backend.read(&mut |db| digest::dump(db, line))
    }

    fn scan(
        &self,
        relations: &[&'static Relation],
        visit: &mut dyn FnMut(&'static Relation, &[Value]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.backend.read(&mut |db| relations::scan(db, relations, visit))
    }

    fn check(&self) -> Result<Vec<Finding>, StoreError> {
        keep(|work| self.backend.read(work), check::check)
    }

    fn summary(&self) -> Result<Summary, StoreError> {
        keep(|work| self.backend.read(work), summary::summary)
    }

    fn beside(&self) -> Result<Arc<dyn Store>, StoreError> {
        self.backend.beside()
    }

    fn lacking_beside(&self, limit: usize) -> Result<Vec<Observation>, StoreError> {
        self.backend.lacking_beside(limit)
    }

    fn adopt(&self) -> Result<(), StoreError> {
        self.backend.adopt()
    }

    fn discard_beside(&self) -> Result<(), StoreError> {
        self.backend.discard_beside()
    }
}
