//! The stage actor: runs steps for ever, under supervision.

use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::watch;

use super::processor::{LONGEST_STEP, StageError, Wait};
use super::step::Stepper;
use crate::records::now_micros;
use crate::supervision::{Control, Exit, ExitSlot, Launch, Pulse};

/// How a paused actor says why it waits.
pub const PAUSED: &str = "paused by the operator";

/// What the operator wants of the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Run,
    Pause,
    Drain,
}

/// What must be there before any stage can work: topics and tables. `None` until they are.
pub type Readiness = watch::Receiver<Option<Prepared>>;

/// What the preparation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// Partitions of every topic.
    pub partitions: i32,
}

type MakeStepper = Box<dyn FnOnce(Prepared) -> Stepper>;

/// One incarnation of a stage. The work happens in a future of its context: a panic there is the actor's death, and the
/// supervisor's to heal.
pub struct StageActor {
    make: Option<MakeStepper>,
    readiness: Readiness,
    pulse: Pulse,
    wish: watch::Sender<Wish>,
    exit: ExitSlot,
    name: String,
}

impl StageActor {
    /// An actor that starts stepping as soon as everything is prepared.
    pub fn new(make: impl FnOnce(Prepared) -> Stepper + 'static, readiness: Readiness, launch: &Launch) -> StageActor {
        let (wish, _) = watch::channel(Wish::Run);
        StageActor {
            make: Some(Box::new(make)),
            readiness,
            pulse: launch.pulse.clone(),
            wish,
            exit: launch.exit.clone(),
            name: launch.name.clone(),
        }
    }
}

impl std::fmt::Debug for StageActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageActor").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Actor for StageActor {
    type Context = Context<StageActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(make) = self.make.take() else { return };
        let life = live(make, self.readiness.clone(), self.pulse.clone(), self.wish.subscribe());
        ctx.spawn(life.into_actor(self).map(|exit, actor, ctx| {
            actor.exit.set(exit);
            ctx.stop();
        }));
    }
}

impl Handler<Control> for StageActor {
    type Result = ();

    fn handle(&mut self, control: Control, _ctx: &mut Self::Context) {
        match control {
            Control::Pause => self.wish.send_if_modified(|wish| replace(wish, Wish::Run, Wish::Pause)),
            Control::Resume => self.wish.send_if_modified(|wish| replace(wish, Wish::Pause, Wish::Run)),
            Control::Drain => self.wish.send_replace(Wish::Drain) != Wish::Drain,
            Control::Crash => panic!("crash injected into {}", self.name),
        };
    }
}

fn replace(wish: &mut Wish, from: Wish, to: Wish) -> bool {
    let matches = *wish == from;
    if matches {
        *wish = to;
    }
    matches
}

async fn live(make: MakeStepper, mut readiness: Readiness, pulse: Pulse, mut wish: watch::Receiver<Wish>) -> Exit {
    loop {
        if let Some(prepared) = *readiness.borrow_and_update() {
            return run(make(prepared), wish).await;
        }
        if *wish.borrow_and_update() == Wish::Drain {
            return Exit::Normal;
        }
        let _waiting = pulse.waiting("topics and tables are being set up", None);
        tokio::select! {
            changed = readiness.changed() => {
                if changed.is_err() {
                    return Exit::Failed("the set-up ended without an outcome".to_owned());
                }
            }
            _ = wish.changed() => {}
        }
    }
}

async fn run(mut stepper: Stepper, mut wish: watch::Receiver<Wish>) -> Exit {
    loop {
        let current = *wish.borrow_and_update();
        let wait = match current {
            Wish::Drain => return Exit::Normal,
            Wish::Pause => {
                let _waiting = stepper.pulse().waiting(PAUSED, None);
                // The sender lives in the actor, which outlives this future.
                tokio::select! {
                    _ = wish.changed() => {}
                    () = measure_on(&stepper) => {}
                }
                continue;
            }
            Wish::Run => match stepper.step().await {
                Ok(report) => {
                    if report.finished == 0 && report.wait.is_none() {
                        stepper.pulse().alive();
                        stepper.measure_lag().await;
                    }
                    report.wait
                }
                Err(StageError::Wait(wait)) => Some(wait),
                Err(StageError::Revoked(_)) => None,
                Err(StageError::Failed(error)) => return Exit::Failed(format!("{error:#}")),
                Err(StageError::Stop(reason)) => return Exit::Stopped(reason),
            },
        };
        if let Some(wait) = wait {
            sit_out(&stepper, &wait, &mut wish).await;
        }
    }
}

/// Waits, says so, and lets an operator's wish cut it short.
async fn sit_out(stepper: &Stepper, wait: &Wait, wish: &mut watch::Receiver<Wish>) {
    let pause = wait.pause.max(Duration::from_millis(10));
    let until = now_micros().saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX));
    let _waiting = stepper.pulse().waiting(wait.reason.clone(), Some(until));
    tokio::select! {
        () = tokio::time::sleep(pause.min(LONGEST_STEP)) => {}
        _ = wish.changed() => {}
        () = measure_on(stepper) => {}
    }
}

/// While a stage waits, its backlog grows: that is when its figure must not stand still. Never ends by itself.
async fn measure_on(stepper: &Stepper) {
    loop {
        tokio::time::sleep(LAG_LOOK).await;
        stepper.measure_lag().await;
    }
}

/// How often the lag of a waiting stage is measured: scrapes come every 15 seconds or so.
const LAG_LOOK: Duration = Duration::from_secs(1);
