//! Ready or not, and why not. Pure.
//!
//! Ready means: every actor runs, or waits for something that is nobody's fault (a rate limit, a quota, the operator). Waiting
//! for the mailbox or the database is not ready: nothing that comes in can be finished.

use serde::Serialize;

use crate::supervision::ActorReport;

/// Something that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// An actor's name, `mailbox`, `database` or what else was checked.
    pub what: String,
    /// Its state, as on the board, or `unreachable`.
    pub state: String,
    /// Why, for people.
    pub why: String,
}

/// How waits begin that keep the service from finishing anything. The stages put what they wait for before a colon.
const BLOCKING_WAITS: [&str; 5] = ["mailbox:", "database:", "store:", "setting up ", "topics and tables "];

/// The wait is for something without which nothing can be finished.
pub fn is_blocking(reason: &str) -> bool {
    BLOCKING_WAITS.iter().any(|start| reason.starts_with(start))
}

/// Every actor that is not ready.
pub fn unready_actors(reports: &[ActorReport]) -> Vec<NotReady> {
    if reports.is_empty() {
        return vec![NotReady { what: "tree".into(), state: "starting".into(), why: "no actor was started yet".into() }];
    }
    reports.iter().filter_map(unready).collect()
}

fn unready(report: &ActorReport) -> Option<NotReady> {
    let is_root = !report.path.contains('/');
    let reason = report.reason.as_deref().unwrap_or_default();
    let ready = match report.state {
        "running" | "paused" => true,
        "waiting" => !is_blocking(reason),
        // A worker that ended by itself is done; a root that ended is the end.
        "stopped" => !is_root,
        _ => false,
    };
    let why = if reason.is_empty() { format!("is {}", report.state) } else { reason.to_owned() };
    (!ready).then(|| NotReady { what: report.name.clone(), state: report.state.to_owned(), why })
}

/// Why the process is beyond help, if it is: the root of the tree ended.
pub fn given_up(reports: &[ActorReport]) -> Option<String> {
    let root = reports.iter().find(|report| !report.path.contains('/'))?;
    let over = matches!(root.state, "failed" | "stopped");
    over.then(|| format!("the supervision tree is {}: {}", root.state, root.reason.as_deref().unwrap_or("ended")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn report(path: &str, state: &'static str, reason: Option<&str>) -> ActorReport {
        ActorReport {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            path: path.to_owned(),
            state,
            reason: reason.map(str::to_owned),
            until: None,
            since: 0,
            generation: 1,
            restarts: 0,
            heartbeat_age_s: 0.0,
            exits: Vec::new(),
            abandoned_threads: 0,
            pausable: true,
        }
    }

    #[test]
    fn a_rate_limit_is_ready_and_a_lost_database_is_not() {
        let limited = report("root/tracks", "waiting", Some("spotify: rate limit"));
        let lost = report("root/load", "waiting", Some("database: connection refused"));
        let unready = unready_actors(&[report("root", "running", None), limited, lost]);
        assert_eq!(unready.len(), 1);
        assert_eq!((unready[0].what.as_str(), unready[0].why.as_str()), ("load", "database: connection refused"));
    }

    #[test]
    fn failed_starting_and_restarting_are_not_ready() {
        for state in ["failed", "starting", "restarting"] {
            assert_eq!(unready_actors(&[report("root/x", state, None)]).len(), 1, "{state}");
        }
        for state in ["running", "paused", "stopped"] {
            assert!(unready_actors(&[report("root/x", state, None)]).is_empty(), "{state}");
        }
        assert_eq!(unready_actors(&[]).len(), 1, "nothing started yet");
    }

    #[test]
    fn only_the_root_can_give_up() {
        assert_eq!(given_up(&[report("root", "running", None), report("root/x", "failed", Some("y"))]), None);
        assert!(given_up(&[report("root", "failed", Some("gave up: x"))]).is_some_and(|why| why.contains("gave up: x")));
        assert_eq!(given_up(&[]), None, "still starting");
    }
}
