//! Which columns there are, what they mean, and in which units.
//!
//! Audio features are named and defined as in [`crate::dsp`]; the version columns that decide between observations are left
//! out, the times of the observations are not.

use super::{Column, ColumnKind, Relation, Source};

const fn column(name: &'static str, kind: ColumnKind, meaning: &'static str) -> Column {
    Column { name, kind, meaning, source: Source::Itself }
}

const fn text(name: &'static str, meaning: &'static str) -> Column {
    column(name, ColumnKind::Text, meaning)
}

const fn int(name: &'static str, meaning: &'static str) -> Column {
    column(name, ColumnKind::Int, meaning)
}

const fn real(name: &'static str, meaning: &'static str) -> Column {
    column(name, ColumnKind::Real, meaning)
}

const fn bool(name: &'static str, meaning: &'static str) -> Column {
    column(name, ColumnKind::Bool, meaning)
}

/// Stored as microseconds.
const fn observed(name: &'static str, meaning: &'static str) -> Column {
    column(name, ColumnKind::Time, meaning)
}

const fn timestamp(name: &'static str, meaning: &'static str) -> Column {
    Column { name, kind: ColumnKind::Time, meaning, source: Source::Timestamp(name) }
}

impl Column {
    /// The same column by another expression.
    const fn from(self, expression: &'static str) -> Column {
        Column { source: Source::Expression(expression), ..self }
    }
}

const CREATED: Column = timestamp("created_at", "when the row was written first");
const UPDATED: Column = timestamp("updated_at", "when the row was written last");
const TRACK_OBSERVED: Column = observed("track_observed_at", "when Spotify's search showed it");
const LASTFM_OBSERVED: Column = observed("lastfm_observed_at", "when Last.fm answered");
const LASTFM_SCORE: Column = real("lastfm_match_score", "likeness of what was asked for and what Last.fm answered, 0 to 1");
const LASTFM_QUALITY: Column = text("lastfm_match_quality", "the same in a word");

const ARTIST_ID: Column = text("artist_id", "Spotify id of the artist");
const ARTIST_NAME: Column = text("artist_name", "name, as Spotify shows it");
const ARTIST_POPULARITY: Column = int("artist_popularity", "Spotify popularity, 0 to 100; not shown to new apps");
const ARTIST_FOLLOWERS: Column = int("artist_followers", "followers on Spotify; not shown to new apps");
const PLAYS_PER_LISTENER: Column = real("plays_per_listener", "total_playcount / total_listeners");

const ALBUM_ID: Column = text("album_id", "Spotify id of the album");
const ALBUM_TITLE: Column = text("album_title", "title");
const ALBUM_TYPE: Column = text("album_type", "album, single or compilation");

const SONG_ID: Column = text("song_id", "Spotify id of the track");
const SONG_NAME: Column = text("song_name", "title");
const MBID: Column = text("mbid", "MusicBrainz id of the recording");
const DURATION_MS: Column = int("duration_ms", "length in milliseconds");
const ENGAGEMENT_RATIO: Column = real("engagement_ratio", "Last.fm plays of the song by listener of the song");
const RELEASE_DATE: Column = text("release_date", "YYYY, YYYY-MM or YYYY-MM-DD");
const IS_EXPLICIT: Column = bool("is_explicit", "explicit lyrics");
const POPULARITY: Column = int("popularity", "Spotify popularity, 0 to 100; not shown to new apps");
const TRACK_NUMBER: Column = int("track_number", "place on its disc, from 1");
const ISRC: Column = text("isrc", "international standard recording code");

const BPM: Column = real("bpm", "tempo in beats per minute");
const BPM_CONFIDENCE: Column = real("bpm_confidence", "how sure the tempo is, 0 to 1");
const BPM_REFERENCE: Column = real("bpm_reference", "tempo by librosa's beat_track, in beats per minute");
const ENERGY: Column = real("energy", "mean root mean square of the frames, 0 to 1");
const LOUDNESS_LUFS: Column = real("loudness_lufs", "integrated loudness by EBU R128, in LUFS");
const LOUDNESS_RANGE: Column = real("loudness_range_lu", "loudness range by EBU R128, in LU");
const DANCEABILITY: Column = real("danceability", "danceability, 0 to 1");
const MUSIC_KEY: Column = text("music_key", "tonic: C, C#, D, Eb, E, F, F#, G, Ab, A, Bb or B");
const MUSIC_MODE: Column = text("music_mode", "major or minor");
const KEY_STRENGTH: Column = real("key_strength", "correlation with the key's profile, -1 to 1");
const ONSET_RATE: Column = real("onset_rate", "onsets a second");
const BEAT_REGULARITY: Column = real("beat_regularity", "how evenly the beats come, 0 to 1");
const HARMONIC_RATIO: Column = real("harmonic_ratio", "share of the harmonic part, 0 to 1");
const PERCUSSIVE_RATIO: Column = real("percussive_ratio", "share of the percussive part, 0 to 1");
const CENTROID: Column = real("spectral_centroid", "mean spectral centroid in Hz");
const BANDWIDTH: Column = real("spectral_bandwidth", "mean spectral bandwidth in Hz");
const ROLLOFF: Column = real("spectral_rolloff", "mean frequency below which 85 % of the magnitude lies, in Hz");
const FLATNESS: Column = real("spectral_flatness", "mean spectral flatness, 0 to 1");
const ZERO_CROSSING_RATE: Column = real("zero_crossing_rate", "mean share of samples where the sign changes, 0 to 1");
const CONTRAST: Column = column("spectral_contrast", ColumnKind::Reals, "mean spectral contrast of 7 bands in dB, low to high");
const CHROMA: Column = column("chroma", ColumnKind::Reals, "mean of 12 pitch classes from C, 0 to 1");
const MFCC: Column = column("mfcc", ColumnKind::Reals, "mean mel-frequency cepstral coefficients");
const CLIP_SECONDS: Column = real("duration_s", "length of what was analysed, in seconds");
const PROVIDER: Column = text("provider", "who the clip came from");
const FEATURES_VERSION: Column = int("features_version", "version of the analysis");

/// The six tables, parents before children.
pub static RELATIONS: [Relation; 6] = [
    Relation {
        name: "artists",
        meaning: "one row an artist",
        columns: &[
            ARTIST_ID,
            ARTIST_NAME,
            bool("on_tour", "on tour, says Last.fm"),
            int("total_listeners", "listeners on Last.fm"),
            int("total_playcount", "plays on Last.fm"),
            PLAYS_PER_LISTENER,
            ARTIST_POPULARITY,
            ARTIST_FOLLOWERS,
            bool("has_genres", "Spotify or Last.fm names a genre"),
            text("track_name", "name beside the tracks"),
            text("profile_name", "name in Spotify's profile"),
            column("profile_genres", ColumnKind::Texts, "genres by Spotify"),
            column("lastfm_tags", ColumnKind::Texts, "tags by Last.fm"),
            LASTFM_SCORE,
            LASTFM_QUALITY,
            CREATED,
            UPDATED,
            TRACK_OBSERVED,
            observed("profile_observed_at", "when Spotify's profile was read"),
            LASTFM_OBSERVED,
        ],
        key: &["artist_id"],
        references: &[],
        from: "artists",
    },
    Relation {
        name: "albums",
        meaning: "one row an album",
        columns: &[
            ALBUM_ID,
            ALBUM_TITLE,
            ARTIST_ID,
            ALBUM_TYPE,
            int("album_total_tracks", "tracks on it"),
            CREATED,
            UPDATED,
            TRACK_OBSERVED,
        ],
        key: &["album_id"],
        references: &[("artist_id", "artists")],
        from: "albums",
    },
    Relation {
        name: "songs",
        meaning: "one row a track",
        columns: &[
            SONG_ID,
            SONG_NAME,
            ARTIST_ID,
            ALBUM_ID,
            int("song_listeners", "listeners on Last.fm"),
            MBID,
            DURATION_MS,
            int("duration_seconds", "length in whole seconds"),
            real("duration_minutes", "length in minutes"),
            ENGAGEMENT_RATIO,
            RELEASE_DATE,
            text("release_date_precision", "year, month or day"),
            IS_EXPLICIT,
            POPULARITY,
            TRACK_NUMBER,
            bool("is_playable", "playable in the market asked for"),
            ISRC,
            LASTFM_SCORE,
            LASTFM_QUALITY,
            CREATED,
            UPDATED,
            TRACK_OBSERVED,
            LASTFM_OBSERVED,
        ],
        key: &["song_id"],
        references: &[("artist_id", "artists"), ("album_id", "albums")],
        from: "songs",
    },
    Relation {
        name: "song_audio_features",
        meaning: "one row an analysed track",
        columns: &[
            SONG_ID,
            BPM,
            ENERGY,
            CENTROID,
            ZERO_CROSSING_RATE,
            DANCEABILITY,
            text("preview_url", "where a clip can be had again, such as deezer:track:3135556; never a link"),
            HARMONIC_RATIO,
            PERCUSSIVE_RATIO,
            CLIP_SECONDS,
            BPM_CONFIDENCE,
            BPM_REFERENCE,
            LOUDNESS_LUFS,
            LOUDNESS_RANGE,
            MUSIC_KEY,
            MUSIC_MODE,
            KEY_STRENGTH,
            ONSET_RATE,
            BEAT_REGULARITY,
            BANDWIDTH,
            ROLLOFF,
            FLATNESS,
            CONTRAST,
            CHROMA,
            MFCC,
            PROVIDER,
            text("clip_sha256", "SHA-256 of the clip's bytes"),
            FEATURES_VERSION,
            timestamp("analysis_date", "when the row was written last"),
            observed("audio_observed_at", "when the clip was analysed"),
        ],
        key: &["song_id"],
        references: &[("song_id", "songs")],
        from: "song_audio_features",
    },
    Relation {
        name: "genres",
        meaning: "one row a genre",
        columns: &[int("genre_id", "number in this database"), text("genre_name", "name"), CREATED],
        key: &["genre_name"],
        references: &[],
        from: "genres",
    },
    Relation {
        name: "artist_genres",
        meaning: "one row a genre of an artist",
        columns: &[
            ARTIST_ID,
            int("genre_id", "number in this database"),
            text("source", "profile or lastfm: who says so"),
            CREATED,
        ],
        key: &["artist_id", "genre_id"],
        references: &[("artist_id", "artists"), ("genre_id", "genres")],
        from: "artist_genres",
    },
];

/// One row a song with all that is known about it: no join needed. What no source was heard about is unknown, where the
/// tables have their default of 0.
pub static TRACKS: Relation = Relation {
    name: "tracks",
    meaning: "one row a track, with its artist, album, genres and audio features",
    columns: &[
        SONG_ID.from("s.song_id"),
        SONG_NAME,
        ARTIST_ID.from("s.artist_id"),
        ARTIST_NAME,
        ALBUM_ID.from("s.album_id"),
        ALBUM_TITLE,
        ALBUM_TYPE,
        TRACK_NUMBER,
        RELEASE_DATE,
        int("release_year", "year of release").from("CAST(substr(s.release_date, 1, 4) AS INTEGER)"),
        DURATION_MS,
        IS_EXPLICIT,
        ISRC,
        MBID,
        Column {
            name: "genres",
            kind: ColumnKind::Texts,
            meaning: "genres of the artist, by Spotify or else Last.fm",
            source: Source::GenresOf("s.artist_id"),
        },
        POPULARITY,
        ARTIST_POPULARITY,
        ARTIST_FOLLOWERS,
        int("song_listeners", "listeners of the song on Last.fm")
            .from("CASE WHEN s.lastfm_observed_at IS NULL THEN NULL ELSE s.song_listeners END"),
        ENGAGEMENT_RATIO,
        int("artist_listeners", "listeners of the artist on Last.fm")
            .from("CASE WHEN a.lastfm_observed_at IS NULL THEN NULL ELSE a.total_listeners END"),
        int("artist_playcount", "plays of the artist on Last.fm")
            .from("CASE WHEN a.lastfm_observed_at IS NULL THEN NULL ELSE a.total_playcount END"),
        PLAYS_PER_LISTENER,
        LASTFM_SCORE.from("s.lastfm_match_score"),
        LASTFM_QUALITY.from("s.lastfm_match_quality"),
        BPM,
        BPM_CONFIDENCE,
        BPM_REFERENCE,
        ENERGY,
        LOUDNESS_LUFS,
        LOUDNESS_RANGE,
        DANCEABILITY,
        MUSIC_KEY,
        MUSIC_MODE,
        KEY_STRENGTH,
        ONSET_RATE,
        BEAT_REGULARITY,
        HARMONIC_RATIO,
        PERCUSSIVE_RATIO,
        CENTROID,
        BANDWIDTH,
        ROLLOFF,
        FLATNESS,
        ZERO_CROSSING_RATE,
        CONTRAST,
        CHROMA,
        MFCC,
        CLIP_SECONDS,
        PROVIDER,
        FEATURES_VERSION,
    ],
    key: &["song_id"],
    references: &[],
    from: "songs s LEFT JOIN artists a ON a.artist_id = s.artist_id LEFT JOIN albums b ON b.album_id = s.album_id \
           LEFT JOIN song_audio_features f ON f.song_id = s.song_id",
};
