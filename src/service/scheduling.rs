//! The scheduler as a supervised actor.
//!
//! Every process may run one; the owner of partition 0 of `music_queries` in the group `reprise.scheduler` is the one that
//! acts, so that a run is published once however many processes there are.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use super::stages::StageName;
use super::tree::Service;
use crate::extract::Scheduler;
use crate::extract::scheduler::{outgoing, unfinished_requests};
use crate::mailbox::{Mailbox, Polled, SessionSpec};
use crate::observe::log;
use crate::records::{Topic, now_micros};
use crate::stage::{Port, StageError, Wait};
use crate::supervision::{ChildSpec, Control, Exit, Launch};

/// How often it is looked whether a run is due.
const ROUND: Duration = Duration::from_secs(1);

/// Group whose ownership makes the leader.
const GROUP: &str = "reprise.scheduler";

pub(super) fn child(service: &Service) -> ChildSpec {
    let shared = service.clone();
    let child = ChildSpec::worker("scheduler", move |launch| SchedulerActor::new(&shared, launch));
    service.limits(child)
}

/// See the module.
struct SchedulerActor {
    life: Option<Life>,
    launch: Launch,
}

/// Whether this instance publishes what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    Follows,
    /// It shall lead, and does not know yet what its predecessor published.
    CatchesUp,
    Leads,
}

struct Life {
    service: Service,
    scheduler: Scheduler,
    port: Port,
    launch: Launch,
    lead: Lead,
}

impl SchedulerActor {
    fn new(service: &Service, launch: Launch) -> anyhow::Result<SchedulerActor> {
        let path = service.config.data_dir.join("schedule.json");
        let scheduler = Scheduler::open(&path, service.config.queries.clone(), &service.config.scheduler)?;
        let spec = SessionSpec {
            group: GROUP.to_owned(),
            topics: vec![Topic::MusicQueries],
            heads: Vec::new(),
            instance: service.options.instance.clone(),
            transactional: false,
        };
        let port = Port::open("scheduler", Arc::clone(&service.mailbox), spec, launch.kill.clone())?;
        let life = Life { service: service.clone(), scheduler, port, launch: launch.clone(), lead: Lead::Follows };
        Ok(SchedulerActor { life: Some(life), launch })
    }
}

impl Life {
    async fn live(mut self) -> Exit {
        let mut gate = self.service.gate.subscribe();
        loop {
            let prepared = *gate.borrow_and_update();
            if let Some(prepared) = prepared {
                break self.rounds(prepared.partitions).await;
            }
            let _waiting = self.launch.pulse.waiting("topics and tables are being set up", None);
            if gate.changed().await.is_err() {
                return Exit::Failed("the set-up ended without an outcome".to_owned());
            }
        }
    }

    async fn rounds(&mut self, partitions: i32) -> Exit {
        loop {
            match self.round(partitions).await {
                Ok(()) | Err(StageError::Revoked(_)) => self.launch.pulse.alive(),
                Err(StageError::Wait(wait)) => self.sit_out(wait).await,
                Err(StageError::Failed(error)) => return Exit::Failed(format!("{error:#}")),
                Err(StageError::Stop(reason)) => return Exit::Stopped(reason),
            }
        }
    }

    async fn sit_out(&self, wait: Wait) {
        let until = now_micros().saturating_add(i64::try_from(wait.pause.as_micros()).unwrap_or(i64::MAX));
        let _waiting = self.launch.pulse.waiting(wait.reason, Some(until));
        tokio::time::sleep(wait.pause).await;
    }

    async fn round(&mut self, partitions: i32) -> Result<(), StageError> {
        let polled = self.port.poll(100, ROUND).await?;
        if !polled.messages.is_empty() {
            // They are the tracks stage's to read; here they only pass by, faster than once a round.
            tokio::time::sleep(ROUND / 10).await;
        }
        self.take_note(&polled).await?;
        if self.lead != Lead::Leads {
            return Ok(());
        }
        let mailbox = Arc::clone(&self.service.mailbox);
        let unfinished = async move || {
            let group = StageName::Tracks.group();
            let look = log::actor::spawn_blocking(move || unfinished_requests(&*mailbox, &group)).await;
            look.map_err(|error| StageError::Failed(error.into()))?.map_err(StageError::from)
        };
        let (port, run_id) = (&self.port, self.service.run_id().to_owned());
        let publish = async move |requests| {
            let records = outgoing(requests, &run_id, partitions).map_err(|error| StageError::Failed(error.into()))?;
            port.publish(records, Vec::new()).await
        };
        let published = self.scheduler.tick(unfinished, publish).await?;
        if published > 0 {
            slog_scope::info!("Queries were due."; "queries" => published);
            self.launch.pulse.beat();
        }
        Ok(())
    }

    /// Who owns partition 0 leads; a new leader first catches up with what its predecessor published.
    async fn take_note(&mut self, polled: &Polled) -> Result<(), StageError> {
        let first = |at: &crate::mailbox::TopicPartition| at.partition == 0;
        if polled.revoked.iter().any(first) {
            self.lead = Lead::Follows;
        }
        if polled.assigned.iter().any(first) {
            self.lead = Lead::CatchesUp;
        }
        // Told once only: what fails here is tried again in the next round.
        if self.lead == Lead::CatchesUp {
            let mailbox: Arc<dyn Mailbox> = Arc::clone(&self.service.mailbox);
            let mut scheduler = self.scheduler.clone();
            let recovery = log::actor::spawn_blocking(move || scheduler.recover(&*mailbox).map(|()| scheduler)).await;
            self.scheduler = recovery.map_err(|error| StageError::Failed(error.into()))??;
            self.lead = Lead::Leads;
        }
        Ok(())
    }
}

impl Actor for SchedulerActor {
    type Context = Context<SchedulerActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(life) = self.life.take() else { return };
        ctx.spawn(life.live().into_actor(self).map(|exit, actor, ctx| {
            actor.launch.exit.set(exit);
            ctx.stop();
        }));
    }
}

impl Handler<Control> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Pause | Control::Resume => {}
            Control::Drain => ctx.stop(),
            Control::Crash => panic!("crash injected into {}", self.launch.name),
        }
    }
}
