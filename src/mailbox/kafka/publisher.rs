//! The producer's side of a session.
//!
//! **Guarantee.** A transaction is committed with all its records and offsets, or undone. When the broker went away in the middle
//! of a commit, the outcome is settled by the next [`Publisher::ready`]: opening the transactional id again finishes or undoes
//! what was left, and only then are committed offsets read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};

use super::connection::{Courier, VERSION_HEADER};
use super::reader::discard;
use super::{KafkaOptions, config, faults};
use crate::mailbox::{MailboxError, Outgoing};

/// How long to insist on one step of a transaction, while the broker says that trying again may help.
const INSIST: Duration = Duration::from_secs(12);

/// See the module.
pub(super) struct Publisher {
    options: Arc<KafkaOptions>,
    transactional_id: Option<String>,
    /// `None` before the first use and after a failure that leaves no way on.
    producer: Option<BaseProducer<Courier>>,
    /// A commit was left unfinished: what is published is not known until the producer is ready again.
    uncertain: bool,
}

impl Publisher {
    pub(super) fn new(options: &Arc<KafkaOptions>, transactional_id: Option<String>) -> Publisher {
        Publisher { options: Arc::clone(options), transactional_id, producer: None, uncertain: false }
    }

    /// Connects if necessary, fencing any older holder of the transactional id and settling what it left.
    pub(super) fn ready(&mut self) -> Result<(), MailboxError> {
        if self.producer.is_some() {
            return Ok(());
        }
        let id = self.transactional_id.as_deref();
        let explain = |error: &KafkaError| faults::explain(&self.options, "opening a producer", error);
        let producer: BaseProducer<Courier> = config::producer(&self.options, id)
            .create_with_context(Courier::new(&self.options))
            .map_err(|error| explain(&error))?;
        if id.is_some()
            && let Err(error) = insist(|left| producer.init_transactions(left))
        {
            discard(producer);
            return Err(explain(&error));
        }
        self.producer = Some(producer);
        Ok(())
    }

    /// Whether the outcome of the last publication is open; asking settles that the caller knows.
    pub(super) fn take_uncertain(&mut self) -> bool {
        std::mem::take(&mut self.uncertain)
    }

    /// Serves delivery reports and the log.
    pub(super) fn serve(&self) {
        if let Some(producer) = &self.producer {
            producer.poll(Duration::ZERO);
        }
    }

    /// Appends records without a transaction and waits until all are confirmed.
    pub(super) fn append(&mut self, records: &[Outgoing]) -> Result<(), MailboxError> {
        self.ready()?;
        let Some(producer) = &self.producer else { return Ok(()) };
        let outcome = deliver(&self.options, producer, records);
        if outcome.is_err() {
            // Late confirmations must not be counted for the next publication.
            discard(self.producer.take());
        }
        outcome.map_err(|error| faults::explain(&self.options, "publishing", &error))
    }

    /// Appends records and commits offsets of the consumer in one transaction.
    pub(super) fn transact(
        &mut self,
        records: &[Outgoing],
        offsets: Option<(TopicPartitionList, ConsumerGroupMetadata)>,
    ) -> Result<(), MailboxError> {
        self.ready()?;
        let Some(producer) = &self.producer else { return Ok(()) };
        let prepared = prepare(&self.options, producer, records, offsets.as_ref());
        if let Err(error) = prepared {
            let explained = faults::explain(&self.options, "publishing", &self.fatal_or(error));
            self.undo();
            return Err(explained);
        }
        match insist(|left| producer.commit_transaction(left)) {
            Ok(()) => Ok(()),
            Err(error) => {
                let explained = faults::explain(&self.options, "committing a transaction", &self.fatal_or(error.clone()));
                match &error {
                    KafkaError::Transaction(error) if error.txn_requires_abort() => self.undo(),
                    _ => {
                        // Neither done nor undone, for all that is known: let the next opening settle it.
                        self.uncertain = true;
                        discard(self.producer.take());
                    }
                }
                Err(explained)
            }
        }
    }

    /// Undoes the open transaction; a producer that cannot is given up, and the next one undoes it.
    fn undo(&mut self) {
        let Some(producer) = &self.producer else { return };
        let undone = producer.client().fatal_error().is_none() && {
            // Aborting waits until every record is accounted for, but does not serve the reports itself.
            producer.purge(PurgeConfig::default().queue().inflight());
            let deadline = Instant::now() + Duration::from_secs(1);
            while producer.in_flight_count() > 0 && Instant::now() < deadline {
                producer.poll(Duration::from_millis(2));
            }
            match producer.abort_transaction(Duration::from_secs(3)) {
                Ok(()) => true,
                Err(error) => {
                    slog::debug!(self.options.logger, "A transaction could not be aborted."; "error" => %error);
                    false
                }
            }
        };
        if !undone {
            discard(self.producer.take());
        }
    }

    /// The fatal error behind `error`, if there is one: it says why.
    fn fatal_or(&self, error: KafkaError) -> KafkaError {
        let fatal = self.producer.as_ref().and_then(|producer| producer.client().fatal_error());
        fatal.map_or(error, |(code, _)| KafkaError::Global(code))
    }

    /// The producer, to be closed.
    pub(super) fn take(&mut self) -> Option<BaseProducer<Courier>> {
        self.producer.take()
    }
}

fn prepare(
    options: &KafkaOptions,
    producer: &BaseProducer<Courier>,
    records: &[Outgoing],
    offsets: Option<&(TopicPartitionList, ConsumerGroupMetadata)>,
) -> KafkaResult<()> {
    producer.begin_transaction()?;
    // All confirmed before the commit: librdkafka would wait for them in steps of 100 ms.
    deliver(options, producer, records)?;
    if let Some((offsets, member)) = offsets {
        insist(|left| producer.send_offsets_to_transaction(offsets, member, left))?;
    }
    Ok(())
}

/// Repeats a step of a transaction as long as that may help.
fn insist(mut step: impl FnMut(Duration) -> KafkaResult<()>) -> KafkaResult<()> {
    let deadline = Instant::now() + INSIST;
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(500));
        match step(left) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            outcome => return outcome,
        }
    }
}

/// Sends the records and waits until each is confirmed.
fn deliver(options: &KafkaOptions, producer: &BaseProducer<Courier>, records: &[Outgoing]) -> KafkaResult<()> {
    let courier = producer.client().context();
    courier.reset();
    let began = Instant::now();
    let deadline = began + config::DELIVERY;
    for record in records {
        let version = record.version.map(|version| version.to_string());
        let mut headers = OwnedHeaders::new();
        if let Some(version) = &version {
            headers = headers.insert(Header { key: VERSION_HEADER, value: Some(version.as_str()) });
        }
        let mut outgoing: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(options.names.name(record.at.topic))
            .partition(record.at.partition)
            .payload(record.payload.as_slice())
            .headers(headers);
        if !record.key.is_empty() {
            outgoing = outgoing.key(record.key.as_bytes());
        }
        while let Err((error, refused)) = producer.send(outgoing) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) || Instant::now() >= deadline {
                return Err(error);
            }
            producer.poll(Duration::from_millis(2));
            outgoing = refused;
        }
    }
    loop {
        let tally = courier.tally();
        if let Some(failure) = tally.failure {
            return Err(failure);
        }
        if tally.finished >= records.len() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut));
        }
        // It polls for the whole time given: short at first, for latency.
        let slow = began.elapsed() > Duration::from_millis(100);
        producer.poll(Duration::from_millis(if slow { 20 } else { 1 }));
    }
}
