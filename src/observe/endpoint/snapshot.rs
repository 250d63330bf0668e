//! Everything the dashboard shows, at one moment.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::Endpoint;
use super::answers::{Answers, answers};
use super::budgets::{ApiView, api_views};
use super::gather::Gathered;
use super::readiness::NotReady;
use super::samples::{Sample, samples};
use super::tree::{ActorView, actor_views};
use crate::records::now_micros;
use crate::supervision::ActorReport;

/// A moment. Beside what was gathered it holds nothing that is older than the moment itself.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// When, microseconds since the Unix epoch.
    pub at: i64,
    /// Names this process.
    pub run_id: String,
    /// Of this program.
    pub version: &'static str,
    /// Since when this process runs, microseconds since the Unix epoch.
    pub started_at: i64,
    /// Plain answers.
    pub answers: Answers,
    /// The supervision tree.
    pub actors: Vec<ActorView>,
    /// The APIs.
    pub apis: Vec<ApiView>,
    /// Dead letters by stage and reason, since this process started.
    pub dead_by_reason: Vec<DeadCount>,
    /// When the newest dead letter was given up, microseconds since the Unix epoch.
    pub dead_latest: Option<i64>,
    /// Restarts of all actors.
    pub restarts: u64,
    /// Controls are possible: a token is configured.
    pub controls: bool,
    /// Topics, rows, dead letters and records, as last found out.
    #[serde(flatten, serialize_with = "shared")]
    pub gathered: Arc<Gathered>,
}

/// Dead letters of one stage for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadCount {
    /// The stage that gave up.
    pub stage: String,
    /// Why, from a closed set.
    pub reason: String,
    /// How many, since this process started.
    pub count: u64,
}

impl Endpoint {
    /// Everything, now.
    pub fn snapshot(&self) -> Snapshot {
        let reports = self.sources.board.report();
        self.snapshot_of(&reports, &self.samples())
    }

    pub(super) fn snapshot_of(&self, reports: &[ActorReport], samples: &[Sample]) -> Snapshot {
        let at = now_micros();
        let gathered = self.findings.now();
        let actors = actor_views(reports, &gathered.topics, &self.history.lock());
        Snapshot {
            at,
            run_id: self.sources.run_id.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started_at: self.started_at,
            answers: answers(reports, &actors, &gathered.problems(), at),
            apis: api_views(samples, reports, (self.budgets)()),
            dead_by_reason: dead_by_reason(samples),
            dead_latest: gathered.dead_letters.first().map(|letter| letter.at),
            restarts: reports.iter().map(|report| report.restarts).sum(),
            controls: !self.options.token.is_empty(),
            actors,
            gathered,
        }
    }

    /// The metrics as they stand now.
    pub(super) fn samples(&self) -> Vec<Sample> {
        // Encoding fails only if a formatter does, and ours writes to memory.
        samples(&self.sources.metrics.encode().unwrap_or_default())
    }

    /// Remembers the throughput of the last `seconds`.
    pub(super) fn remember(&self, samples: &[Sample], seconds: f64) {
        self.history.lock().feed(samples, seconds);
    }

    /// What is not ready, and why.
    pub fn not_ready(&self) -> Vec<NotReady> {
        let mut missing = super::readiness::unready_actors(&self.sources.board.report());
        let gathered = self.findings.now();
        for (what, problem) in [("mailbox", &gathered.mailbox_problem), ("database", &gathered.store_problem)] {
            if let Some(why) = problem {
                missing.push(NotReady { what: what.to_owned(), state: "unreachable".to_owned(), why: why.clone() });
            }
        }
        if gathered.gathered_at == 0 {
            let why = "mailbox and database have not answered yet".to_owned();
            missing.push(NotReady { what: "mailbox".to_owned(), state: "starting".to_owned(), why });
        }
        missing.extend((self.ready)());
        missing
    }
}

fn shared<S: Serializer>(gathered: &Arc<Gathered>, serializer: S) -> Result<S::Ok, S::Error> {
    gathered.as_ref().serialize(serializer)
}

fn dead_by_reason(samples: &[Sample]) -> Vec<DeadCount> {
    let dead = samples.iter().filter(|sample| sample.name == "reprise_dead_letters_total");
    let mut counts: Vec<DeadCount> = dead
        .map(|sample| DeadCount {
            stage: sample.label("stage").to_owned(),
            reason: sample.label("reason").to_owned(),
            count: if sample.value > 0.0 { sample.value as u64 } else { 0 },
        })
        .collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.stage, &a.reason).cmp(&(&b.stage, &b.reason))));
    counts
}
