//! `reprise`: a supervised, restart-tolerant music ETL.
#![doc = "The map of the house follows as the rooms are built."]

pub mod dsp;
pub mod matching;
pub mod records;
pub mod sandbox;
