//! The embedded migrations.
//!
//! **Guarantee.** A database that a newer build migrated is refused, not guessed at. Locking is the back ends' own:
//! Diesel takes none.

use std::collections::BTreeSet;

use diesel::backend::Backend;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::errors::Failure;
use super::{MigrationReport, StoreError};

pub(super) const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Runs what is pending. The caller holds the lock.
pub(super) fn run<DB: Backend>(
    connection: &mut impl MigrationHarness<DB>,
    embedded: EmbeddedMigrations,
) -> Result<MigrationReport, Failure> {
    let failure = |error: Problem| match error.downcast::<diesel::result::Error>() {
        Ok(error) => Failure::Database(*error),
        Err(error) => super::errors::classify_text(&error.to_string(), format!("migration: {error}")).into(),
    };
    let present = connection.applied_migrations().map_err(failure)?;
    let ours: BTreeSet<String> = diesel::migration::MigrationSource::<DB>::migrations(&embedded)
        .map_err(failure)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    if let Some(newer) = present.iter().map(ToString::to_string).find(|version| !ours.contains(version)) {
        let problem = format!("the schema has migration {newer}, which this build does not know: use a newer reprise");
        return Err(StoreError::Setup(problem).into());
    }
    let pending = connection.pending_migrations(embedded).map_err(failure)?;
    let mut applied = Vec::new();
    for migration in pending {
        connection.run_migration(&*migration).map_err(failure)?;
        applied.push(migration.name().to_string());
    }
    Ok(MigrationReport { applied, present: present.len() })
}
