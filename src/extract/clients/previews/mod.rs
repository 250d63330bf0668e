//! Preview clips.
pub mod candidate;
pub mod deezer;
pub mod embed;
pub mod itunes;
pub mod policy;
pub mod sniff;
pub(super) use deezer::extend;
