//! Where an interrupted replay goes on: a small file in the data directory, named after what is replayed.
//!
//! It may lag behind what was done (a record more is applied once more, which changes nothing), never run ahead of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::plan::Span;
use super::{ReplayError, Report};

/// Between two writes: longer does more again after a kill, shorter writes more.
const EVERY: Duration = Duration::from_millis(250);

/// A checkpoint this long untouched is forgotten: the topics have moved on, and the same words mean other records now.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is left to do, and what was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The replay this belongs to, in words.
    pub(super) words: String,
    /// What is left of the plan made when it began.
    pub(super) spans: Vec<Span>,
    /// Offsets of the whole plan.
    pub(super) offsets: u64,
    /// What was done.
    pub(super) report: Report,
    /// Rows that the database had by then, if not more.
    pub(super) rows: i64,
}

/// The file of one replay.
#[derive(Debug)]
pub(super) struct Shelf {
    path: PathBuf,
    written: Option<Instant>,
}

impl Shelf {
    /// The file for the replay described by `words`, which name everything it depends on.
    pub(super) fn of(dir: &Path, words: &str) -> Shelf {
        let digest = Sha256::digest(words.as_bytes());
        let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Shelf { path: dir.join(format!("replay-{name}.json")), written: None }
    }

    /// What an interrupted replay left; `None` when there is none, or when it is stale or cannot be read.
    pub(super) fn load(&self, words: &str) -> Option<Checkpoint> {
        let written = std::fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok()?;
        if written.elapsed().is_ok_and(|age| age > STALE) {
            return None;
        }
        let text = std::fs::read(&self.path).ok()?;
        serde_json::from_slice::<Checkpoint>(&text).ok().filter(|found| found.words == words)
    }

    /// Whether it is time to keep a checkpoint.
    pub(super) fn is_due(&self) -> bool {
        self.written.is_none_or(|written| written.elapsed() >= EVERY)
    }

    /// Keeps `checkpoint` if it is time to.
    pub(super) fn keep(&mut self, checkpoint: &Checkpoint) -> Result<(), ReplayError> {
        if !self.is_due() {
            return Ok(());
        }
        self.written = Some(Instant::now());
        // Renamed when complete: a kill leaves the old or the new one.
        let fresh = self.path.with_extension("tmp");
        let text = serde_json::to_vec(checkpoint).map_err(|error| ReplayError::Checkpoint(error.to_string()))?;
        std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &self.path)).map_err(|error| self.trouble(&error))
    }

    /// It is done, or begins again.
    pub(super) fn clear(&self) -> Result<(), ReplayError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.trouble(&error)),
            _ => Ok(()),
        }
    }

    fn trouble(&self, error: &std::io::Error) -> ReplayError {
        ReplayError::Checkpoint(format!("{}: {error}", self.path.display()))
    }
}
