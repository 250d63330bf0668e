//! Every metric, named once. Label values come from closed sets, so that the number of series stays bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

/// A label set of text labels, declared in one line.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($field:ident),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $name { $(#[doc = "Label value."] pub $field: String),+ }
        impl $name {
            /// The labels with these values.
            pub fn new($($field: &str),+) -> $name { $name { $($field: $field.to_owned()),+ } }
        }
    };
}

labels!(
    /// An actor of the supervision tree.
    ActorLabel { actor }
);
labels!(
    /// Why an actor was restarted.
    RestartLabel { actor, reason }
);
labels!(
    /// How a stage's messages ended.
    OutcomeLabel { stage, outcome }
);
labels!(
    /// A stage.
    StageLabel { stage }
);
labels!(
    /// A consumer group's place in a partition.
    LagLabel { topic, partition, group }
);
labels!(
    /// Why a stage gave messages up.
    DeadLabel { stage, reason }
);
labels!(
    /// An API's answers by status: `200`, `429`, ..., `timeout`, `connect`, `body`; see [`status_label`].
    ApiLabel { api, status }
);
labels!(
    /// Why an API was waited for: `limiter`, `retry_after` (the window of a rate limit), `quota` (used up: a pause of ten
    /// minutes and more, or one that the server did not name), `backoff`, `breaker`.
    ApiWaitLabel { api, reason }
);
labels!(
    /// What was written to a table.
    RowLabel { table, effect }
);
labels!(
    /// What a match was for and how it ended: `artist`|`track`, `accepted`|`rejected`.
    MatchLabel { subject, outcome }
);
labels!(
    /// A step of working on a clip: `resolve`, `download`, `analyze`.
    StepLabel { step }
);

type Seconds = Counter<f64, AtomicU64>;
type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// The process's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// 1 while the actor runs or waits, 0 otherwise.
    pub actor_up: Family<ActorLabel, Gauge<i64, AtomicI64>>,
    /// Restarts by reason: `panic`, `error`, `hang`, `arbiter`, `operator`, `escalated`, `normal` (it ended though it should not).
    pub actor_restarts: Family<RestartLabel, Counter>,
    /// Seconds since the actor's last sign of life.
    pub actor_heartbeat_age: Family<ActorLabel, Gauge<f64, AtomicU64>>,
    /// Messages or jobs waiting in the actor's own queue.
    pub actor_mailbox_depth: Family<ActorLabel, Gauge<i64, AtomicI64>>,
    /// Seconds the actor spent working.
    pub actor_busy: Family<ActorLabel, Seconds>,
    /// Messages by how they ended: `emitted`, `superseded`, `dead_lettered`; beside them `nulled_field` counts fields, not
    /// messages. An actor that is killed between commit and count leaves its batch uncounted here, never in the ledger.
    pub records: Family<OutcomeLabel, Counter>,
    /// Seconds a batch took.
    pub batch: HistogramFamily<StageLabel>,
    /// Messages waiting.
    pub lag: Family<LagLabel, Gauge<i64, AtomicI64>>,
    /// Messages given up.
    pub dead_letters: Family<DeadLabel, Counter>,
    /// Requests to APIs by status, see [`Metrics::api_answered`].
    pub api_requests: Family<ApiLabel, Counter>,
    api_statuses: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>,
    /// Seconds waited for APIs.
    pub api_wait: Family<ApiWaitLabel, Seconds>,
    /// Rows by effect.
    pub rows: Family<RowLabel, Counter>,
    /// Match scores.
    pub match_score: HistogramFamily<MatchLabel>,
    /// Seconds by step of working on a clip.
    pub clip: HistogramFamily<StepLabel>,
}

/// From a quick transaction to the deadline of a clip. Each bucket costs a series for every stage and step.
const SECONDS_BUCKETS: [f64; 7] = [0.01, 0.05, 0.2, 0.5, 1.0, 4.0, 20.0];

/// Around the thresholds, which are 0.7 to 0.9: scores further down or up decide nothing.
const SCORE_BUCKETS: [f64; 7] = [0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];

fn seconds_histogram() -> Histogram {
    Histogram::new(SECONDS_BUCKETS)
}

fn score_histogram() -> Histogram {
    Histogram::new(SCORE_BUCKETS)
}

/// How messages end.
const OUTCOMES: [&str; 3] = ["emitted", "superseded", "dead_lettered"];

/// Statuses told one by one; others by their class.
const STATUSES: [u16; 9] = [200, 400, 401, 403, 404, 429, 500, 502, 503];

/// Statuses told apart of one API: a healthy one has two or three, a bad day brings half a dozen more.
const STATUSES_TOLD: usize = 9;

/// The label of an HTTP status: itself if it is a usual one, else its class, such as `3xx`.
pub fn status_label(status: u16) -> String {
    if STATUSES.contains(&status) { status.to_string() } else { format!("{}xx", (status / 100).clamp(1, 5)) }
}

impl Metrics {
    /// All metrics at zero, registered under their contract names.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("reprise");
        let info = Info::new(vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        registry.register("build", "The build that answers", info);
        let mut metrics = Metrics {
            registry: Arc::new(Registry::default()),
            actor_up: Family::default(),
            actor_restarts: Family::default(),
            actor_heartbeat_age: Family::default(),
            actor_mailbox_depth: Family::default(),
            actor_busy: Family::default(),
            records: Family::default(),
            batch: Family::new_with_constructor(seconds_histogram),
            lag: Family::default(),
            dead_letters: Family::default(),
            api_requests: Family::default(),
            api_statuses: Arc::default(),
            api_wait: Family::default(),
            rows: Family::default(),
            match_score: Family::new_with_constructor(score_histogram),
            clip: Family::new_with_constructor(seconds_histogram),
        };
        metrics.register(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// Counts an answer. Of each API the first statuses are told apart, and what comes after them is `other`: a server cannot
    /// make series without end.
    pub fn api_answered(&self, api: &str, status: &str) {
        let mut apis = self.api_statuses.lock();
        let known = apis.entry(api.to_owned()).or_default();
        if known.len() < STATUSES_TOLD {
            known.insert(status.to_owned());
        }
        let told = if known.contains(status) { status } else { "other" };
        self.api_requests.get_or_create(&ApiLabel::new(api, told)).inc();
    }

    /// Counts optional fields that were out of range and became NULL, at the stage that met them first.
    pub fn nulled(&self, stage: &str, fields: &[&str]) {
        if !fields.is_empty() {
            let count = u64::try_from(fields.len()).unwrap_or(0);
            self.records.get_or_create(&OutcomeLabel::new(stage, "nulled_field")).inc_by(count);
            slog_scope::debug!("Optional fields were out of range and became NULL."; "stage" => stage, "fields" => fields.join(", "));
        }
    }

    /// A stage starts: its series are there from now on, so that one that never finishes a message stands at zero instead of
    /// being unknown. Alerts compare with it.
    pub fn stage_starts(&self, stage: &str) {
        for outcome in OUTCOMES {
            // Counters of an earlier incarnation stay as they are.
            drop(self.records.get_or_create(&OutcomeLabel::new(stage, outcome)));
        }
    }

    fn register(&self, registry: &mut Registry) {
        add(registry, "actor_up", &self.actor_up);
        add(registry, "actor_restarts", &self.actor_restarts);
        add(registry, "actor_heartbeat_age", &self.actor_heartbeat_age);
        add(registry, "actor_mailbox_depth", &self.actor_mailbox_depth);
        add(registry, "actor_busy", &self.actor_busy);
        add(registry, "records", &self.records);
        add(registry, "batch", &self.batch);
        add(registry, "consumer_lag", &self.lag);
        add(registry, "dead_letters", &self.dead_letters);
        add(registry, "api_requests", &self.api_requests);
        add(registry, "api_wait", &self.api_wait);
        add(registry, "rows", &self.rows);
        add(registry, "match_score", &self.match_score);
        add(registry, "clip", &self.clip);
    }

    /// The OpenMetrics text of all metrics.
    ///
    /// # Errors
    /// When a value cannot be written, which none of ours does.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(with_empty_families(text))
    }
}

/// A metric as it is told to Prometheus.
struct Described {
    name: &'static str,
    kind: &'static str,
    in_seconds: bool,
    help: &'static str,
}

const fn told(name: &'static str, kind: &'static str, help: &'static str) -> Described {
    Described { name, kind, in_seconds: false, help }
}

const fn seconds(name: &'static str, kind: &'static str, help: &'static str) -> Described {
    Described { name, kind, in_seconds: true, help }
}

const DESCRIBED: [Described; 14] = [
    told("actor_up", "gauge", "1 while the actor runs or waits"),
    told("actor_restarts", "counter", "Restarts of the actor by reason"),
    seconds("actor_heartbeat_age", "gauge", "Time since the actor's last sign of life"),
    told("actor_mailbox_depth", "gauge", "Messages waiting in the actor's own queue"),
    seconds("actor_busy", "counter", "Time the actor spent working"),
    told("records", "counter", "Messages by stage and how they ended"),
    seconds("batch", "histogram", "Time a batch took"),
    told("consumer_lag", "gauge", "Messages waiting for a consumer group"),
    told("dead_letters", "counter", "Messages given up by stage and reason"),
    told("api_requests", "counter", "Requests to an API by status of the answer"),
    seconds("api_wait", "counter", "Time waited for an API by reason"),
    told("rows", "counter", "Rows by table and effect"),
    told("match_score", "histogram", "Scores of matches by subject and outcome"),
    seconds("clip", "histogram", "Time by step of working on a clip"),
];

fn add(registry: &mut Registry, name: &str, metric: &(impl Metric + Clone)) {
    let Some(described) = DESCRIBED.iter().find(|described| described.name == name) else {
        // `every_metric_is_told_even_without_a_sample` fails first.
        return registry.register(name, "", metric.clone());
    };
    if described.in_seconds {
        registry.register_with_unit(name, described.help, Unit::Seconds, metric.clone());
    } else {
        registry.register(name, described.help, metric.clone());
    }
}

/// The encoder leaves out families without a sample. They are told all the same: whoever looks for a name finds it, and what
/// it means.
fn with_empty_families(mut text: String) -> String {
    let end = text.rfind("# EOF").unwrap_or(text.len());
    let mut missing = String::new();
    for Described { name, kind, in_seconds, help } in DESCRIBED {
        let unit = if in_seconds { "_seconds" } else { "" };
        let kind_line = format!("# TYPE reprise_{name}{unit} {kind}\n");
        if !text.contains(&kind_line) {
            missing.push_str(&format!("# HELP reprise_{name}{unit} {help}.\n{kind_line}"));
            if in_seconds {
                missing.push_str(&format!("# UNIT reprise_{name}{unit} seconds\n"));
            }
        }
    }
    text.insert_str(end, &missing);
    text
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_makes_up_statuses_makes_no_series_without_end() {
        let metrics = Metrics::new();
        for status in 0..1000 {
            metrics.api_answered("deezer", &status.to_string());
        }
        metrics.api_answered("itunes", "200");
        let text = metrics.encode().expect("encodes");
        assert_eq!(text.matches("reprise_api_requests_total{").count(), STATUSES_TOLD + 2);
        assert!(text.contains("status=\"other\"} 991\n"), "{text}");
    }

    #[test]
    fn a_stage_that_finished_nothing_stands_at_zero() {
        let metrics = Metrics::new();
        metrics.stage_starts("load");
        metrics.records.get_or_create(&OutcomeLabel::new("load", "emitted")).inc_by(3);
        metrics.stage_starts("load");
        let text = metrics.encode().expect("encodes");
        for (outcome, count) in [("emitted", 3), ("superseded", 0), ("dead_lettered", 0)] {
            let line = format!("reprise_records_total{{stage=\"load\",outcome=\"{outcome}\"}} {count}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }

    #[test]
    fn every_metric_is_told_even_without_a_sample() {
        let metrics = Metrics::new();
        metrics.clip.get_or_create(&StepLabel::new("decode")).observe(0.1);
        let text = metrics.encode().expect("encodes");
        for Described { name, kind, in_seconds, help } in DESCRIBED {
            let unit = if in_seconds { "_seconds" } else { "" };
            let lines = [format!("# TYPE reprise_{name}{unit} {kind}\n"), format!("# HELP reprise_{name}{unit} {help}.\n")];
            for line in lines {
                assert_eq!(text.matches(&line).count(), 1, "{line}");
            }
            let told = text.matches(&format!("# UNIT reprise_{name}{unit} seconds\n")).count();
            assert_eq!(told, usize::from(in_seconds), "the unit of {name}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert_eq!([200, 418, 599, 999, 0].map(status_label), ["200", "4xx", "5xx", "5xx", "1xx"]);
        assert_eq!(text.matches("# TYPE ").count(), DESCRIBED.len() + 1, "and the build");
    }
}
