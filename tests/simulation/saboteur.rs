//! A processor that dies, fails, freezes or stops half-way around the real one; and the gate that lets a frozen one go on.
//!
//! A message that kills is told apart from one that happened to be in hand: chance never kills a message so often that the
//! stage would rightly take it for poison.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use reprise::mailbox::{Ledger, Message, Progress, TopicPartition};
use reprise::records::DeadReason;
use reprise::stage::{Ending, Processed, Processor, StageError, StepContext, Subscription, Wait};

use crate::broken::Broken;
use crate::faults::{Fault, Faults, die};

/// After how many deaths a stage looks for the message that kills.
pub const POISON_AFTER: u32 = 3;

/// How often each message was in hand when its actor died. Lives as long as the stage's poison book.
pub type Deaths = Rc<RefCell<HashMap<(TopicPartition, i64), u32>>>;

/// Holds a frozen actor.
#[derive(Debug, Default)]
pub struct Gate {
    frozen: Cell<bool>,
}

impl Gate {
    /// Stands still here until [`Gate::thaw`].
    async fn pass(&self) {
        self.frozen.set(true);
        poll_fn(|_| if self.frozen.get() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    /// Somebody stands here.
    pub fn is_frozen(&self) -> bool {
        self.frozen.get()
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.frozen.set(false);
    }
}

/// See the module.
pub struct Saboteur {
    /// The real one.
    pub inner: Box<dyn Processor>,
    /// Name of the stage.
    pub stage: &'static str,
    /// The plan.
    pub faults: Faults,
    /// See [`Deaths`].
    pub deaths: Deaths,
    /// Where it freezes.
    pub gate: Rc<Gate>,
    /// A deliberate mistake.
    pub broken: Option<Broken>,
}

/// Whether `key` is that of a message that kills `stage` each time.
pub fn is_poison(key: &str, stage: &str) -> bool {
    key.contains("poison-") && key.contains(&format!("poison-{stage}-"))
}

impl Saboteur {
    fn may_die(&self, batch: &[Message]) -> bool {
        let deaths = self.deaths.borrow();
        batch.iter().all(|message| deaths.get(&(message.at, message.offset)).copied().unwrap_or(0) + 1 < POISON_AFTER)
    }

    fn count_death(&self, batch: &[Message]) {
        let mut deaths = self.deaths.borrow_mut();
        for message in batch {
            *deaths.entry((message.at, message.offset)).or_default() += 1;
        }
    }

    /// The messages left the actor's hands while it lived.
    fn let_go(&self, batch: &[Message]) {
        let mut deaths = self.deaths.borrow_mut();
        for message in batch {
            deaths.remove(&(message.at, message.offset));
        }
    }

    async fn work(&mut self, batch: &[Message], context: &StepContext<'_>) -> Result<Processed, StageError> {
        let sheltered = !self.may_die(batch);
        self.count_death(batch);
        if batch.iter().any(|message| is_poison(&message.key, self.stage)) {
            self.faults.note(|| format!("{}: poison", self.stage));
            die();
        }
        self.faults.shelter(sheltered);
        let processed = self.endure(batch, context).await;
        if !matches!(processed, Err(StageError::Failed(_))) {
            self.let_go(batch);
        }
        processed
    }

    async fn endure(&mut self, batch: &[Message], context: &StepContext<'_>) -> Result<Processed, StageError> {
        if self.broken == Some(Broken::CommitFirst) && self.stage == "load" {
            context.port.publish(Vec::new(), finished(batch)).await?;
        }
        let possible = [
            Fault::Away,
            Fault::Partly,
            Fault::DieBefore,
            Fault::DieAfter,
            Fault::Fails,
            Fault::FreezeBefore,
            Fault::FreezeAfter,
        ];
        let fault = self.faults.choose(&format!("{} process", self.stage), &possible);
        match fault {
            Some(Fault::Away) => return Err(StageError::wait("simulated", Duration::ZERO)),
            Some(Fault::Partly) => return self.work_partly(batch, context).await,
            Some(Fault::DieBefore) => die(),
            Some(Fault::Fails) => return Err(StageError::Failed(anyhow::anyhow!("simulated"))),
            Some(Fault::FreezeBefore) => self.gate.pass().await,
            _ => {}
        }
        let processed = self.inner.process(batch, context).await;
        match fault {
            Some(Fault::DieAfter) => die(),
            Some(Fault::FreezeAfter) => self.gate.pass().await,
            _ => {}
        }
        processed
    }

    async fn work_partly(&mut self, batch: &[Message], context: &StepContext<'_>) -> Result<Processed, StageError> {
        let part = &batch[..self.faults.below(batch.len())];
        let mut processed = self.inner.process(part, context).await?;
        processed.wait = Some(Wait { reason: "simulated".to_owned(), pause: Duration::ZERO });
        Ok(processed)
    }
}

/// What committing the whole batch means.
fn finished(batch: &[Message]) -> Vec<Progress> {
    let ends: BTreeMap<TopicPartition, i64> = batch.iter().map(|message| (message.at, message.offset + 1)).collect();
    ends.into_iter().map(|(at, next_offset)| Progress { at, next_offset, counts: Ledger::default() }).collect()
}

impl Processor for Saboteur {
    fn subscription(&self) -> Subscription {
        self.inner.subscription()
    }

    fn assigned<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Vec<(TopicPartition, i64)>, StageError>> {
        let trusting = self.broken == Some(Broken::CommitFirst);
        let places = self.inner.assigned(partitions, context);
        // The mistake includes that the commit is believed, whatever the database says.
        Box::pin(async move { places.await.map(|places| if trusting { Vec::new() } else { places }) })
    }

    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(self.work(batch, context))
    }

    fn bury<'a>(
        &'a mut self,
        message: &'a Message,
        reason: DeadReason,
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Ending, StageError>> {
        if !is_poison(&message.key, self.stage) {
            self.faults.violated(format!("{}: {} offset {} was buried unjustly", self.stage, message.at, message.offset));
        }
        self.inner.bury(message, reason, context)
    }
}
