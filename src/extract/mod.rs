//! What the APIs are asked: four processors (tracks, artists, listeners, audio), the scheduler that feeds the first of them,
//! and [`clients`], the only room that speaks HTTP to the outside.

pub mod clients;
pub mod options;

pub use options::HttpOptions;
