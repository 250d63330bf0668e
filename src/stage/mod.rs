//! The one stage actor: polling, batching, committing, dead letters, heartbeats and metrics, once for all stages.
//!
//! **Guarantee.** Every message a stage takes ends in exactly one [`Ending`], counted in the group's ledger in the same
//! transaction that commits its offset. Only finished messages are committed, in order. A batch that keeps killing the actor
//! is taken apart until the offending message is alone, and that one goes to the dead letters.
//!
//! What a stage does is its [`Processor`]; [`step`] takes one batch through it and is all that the simulation drives;
//! [`actor`] runs steps for ever under supervision; [`patience`] bounds questions to a database; [`port`] keeps the blocking mailbox session on a thread of its own.

pub mod actor;
pub mod patience;
pub mod poison;
pub mod port;
pub mod processor;
pub mod step;

pub use actor::{PAUSED, Prepared, Readiness, StageActor};
pub use poison::PoisonBook;
pub use port::Port;
pub use processor::{Ending, LONGEST_STEP, Processed, Processor, StageError, StepContext, Subscription, Wait};
pub use step::{StepReport, Stepper, StepperSpec};
