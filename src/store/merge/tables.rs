//! Which columns belong to which source.
//!
//! **Guarantee.** A source's columns are written together, with its version, and by nothing else: row-level last writer wins
//! *per source*. `None` from the newest observation of a source overwrites the older value. Before a source was heard, its
//! columns show the contract's defaults ([`Absent`]), whichever source made the row: so a row never depends on who came first.

use super::super::statement::{Cell, Kind};

/// What a source's column shows before the source was heard.
#[derive(Debug, Clone, Copy)]
pub(super) enum Absent {
    Null,
    False,
    Zero,
    /// The row's own id: the name of a stub.
    Key,
}

/// A column of a source.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) absent: Absent,
}

/// A source of a table. Its version is in the columns `<name>_observed_at` and `<name>_tiebreak`, or without a name and
/// underscore where the table has only one.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) observed_at: &'static str,
    pub(super) tiebreak: &'static str,
    pub(super) columns: &'static [Column],
}

/// A column that follows from those of several sources.
#[derive(Debug)]
pub(super) struct Derived {
    pub(super) name: &'static str,
    /// SQL over `{column}`: the value that column has after the merge.
    pub(super) rule: &'static str,
}

/// A table that records are merged into.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The primary key.
    pub(super) key: &'static [&'static str],
    /// Which part of the key rows are looked up by.
    pub(super) lookup: usize,
    pub(super) sources: &'static [Source],
    pub(super) derived: &'static [Derived],
    /// Moves when the row's content or version does.
    pub(super) touched: &'static str,
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, absent: Absent::Null }
}

const fn int(name: &'static str) -> Column {
    Column { name, kind: Kind::Int, absent: Absent::Null }
}

const fn real(name: &'static str) -> Column {
    Column { name, kind: Kind::Real, absent: Absent::Null }
}

const fn flag(name: &'static str) -> Column {
    Column { name, kind: Kind::Bool, absent: Absent::Null }
}

const fn or(column: Column, absent: Absent) -> Column {
    Column { absent, ..column }
}

/// Positions in [`TABLES`], in the order of merging: parents before children, the same in every transaction.
pub(super) const ARTISTS: usize = 0;
pub(super) const ALBUMS: usize = 1;
pub(super) const SONGS: usize = 2;
pub(super) const AUDIO: usize = 3;
pub(super) const MISSES: usize = 4;

/// Positions in the sources of [`ARTISTS`] and [`SONGS`].
pub(super) const TRACK: usize = 0;
pub(super) const ARTIST_PROFILE: usize = 1;
pub(super) const ARTIST_LASTFM: usize = 2;
pub(super) const SONG_LASTFM: usize = 1;

/// The tables, see [`ARTISTS`] and the others.
pub(super) const TABLES: [Table; 5] = [
    Table {
        name: "artists",
        key: &["artist_id"],
        lookup: 0,
        sources: &[
            Source { observed_at: "track_observed_at", tiebreak: "track_tiebreak", columns: &[text("track_name")] },
            Source { observed_at: "profile_observed_at", tiebreak: "profile_tiebreak", columns: PROFILE },
            Source { observed_at: "lastfm_observed_at", tiebreak: "lastfm_tiebreak", columns: ARTIST_LISTENERS },
        ],
        derived: &[
            // The newest profile's name stands over any track's: only then does it not matter which came first.
            Derived { name: "artist_name", rule: "COALESCE({profile_name}, {track_name}, {artist_id})" },
            Derived {
                name: "has_genres",
                rule: "CASE WHEN {profile_genres} <> '[]' OR {lastfm_tags} <> '[]' THEN TRUE \
                       WHEN {profile_observed_at} IS NOT NULL OR {lastfm_observed_at} IS NOT NULL THEN FALSE END",
            },
        ],
        touched: "updated_at",
    },
    Table {
        name: "albums",
        key: &["album_id"],
        lookup: 0,
        sources: &[Source { observed_at: "track_observed_at", tiebreak: "track_tiebreak", columns: ALBUM }],
        derived: &[],
        touched: "updated_at",
    },
    Table {
        name: "songs",
        key: &["song_id"],
        lookup: 0,
        sources: &[
            Source { observed_at: "track_observed_at", tiebreak: "track_tiebreak", columns: SONG },
            Source { observed_at: "lastfm_observed_at", tiebreak: "lastfm_tiebreak", columns: SONG_LISTENERS },
        ],
        derived: &[],
        touched: "updated_at",
    },
    Table {
        name: "song_audio_features",
        key: &["song_id"],
        lookup: 0,
        sources: &[Source { observed_at: "audio_observed_at", tiebreak: "audio_tiebreak", columns: FEATURES }],
        derived: &[],
        touched: "analysis_date",
    },
    Table {
        name: "source_misses",
        key: &["entity", "entity_id", "source"],
        lookup: 1,
        sources: &[Source {
            observed_at: "observed_at",
            tiebreak: "tiebreak",
            columns: &[text("reason"), int("features_version")],
        }],
        derived: &[],
        touched: "updated_at",
    },
];

const PROFILE: &[Column] = &[text("profile_name"), int("artist_popularity"), int("artist_followers"), text("profile_genres")];

const ARTIST_LISTENERS: &[Column] = &[
    or(flag("on_tour"), Absent::False),
    or(int("total_listeners"), Absent::Zero),
    or(int("total_playcount"), Absent::Zero),
    real("plays_per_listener"),
    text("lastfm_tags"),
    real("lastfm_match_score"),
    text("lastfm_match_quality"),
];

const ALBUM: &[Column] =
    &[or(text("album_title"), Absent::Key), text("artist_id"), text("album_type"), int("album_total_tracks")];

const SONG: &[Column] = &[
    or(text("song_name"), Absent::Key),
    text("artist_id"),
    text("album_id"),
    int("duration_ms"),
    int("duration_seconds"),
    real("duration_minutes"),
    text("release_date"),
    text("release_date_precision"),
    flag("is_explicit"),
    int("popularity"),
    int("track_number"),
    flag("is_playable"),
    text("isrc"),
];

const SONG_LISTENERS: &[Column] = &[
    or(int("song_listeners"), Absent::Zero),
    text("mbid"),
    real("engagement_ratio"),
    real("lastfm_match_score"),
    text("lastfm_match_quality"),
];

const FEATURES: &[Column] = &[
    text("preview_url"),
    text("provider"),
    text("clip_sha256"),
    int("features_version"),
    real("danceability"),
    real("duration_s"),
    real("bpm"),
    real("bpm_confidence"),
    real("bpm_reference"),
    real("energy"),
    real("spectral_centroid"),
    real("zero_crossing_rate"),
    real("harmonic_ratio"),
    real("percussive_ratio"),
    real("loudness_lufs"),
    real("loudness_range_lu"),
    text("music_key"),
    text("music_mode"),
    real("key_strength"),
    real("onset_rate"),
    real("beat_regularity"),
    real("spectral_bandwidth"),
    real("spectral_rolloff"),
    real("spectral_flatness"),
    text("spectral_contrast"),
    text("chroma"),
    text("mfcc"),
];

impl Absent {
    /// The value shown; `key` is the row's id.
    pub(super) fn cell(self, key: &str) -> Cell {
        match self {
            Absent::Null => Cell::Null,
            Absent::False => Cell::Bool(false),
            Absent::Zero => Cell::Int(0),
            Absent::Key => Cell::Text(key.to_owned()),
        }
    }
}

impl Table {
    /// Every column that a merge writes on insert, in the order of [`super::upsert`]'s stage: key, then each source's columns
    /// and version, then the derived ones.
    pub(super) fn staged_columns(&self) -> Vec<(&'static str, Kind)> {
        let mut columns: Vec<(&'static str, Kind)> = self.key.iter().map(|name| (*name, Kind::Text)).collect();
        for source in self.sources {
            columns.extend(source.columns.iter().map(|column| (column.name, column.kind)));
            columns.extend([(source.observed_at, Kind::Int), (source.tiebreak, Kind::Int)]);
        }
        columns
    }
}
