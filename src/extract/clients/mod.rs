//! The external APIs, one folder each, all on top of [`http`].

pub mod address;
pub mod http;
pub mod lastfm;
pub mod loose;
pub mod musicbrainz;
pub mod options;
pub mod previews;
pub mod spotify;

pub use options::{LastfmOptions, MusicBrainzOptions, PreviewOptions, ProviderKind};
