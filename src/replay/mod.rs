//! Replays: what stands in the topics is applied to the database once more.
//!
//! **Guarantee.** A replay disturbs nobody: it joins no consumer group, so that no committed offset and no ledger moves, and it
//! advances nothing in the database. It may run beside a live loader, twice at once, or be killed at any point: every row is
//! guarded by its version, and applying what is already there writes no row. It reads up to the ends as they were when it
//! began, and goes on where it was when it was interrupted.
//!
//! **Raw topics repair `music_transformed` too.** A raw record is transformed again; where its row is newer than the last one
//! under its key (a newer [`TRANSFORM_REVISION`](crate::records::TRANSFORM_REVISION), a record that was lost), the row is appended to `music_transformed` before it is written to the database. Otherwise the database would hold
//! what a later rebuild could not find. The rule of the transformer holds here as well: nothing is appended that is not newer,
//! so that the versions of a key only rise. What the transformer itself has not reached yet is applied to the database and
//! left to it to append: it keeps the newest versions in memory, and would append an older row after ours.
//!
//! **A rebuild** ([`rebuild()`]) makes the database a function of `music_transformed` alone. It is a loader into an empty database:
//! rows and progress move in the same transactions, so that an interrupted one goes on by itself. Where the database is not
//! empty, it is filled beside the live one and its rows then take the place of the old ones in one transaction (see
//! [`Store::adopt`](crate::store::Store::adopt)): a running service goes on, and so do views and grants.

mod apply;
mod checkpoint;
mod head;
mod pace;
pub mod plan;
mod rebuild;
mod records;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::mailbox::{Mailbox, MailboxError};
use crate::store::{Store, StoreError};
use crate::transform::Judge;

pub use self::plan::{Request, Span, Start};
pub use self::rebuild::rebuild;
pub use self::run::replay;

/// Why a replay ended early.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The request makes no sense: what was asked, what is there. Nothing was done.
    #[error("{0}")]
    Refused(String),
    /// The topics cannot be read or appended to.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// The database cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place to go on from cannot be kept.
    #[error("{0}")]
    Checkpoint(String),
}

/// What became of the records read from one topic: `read` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Of these: changed the database.
    pub applied: u64,
    /// Of these: say what is there already.
    pub unchanged: u64,
    /// Of these: older than what is there.
    pub superseded: u64,
    /// Of these: cannot be read; their stage put them into the dead letters.
    pub undecodable: u64,
    /// Of these: the database does not take them; their stage put them into the dead letters.
    pub refused: u64,
}

/// What a replay did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// By contract name of the topic.
    pub topics: BTreeMap<String, Counts>,
    /// Rows inserted, changed or removed.
    pub rows_changed: u64,
    /// Rows that `music_transformed` lacked and now has.
    pub appended: u64,
}

/// What is told while it runs.
#[derive(Debug)]
pub enum Event<'e> {
    /// It is known what there is to do: offsets in all, and how many of them an interrupted replay did already.
    Planned {
        /// Offsets from the first to the last. On Kafka more than there are records.
        offsets: u64,
        /// Done by the replay that this one goes on from.
        done: u64,
    },
    /// So many offsets were done.
    Done(u64),
    /// A line for the operator.
    Note(&'e str),
}

/// Receives [`Event`]s.
pub type Listener<'l> = &'l mut dyn FnMut(Event<'_>);

/// What a replay works with.
#[derive(Debug, Clone)]
pub struct Means {
    /// The topics.
    pub mailbox: Arc<dyn Mailbox>,
    /// The database.
    pub store: Arc<dyn Store>,
    /// Thresholds of the matches.
    pub judge: Judge,
    /// Names this process in the records it appends.
    pub run_id: String,
    /// Where the place to go on from is kept.
    pub data_dir: PathBuf,
    /// Most records a database transaction.
    pub batch_max: usize,
    /// Most records a second; `None`: as fast as it goes.
    pub rate: Option<u32>,
    /// Begin again, whatever an interrupted replay has done.
    pub restart: bool,
    /// Rebuild even where the database knows what `music_transformed` does not.
    pub accept_loss: bool,
}
