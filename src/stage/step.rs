//! One batch through a processor: fetch, process, publish. The whole life of a stage is this, again and again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::poison::{Approach, PoisonBook};
use super::port::Port;
use super::processor::{Ending, Processed, Processor, StageError, StepContext, Wait};
use crate::mailbox::{Ledger, Message, Outgoing, Progress, TopicPartition};
use crate::observe::Metrics;
use crate::observe::metrics::{ActorLabel, DeadLabel, LagLabel, OutcomeLabel, StageLabel};
use crate::records::{DeadLetter, DeadReason, Envelope, RecordError, Topic, now_micros, partition_of};
use crate::supervision::Pulse;

/// What every stage needs beside its processor.
#[derive(Debug, Clone)]
pub struct StepperSpec {
    /// Stage name: `tracks`, `artists`, ...
    pub stage: String,
    /// Consumer group, for the lag's label.
    pub group: String,
    /// Names this process in records.
    pub run_id: String,
    /// Partitions of every topic.
    pub partitions: i32,
    /// How long a poll waits for the first message.
    pub poll_wait: Duration,
    /// Metrics of the process.
    pub metrics: Metrics,
}

/// What a step did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepReport {
    /// Messages finished.
    pub finished: usize,
    /// Wait before the next step.
    pub wait: Option<Wait>,
}

/// Drives one processor over one mailbox session.
pub struct Stepper {
    spec: StepperSpec,
    processor: Box<dyn Processor>,
    port: Port,
    pulse: Pulse,
    poison: PoisonBook,
    /// Fetched and not yet finished.
    pending: VecDeque<Message>,
    /// Assigned, but the processor could not yet say where to read on.
    unplaced: Vec<TopicPartition>,
    must_rewind: bool,
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepper").field("stage", &self.spec.stage).finish_non_exhaustive()
    }
}

impl Stepper {
    /// A stepper at the group's committed offsets.
    pub fn new(spec: StepperSpec, processor: Box<dyn Processor>, port: Port, pulse: Pulse, poison: PoisonBook) -> Stepper {
        let (pending, unplaced) = (VecDeque::new(), Vec::new());
        spec.metrics.stage_starts(&spec.stage);
        Stepper { spec, processor, port, pulse, poison, pending, unplaced, must_rewind: false }
    }

    /// Takes the next batch through. On `Err(Wait)` and `Err(Revoked)` the next step goes on where it should; after any other
    /// error the stepper is of no further use.
    ///
    /// # Errors
    /// See [`StageError`].
    pub async fn step(&mut self) -> Result<StepReport, StageError> {
        match self.try_step().await {
            Err(StageError::Revoked(_)) => {
                // Somebody else does it now, or we do after the next assignment: read again from what is committed.
                self.must_rewind = true;
                Ok(StepReport::default())
            }
            other => other,
        }
    }

    async fn try_step(&mut self) -> Result<StepReport, StageError> {
        if self.must_rewind {
            self.pending.clear();
            self.port.rewind().await?;
            self.must_rewind = false;
        }
        self.fetch().await?;
        let batch: Vec<Message> = self.pending.iter().take(self.batch_max()).cloned().collect();
        if batch.is_empty() {
            return Ok(StepReport::default());
        }
        let started = Instant::now();
        let (batch, processed) = match self.poison.take(&batch) {
            Approach::Bury => {
                let buried: Vec<Message> = batch.into_iter().take(1).collect();
                let mut endings = Vec::with_capacity(1);
                for message in &buried {
                    endings.push(self.bury(message).await?);
                }
                (buried, Processed::all(endings))
            }
            Approach::Together(count) => {
                let hand: Vec<Message> = batch.into_iter().take(count).collect();
                let processed = self.process(&hand).await;
                if !matches!(processed, Err(StageError::Failed(_))) {
                    self.poison.let_go(&hand);
                }
                (hand, processed?)
            }
        };
        let finished = processed.endings.len().min(batch.len());
        self.finish(&batch[..finished], processed.endings).await?;
        self.poison.let_go(&batch);
        self.measure(started).await;
        if finished > 0 {
            self.pulse.beat();
        } else {
            self.pulse.alive();
        }
        Ok(StepReport { finished, wait: processed.wait })
    }

    fn batch_max(&self) -> usize {
        self.processor.subscription().batch_max.max(1)
    }

    async fn fetch(&mut self) -> Result<(), StageError> {
        self.place().await?;
        if !self.pending.is_empty() {
            return Ok(());
        }
        let polled = self.port.poll(self.batch_max(), self.spec.poll_wait).await?;
        self.unplaced.retain(|at| !polled.revoked.contains(at));
        self.unplaced.extend(&polled.assigned);
        self.pending.extend(polled.messages);
        self.pending.retain(|message| !polled.revoked.contains(&message.at));
        if !polled.revoked.is_empty() {
            self.forget_lag(&polled.revoked);
        }
        self.place().await
    }

    /// Lets the processor say where to read on in newly assigned partitions. Repeated until it can.
    async fn place(&mut self) -> Result<(), StageError> {
        if self.unplaced.is_empty() {
            return Ok(());
        }
        let mut places = Vec::new();
        let context =
            StepContext { pulse: &self.pulse, port: &self.port, run_id: &self.spec.run_id, partitions: self.spec.partitions };
        for (at, next_offset) in self.processor.assigned(&self.unplaced, &context).await? {
            match self.port.seek(at, next_offset).await {
                Ok(()) => places.push(Progress { at, next_offset, counts: Ledger::default() }),
                // It was taken away while the processor was asked. The next poll says so, and assigns it anew if it comes back;
                // to ask for it again before that would never end.
                Err(StageError::Revoked(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.unplaced.clear();
        // The last commit may have been lost with the process that should have made it. Without another message there would
        // never be one that makes up for it: the group would seem to lag, and compaction would wait for it.
        if !places.is_empty()
            && let Err(error) = self.port.publish(Vec::new(), places).await
        {
            let group = &self.spec.group;
            slog_scope::debug!("The mailbox does not know yet where a stage reads on."; "group" => group, "error" => %error);
        }
        Ok(())
    }

    async fn process(&mut self, batch: &[Message]) -> Result<Processed, StageError> {
        let context =
            StepContext { pulse: &self.pulse, port: &self.port, run_id: &self.spec.run_id, partitions: self.spec.partitions };
        self.processor.process(batch, &context).await
    }

    async fn bury(&mut self, message: &Message) -> Result<Ending, StageError> {
        let context =
            StepContext { pulse: &self.pulse, port: &self.port, run_id: &self.spec.run_id, partitions: self.spec.partitions };
        self.processor.bury(message, poison_reason(), &context).await
    }

    /// Publishes what the finished messages led to, and commits them.
    async fn finish(&mut self, finished: &[Message], endings: Vec<Ending>) -> Result<(), StageError> {
        let mut records = Vec::new();
        let mut progress: BTreeMap<TopicPartition, Progress> = BTreeMap::new();
        let mut outcomes: BTreeMap<(&'static str, String), u64> = BTreeMap::new();
        for (message, ending) in finished.iter().zip(endings) {
            let entry = progress.entry(message.at).or_insert_with(|| Progress {
                at: message.at,
                next_offset: 0,
                counts: Ledger::default(),
            });
            entry.next_offset = message.offset + 1;
            entry.counts.consumed += 1;
            let outcome = self.settle(message, ending, &mut entry.counts, &mut records)?;
            *outcomes.entry(outcome).or_default() += 1;
        }
        if !progress.is_empty() {
            let progress = progress.into_values().collect();
            if let Err(error) = self.port.publish(records, progress).await {
                self.must_rewind = true;
                return Err(error);
            }
            self.pending.drain(..finished.len().min(self.pending.len()));
        }
        self.count(outcomes);
        Ok(())
    }

    fn settle(
        &self,
        message: &Message,
        ending: Ending,
        counts: &mut Ledger,
        records: &mut Vec<Outgoing>,
    ) -> Result<(&'static str, String), StageError> {
        match ending {
            Ending::Emitted(emitted) => {
                counts.emitted += 1;
                counts.produced += u64::try_from(emitted.len()).unwrap_or(0);
                records.extend(emitted);
                Ok(("emitted", String::new()))
            }
            Ending::Superseded(reason) => {
                counts.superseded += 1;
                Ok(("superseded", reason.to_owned()))
            }
            Ending::Dead(reason) => {
                counts.dead_lettered += 1;
                let kind = reason.kind.clone();
                let letter = bury(&self.spec.stage, &self.spec.run_id, self.spec.partitions, message, reason);
                records.push(letter.map_err(|error| StageError::Failed(error.into()))?);
                Ok(("dead_lettered", kind))
            }
            Ending::Buried(reason) => {
                counts.dead_lettered += 1;
                Ok(("dead_lettered", reason.kind))
            }
        }
    }

    fn count(&self, outcomes: BTreeMap<(&'static str, String), u64>) {
        for ((outcome, reason), count) in outcomes {
            self.spec.metrics.records.get_or_create(&OutcomeLabel::new(&self.spec.stage, outcome)).inc_by(count);
            if outcome == "dead_lettered" {
                self.spec.metrics.dead_letters.get_or_create(&DeadLabel::new(&self.spec.stage, &reason)).inc_by(count);
            }
        }
    }

    async fn measure(&self, started: Instant) {
        let seconds = started.elapsed().as_secs_f64();
        self.spec.metrics.batch.get_or_create(&StageLabel::new(&self.spec.stage)).observe(seconds);
        self.spec.metrics.actor_busy.get_or_create(&ActorLabel::new(&self.spec.stage)).inc_by(seconds);
        let depth = i64::try_from(self.pending.len()).unwrap_or(i64::MAX);
        self.spec.metrics.actor_mailbox_depth.get_or_create(&ActorLabel::new(&self.spec.stage)).set(depth);
        self.measure_lag().await;
    }

    /// Sets the lag of the partitions owned. Also called while there is nothing to do.
    pub async fn measure_lag(&self) {
        let Ok(lags) = self.port.lag().await else { return };
        for (at, unread) in lags {
            // What is in hand is not finished either.
            let in_hand = self.pending.iter().filter(|message| message.at == at).count();
            let lag = i64::try_from(unread).unwrap_or(i64::MAX).saturating_add(i64::try_from(in_hand).unwrap_or(0));
            self.spec.metrics.lag.get_or_create(&self.lag_label(at)).set(lag);
        }
    }

    /// Another process reports these partitions now: a frozen figure would lie.
    fn forget_lag(&self, revoked: &[TopicPartition]) {
        for at in revoked {
            self.spec.metrics.lag.remove(&self.lag_label(*at));
        }
    }

    fn lag_label(&self, at: TopicPartition) -> LagLabel {
        LagLabel::new(at.topic.default_name(), &at.partition.to_string(), &self.spec.group)
    }

    /// Signs of life shared with the supervisor.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

fn poison_reason() -> DeadReason {
    let detail = "this message killed the actor again and again, the last time when it was alone in its batch; \
                  see the exits of the stage on the status board";
    DeadReason::new("poison", detail)
}

/// The dead letter of a message.
///
/// # Errors
/// As [`Envelope::to_json`].
pub fn bury(
    stage: &str,
    run_id: &str,
    partitions: i32,
    message: &Message,
    reason: DeadReason,
) -> Result<Outgoing, RecordError> {
    let letter = DeadLetter {
        stage: stage.to_owned(),
        reason,
        origin_topic: message.at.topic.default_name().to_owned(),
        origin_partition: message.at.partition,
        origin_offset: message.offset,
        origin_time: message.appended_at,
        origin_key: message.key.clone(),
        payload_base64: DeadLetter::encode_payload(&message.payload),
    };
    let partition = partition_of(&letter.id(), partitions);
    let envelope = Envelope::new(now_micros(), run_id, letter);
    debug_assert_eq!(<DeadLetter as crate::records::Record>::TOPIC, Topic::MusicDeadLetters);
    Outgoing::record(&envelope, partition, 0)
}
