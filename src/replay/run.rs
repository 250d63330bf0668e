//! The replay itself: span by span, batch by batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::apply::{apply, patiently};
use super::checkpoint::{Checkpoint, Shelf};
use super::head::Heads;
use super::pace::Pace;
use super::plan::{self, Request, Span};
use super::records::Item;
use super::{Event, Listener, Means, ReplayError, Report};
use crate::mailbox::{MailboxError, Message, Outgoing, Session, SessionSpec, TopicPartition};
use crate::records::{TRANSFORM_REVISION, Topic};
use crate::service::StageName;
use crate::store::Change;
use crate::transform::Judge;

/// Messages read at a time: on Kafka each read costs a round trip or two.
const READ: usize = 2_000;
/// Between two counts of the rows: on a large database one takes seconds.
const RECOUNT: Duration = Duration::from_secs(30);

/// Replays what is asked for into the database.
///
/// # Errors
/// See [`ReplayError`]. What was done stays done, and the same replay goes on from there.
pub fn replay(means: &Means, request: &Request, listener: Listener<'_>) -> Result<Report, ReplayError> {
    // What the replay depends on: the same words against another database, or by another rule, are another replay.
    let identity = means.mailbox.identity().unwrap_or_default();
    let Judge { artist_threshold, track_threshold } = means.judge;
    let rule = format!("revision {TRANSFORM_REVISION}, thresholds {artist_threshold} and {track_threshold}");
    let (mailbox, store) = (means.mailbox.describe(), means.store.describe());
    let words = format!("{} | {mailbox} {identity} | {store} | {rule}", request.words);
    let mut shelf = Shelf::of(&means.data_dir, &words);
    if means.restart {
        shelf.clear()?;
    }
    let fresh = plan::make(&*means.mailbox, request)?;
    patiently(listener, || means.store.migrate())?;
    let rows = rows(means, listener)?;
    let left_over = shelf.load(&words);
    let is_younger = left_over.as_ref().is_some_and(|found| found.rows > rows);
    if is_younger {
        listener(Event::Note("the database has fewer rows than when this replay was interrupted: beginning anew"));
    }
    let checkpoint = left_over.filter(|_| !is_younger).unwrap_or_else(|| {
        let mut report = Report::default();
        report.topics.extend(request.topics.iter().map(|topic| (topic.default_name().to_owned(), super::Counts::default())));
        Checkpoint { words, offsets: fresh.iter().map(Span::left).sum(), spans: fresh, report, rows }
    });
    let left: u64 = checkpoint.spans.iter().map(Span::left).sum();
    listener(Event::Planned { offsets: checkpoint.offsets, done: checkpoint.offsets.saturating_sub(left) });
    let transformed = transformed_up_to(means)?;
    let mut run = Run { means, transformed, heads: None, publisher: None, pace: Pace::new(means.rate), checkpoint };
    let mut counted = Instant::now();
    while let Some(span) = run.checkpoint.spans.first().copied() {
        let next = run.advance(span, listener)?;
        listener(Event::Done(u64::try_from(next.saturating_sub(span.next)).unwrap_or(0)));
        match run.checkpoint.spans.first_mut() {
            Some(first) if next < first.end => first.next = next,
            _ => drop(run.checkpoint.spans.remove(0)),
        }
        if counted.elapsed() >= RECOUNT && shelf.is_due() {
            (run.checkpoint.rows, counted) = (self::rows(means, listener)?, Instant::now());
        }
        shelf.keep(&run.checkpoint)?;
    }
    shelf.clear()?;
    Ok(run.checkpoint.report)
}

/// Rows of all tables. A database that has fewer than before was made anew meanwhile, or put back from a backup.
fn rows(means: &Means, listener: Listener<'_>) -> Result<i64, ReplayError> {
    Ok(patiently(listener, || means.store.row_counts())?.values().sum())
}

/// How far the transformer has come in each partition.
fn transformed_up_to(means: &Means) -> Result<BTreeMap<TopicPartition, i64>, ReplayError> {
    let stage = StageName::Transform;
    let committed = means.mailbox.committed(&stage.group(), &stage.topics())?;
    Ok(committed.into_iter().map(|place| (place.at, place.next_offset)).collect())
}

struct Run<'m> {
    means: &'m Means,
    transformed: BTreeMap<TopicPartition, i64>,
    /// Of the partition at hand.
    heads: Option<Heads>,
    publisher: Option<Box<dyn Session>>,
    pace: Pace,
    checkpoint: Checkpoint,
}

impl Run<'_> {
    /// Takes the next messages of a span through; answers the offset to go on from, its end when there are no more.
    fn advance(&mut self, span: Span, listener: Listener<'_>) -> Result<i64, ReplayError> {
        let at = span.at();
        let mut messages = match self.means.mailbox.read(at, span.next, self.pace.batch(READ)) {
            // Retention was here since the plan was made: what it deleted cannot be replayed.
            Err(MailboxError::Invalid(_)) if self.first_kept(at)? > span.next => {
                let low = self.first_kept(at)?;
                listener(Event::Note(&format!("{at}: offsets {} to {} were deleted meanwhile", span.next, low - 1)));
                return Ok(low.min(span.end));
            }
            read => read?,
        };
        messages.retain(|message| message.offset < span.end);
        for batch in messages.chunks(self.means.batch_max.max(1)) {
            self.batch(at.topic, batch, listener)?;
            self.pace.spend(batch.len());
        }
        Ok(messages.last().map_or(span.end, |last| last.offset + 1))
    }

    fn first_kept(&self, at: TopicPartition) -> Result<i64, ReplayError> {
        let marks = self.means.mailbox.watermarks(at.topic)?;
        Ok(marks.iter().find(|marks| marks.at == at).map_or(0, |marks| marks.low))
    }

    fn batch(&mut self, topic: Topic, batch: &[Message], listener: Listener<'_>) -> Result<(), ReplayError> {
        let mut changes: Vec<Option<Vec<Change>>> = Vec::with_capacity(batch.len());
        let mut records: Vec<Outgoing> = Vec::new();
        for message in batch {
            let item = Item::of(message, self.means.judge, &self.means.run_id)?;
            changes.push(item.changes);
            // What the transformer has not reached yet it will append itself.
            if self.transformed.get(&message.at).is_some_and(|next| message.offset < *next) {
                records.extend(item.records);
            }
        }
        // The log first: a kill in between leaves a row that the loader will bring to the database anyway.
        self.append(records)?;
        let written = apply(&*self.means.store, &changes, listener)?;
        let counts = self.checkpoint.report.topics.entry(topic.default_name().to_owned()).or_default();
        written.outcomes.into_iter().for_each(|outcome| counts.note(outcome));
        self.checkpoint.report.rows_changed += written.rows_changed;
        Ok(())
    }

    /// Appends what `music_transformed` lacks.
    fn append(&mut self, records: Vec<Outgoing>) -> Result<(), ReplayError> {
        let Some(at) = records.first().map(|record| record.at) else { return Ok(()) };
        let heads = match self.heads.take().filter(|heads| heads.is_of(at)) {
            Some(heads) => self.heads.insert(heads),
            None => self.heads.insert(Heads::of(at)),
        };
        heads.catch_up(&*self.means.mailbox)?;
        let missing = heads.newer(records);
        if missing.is_empty() {
            return Ok(());
        }
        let publisher = match self.publisher.take() {
            Some(open) => self.publisher.insert(open),
            None => self.publisher.insert(self.means.mailbox.open(&publishes(&self.means.run_id))?),
        };
        publisher.publish(&missing, &[])?;
        self.checkpoint.report.appended += u64::try_from(missing.len()).unwrap_or(0);
        Ok(())
    }
}

/// A session that reads nothing and only appends.
pub(super) fn publishes(run_id: &str) -> SessionSpec {
    SessionSpec {
        group: "reprise.replay".to_owned(),
        topics: Vec::new(),
        heads: Vec::new(),
        instance: run_id.to_owned(),
        transactional: false,
        retains: true,
    }
}
