//! One incarnation of an actor: its thread, its context, and how it ended.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};
use actix_rt::Arbiter;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;

use super::board::Board;
use super::pulse::Pulse;
use crate::observe::log;

/// What every supervised actor understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Control {
    /// Finish the piece of work in hand, take no more until resumed.
    Pause,
    /// Take work again.
    Resume,
    /// Finish the piece of work in hand, then end normally.
    Drain,
    /// Panic in the handler: fault injection for demo and tests.
    Crash,
}

/// How an incarnation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself, without an error.
    Normal,
    /// With an error it reported.
    Failed(String),
    /// With an error that no restart can mend: what a person has to change.
    Stopped(String),
    /// A supervisor that gave up: which child, why, how often.
    Escalated(String),
    /// With a panic.
    Panicked(String),
    /// Killed because it gave no sign of life.
    Hung(Duration),
    /// Its thread died under it.
    ArbiterDied,
    /// Killed: by an operator or at the end of its grace.
    Killed,
}

impl Exit {
    /// Label value of `reprise_actor_restarts_total{reason}`.
    pub fn label(&self) -> &'static str {
        match self {
            Exit::Normal => "normal",
            Exit::Failed(_) | Exit::Stopped(_) => "error",
            Exit::Escalated(_) => "escalated",
            Exit::Panicked(_) => "panic",
            Exit::Hung(_) => "hang",
            Exit::ArbiterDied => "arbiter",
            Exit::Killed => "operator",
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Normal => f.write_str("ended"),
            Exit::Failed(error) => write!(f, "failed: {error}"),
            Exit::Stopped(error) => write!(f, "stopped: {error}"),
            Exit::Escalated(error) => write!(f, "gave up: {error}"),
            Exit::Panicked(message) => write!(f, "panicked: {message}"),
            Exit::Hung(age) => write!(f, "hung: no sign of life for {:.1} s", age.as_secs_f64()),
            Exit::ArbiterDied => f.write_str("its thread died"),
            Exit::Killed => f.write_str("killed"),
        }
    }
}

/// Where an actor leaves the reason before it stops itself. Empty means a normal end.
#[derive(Debug, Clone, Default)]
pub struct ExitSlot(Arc<Mutex<Option<Exit>>>);

impl ExitSlot {
    /// Leaves the reason; the first one stands.
    pub fn set(&self, exit: Exit) {
        self.0.lock().get_or_insert(exit);
    }

    fn take(&self) -> Exit {
        self.0.lock().take().unwrap_or(Exit::Normal)
    }
}

/// Tells threads that serve an incarnation (its mailbox session) that it is dead to the system, whatever it still does.
#[derive(Debug, Clone, Default)]
pub struct KillSwitch(Arc<AtomicBool>);

impl KillSwitch {
    /// From now on nothing of this incarnation may take effect.
    pub fn kill(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// It was killed.
    pub fn is_killed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What an incarnation gets from its supervisor.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its name in the tree.
    pub name: String,
    /// Counts incarnations from 1.
    pub generation: u64,
    /// Its signs of life.
    pub pulse: Pulse,
    /// Where it leaves the reason of its end.
    pub exit: ExitSlot,
    /// Thrown when the supervisor gives the incarnation up.
    pub kill: KillSwitch,
    /// What everybody can see.
    pub board: Board,
}

/// An incarnation as its supervisor holds it.
pub(super) struct Running {
    pub(super) control: Recipient<Control>,
    pub(super) abort: AbortHandle,
}

/// What an incarnation reports to its supervisor. The generation tells a stale report from a fresh one.
pub(super) enum Report {
    Started { child: usize, generation: u64, running: Running },
    Ended { child: usize, generation: u64, exit: Exit },
}

pub(super) struct Birth {
    pub(super) child: usize,
    pub(super) launch: Launch,
    pub(super) reports: UnboundedSender<Report>,
}

/// Starts an incarnation on an arbiter of its own and returns that arbiter.
pub(super) type Spawn = Arc<dyn Fn(Birth) -> Arbiter + Send + Sync>;

/// Reports the end even when the arbiter drops everything without running it: its thread died.
struct EndGuard {
    child: usize,
    generation: u64,
    reports: UnboundedSender<Report>,
    reported: bool,
}

impl EndGuard {
    fn end(&mut self, exit: Exit) {
        self.reported = true;
        // A supervisor that is gone needs no report.
        let _ = self.reports.send(Report::Ended { child: self.child, generation: self.generation, exit });
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if !self.reported {
            self.end(if thread::panicking() { Exit::Panicked("in its factory".to_owned()) } else { Exit::ArbiterDied });
        }
    }
}

pub(super) fn spawner<A, F>(factory: Arc<F>) -> Spawn
where
    A: Actor<Context = Context<A>> + Handler<Control>,
    F: Fn(Launch) -> anyhow::Result<A> + Send + Sync + 'static,
{
    Arc::new(move |birth: Birth| {
        let factory = Arc::clone(&factory);
        let arbiter = Arbiter::new();
        let Birth { child, launch, reports } = birth;
        let mut guard = EndGuard { child, generation: launch.generation, reports: reports.clone(), reported: false };
        arbiter.spawn_fn(move || {
            log::actor::this_thread_serves(&launch.name);
            let exit = launch.exit.clone();
            let generation = launch.generation;
            let actor = match factory(launch) {
                Ok(actor) => actor,
                Err(error) => return guard.end(Exit::Failed(format!("could not start: {error:#}"))),
            };
            let context = Context::new();
            let control = context.address().recipient();
            let join = actix_rt::spawn(context.into_future(actor));
            let running = Running { control, abort: join.abort_handle() };
            let _ = reports.send(Report::Started { child, generation, running });
            actix_rt::spawn(async move {
                let end = match join.await {
                    Ok(()) => exit.take(),
                    Err(error) if error.is_panic() => Exit::Panicked(panic_message(&*error.into_panic())),
                    Err(_) => Exit::Killed,
                };
                guard.end(end);
            });
        });
        arbiter
    })
}

/// The text a panic carried.
pub fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

/// Ends an arbiter whose incarnation is over. A thread that blocks cannot be ended: it is left behind, and counted.
pub(super) fn retire(name: &str, arbiter: Arbiter, board: &Board) {
    arbiter.stop();
    let (board, label) = (board.clone(), name.to_owned());
    let waiter = thread::Builder::new().name(format!("retire-{name}"));
    let spawned = waiter.spawn(move || {
        board.thread_retiring(&label);
        if arbiter.join().is_ok() {
            board.thread_retired(&label);
        }
    });
    if let Err(error) = spawned {
        slog_scope::warn!("No thread to await the end of an actor's thread."; "actor" => name, "error" => %error);
    }
}
