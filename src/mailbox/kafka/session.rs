//! A session on Kafka: a member of a consumer group and a producer, used by one thread.
//!
//! **Guarantee.** No message is delivered before its partition was reported as assigned, and none after it was revoked. What is
//! fetched ahead while the caller works is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::backlog::Backlog;
use super::connection::{Change, Listener, committed, copied, list};
use super::heads::{HeadReader, Heads};
use super::publisher::Publisher;
use super::reader::{Reader, discard, ends};
use super::{KafkaOptions, REACH, config, faults, ledger};
use crate::mailbox::{
    Ledger, MailboxError, Message, Outgoing, Polled, Progress, Session, SessionSpec, TopicPartition, check_record,
};
use crate::records::{Topic, Version};

/// Messages taken in one go while the caller works, so that `idle` returns at once.
const IDLE_STEP: usize = 500;

/// See [`super::KafkaMailbox`].
pub(super) struct KafkaSession {
    options: Arc<KafkaOptions>,
    spec: SessionSpec,
    counts: BTreeMap<Topic, i32>,
    /// `None` for a session that only publishes.
    consumer: Option<BaseConsumer<Listener>>,
    publisher: Publisher,
    heads: Heads,
    /// Reads the heads; made when first needed.
    reader: Option<HeadReader>,
    owned: BTreeMap<TopicPartition, Owned>,
    /// Assigned, but what was committed for them is not known yet.
    arriving: BTreeSet<TopicPartition>,
    /// Ownership changes to report with the next poll.
    report: Polled,
    waiting: Backlog,
    paused: bool,
}

struct Owned {
    /// The next offset the caller gets.
    position: i64,
    /// The group's ledger as committed.
    ledger: Ledger,
}

impl KafkaSession {
    pub(super) fn open(
        options: &Arc<KafkaOptions>,
        spec: &SessionSpec,
        counts: BTreeMap<Topic, i32>,
    ) -> Result<KafkaSession, MailboxError> {
        let explain = |error: KafkaError| faults::explain(options, "opening a session", &error);
        let id = format!("{}{}.{}", options.prefix, spec.group, spec.instance);
        let mut publisher = Publisher::new(options, spec.transactional.then_some(id));
        // First of all: the predecessor can publish nothing more, and what it left open is settled before offsets are read.
        publisher.ready()?;
        let consumer = if spec.topics.is_empty() {
            None
        } else {
            let consumer: BaseConsumer<Listener> =
                config::consumer(options, spec).create_with_context(Listener::new(options)).map_err(explain)?;
            let names: Vec<&str> = spec.topics.iter().map(|topic| options.names.name(*topic)).collect();
            consumer.subscribe(&names).map_err(explain)?;
            Some(consumer)
        };
        Ok(KafkaSession {
            options: Arc::clone(options),
            spec: spec.clone(),
            counts,
            consumer,
            publisher,
            heads: Heads::of(&spec.heads),
            reader: None,
            owned: BTreeMap::new(),
            arriving: BTreeSet::new(),
            report: Polled::default(),
            waiting: Backlog::default(),
            paused: false,
        })
    }

    /// Serves the consumer once; answers whether it brought a message.
    fn serve(&mut self, wait: Duration) -> Result<bool, MailboxError> {
        let Some(consumer) = &self.consumer else {
            std::thread::sleep(wait);
            return Ok(false);
        };
        let brought = match consumer.poll(wait) {
            None => false,
            Some(Ok(message)) => {
                if let Some(message) = copied(&self.options.names, &message) {
                    self.waiting.push(message);
                }
                true
            }
            Some(Err(error)) => {
                self.note_changes();
                self.judge(&error)?;
                false
            }
        };
        self.note_changes();
        Ok(brought)
    }

    /// Errors of the consumer that the caller must know. librdkafka goes on after most of them by itself.
    fn judge(&self, error: &KafkaError) -> Result<(), MailboxError> {
        let code = faults::code(error);
        let alone = matches!(code, Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Resolve));
        let passing = code.is_some_and(faults::passes) || code == Some(RDKafkaErrorCode::PollExceeded);
        if passing && !alone {
            slog::debug!(self.options.logger, "The consumer met an error that passes."; "error" => %error);
            return Ok(());
        }
        let fatal = self.consumer.as_ref().and_then(|consumer| consumer.client().fatal_error());
        match fatal {
            Some((code, reason)) => Err(faults::from_code(&self.options, "consuming", code, &reason)),
            None => Err(faults::explain(&self.options, "consuming", error)),
        }
    }

    fn note_changes(&mut self) {
        let Some(consumer) = &self.consumer else { return };
        for change in consumer.context().take_changes() {
            match change {
                Change::Assigned(partitions) => self.arriving.extend(partitions),
                Change::Revoked(partitions) => {
                    for at in partitions {
                        self.arriving.remove(&at);
                        self.heads.doubt(at);
                        let unreported = self.report.assigned.contains(&at);
                        self.report.assigned.retain(|known| *known != at);
                        if self.owned.remove(&at).is_some() && !unreported {
                            self.report.revoked.push(at);
                        }
                    }
                    // An assignment begins unpaused.
                    self.paused = false;
                    let (owned, arriving) = (&self.owned, &self.arriving);
                    self.waiting.retain(|at| owned.contains_key(&at) || arriving.contains(&at));
                }
            }
        }
    }

    /// Learns what was committed for the partitions that have just been assigned, and their heads. Answers whether all is known.
    fn settle(&mut self) -> Result<bool, MailboxError> {
        let Some(consumer) = &self.consumer else { return Ok(true) };
        if self.arriving.is_empty() {
            return Ok(true);
        }
        let arriving: Vec<TopicPartition> = self.arriving.iter().copied().collect();
        let settled = positions(&self.options, consumer, &arriving)?;
        let mut partitions: Vec<i32> = self.owned.keys().chain(&arriving).map(|at| at.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        if !self.load_heads(&partitions)? {
            return Ok(false);
        }
        for (at, owned) in settled {
            self.arriving.remove(&at);
            self.owned.insert(at, owned);
            self.report.assigned.push(at);
        }
        Ok(true)
    }

    fn load_heads(&mut self, partitions: &[i32]) -> Result<bool, MailboxError> {
        if self.heads.topics().is_empty() {
            return Ok(true);
        }
        let reader = match self.reader.take() {
            Some(reader) => self.reader.insert(reader),
            None => {
                let (committed, uncommitted) = (Reader::open(&self.options)?, Reader::open_uncommitted(&self.options)?);
                self.reader.insert(HeadReader { committed, uncommitted })
            }
        };
        self.heads.own(partitions, reader)
    }

    /// Up to `max` of the messages that wait.
    fn hand_over(&mut self, max: usize) -> Vec<Message> {
        let messages = self.waiting.take(max);
        for message in &messages {
            if let Some(owned) = self.owned.get_mut(&message.at) {
                owned.position = message.offset + 1;
            }
        }
        messages
    }

    /// Pauses or resumes fetching by what waits.
    fn balance(&mut self) -> Result<(), MailboxError> {
        let Some(consumer) = &self.consumer else { return Ok(()) };
        let pause = !self.paused && self.waiting.is_high();
        let resume = self.paused && self.waiting.is_low();
        if pause || resume {
            let explain = |error: KafkaError| faults::explain(&self.options, "pausing", &error);
            let assigned = consumer.assignment().map_err(explain)?;
            if pause { consumer.pause(&assigned) } else { consumer.resume(&assigned) }.map_err(explain)?;
            self.paused = pause;
        }
        Ok(())
    }

    /// Moves the consumer, forgetting what was fetched of these partitions.
    fn move_to(&mut self, places: &[(TopicPartition, i64)]) -> Result<(), MailboxError> {
        let Some(consumer) = &self.consumer else { return Ok(()) };
        let explain = |error: KafkaError| faults::explain(&self.options, "seeking", &error);
        if self.paused {
            // Resuming afterwards would go back to where the pause was.
            consumer.resume(&consumer.assignment().map_err(explain)?).map_err(explain)?;
            self.paused = false;
        }
        self.waiting.retain(|waits| !places.iter().any(|(at, _)| *at == waits));
        let deadline = Instant::now() + REACH;
        let mut left: Vec<(TopicPartition, i64)> = places.to_vec();
        while !left.is_empty() {
            let target = list(&self.options, left.iter().map(|(at, offset)| (*at, Offset::Offset(*offset))))?;
            let answer = consumer.seek_partitions(target, REACH).map_err(explain)?;
            let refused: BTreeSet<(String, i32)> = answer
                .elements()
                .iter()
                .filter(|element| element.error().is_err())
                .map(|element| (element.topic().to_owned(), element.partition()))
                .collect();
            left.retain(|(at, _)| refused.contains(&(self.options.names.name(at.topic).to_owned(), at.partition)));
            if !left.is_empty() {
                // A partition just assigned refuses until its fetcher has started.
                if Instant::now() >= deadline {
                    let text = format!("kafka at {}: seeking: refused for {:?}", self.options.brokers, left.first());
                    return Err(MailboxError::Unavailable(text));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        for (at, offset) in places {
            if let Some(owned) = self.owned.get_mut(at) {
                owned.position = *offset;
            }
        }
        Ok(())
    }

    /// What to commit: offsets, with the ledgers as they will be.
    fn offsets(&self, progress: &[Progress]) -> Result<(TopicPartitionList, Vec<(TopicPartition, Ledger)>), MailboxError> {
        let mut offsets = TopicPartitionList::new();
        let mut ledgers = Vec::new();
        for step in progress {
            let Some(owned) = self.owned.get(&step.at) else {
                return Err(MailboxError::Revoked(format!("group {} of this session: {}", self.spec.group, step.at)));
            };
            let mut ledger = owned.ledger;
            ledger.add(&step.counts);
            let name = self.options.names.name(step.at.topic);
            let mut element = offsets.add_partition(name, step.at.partition);
            element
                .set_offset(Offset::Offset(step.next_offset))
                .map_err(|error| faults::explain(&self.options, "committing offsets", &error))?;
            element.set_metadata(ledger::write(&ledger));
            ledgers.push((step.at, ledger));
        }
        Ok((offsets, ledgers))
    }

    fn exists(&self, at: TopicPartition) -> Result<(), MailboxError> {
        let count = self.counts.get(&at.topic).copied().unwrap_or_default();
        if (0..count).contains(&at.partition) {
            return Ok(());
        }
        let name = self.options.names.name(at.topic);
        Err(MailboxError::Invalid(format!("topic {name} has partitions 0 to {}, not {}", count - 1, at.partition)))
    }

    fn is_revoked(&self, at: TopicPartition) -> MailboxError {
        MailboxError::Revoked(format!("group {} of this session: {at}", self.spec.group))
    }
}

/// Where to read on in each partition: at what is committed, or at its beginning.
fn positions(
    options: &KafkaOptions,
    consumer: &BaseConsumer<Listener>,
    partitions: &[TopicPartition],
) -> Result<Vec<(TopicPartition, Owned)>, MailboxError> {
    let known = committed(options, consumer, partitions)?;
    let mut found = Vec::new();
    for at in partitions {
        let owned = match known.iter().find(|known| known.at == *at) {
            Some(known) => Owned { position: known.next_offset, ledger: known.ledger },
            None => Owned { position: ends(options, consumer, *at)?.0, ledger: Ledger::default() },
        };
        found.push((*at, owned));
    }
    Ok(found)
}

impl Session for KafkaSession {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, MailboxError> {
        let deadline = Instant::now() + wait;
        self.publisher.serve();
        loop {
            if !self.settle()? {
                self.idle()?;
                return Ok(Polled::default());
            }
            if !self.report.assigned.is_empty() || !self.report.revoked.is_empty() {
                return Ok(std::mem::take(&mut self.report));
            }
            while self.waiting.len() < max && self.serve(Duration::ZERO)? {}
            self.balance()?;
            let changed = !self.arriving.is_empty() || !self.report.revoked.is_empty();
            if !changed && !self.waiting.is_empty() {
                let messages = self.hand_over(max);
                self.balance()?;
                return Ok(Polled { messages, ..Polled::default() });
            }
            let now = Instant::now();
            if !changed && now >= deadline {
                return Ok(Polled::default());
            }
            if !changed {
                self.serve((deadline - now).min(Duration::from_millis(100)))?;
            }
        }
    }

    fn idle(&mut self) -> Result<(), MailboxError> {
        self.publisher.serve();
        for _ in 0..IDLE_STEP {
            match self.serve(Duration::ZERO) {
                Ok(true) => {}
                // An outage concerns whoever asks for messages; the news of it may be older than the recovery.
                Ok(false) | Err(MailboxError::Unavailable(_)) => break,
                Err(error) => return Err(error),
            }
        }
        self.balance()
    }

    fn seek(&mut self, at: TopicPartition, next_offset: i64) -> Result<(), MailboxError> {
        let Some(consumer) = self.consumer.as_ref().filter(|_| self.owned.contains_key(&at)) else {
            return Err(self.is_revoked(at));
        };
        let (low, end) = ends(&self.options, consumer, at)?;
        if !(low..=end).contains(&next_offset) {
            let text = format!("{at} has offsets {low} to {end}: cannot read on from {next_offset}");
            return Err(MailboxError::Invalid(text));
        }
        self.move_to(&[(at, next_offset)])
    }

    fn publish(&mut self, records: &[Outgoing], progress: &[Progress]) -> Result<(), MailboxError> {
        for record in records {
            check_record(record)?;
            self.exists(record.at)?;
        }
        // The newest changes of ownership first.
        self.idle()?;
        let (offsets, ledgers) = self.offsets(progress)?;
        if records.is_empty() && progress.is_empty() {
            return Ok(());
        }
        let offsets = Some(offsets).filter(|_| !progress.is_empty());
        if self.spec.transactional {
            let explain = || MailboxError::Revoked(format!("group {} has no member here", self.spec.group));
            let offsets = match (offsets, &self.consumer) {
                (Some(offsets), Some(consumer)) => Some((offsets, consumer.group_metadata().ok_or_else(explain)?)),
                _ => None,
            };
            self.publisher.transact(records, offsets)?;
        } else {
            if !records.is_empty() {
                self.publisher.append(records)?;
            }
            if let (Some(offsets), Some(consumer)) = (offsets, &self.consumer) {
                consumer
                    .commit(&offsets, CommitMode::Sync)
                    .map_err(|error| faults::explain(&self.options, "committing offsets", &error))?;
            }
        }
        self.heads.published(records, self.spec.transactional);
        for (at, ledger) in ledgers {
            if let Some(owned) = self.owned.get_mut(&at) {
                owned.ledger = ledger;
            }
        }
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), MailboxError> {
        self.publisher.ready()?;
        let Some(consumer) = &self.consumer else { return Ok(()) };
        let partitions: Vec<TopicPartition> = self.owned.keys().copied().collect();
        let known = positions(&self.options, consumer, &partitions)?;
        let places: Vec<(TopicPartition, i64)> = known.iter().map(|(at, owned)| (*at, owned.position)).collect();
        self.owned.extend(known);
        self.move_to(&places)?;
        if self.publisher.take_uncertain() {
            self.heads.forget();
        }
        let mut numbers: Vec<i32> = partitions.iter().map(|at| at.partition).collect();
        numbers.dedup();
        // What is not read yet is asked for in vain: then this is called again.
        self.load_heads(&numbers).map(drop)
    }

    fn heads(&mut self, at: TopicPartition, keys: &[String]) -> Result<Vec<Option<Version>>, MailboxError> {
        if !self.spec.heads.contains(&at.topic) {
            return Err(MailboxError::Invalid(format!("the session of group {} keeps no heads of {at}", self.spec.group)));
        }
        let owned = self.owned.keys().any(|owned| owned.partition == at.partition);
        if let Some(reader) = &self.reader {
            self.heads.catch_up(at, reader)?;
        }
        self.heads.find(at, keys).filter(|_| owned).ok_or_else(|| self.is_revoked(at))
    }

    fn lag(&self) -> Vec<(TopicPartition, u64)> {
        let Some(consumer) = &self.consumer else { return Vec::new() };
        // librdkafka's own position has passed the markers of transactions, which are no messages.
        let reached = consumer.position().unwrap_or_default();
        let lag_of = |(at, owned): (&TopicPartition, &Owned)| {
            let end = consumer.context().end(*at)?;
            let waits = self.waiting.holds(*at);
            let element = reached.find_partition(self.options.names.name(at.topic), at.partition);
            let passed = element.and_then(|element| element.offset().to_raw()).filter(|_| !waits).unwrap_or_default();
            Some((*at, u64::try_from(end - owned.position.max(passed)).unwrap_or_default()))
        };
        self.owned.iter().filter_map(lag_of).collect()
    }
}

impl Drop for KafkaSession {
    fn drop(&mut self) {
        // Every publication was awaited: the producer has nothing left to send.
        discard((self.consumer.take(), self.publisher.take(), self.reader.take()));
    }
}
