//! The supervision tree as others see it. Pure: reports in, views out.

use serde::Serialize;

use super::flow::{TopicView, lag_of};
use super::throughput::{History, Throughput};
use crate::stage::PAUSED;
use crate::supervision::{ActorReport, board::PastExit};

/// One actor. The list is flat and in the order of the tree: `path` and `parent` make it a tree again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActorView {
    /// Unique in the tree.
    pub name: String,
    /// From the root, such as `root/extract/tracks`.
    pub path: String,
    /// Its supervisor; `null` for the root.
    pub parent: Option<String>,
    /// Levels below the root.
    pub depth: usize,
    /// `supervisor` or `worker`.
    pub kind: &'static str,
    /// `starting`, `running`, `waiting`, `paused`, `restarting`, `stopped` or `failed`.
    pub state: &'static str,
    /// Why it waits, restarts, stopped or failed.
    pub reason: Option<String>,
    /// When it tries again, microseconds since the Unix epoch.
    pub until: Option<i64>,
    /// In this state since, microseconds since the Unix epoch.
    pub since: i64,
    /// Incarnations so far.
    pub generation: u64,
    /// Restarts so far.
    pub restarts: u64,
    /// Seconds since the last sign of life.
    pub heartbeat_age_s: f64,
    /// Messages waiting for it; `null` for what is no stage.
    pub lag: Option<u64>,
    /// How fast it works; `null` for what finishes no messages.
    pub throughput: Option<Throughput>,
    /// The last ends of incarnations, newest last.
    pub exits: Vec<PastExit>,
    /// Threads of dead incarnations that block somewhere.
    pub abandoned_threads: u32,
    /// It can be paused.
    pub pausable: bool,
}

/// Every actor, parents before their children.
pub fn actor_views(reports: &[ActorReport], topics: &[TopicView], history: &History) -> Vec<ActorView> {
    let mut sorted: Vec<&ActorReport> = reports.iter().collect();
    // By path segments: '-' sorts before '/', so plain text order could part a child from its parent.
    sorted.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    sorted.into_iter().map(|report| actor_view(report, reports, topics, history)).collect()
}

fn actor_view(report: &ActorReport, all: &[ActorReport], topics: &[TopicView], history: &History) -> ActorView {
    let below = format!("{}/", report.path);
    let is_supervisor = all.iter().any(|other| other.path.starts_with(&below));
    let paused = report.state == "waiting" && report.reason.as_deref() == Some(PAUSED);
    ActorView {
        name: report.name.clone(),
        path: report.path.clone(),
        parent: report.path.rsplit('/').nth(1).map(str::to_owned),
        depth: report.path.matches('/').count(),
        kind: if is_supervisor { "supervisor" } else { "worker" },
        state: if paused { "paused" } else { report.state },
        reason: if paused { Some("by the operator".to_owned()) } else { report.reason.clone() },
        until: report.until,
        since: report.since,
        generation: report.generation,
        restarts: report.restarts,
        heartbeat_age_s: (report.heartbeat_age_s * 1000.0).round() / 1000.0,
        lag: lag_of(topics, &report.name),
        throughput: history.of(&report.name),
        exits: report.exits.clone(),
        abandoned_threads: report.abandoned_threads,
        pausable: report.pausable,
    }
}

/// An actor changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The actor.
    pub name: String,
    /// Its state before; `null` for a new actor.
    pub from: Option<&'static str>,
    /// Its state now.
    pub to: &'static str,
    /// Why it is in this state; of an incarnation that runs, how the one before it ended.
    pub reason: Option<String>,
}

fn last_end(report: &ActorReport) -> Option<String> {
    report.exits.last().map(|exit| exit.reason.clone())
}

/// What changed between two looks at the board. A new incarnation is a change even if both looks saw `running`.
pub fn changes(before: &[ActorReport], now: &[ActorReport]) -> Vec<Change> {
    let was = |name: &str| before.iter().find(|report| report.name == name);
    let mut changes = Vec::new();
    for report in now {
        let earlier = was(&report.name);
        let same = earlier.is_some_and(|earlier| earlier.state == report.state && earlier.generation == report.generation);
        if !same {
            changes.push(Change {
                name: report.name.clone(),
                from: earlier.map(|earlier| earlier.state),
                to: report.state,
                reason: report.reason.clone().or_else(|| last_end(report).filter(|_| earlier.is_some())),
            });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::super::readiness::tests::report;
    use super::*;

    fn views(reports: &[ActorReport]) -> Vec<ActorView> {
        actor_views(reports, &[], &History::default())
    }

    #[test]
    fn children_follow_their_parent_and_know_it() {
        let reports = ["root", "root/extract-all", "root/extract", "root/extract/tracks"];
        let views = views(&reports.map(|path| report(path, "running", None)));
        let seen: Vec<_> = views.iter().map(|view| (view.name.as_str(), view.parent.as_deref(), view.kind)).collect();
        assert_eq!(
            seen,
            [
                ("root", None, "supervisor"),
                ("extract", Some("root"), "supervisor"),
                ("tracks", Some("extract"), "worker"),
                ("extract-all", Some("root"), "worker"),
            ]
        );
        assert_eq!(views[2].depth, 2);
    }

    #[test]
    fn a_paused_stage_shows_as_paused_though_it_reports_a_wait() {
        let views = views(&[report("root/tracks", "waiting", Some(PAUSED))]);
        assert_eq!((views[0].state, views[0].reason.as_deref()), ("paused", Some("by the operator")));
    }

    #[test]
    fn a_new_incarnation_is_a_change() {
        let before = report("root/tracks", "running", None);
        let mut now = before.clone();
        assert!(changes(std::slice::from_ref(&before), std::slice::from_ref(&now)).is_empty());
        now.generation += 1;
        assert_eq!(changes(&[before], &[now]).len(), 1);
    }
}
