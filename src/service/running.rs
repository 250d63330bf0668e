//! A service at work, and how it ends.

use std::time::Duration;

use anyhow::Context as _;

use super::progress::is_drained;
use super::tree::Service;
use crate::supervision::{Tree, TreeEnd};

/// Why a running service stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A signal, or the caller.
    Asked,
    /// Everything is worked off.
    Drained,
    /// A child ended for good with a reason that a person has to mend.
    Failed(String),
    /// The root supervisor gave up.
    GaveUp(String),
}

/// A running tree with the service it runs.
#[derive(Debug)]
pub struct Running {
    service: Service,
    tree: Tree,
}

/// How often it is looked whether everything is worked off.
const LOOK: Duration = Duration::from_millis(200);

impl Service {
    /// Starts the tree. Call it inside an actix system.
    pub fn start(&self) -> Running {
        Running { service: self.clone(), tree: Tree::start(self.tree(), &self.board) }
    }
}

impl Running {
    /// Runs until a signal or until the root gives up.
    pub async fn until_signal(&mut self) -> Stop {
        tokio::select! {
            end = self.tree.ended() => ended(end),
            () = signal() => Stop::Asked,
        }
    }

    /// Runs until topics and tables are there; answers how it ended if it ended before.
    pub async fn until_prepared(&mut self) -> Option<Stop> {
        let service = self.service.clone();
        tokio::select! {
            end = self.tree.ended() => Some(ended(end)),
            () = signal() => Some(Stop::Asked),
            failed = prepared(service) => failed,
        }
    }

    /// Runs until everything is worked off, a signal, or until the root gives up or a child fails for good.
    pub async fn until_drained(&mut self) -> Stop {
        let service = self.service.clone();
        tokio::select! {
            end = self.tree.ended() => ended(end),
            () = signal() => Stop::Asked,
            stop = drained(service) => stop,
        }
    }

    /// Drains and stops, in order, each actor within its grace. A second signal ends the wait.
    pub async fn shut_down(&mut self) -> Stop {
        if !self.tree.drain() {
            slog_scope::warn!("The tree had not started yet.");
        }
        tokio::select! {
            end = self.tree.ended() => match end {
                TreeEnd::Stopped => Stop::Asked,
                TreeEnd::GaveUp(why) => Stop::GaveUp(why),
            },
            () = signal() => Stop::Failed("stopped at once by a second signal; what was in hand will be done again".to_owned()),
        }
    }
}

fn ended(end: TreeEnd) -> Stop {
    match end {
        TreeEnd::Stopped => Stop::Asked,
        TreeEnd::GaveUp(why) => Stop::GaveUp(why),
    }
}

/// A child that ended for good, with what it said.
fn failed(service: &Service) -> Option<Stop> {
    let failed = service.board.report().into_iter().find(|report| report.state == "failed")?;
    Some(Stop::Failed(format!("{} {}", failed.name, failed.reason.unwrap_or_default())))
}

async fn prepared(service: Service) -> Option<Stop> {
    loop {
        if service.gate.borrow().is_some() {
            return None;
        }
        if let Some(failed) = failed(&service) {
            return Some(failed);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn drained(service: Service) -> Stop {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(failed) = failed(&service) {
            return failed;
        }
        if service.gate.borrow().is_none() {
            continue;
        }
        let (mailbox, stages) = (std::sync::Arc::clone(&service.mailbox), service.stages());
        let look = tokio::task::spawn_blocking(move || is_drained(&*mailbox, &stages)).await;
        match look.context("the look at the topics failed") {
            Ok(Ok(true)) => return Stop::Drained,
            // What is away is waited for by the stages; here too.
            Ok(_) => {}
            Err(error) => return Stop::Failed(format!("{error:#}")),
        }
    }
}

/// Resolves at SIGTERM or Ctrl-C.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
