//! `reprise`: a supervised, restart-tolerant music ETL.
#![doc = "The map of the house follows as the rooms are built."]

pub mod cli;
pub mod config;
pub mod dsp;
pub mod extract;
pub mod load;
pub mod mailbox;
pub mod matching;
pub mod observe;
pub mod pool;
pub mod records;
pub mod replay;
pub mod sandbox;
pub mod service;
pub mod stage;
pub mod store;
pub mod supervision;
pub mod transform;
