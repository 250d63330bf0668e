//! The database as files for other programs: pandas, DuckDB, R, a spreadsheet.
//!
//! A folder gets one file for each of the six tables and one more, `tracks`, with a row a song and everything known about it;
//! and `datapackage.json`, which tells types, units, keys and checksums in the terms of Frictionless Data
//! (<https://specs.frictionlessdata.io/tabular-data-package/>).
//!
//! **Guarantee.** All files show one state of the database, also beside a running service. Nothing bears its final name before
//! everything is written, and `datapackage.json` comes last: its checksums tell whole exports from mixed ones. Rows stream, so
//! that memory does not grow with the database. What a killed export leaves are hidden files that end in `.partial`.

mod csv;
mod datapackage;
mod file;
mod format;
mod jsonl;
mod parquet;

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;
use thiserror::Error;

use crate::store::relations::{RELATIONS, Relation, TRACKS, Value};
use crate::store::{Store, StoreError};
use file::Draft;
pub use format::Format;

/// Why an export failed; no file of it is left behind, and files of an earlier one are as they were.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The folder or a file in it.
    #[error("{0}")]
    Folder(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One file written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The table, or `tracks`.
    pub table: &'static str,
    /// Its name in the folder.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// A file in the making, row by row.
trait RowWriter {
    fn row(&mut self, row: &[Value]) -> std::io::Result<()>;

    /// Writes what is still held back.
    fn finish(&mut self) -> std::io::Result<()>;
}

/// Everything that is exported: the tables, parents before children, and the flat view.
pub fn relations() -> Vec<&'static Relation> {
    RELATIONS.iter().chain([&TRACKS]).collect()
}

/// Writes the database into `folder`, which is made when missing; `progress` hears of each row.
///
/// # Errors
/// See [`ExportError`].
pub fn export(
    store: &dyn Store,
    folder: &Path,
    format: Format,
    progress: &mut dyn FnMut(&'static Relation),
) -> Result<Vec<Exported>, ExportError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| ExportError::Folder(format!("{}: the folder cannot be made: {error}", folder.display())))?;
    let mut drafts = Vec::new();
    for relation in relations() {
        drafts.push((relation, Draft::new(folder, relation, format)?));
    }
    let mut failed = None;
    store.scan(&relations(), &mut |relation, row| {
        let draft = drafts.iter_mut().find(|(of, _)| of.name == relation.name);
        match draft.map_or(Ok(()), |(_, draft)| draft.row(row)) {
            Ok(()) => {
                progress(relation);
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let mut done = Vec::new();
    for (relation, draft) in drafts {
        done.push((relation, draft.finish()?));
    }
    let package = file::write_draft(folder, datapackage::NAME, &datapackage::describe(format, &done))?;
    let files = done.iter().map(|(_, written)| written.exported.clone()).collect();
    for (_, written) in done {
        written.publish()?;
    }
    package.publish()?;
    Ok(files)
}
