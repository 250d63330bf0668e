//! A file that bears its name only when everything is written.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{ExportError, Exported, Format, RowWriter};
use crate::store::relations::{Relation, Value};

/// What has gone into a file so far.
#[derive(Debug, Default)]
struct Tally {
    bytes: u64,
    hash: Sha256,
}

/// The file, counted and hashed on the way.
pub(super) struct Sink {
    file: File,
    tally: Arc<Mutex<Tally>>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let mut tally = self.tally.lock();
        tally.hash.update(bytes.get(..written).unwrap_or(bytes));
        tally.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes its file unless it was published.
struct Hidden {
    path: PathBuf,
    target: PathBuf,
}

impl Hidden {
    fn new(folder: &Path, name: &str) -> Hidden {
        // The process's own: two exports into one folder do not write into each other's files.
        let hidden = format!(".{name}.{}.partial", std::process::id());
        Hidden { path: folder.join(hidden), target: folder.join(name) }
    }

    fn create(&self) -> io::Result<File> {
        File::create(&self.path)
    }

    fn failed(&self, error: &io::Error) -> ExportError {
        ExportError::Folder(format!("{}: cannot be written: {error}", self.target.display()))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Gone already where it was published.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A table's file in the making.
pub(super) struct Draft {
    hidden: Hidden,
    writer: Box<dyn RowWriter>,
    file: File,
    tally: Arc<Mutex<Tally>>,
    table: &'static str,
    rows: u64,
}

impl Draft {
    pub(super) fn new(folder: &Path, relation: &'static Relation, format: Format) -> Result<Draft, ExportError> {
        let hidden = Hidden::new(folder, &format!("{}.{}", relation.name, format.extension()));
        let tally = Arc::new(Mutex::new(Tally::default()));
        let start = || {
            let file = hidden.create()?;
            let sink = Sink { file: file.try_clone()?, tally: Arc::clone(&tally) };
            Ok((file, format.writer(relation, BufWriter::new(sink))?))
        };
        let (file, writer) = start().map_err(|error| hidden.failed(&error))?;
        Ok(Draft { hidden, writer, file, tally, table: relation.name, rows: 0 })
    }

    pub(super) fn row(&mut self, row: &[Value]) -> Result<(), ExportError> {
        self.rows += 1;
        self.writer.row(row).map_err(|error| self.hidden.failed(&error))
    }

    pub(super) fn finish(mut self) -> Result<Written, ExportError> {
        self.writer.finish().and_then(|()| self.file.sync_all()).map_err(|error| self.hidden.failed(&error))?;
        let tally = self.tally.lock();
        let sha256 = tally.hash.clone().finalize().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let file = self.hidden.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let exported = Exported { table: self.table, file, rows: self.rows, bytes: tally.bytes, sha256 };
        drop(tally);
        Ok(Written { hidden: self.hidden, exported })
    }
}

/// A table's file, whole but not yet under its name.
pub(super) struct Written {
    hidden: Hidden,
    pub(super) exported: Exported,
}

impl Written {
    pub(super) fn publish(self) -> Result<(), ExportError> {
        publish(&self.hidden)
    }
}

/// A small file, whole but not yet under its name.
pub(super) struct Text(Hidden);

impl Text {
    pub(super) fn publish(self) -> Result<(), ExportError> {
        publish(&self.0)
    }
}

pub(super) fn write_draft(folder: &Path, name: &str, text: &str) -> Result<Text, ExportError> {
    let hidden = Hidden::new(folder, name);
    let write = || {
        let mut file = hidden.create()?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| hidden.failed(&error))?;
    Ok(Text(hidden))
}

fn publish(hidden: &Hidden) -> Result<(), ExportError> {
    std::fs::rename(&hidden.path, &hidden.target).map_err(|error| hidden.failed(&error))
}
