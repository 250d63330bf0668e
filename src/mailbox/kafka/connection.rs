//! What librdkafka tells a client by callback, kept for the session to pick up, and the lists it takes and answers.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Headers, Message as _};
use rdkafka::producer::ProducerContext;
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use slog::Logger;

use super::{KafkaOptions, REACH, faults, ledger};
use crate::mailbox::{Committed, MailboxError, Message, TopicPartition};
use crate::records::TopicNames;

/// A change of ownership, in the order in which it happened.
#[derive(Debug)]
pub(super) enum Change {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
}

/// A consumer's context.
pub(super) struct Listener {
    logger: Logger,
    names: TopicNames,
    changes: Mutex<Vec<Change>>,
    /// The last stable offset of each partition, as of the newest statistics.
    ends: Mutex<BTreeMap<TopicPartition, i64>>,
}

impl Listener {
    pub(super) fn new(options: &KafkaOptions) -> Listener {
        Listener {
            logger: options.logger.clone(),
            names: options.names.clone(),
            changes: Mutex::default(),
            ends: Mutex::default(),
        }
    }

    /// The changes since the last call.
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock())
    }

    /// Where the partition ended when librdkafka last looked.
    pub(super) fn end(&self, at: TopicPartition) -> Option<i64> {
        self.ends.lock().get(&at).copied()
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(&self.logger, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        slog::debug!(self.logger, "Kafka consumer: {reason}"; "error" => %error);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        // Only what the lag needs: the whole report is large.
        let Ok(report) = serde_json::from_slice::<Report>(statistics) else { return };
        let mut ends = self.ends.lock();
        for (name, topic) in report.topics {
            let Some(topic_known) = self.names.topic(&name) else { continue };
            for partition in topic.partitions.into_values().filter(|partition| partition.ls_offset >= 0) {
                ends.insert(TopicPartition { topic: topic_known, partition: partition.partition }, partition.ls_offset);
            }
        }
    }
}

#[derive(Deserialize)]
struct Report {
    topics: BTreeMap<String, TopicFigures>,
}

#[derive(Deserialize)]
struct TopicFigures {
    partitions: BTreeMap<String, PartitionFigures>,
}

#[derive(Deserialize)]
struct PartitionFigures {
    partition: i32,
    ls_offset: i64,
}

impl ConsumerContext for Listener {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let change = match rebalance {
            Rebalance::Assign(list) => Change::Assigned(partitions(&self.names, list)),
            Rebalance::Revoke(list) => Change::Revoked(partitions(&self.names, list)),
            Rebalance::Error(error) => {
                slog::warn!(self.logger, "The consumer group could not be rebalanced."; "error" => %error);
                return;
            }
        };
        self.changes.lock().push(change);
    }
}

/// A producer's context: counts what was delivered and keeps the first failure.
pub(super) struct Courier {
    logger: Logger,
    tally: Mutex<Tally>,
}

/// Deliveries since the publication began.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) finished: usize,
    pub(super) failure: Option<KafkaError>,
}

impl Courier {
    pub(super) fn new(options: &KafkaOptions) -> Courier {
        Courier { logger: options.logger.clone(), tally: Mutex::default() }
    }

    /// Begins counting anew.
    pub(super) fn reset(&self) {
        *self.tally.lock() = Tally::default();
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.lock().clone()
    }
}

impl ClientContext for Courier {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(&self.logger, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        slog::debug!(self.logger, "Kafka producer: {reason}"; "error" => %error);
    }
}

impl ProducerContext for Courier {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        let mut tally = self.tally.lock();
        tally.finished += 1;
        if let Err((error, _)) = result {
            tally.failure.get_or_insert_with(|| error.clone());
        }
    }
}

/// librdkafka's log line at this program's levels. What passes by itself is reported by the caller that meets it, once: here
/// it would be repeated by every client at every attempt.
pub(super) fn log(logger: &Logger, level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            slog::error!(logger, "{message}"; "facility" => facility);
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning if !matches!(facility, "FAIL" | "ERROR" | "REQTMOUT") => {
            slog::warn!(logger, "{message}"; "facility" => facility);
        }
        _ => slog::debug!(logger, "{message}"; "facility" => facility),
    }
}

fn partitions(names: &TopicNames, list: &TopicPartitionList) -> Vec<TopicPartition> {
    let known = |name: &str, partition| names.topic(name).map(|topic| TopicPartition { topic, partition });
    list.elements().iter().filter_map(|element| known(element.topic(), element.partition())).collect()
}

/// A list for librdkafka of partitions and offsets.
pub(super) fn list(
    options: &KafkaOptions,
    offsets: impl IntoIterator<Item = (TopicPartition, Offset)>,
) -> Result<TopicPartitionList, MailboxError> {
    let mut list = TopicPartitionList::new();
    for (at, offset) in offsets {
        list.add_partition_offset(options.names.name(at.topic), at.partition, offset)
            .map_err(|error| faults::explain(options, "listing partitions", &error))?;
    }
    Ok(list)
}

/// What the consumer's group has committed for these partitions. Waits for a transaction that is about to commit some.
pub(super) fn committed(
    options: &KafkaOptions,
    consumer: &BaseConsumer<Listener>,
    partitions: &[TopicPartition],
) -> Result<Vec<Committed>, MailboxError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let asked = list(options, partitions.iter().map(|at| (*at, Offset::Invalid)))?;
    let doing = "reading committed offsets";
    let answer = consumer.committed_offsets(asked, REACH).map_err(|error| faults::explain(options, doing, &error))?;
    let mut found = Vec::new();
    for element in answer.elements() {
        element.error().map_err(|error| faults::explain(options, doing, &error))?;
        let (Some(topic), Offset::Offset(next_offset)) = (options.names.topic(element.topic()), element.offset()) else {
            continue;
        };
        let at = TopicPartition { topic, partition: element.partition() };
        let known = ledger::read(element.metadata());
        if known.is_none() {
            slog::warn!(options.logger, "The ledger of {at} is gone: its offset {next_offset} was committed by another tool.");
        }
        found.push(Committed { at, next_offset, ledger: known.unwrap_or_default() });
    }
    Ok(found)
}

/// A message of librdkafka's, copied out; `None` if it is of a topic that is none of ours.
pub(super) fn copied(names: &TopicNames, message: &BorrowedMessage<'_>) -> Option<Message> {
    let at = TopicPartition { topic: names.topic(message.topic())?, partition: message.partition() };
    let header = message.headers().and_then(|headers| headers.iter().find(|header| header.key == VERSION_HEADER));
    let version = header.and_then(|header| std::str::from_utf8(header.value?).ok()?.parse().ok());
    Some(Message {
        at,
        offset: message.offset(),
        // A key that is no text is another program's: the payload decides what becomes of the message.
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        payload: message.payload().unwrap_or_default().to_owned(),
        appended_at: message.timestamp().to_millis().unwrap_or_default().saturating_mul(1_000),
        version,
    })
}

/// The header that carries a record's version.
pub(super) const VERSION_HEADER: &str = "version";
