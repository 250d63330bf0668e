//! Putting a repaired file in the place of the damaged one.
//!
//! **Guarantee.** A kill at any moment leaves either the damaged file, or an exchange that whoever opens the log next brings to
//! its end before anything else: never an empty log, and never one file with the write-ahead log of the other. What was lost is
//! on disk before the exchange begins.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::damage::beside;
use super::repair::Repaired;
use crate::mailbox::MailboxError;

/// What an SQLite database consists of, the file itself last.
pub(super) const PARTS: [&str; 3] = ["-wal", "-shm", ""];
/// A repaired file that is complete, before it takes its place. What follows names the repair.
const READY: &str = ".repaired-";

/// Where the damaged file goes in the repair called `stamp`.
pub(super) fn damaged_copy(path: &Path, stamp: i64) -> PathBuf {
    beside(path, &format!(".damaged-{stamp}"))
}

/// Where the report of that repair stands.
fn report_of(path: &Path, stamp: i64) -> PathBuf {
    beside(&damaged_copy(path, stamp), ".report.json")
}

/// Makes `fresh` ready to take the place of `path`. From here on the exchange is brought to its end, whoever does it.
pub(super) fn prepare(path: &Path, fresh: &Path, stamp: i64, report: &Repaired) -> Result<(), MailboxError> {
    let place = report_of(path, stamp);
    let refused = |error: io::Error| MailboxError::Unavailable(format!("{}: cannot be written: {error}", place.display()));
    let text = serde_json::to_vec_pretty(report).map_err(|error| refused(error.into()))?;
    std::fs::write(&place, text).and_then(|()| File::open(&place)?.sync_all()).map_err(refused)?;
    rename(fresh, &beside(path, &format!("{READY}{stamp}")))?;
    sync_folder(path)
}

/// Brings an exchange to its end that was prepared; answers what that repair had found.
///
/// For whoever is alone with the file, and before it is opened.
pub(super) fn finish(path: &Path) -> Result<Option<Repaired>, MailboxError> {
    let Some((stamp, ready)) = pending(path)? else { return Ok(None) };
    // The write-ahead log belongs to the damaged file: applied to the new one it would damage that too.
    for part in PARTS {
        rename(&beside(path, part), &beside(&damaged_copy(path, stamp), part))?;
    }
    rename(&ready, path)?;
    sync_folder(path)?;
    let place = report_of(path, stamp);
    let report = std::fs::read(&place).and_then(|text| Ok(serde_json::from_slice(&text)?));
    report.map(Some).map_err(|error| MailboxError::Unavailable(format!("{}: cannot be read: {error}", place.display())))
}

fn pending(path: &Path) -> Result<Option<(i64, PathBuf)>, MailboxError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let start = format!("{}{READY}", name.to_string_lossy());
    let refused = |error: io::Error| MailboxError::Unavailable(format!("{}: cannot be read: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let found = entry.map_err(refused)?.file_name();
        if let Some(stamp) = found.to_str().and_then(|found| found.strip_prefix(&start)?.parse().ok()) {
            return Ok(Some((stamp, folder.join(found))));
        }
    }
    Ok(None)
}

/// A rename is kept through a loss of power only once its folder is on disk.
fn sync_folder(path: &Path) -> Result<(), MailboxError> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| MailboxError::Unavailable(format!("{}: cannot be synced: {error}", folder.display())))
}

fn rename(from: &Path, to: &Path) -> Result<(), MailboxError> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(MailboxError::Unavailable(format!("{}: cannot be renamed to {}: {error}", from.display(), to.display())))
        }
        _ => Ok(()),
    }
}
