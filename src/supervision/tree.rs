//! The whole tree: starts the root supervisor and tells how it ended.

use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use super::board::Board;
use super::launch::{Birth, Control, Exit, ExitSlot, KillSwitch, Launch, Report};
use super::pulse::Pulse;
use super::spec::{ChildSpec, SupervisorSpec};

/// How the tree ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEnd {
    /// Drained, on request.
    Stopped,
    /// The root gave up: which child, why, how often.
    GaveUp(String),
}

/// A running tree. Lives inside an actix system.
#[derive(Debug)]
pub struct Tree {
    name: String,
    board: Board,
    end: oneshot::Receiver<TreeEnd>,
}

impl Tree {
    /// Starts the root supervisor and, through it, everything else.
    pub fn start(spec: SupervisorSpec, board: &Board) -> Tree {
        let name = spec.name.clone();
        let child = ChildSpec::supervisor(spec);
        let (reporter, mut reports) = unbounded_channel();
        let (end_sender, end) = oneshot::channel();
        let pulse = Pulse::new();
        board.starting(&child, &name, 1, &pulse);
        let launch = Launch {
            name: name.clone(),
            generation: 1,
            pulse,
            exit: ExitSlot::default(),
            kill: KillSwitch::default(),
            board: board.clone(),
        };
        let arbiter = (child.spawn)(Birth { child: 0, launch, reports: reporter });
        let (watched, label) = (board.clone(), name.clone());
        actix_rt::spawn(async move {
            while let Some(report) = reports.recv().await {
                match report {
                    Report::Started { running, .. } => watched.running(&label, running.control, running.abort),
                    Report::Ended { exit, .. } => {
                        watched.ended(&label, &exit);
                        watched.given_up(&label, &exit);
                        arbiter.stop();
                        let end = if exit == Exit::Normal { TreeEnd::Stopped } else { TreeEnd::GaveUp(exit.to_string()) };
                        // Nobody waits any more: nobody needs to know.
                        let _ = end_sender.send(end);
                        return;
                    }
                }
            }
        });
        Tree { name, board: board.clone(), end }
    }

    /// Asks the tree to drain, in order. False when it is not running yet.
    pub fn drain(&self) -> bool {
        self.board.control(&self.name, Control::Drain)
    }

    /// Waits for the end.
    pub async fn ended(&mut self) -> TreeEnd {
        (&mut self.end).await.unwrap_or_else(|_| TreeEnd::GaveUp("the root supervisor's thread died".to_owned()))
    }
}
