//! What the page shows, as numbers: the answer of `--json`, and all that the page is made from.

use std::collections::BTreeMap;

use serde::Serialize;

pub use super::histogram::{Bin, Spread};

/// Everything the page shows. A figure speaks only of the tracks where it is known; it says of how many.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Rows.
    pub counts: Counts,
    /// What is known of how many.
    pub coverage: Coverage,
    /// By figure (`bpm`, `energy`, ...): how its values are spread. One that is known of no track is left out.
    pub spreads: BTreeMap<&'static str, Spread>,
    /// Our tempo beside librosa's.
    pub agreement: Agreement,
    /// Tracks by key: twelve major and twelve minor ones, from C.
    pub keys: Vec<Key>,
    /// Loudness in LUFS by years of release.
    pub loudness_by_year: Vec<Years>,
    /// Tempo in BPM by years of release.
    pub tempo_by_year: Vec<Years>,
    /// At most [`super::SAMPLE`] tracks with energy and danceability, chosen by a hash of their id.
    pub sample: Vec<Point>,
    /// Pearson's correlation of every two figures that are both known of three tracks or more.
    pub correlations: Vec<Correlation>,
    /// The most frequent genres.
    pub genres: Genres,
    /// The artists with the most listeners.
    pub artists: Artists,
    /// The tracks at the ends.
    pub extremes: Vec<Extreme>,
}

/// Rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tracks.
    pub tracks: u64,
    /// Artists.
    pub artists: u64,
    /// Albums.
    pub albums: u64,
    /// Genres.
    pub genres: u64,
    /// The earliest year of release.
    pub first_year: Option<i64>,
    /// The latest year of release.
    pub last_year: Option<i64>,
}

/// A word of the data, and how many rows have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The word.
    pub name: String,
    /// How many rows.
    pub rows: u64,
}

/// Of how many tracks (of artists in the last two) something is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Audio was analysed.
    pub audio: u64,
    /// The same by the clip's provider, the largest first.
    pub providers: Vec<Named>,
    /// The same by version of the analysis.
    pub features_versions: Vec<Named>,
    /// Last.fm's listeners of the song.
    pub lastfm: u64,
    /// Spotify's popularity.
    pub popularity: u64,
    /// At least one genre of the artist.
    pub genres: u64,
    /// ISRC.
    pub isrc: u64,
    /// Tracks by how well Last.fm's answer fitted.
    pub track_match: Vec<Named>,
    /// Artists with Last.fm's figures.
    pub artists_lastfm: u64,
    /// Artists by how well Last.fm's answer fitted.
    pub artist_match: Vec<Named>,
}

/// How librosa's tempo (`bpm_reference`) stands to ours (`bpm`), within 4 %.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Tracks that have both.
    pub compared: u64,
    /// The same.
    pub same: u64,
    /// librosa's is half of ours.
    pub half: u64,
    /// librosa's is double of ours.
    pub double: u64,
    /// Neither.
    pub other: u64,
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Key {
    /// One of [`crate::dsp::TONICS`].
    pub tonic: &'static str,
    /// Minor, else major.
    pub minor: bool,
    /// How many tracks.
    pub tracks: u64,
}

/// A figure of the tracks that came out in some years.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Years {
    /// The first of five years.
    pub from: i64,
    /// Tracks where it is known.
    pub known: u64,
    /// A quarter of them is below.
    pub lower_quartile: f64,
    /// Half of them is below.
    pub median: f64,
    /// Three quarters of them are below.
    pub upper_quartile: f64,
}

/// A track of the sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Point {
    /// Title.
    pub song: String,
    /// Artist.
    pub artist: String,
    /// 0 to 1.
    pub energy: f64,
    /// 0 to 1.
    pub danceability: f64,
    /// `None`: not known.
    pub minor: Option<bool>,
}

/// How two figures go together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Correlation {
    /// One figure.
    pub a: &'static str,
    /// The other.
    pub b: &'static str,
    /// Tracks where both are known.
    pub known: u64,
    /// -1 to 1.
    pub r: f64,
}

/// See [`Figures::genres`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Genres {
    /// There are more genres than are counted, see [`super::GENRES`].
    pub left_out: bool,
    /// The most frequent ones, by tracks.
    pub top: Vec<Genre>,
}

/// The tracks of a genre's artists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Genre {
    /// Its name.
    pub name: String,
    /// How many tracks.
    pub tracks: u64,
    /// Median tempo in BPM.
    pub bpm: Option<f64>,
    /// Median energy, 0 to 1.
    pub energy: Option<f64>,
    /// Median danceability, 0 to 1.
    pub danceability: Option<f64>,
}

/// See [`Figures::artists`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Artists {
    /// The ones with the most listeners.
    pub top: Vec<Artist>,
    /// At most [`super::SAMPLE`] of all with listeners, chosen by a hash of their id.
    pub sample: Vec<Artist>,
}

/// Last.fm's figures of an artist.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Artist {
    /// Name.
    pub name: String,
    /// Listeners.
    pub listeners: i64,
    /// Plays.
    pub playcount: Option<i64>,
    /// Plays by listener.
    pub plays_per_listener: Option<f64>,
}

/// The tracks at one end of a figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extreme {
    /// `fastest`, ...
    pub what: &'static str,
    /// Which figure.
    pub figure: &'static str,
    /// At most three, the utmost first.
    pub tracks: Vec<Utmost>,
}

/// A track at the end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Utmost {
    /// Title.
    pub song: String,
    /// Artist.
    pub artist: String,
    /// In the figure's unit.
    pub value: f64,
}
