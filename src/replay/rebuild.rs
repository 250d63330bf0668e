//! The rebuild: a loader of its own into an empty database, see the module above.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::apply::patiently;
use super::pace::Pace;
use super::plan::{self, Request, Span, Start};
use super::run::publishes;
use super::{Counts, Event, Listener, Means, ReplayError, Report};
use crate::load::{beyond_the_end, change_of};
use crate::mailbox::{Ledger, Message, TopicPartition};
use crate::records::{DeadReason, Topic};
use crate::stage::step::bury;
use crate::store::{Advance, Applied, Change, Claim, Observation, Store, StoreError};

/// Messages read at a time.
const READ: usize = 2_000;
/// What is missing is looked at so many at a time.
const LACKING_MAX: usize = 10_000;

/// Makes the database a function of `music_transformed` alone.
///
/// # Errors
/// See [`ReplayError`]. What was done beside the live database stays there, and the next rebuild goes on from it.
pub fn rebuild(means: &Means, listener: Listener<'_>) -> Result<Report, ReplayError> {
    let whole = Request { topics: vec![Topic::MusicTransformed], start: Start::Beginning, words: String::new() };
    let spans = plan::make(&*means.mailbox, &whole)?;
    patiently(listener, || means.store.migrate())?;
    let live = is_in_use(&*means.store)?;
    if live && spans.is_empty() {
        let problem = "music_transformed is empty: a rebuild would leave an empty database. Is it the right mailbox, \
                       with the right topics.prefix?";
        return Err(ReplayError::Refused(problem.to_owned()));
    }
    let target = if live {
        beside(means, listener)?
    } else {
        is_of_another_mailbox(means, &*means.store, listener)?;
        Arc::clone(&means.store)
    };
    let mut filling = Filling { means, target: &*target, pace: Pace::new(means.rate), report: Report::default() };
    filling.report.topics.insert(Topic::MusicTransformed.default_name().to_owned(), Counts::default());
    let places = filling.claim(&spans, listener)?;
    let done = spans.iter().map(|span| reached(span, &places).min(span.end) - span.next).sum::<i64>();
    let offsets = spans.iter().map(Span::left).sum();
    listener(Event::Planned { offsets, done: u64::try_from(done).unwrap_or(0) });
    filling.fill(spans, &places, listener)?;
    if live && !means.accept_loss {
        filling.lose_nothing(&whole, listener)?;
    }
    let Filling { report, .. } = filling;
    if live {
        drop(target);
        listener(Event::Note("the rebuilt rows take the place of the old ones"));
        patiently(listener, || means.store.adopt())?;
        means.store.discard_beside()?;
    }
    Ok(report)
}

/// Has anything ever been loaded here?
fn is_in_use(store: &dyn Store) -> Result<bool, ReplayError> {
    let rows = store.row_counts()?.values().any(|rows| *rows > 0);
    Ok(rows || store.ledger()?.iter().any(|(claim, _)| claim.next_offset.is_some()))
}

fn beside(means: &Means, listener: Listener<'_>) -> Result<Arc<dyn Store>, ReplayError> {
    if means.restart {
        patiently(listener, || means.store.discard_beside())?;
    }
    let open = |listener: Listener<'_>| {
        let target = patiently(listener, || means.store.beside())?;
        patiently(listener, || target.migrate())?;
        Ok::<_, ReplayError>(target)
    };
    let target = open(listener)?;
    if !is_of_another_mailbox(means, &*target, listener)? {
        return Ok(target);
    }
    drop(target);
    listener(Event::Note("what an interrupted rebuild has left was read from another mailbox: beginning anew"));
    patiently(listener, || means.store.discard_beside())?;
    let target = open(listener)?;
    is_of_another_mailbox(means, &*target, listener)?;
    Ok(target)
}

/// Whether `target` was filled with what stands elsewhere, or stands in this mailbox no longer. From now on it is of this one.
fn is_of_another_mailbox(means: &Means, target: &dyn Store, listener: Listener<'_>) -> Result<bool, ReplayError> {
    let Some(identity) = means.mailbox.identity() else { return Ok(false) };
    let places = patiently(listener, || target.ledger())?;
    let beyond = beyond_the_end(&*means.mailbox, &places)?;
    patiently(listener, || target.recognise(&identity, &beyond))
}

/// Where each partition of the target stands.
type Places = BTreeMap<TopicPartition, Claim>;

fn reached(span: &Span, places: &Places) -> i64 {
    places.get(&span.at()).and_then(|claim| claim.next_offset).unwrap_or(span.next)
}

struct Filling<'m> {
    means: &'m Means,
    target: &'m dyn Store,
    pace: Pace,
    report: Report,
}

impl Filling<'_> {
    fn claim(&self, spans: &[Span], listener: Listener<'_>) -> Result<Places, ReplayError> {
        let partitions: Vec<TopicPartition> = spans.iter().map(Span::at).collect();
        let claims = patiently(listener, || self.target.claim(&partitions))?;
        Ok(claims.into_iter().map(|claim| (claim.at, claim)).collect())
    }

    fn fill(&mut self, spans: Vec<Span>, places: &Places, listener: Listener<'_>) -> Result<(), ReplayError> {
        for span in spans {
            if let Some(claim) = places.get(&span.at()) {
                self.span(span, *claim, listener)?;
            }
        }
        Ok(())
    }

    /// Refuses where the live database was told what the target was not. What a service at work has loaded meanwhile is told
    /// first.
    fn lose_nothing(&mut self, whole: &Request, listener: Listener<'_>) -> Result<(), ReplayError> {
        let live = &self.means.store;
        loop {
            let lacking = patiently(listener, || live.lacking_beside(LACKING_MAX))?;
            if lacking.is_empty() {
                return Ok(());
            }
            // Whatever was loaded until now stands before the present ends.
            let spans = plan::make(&*self.means.mailbox, whole)?;
            let places = self.claim(&spans, listener)?;
            self.fill(spans, &places, listener)?;
            let still: BTreeSet<Observation> = patiently(listener, || live.lacking_beside(LACKING_MAX))?.into_iter().collect();
            let lost: Vec<&Observation> = lacking.iter().filter(|observation| still.contains(observation)).collect();
            if let Some(example) = lost.first() {
                return Err(refusal(lost.len(), example));
            }
        }
    }

    fn span(&mut self, span: Span, mut claim: Claim, listener: Listener<'_>) -> Result<(), ReplayError> {
        let mut next = claim.next_offset.unwrap_or(span.next).max(span.next);
        while next < span.end {
            let mut messages = self.means.mailbox.read(span.at(), next, self.pace.batch(READ))?;
            messages.retain(|message| message.offset < span.end);
            for batch in messages.chunks(self.means.batch_max.max(1)) {
                let items: Vec<(&Message, Result<Change, DeadReason>)> =
                    batch.iter().map(|message| (message, change_of(message))).collect();
                self.write(&items, &mut claim, listener)?;
                self.pace.spend(batch.len());
            }
            let reached = messages.last().map_or(span.end, |last| last.offset + 1);
            listener(Event::Done(u64::try_from(reached - next).unwrap_or(0)));
            next = reached;
        }
        Ok(())
    }

    /// Writes rows and progress together, as the loader does; halves what the database refuses.
    fn write(
        &mut self,
        items: &[(&Message, Result<Change, DeadReason>)],
        claim: &mut Claim,
        listener: Listener<'_>,
    ) -> Result<(), ReplayError> {
        let Some((last, _)) = items.last() else { return Ok(()) };
        self.bury_dead(items)?;
        let changes: Vec<Change> = items.iter().filter_map(|(_, change)| change.clone().ok()).collect();
        let dead = u64::try_from(items.len() - changes.len()).unwrap_or(0);
        let consumed = u64::try_from(items.len()).unwrap_or(0);
        let counts = Ledger { consumed, dead_lettered: dead, ..Ledger::default() };
        let to = last.offset + 1;
        let advance = Advance { at: claim.at, epoch: claim.epoch, from: claim.next_offset, to, counts };
        match patiently(listener, || self.target.apply(&changes, &[advance])) {
            Ok(applied) => {
                claim.next_offset = Some(to);
                self.count(items, &applied);
                Ok(())
            }
            Err(ReplayError::Store(StoreError::Data(detail))) if !changes.is_empty() => {
                let (left, right) = items.split_at(items.len() / 2);
                if left.is_empty() {
                    let reason = DeadReason::new("constraint", detail);
                    let given_up: Vec<_> = items.iter().map(|(message, _)| (*message, Err(reason.clone()))).collect();
                    return self.write(&given_up, claim, listener);
                }
                self.write(left, claim, listener)?;
                self.write(right, claim, listener)
            }
            Err(ReplayError::Store(StoreError::Fenced(_))) => Err(ReplayError::Refused(format!(
                "{}: another loader has taken over the database that is being filled. If a service is running, it fills an \
                 empty database by itself; if another rebuild is, let it finish",
                claim.at
            ))),
            Err(error) => Err(error),
        }
    }

    /// The ledger of the rebuilt database says dead-lettered: so a dead letter has to be there, under the loader's own id.
    fn bury_dead(&self, items: &[(&Message, Result<Change, DeadReason>)]) -> Result<(), ReplayError> {
        if items.iter().all(|(_, change)| change.is_ok()) {
            return Ok(());
        }
        let partitions = self.means.mailbox.partitions()?;
        let mut letters = Vec::new();
        for (message, change) in items {
            if let Err(reason) = change {
                let letter = bury("load", &self.means.run_id, partitions, message, reason.clone());
                letters.push(letter.map_err(|error| crate::mailbox::MailboxError::Invalid(error.to_string()))?);
            }
        }
        Ok(self.means.mailbox.open(&publishes(&self.means.run_id))?.publish(&letters, &[])?)
    }

    fn count(&mut self, items: &[(&Message, Result<Change, DeadReason>)], applied: &Applied) {
        use super::apply::Outcome;
        let counts = self.report.topics.entry(Topic::MusicTransformed.default_name().to_owned()).or_default();
        let mut fates = applied.won.iter().zip(&applied.same);
        for (_, change) in items {
            counts.note(match change {
                Err(reason) if reason.kind == "constraint" => Outcome::Refused,
                Err(_) => Outcome::Undecodable,
                Ok(_) => match fates.next() {
                    Some((true, _)) => Outcome::Applied,
                    Some((_, true)) => Outcome::Unchanged,
                    _ => Outcome::Superseded,
                },
            });
        }
        self.report.rows_changed += applied.rows_changed();
    }
}

fn refusal(lost: usize, example: &Observation) -> ReplayError {
    let count = if lost < LACKING_MAX { lost.to_string() } else { format!("{LACKING_MAX} or more") };
    let Observation { table, key, source, .. } = example;
    ReplayError::Refused(format!(
        "a rebuild would lose {count} observations that the database has and music_transformed has not, such as what source \
         {source} said about {key} in {table}. The database was not changed. `reprise replay` puts back what the raw topics still \
         hold; --accept-loss rebuilds all the same"
    ))
}
