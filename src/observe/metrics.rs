//! Every metric, named once. Label values come from closed sets, so that the number of series stays bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets, linear_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

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
    /// An API's answers by status: `200`, `429`, ..., `timeout`, `connect`, `body`.
    ApiLabel { api, status }
);
labels!(
    /// Why an API was waited for: `limiter`, `retry_after`, `quota`, `backoff`, `breaker`.
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
    /// A step of working on a clip: `resolve`, `download`, `decode`, `analyze`.
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
    /// Restarts by reason: `panic`, `error`, `hang`, `arbiter`, `operator`.
    pub actor_restarts: Family<RestartLabel, Counter>,
    /// Seconds since the actor's last sign of life.
    pub actor_heartbeat_age: Family<ActorLabel, Gauge<f64, AtomicU64>>,
    /// Messages or jobs waiting in the actor's own queue.
    pub actor_mailbox_depth: Family<ActorLabel, Gauge<i64, AtomicI64>>,
    /// Seconds the actor spent working.
    pub actor_busy: Family<ActorLabel, Seconds>,
    /// Messages by how they ended.
    pub records: Family<OutcomeLabel, Counter>,
    /// Seconds a batch took.
    pub batch: HistogramFamily<StageLabel>,
    /// Messages waiting.
    pub lag: Family<LagLabel, Gauge<i64, AtomicI64>>,
    /// Messages given up.
    pub dead_letters: Family<DeadLabel, Counter>,
    /// Requests to APIs by status.
    pub api_requests: Family<ApiLabel, Counter>,
    /// Seconds waited for APIs.
    pub api_wait: Family<ApiWaitLabel, Seconds>,
    /// Rows by effect.
    pub rows: Family<RowLabel, Counter>,
    /// Match scores.
    pub match_score: HistogramFamily<MatchLabel>,
    /// Seconds by step of working on a clip.
    pub clip: HistogramFamily<StepLabel>,
}

/// From 2 ms to 21 s: a batch or a clip that takes longer is a hang. Each bucket costs a series for every stage and step.
fn seconds_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.002, 2.8, 10))
}

fn score_histogram() -> Histogram {
    Histogram::new(linear_buckets(0.5, 0.05, 11))
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
            api_wait: Family::default(),
            rows: Family::default(),
            match_score: Family::new_with_constructor(score_histogram),
            clip: Family::new_with_constructor(seconds_histogram),
        };
        metrics.register_actors(&mut registry);
        metrics.register_pipeline(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    fn register_actors(&self, registry: &mut Registry) {
        registry.register("actor_up", "1 while the actor runs or waits", self.actor_up.clone());
        registry.register("actor_restarts", "Restarts of the actor by reason", self.actor_restarts.clone());
        registry.register_with_unit(
            "actor_heartbeat_age",
            "Time since the actor's last sign of life",
            Unit::Seconds,
            self.actor_heartbeat_age.clone(),
        );
        registry.register("actor_mailbox_depth", "Messages waiting in the actor's own queue", self.actor_mailbox_depth.clone());
        registry.register_with_unit("actor_busy", "Time the actor spent working", Unit::Seconds, self.actor_busy.clone());
    }

    fn register_pipeline(&self, registry: &mut Registry) {
        registry.register("records", "Messages by stage and how they ended", self.records.clone());
        registry.register_with_unit("batch", "Time a batch took", Unit::Seconds, self.batch.clone());
        registry.register("consumer_lag", "Messages waiting for a consumer group", self.lag.clone());
        registry.register("dead_letters", "Messages given up by stage and reason", self.dead_letters.clone());
        registry.register("api_requests", "Requests to an API by status of the answer", self.api_requests.clone());
        registry.register_with_unit("api_wait", "Time waited for an API by reason", Unit::Seconds, self.api_wait.clone());
        registry.register("rows", "Rows by table and effect", self.rows.clone());
        registry.register("match_score", "Scores of matches by subject and outcome", self.match_score.clone());
        registry.register_with_unit("clip", "Time by step of working on a clip", Unit::Seconds, self.clip.clone());
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

/// Families that need not have a sample: the encoder leaves those out, and whoever looks for a name would not find it.
const MAY_BE_EMPTY: [(&str, &str, &str); 8] = [
    ("reprise_actor_restarts", "counter", "Restarts of the actor by reason."),
    ("reprise_actor_mailbox_depth", "gauge", "Messages waiting in the actor's own queue."),
    ("reprise_records", "counter", "Messages by stage and how they ended."),
    ("reprise_consumer_lag", "gauge", "Messages waiting for a consumer group."),
    ("reprise_dead_letters", "counter", "Messages given up by stage and reason."),
    ("reprise_api_requests", "counter", "Requests to an API by status of the answer."),
    ("reprise_rows", "counter", "Rows by table and effect."),
    ("reprise_match_score", "histogram", "Scores of matches by subject and outcome."),
];

fn with_empty_families(mut text: String) -> String {
    let end = text.rfind("# EOF").unwrap_or(text.len());
    let missing: String = MAY_BE_EMPTY
        .iter()
        .filter(|(name, kind, _)| !text.contains(&format!("# TYPE {name} {kind}\n")))
        .map(|(name, kind, help)| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"))
        .collect();
    text.insert_str(end, &missing);
    text
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}
