//! What to run, and how to restart it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use rand::Rng;

use super::launch::{Control, Launch, Spawn, spawner};
use super::supervisor::Supervisor;

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Unless it ended by itself without an error.
    Transient,
    /// Never.
    Temporary,
}

/// How long to wait before a restart: doubles from `initial` to `max`, with full jitter on the upper half, and starts over
/// after an incarnation that made progress or lived for `reset_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait. Shorter heals faster, longer spares what the child depends on.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// A life this long forgives what was before.
    pub reset_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(5), reset_after: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait before restart number `attempt` (0 is the first): between half and all of the exponential step.
    pub fn delay(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let step = self.initial.saturating_mul(1_u32.checked_shl(attempt.min(20)).unwrap_or(u32::MAX)).min(self.max);
        step.mul_f64(rng.random_range(0.5..=1.0))
    }
}

/// How many restarts in how long a supervisor takes before it gives up and escalates. Only restarts of incarnations that
/// finished nothing count: a child that fails now and then between pieces of work gets its work done, and work that fails
/// again and again is isolated by the stage (see `stage::poison`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Most restarts ...
    pub restarts: u32,
    /// ... within this time.
    pub within: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Intensity { restarts: 8, within: Duration::from_secs(60) }
    }
}

/// A child of a supervisor.
#[derive(Clone)]
pub struct ChildSpec {
    /// Unique in the tree: `tracks`, `loader`, ...
    pub name: String,
    /// When to start it again.
    pub restart: Restart,
    /// How long it may take to drain when asked to stop; then it is killed.
    pub grace: Duration,
    /// Without a sign of life for this long (declared waits aside) it counts as hung.
    pub hang_after: Duration,
    pub(super) spawn: Spawn,
    pub(super) is_supervisor: bool,
    pub(super) pausable: bool,
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec").field("name", &self.name).field("restart", &self.restart).finish_non_exhaustive()
    }
}

impl ChildSpec {
    /// A worker: each incarnation is what `factory` makes, on an arbiter of its own.
    pub fn worker<A, F>(name: &str, factory: F) -> ChildSpec
    where
        A: Actor<Context = Context<A>> + Handler<Control>,
        F: Fn(Launch) -> anyhow::Result<A> + Send + Sync + 'static,
    {
        ChildSpec {
            name: name.to_owned(),
            restart: Restart::Permanent,
            grace: Duration::from_secs(15),
            hang_after: Duration::from_secs(60),
            spawn: spawner(Arc::new(factory)),
            is_supervisor: false,
            pausable: true,
        }
    }

    /// A supervisor below a supervisor: drained in order within the sum of its children's graces.
    pub fn supervisor(spec: SupervisorSpec) -> ChildSpec {
        let grace = spec.children.iter().map(|child| child.grace).sum::<Duration>() + Duration::from_secs(2);
        let name = spec.name.clone();
        let pausable = spec.children.iter().any(|child| child.pausable);
        let mut child = ChildSpec::worker(&name, move |launch| Ok(Supervisor::new(spec.clone(), launch)));
        child.grace = grace;
        child.is_supervisor = true;
        child.pausable = pausable;
        child
    }

    /// With this restart policy.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> ChildSpec {
        self.restart = restart;
        self
    }

    /// For an actor that takes no work of its own: an operator who asks it to pause is told so.
    #[must_use]
    pub fn never_pauses(mut self) -> ChildSpec {
        self.pausable = false;
        self
    }

    /// With this grace period.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> ChildSpec {
        self.grace = grace;
        self
    }

    /// With this hang limit.
    #[must_use]
    pub fn hang_after(mut self, limit: Duration) -> ChildSpec {
        self.hang_after = limit;
        self
    }
}

/// A supervisor: children are started from first to last and stopped from last to first; each is restarted on its own.
#[derive(Debug, Clone)]
pub struct SupervisorSpec {
    /// Unique in the tree: `extract`, `load`, ...
    pub name: String,
    /// In start order.
    pub children: Vec<ChildSpec>,
    /// Between restarts.
    pub backoff: Backoff,
    /// When to give up.
    pub intensity: Intensity,
}

impl SupervisorSpec {
    /// A supervisor of these children, with default backoff and intensity.
    pub fn new(name: &str, children: Vec<ChildSpec>) -> SupervisorSpec {
        SupervisorSpec { name: name.to_owned(), children, backoff: Backoff::default(), intensity: Intensity::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    proptest! {
        #[test]
        fn a_backoff_never_leaves_its_bounds(attempt in any::<u32>(), seed in any::<u64>()) {
            let backoff = Backoff::default();
            let delay = backoff.delay(attempt, &mut rand::rngs::StdRng::seed_from_u64(seed));
            prop_assert!(delay >= backoff.initial / 2 && delay <= backoff.max);
        }
    }
}
