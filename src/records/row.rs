//! `music_transformed`: a validated row of one entity from one source, keyed `entity/ID/source`, compacted.
//!
//! **What makes a rebuild from the compacted topic exact.** Compaction keeps the last offset of a key, the database the
//! newest observation. The two agree because the transformer never appends a record that is not newer than the last one
//! under its key: within a partition the versions of a key only rise. A hit and a miss of the same source have different
//! keys, so that a later miss does not compact away the data of an earlier hit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audio_features::Features;
use super::validate::{RecordError, Validate, require_id};
use super::{Record, Topic};

/// A song as Spotify's search gives it. Source `track`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SongRow {
    /// Spotify id.
    pub song_id: String,
    /// Title.
    pub song_name: String,
    /// Primary artist.
    pub artist_id: String,
    /// Album, where there is one.
    pub album_id: Option<String>,
    /// Milliseconds.
    pub duration_ms: Option<i32>,
    /// Whole seconds, rounded down.
    pub duration_seconds: Option<i32>,
    /// Minutes.
    pub duration_minutes: Option<f64>,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub release_date: Option<String>,
    /// `year`, `month` or `day`.
    pub release_date_precision: Option<String>,
    /// Marked explicit.
    pub is_explicit: Option<bool>,
    /// 0 to 100.
    pub popularity: Option<i32>,
    /// 1 to 100.
    pub track_number: Option<i32>,
    /// Playable in the market asked for.
    pub is_playable: Option<bool>,
    /// International Standard Recording Code.
    pub isrc: Option<String>,
}

/// An album as named inside a track. Source `track`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlbumRow {
    /// Spotify id.
    pub album_id: String,
    /// Title.
    pub album_title: String,
    /// Primary artist of the album.
    pub artist_id: Option<String>,
    /// `single`, `compilation` or `album`.
    pub album_type: Option<String>,
    /// 1 to 200.
    pub album_total_tracks: Option<i32>,
}

/// An artist as named inside a track. Source `track`: its name stands until a profile brings one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArtistNameRow {
    /// Spotify id.
    pub artist_id: String,
    /// Name.
    pub artist_name: String,
}

/// Spotify's profile of an artist. Source `profile`: its name stands over the one from tracks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArtistProfileRow {
    /// Spotify id.
    pub artist_id: String,
    /// Name.
    pub artist_name: String,
    /// 0 to 100.
    pub artist_popularity: Option<i32>,
    /// 0 or more.
    pub artist_followers: Option<i32>,
    /// Spotify's genres, sorted, lower case. `None`: not shown to this account.
    pub genres: Option<Vec<String>>,
}

/// Last.fm's figures of an artist. Source `lastfm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArtistListenersRow {
    /// Spotify id.
    pub artist_id: String,
    /// On tour.
    pub on_tour: Option<bool>,
    /// 0 or more.
    pub total_listeners: Option<i64>,
    /// 0 or more.
    pub total_playcount: Option<i64>,
    /// `total_playcount / total_listeners`, `None` without listeners.
    pub plays_per_listener: Option<f64>,
    /// Top tags, sorted, lower case: the artist's genres where the profile has none.
    pub tags: Vec<String>,
    /// Match score, 0 to 1.
    pub match_score: f64,
    /// `exact`, `high` or `low`.
    pub match_quality: String,
}

/// Last.fm's figures of a track. Source `lastfm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SongListenersRow {
    /// Spotify id.
    pub song_id: String,
    /// 0 or more.
    pub song_listeners: Option<i32>,
    /// MusicBrainz recording id.
    pub mbid: Option<String>,
    /// Plays a listener, `None` without listeners.
    pub engagement_ratio: Option<f64>,
    /// Match score, 0 to 1.
    pub match_score: f64,
    /// `exact`, `high` or `low`.
    pub match_quality: String,
}

/// The features of a song's clip. Source `audio`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SongAudioRow {
    /// Spotify id.
    pub song_id: String,
    /// Where to get a clip again, such as `deezer:track:3135556`: preview links themselves expire and are not kept.
    pub preview_url: String,
    /// `spotify`, `spotify_embed`, `deezer` or `itunes`.
    pub provider: String,
    /// SHA-256 of the clip, hex.
    pub clip_sha256: String,
    /// Version of the analysis.
    pub features_version: i32,
    /// 0 to 1, engineered from tempo, energy, zero-crossing rate and beat regularity.
    pub danceability: Option<f64>,
    /// What was measured.
    pub features: Box<Features>,
}

/// A source had nothing: remembered, so that it is not asked again before `refresh_after`. Source `<source>-miss`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MissRow {
    /// `song` or `artist`.
    pub entity: String,
    /// Spotify id.
    pub entity_id: String,
    /// `lastfm` or `audio`.
    pub source: String,
    /// Why, from the source's closed set.
    pub reason: String,
    /// Version of the analysis that tried; 0 where that has no meaning.
    pub features_version: i32,
}

/// One row of one entity from one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Row {
    /// See [`ArtistNameRow`].
    ArtistName(ArtistNameRow),
    /// See [`ArtistProfileRow`].
    ArtistProfile(ArtistProfileRow),
    /// See [`ArtistListenersRow`].
    ArtistListeners(ArtistListenersRow),
    /// See [`AlbumRow`].
    Album(AlbumRow),
    /// See [`SongRow`].
    Song(SongRow),
    /// See [`SongListenersRow`].
    SongListeners(SongListenersRow),
    /// See [`SongAudioRow`].
    SongAudio(SongAudioRow),
    /// See [`MissRow`].
    Miss(MissRow),
}

/// A validated record on its way to the database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transformed {
    /// The transformer's revision, see [`super::TRANSFORM_REVISION`].
    pub revision: u16,
    /// Primary artist of the record it came from: decides the partition.
    pub artist_id: String,
    /// The row.
    pub row: Row,
}

impl Row {
    /// `entity/ID/source`: the compaction key.
    pub fn key(&self) -> String {
        match self {
            Row::ArtistName(row) => format!("artist/{}/track", row.artist_id),
            Row::ArtistProfile(row) => format!("artist/{}/profile", row.artist_id),
            Row::ArtistListeners(row) => format!("artist/{}/lastfm", row.artist_id),
            Row::Album(row) => format!("album/{}/track", row.album_id),
            Row::Song(row) => format!("song/{}/track", row.song_id),
            Row::SongListeners(row) => format!("song/{}/lastfm", row.song_id),
            Row::SongAudio(row) => format!("song/{}/audio", row.song_id),
            Row::Miss(row) => format!("{}/{}/{}-miss", row.entity, row.entity_id, row.source),
        }
    }

    /// The id of the entity the row belongs to.
    pub fn entity_id(&self) -> &str {
        match self {
            Row::ArtistName(row) => &row.artist_id,
            Row::ArtistProfile(row) => &row.artist_id,
            Row::ArtistListeners(row) => &row.artist_id,
            Row::Album(row) => &row.album_id,
            Row::Song(row) => &row.song_id,
            Row::SongListeners(row) => &row.song_id,
            Row::SongAudio(row) => &row.song_id,
            Row::Miss(row) => &row.entity_id,
        }
    }
}

impl Validate for Transformed {
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError> {
        require_id(Topic::MusicTransformed, "artist_id", &self.artist_id)?;
        require_id(Topic::MusicTransformed, "row id", self.row.entity_id())?;
        Ok(Vec::new())
    }
}

impl Record for Transformed {
    const TOPIC: Topic = Topic::MusicTransformed;

    fn key(&self) -> String {
        self.row.key()
    }

    fn partition_key(&self) -> &str {
        &self.artist_id
    }
}
