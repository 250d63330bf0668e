//! Supervision as in Erlang/OTP, on actix contexts.
//!
//! **Guarantee.** Whatever ends an actor (an error, a panic in any place, a hang, the death of its thread), its supervisor
//! notices, says why on the [`Board`], and starts a fresh incarnation from its factory after a backoff with jitter; when that
//! helps no more, it gives up in order and escalates to its own supervisor; the root gives up by ending the process.
//!
//! `actix::Supervisor` cannot do this: a panic is final for an actix actor, wherever it happens. Here each incarnation is
//! an actix context turned into a future and spawned on an arbiter (thread) of its own, so that the join handle tells how
//! it ended, an abort is a kill, and a thread that blocks can be abandoned. Rooms of this folder:
//! - [`spec`]: what to run and how to restart it; - [`launch`]: one incarnation; - [`supervisor`]: the supervisor actor;
//! - [`board`]: what everybody can see; - [`pulse`]: signs of life.
//!
//! Differences to OTP, on purpose: there is a backoff between restarts, and a restart of an incarnation that made progress
//! does not count against the intensity (see [`spec::Intensity`]).

pub mod board;
pub mod launch;
pub mod pulse;
pub mod spec;
pub mod supervisor;
mod tree;

pub use board::{ActorReport, Board};
pub use launch::{Control, Exit, ExitSlot, KillSwitch, Launch};
pub use pulse::{Pulse, WaitGuard, Waiting};
pub use spec::{Backoff, ChildSpec, Intensity, Restart, SupervisorSpec};
pub use tree::{Tree, TreeEnd};
