//! The HTTP endpoint: metrics, health, the dashboard and its data, controls.
//!
//! **Guarantee.** It answers from memory. No request waits for the broker, the database or another actor, and none can be made
//! to hold more than a bounded amount of memory: what takes time is found out beforehand, on threads of its own
//! ([`gather`]). It goes on answering while actors crash, and its listening socket outlives its own incarnations:
//! while the endpoint itself is restarted, connections queue instead of being refused.
//!
//! The house: [`actor`] is the supervised actor, [`server`] the HTTP server on its own thread, [`guard`] what stands before
//! every handler, [`routes`] and [`controls`] the thin handlers, [`events`] the live stream. Everything the handlers say
//! is made by pure functions: [`tree`], [`flow`], [`readiness`], [`answers`], [`budgets`], [`latest`], [`throughput`].
//! That nobody answers the threads is noticed by [`silence`].

pub mod actor;
pub mod answers;
pub mod budgets;
pub mod controls;
pub mod events;
pub mod flow;
pub mod gather;
pub mod guard;
pub mod latest;
pub mod readiness;
pub mod routes;
pub mod samples;
pub mod server;
pub mod silence;
pub mod snapshot;
pub mod throughput;
pub mod tree;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub use actor::{EndpointActor, factory};
pub use budgets::BudgetSource;
pub use flow::GroupView;
pub use readiness::NotReady;

use crate::config::Secret;
use crate::mailbox::Mailbox;
use crate::observe::Metrics;
use crate::records::now_micros;
use crate::store::Store;
use crate::supervision::Board;

/// Where to listen, and who may control.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// Address and port; port 0 picks a free one, see [`Endpoint::address`].
    pub listen: SocketAddr,
    /// Bearer token of the controls; empty: controls are refused.
    pub token: Secret,
}

/// What the endpoint tells about.
#[derive(Debug, Clone)]
pub struct EndpointSources {
    /// Every actor.
    pub board: Board,
    /// The process's metrics.
    pub metrics: Metrics,
    /// The durable topics.
    pub mailbox: Arc<dyn Mailbox>,
    /// The database.
    pub store: Arc<dyn Store>,
    /// The consumer groups of the deployment, also those that other processes run.
    pub groups: Vec<GroupView>,
    /// Names this process.
    pub run_id: String,
}

/// Further conditions of readiness. Called on every request to `/readyz`: must not block.
pub type ReadyCheck = Arc<dyn Fn() -> Vec<NotReady> + Send + Sync>;

/// The endpoint, apart from its incarnations: what must survive a restart of its actor. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) options: EndpointOptions,
    pub(super) sources: EndpointSources,
    pub(super) ready: ReadyCheck,
    pub(super) budgets: BudgetSource,
    pub(super) started_at: i64,
    findings: gather::Findings,
    history: Arc<Mutex<throughput::History>>,
    address: AddressSlot,
    socket: Arc<Mutex<Option<TcpListener>>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("options", &self.options).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint that listens once its actor runs, see [`factory`].
    pub fn new(options: EndpointOptions, sources: EndpointSources) -> Endpoint {
        Endpoint {
            options,
            sources,
            ready: Arc::new(Vec::new),
            budgets: Arc::new(Vec::new),
            started_at: now_micros(),
            findings: gather::Findings::default(),
            history: Arc::default(),
            address: AddressSlot::default(),
            socket: Arc::default(),
        }
    }

    /// With further conditions of readiness beside the actors, the mailbox and the database.
    #[must_use]
    pub fn ready_when(mut self, check: ReadyCheck) -> Endpoint {
        self.ready = check;
        self
    }

    /// With the budgets of the APIs to show.
    #[must_use]
    pub fn showing(mut self, budgets: BudgetSource) -> Endpoint {
        self.budgets = budgets;
        self
    }

    /// Where the real address appears once the endpoint listens.
    pub fn address(&self) -> AddressSlot {
        self.address.clone()
    }
}

/// Holds the address the endpoint listens on, from the moment it does.
#[derive(Debug, Clone, Default)]
pub struct AddressSlot(Arc<RwLock<Option<SocketAddr>>>);

impl AddressSlot {
    /// The address, if the endpoint listens already.
    pub fn get(&self) -> Option<SocketAddr> {
        *self.0.read()
    }

    fn set(&self, address: SocketAddr) {
        *self.0.write() = Some(address);
    }
}
