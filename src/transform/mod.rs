//! From raw records to validated rows: normalise, validate, judge matches, engineer.
//!
//! [`rows_of`] is pure: a raw payload in, rows out. [`Transformer`] is its shell: it appends a row only when it is newer than
//! the last one under its key, so that within a partition the versions of a key only rise. That is what makes a rebuild from
//! the compacted topic exact (see [`crate::records::Transformed`]).

mod engineer;
mod processor;
mod rows;

pub use engineer::{duration_minutes, duration_seconds, ratio};
pub use processor::Transformer;
pub use rows::{Judge, Raw, rows_of};
