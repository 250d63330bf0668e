//! Pure: are these two names the same artist, these two records the same track?
//!
//! Promises, each with a law in `tests/matching.rs`: the answer is the same in both directions and on every run, lies
//! between 0 and 1, does not depend on case, accents or Unicode form, costs a bounded time for any input, and says why.
//!
//! ```text
//! fold -> words -> artist (forms, guests) ----------> alignment (distance) -> Comparison --+
//!              \-> title (versions, guests) -> track (duration, album, ids) -> Comparison --+-> matcher -> MatchResult
//! aliases: a user's file, consulted first          reference: the predecessor's ratio ------+
//! ```
//!
//! No I/O, nothing of the other rooms.

mod aliases;
mod alignment;
mod artist;
mod distance;
mod fold;
mod guests;
mod matcher;
mod outcome;
mod recording;
mod reference;
mod title;
mod track;
mod versions;
mod words;

pub use aliases::{AliasError, Aliases};
pub use artist::Artist;
pub use fold::{LONGEST_NAME, fold};
pub use matcher::{Matcher, Mode, Thresholds};
pub use outcome::{Comparison, MatchResult, Quality, Reason, Reasons};
pub use reference::reference_ratio;
pub use track::{Track, TrackQuery};
pub use words::Words;

/// A name as it is compared: folded, in words, with articles and conjunctions left out.
pub fn normalise(name: &str) -> String {
    Words::new(&fold(name)).iter().collect::<Vec<_>>().join(" ")
}
