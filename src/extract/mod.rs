//! What the APIs are asked: four processors (tracks, artists, listeners, audio), the scheduler that feeds the first of them,
//! and [`clients`], the only room that speaks HTTP to the outside.
//!
//! Before a stage asks an API it asks [`freshness`], so that a restart does not burn quota twice.

pub mod artists;
pub mod clients;
pub mod freshness;
pub mod options;
pub mod scheduler;
pub mod tracks;

pub use artists::Artists;
pub use freshness::{Freshness, Question};
pub use options::{HttpOptions, QueryOptions, SchedulerOptions, SpotifyOptions};
pub use scheduler::Scheduler;
pub use tracks::Tracks;
