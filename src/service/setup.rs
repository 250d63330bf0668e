//! The set-up actor: brings topics and tables into being, waits for what is away, and opens the gate for the stages.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::watch;

use crate::load::beyond_the_end;
use crate::mailbox::{Mailbox, MailboxError};
use crate::observe::log;
use crate::records::now_micros;
use crate::stage::Prepared;
use crate::store::{Store, StoreError};
use crate::supervision::{Control, Exit, Launch};

/// Between two attempts at what is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends normally when all is set up; a transient child.
#[derive(Debug)]
pub struct SetupActor {
    mailbox: Arc<dyn Mailbox>,
    store: Arc<dyn Store>,
    partitions: i32,
    gate: watch::Sender<Option<Prepared>>,
    launch: Launch,
}

impl SetupActor {
    /// Sets up `mailbox` with `partitions` partitions a topic, and `store`.
    pub fn new(
        mailbox: Arc<dyn Mailbox>,
        store: Arc<dyn Store>,
        partitions: i32,
        gate: watch::Sender<Option<Prepared>>,
        launch: Launch,
    ) -> SetupActor {
        SetupActor { mailbox, store, partitions, gate, launch }
    }
}

/// What keeps the set-up from being done.
enum Trouble {
    /// Tried again, for as long as it takes.
    Away(String),
    /// Nobody knows: as any failure, tried again a number of times.
    Failed(String),
    /// A person has to act.
    Refused(String),
}

fn in_database(store: impl Display) -> impl Fn(StoreError) -> Trouble {
    move |error| match error {
        StoreError::Unavailable(detail) => Trouble::Away(format!("database: {detail}")),
        StoreError::Fenced(detail) => Trouble::Failed(format!("database {store}: {detail}")),
        error @ (StoreError::Data(_) | StoreError::Setup(_)) => Trouble::Refused(format!("database {store}: {error}")),
    }
}

fn in_mailbox(mailbox: impl Display) -> impl Fn(MailboxError) -> Trouble {
    move |error| match error {
        MailboxError::Unavailable(detail) => Trouble::Away(format!("mailbox: {detail}")),
        error @ (MailboxError::Corrupt(_) | MailboxError::Invalid(_)) => {
            Trouble::Refused(format!("mailbox {mailbox}: {error}"))
        }
        error => Trouble::Failed(format!("mailbox {mailbox}: {error}")),
    }
}

fn attempt(mailbox: &dyn Mailbox, store: &dyn Store, partitions: i32) -> Result<Prepared, Trouble> {
    store.migrate().map_err(in_database(store.describe()))?;
    let reports = mailbox.create_topics(partitions).map_err(in_mailbox(mailbox.describe()))?;
    for report in reports.iter().filter(|report| !report.warnings.is_empty()) {
        slog_scope::warn!("A topic is not as wanted."; "topic" => &report.topic, "warnings" => report.warnings.join("; "));
    }
    recognise(mailbox, store)?;
    Ok(Prepared { partitions: mailbox.partitions().map_err(in_mailbox(mailbox.describe()))? })
}

/// Makes sure that the loader's offsets in the database mean something in this mailbox, before anything is appended to it.
fn recognise(mailbox: &dyn Mailbox, store: &dyn Store) -> Result<(), Trouble> {
    let Some(identity) = mailbox.identity() else { return Ok(()) };
    // The places before the ends: another instance may be loading.
    let places = store.ledger().map_err(in_database(store.describe()))?;
    let beyond = beyond_the_end(mailbox, &places).map_err(in_mailbox(mailbox.describe()))?;
    if store.recognise(&identity, &beyond).map_err(in_database(store.describe()))? {
        slog_scope::warn!("The database was filled from another mailbox, or a later state of this one: it is read from its beginning.";
            "database" => store.describe(), "mailbox" => mailbox.describe());
    }
    Ok(())
}

async fn set_up(
    mailbox: Arc<dyn Mailbox>,
    store: Arc<dyn Store>,
    partitions: i32,
    gate: watch::Sender<Option<Prepared>>,
    launch: Launch,
) -> Exit {
    loop {
        let (mailbox, store) = (Arc::clone(&mailbox), Arc::clone(&store));
        let working = launch.pulse.waiting("setting up topics and tables", None);
        let attempted = log::actor::spawn_blocking(move || attempt(&*mailbox, &*store, partitions)).await;
        drop(working);
        match attempted {
            Ok(Ok(prepared)) => {
                gate.send_replace(Some(prepared));
                return Exit::Normal;
            }
            Ok(Err(Trouble::Away(reason))) => {
                slog_scope::warn!("Waiting for what is needed to start."; "reason" => &reason);
                let until = now_micros() + i64::try_from(PAUSE.as_micros()).unwrap_or(0);
                let _waiting = launch.pulse.waiting(reason, Some(until));
                tokio::time::sleep(PAUSE).await;
            }
            Ok(Err(Trouble::Failed(reason))) => return Exit::Failed(reason),
            Ok(Err(Trouble::Refused(reason))) => return Exit::Stopped(reason),
            Err(error) => return Exit::Failed(error.to_string()),
        }
    }
}

impl Actor for SetupActor {
    type Context = Context<SetupActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let work =
            set_up(Arc::clone(&self.mailbox), Arc::clone(&self.store), self.partitions, self.gate.clone(), self.launch.clone());
        ctx.spawn(work.into_actor(self).map(|exit, actor, ctx| {
            actor.launch.exit.set(exit);
            ctx.stop();
        }));
    }
}

impl Handler<Control> for SetupActor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Pause | Control::Resume => {}
            Control::Drain => ctx.stop(),
            Control::Crash => panic!("crash injected into {}", self.launch.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_person_must_mend_ends_the_set_up_for_good() {
        let text = || "why".to_owned();
        let away = [MailboxError::Unavailable(text())];
        let failed = [MailboxError::Failed(text()), MailboxError::Fenced(text()), MailboxError::Revoked(text())];
        let refused = [MailboxError::Corrupt(text()), MailboxError::Invalid(text())];
        let mailbox = |error| in_mailbox("kafka")(error);
        assert!(away.into_iter().map(mailbox).all(|trouble| matches!(trouble, Trouble::Away(_))));
        assert!(failed.into_iter().map(mailbox).all(|trouble| matches!(trouble, Trouble::Failed(_))));
        assert!(refused.into_iter().map(mailbox).all(|trouble| matches!(trouble, Trouble::Refused(_))));
        let database = |error| in_database("postgres")(error);
        assert!(matches!(database(StoreError::Unavailable(text())), Trouble::Away(_)));
        assert!(matches!(database(StoreError::Fenced(text())), Trouble::Failed(_)));
        assert!(matches!(database(StoreError::Setup(text())), Trouble::Refused(_)));
    }
}
