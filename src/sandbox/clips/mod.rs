//! Clips: half a minute of music of known tempo, key and style, synthesised on demand and served as FLAC.
//!
//! Every provider serves the same audio with its own name in the header, so that hashes differ between providers and
//! agree between runs. A clip is music enough for an analysis: drums, bass and chords, four bars that repeat.

mod drums;
mod flac;
mod score;
mod shelf;
mod synth;

pub use flac::encode;
pub use score::{Mode, Score, Style};
pub use shelf::ClipShelf;
pub use synth::{SAMPLE_RATE, render};
