//! The loader: applies transformed records to the database.
//!
//! **Guarantee.** Rows, the next offset and the ledger are written in one database transaction, guarded by the ownership epoch
//! of the partition; the commit to the mailbox is advisory. Whatever the process does not survive, the database and its offset
//! agree, and each record is applied exactly once or recognised as already applied.
//!
//! Bad data is found by bisection: a batch the database refuses is halved until the offending record is alone, which goes to
//! the dead letters; everything else is written.

mod recognition;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::mailbox::{Ledger, Message, TopicPartition};
use crate::observe::Metrics;
use crate::observe::metrics::RowLabel;
use crate::records::{DeadReason, Topic, Transformed, parse};
use crate::stage::patience;
use crate::stage::step::bury;
use crate::stage::{Ending, Processed, Processor, StageError, StepContext, Subscription};
use crate::store::{Advance, Applied, Change, Store, StoreError};
use crate::supervision::Pulse;

pub use self::recognition::beyond_the_end;

/// How long to wait before asking an unavailable database again.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// Refusals in a row for lost ownership, after which only a new session can help.
const FENCED_MAX: u32 = 5;

#[derive(Debug, Clone, Copy)]
struct Stand {
    epoch: i64,
    next: Option<i64>,
}

/// See the module.
#[derive(Debug)]
pub struct Loader {
    store: Arc<dyn Store>,
    metrics: Metrics,
    batch_max: usize,
    stands: HashMap<TopicPartition, Stand>,
    /// Written to without an answer.
    doubtful: Vec<TopicPartition>,
    fenced: u32,
}

/// A message on its way into the database.
#[derive(Debug, Clone)]
struct Item {
    at: TopicPartition,
    offset: i64,
    change: Result<Change, DeadReason>,
}

impl Loader {
    /// A loader into `store`. Larger batches are faster, smaller ones lose less work to a crash.
    pub fn new(store: Arc<dyn Store>, batch_max: usize, metrics: Metrics) -> Loader {
        Loader { store, metrics, batch_max, stands: HashMap::new(), doubtful: Vec::new(), fenced: 0 }
    }

    async fn claim(&mut self, partitions: &[TopicPartition], pulse: &Pulse) -> Result<Vec<(TopicPartition, i64)>, StageError> {
        let (store, wanted) = (Arc::clone(&self.store), partitions.to_vec());
        let claims = patience::ask(pulse, "database", move || store.claim(&wanted)).await?.map_err(stage_error)?;
        let mut places = Vec::with_capacity(claims.len());
        for claim in claims {
            self.stands.insert(claim.at, Stand { epoch: claim.epoch, next: claim.next_offset });
            // A partition this database never saw is read from its beginning, whatever the group committed elsewhere.
            places.push((claim.at, claim.next_offset.unwrap_or(0)));
        }
        self.doubtful.retain(|at| !partitions.contains(at));
        Ok(places)
    }

    /// What was given up for want of an answer may have been written, or may be yet. A new claim tells, and shuts it out.
    async fn settle_doubts(&mut self, pulse: &Pulse) -> Result<(), StageError> {
        let doubtful = self.doubtful.clone();
        if doubtful.is_empty() { Ok(()) } else { self.claim(&doubtful, pulse).await.map(drop) }
    }

    /// Loads what `change_of` says each message of `batch` means.
    async fn load(
        &mut self,
        batch: &[Message],
        change_of: impl Fn(&Message) -> Result<Change, DeadReason>,
        context: &StepContext<'_>,
    ) -> Result<Vec<Ending>, StageError> {
        self.settle_doubts(context.pulse).await?;
        let mut endings: Vec<Option<Ending>> = vec![None; batch.len()];
        let mut items = Vec::with_capacity(batch.len());
        let mut places = Vec::with_capacity(batch.len());
        for (index, message) in batch.iter().enumerate() {
            let stand = self.stands.get(&message.at).ok_or_else(|| StageError::Revoked(message.at.to_string()))?;
            if stand.next.is_some_and(|next| message.offset < next) {
                endings[index] = Some(Ending::Superseded("applied"));
            } else {
                items.push(Item { at: message.at, offset: message.offset, change: change_of(message) });
                places.push(index);
            }
        }
        let mut ended = Vec::with_capacity(items.len());
        self.write(&items, &places, batch, context, &mut ended).await?;
        for (index, ending) in places.into_iter().zip(ended) {
            endings[index] = Some(ending);
        }
        Ok(endings.into_iter().flatten().collect())
    }

    /// Writes `items` in order; halves what the database refuses. Recursion is as deep as the logarithm of the batch.
    fn write<'a>(
        &'a mut self,
        items: &'a [Item],
        places: &'a [usize],
        batch: &'a [Message],
        context: &'a StepContext<'a>,
        ended: &'a mut Vec<Ending>,
    ) -> LocalBoxFuture<'a, Result<(), StageError>> {
        Box::pin(async move {
            if items.is_empty() {
                return Ok(());
            }
            context.pulse.alive();
            self.publish_dead(items, places, batch, context).await?;
            match self.apply(items, context.pulse).await? {
                Ok(applied) => {
                    self.fenced = 0;
                    self.settle(items, &applied, ended);
                    Ok(())
                }
                Err(StoreError::Data(detail)) if items.len() == 1 => {
                    let reason = DeadReason::new("constraint", detail);
                    let given_up: Vec<Item> = items.iter().map(|item| item.given_up(&reason)).collect();
                    self.write(&given_up, places, batch, context, ended).await
                }
                Err(StoreError::Data(_)) => {
                    let middle = items.len() / 2;
                    let ((left, right), (left_at, right_at)) = (items.split_at(middle), places.split_at(middle));
                    self.write(left, left_at, batch, context, ended).await?;
                    self.write(right, right_at, batch, context, ended).await
                }
                Err(StoreError::Fenced(detail)) => {
                    self.fenced += 1;
                    let gone = self.fenced > FENCED_MAX;
                    Err(if gone { StageError::Failed(anyhow::anyhow!(detail)) } else { StageError::Revoked(detail) })
                }
                Err(other) => Err(stage_error(other)),
            }
        })
    }

    /// Dead letters first: if the process dies before the database moves on, or the rest of the batch is halved, they are
    /// written again under the same id, which readers count once.
    async fn publish_dead(
        &self,
        items: &[Item],
        places: &[usize],
        batch: &[Message],
        context: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let mut letters = Vec::new();
        for (item, place) in items.iter().zip(places) {
            let (Err(reason), Some(message)) = (&item.change, batch.get(*place)) else { continue };
            let letter = bury("load", context.run_id, context.partitions, message, reason.clone());
            letters.push(letter.map_err(|error| StageError::Failed(error.into()))?);
        }
        if letters.is_empty() { Ok(()) } else { context.port.publish(letters, Vec::new()).await }
    }

    async fn apply(&mut self, items: &[Item], pulse: &Pulse) -> Result<Result<Applied, StoreError>, StageError> {
        let advances = self.advances(items);
        let changes: Vec<Change> = items.iter().filter_map(|item| item.change.clone().ok()).collect();
        let (store, moved) = (Arc::clone(&self.store), advances.clone());
        let answer = patience::ask(pulse, "database", move || store.apply(&changes, &moved)).await;
        let applied = answer.inspect_err(|_| self.doubtful.extend(advances.iter().map(|advance| advance.at)))?;
        if applied.is_ok() {
            for advance in advances {
                self.stands.insert(advance.at, Stand { epoch: advance.epoch, next: Some(advance.to) });
            }
        }
        Ok(applied)
    }

    fn advances(&self, items: &[Item]) -> Vec<Advance> {
        let mut advances: Vec<Advance> = Vec::new();
        for item in items {
            let Some(stand) = self.stands.get(&item.at) else { continue };
            let dead = u64::from(item.change.is_err());
            if let Some(advance) = advances.iter_mut().find(|advance| advance.at == item.at) {
                advance.to = item.offset + 1;
                advance.counts.consumed += 1;
                advance.counts.dead_lettered += dead;
            } else {
                let counts = Ledger { consumed: 1, dead_lettered: dead, ..Ledger::default() };
                let (at, epoch, from, to) = (item.at, stand.epoch, stand.next, item.offset + 1);
                advances.push(Advance { at, epoch, from, to, counts });
            }
        }
        advances
    }

    fn settle(&self, items: &[Item], applied: &Applied, ended: &mut Vec<Ending>) {
        let mut won = applied.won.iter();
        for item in items {
            ended.push(match &item.change {
                Err(reason) => Ending::Buried(reason.clone()),
                Ok(_) if won.next().copied().unwrap_or(false) => Ending::Emitted(Vec::new()),
                Ok(_) => Ending::Superseded("older"),
            });
        }
        for (table, effect) in &applied.effects {
            for (name, count) in [
                ("inserted", effect.inserted),
                ("updated", effect.updated),
                ("unchanged", effect.unchanged),
                ("superseded", effect.superseded),
            ] {
                self.metrics.rows.get_or_create(&RowLabel::new(table, name)).inc_by(count);
            }
        }
    }
}

impl Item {
    fn given_up(&self, reason: &DeadReason) -> Item {
        Item { at: self.at, offset: self.offset, change: Err(reason.clone()) }
    }
}

/// What a message of `music_transformed` changes in the database.
///
/// # Errors
/// Why it cannot be used at all.
pub fn change_of(message: &Message) -> Result<Change, DeadReason> {
    let parsed = parse::<Transformed>(&message.payload).map_err(|error| DeadReason::from(&error))?;
    let envelope = parsed.record;
    let version = envelope.version(envelope.body.revision).map_err(|error| DeadReason::from(&error))?;
    Ok(Change { at: message.at, row: envelope.body.row, version })
}

/// A store's trouble in the stage's terms: what is away is waited for.
pub fn stage_error(error: StoreError) -> StageError {
    match error {
        StoreError::Unavailable(detail) => StageError::wait(format!("database: {detail}"), DATABASE_PAUSE),
        StoreError::Fenced(detail) => StageError::Revoked(detail),
        StoreError::Setup(detail) => StageError::Stop(detail),
        StoreError::Data(detail) => StageError::Failed(anyhow::anyhow!(detail)),
    }
}

impl Processor for Loader {
    fn subscription(&self) -> Subscription {
        Subscription {
            topics: vec![Topic::MusicTransformed],
            heads: Vec::new(),
            batch_max: self.batch_max,
            transactional: false,
        }
    }

    fn assigned<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Vec<(TopicPartition, i64)>, StageError>> {
        Box::pin(self.claim(partitions, context.pulse))
    }

    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(async move { Ok(Processed::all(self.load(batch, change_of, context).await?)) })
    }

    /// In the database too: or its offset would stay behind the message, which would kill again after every restart and be
    /// missing from the ledger.
    fn bury<'a>(
        &'a mut self,
        message: &'a Message,
        reason: DeadReason,
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Ending, StageError>> {
        Box::pin(async move {
            let given_up = |_: &Message| Err(reason.clone());
            let ended = self.load(std::slice::from_ref(message), given_up, context).await?;
            ended.into_iter().next().ok_or_else(|| StageError::Failed(anyhow::anyhow!("a buried message has no ending")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open_store;

    #[tokio::test]
    async fn a_write_that_was_given_up_and_done_all_the_same_is_found_and_a_later_one_is_shut_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open_store(&format!("sqlite:{}", folder.path().join("music.db").display())).expect("a store");
        store.migrate().expect("tables");
        let (at, pulse) = (TopicPartition { topic: Topic::MusicTransformed, partition: 0 }, Pulse::new());
        let mut loader = Loader::new(Arc::clone(&store), 10, Metrics::new());
        loader.claim(&[at], &pulse).await.expect("a claim");
        let epoch = loader.stands.get(&at).expect("a stand").epoch;
        let given_up = |from, to| {
            let counts = Ledger { consumed: 3, dead_lettered: 3, ..Ledger::default() };
            store.apply(&[], &[Advance { at, epoch, from, to, counts }])
        };
        given_up(None, 3).expect("done without the loader's knowledge");
        loader.doubtful.push(at);
        loader.settle_doubts(&pulse).await.expect("a new claim");
        assert_eq!(loader.stands.get(&at).map(|stand| stand.next), Some(Some(3)));
        assert!(matches!(given_up(Some(3), 6), Err(StoreError::Fenced(_))));
        assert!(loader.doubtful.is_empty());
    }
}
