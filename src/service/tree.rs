//! The supervision tree of the service.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;

use super::setup::SetupActor;
use super::stages::StageName;
use super::{extractors, scheduling};
use crate::config::Config;
use crate::load::Loader;
use crate::mailbox::{Mailbox, SessionSpec};
use crate::observe::Metrics;
use crate::observe::endpoint::{Endpoint, EndpointOptions, EndpointSources, factory};
use crate::pool::{Pool, PoolActor, PoolOptions, analyzer_engine};
use crate::stage::{PoisonBook, Port, Prepared, Processor, StageActor, Stepper, StepperSpec};
use crate::store::Store;
use crate::supervision::{Backoff, Board, ChildSpec, Intensity, Launch, Restart, SupervisorSpec};
use crate::transform::{Judge, Transformer};

/// How the service is run.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// The stages of this process.
    pub stages: Vec<StageName>,
    /// Repeat the configured queries by their schedule; off for `run --once` and `demo`.
    pub schedule: bool,
    /// Stable name among the instances of the deployment.
    pub instance: String,
    /// Names this process in records and logs.
    pub run_id: String,
}

/// What the stages share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    pub(super) config: Arc<Config>,
    pub(super) options: ServiceOptions,
    /// The durable topics.
    pub mailbox: Arc<dyn Mailbox>,
    /// The database.
    pub store: Arc<dyn Store>,
    /// The process's metrics.
    pub metrics: Metrics,
    /// What every actor is doing.
    pub board: Board,
    pub(super) shared: extractors::Shared,
    pub(super) pool: Pool,
    pub(super) pool_options: PoolOptions,
    pub(super) gate: watch::Sender<Option<Prepared>>,
    endpoint: Option<Endpoint>,
}

pub(super) type MakeProcessor = Arc<dyn Fn() -> anyhow::Result<Box<dyn Processor>> + Send + Sync>;

impl Service {
    /// Opens what the stages share. Servers are not contacted yet: what is away will be waited for.
    ///
    /// # Errors
    /// When the configuration names something that cannot be used.
    pub fn open(config: Config, options: ServiceOptions) -> anyhow::Result<Service> {
        let metrics = Metrics::new();
        let board = Board::new(metrics.clone());
        let mailbox = super::open_mailbox(&config)?;
        let store = super::open_store(&config, "reprise")?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if config.audio.workers == 0 { cores } else { config.audio.workers };
        let deadline = config.audio.deadline.0;
        let pool_options = PoolOptions { workers, queue: workers * 2, deadline, engine: analyzer_engine() };
        let shared = extractors::Shared::open(&config, &metrics)?;
        let sources = EndpointSources {
            board: board.clone(),
            metrics: metrics.clone(),
            mailbox: Arc::clone(&mailbox),
            store: Arc::clone(&store),
            groups: StageName::FLOW.into_iter().map(StageName::view).collect(),
            run_id: options.run_id.clone(),
        };
        let endpoint = endpoint(&config, sources)?.map(|endpoint| endpoint.showing(shared.budgets()));
        Ok(Service {
            config: Arc::new(config),
            options,
            mailbox,
            store,
            metrics,
            board,
            shared,
            pool: Pool::new(&pool_options),
            pool_options,
            gate: watch::channel(None).0,
            endpoint,
        })
    }

    /// What this service was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where metrics and dashboard are served, once they are.
    pub fn endpoint_address(&self) -> Option<SocketAddr> {
        self.endpoint.as_ref().and_then(|endpoint| endpoint.address().get())
    }

    /// Names this process in records and logs.
    pub fn run_id(&self) -> &str {
        &self.options.run_id
    }

    /// The stages that really run: those asked for, less those that lack a credential.
    pub fn stages(&self) -> Vec<StageName> {
        let can_run = |stage: &StageName| match stage {
            StageName::Listeners => !self.config.lastfm.api_key.is_empty(),
            StageName::Audio => !self.config.previews.providers.is_empty(),
            _ => true,
        };
        self.options.stages.iter().copied().filter(can_run).collect()
    }

    /// The tree: sinks start first and stop last, so that what is in hand finds somewhere to go.
    pub fn tree(&self) -> SupervisorSpec {
        let stages = self.stages();
        let has = |stage: StageName| stages.contains(&stage);
        let mut groups = Vec::new();
        if let Some(endpoint) = &self.endpoint {
            let child = ChildSpec::worker("endpoint", factory(endpoint.clone())).never_pauses();
            groups.push(self.supervisor("observe", vec![self.limits(child)]));
        }
        groups.push(self.supervisor("prepare", vec![self.setup()]));
        if has(StageName::Load) {
            groups.push(self.supervisor("loading", vec![self.stage(StageName::Load, self.loader())]));
        }
        if has(StageName::Transform) {
            groups.push(self.supervisor("transforming", vec![self.stage(StageName::Transform, self.transformer())]));
        }
        if has(StageName::Audio) {
            let audio = self.stage(StageName::Audio, extractors::audio(self));
            groups.push(self.supervisor("analysis", vec![self.pool_child(), audio]));
        }
        let mut extract = Vec::new();
        for (stage, make) in [
            (StageName::Listeners, extractors::listeners as fn(&Service) -> MakeProcessor),
            (StageName::Artists, extractors::artists),
            (StageName::Tracks, extractors::tracks),
        ] {
            if has(stage) {
                extract.push(self.stage(stage, make(self)));
            }
        }
        if self.options.schedule && !self.config.queries.is_empty() {
            extract.push(scheduling::child(self));
        }
        if !extract.is_empty() {
            groups.push(self.supervisor("extract", extract));
        }
        let mut root = self.supervisor_spec("root", groups);
        // Restarts multiply by level: the root is the more impatient one.
        root.intensity.restarts = root.intensity.restarts.min(3);
        root
    }

    fn supervisor_spec(&self, name: &str, children: Vec<ChildSpec>) -> SupervisorSpec {
        let section = &self.config.supervision;
        let mut spec = SupervisorSpec::new(name, children);
        spec.intensity = Intensity { restarts: section.restarts, within: section.within.0 };
        spec.backoff = Backoff { initial: section.backoff_initial.0, max: section.backoff_max.0, ..Backoff::default() };
        spec
    }

    pub(super) fn supervisor(&self, name: &str, children: Vec<ChildSpec>) -> ChildSpec {
        ChildSpec::supervisor(self.supervisor_spec(name, children))
    }

    /// Limits of the configuration for any worker.
    pub(super) fn limits(&self, child: ChildSpec) -> ChildSpec {
        child.hang_after(self.config.supervision.hang_after.0).grace(self.config.supervision.grace.0)
    }

    fn setup(&self) -> ChildSpec {
        let (mailbox, store, gate) = (Arc::clone(&self.mailbox), Arc::clone(&self.store), self.gate.clone());
        let partitions = self.config.kafka.partitions;
        let child = ChildSpec::worker("setup", move |launch| {
            Ok(SetupActor::new(Arc::clone(&mailbox), Arc::clone(&store), partitions, gate.clone(), launch))
        });
        self.limits(child).restart(Restart::Transient).never_pauses()
    }

    fn pool_child(&self) -> ChildSpec {
        let (options, pool, metrics) = (self.pool_options.clone(), self.pool.clone(), self.metrics.clone());
        let child =
            ChildSpec::worker("dsp", move |launch| PoolActor::new(options.clone(), pool.clone(), metrics.clone(), launch));
        self.limits(child).never_pauses()
    }

    fn loader(&self) -> MakeProcessor {
        let (store, metrics, batch) = (Arc::clone(&self.store), self.metrics.clone(), self.config.load.batch_max);
        Arc::new(move || Ok(Box::new(Loader::new(Arc::clone(&store), batch, metrics.clone()))))
    }

    fn transformer(&self) -> MakeProcessor {
        let judge = Judge {
            artist_threshold: self.config.matching.artist_threshold,
            track_threshold: self.config.matching.track_threshold,
        };
        let metrics = self.metrics.clone();
        Arc::new(move || Ok(Box::new(Transformer::new(judge, TRANSFORM_BATCH, metrics.clone()))))
    }

    fn stage(&self, stage: StageName, make: MakeProcessor) -> ChildSpec {
        let service = self.clone();
        let poison = PoisonBook::new(self.config.supervision.poison_after);
        let child = ChildSpec::worker(stage.name(), move |launch: Launch| {
            if launch.board.was_killed(&launch.name) {
                poison.forgive();
            }
            let processor = make()?;
            let subscription = processor.subscription();
            let spec = SessionSpec {
                group: stage.group(),
                topics: subscription.topics,
                heads: subscription.heads,
                instance: service.options.instance.clone(),
                transactional: subscription.transactional,
                retains: true,
            };
            let port = Port::open(stage.name(), Arc::clone(&service.mailbox), spec, launch.kill.clone())?;
            let stepper = service.stepper(stage, processor, port, &launch, poison.clone());
            Ok(StageActor::new(stepper, service.gate.subscribe(), &launch))
        });
        self.limits(child)
    }

    fn stepper(
        &self,
        stage: StageName,
        processor: Box<dyn Processor>,
        port: Port,
        launch: &Launch,
        poison: PoisonBook,
    ) -> impl FnOnce(Prepared) -> Stepper + 'static {
        let (run_id, metrics, pulse) = (self.options.run_id.clone(), self.metrics.clone(), launch.pulse.clone());
        move |prepared| {
            let spec = StepperSpec {
                stage: stage.name().to_owned(),
                group: stage.group(),
                run_id,
                partitions: prepared.partitions,
                poll_wait: POLL_WAIT,
                metrics,
            };
            Stepper::new(spec, processor, port, pulse, poison)
        }
    }
}

fn endpoint(config: &Config, sources: EndpointSources) -> anyhow::Result<Option<Endpoint>> {
    if config.observe.listen.is_empty() {
        return Ok(None);
    }
    let listen = config.observe.listen.parse().context("observe.listen")?;
    let options = EndpointOptions { listen, token: config.observe.token.clone() };
    Ok(Some(Endpoint::new(options, sources)))
}

/// Messages a transaction of the transformer: it is all computation, and a transaction costs milliseconds.
const TRANSFORM_BATCH: usize = 200;

/// How long a poll waits for a first message: an operator's wish waits as long.
const POLL_WAIT: std::time::Duration = std::time::Duration::from_millis(250);
