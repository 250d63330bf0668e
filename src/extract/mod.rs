//! What the APIs are asked: four processors (tracks, artists, listeners, audio), the scheduler that feeds the first of them,
//! and [`clients`], the only room that speaks HTTP to the outside.

mod attempts;
pub mod audio;
pub mod clients;
mod errands;
pub mod freshness;
pub mod listeners;
pub mod options;

pub use audio::{AnalystError, Audio, ClipAnalyst};
pub use clients::{LastfmOptions, MusicBrainzOptions, PreviewOptions, ProviderKind};
pub use listeners::Listeners;
pub use options::HttpOptions;
