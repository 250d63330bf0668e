//! Reading without joining a group: metadata, ends of partitions, and messages from an offset on.
//!
//! **Guarantee.** Only what `read_committed` readers may see is answered. Nothing waits longer than [`REACH`] without progress.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset};

use super::connection::{Listener, copied, list};
use super::{KafkaOptions, REACH, config, faults};
use crate::mailbox::{MailboxError, Message, TopicPartition, Watermarks};
use crate::records::Topic;

/// How long librdkafka gets to close a client. Closing has been seen to hang; the client is then abandoned with its thread.
const CLOSE: Duration = Duration::from_secs(5);
/// How long to wait for open transactions: the broker undoes them before.
const SETTLED: Duration = Duration::from_secs(30);
/// How long a partition may be without a leader, or unknown to a broker that answers, before that counts: a broker that has just
/// come back answers before it has heard of everything.
const AGREED: Duration = Duration::from_secs(3);
/// Between two questions meanwhile.
const AGAIN: Duration = Duration::from_millis(50);
/// Group under which nothing is ever committed: librdkafka wants one.
const NOBODY: &str = "reprise.reader";

/// See the module.
pub(super) struct Reader {
    options: Arc<KafkaOptions>,
    /// `None` only while it is dropped.
    consumer: Option<BaseConsumer<Listener>>,
    /// Last stable offset of a partition, and one above the last message before it.
    seen_ends: Mutex<BTreeMap<TopicPartition, (i64, i64)>>,
    /// Topics that a broker has told of: they do not cease to exist because another one does not know them yet.
    seen_topics: Mutex<BTreeSet<Topic>>,
}

/// Asks for the ends that `read_committed` readers see until everything before `written` is committed or undone.
pub(super) fn settle(
    at: TopicPartition,
    written: i64,
    ends: impl Fn() -> Result<(i64, i64), MailboxError>,
) -> Result<(i64, i64), MailboxError> {
    let deadline = Instant::now() + SETTLED;
    loop {
        let (low, stable) = ends()?;
        if stable >= written {
            return Ok((low, stable));
        }
        if Instant::now() >= deadline {
            let text = format!("{at}: a transaction has been open at offset {stable} for {} s", SETTLED.as_secs());
            return Err(MailboxError::Unavailable(text));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Reader {
    pub(super) fn open(options: &Arc<KafkaOptions>) -> Result<Reader, MailboxError> {
        Reader::open_as(options, NOBODY)
    }

    /// One that sees open transactions too: only for asking where a partition really ends.
    pub(super) fn open_uncommitted(options: &Arc<KafkaOptions>) -> Result<Reader, MailboxError> {
        Reader::with(options, config::reader(options, NOBODY).set("isolation.level", "read_uncommitted"))
    }

    /// With the name of a group, whose committed offsets it may ask for.
    pub(super) fn open_as(options: &Arc<KafkaOptions>, group: &str) -> Result<Reader, MailboxError> {
        Reader::with(options, &config::reader(options, group))
    }

    fn with(options: &Arc<KafkaOptions>, config: &ClientConfig) -> Result<Reader, MailboxError> {
        let consumer = config
            .create_with_context(Listener::new(options))
            .map_err(|error| faults::explain(options, "opening a reader", &error))?;
        Ok(Reader {
            options: Arc::clone(options),
            consumer: Some(consumer),
            seen_ends: Mutex::default(),
            seen_topics: Mutex::default(),
        })
    }

    /// How many partitions the topic has.
    pub(super) fn partitions(&self, topic: Topic) -> Result<i32, MailboxError> {
        let deadline = Instant::now() + AGREED;
        loop {
            if let Some(count) = self.find(topic)? {
                return Ok(count);
            }
            if !self.seen_topics.lock().contains(&topic) || Instant::now() >= deadline {
                let name = self.options.names.name(topic);
                return Err(MailboxError::Invalid(format!("topic {name} does not exist: make it with `reprise topics`")));
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// As [`Reader::partitions`], by what the first broker says; `None` when it knows no such topic.
    pub(super) fn find(&self, topic: Topic) -> Result<Option<i32>, MailboxError> {
        let found = find(&self.options, self.consumer(), topic)?;
        if found.is_some() {
            self.seen_topics.lock().insert(topic);
        }
        Ok(found)
    }

    /// How many brokers there are.
    pub(super) fn brokers(&self) -> Result<usize, MailboxError> {
        let metadata = self
            .consumer()
            .fetch_metadata(Some(self.options.names.name(Topic::MusicQueries)), REACH)
            .map_err(|error| faults::explain(&self.options, "asking for brokers", &error))?;
        Ok(metadata.brokers().len())
    }

    /// Every partition of the topics.
    pub(super) fn every_partition(&self, topics: &[Topic]) -> Result<Vec<TopicPartition>, MailboxError> {
        let mut every = Vec::new();
        for topic in topics {
            every.extend((0..self.partitions(*topic)?).map(|partition| TopicPartition { topic: *topic, partition }));
        }
        Ok(every)
    }

    /// The first offset kept and the last stable offset: the range within which one may read on.
    pub(super) fn ends(&self, at: TopicPartition) -> Result<(i64, i64), MailboxError> {
        ends(&self.options, self.consumer(), at)
    }

    /// First and last offsets of every partition of `topic`.
    pub(super) fn watermarks(&self, topic: Topic) -> Result<Vec<Watermarks>, MailboxError> {
        self.every_partition(&[topic])?.into_iter().map(|at| self.watermark(at)).collect()
    }

    /// First and last offsets of one partition.
    pub(super) fn watermark(&self, at: TopicPartition) -> Result<Watermarks, MailboxError> {
        let (low, stable) = self.ends(at)?;
        Ok(Watermarks { at, low, high: self.end_of_messages(at, low, stable)? })
    }

    /// One above the last message before `stable`. A transaction ends with a marker, which takes an offset but is no message:
    /// a reader that has everything would otherwise seem to lag by one for ever.
    fn end_of_messages(&self, at: TopicPartition, low: i64, stable: i64) -> Result<i64, MailboxError> {
        if let Some((known, end)) = self.seen_ends.lock().get(&at)
            && *known == stable
        {
            return Ok((*end).max(low));
        }
        let mut back = 2;
        let end = loop {
            let from = low.max(stable - back);
            let mut last = None;
            self.scan(at, from, stable, &mut |message| {
                last = Some(message.offset);
                true
            })?;
            match last {
                Some(offset) => break offset + 1,
                None if from == low => break low,
                None => back *= 16,
            }
        };
        self.seen_ends.lock().insert(at, (stable, end));
        Ok(end)
    }

    /// Shows `visit` every message from `from` to before `end` until it answers `false`.
    pub(super) fn scan(
        &self,
        at: TopicPartition,
        from: i64,
        end: i64,
        visit: &mut dyn FnMut(Message) -> bool,
    ) -> Result<(), MailboxError> {
        if from >= end {
            return Ok(());
        }
        let doing = format!("reading {at} from offset {from}");
        let explain = |error: &KafkaError| faults::explain(&self.options, &doing, error);
        let place = list(&self.options, [(at, Offset::Offset(from))])?;
        self.consumer().assign(&place).map_err(|error| explain(&error))?;
        let outcome = self.scan_assigned(at, end, &doing, visit);
        self.consumer().unassign().map_err(|error| explain(&error))?;
        outcome
    }

    fn scan_assigned(
        &self,
        at: TopicPartition,
        end: i64,
        doing: &str,
        visit: &mut dyn FnMut(Message) -> bool,
    ) -> Result<(), MailboxError> {
        let mut patience = Instant::now() + REACH;
        loop {
            match self.consumer().poll(Duration::from_millis(100)) {
                Some(Ok(found)) => {
                    patience = Instant::now() + REACH;
                    let Some(message) = copied(&self.options.names, &found) else { continue };
                    let offset = message.offset;
                    if offset >= end || !visit(message) || offset + 1 >= end {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) if partition == at.partition => return Ok(()),
                Some(Err(error)) if faults::code(&error).is_none_or(|code| !faults::passes(code)) => {
                    return Err(faults::explain(&self.options, doing, &error));
                }
                _ if Instant::now() >= patience => {
                    let brokers = &self.options.brokers;
                    return Err(MailboxError::Unavailable(format!("kafka at {brokers}: {doing}: no answer in {REACH:?}")));
                }
                _ => {}
            }
        }
    }

    /// The first offset of each partition at or after `time` (microseconds since the Unix epoch).
    pub(super) fn offsets_at(&self, topic: Topic, time: i64) -> Result<Vec<(TopicPartition, i64)>, MailboxError> {
        let doing = "looking for offsets by time";
        // Kafka counts milliseconds: round up, so that nothing older is answered.
        let millis = time.div_euclid(1_000) + i64::from(time.rem_euclid(1_000) > 0);
        let every = self.every_partition(&[topic])?;
        let asked = list(&self.options, every.iter().map(|at| (*at, Offset::Offset(millis.max(0)))))?;
        let answer =
            self.consumer().offsets_for_times(asked, REACH).map_err(|error| faults::explain(&self.options, doing, &error))?;
        let mut found = Vec::new();
        for element in answer.elements() {
            element.error().map_err(|error| faults::explain(&self.options, doing, &error))?;
            let at = TopicPartition { topic, partition: element.partition() };
            let (low, stable) = self.ends(at)?;
            let end = self.end_of_messages(at, low, stable)?;
            found.push(match element.offset() {
                Offset::Offset(offset) => (at, offset.min(end)),
                _ => (at, end),
            });
        }
        Ok(found)
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<Listener> {
        // Taken only by `drop`.
        self.consumer.as_ref().unwrap_or_else(|| unreachable!("a reader keeps its consumer until it is dropped"))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        discard(self.consumer.take());
    }
}

/// How many partitions the topic has; `None` when the broker that answers knows no such topic.
fn find(options: &KafkaOptions, consumer: &BaseConsumer<Listener>, topic: Topic) -> Result<Option<i32>, MailboxError> {
    let name = options.names.name(topic);
    let doing = "asking for topics";
    let metadata = consumer.fetch_metadata(Some(name), REACH).map_err(|error| faults::explain(options, doing, &error))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == name) else { return Ok(None) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
        Some(code) if faults::unknown(code) => Ok(None),
        Some(code) => Err(faults::from_code(options, doing, code, &format!("{name}: {code}"))),
    }
}

/// The first offset kept and the last stable offset.
pub(super) fn ends(
    options: &KafkaOptions,
    consumer: &BaseConsumer<Listener>,
    at: TopicPartition,
) -> Result<(i64, i64), MailboxError> {
    let doing = "asking for the ends of a partition";
    let deadline = Instant::now() + AGREED;
    loop {
        let error = match consumer.fetch_watermarks(options.names.name(at.topic), at.partition, REACH) {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let code = faults::code(&error);
        let unknown = code.is_some_and(faults::unknown);
        let electing = matches!(code, Some(RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable));
        if !unknown && !electing {
            return Err(faults::explain(options, doing, &error));
        }
        // Asking also renews what librdkafka remembers of the topic.
        let exists = find(options, consumer, at.topic)?.is_some_and(|count| at.partition < count);
        if Instant::now() < deadline {
            std::thread::sleep(AGAIN);
            continue;
        }
        return Err(match (unknown, exists) {
            (false, _) => faults::explain(options, doing, &error),
            (true, false) => MailboxError::Invalid(format!("{at} does not exist in {}", options.names.name(at.topic))),
            (true, true) => {
                let brokers = &options.brokers;
                MailboxError::Unavailable(format!(
                    "kafka at {brokers}: {doing}: {at} exists, but its leader does not know it yet"
                ))
            }
        });
    }
}

/// Drops a client on a thread of its own and waits a while for it: librdkafka may hang when it closes, and this caller must not.
pub(super) fn discard<T: Send + 'static>(client: T) {
    let (closed, wait) = std::sync::mpsc::channel();
    let closing = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || {
        drop(client);
        // Nobody listens after the deadline: nothing to be done.
        closed.send(()).ok();
    });
    if closing.is_ok() {
        wait.recv_timeout(CLOSE).ok();
    }
}
