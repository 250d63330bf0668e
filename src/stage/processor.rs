//! What a stage does, apart from how it is run: the trait that extractors, transformer and loader implement.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use thiserror::Error;

use crate::mailbox::{Message, Outgoing, TopicPartition};
use crate::records::{DeadReason, Topic};
use crate::supervision::Pulse;

use super::port::Port;

/// What a stage reads and how much at a time.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Topics to read.
    pub topics: Vec<Topic>,
    /// Topics it writes whose newest versions it must know: see [`Port::heads`].
    pub heads: Vec<Topic>,
    /// Most messages a batch. Larger: fewer transactions; smaller: less work in flight when the process dies.
    pub batch_max: usize,
    /// Consume, produce and commit in one transaction. The loader says no: its offsets live in the database.
    pub transactional: bool,
}

/// How one message ended. Every message taken ends in exactly one of these.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// It led to records (for the loader: to rows).
    Emitted(Vec<Outgoing>),
    /// Nothing new; the reason is from a closed set (metric label), such as `fresh`, `duplicate`, `older`.
    Superseded(&'static str),
    /// Given up: the stage publishes the dead letter with the offset.
    Dead(DeadReason),
    /// Given up, and the dead letter is already published: for the loader, which must publish before its own transaction.
    Buried(DeadReason),
}

/// What became of a batch: how the first `endings.len()` messages ended, in order, and why not all of them did.
#[derive(Debug, Default)]
pub struct Processed {
    /// One for each message from the first on. Shorter than the batch only when `wait` is set.
    pub endings: Vec<Ending>,
    /// The rest has to wait: the stage publishes what is finished, waits, and comes back with the rest.
    pub wait: Option<Wait>,
}

impl Processed {
    /// All messages are finished.
    pub fn all(endings: Vec<Ending>) -> Processed {
        Processed { endings, wait: None }
    }
}

/// The longest a stage sleeps before it looks again whether a wait is over: it may end early.
pub const LONGEST_STEP: Duration = Duration::from_secs(60);

/// A wait is not a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// For people, such as `spotify: rate limit`.
    pub reason: String,
    /// How long it lasts, as far as is known now: what the status tells. The next try comes after at most [`LONGEST_STEP`].
    pub pause: Duration,
}

/// Why a batch could not be worked on at all.
#[derive(Debug, Error)]
pub enum StageError {
    /// Something needed is away (broker, database, API quota): the actor waits, says so, and tries again.
    #[error("waiting: {}", .0.reason)]
    Wait(Wait),
    /// The partitions belong to somebody else now: drop the batch, poll on.
    #[error("no longer owned: {0}")]
    Revoked(String),
    /// A failure of the actor: the supervisor restarts it.
    #[error("{0:#}")]
    Failed(anyhow::Error),
    /// Nothing a restart can mend (wrong credentials, refused key): the supervisor gives up the child, not the process;
    /// the message says what to change.
    #[error("{0}")]
    Stop(String),
}

impl StageError {
    /// Wait for `pause` because of `reason`.
    pub fn wait(reason: impl Into<String>, pause: Duration) -> StageError {
        StageError::Wait(Wait { reason: reason.into(), pause })
    }
}

impl From<anyhow::Error> for StageError {
    fn from(error: anyhow::Error) -> StageError {
        StageError::Failed(error)
    }
}

/// What a processor may use while it works on a batch.
#[derive(Debug)]
pub struct StepContext<'a> {
    /// Signs of life, after each item; declared waits.
    pub pulse: &'a Pulse,
    /// The stage's mailbox session, for [`Port::heads`].
    pub port: &'a Port,
    /// Names this process in the records it writes.
    pub run_id: &'a str,
    /// Partitions of every topic.
    pub partitions: i32,
}

/// The work of one stage. Built anew for each incarnation of its actor, and only ever used by one task.
pub trait Processor {
    /// What it reads.
    fn subscription(&self) -> Subscription;

    /// Partitions were assigned: answers where to read on instead of at the committed offsets (the loader: where the
    /// database says), for those that differ.
    fn assigned<'a>(
        &'a mut self,
        _partitions: &'a [TopicPartition],
        _context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Vec<(TopicPartition, i64)>, StageError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Works on a batch, in order. On `Err` nothing of the batch counts as done.
    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>>;

    /// Gives up a message that killed the actor, without looking at it. A stage that keeps its place elsewhere than in the
    /// mailbox (the loader: in the database) moves it on here.
    fn bury<'a>(
        &'a mut self,
        _message: &'a Message,
        reason: DeadReason,
        _context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Ending, StageError>> {
        Box::pin(async { Ok(Ending::Dead(reason)) })
    }
}
