//! A sandbox: stand-ins for Spotify, its embed pages, Last.fm, Deezer, iTunes, MusicBrainz and their clips, on loopback.
//!
//! **What it promises.** The catalogue, the answers and the faults are a function of the seed. The order of calls, their
//! timing and the port have no part in it. Faults pass: they never change what a patient client ends up with. The
//! [`truth`] knows what that is.
//!
//! **How it is built.** [`catalogue`] makes up artists, recordings and releases; [`index`] searches them; `spotify`,
//! `lastfm`, `deezer`, `itunes` and `musicbrainz` are functions from a [`wire::Request`] to a [`wire::Reply`] with all the
//! habits of the originals; [`engine`] counts, refuses and spoils; `server` puts it on a port. [`clips`] plays.
//!
//! One port serves everything, by path. `GET /__calls` counts calls ([`ledger::CallCounts`]), `GET /__truth` tells what
//! must be stored ([`truth`]), `GET` and `POST /__control` show and change the switches ([`control`]).
//!
//! # What searches find
//! Distinct tracks and rows of artists (primary and album), with the default seed and size. All words but fields are alternatives.
//!
//! | query | tracks | artists | | query | tracks | artists |
//! |---|---|---|---|---|---|---|
//! | `genre:jazz` | 824 | 154 | | `night` | 708 | 400 |
//! | `genre:rock` | 934 | 224 | | `river` | 694 | 384 |
//! | `genre:metal` | 514 | 100 | | `love` | 652 | 396 |
//! | `genre:ambient` | 423 | 83 | | `year:1990-1999` | 571 | 186 |
//! | `remaster` | 676 | 180 | | `genre:jazz year:2015-2026` | 377 | 81 |
//! | `artist:velvet` | 132 | 39 | | `track:night genre:rock` | 59 | 47 |
//!
//! Up to 940 distinct tracks come before the wall at row 1000. Words that no track has find sixty others; a field
//! that no track has finds nothing.

pub mod catalogue;
mod chance;
pub mod clips;
pub mod control;
mod deezer;
pub mod engine;
mod faults;
mod fold;
pub mod index;
mod itunes;
mod lastfm;
pub mod ledger;
mod musicbrainz;
mod names;
pub mod options;
pub mod query;
mod route;
mod server;
mod shops;
mod spotify;
pub mod truth;
mod vocabulary;
pub mod wire;
pub mod world;

pub use ledger::{ApiCalls, CallCounts};
pub use options::{Limit, Mean, Regime, SandboxOptions, Switches};
pub use server::{Sandbox, SandboxUrls};
pub use truth::{Search, Truth, Wish};

/// The client id that the sandbox knows.
pub const CLIENT_ID: &str = "sandbox0client0id000000000000000";
/// Its secret.
pub const CLIENT_SECRET: &str = "sandbox0client0secret00000000000";
/// The Last.fm key that the sandbox knows.
pub const LASTFM_API_KEY: &str = "sandbox0lastfm0key00000000000000";
