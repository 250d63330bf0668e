//! A service at work, and how it ends.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    signals: Signals,
}

/// How often it is looked whether everything is worked off.
const LOOK: Duration = Duration::from_millis(200);

impl Service {
    /// Starts the tree. Call it inside an actix system.
    pub fn start(&self) -> Running {
        Running { service: self.clone(), tree: Tree::start(self.tree(), &self.board), signals: Signals::listen() }
    }
}

impl Running {
    /// Runs until a signal or until the root gives up.
    pub async fn until_signal(&mut self) -> Stop {
        tokio::select! {
            end = self.tree.ended() => ended(end),
            () = self.signals.next() => Stop::Asked,
        }
    }

    /// Runs until topics and tables are there; answers how it ended if it ended before.
    pub async fn until_prepared(&mut self) -> Option<Stop> {
        let service = self.service.clone();
        tokio::select! {
            end = self.tree.ended() => Some(ended(end)),
            () = self.signals.next() => Some(Stop::Asked),
            failed = prepared(service) => failed,
        }
    }

    /// Runs until everything is worked off, a signal, or until the root gives up or a child fails for good.
    pub async fn until_drained(&mut self) -> Stop {
        let service = self.service.clone();
        tokio::select! {
            end = self.tree.ended() => ended(end),
            () = self.signals.next() => Stop::Asked,
            stop = drained(service) => stop,
        }
    }

    /// Drains and stops, in order, each actor within its grace. A signal after the one that asked for it ends the wait.
    pub async fn shut_down(&mut self) -> Stop {
        let mut asked = false;
        loop {
            // A tree that is only just starting does not hear it yet.
            asked = asked || self.tree.drain();
            tokio::select! {
                end = self.tree.ended() => return ended(end),
                () = self.signals.next() => {}
                () = tokio::time::sleep(LOOK / 4), if !asked => continue,
            }
            if self.signals.heard > 1 {
                return Stop::Failed("stopped at once by a second signal; what was in hand will be done again".to_owned());
            }
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
    let failed = service.board.failed_for_good()?;
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

/// SIGTERM and Ctrl-C. One listener for the whole life of the service: what comes while nobody waits for it, between two waits or
/// in the moment in which another one ends, is there for the next.
#[derive(Debug)]
struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    /// How many were waited for with success.
    heard: u32,
}

impl Signals {
    fn listen() -> Signals {
        let listen = |kind, name: &str| {
            let listening = signal(kind);
            if let Err(error) = &listening {
                slog_scope::warn!("{name} will not be heard."; "error" => %error);
            }
            listening.ok()
        };
        let terminate = listen(SignalKind::terminate(), "SIGTERM");
        Signals { terminate, interrupt: listen(SignalKind::interrupt(), "Ctrl-C"), heard: 0 }
    }

    /// Resolves at the next signal, or at once if one came since the last.
    async fn next(&mut self) {
        tokio::select! {
            () = heard(&mut self.terminate) => {}
            () = heard(&mut self.interrupt) => {}
        }
        self.heard = self.heard.saturating_add(1);
    }
}

async fn heard(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_is_not_lost() {
        // A signal that does no harm to the tests beside this one.
        let mut signals = Signals { terminate: signal(SignalKind::user_defined2()).ok(), interrupt: None, heard: 0 };
        for _ in 0..50 {
            let sent = std::process::Command::new("kill").args(["-USR2", &std::process::id().to_string()]).status();
            assert!(sent.is_ok_and(|status| status.success()));
            // Something else that is waited for ends: the wait for the signal is given up, perhaps in the moment it came.
            tokio::select! {
                () = tokio::task::yield_now() => {
                    let heard = tokio::time::timeout(Duration::from_secs(30), signals.next()).await;
                    assert!(heard.is_ok(), "the signal was lost");
                }
                () = signals.next() => {}
            }
        }
    }
}
