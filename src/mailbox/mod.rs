//! Durable topics between actor groups.
//!
//! **Guarantee.** What [`Session::publish`] confirms is durable: the records it appended, the offsets it committed and the
//! ledger beside them become visible together or not at all. A session that lost its partitions or was replaced by a newer
//! one publishes nothing.
//!
//! Two implementations pass one conformance suite (`tests/mailbox.rs`): [`kafka`] (any cluster that speaks Kafka's protocol)
//! and [`embedded`] (an append-only log in SQLite, one process, no server).
//!
//! A [`Mailbox`] is shared and cheap to clone behind an `Arc`; a [`Session`] belongs to one stage and one thread, because
//! all of its calls block. A session is consumer and producer in one, so that consume, produce and commit can be atomic.

pub mod dead_letters;
pub mod embedded;
mod instance;
pub mod kafka;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::records::{Envelope, Record, RecordError, Retention, Topic, Version};

pub use self::embedded::{EmbeddedMailbox, EmbeddedOptions};
pub use self::instance::{InstanceLock, InstanceSlot, instance_name};
pub use self::kafka::{KafkaMailbox, KafkaOptions};

/// A partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Topic,
    /// Its partition, from 0.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic.default_name(), self.partition)
    }
}

/// A message as it stands in a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where it stands.
    pub at: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// Its key; empty for none.
    pub key: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// When it was appended: microseconds since the Unix epoch.
    pub appended_at: i64,
    /// The version its writer gave it, if any (header `version`).
    pub version: Option<Version>,
}

/// A message to append.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Where to.
    pub at: TopicPartition,
    /// Key: what the record is about.
    pub key: String,
    /// Bytes.
    pub payload: Vec<u8>,
    /// The version of the observation, kept as header `version` and answered by [`Session::heads`].
    pub version: Option<Version>,
}

impl Outgoing {
    /// A record for its topic. `partition` is the input message's own number, or [`crate::records::partition_of`] its primary
    /// artist where a stage starts a chain; `revision` is 0 for raw records.
    ///
    /// # Errors
    /// As [`Envelope::to_json`], and when it is larger than any topic takes.
    pub fn record<T: Record>(envelope: &Envelope<T>, partition: i32, revision: u16) -> Result<Outgoing, RecordError> {
        let (key, payload) = (envelope.body.key(), envelope.to_json()?);
        let (bytes, limit) = (key.len() + payload.len(), most_bytes(T::TOPIC));
        if bytes > limit {
            return Err(RecordError::too_large(T::TOPIC, &key, bytes, limit));
        }
        let version = Some(envelope.version(revision)?);
        Ok(Outgoing { at: TopicPartition { topic: T::TOPIC, partition }, key, payload, version })
    }
}

/// Most bytes of a record, key included: below Kafka's default limit for a batch, with room for its framing.
pub const MAX_RECORD_BYTES: usize = 950_000;
/// Most bytes of a dead letter, which quotes a whole record in base64.
pub const MAX_DEAD_LETTER_BYTES: usize = 2_000_000;

fn most_bytes(topic: Topic) -> usize {
    if topic == Topic::MusicDeadLetters { MAX_DEAD_LETTER_BYTES } else { MAX_RECORD_BYTES }
}

/// Refuses a record that no broker would take: the same limits everywhere, so that nothing works embedded that fails on a
/// cluster.
fn check_record(record: &Outgoing) -> Result<(), MailboxError> {
    let limit = most_bytes(record.at.topic);
    let bytes = record.key.len() + record.payload.len();
    if record.key.is_empty() && record.at.topic.retention() == Retention::Compact {
        return Err(MailboxError::Invalid(format!("a record for {} has no key: a compacted topic needs one", record.at)));
    }
    if bytes <= limit {
        return Ok(());
    }
    let (at, key) = (record.at, &record.key);
    Err(MailboxError::Invalid(format!("the record {key:.80} for {at} has {bytes} bytes; the most a topic takes is {limit}")))
}

/// What became of the messages of one partition, counted since the consumer group first read it. Committed with the offset,
/// in the same transaction, so that the counts survive whatever the process does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Messages taken.
    pub consumed: u64,
    /// Of these: led to at least one record (for the loader: to rows).
    pub emitted: u64,
    /// Of these: nothing new (fresh, duplicate, older than what is known).
    pub superseded: u64,
    /// Of these: given up, with a reason.
    pub dead_lettered: u64,
    /// Records appended to other topics; not part of the balance.
    pub produced: u64,
}

impl Ledger {
    /// Every message taken ended in exactly one way.
    pub fn is_balanced(&self) -> bool {
        self.consumed == self.emitted + self.superseded + self.dead_lettered
    }

    /// Adds what another ledger counted.
    pub fn add(&mut self, other: &Ledger) {
        self.consumed += other.consumed;
        self.emitted += other.emitted;
        self.superseded += other.superseded;
        self.dead_lettered += other.dead_lettered;
        self.produced += other.produced;
    }
}

/// How far a partition has been worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The partition.
    pub at: TopicPartition,
    /// The next offset to read: one above the last finished message. Never beyond an unfinished one.
    pub next_offset: i64,
    /// What to add to the group's ledger of this partition.
    pub counts: Ledger,
}

/// What a consumer group has committed for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The partition.
    pub at: TopicPartition,
    /// The next offset to read.
    pub next_offset: i64,
    /// The group's ledger of this partition.
    pub ledger: Ledger,
}

/// The ends of a partition and where a group stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The partition.
    pub at: TopicPartition,
    /// The first offset still kept.
    pub low: i64,
    /// One above the last offset that `read_committed` readers may see.
    pub high: i64,
}

/// What a poll brought. Ownership changes come before the messages they allow.
#[derive(Debug, Default)]
pub struct Polled {
    /// Partitions this session owns from now on. Their messages come with later polls, so that the caller can
    /// [`Session::seek`] first.
    pub assigned: Vec<TopicPartition>,
    /// Partitions it no longer owns: unpublished work on them is another session's now.
    pub revoked: Vec<TopicPartition>,
    /// Messages in offset order within each partition.
    pub messages: Vec<Message>,
}

/// Who reads what, and how.
#[derive(Debug, Clone)]
pub struct SessionSpec {
    /// Consumer group, such as `reprise.tracks`.
    pub group: String,
    /// Topics to read. May be empty for a session that only publishes.
    pub topics: Vec<Topic>,
    /// Topics whose newest version by key [`Session::heads`] must know, for the partitions owned.
    pub heads: Vec<Topic>,
    /// Stable name of this process among the instances of the deployment: makes the transactional id and the group
    /// instance id, so that a restarted process fences its predecessor at once.
    pub instance: String,
    /// Publish in transactions that include the offsets. Without, records are confirmed first and offsets committed after
    /// (at least once): for the loader, whose offsets live in the database.
    pub transactional: bool,
    /// Retention waits until this group has finished a message. Kafka's never waits for anybody.
    pub retains: bool,
}

/// Why a mailbox call failed.
#[derive(Debug, Error)]
pub enum MailboxError {
    /// The broker or the log cannot be reached, is full or read-only: wait and try again.
    #[error("{0}")]
    Unavailable(String),
    /// The partition belongs to somebody else now: drop the work, poll on.
    #[error("no longer owned: {0}")]
    Revoked(String),
    /// A newer session took this one's place: close this one.
    #[error("fenced off by a newer session: {0}")]
    Fenced(String),
    /// The log is damaged: what was found, where, and what to do.
    #[error("{0}")]
    Corrupt(String),
    /// The request makes no sense (a topic that does not exist, an offset out of range): what was asked, what is there.
    #[error("{0}")]
    Invalid(String),
    /// Anything else; the session must be closed and opened again.
    #[error("{0}")]
    Failed(String),
}

/// One stage's consumer and producer. All calls block; use it from one thread. Dropping it leaves the group.
pub trait Session: Send {
    /// Up to `max` messages, waiting up to `wait` for the first. Also reports ownership changes.
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, MailboxError>;

    /// Keeps the membership alive while the caller works on a batch; returns at once. Ownership changes it notices are
    /// reported by the next [`Session::poll`].
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn idle(&mut self) -> Result<(), MailboxError>;

    /// Reads on from `next_offset` instead of the committed offset.
    ///
    /// # Errors
    /// [`MailboxError::Invalid`] when the offset is beyond the end or before the first kept one; [`MailboxError::Revoked`].
    fn seek(&mut self, at: TopicPartition, next_offset: i64) -> Result<(), MailboxError>;

    /// Appends `records` and commits `progress`, atomically when the session is transactional.
    ///
    /// # Errors
    /// After any error nothing of the publication is visible and the caller must [`Session::rewind`] or close;
    /// non-transactional sessions may leave records behind (at least once), never offsets.
    fn publish(&mut self, records: &[Outgoing], progress: &[Progress]) -> Result<(), MailboxError>;

    /// Goes back to the last committed offsets of the partitions owned, forgetting what was fetched since.
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn rewind(&mut self) -> Result<(), MailboxError>;

    /// The version of the last record under each key in an owned partition of a [`SessionSpec::heads`] topic.
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn heads(&mut self, at: TopicPartition, keys: &[String]) -> Result<Vec<Option<Version>>, MailboxError>;

    /// Messages waiting for this session by owned partition: the end of what it may read, less its position.
    fn lag(&self) -> Vec<(TopicPartition, u64)>;
}

/// The durable topics of a deployment.
pub trait Mailbox: Send + Sync + fmt::Debug {
    /// `kafka` or `embedded`, with its address.
    fn describe(&self) -> String;

    /// Tells these topics from others that have stood, or will stand, in the same place: offsets of one mean nothing in the other.
    /// `None` where that cannot be told.
    fn identity(&self) -> Option<String> {
        None
    }

    /// Creates missing topics with `partitions` partitions and their retention, and reports what exists otherwise than wanted.
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn create_topics(&self, partitions: i32) -> Result<Vec<TopicReport>, MailboxError>;

    /// How many partitions each topic has.
    ///
    /// # Errors
    /// [`MailboxError::Invalid`] when the topics do not exist yet.
    fn partitions(&self) -> Result<i32, MailboxError>;

    /// Opens a session.
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn open(&self, spec: &SessionSpec) -> Result<Box<dyn Session>, MailboxError>;

    /// First and last offsets of every partition of `topic`.
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn watermarks(&self, topic: Topic) -> Result<Vec<Watermarks>, MailboxError>;

    /// As [`Mailbox::watermarks`], as soon as everything that was written to the partition before this call is committed or undone:
    /// for those who must not miss a message that somebody was about to commit.
    ///
    /// # Errors
    /// See [`MailboxError`]. [`MailboxError::Unavailable`] when a transaction stays open.
    fn settled(&self, at: TopicPartition) -> Result<Watermarks, MailboxError> {
        // Where nothing is written before it is committed.
        let known = self.watermarks(at.topic)?.into_iter().find(|ends| ends.at == at);
        known.ok_or_else(|| MailboxError::Invalid(format!("there is no partition {at}")))
    }

    /// What `group` has committed for `topics`: partitions without a commit are left out.
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn committed(&self, group: &str, topics: &[Topic]) -> Result<Vec<Committed>, MailboxError>;

    /// Messages of one partition from `from` on, at most `max`, without joining any group: for the operator's commands.
    ///
    /// # Errors
    /// [`MailboxError::Invalid`] when `from` is out of range.
    fn read(&self, at: TopicPartition, from: i64, max: usize) -> Result<Vec<Message>, MailboxError>;

    /// The first offset of each partition of `topic` whose message was appended at or after `time` (microseconds since the
    /// Unix epoch); the end where there is none.
    ///
    /// # Errors
    /// See [`MailboxError`].
    fn offsets_at(&self, topic: Topic, time: i64) -> Result<Vec<(TopicPartition, i64)>, MailboxError>;
}

/// What [`Mailbox::create_topics`] found or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicReport {
    /// Name in this deployment.
    pub topic: String,
    /// Made by this call.
    pub created: bool,
    /// Partitions it has.
    pub partitions: i32,
    /// What differs from what is wanted, and what to do about it; empty if all is well.
    pub warnings: Vec<String>,
}
