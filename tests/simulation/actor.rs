//! A stage's actor as the scheduler sees it: down, ready for a step, or frozen in the middle of one.
//!
//! What runs is the real [`Stepper`] over a real session; only the supervisor's part (start anew after a death) is played here.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use reprise::load::Loader;
use reprise::mailbox::{Mailbox, MailboxError, SessionSpec};
use reprise::observe::Metrics;
use reprise::service::StageName;
use reprise::stage::{PoisonBook, Port, Processor, StageError, StepReport, Stepper, StepperSpec};
use reprise::store::Store;
use reprise::supervision::Pulse;
use reprise::transform::{Judge, Transformer};
use tokio::runtime::Runtime;

use crate::broken::Broken;
use crate::catalogue::{PARTITIONS, THRESHOLD, World};
use crate::extractors::Extractor;
use crate::faults::{Crash, Faults};
use crate::saboteur::{Deaths, Gate, POISON_AFTER, Saboteur};
use crate::session::FaultySession;

const BATCH: usize = 8;

type Step = Pin<Box<dyn Future<Output = (Stepper, Result<StepReport, StageError>)>>>;

/// What actors need from outside.
pub struct Surroundings<'s> {
    /// Runs the steps.
    pub runtime: &'s Runtime,
    /// The topics.
    pub mailbox: Arc<dyn Mailbox>,
    /// The plan.
    pub faults: Faults,
    /// The sources.
    pub world: World,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// A deliberate mistake.
    pub broken: Option<Broken>,
}

/// One stage.
pub struct Actor {
    /// Which.
    pub stage: StageName,
    /// Its consumer group.
    pub group: String,
    store: Arc<dyn Store>,
    poison: PoisonBook,
    deaths: Deaths,
    life: Option<(Stepper, Rc<Gate>)>,
}

/// An incarnation that was given up while it stood still, and may come back.
pub struct Zombie {
    stage: StageName,
    gate: Rc<Gate>,
    step: Step,
}

/// How a step of an actor went.
pub enum Stepped {
    /// It lives, and finished so many messages.
    Lives(usize),
    /// It is down; its supervisor will start it anew.
    Down,
    /// It stands still in the middle of a step and is replaced.
    Froze(Zombie),
}

enum Driven {
    Done(Box<Stepper>, Result<StepReport, StageError>),
    Frozen(Step),
    Died,
}

impl Actor {
    /// The actor of `stage`, down.
    pub fn new(stage: StageName, group: String, store: &Arc<dyn Store>) -> Actor {
        let (poison, deaths) = (PoisonBook::new(POISON_AFTER), Deaths::default());
        Actor { stage, group, store: Arc::clone(store), poison, deaths, life: None }
    }

    /// Is there an incarnation?
    pub fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Kills the incarnation between two steps.
    pub fn kill(&mut self) {
        self.life = None;
    }

    /// The whole process ends: what was only in memory is gone.
    pub fn forget(&mut self) {
        self.kill();
        (self.poison, self.deaths) = (PoisonBook::new(POISON_AFTER), Deaths::default());
    }

    /// Starts it if it is down, and takes a step.
    pub fn step(&mut self, around: &Surroundings<'_>) -> Stepped {
        let (mut stepper, gate) = match self.life.take() {
            Some(life) => life,
            None => match self.start(around) {
                Ok(life) => life,
                Err(MailboxError::Unavailable(_)) => return Stepped::Down,
                Err(error) => {
                    around.faults.violated(format!("{}: no session: {error}", self.group));
                    return Stepped::Down;
                }
            },
        };
        let step: Step = Box::pin(async move {
            let result = stepper.step().await;
            (stepper, result)
        });
        let driven = drive(around, &gate, step);
        around.faults.shelter(false);
        let doomed = around.faults.take_doom();
        match driven {
            Driven::Frozen(step) => Stepped::Froze(Zombie { stage: self.stage, gate, step }),
            Driven::Died => Stepped::Down,
            Driven::Done(..) if doomed => Stepped::Down,
            Driven::Done(stepper, result) => {
                let finished = match judge(self.stage, result, &around.faults) {
                    Some(finished) => finished,
                    None => return Stepped::Down,
                };
                self.life = Some((*stepper, gate));
                Stepped::Lives(finished)
            }
        }
    }

    fn start(&self, around: &Surroundings<'_>) -> Result<(Stepper, Rc<Gate>), MailboxError> {
        let gate = Rc::new(Gate::default());
        let processor = Saboteur {
            inner: self.processor(around),
            stage: self.stage.name(),
            faults: around.faults.clone(),
            deaths: Rc::clone(&self.deaths),
            gate: Rc::clone(&gate),
            broken: around.broken,
        };
        let wanted = processor.subscription();
        let spec = SessionSpec {
            group: self.group.clone(),
            topics: wanted.topics,
            heads: wanted.heads,
            instance: "simulation".to_owned(),
            transactional: wanted.transactional,
            retains: true,
        };
        let session = FaultySession::open(&around.mailbox, &spec, &around.faults, around.broken)?;
        let spec = StepperSpec {
            stage: self.stage.name().to_owned(),
            group: self.group.clone(),
            run_id: "simulation".to_owned(),
            partitions: PARTITIONS,
            poll_wait: Duration::ZERO,
            metrics: around.metrics.clone(),
        };
        let port = Port::inline(Box::new(session));
        Ok((Stepper::new(spec, Box::new(processor), port, Pulse::new(), self.poison.clone()), gate))
    }

    fn processor(&self, around: &Surroundings<'_>) -> Box<dyn Processor> {
        match self.stage {
            StageName::Transform => {
                let judge = Judge { artist_threshold: THRESHOLD, track_threshold: THRESHOLD };
                Box::new(Transformer::new(judge, BATCH, around.metrics.clone()))
            }
            StageName::Load => Box::new(Loader::new(Arc::clone(&self.store), BATCH, around.metrics.clone())),
            _ => Box::new(Extractor::new(self.stage, &around.world)),
        }
    }
}

impl Zombie {
    /// It goes on as if nothing had happened. What it still does must not do harm.
    pub fn wake(self, around: &Surroundings<'_>) -> Option<Zombie> {
        around.faults.note(|| format!("{}: a zombie wakes up", self.stage.name()));
        self.gate.thaw();
        let driven = drive(around, &self.gate, self.step);
        around.faults.shelter(false);
        around.faults.take_doom();
        match driven {
            Driven::Frozen(step) => Some(Zombie { step, ..self }),
            Driven::Died => None,
            Driven::Done(_, result) => {
                judge(self.stage, result, &around.faults);
                None
            }
        }
    }
}

/// How many messages were finished; `None` if the incarnation is over.
fn judge(stage: StageName, result: Result<StepReport, StageError>, faults: &Faults) -> Option<usize> {
    match result {
        Ok(report) => Some(report.finished),
        Err(StageError::Wait(_) | StageError::Revoked(_)) => Some(0),
        Err(StageError::Failed(_)) => {
            // Without the text: it may name files, and the trace has to be the same in every folder.
            faults.note(|| format!("{}: failed", stage.name()));
            None
        }
        // None of the faults is one that a person would have to mend.
        Err(StageError::Stop(reason)) => {
            faults.violated(format!("{} stopped for good: {reason}", stage.name()));
            None
        }
    }
}

fn drive(around: &Surroundings<'_>, gate: &Gate, mut step: Step) -> Driven {
    let until_frozen = poll_fn(|context| match step.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if gate.is_frozen() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    match catch_unwind(AssertUnwindSafe(|| around.runtime.block_on(until_frozen))) {
        Ok(Some((stepper, result))) => Driven::Done(Box::new(stepper), result),
        Ok(None) => Driven::Frozen(step),
        Err(payload) if payload.is::<Crash>() => Driven::Died,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
            around.faults.violated(format!("a panic of our own: {}", text.unwrap_or("of an unknown kind")));
            Driven::Died
        }
    }
}
