//! The service: everything that runs, put together from the configuration.
//!
//! [`Service::open`] opens what the stages share (mailbox, store, HTTP client, worker pool) without waiting for servers;
//! [`Service::tree`] describes the supervision tree; [`Service::start`] runs it inside an actix system. `run` and `demo`
//! are thin commands over this.

mod extractors;
mod open;
pub mod progress;
mod running;
mod scheduling;
mod setup;
mod stages;
mod tree;

pub use extractors::{matcher, mode};
pub use open::{open_mailbox, open_store};
pub use running::{Running, Stop};
pub use stages::StageName;
pub use tree::{Service, ServiceOptions};
