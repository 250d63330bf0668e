//! The database: schema, migrations, and the only place that speaks SQL.
//!
//! **Guarantee.** [`Store::apply`] writes rows, the next offset and the ledger of a batch in one transaction, guarded by the
//! ownership epoch that [`Store::claim`] gave: a loader that lost its partition writes nothing. What is written depends only on
//! the *set* of records ever applied, not on order, repetition or batching; applying what is already there writes no row.
//!
//! One trait, two back ends (PostgreSQL and SQLite) that share the merge text; all calls block.

mod backend;
mod beside;
mod check;
mod database;
mod digest;
mod errors;
mod known;
mod merge;
mod migrations;
mod options;
mod postgres;
mod progress;
pub mod relations;
pub mod schema;
mod sqlite;
mod statement;
mod summary;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use crate::mailbox::{Ledger, TopicPartition};
use crate::records::{Row, Version};

pub use options::{StoreOptions, secrets};
use relations::{Relation, Value};

/// The six tables of the contract, parents before children.
pub const TABLES: [&str; 6] = ["artists", "albums", "songs", "song_audio_features", "genres", "artist_genres"];

/// Why a store call failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Unreachable, out of connections, read-only, full, deadlocked or timed out: wait and try the same again.
    #[error("{0}")]
    Unavailable(String),
    /// The data itself is refused (constraint, encoding): trying again will not help, smaller batches find the offender.
    #[error("{0}")]
    Data(String),
    /// Another loader owns the partition now, or the offsets have a gap: claim again.
    #[error("{0}")]
    Fenced(String),
    /// Wrong schema, wrong credentials, wrong URL: a person has to act; says what.
    #[error("{0}")]
    Setup(String),
}

/// One record to apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The partition it came from: its ledger counts whether the change won.
    pub at: TopicPartition,
    /// The row.
    pub row: Row,
    /// Its version, in the total order of all observations of its key.
    pub version: Version,
}

/// The loader's claim on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The partition.
    pub at: TopicPartition,
    /// Raised by each claim: writes of an older epoch are refused.
    pub epoch: i64,
    /// The next offset to read; `None` when this partition was never loaded.
    pub next_offset: Option<i64>,
}

/// A step of a partition's progress: written only if the database still stands at `from` with this epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// The partition.
    pub at: TopicPartition,
    /// The claim's epoch.
    pub epoch: i64,
    /// Where the database must stand: `None` for a partition never loaded.
    pub from: Option<i64>,
    /// Where it stands afterwards.
    pub to: i64,
    /// What to add to the ledger: messages consumed and dead-lettered. `apply` itself adds the partition's changes to
    /// `emitted` (won) or `superseded` (older, or already there), so that the ledger stays balanced.
    pub counts: Ledger,
}

/// What applying did to a table's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// New rows, stubs included.
    pub inserted: u64,
    /// Rows changed; of `genres` and `artist_genres`: changed or removed.
    pub updated: u64,
    /// Records that said what the row already says: same version.
    pub unchanged: u64,
    /// Records older than the row.
    pub superseded: u64,
}

/// What [`Store::apply`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// By table: those of [`TABLES`] and `source_misses` that the changes are about.
    pub effects: BTreeMap<&'static str, Effect>,
    /// For each change, in order: did it win (true: it is what the row now says by its source; false: superseded or already there)?
    pub won: Vec<bool>,
    /// For each change, in order: is it what the row said already, by the same version?
    pub same: Vec<bool>,
}

impl Applied {
    /// Rows inserted, changed or removed.
    pub fn rows_changed(&self) -> u64 {
        self.effects.values().map(|effect| effect.inserted + effect.updated).sum()
    }
}

/// What is known about one entity from one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// When the source last answered, with data or without: microseconds since the Unix epoch.
    pub observed_at: i64,
    /// For `audio`: version of the analysis; else 0.
    pub features_version: i32,
}

/// A question to [`Store::known`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KnownKey {
    /// What is asked about.
    pub source: KnownSource,
    /// Spotify id of the artist or song.
    pub id: String,
}

/// The sources whose freshness decides whether an API is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KnownSource {
    /// Spotify profile of an artist.
    ArtistProfile,
    /// Last.fm figures of an artist (or a miss).
    ArtistListeners,
    /// Last.fm figures of a song (or a miss).
    SongListeners,
    /// Audio features of a song (or a miss).
    SongAudio,
}

/// The state of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// Migrations applied by this call.
    pub applied: Vec<String>,
    /// Migrations that were already there.
    pub present: usize,
}

/// A finding of [`Store::check`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Table.
    pub table: String,
    /// What is wrong, with an example key.
    pub problem: String,
    /// How many rows.
    pub rows: i64,
    /// Normal, and only worth knowing (a stub whose source was not heard yet): not a fault.
    pub information: bool,
}

/// What a source said about a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observation {
    /// Table.
    pub table: &'static str,
    /// Its primary key; the parts of one of several columns with `/` between them.
    pub key: String,
    /// The source: `track`, `profile`, `lastfm` or `audio`; `miss` for what a source did not know.
    pub source: &'static str,
    /// When the source was asked: microseconds since the Unix epoch.
    pub observed_at: i64,
    /// Tells observations of the same moment apart.
    pub tiebreak: i64,
}

/// The database behind the loader and the operator's commands. All calls block.
pub trait Store: Send + Sync + fmt::Debug {
    /// `sqlite:PATH` or `postgres://host/database`, without secrets.
    fn describe(&self) -> String;

    /// Brings the schema up to date, under a lock: several processes may call it at once.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn migrate(&self) -> Result<MigrationReport, StoreError>;

    /// Notes that the loader's offsets are those of this mailbox, see [`crate::mailbox::Mailbox::identity`]. Answers `true` if they were
    /// of another one, or are `beyond` the ends of this one because it was put back to an earlier state: then they are forgotten,
    /// and the loader begins anew. To be called before anything is claimed.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn recognise(&self, identity: &str, beyond: &[TopicPartition]) -> Result<bool, StoreError> {
        let _ = (identity, beyond);
        Ok(false)
    }

    /// Takes over partitions: raises their epochs and says where to read on.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn claim(&self, partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError>;

    /// Applies changes and advances, in one transaction.
    ///
    /// # Errors
    /// See [`StoreError`]. After an error nothing is written.
    fn apply(&self, changes: &[Change], advances: &[Advance]) -> Result<Applied, StoreError>;

    /// When each source was last heard about each entity; entities never heard of are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn known(&self, keys: &[KnownKey]) -> Result<BTreeMap<KnownKey, Known>, StoreError>;

    /// The loader's ledger by partition.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn ledger(&self) -> Result<Vec<(Claim, Ledger)>, StoreError>;

    /// Rows by table of [`TABLES`].
    ///
    /// # Errors
    /// See [`StoreError`].
    fn row_counts(&self) -> Result<BTreeMap<String, i64>, StoreError>;

    /// SHA-256 (hex) of a canonical dump of the six tables, the same for the same content on both back ends: rows in key
    /// order, genre names in place of genre ids, audit columns and observation versions left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn digest(&self) -> Result<String, StoreError>;

    /// The canonical dump itself, line by line.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn dump(&self, line: &mut dyn FnMut(&str)) -> Result<(), StoreError>;

    /// Visits the rows of `relations`, one relation after the other, until `visit` breaks.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn scan(
        &self,
        relations: &[&'static Relation],
        visit: &mut dyn FnMut(&'static Relation, &[Value]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let _ = (relations, visit);
        Err(StoreError::Setup(format!("{}: cannot be read as a whole", self.describe())))
    }

    /// Referential and range checks beyond the constraints.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn check(&self) -> Result<Vec<Finding>, StoreError>;

    /// Figures for a summary.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn summary(&self) -> Result<Summary, StoreError>;

    /// A database beside this one, to be filled while this one stays in use: an empty one, or what an unfinished rebuild
    /// left there. Its tables are not made yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn beside(&self) -> Result<Arc<dyn Store>, StoreError> {
        Err(StoreError::Setup(format!("{}: nothing can be built beside it", self.describe())))
    }

    /// What this database was told and the one beside it was not, by key, at most `limit`: a rebuild would lose it.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn lacking_beside(&self, limit: usize) -> Result<Vec<Observation>, StoreError> {
        let _ = limit;
        Err(StoreError::Setup(format!("{}: nothing was built beside it", self.describe())))
    }

    /// Puts the rows and the loader's progress of the database beside in the place of this one's, in one transaction. The
    /// epochs rise above both, so that a loader that was at work here claims anew and goes on where the other one stands.
    ///
    /// # Errors
    /// See [`StoreError`]. After an error nothing has changed.
    fn adopt(&self) -> Result<(), StoreError> {
        Err(StoreError::Setup(format!("{}: nothing was built beside it", self.describe())))
    }

    /// Removes the database beside, if there is one.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn discard_beside(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Opens the store at `url` with the usual settings, see [`open`].
///
/// # Errors
/// See [`open`].
pub fn open_store(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    open(&StoreOptions::new(url))
}

/// Opens a store. Connects when it is first used: a database that is down is waited for, and no reason not to start.
///
/// # Errors
/// [`StoreError::Setup`] when the URL is neither `sqlite:PATH` nor `postgres://HOST/DATABASE`.
pub fn open(options: &StoreOptions) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match options::target(&options.url)? {
        options::Target::Sqlite(path) => Arc::new(sqlite::open(path, options)?),
        options::Target::Postgres => Arc::new(postgres::open(options)),
    })
}

/// Figures for a person.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Artists with the most Last.fm listeners, then the most songs: name, listeners, songs. At most ten.
    pub top_artists: Vec<(String, Option<i64>, i64)>,
    /// Songs by tempo: lower edge of each 10 BPM bin with at least one song, and how many.
    pub bpm_histogram: Vec<(i32, i64)>,
    /// Songs by key, such as `A minor`.
    pub keys: Vec<(String, i64)>,
}
