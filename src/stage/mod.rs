//! The one stage actor and the `Processor` trait.
pub mod port;
pub mod processor;
pub use port::Port;
pub use processor::{Ending, Processed, Processor, StageError, StepContext, Subscription, Wait};
