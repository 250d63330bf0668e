//! Where the runs of one thread keep their files: in memory where the system has such a file system.
//!
//! The databases are emptied between runs instead of made anew, and the mailbox is copied from an empty one: most of a run's
//! time would be spent on making tables otherwise.

use std::path::Path;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use reprise::mailbox::{EmbeddedMailbox, EmbeddedOptions, Mailbox};
use reprise::observe::Metrics;
use reprise::records::TopicNames;
use reprise::store::{Store, StoreOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::catalogue::PARTITIONS;

const MEMORY: &str = "/dev/shm";

const EMPTY: &str = "BEGIN; DELETE FROM artist_genres; DELETE FROM genres; DELETE FROM song_audio_features; DELETE FROM songs; \
    DELETE FROM albums; DELETE FROM artists; DELETE FROM source_misses; DELETE FROM loader_progress; \
    DELETE FROM sqlite_sequence; COMMIT;";

/// A database and a second connection to it.
pub struct Place {
    /// The real store.
    pub store: Arc<dyn Store>,
    aside: SqliteConnection,
}

/// See the module.
pub struct Site {
    folder: TempDir,
    /// Runs the steps.
    pub runtime: Runtime,
    /// Shared by all runs: making them costs more than a step.
    pub metrics: Metrics,
    /// The database that is loaded.
    pub main: Place,
    /// The one that is built again from the compacted topic.
    pub rebuilt: Place,
}

impl Site {
    /// A place for one thread.
    pub fn new() -> anyhow::Result<Site> {
        let folder = if Path::new(MEMORY).is_dir() { TempDir::new_in(MEMORY)? } else { TempDir::new()? };
        let empty = open_mailbox(&folder.path().join("empty"))?;
        empty.create_topics(PARTITIONS)?;
        drop(empty);
        let (main, rebuilt) = (place(&folder, "main.db")?, place(&folder, "rebuilt.db")?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build()?;
        Ok(Site { folder, runtime, metrics: Metrics::new(), main, rebuilt })
    }

    /// Empty databases and an empty mailbox.
    pub fn reset(&mut self) -> anyhow::Result<Arc<EmbeddedMailbox>> {
        self.main.aside.batch_execute(EMPTY)?;
        self.rebuilt.aside.batch_execute(EMPTY)?;
        let dir = self.folder.path().join("mailbox");
        if dir.is_dir() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir(&dir)?;
        std::fs::copy(self.folder.path().join("empty/mailbox.db"), dir.join("mailbox.db"))?;
        self.open_mailbox()
    }

    /// The mailbox as it stands, as a process that starts finds it.
    pub fn open_mailbox(&self) -> anyhow::Result<Arc<EmbeddedMailbox>> {
        open_mailbox(&self.folder.path().join("mailbox"))
    }
}

fn open_mailbox(dir: &Path) -> anyhow::Result<Arc<EmbeddedMailbox>> {
    let options = EmbeddedOptions { dir: dir.to_owned(), names: TopicNames::default() };
    Ok(Arc::new(EmbeddedMailbox::open(options)?))
}

fn place(folder: &TempDir, name: &str) -> anyhow::Result<Place> {
    let path = folder.path().join(name).display().to_string();
    let store = reprise::store::open(&StoreOptions { pool_size: 1, ..StoreOptions::new(format!("sqlite:{path}")) })?;
    store.migrate()?;
    let mut aside = SqliteConnection::establish(&path)?;
    aside.batch_execute("PRAGMA busy_timeout = 10000")?;
    Ok(Place { store, aside })
}

#[derive(QueryableByName)]
struct Seen {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

impl Place {
    /// A number that moves when the store writes anything at all.
    pub fn writes(&mut self) -> anyhow::Result<i64> {
        Ok(sql_query("PRAGMA data_version").get_result::<Seen>(&mut self.aside)?.data_version)
    }

    /// The canonical dump.
    pub fn dump(&self) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        self.store.dump(&mut |line| lines.push(line.to_owned()))?;
        Ok(lines)
    }
}
