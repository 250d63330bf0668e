//! Actors that fail as told, and a ward that watches them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use parking_lot::Mutex;
use reprise::observe::Metrics;
use reprise::supervision::{Board, ChildSpec, Control, Exit, Launch, SupervisorSpec, Tree};

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ailment {
    PanicInHandler,
    PanicInFuture,
    PanicInStarted,
    PanicInFactory,
    PanicAfterWork,
    ErrorInFactory,
    Error,
    HangInFuture,
    BlockThread,
    StopArbiter,
    DeclaredWait(Duration),
    EndNormally,
    StopForGood,
    IgnoreDrain,
}

#[derive(Debug, Default)]
struct Chart {
    works: HashMap<(String, u64), Instant>,
    deaths: HashMap<String, Vec<Instant>>,
    drained: Vec<String>,
}

/// Watches patients.
#[derive(Debug, Clone)]
pub struct Ward {
    pub board: Board,
    chart: Arc<Mutex<Chart>>,
}

impl Ward {
    pub fn new() -> Ward {
        Ward { board: Board::new(Metrics::new()), chart: Arc::default() }
    }

    /// A worker whose n-th life ends by the n-th ailment; lives beyond are healthy.
    pub fn worker(&self, name: &str, ailments: Vec<Ailment>) -> ChildSpec {
        let chart = Arc::clone(&self.chart);
        ChildSpec::worker(name, move |launch: Launch| {
            let life = usize::try_from(launch.generation - 1).unwrap_or(usize::MAX);
            let ailment = ailments.get(life).copied();
            match ailment {
                Some(Ailment::PanicInFactory) => panic!("in the factory"),
                Some(Ailment::ErrorInFactory) => anyhow::bail!("no way to start"),
                _ => Ok(Patient { launch, ailment, chart: Arc::clone(&chart) }),
            }
        })
        .grace(Duration::from_secs(2))
    }

    pub fn works_in_generation(&self, name: &str, generation: u64) -> bool {
        self.chart.lock().works.contains_key(&(name.to_owned(), generation))
    }

    pub fn state(&self, name: &str) -> &'static str {
        self.board.actor(name).map_or("absent", |report| report.state)
    }

    pub fn drained(&self) -> Vec<String> {
        self.chart.lock().drained.clone()
    }

    /// From each death to the next work.
    pub fn gaps(&self, name: &str) -> Vec<Duration> {
        let chart = self.chart.lock();
        let deaths = chart.deaths.get(name).cloned().unwrap_or_default();
        (2..)
            .zip(deaths)
            .filter_map(|(next, death)| Some(chart.works.get(&(name.to_owned(), next))?.duration_since(death)))
            .collect()
    }

    /// Runs a tree and a test beside it.
    pub fn run<F: Future<Output = ()>>(&self, spec: SupervisorSpec, test: impl FnOnce(Ward, Tree) -> F) {
        let ward = self.clone();
        actix_rt::System::new().block_on(async move {
            let tree = Tree::start(spec, &ward.board);
            test(ward, tree).await;
        });
    }
}

/// Waits until `condition` holds.
pub async fn within(seconds: u64, what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !condition() {
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Patient {
    launch: Launch,
    ailment: Option<Ailment>,
    chart: Arc<Mutex<Chart>>,
}

impl Patient {
    fn work(&self) {
        let key = (self.launch.name.clone(), self.launch.generation);
        self.chart.lock().works.entry(key).or_insert_with(Instant::now);
    }

    fn dies(&self) {
        self.chart.lock().deaths.entry(self.launch.name.clone()).or_default().push(Instant::now());
    }

    fn end(&self, exit: Option<Exit>, ctx: &mut Context<Patient>) {
        if let Some(exit) = exit {
            self.launch.exit.set(exit);
        }
        ctx.stop();
    }
}

impl Actor for Patient {
    type Context = Context<Patient>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.ailment == Some(Ailment::PanicInStarted) {
            panic!("in started");
        }
        self.work();
        match self.ailment {
            Some(Ailment::PanicInHandler) => ctx.address().do_send(Control::Crash),
            Some(Ailment::PanicInFuture) => {
                ctx.spawn(actix::fut::wrap_future(async { panic!("in a future") }));
            }
            Some(Ailment::PanicAfterWork) => {
                self.launch.pulse.beat();
                self.dies();
                ctx.run_later(Duration::ZERO, |_, _| panic!("after its work"));
            }
            Some(Ailment::Error) => self.end(Some(Exit::Failed("a reported error".to_owned())), ctx),
            Some(Ailment::StopForGood) => self.end(Some(Exit::Stopped("wrong key".to_owned())), ctx),
            Some(Ailment::EndNormally) => self.end(None, ctx),
            // No sign of life any more.
            Some(Ailment::HangInFuture) => {}
            Some(Ailment::BlockThread) => std::thread::sleep(Duration::from_secs(6)),
            Some(Ailment::StopArbiter) => {
                actix_rt::Arbiter::current().stop();
            }
            Some(Ailment::DeclaredWait(duration)) => {
                let guard = self.launch.pulse.waiting("for a test", None);
                ctx.run_later(duration, move |patient, ctx| {
                    drop(guard);
                    patient.live(ctx);
                });
            }
            _ => self.live(ctx),
        }
    }
}

impl Patient {
    fn live(&self, ctx: &mut Context<Patient>) {
        self.launch.pulse.alive();
        ctx.run_interval(Duration::from_millis(10), |patient, _| patient.launch.pulse.alive());
    }
}

impl Handler<Control> for Patient {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Crash => panic!("in a handler"),
            Control::Drain if self.ailment == Some(Ailment::IgnoreDrain) => {}
            Control::Drain => {
                self.chart.lock().drained.push(self.launch.name.clone());
                ctx.stop();
            }
            Control::Pause | Control::Resume => {}
        }
    }
}
