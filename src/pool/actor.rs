//! The supervised actor that owns the queue and the threads.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::worker::Worker;
use super::{Job, Pool, PoolError, PoolOptions};
use crate::observe::Metrics;
use crate::observe::metrics::ActorLabel;
use crate::supervision::{Control, Exit, Launch};

/// How often threads and deadlines are looked at.
const ROUND: Duration = Duration::from_millis(100);

/// Threads left behind in a job: more than this and only a new process can help, so the actor fails instead of leaking on.
const ABANDONED_MAX: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct PoolActor {
    options: PoolOptions,
    pool: Pool,
    sender: Sender<Job>,
    jobs: Receiver<Job>,
    workers: Vec<Worker>,
    started: usize,
    abandoned: usize,
    launch: Launch,
    metrics: Metrics,
}

impl PoolActor {
    /// Takes over `pool`: jobs of an earlier incarnation that nobody took are dropped, and their askers told.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn new(options: PoolOptions, pool: Pool, metrics: Metrics, launch: Launch) -> anyhow::Result<PoolActor> {
        let (sender, jobs) = bounded(pool.capacity.max(1));
        let (workers, started, abandoned) = (Vec::new(), 0, 0);
        let mut actor = PoolActor { options, pool, sender, jobs, workers, started, abandoned, launch, metrics };
        for _ in 0..actor.options.workers.max(1) {
            let worker = actor.worker()?;
            actor.workers.push(worker);
        }
        *actor.pool.jobs.write() = Some(actor.sender.clone());
        Ok(actor)
    }

    fn worker(&mut self) -> std::io::Result<Worker> {
        self.started += 1;
        Worker::start(self.started, self.jobs.clone(), self.options.engine.clone(), self.options.deadline)
    }

    fn round(&mut self) -> anyhow::Result<()> {
        self.launch.pulse.alive();
        let in_flight = i64::try_from(self.pool.in_flight()).unwrap_or(i64::MAX);
        self.metrics.actor_mailbox_depth.get_or_create(&ActorLabel::new(&self.launch.name)).set(in_flight);
        let patience = self.options.deadline * 2;
        for place in 0..self.workers.len() {
            let Some(worker) = self.workers.get(place) else { break };
            let stuck = worker.busy_for().is_some_and(|busy| busy > patience);
            if stuck {
                worker.abandon(PoolError::Deadline(self.options.deadline));
                self.abandoned += 1;
                slog_scope::error!("A worker thread is stuck in a clip and was replaced."; "abandoned" => self.abandoned);
            }
            if stuck || worker.is_dead() {
                let replacement = self.worker()?;
                if let Some(old) = self.workers.get_mut(place) {
                    *old = replacement;
                }
            }
        }
        anyhow::ensure!(self.abandoned <= ABANDONED_MAX, "{} worker threads are stuck and cannot be ended", self.abandoned);
        Ok(())
    }
}

impl Actor for PoolActor {
    type Context = Context<PoolActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(ROUND, |actor, ctx| {
            if let Err(error) = actor.round() {
                actor.launch.exit.set(Exit::Failed(format!("{error:#}")));
                ctx.stop();
            }
        });
    }
}

impl Drop for PoolActor {
    fn drop(&mut self) {
        // Whoever asks from now on hears that the pool restarts. A younger incarnation may serve already.
        self.pool.jobs.write().take_if(|serving| serving.same_channel(&self.sender));
        // Whoever asked before hears it too, also where a thread is stuck: nobody will look after these threads any more.
        for worker in &self.workers {
            worker.abandon(PoolError::Restarting);
        }
        while self.jobs.try_recv().is_ok() {}
    }
}

impl Handler<Control> for PoolActor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            // Work comes only from the audio stage, which pauses and drains before.
            Control::Pause | Control::Resume => {}
            Control::Drain => ctx.stop(),
            Control::Crash => panic!("crash injected into {}", self.launch.name),
        }
    }
}
