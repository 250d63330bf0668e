//! Batches in which every message leads to a few calls of slow services.
//!
//! **Guarantee.** Each thing (by record key) is asked for once in a batch, however many messages need it. When a service has to be
//! waited for, the messages finished before the first unfinished one are handed over, and what was learned for later ones
//! is kept until they come back: a wait costs no call twice.
//!
//! The stage's contract ([`Processed`]) lets only a prefix of the batch be finished; calls overlap and end in any order. The
//! [`Desk`] is where the two meet.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::clients::http::ApiError;
use super::freshness::{Freshness, Question};
use crate::mailbox::{Message, Outgoing, TopicPartition};
use crate::records::{DeadReason, Envelope, Record, Topic, parse};
use crate::stage::{Ending, Processed, StageError, StepContext, Wait};
use crate::supervision::Pulse;

/// Something to find out, and the key of the record that will say it.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand<A> {
    /// The record's key.
    pub key: String,
    /// What to ask.
    pub ask: A,
}

/// What a message needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan<A> {
    /// It cannot be read.
    Dead(DeadReason),
    /// These; none when everything is fresh.
    Run(Vec<Errand<A>>),
}

/// Why an errand brought no record.
#[derive(Debug)]
pub enum Trouble {
    /// It never will: the message that led to it is given up.
    GiveUp(DeadReason),
    /// Not now, or the stage itself is in trouble.
    Halt(StageError),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Trouble {
        match error {
            ApiError::Rejected(detail) => Trouble::GiveUp(DeadReason::new("rejected", detail)),
            ApiError::Missing { reason } => Trouble::GiveUp(DeadReason::new("rejected", format!("there is none: {reason}"))),
            other => Trouble::Halt(other.into()),
        }
    }
}

/// The messages' bodies, or why they have none.
pub fn bodies<B: Record>(batch: &[Message]) -> Vec<Result<B, DeadReason>> {
    let body = |message: &Message| parse::<B>(&message.payload).map(|parsed| parsed.record.body);
    batch.iter().map(|message| body(message).map_err(|error| DeadReason::from(&error))).collect()
}

/// Every key the bodies want, once, with the partition its message stands in.
pub fn keys<B, A>(
    batch: &[Message],
    bodies: &[Result<B, DeadReason>],
    wants: impl Fn(&B) -> Vec<Errand<A>>,
) -> BTreeSet<(i32, String)> {
    let wanted = |(message, body): (&Message, &B)| {
        let partition = message.at.partition;
        wants(body).into_iter().map(move |errand| (partition, errand.key)).collect::<Vec<_>>()
    };
    batch.iter().zip(bodies).filter_map(|(message, body)| Some((message, body.as_ref().ok()?))).flat_map(wanted).collect()
}

/// The keys of `wanted` whose newest record is fresh. `question` says how to ask about a key; `topic` is where its records go.
///
/// # Errors
/// As [`Freshness::fresh`].
pub async fn fresh_keys(
    freshness: &Freshness,
    context: &StepContext<'_>,
    topic: Topic,
    wanted: &BTreeSet<(i32, String)>,
    question: impl Fn(&str) -> Option<Question>,
) -> Result<BTreeSet<String>, StageError> {
    let mut by_partition: BTreeMap<i32, Vec<Question>> = BTreeMap::new();
    for (partition, key) in wanted {
        by_partition.entry(*partition).or_default().extend(question(key));
    }
    let mut fresh = BTreeSet::new();
    for (partition, questions) in by_partition {
        let answers = freshness.fresh(context, TopicPartition { topic, partition }, &questions).await?;
        fresh.extend(questions.into_iter().zip(answers).filter(|(_, fresh)| *fresh).map(|(question, _)| question.head));
    }
    Ok(fresh)
}

/// Plans a batch: what each message `wants`, unless it is `fresh`.
pub fn plan<T, A>(
    bodies: Vec<Result<T, DeadReason>>,
    wants: impl Fn(&T) -> Vec<Errand<A>>,
    fresh: impl Fn(&str) -> bool,
) -> Vec<Plan<A>> {
    let stale = |body: &T| wants(body).into_iter().filter(|errand| !fresh(&errand.key)).collect();
    bodies.into_iter().map(|body| body.map_or_else(Plan::Dead, |body| Plan::Run(stale(&body)))).collect()
}

/// What is known of the messages under way. One belongs to each processor.
#[derive(Debug)]
pub struct Desk<T> {
    /// Outcomes of errands whose message is not finished yet.
    done: BTreeMap<String, Result<Envelope<T>, DeadReason>>,
    /// Ends the stage as soon as what was finished before it is handed over.
    halted: Option<StageError>,
}

/// The keys a message needs, or why it is dead.
type Need = Result<Vec<String>, DeadReason>;

impl<T> Default for Desk<T> {
    fn default() -> Self {
        Desk { done: BTreeMap::new(), halted: None }
    }
}

impl<T: Record> Desk<T> {
    /// Why the stage must not go on, when the batch before ended with that. Ask first thing.
    ///
    /// # Errors
    /// The trouble itself.
    pub fn reopen(&mut self) -> Result<(), StageError> {
        self.halted.take().map_or(Ok(()), Err)
    }

    /// Does the errands of `plans` (one for each message of `batch`), at most `at_once` together, and ends the messages in
    /// order.
    ///
    /// # Errors
    /// When no message could be finished and waiting does not help.
    pub async fn work<A, F>(
        &mut self,
        batch: &[Message],
        plans: Vec<Plan<A>>,
        at_once: usize,
        pulse: &Pulse,
        run: impl Fn(A) -> F,
    ) -> Result<Processed, StageError>
    where
        F: Future<Output = Result<Envelope<T>, Trouble>>,
    {
        let (needs, errands) = self.unpack(plans);
        let halts = self.run(errands, at_once, pulse, run).await;
        self.finish(batch, needs, halts)
    }

    /// Each message's needs, and every errand once that is not done already.
    fn unpack<A>(&self, plans: Vec<Plan<A>>) -> (Vec<Need>, Vec<Errand<A>>) {
        let mut seen = BTreeSet::new();
        let mut errands = Vec::new();
        let mut need = |plan| match plan {
            Plan::Dead(reason) => Err(reason),
            Plan::Run(wanted) => {
                let keys = wanted.iter().map(|errand: &Errand<A>| errand.key.clone()).collect();
                let new = |errand: &Errand<A>| !self.done.contains_key(&errand.key) && seen.insert(errand.key.clone());
                errands.extend(wanted.into_iter().filter(new));
                Ok(keys)
            }
        };
        let needs = plans.into_iter().map(&mut need).collect();
        (needs, errands)
    }

    /// Runs errands until all are done or the first one halts; those under way then are brought to their end, so that no call
    /// is wasted. Answers what halted, by key.
    async fn run<A, F>(
        &mut self,
        errands: Vec<Errand<A>>,
        at_once: usize,
        pulse: &Pulse,
        run: impl Fn(A) -> F,
    ) -> BTreeMap<String, StageError>
    where
        F: Future<Output = Result<Envelope<T>, Trouble>>,
    {
        let mut halts = BTreeMap::new();
        let mut waiting = errands.into_iter();
        let mut under_way = FuturesUnordered::new();
        loop {
            while halts.is_empty() && under_way.len() < at_once.max(1) {
                let Some(Errand { key, ask }) = waiting.next() else { break };
                let errand = run(ask);
                under_way.push(async move { (key, errand.await) });
            }
            let Some((key, outcome)) = under_way.next().await else { return halts };
            pulse.alive();
            match outcome {
                Ok(record) => drop(self.done.insert(key, Ok(record))),
                Err(Trouble::GiveUp(reason)) => drop(self.done.insert(key, Err(reason))),
                Err(Trouble::Halt(error)) => drop(halts.insert(key, error)),
            }
        }
    }

    /// Ends messages in order up to the first one that misses something.
    fn finish(
        &mut self,
        batch: &[Message],
        needs: Vec<Need>,
        mut halts: BTreeMap<String, StageError>,
    ) -> Result<Processed, StageError> {
        let mut endings = Vec::with_capacity(batch.len());
        let mut settled = BTreeSet::new();
        let mut needs = batch.iter().zip(needs).peekable();
        while let Some((message, need)) = needs.next_if(|(_, need)| self.is_complete(need, &settled)) {
            endings.push(match need {
                Err(reason) => Ending::Dead(reason),
                Ok(keys) => self.settle(message, keys, &mut settled),
            });
        }
        let unfinished: Vec<String> = needs.filter_map(|(_, need)| need.ok()).flatten().collect();
        self.done.retain(|key, _| unfinished.contains(key));
        if endings.len() == batch.len() {
            return Ok(Processed::all(endings));
        }
        // What blocks the first unfinished message decides; whatever else halted is met again.
        let blocking = unfinished.iter().find(|key| halts.contains_key(*key)).and_then(|key| halts.remove(key));
        self.pause(endings, blocking.unwrap_or_else(|| StageError::wait("unfinished calls", UNEXPLAINED_PAUSE)))
    }

    fn is_complete(&self, need: &Need, settled: &BTreeSet<String>) -> bool {
        let known = |key: &String| settled.contains(key) || self.done.contains_key(key);
        need.as_ref().map_or(true, |keys| keys.iter().all(known))
    }

    /// The ending of a message all of whose needs are known. A record goes out with the first message that needs it, and a
    /// failure is charged to the first only: the others have what they came for or are not the reason.
    fn settle(&mut self, message: &Message, keys: Vec<String>, settled: &mut BTreeSet<String>) -> Ending {
        let failed = keys.iter().find(|key| matches!(self.done.get(*key), Some(Err(_))));
        if let Some(key) = failed
            && let Some(Err(reason)) = self.done.remove(key)
        {
            // What else was found out for this message stays for the next one that needs it.
            settled.insert(key.clone());
            return Ending::Dead(reason);
        }
        let mut records = Vec::new();
        for key in keys {
            if let Some(Ok(record)) = self.done.remove(&key) {
                settled.insert(key);
                records.push(record);
            }
        }
        if records.is_empty() {
            return Ending::Superseded("fresh");
        }
        let outgoing: Result<Vec<_>, _> =
            records.iter().map(|record| Outgoing::record(record, message.at.partition, 0)).collect();
        outgoing.map_or_else(|error| Ending::Dead(DeadReason::from(&error)), Ending::Emitted)
    }

    fn pause(&mut self, endings: Vec<Ending>, halt: StageError) -> Result<Processed, StageError> {
        match halt {
            StageError::Wait(wait) => Ok(Processed { endings, wait: Some(wait) }),
            error if endings.is_empty() => Err(error),
            error => {
                let wait = Wait { reason: error.to_string(), pause: Duration::ZERO };
                self.halted = Some(error);
                Ok(Processed { endings, wait: Some(wait) })
            }
        }
    }
}

/// When nothing says why a message is unfinished, which cannot happen: short enough to go unnoticed.
const UNEXPLAINED_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
