//! Plain answers to the four questions of somebody who has never seen the system: what is it doing, is it healthy, what is it
//! waiting for, what failed last and why. Pure.

use serde::Serialize;

use super::readiness::{given_up, is_blocking};
use super::tree::ActorView;
use crate::supervision::ActorReport;
use crate::supervision::board::PastExit;

/// How long a healed failure is still worth a remark.
const RECENT_US: i64 = 5 * 60 * 1_000_000;

/// Below this the pipeline rests: rounding noise of an average is no work.
const WORKING_PER_SECOND: f64 = 0.05;

/// The answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// What is it doing?
    pub doing: Answer,
    /// Is it healthy?
    pub healthy: Answer,
    /// What is it waiting for?
    pub waiting: Answer,
    /// What failed last, and why?
    pub failed: Answer,
}

/// One answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// `good`, `busy`, `warn`, `bad` or `quiet`.
    pub tone: &'static str,
    /// In a few words.
    pub text: String,
    /// The reason, if there is more to say.
    pub detail: Option<String>,
    /// When it happened, microseconds since the Unix epoch.
    pub at: Option<i64>,
    /// Until when it lasts, microseconds since the Unix epoch.
    pub until: Option<i64>,
}

impl Answer {
    fn new(tone: &'static str, text: impl Into<String>) -> Answer {
        Answer { tone, text: text.into(), ..Answer::default() }
    }

    fn because(mut self, detail: impl Into<String>) -> Answer {
        self.detail = Some(detail.into());
        self
    }
}

/// Answers from what is known now. `problems` are what the mailbox or the database last refused to say.
pub fn answers(reports: &[ActorReport], views: &[ActorView], problems: &[String], now: i64) -> Answers {
    Answers {
        doing: doing(reports, views),
        healthy: healthy(reports, views, problems, now),
        waiting: waiting(views),
        failed: failed(views),
    }
}

fn doing(reports: &[ActorReport], views: &[ActorView]) -> Answer {
    if let Some(why) = given_up(reports) {
        return Answer::new("bad", "Nothing any more").because(why);
    }
    if views.iter().all(|view| view.state == "starting") {
        return Answer::new("busy", "Starting");
    }
    let waiting: u64 = views.iter().filter_map(|view| view.lag).sum();
    let queue =
        if waiting == 0 { "no backlog".to_owned() } else { format!("{} waiting in the topics", counted(waiting, "message")) };
    let mut working: Vec<(&str, f64)> = views
        .iter()
        .filter_map(|view| Some((view.name.as_str(), view.throughput.as_ref()?.per_second)))
        .filter(|(_, rate)| *rate >= WORKING_PER_SECOND)
        .collect();
    working.sort_by(|a, b| b.1.total_cmp(&a.1));
    if working.is_empty() {
        return if waiting == 0 {
            Answer::new("quiet", "Idle: everything is worked off")
        } else {
            Answer::new("warn", "Standing still").because(queue)
        };
    }
    let rate: f64 = working.iter().map(|(_, rate)| rate).sum();
    let names: Vec<&str> = working.iter().map(|(name, _)| *name).collect();
    Answer::new("busy", format!("Working off {} messages/s", short(rate))).because(format!("{}; {queue}", listed(&names)))
}

fn healthy(reports: &[ActorReport], views: &[ActorView], problems: &[String], now: i64) -> Answer {
    if let Some(why) = given_up(reports) {
        return Answer::new("bad", "No: it gave up").because(why);
    }
    let in_state = |state: &str| -> Vec<&ActorView> { views.iter().filter(|view| view.state == state).collect() };
    let reason = |view: &ActorView| view.reason.clone().unwrap_or_default();
    if let Some(view) = in_state("failed").first() {
        return Answer::new("bad", format!("No: {} failed", view.name)).because(reason(view));
    }
    if let Some(view) = in_state("restarting").first() {
        return Answer::new("warn", format!("Healing: {} is being restarted", view.name)).because(reason(view));
    }
    if let Some(view) = in_state("waiting").iter().find(|view| view.reason.as_deref().is_some_and(is_blocking)) {
        return Answer::new("warn", format!("Not yet: {} waits", view.name)).because(reason(view));
    }
    if let Some(problem) = problems.first() {
        return Answer::new("warn", "Not quite: something cannot be reached").because(problem.clone());
    }
    if in_state("starting").len() > 1 {
        return Answer::new("busy", "Starting");
    }
    let alive = counted(u64::try_from(views.iter().filter(|view| view.state != "stopped").count()).unwrap_or(0), "actor");
    let exits = views.iter().flat_map(|view| &view.exits);
    let healed = exits.filter(|exit| is_failure(exit) && now.saturating_sub(exit.at) < RECENT_US).count();
    let healed = u64::try_from(healed).unwrap_or(0);
    let detail = if healed == 0 {
        format!("{alive} alive")
    } else {
        format!("{alive} alive; healed {} in 5 minutes", counted(healed, "failure"))
    };
    Answer::new("good", "Yes").because(detail)
}

fn waiting(views: &[ActorView]) -> Answer {
    let mut waits: Vec<&ActorView> = views.iter().filter(|view| matches!(view.state, "waiting" | "paused")).collect();
    // What blocks comes first, then what takes longest.
    waits.sort_by_key(|view| (!view.reason.as_deref().is_some_and(is_blocking), std::cmp::Reverse(view.until)));
    let Some(first) = waits.first() else { return Answer::new("quiet", "Nothing") };
    let reason = first.reason.clone().unwrap_or_default();
    let blocking = is_blocking(&reason);
    let text = if first.state == "paused" { format!("You: {} is paused", first.name) } else { reason };
    let others: Vec<&str> = waits.iter().map(|view| view.name.as_str()).collect();
    let mut answer = Answer::new(if blocking { "bad" } else { "warn" }, text).because(format!("in {}", listed(&others)));
    answer.until = first.until;
    answer
}

fn failed(views: &[ActorView]) -> Answer {
    let exits = views.iter().flat_map(|view| view.exits.iter().map(move |exit| (view, exit)));
    let last = exits.filter(|(_, exit)| is_failure(exit)).max_by_key(|(_, exit)| exit.at);
    let Some((view, exit)) = last else { return Answer::new("quiet", "Nothing so far") };
    let tone = if matches!(view.state, "failed" | "restarting") { "bad" } else { "good" };
    let now = if tone == "good" { "runs again" } else { view.state };
    let mut answer = Answer::new(tone, format!("{}, {now}", view.name)).because(exit.reason.clone());
    answer.at = Some(exit.at);
    answer
}

/// An end that nobody asked for.
fn is_failure(exit: &PastExit) -> bool {
    !matches!(exit.kind.as_str(), "normal" | "operator")
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{} {what}s", grouped(count)) }
}

/// With thousands set apart: 1,234,567.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The first names, and how many more.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// A rate with as many digits as mean something.
fn short(rate: f64) -> String {
    if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

#[cfg(test)]
mod tests {
    use super::super::readiness::tests::report;
    use super::super::throughput::History;
    use super::super::tree::actor_views;
    use super::*;

    fn ask(reports: &[ActorReport]) -> Answers {
        answers(reports, &actor_views(reports, &[], &History::default()), &[], 1_000_000)
    }

    #[test]
    fn an_idle_system_is_healthy_and_waits_for_nothing() {
        let said = ask(&[report("root", "running", None), report("root/tracks", "running", None)]);
        assert_eq!(said.doing.text, "Idle: everything is worked off");
        assert_eq!((said.healthy.tone, said.healthy.text.as_str()), ("good", "Yes"));
        assert_eq!(said.waiting.text, "Nothing");
        assert_eq!(said.failed.text, "Nothing so far");
    }

    #[test]
    fn the_last_failure_is_told_with_its_reason() {
        let mut tracks = report("root/tracks", "running", None);
        let exit = |at, kind: &str| PastExit { at, generation: 1, kind: kind.into(), reason: format!("{kind} at {at}") };
        tracks.exits = vec![exit(10, "panic"), exit(20, "operator")];
        let said = ask(&[report("root", "running", None), tracks]);
        assert_eq!(said.failed.detail.as_deref(), Some("panic at 10"), "what an operator did is no failure");
        assert_eq!(said.failed.text, "tracks, runs again");
        assert!(said.healthy.detail.is_some_and(|detail| detail.contains("healed 1 failure")));
    }

    #[test]
    fn what_the_operator_restarts_is_no_failure() {
        let mut load = report("root/load", "running", None);
        load.exits = vec![PastExit { at: 10, generation: 1, kind: "operator".into(), reason: "restart".into() }];
        let said = ask(&[report("root", "running", None), load]);
        assert_eq!((said.failed.text.as_str(), said.healthy.detail.as_deref()), ("Nothing so far", Some("2 actors alive")));
    }

    #[test]
    fn a_lost_database_comes_before_a_rate_limit() {
        let limited = report("root/tracks", "waiting", Some("spotify: rate limit"));
        let lost = report("root/load", "waiting", Some("database: connection refused"));
        let said = ask(&[report("root", "running", None), limited, lost]);
        assert_eq!(said.waiting.text, "database: connection refused");
        assert_eq!(said.healthy.tone, "warn");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_failed_actor_is_named() {
        let said = ask(&[report("root", "running", None), report("root/audio", "failed", Some("no codec"))]);
        assert_eq!((said.healthy.text.as_str(), said.healthy.detail.as_deref()), ("No: audio failed", Some("no codec")));
    }
}
