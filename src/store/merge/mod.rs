//! Applying a batch: fold, stage, merge by table, link genres, move the progress; the body of one transaction.
//!
//! **Guarantee.** The rows are a function of the set of all changes ever applied. What is already there is found by reading,
//! so that a replay writes no row at all, and what the reading decided is checked against the rows that were really written.

mod genres;
mod stage;
mod tables;
mod upsert;

use std::collections::{BTreeMap, BTreeSet};

use self::stage::{Fate, Stage, StagedRow};
use self::tables::{TABLES, Table};
use self::upsert::{Rows, merge_text, staged_cells};
use super::database::Database;
use super::errors::Failure;
use super::progress;
use super::statement::{Cells, Statement};
use super::{Advance, Applied, Change, Effect, StoreError};
use crate::records::Version;

/// Applies `changes` and `advances`. Has to run in a transaction that sees one state of the database and notices when
/// somebody else changes what it read.
pub(super) fn apply(db: &mut dyn Database, changes: &[Change], advances: &[Advance]) -> Result<Applied, Failure> {
    progress::check(db, advances)?;
    let mut stage = Stage::of(changes)?;
    let mut effects: BTreeMap<&'static str, Effect> = BTreeMap::new();
    for (position, table) in TABLES.iter().enumerate() {
        merge(db, (position, table), &mut stage, &mut effects)?;
    }
    genres::relink(db, &stage.relink, &mut effects)?;
    let applied = finish(&stage, effects);
    progress::advance(db, changes, &applied.won, advances)?;
    Ok(applied)
}

/// Table, primary key, source and the columns of its version, for every source. What a source did not know (`source_misses`)
/// is an observation too: lost, it would be asked for again.
pub(super) fn observations() -> impl Iterator<Item = (&'static str, &'static [&'static str], &'static str, [&'static str; 2])> {
    TABLES.iter().flat_map(|table| {
        table.sources.iter().map(|source| {
            let name = source.observed_at.strip_suffix("_observed_at").unwrap_or("miss");
            (table.name, table.key, name, [source.observed_at, source.tiebreak])
        })
    })
}

/// Merges the staged rows of one table.
fn merge(
    db: &mut dyn Database,
    (position, table): (usize, &'static Table),
    stage: &mut Stage,
    effects: &mut BTreeMap<&'static str, Effect>,
) -> Result<(), Failure> {
    let rows = stage.tables.get_mut(position).map(std::mem::take).unwrap_or_default();
    if rows.is_empty() {
        return Ok(());
    }
    let stored = stored_versions(db, table, rows.keys())?;
    let mut cells = Vec::new();
    let mut inserted = 0;
    for (key, row) in &rows {
        let present = stored.get(key);
        if decide(stage, row, present) || present.is_none() {
            inserted += u64::from(present.is_none());
            cells.push(staged_cells(table, key, row));
        }
    }
    if cells.is_empty() {
        return Ok(());
    }
    let written = u64::try_from(cells.len()).unwrap_or(u64::MAX);
    let rows = Rows { columns: table.staged_columns(), cells };
    for (statement, expected) in rows.statements(db.dialect(), &merge_text(table)) {
        let merged = db.execute(statement)?;
        if merged != expected {
            let problem = format!("{}: {merged} of {expected} rows merged, somebody else wrote between", table.name);
            return Err(StoreError::Unavailable(problem).into());
        }
    }
    let effect = effects.entry(table.name).or_default();
    effect.inserted += inserted;
    effect.updated += written - inserted;
    Ok(())
}

/// Settles the fate of each record staged for a row; true when at least one is news.
fn decide(stage: &mut Stage, row: &StagedRow, present: Option<&Vec<Option<Version>>>) -> bool {
    let mut news = false;
    for (position, staged) in row.sources.iter().enumerate() {
        let Some(staged) = staged else { continue };
        let held = present.and_then(|versions| versions.get(position).copied().flatten());
        match held {
            Some(held) if held > staged.version => stage.decide(staged.change, Fate::Superseded),
            Some(held) if held == staged.version => stage.decide(staged.change, Fate::Unchanged),
            _ => news = true,
        }
    }
    news
}

/// The versions by source of the rows that exist.
fn stored_versions<'k>(
    db: &mut dyn Database,
    table: &Table,
    keys: impl Iterator<Item = &'k Vec<String>>,
) -> Result<BTreeMap<Vec<String>, Vec<Option<Version>>>, Failure> {
    let lookup = table.key.get(table.lookup).copied().unwrap_or_default();
    let ids: BTreeSet<&str> = keys.filter_map(|key| key.get(table.lookup)).map(String::as_str).collect();
    let mut columns: Vec<&str> = table.key.to_vec();
    columns.extend(table.sources.iter().flat_map(|source| [source.observed_at, source.tiebreak]));
    let text = format!("SELECT {} FROM {} WHERE {}", columns.join(", "), table.name, db.dialect().member(lookup));
    let rows = db.rows(Statement::new(text).cached().keys(ids))?;
    let versions = |row: &Cells| {
        let version = |source: usize| {
            let at = table.key.len() + 2 * source;
            Some(Version { observed_at: row.int(at)?, tiebreak: row.int(at + 1)? })
        };
        (0..table.sources.len()).map(version).collect()
    };
    Ok(rows.iter().map(|row| ((0..table.key.len()).map(|part| row.key(part)).collect(), versions(row))).collect())
}

/// Counts records by what became of them.
fn finish(stage: &Stage, mut effects: BTreeMap<&'static str, Effect>) -> Applied {
    for (table, fate) in &stage.fates {
        let Some(table) = TABLES.get(*table) else { continue };
        let effect = effects.entry(table.name).or_default();
        match fate {
            Fate::Won => {}
            Fate::Unchanged => effect.unchanged += 1,
            Fate::Superseded => effect.superseded += 1,
        }
    }
    let is = |wanted: Fate| stage.fates.iter().map(|(_, fate)| *fate == wanted).collect();
    Applied { effects, won: is(Fate::Won), same: is(Fate::Unchanged) }
}
