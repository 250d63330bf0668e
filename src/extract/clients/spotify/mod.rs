//! Spotify's Web API, as far as client credentials go: a token, searches, artists.
//!
//! **Guarantee.** A call ends in tracks or profiles whose unknown fields are `None`, or in an [`ApiError`](super::http::ApiError).
//! What the account may do is found out by trying and remembered for a day, also across restarts: since February 2026 most
//! apps get pages of 10 instead of 50, no batch look-ups and fewer fields, and no endpoint says which kind an app is.
//!
//! [`judge`] says what each answer means; [`parse`] reads bodies; both are pure.

mod client;
mod judge;
pub mod parse;
mod regime;
mod token;

pub use client::{MAX_BATCH, SearchAnswer, Spotify, WALL};
pub use parse::{SearchPage, parse_artist, parse_search, parse_track};
