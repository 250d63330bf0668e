//! `reprise report`: what is in the database, for an analyst to look at, as one page.
//!
//! ```text
//! rows of Store::scan -> Census (bounded) -> Figures (numbers, also the JSON answer) -> page (HTML with pictures in it)
//! ```
//!
//! **Guarantee.** The figures are a function of the set of rows: the order makes no difference, to no bit, nor does the back
//! end. Memory is bounded whatever the size of the database: counts in bins, exact sums, the first few by a value, and samples
//! and genres that a hash chooses. What is unknown is never counted as 0. The page is one file without a script; it asks the
//! network for nothing, and no name in the data can break out of its place.
//!
//! Left out on purpose: MFCC and chroma, which say nothing to a reader by themselves; figures that move with one that is shown
//! (bandwidth and rolloff with the centroid, the percussive with the harmonic share); reasons of misses, which are the
//! business of `reprise audit` and the dashboard.

mod census;
mod figures;
mod finish;
mod histogram;
mod kept;
mod measures;
mod moments;
mod page;
#[cfg(test)]
mod tests;

pub use census::{Census, GENRES, SAMPLE};
pub use figures::{
    Agreement, Artist, Artists, Bin, Correlation, Counts, Coverage, Extreme, Figures, Genre, Genres, Key, Named, Point, Spread,
    Utmost, Years,
};
pub use page::{Made, page};
