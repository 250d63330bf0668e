//! `reprise`: a supervised, restart-tolerant music ETL.
#![doc = "The map of the house follows as the rooms are built."]

pub mod config;
pub mod dsp;
pub mod extract;
pub mod mailbox;
pub mod matching;
pub mod observe;
pub mod records;
pub mod stage;
pub mod store;
pub mod supervision;
