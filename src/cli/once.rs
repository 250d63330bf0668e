//! What `run --once` has enqueued and not yet finished.
//!
//! **Guarantee.** A run that was killed or stopped is finished by the next one, which does not ask for the same pages again: the
//! note is written after its queries are in the topic, and removed when all is worked off. It counts for `refresh_after`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::search::enqueue_all;
use crate::extract::options::QueryOptions;
use crate::records::now_micros;
use crate::service::Service;
use crate::service::progress::is_drained;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    enqueued_at: i64,
    queries: Vec<QueryOptions>,
}

/// Enqueues the configured queries, less those that an interrupted run has enqueued.
pub(super) fn begin(service: &Service) -> anyhow::Result<()> {
    let (config, path) = (service.config(), place(service));
    let since = now_micros().saturating_sub(config.refresh_after.as_micros());
    let mut note = Note { enqueued_at: now_micros(), queries: config.queries.clone() };
    let mut wanted = config.queries.clone();
    if let Some(interrupted) = read(&path).filter(|note| note.enqueued_at > since)
        && !is_drained(&*service.mailbox, &service.stages())?
    {
        slog_scope::info!("Going on with a run that was interrupted."; "queries" => interrupted.queries.len());
        wanted.retain(|query| !interrupted.queries.contains(query));
        note.enqueued_at = interrupted.enqueued_at;
    }
    enqueue_all(service, &wanted)?;
    write(&path, &note).with_context(|| format!("{} cannot be written", path.display()))
}

/// All is worked off: the next run is a new one.
pub(super) fn finished(service: &Service) {
    // What cannot be removed is found to be worked off by the next run.
    let _ = std::fs::remove_file(place(service));
}

fn place(service: &Service) -> PathBuf {
    service.config().data_dir.join("once.json")
}

/// A damaged note counts as none: then pages are asked for again, and nothing is lost.
fn read(path: &Path) -> Option<Note> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write(path: &Path, note: &Note) -> std::io::Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, serde_json::to_vec(note)?)?;
    std::fs::rename(part, path)
}
