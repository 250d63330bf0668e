//! The scheduler as a supervised actor.
//!
//! Every process may run one; the owner of partition 0 of `music_queries` in the group `reprise.scheduler` is the one that
//! acts, so that a run is published once however many processes there are. Requests are published in one transaction with the
//! group's offset in that partition: who has lost it meanwhile publishes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::watch;

use super::stages::StageName;
use super::tree::Service;
use crate::extract::Scheduler;
use crate::extract::scheduler::{outgoing, unfinished_requests};
use crate::mailbox::{Ledger, Mailbox, MailboxError, Message, Polled, Progress, SessionSpec, TopicPartition};
use crate::observe::log;
use crate::records::{Topic, now_micros};
use crate::stage::{PAUSED, Port, StageError, Wait};
use crate::supervision::{ChildSpec, Control, Exit, Launch};

/// How often it is looked whether a run is due.
const ROUND: Duration = Duration::from_secs(1);

/// Group whose ownership makes the leader.
const GROUP: &str = "reprise.scheduler";

/// Whose owner leads.
const FIRST: TopicPartition = TopicPartition { topic: Topic::MusicQueries, partition: 0 };

pub(super) fn child(service: &Service) -> ChildSpec {
    let shared = service.clone();
    let child = ChildSpec::worker("scheduler", move |launch| SchedulerActor::new(&shared, launch));
    service.limits(child)
}

/// See the module.
struct SchedulerActor {
    life: Option<Life>,
    /// An operator has paused it.
    wish: watch::Sender<bool>,
    launch: Launch,
}

/// Whether this instance publishes what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    Follows,
    /// It shall lead, and does not know yet what its predecessor, or itself in doubt, has published.
    CatchesUp,
    Leads,
}

struct Life {
    service: Service,
    scheduler: Scheduler,
    port: Port,
    launch: Launch,
    lead: Lead,
    /// Where the group stands in partition 0, while this instance owns that.
    place: i64,
    must_rewind: bool,
    paused: watch::Receiver<bool>,
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
            transactional: true,
            // It reads what it needs beside the group: nobody has to keep a message for it.
            retains: false,
        };
        let port = Port::open("scheduler", Arc::clone(&service.mailbox), spec, launch.kill.clone())?;
        let (wish, paused) = watch::channel(false);
        let life = Life {
            service: service.clone(),
            scheduler,
            port,
            launch: launch.clone(),
            lead: Lead::Follows,
            place: 0,
            must_rewind: false,
            paused,
        };
        Ok(SchedulerActor { life: Some(life), wish, launch })
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
            let paused = *self.paused.borrow_and_update();
            if paused {
                let _waiting = self.launch.pulse.waiting(PAUSED, None);
                // The sender lives in the actor, which outlives this future.
                let _ = self.paused.changed().await;
                continue;
            }
            match self.round(partitions).await {
                Ok(()) => self.launch.pulse.alive(),
                Err(StageError::Revoked(_)) => {
                    self.doubt();
                    self.launch.pulse.alive();
                }
                Err(StageError::Wait(wait)) => {
                    self.doubt();
                    self.sit_out(wait).await;
                }
                Err(StageError::Failed(error)) => return Exit::Failed(format!("{error:#}")),
                Err(StageError::Stop(reason)) => return Exit::Stopped(reason),
            }
        }
    }

    /// Whether the last publication took effect is not known: the topic is.
    fn doubt(&mut self) {
        self.must_rewind = true;
        if self.lead == Lead::Leads {
            self.lead = Lead::CatchesUp;
        }
    }

    async fn sit_out(&self, wait: Wait) {
        let until = now_micros().saturating_add(i64::try_from(wait.pause.as_micros()).unwrap_or(i64::MAX));
        let _waiting = self.launch.pulse.waiting(wait.reason, Some(until));
        tokio::time::sleep(wait.pause).await;
    }

    async fn round(&mut self, partitions: i32) -> Result<(), StageError> {
        if self.must_rewind {
            self.port.rewind().await?;
            self.must_rewind = false;
        }
        let polled = self.port.poll(100, ROUND).await?;
        self.take_note(&polled);
        self.pass_by(&polled.messages).await?;
        self.catch_up().await?;
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
        // Moves nothing: it is there for the proof that the partition is still this instance's.
        let still = Progress { at: FIRST, next_offset: self.place, counts: Ledger::default() };
        let publish = async move |requests| {
            let records = outgoing(requests, &run_id, partitions).map_err(|error| StageError::Failed(error.into()))?;
            port.publish(records, vec![still]).await
        };
        let published = self.scheduler.tick(unfinished, publish).await?;
        if published > 0 {
            slog_scope::info!("Queries were due."; "queries" => published);
            self.launch.pulse.beat();
        }
        Ok(())
    }

    /// Messages are the tracks stage's to read; here they only pass by, faster than once a round.
    async fn pass_by(&mut self, messages: &[Message]) -> Result<(), StageError> {
        if messages.is_empty() {
            return Ok(());
        }
        let passed = passed(messages);
        self.port.publish(Vec::new(), passed.clone()).await?;
        if let Some(first) = passed.iter().find(|progress| progress.at == FIRST) {
            self.place = first.next_offset;
        }
        tokio::time::sleep(ROUND / 10).await;
        Ok(())
    }

    /// Who owns partition 0 leads; a new leader first catches up with what its predecessor published.
    fn take_note(&mut self, polled: &Polled) {
        if polled.revoked.contains(&FIRST) {
            self.lead = Lead::Follows;
        }
        if polled.assigned.contains(&FIRST) {
            self.lead = Lead::CatchesUp;
        }
    }

    /// It is told once only that it leads: what fails here is tried again in the next round.
    async fn catch_up(&mut self) -> Result<(), StageError> {
        if self.lead == Lead::CatchesUp {
            let mailbox: Arc<dyn Mailbox> = Arc::clone(&self.service.mailbox);
            let mut scheduler = self.scheduler.clone();
            let catch_up = move || {
                let place = place(&*mailbox)?;
                scheduler.recover(&*mailbox).map(|()| (scheduler, place))
            };
            // A transaction that a dead predecessor left open is waited for.
            let _waiting = self.launch.pulse.waiting("catching up with what was published", None);
            let caught_up = log::actor::spawn_blocking(catch_up).await;
            (self.scheduler, self.place) = caught_up.map_err(|error| StageError::Failed(error.into()))??;
            self.lead = Lead::Leads;
        }
        Ok(())
    }
}

/// Where the group stands in partition 0.
fn place(mailbox: &dyn Mailbox) -> Result<i64, MailboxError> {
    let committed = mailbox.committed(GROUP, &[FIRST.topic])?;
    let place = committed.iter().find(|committed| committed.at == FIRST).map(|committed| committed.next_offset);
    let ends = mailbox.watermarks(FIRST.topic)?;
    let low = ends.iter().find(|ends| ends.at == FIRST).map_or(0, |ends| ends.low);
    Ok(place.unwrap_or(low))
}

/// Finished, and of no consequence.
fn passed(messages: &[Message]) -> Vec<Progress> {
    let mut passed: BTreeMap<TopicPartition, Progress> = BTreeMap::new();
    for message in messages {
        let fresh = Progress { at: message.at, next_offset: 0, counts: Ledger::default() };
        let progress = passed.entry(message.at).or_insert(fresh);
        progress.next_offset = message.offset + 1;
        progress.counts.add(&Ledger { consumed: 1, superseded: 1, ..Ledger::default() });
    }
    passed.into_values().collect()
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
            Control::Pause => drop(self.wish.send_replace(true)),
            Control::Resume => drop(self.wish.send_replace(false)),
            Control::Drain => ctx.stop(),
            Control::Crash => panic!("crash injected into {}", self.launch.name),
        }
    }
}
