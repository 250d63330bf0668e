//! The Kafka mailbox: any cluster that speaks Kafka's protocol, through librdkafka.
//!
//! **Guarantee.** As every mailbox (see [`crate::mailbox`]). A transactional session appends its records and commits its offsets
//! in one Kafka transaction under a stable transactional id, so that a restarted process fences its predecessor; everything
//! is read `read_committed`. The ledger of a group travels as the metadata of its committed offset, so that both change together.
//!
//! Nothing here connects before it has to: a broker that is away is [`MailboxError::Unavailable`] with its name, within
//! [`REACH`], and the next call tries again.

mod admin;
mod backlog;
mod config;
mod connection;
mod faults;
mod heads;
mod ledger;
mod publisher;
mod reader;
mod session;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use slog::Logger;

use self::reader::Reader;
use self::session::KafkaSession;
use super::{Committed, Mailbox, MailboxError, Message, Session, SessionSpec, TopicPartition, TopicReport, Watermarks};
use crate::records::{Topic, TopicNames};

/// How long a single question to the cluster may take before it counts as unreachable. Shorter fails during ordinary leader
/// elections, longer leaves people waiting at a prompt.
const REACH: Duration = Duration::from_secs(8);

/// Where the cluster is and how this deployment uses it.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// Passed to librdkafka for every client, with the last word over this module's choices.
    pub properties: BTreeMap<String, String>,
    /// Names of the topics.
    pub names: TopicNames,
    /// Put before consumer groups and transactional ids, as `topics.prefix` is before topics: deployments that share a
    /// cluster must not share groups.
    pub prefix: String,
    /// Replicas of each partition of a topic made here; by default three, or as many as there are brokers.
    pub replication: Option<i32>,
    /// Receives librdkafka's log.
    pub logger: Logger,
}

/// See the module.
pub struct KafkaMailbox {
    shared: Arc<KafkaOptions>,
    /// Made at the first question, kept for the next.
    reader: Mutex<Option<Reader>>,
    /// Sees open transactions too. Made when first needed.
    uncommitted: Mutex<Option<Reader>>,
}

impl KafkaMailbox {
    /// Prepares the mailbox; connects to nothing yet.
    ///
    /// # Errors
    /// [`MailboxError::Invalid`] when a property does not exist or has an impossible value.
    pub fn open(options: KafkaOptions) -> Result<KafkaMailbox, MailboxError> {
        config::check(&options)?;
        Ok(KafkaMailbox { shared: Arc::new(options), reader: Mutex::new(None), uncommitted: Mutex::new(None) })
    }

    /// Where the partition really ends.
    fn written(&self, at: TopicPartition) -> Result<i64, MailboxError> {
        let mut reader = self.uncommitted.lock();
        let reader = match reader.take() {
            Some(known) => reader.insert(known),
            None => reader.insert(Reader::open_uncommitted(&self.shared)?),
        };
        Ok(reader.ends(at)?.1)
    }

    fn ask<T>(&self, question: impl FnOnce(&Reader) -> Result<T, MailboxError>) -> Result<T, MailboxError> {
        let mut reader = self.reader.lock();
        let reader = match reader.take() {
            Some(known) => reader.insert(known),
            None => reader.insert(Reader::open(&self.shared)?),
        };
        question(reader)
    }
}

impl Mailbox for KafkaMailbox {
    fn describe(&self) -> String {
        format!("kafka, {}", self.shared.brokers)
    }

    /// Tells a cluster from an embedded log. Of two clusters, or of a topic that was deleted and made anew, only the brokers know.
    fn identity(&self) -> Option<String> {
        Some("kafka".to_owned())
    }

    fn create_topics(&self, partitions: i32) -> Result<Vec<TopicReport>, MailboxError> {
        if partitions < 1 {
            return Err(MailboxError::Invalid(format!("a topic needs at least 1 partition, not {partitions}")));
        }
        self.ask(|reader| admin::create_topics(&self.shared, reader, partitions))
    }

    fn partitions(&self) -> Result<i32, MailboxError> {
        let counts = self.ask(|reader| {
            Topic::ALL.into_iter().map(|topic| reader.partitions(topic)).collect::<Result<Vec<i32>, MailboxError>>()
        })?;
        match (counts.iter().min(), counts.iter().max()) {
            (Some(least), Some(most)) if least == most => Ok(*least),
            _ => Err(MailboxError::Invalid(format!("the topics differ in their number of partitions: {counts:?}"))),
        }
    }

    fn open(&self, spec: &SessionSpec) -> Result<Box<dyn Session>, MailboxError> {
        let counts = self.ask(|reader| {
            let known = Topic::ALL.into_iter().map(|topic| (topic, reader.partitions(topic)));
            known.map(|(topic, count)| count.map(|count| (topic, count))).collect::<Result<BTreeMap<_, _>, _>>()
        })?;
        Ok(Box::new(KafkaSession::open(&self.shared, spec, counts)?))
    }

    fn watermarks(&self, topic: Topic) -> Result<Vec<Watermarks>, MailboxError> {
        self.ask(|reader| reader.watermarks(topic))
    }

    fn settled(&self, at: TopicPartition) -> Result<Watermarks, MailboxError> {
        // Others may ask while this waits.
        reader::settle(at, self.written(at)?, || self.ask(|reader| reader.ends(at)))?;
        self.ask(|reader| reader.watermark(at))
    }

    fn committed(&self, group: &str, topics: &[Topic]) -> Result<Vec<Committed>, MailboxError> {
        let partitions = self.ask(|reader| reader.every_partition(topics))?;
        // Asked through a client of that group: it never joins, so it disturbs nobody.
        let member = Reader::open_as(&self.shared, group)?;
        connection::committed(&self.shared, member.consumer(), &partitions)
    }

    fn read(&self, at: TopicPartition, from: i64, max: usize) -> Result<Vec<Message>, MailboxError> {
        self.ask(|reader| {
            let (low, end) = reader.ends(at)?;
            if !(low..=end).contains(&from) {
                return Err(MailboxError::Invalid(format!("{at} has offsets {low} to {end}: cannot read from {from}")));
            }
            let mut found = Vec::new();
            if max > 0 {
                reader.scan(at, from, end, &mut |message| {
                    found.push(message);
                    found.len() < max
                })?;
            }
            Ok(found)
        })
    }

    fn offsets_at(&self, topic: Topic, time: i64) -> Result<Vec<(TopicPartition, i64)>, MailboxError> {
        self.ask(|reader| reader.offsets_at(topic, time))
    }
}

impl fmt::Debug for KafkaMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaMailbox").field("brokers", &self.shared.brokers).finish_non_exhaustive()
    }
}
