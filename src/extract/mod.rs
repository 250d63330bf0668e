//! What the APIs are asked: four processors (tracks, artists, listeners, audio), the scheduler that feeds the first of them,
//! and [`clients`], the only room that speaks HTTP to the outside.
//!
//! Before a stage asks an API it asks [`freshness`], so that a restart does not burn quota twice.

pub mod artists;
mod attempts;
pub mod audio;
mod begun;
pub mod clients;
mod errands;
pub mod freshness;
pub mod listeners;
pub mod options;
pub mod scheduler;
pub mod tracks;

pub use artists::Artists;
pub use audio::{AnalystError, Audio, ClipAnalyst};
pub use clients::options::{LastfmOptions, MusicBrainzOptions, PreviewOptions, ProviderKind};
pub use freshness::{Freshness, Question};
pub use listeners::Listeners;
pub use options::{HttpOptions, QueryOptions, SchedulerOptions, SpotifyOptions};
pub use scheduler::Scheduler;
pub use tracks::Tracks;
