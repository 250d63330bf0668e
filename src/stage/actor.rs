//! The stage actor: runs steps for ever, under supervision.

use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::watch;

use super::processor::{StageError, Wait};
use super::step::Stepper;
use crate::records::now_micros;
use crate::supervision::{Control, Exit, ExitSlot, Launch};

/// What the operator wants of the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Run,
    Pause,
    Drain,
}

/// One incarnation of a stage. The work happens in a future of its context: a panic there is the actor's death, and the
/// supervisor's to heal.
#[derive(Debug)]
pub struct StageActor {
    stepper: Option<Stepper>,
    wish: watch::Sender<Wish>,
    exit: ExitSlot,
    name: String,
}

impl StageActor {
    /// An actor that starts stepping when it starts.
    pub fn new(stepper: Stepper, launch: &Launch) -> StageActor {
        let (wish, _) = watch::channel(Wish::Run);
        StageActor { stepper: Some(stepper), wish, exit: launch.exit.clone(), name: launch.name.clone() }
    }
}

impl Actor for StageActor {
    type Context = Context<StageActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(stepper) = self.stepper.take() else { return };
        let life = run(stepper, self.wish.subscribe());
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

async fn run(mut stepper: Stepper, mut wish: watch::Receiver<Wish>) -> Exit {
    loop {
        let current = *wish.borrow_and_update();
        let wait = match current {
            Wish::Drain => return Exit::Normal,
            Wish::Pause => {
                let _waiting = stepper.pulse().waiting("paused by the operator", None);
                // The sender lives in the actor, which outlives this future.
                let _ = wish.changed().await;
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
        () = tokio::time::sleep(pause) => {}
        _ = wish.changed() => {}
    }
}
