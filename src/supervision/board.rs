//! The status board: what every actor is doing, since when, why, and what became of its earlier incarnations.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use actix::Recipient;
use parking_lot::RwLock;
use serde::Serialize;
use tokio::task::AbortHandle;

use super::launch::{Control, Exit};
use super::pulse::Pulse;
use super::spec::ChildSpec;
use crate::observe::metrics::{ActorLabel, Metrics, RestartLabel};
use crate::records::now_micros;

/// How many ends of incarnations are remembered of each actor.
const EXITS_KEPT: usize = 20;

/// Shared by supervisors (who write) and everybody who wants to know. Cheap to clone.
#[derive(Clone)]
pub struct Board {
    entries: Arc<RwLock<BTreeMap<String, Entry>>>,
    metrics: Metrics,
}

struct Entry {
    path: String,
    state: Base,
    since: i64,
    generation: u64,
    restarts: u64,
    exits: VecDeque<PastExit>,
    pulse: Pulse,
    pausable: bool,
    paused: bool,
    retiring_threads: u32,
    control: Option<Recipient<Control>>,
    abort: Option<AbortHandle>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Base {
    Starting,
    Running,
    Restarting {
        attempt: u32,
        at: i64,
    },
    Stopped,
    Failed(String),
    /// It failed, or was stopped, because its supervisor gives up: whoever is above may start both again.
    GivenUp(String),
}

/// An end of an incarnation, as remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastExit {
    /// When, microseconds since the Unix epoch.
    pub at: i64,
    /// Which incarnation.
    pub generation: u64,
    /// `panic`, `error`, `hang`, `arbiter`, `operator`, `normal`, `escalated`.
    pub kind: String,
    /// In words.
    pub reason: String,
}

/// What the board says of one actor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActorReport {
    /// Name, unique in the tree.
    pub name: String,
    /// Path from the root, such as `root/extract/tracks`.
    pub path: String,
    /// `starting`, `running`, `waiting`, `paused`, `restarting`, `stopped` or `failed`.
    pub state: &'static str,
    /// Why it waits, restarts or failed.
    pub reason: Option<String>,
    /// When it will try again, microseconds since the Unix epoch.
    pub until: Option<i64>,
    /// In this state since, microseconds since the Unix epoch.
    pub since: i64,
    /// Incarnations so far.
    pub generation: u64,
    /// Restarts so far.
    pub restarts: u64,
    /// Seconds since the last sign of life; 0 while waiting.
    pub heartbeat_age_s: f64,
    /// The last ends of incarnations, newest last.
    pub exits: Vec<PastExit>,
    /// Threads of dead incarnations that have not ended: they block somewhere.
    pub abandoned_threads: u32,
    /// It can be paused.
    pub pausable: bool,
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("actors", &self.entries.read().len()).finish()
    }
}

impl Board {
    /// An empty board that also keeps the actors' metrics.
    pub fn new(metrics: Metrics) -> Board {
        Board { entries: Arc::default(), metrics }
    }

    pub(super) fn starting(&self, spec: &ChildSpec, path: &str, generation: u64, pulse: &Pulse) {
        let mut entries = self.entries.write();
        let entry = entries.entry(spec.name.clone()).or_insert_with(|| Entry {
            path: path.to_owned(),
            state: Base::Starting,
            since: now_micros(),
            generation: 0,
            restarts: 0,
            exits: VecDeque::new(),
            pulse: pulse.clone(),
            pausable: spec.pausable,
            paused: false,
            retiring_threads: 0,
            control: None,
            abort: None,
        });
        entry.pulse = pulse.clone();
        entry.generation = generation;
        entry.set(Base::Starting);
    }

    pub(super) fn running(&self, name: &str, control: Recipient<Control>, abort: AbortHandle) {
        self.change(name, |entry| {
            if entry.paused {
                control.do_send(Control::Pause);
            }
            entry.control = Some(control);
            entry.abort = Some(abort);
            entry.set(Base::Running);
        });
        self.metrics.actor_up.get_or_create(&ActorLabel::new(name)).set(1);
    }

    pub(super) fn ended(&self, name: &str, exit: &Exit) {
        self.change(name, |entry| {
            entry.control = None;
            entry.abort = None;
            if entry.exits.len() == EXITS_KEPT {
                entry.exits.pop_front();
            }
            let past = PastExit {
                at: now_micros(),
                generation: entry.generation,
                kind: exit.label().to_owned(),
                reason: exit.to_string(),
            };
            entry.exits.push_back(past);
        });
        self.metrics.actor_up.get_or_create(&ActorLabel::new(name)).set(0);
    }

    /// It will not be started again: only now is it stopped or failed, so that nobody takes a restart for an end.
    pub(super) fn settled(&self, name: &str, exit: &Exit) {
        self.change(name, |entry| {
            entry.set(match exit {
                Exit::Normal | Exit::Killed => Base::Stopped,
                other => Base::Failed(other.to_string()),
            });
        });
    }

    /// It ended while its supervisor stops or gives up: whether for good is for whoever is above to say.
    pub(super) fn given_up(&self, name: &str, exit: &Exit) {
        self.change(name, |entry| {
            entry.set(match exit {
                Exit::Normal | Exit::Killed => Base::Stopped,
                other => Base::GivenUp(other.to_string()),
            });
        });
    }

    pub(super) fn restarting(&self, name: &str, attempt: u32, at: i64, exit: &Exit) {
        self.change(name, |entry| {
            entry.restarts += 1;
            entry.set(Base::Restarting { attempt, at });
        });
        self.metrics.actor_restarts.get_or_create(&RestartLabel::new(name, exit.label())).inc();
    }

    pub(super) fn thread_retiring(&self, name: &str) {
        self.change(name, |entry| entry.retiring_threads += 1);
    }

    pub(super) fn thread_retired(&self, name: &str) {
        self.change(name, |entry| entry.retiring_threads = entry.retiring_threads.saturating_sub(1));
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.write().get_mut(name) {
            change(entry);
        }
    }

    /// Every actor, by path.
    pub fn report(&self) -> Vec<ActorReport> {
        let entries = self.entries.read();
        let mut reports: Vec<ActorReport> = entries.iter().map(|(name, entry)| entry.report(name)).collect();
        reports.sort_by(|a, b| a.path.cmp(&b.path));
        for report in &reports {
            let label = ActorLabel::new(&report.name);
            self.metrics.actor_heartbeat_age.get_or_create(&label).set(report.heartbeat_age_s);
        }
        reports
    }

    /// One actor.
    pub fn actor(&self, name: &str) -> Option<ActorReport> {
        self.entries.read().get(name).map(|entry| entry.report(name))
    }

    /// Whether its last incarnation was ended from outside, by an operator or with its supervisor, and not by its own doing.
    pub fn was_killed(&self, name: &str) -> bool {
        let entries = self.entries.read();
        let last = entries.get(name).and_then(|entry| entry.exits.back());
        last.is_some_and(|exit| exit.kind == Exit::Killed.label())
    }

    /// One that failed, and that nobody will start again.
    pub fn failed_for_good(&self) -> Option<ActorReport> {
        let entries = self.entries.read();
        let mut failed = entries.iter().filter(|(_, entry)| matches!(entry.state, Base::Failed(_)));
        failed.next().map(|(name, entry)| entry.report(name))
    }

    /// Restarts of all actors so far.
    pub fn restarts(&self) -> u64 {
        self.entries.read().values().map(|entry| entry.restarts).sum()
    }

    /// Sends a control to a running actor; false when there is none of that name running. What is paused stays so over restarts,
    /// with everything beneath it.
    pub fn control(&self, name: &str, control: Control) -> bool {
        let mut entries = self.entries.write();
        let Some(path) = entries.get(name).map(|entry| entry.path.clone()) else { return false };
        if let Control::Pause | Control::Resume = control {
            let beneath = format!("{path}/");
            for entry in entries.values_mut().filter(|entry| entry.path == path || entry.path.starts_with(&beneath)) {
                entry.paused = entry.pausable && control == Control::Pause;
            }
        }
        let recipient = entries.get(name).and_then(|entry| entry.control.as_ref());
        recipient.is_some_and(|recipient| recipient.try_send(control).is_ok())
    }

    /// Kills a running actor; its supervisor restarts it. False when there is none of that name running.
    pub fn restart(&self, name: &str) -> bool {
        let entries = self.entries.read();
        let abort = entries.get(name).and_then(|entry| entry.abort.as_ref());
        abort.inspect(|abort| abort.abort()).is_some()
    }
}

impl Entry {
    fn set(&mut self, state: Base) {
        self.state = state;
        self.since = now_micros();
    }

    fn report(&self, name: &str) -> ActorReport {
        let waiting = self.pulse.current_wait();
        let last = self.exits.back().map(|exit| exit.reason.clone());
        let (state, reason, until) = match (&self.state, waiting) {
            (Base::Running, Some(waiting)) => ("waiting", Some(waiting.reason), waiting.until),
            (Base::Running, None) if self.paused => ("paused", Some("by the operator".to_owned()), None),
            (Base::Running, None) => ("running", None, None),
            (Base::Starting, _) => ("starting", None, None),
            (Base::Restarting { attempt, at }, _) => {
                ("restarting", Some(format!("attempt {}: {}", attempt + 1, last.unwrap_or_default())), Some(*at))
            }
            (Base::Stopped, _) => ("stopped", last, None),
            (Base::Failed(reason) | Base::GivenUp(reason), _) => ("failed", Some(reason.clone()), None),
        };
        ActorReport {
            name: name.to_owned(),
            path: self.path.clone(),
            state,
            reason,
            until,
            since: self.since,
            generation: self.generation,
            restarts: self.restarts,
            heartbeat_age_s: if self.state == Base::Running { self.pulse.age().as_secs_f64() } else { 0.0 },
            exits: self.exits.iter().cloned().collect(),
            abandoned_threads: self.retiring_threads,
            pausable: self.pausable,
        }
    }
}
