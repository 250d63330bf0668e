//! The pure core: which rows a raw record makes.

use crate::records::{
    AlbumRef, AlbumRow, ArtistListenersRow, ArtistNameRow, ArtistProfile, ArtistProfileRow, AudioFeatures, ClipOutcome,
    Envelope, FigureOutcome, ListenerFigures, MatchNote, MissRow, RecordError, Row, SongAudioRow, SongListenersRow, SongRow,
    Subject, TopTrack, Topic, parse,
};

use super::engineer::{duration_minutes, duration_seconds, ratio};

/// From which score on a match counts: the thresholds of the configuration. Judged here again, so that what an
/// extractor with a lower one has let pass is not stored. What is stored already stays: a refusal has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judge {
    /// For artists.
    pub artist_threshold: f64,
    /// For tracks.
    pub track_threshold: f64,
}

/// What a raw payload says.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// When the source answered.
    pub observed_at: i64,
    /// Primary artist.
    pub artist_id: String,
    /// Rows, parents before children.
    pub rows: Vec<Row>,
    /// Optional fields that were out of range.
    pub nulled: Vec<&'static str>,
}

/// The rows of a raw payload of `topic`.
///
/// # Errors
/// When the payload cannot be used at all: undecodable, of a newer schema, or without a required field.
pub fn rows_of(topic: Topic, payload: &[u8], judge: Judge) -> Result<Raw, RecordError> {
    match topic {
        Topic::MusicTopTracks => {
            let parsed = parse::<TopTrack>(payload)?;
            let Envelope { observed_at, body, .. } = parsed.record;
            let artist_id = body.primary_artist().map_or_else(String::new, |artist| artist.id.clone());
            Ok(Raw { observed_at, artist_id, rows: track_rows(body), nulled: parsed.nulled })
        }
        Topic::ArtistGenres => {
            let parsed = parse::<ArtistProfile>(payload)?;
            let Envelope { observed_at, body, .. } = parsed.record;
            Ok(Raw { observed_at, artist_id: body.artist_id.clone(), rows: vec![profile_row(body)], nulled: parsed.nulled })
        }
        Topic::LastfmArtist => {
            let parsed = parse::<ListenerFigures>(payload)?;
            let Envelope { observed_at, body, .. } = parsed.record;
            let artist_id = body.artist_id.clone();
            Ok(Raw { observed_at, artist_id, rows: vec![listeners_row(body, judge)], nulled: parsed.nulled })
        }
        Topic::MusicAudioFeatures => {
            let parsed = parse::<AudioFeatures>(payload)?;
            let Envelope { observed_at, body, .. } = parsed.record;
            let artist_id = body.artist_id.clone();
            Ok(Raw { observed_at, artist_id, rows: vec![audio_row(body, judge)], nulled: parsed.nulled })
        }
        Topic::MusicQueries | Topic::MusicTransformed | Topic::MusicDeadLetters => {
            Err(RecordError::required(topic, "topic", topic.default_name(), "one of the raw topics"))
        }
    }
}

fn track_rows(track: TopTrack) -> Vec<Row> {
    let mut rows = Vec::with_capacity(4);
    let artist_id = track.primary_artist().map_or_else(String::new, |artist| artist.id.clone());
    if let Some(artist) = track.artists.first() {
        rows.push(Row::ArtistName(ArtistNameRow { artist_id: artist.id.clone(), artist_name: artist.name.clone() }));
    }
    let album = track.album;
    if let Some(artist) = album.as_ref().and_then(|album| album.artist.as_ref()).filter(|artist| artist.id != artist_id) {
        rows.push(Row::ArtistName(ArtistNameRow { artist_id: artist.id.clone(), artist_name: artist.name.clone() }));
    }
    let release = album.as_ref().map(|album| (album.release_date.clone(), album.release_date_precision.clone()));
    let (release_date, release_date_precision) = release.unwrap_or_default();
    let album_id = album.as_ref().map(|album| album.id.clone());
    rows.extend(album.map(album_row));
    rows.push(Row::Song(SongRow {
        song_id: track.id,
        song_name: track.name,
        artist_id,
        album_id,
        duration_ms: track.duration_ms.and_then(narrow),
        duration_seconds: track.duration_ms.and_then(duration_seconds),
        duration_minutes: track.duration_ms.and_then(duration_minutes),
        release_date,
        release_date_precision,
        is_explicit: track.explicit,
        popularity: track.popularity.and_then(narrow),
        track_number: track.track_number.and_then(narrow),
        is_playable: track.is_playable,
        isrc: track.isrc,
    }));
    rows
}

fn album_row(album: AlbumRef) -> Row {
    Row::Album(AlbumRow {
        // A taken-down album has a blank title; its id stands in, as for a stub.
        album_title: album.title.unwrap_or_else(|| album.id.clone()),
        album_id: album.id,
        artist_id: album.artist.map(|artist| artist.id),
        album_type: album.album_type,
        album_total_tracks: album.total_tracks.and_then(narrow),
    })
}

fn profile_row(profile: ArtistProfile) -> Row {
    if let Some(reason) = profile.missing {
        return miss("artist", profile.artist_id, "profile", reason, 0);
    }
    Row::ArtistProfile(ArtistProfileRow {
        artist_id: profile.artist_id,
        artist_name: profile.name,
        artist_popularity: profile.popularity.and_then(narrow),
        artist_followers: profile.followers.and_then(narrow),
        genres: profile.genres,
    })
}

fn listeners_row(figures: ListenerFigures, judge: Judge) -> Row {
    let artist_id = figures.artist_id;
    match figures.subject {
        Subject::Artist { figures: FigureOutcome::Missing { reason } } => miss("artist", artist_id, "lastfm", reason, 0),
        Subject::Artist { figures: FigureOutcome::Found(found) } => {
            if found.matched.score < judge.artist_threshold {
                return miss("artist", artist_id, "lastfm", "no_match".to_owned(), 0);
            }
            Row::ArtistListeners(ArtistListenersRow {
                artist_id,
                on_tour: found.on_tour,
                total_listeners: found.listeners,
                total_playcount: found.playcount,
                plays_per_listener: ratio(found.playcount, found.listeners),
                tags: found.tags,
                match_score: found.matched.score,
                match_quality: found.matched.quality,
            })
        }
        Subject::Track { song_id, figures: FigureOutcome::Missing { reason } } => miss("song", song_id, "lastfm", reason, 0),
        Subject::Track { song_id, figures: FigureOutcome::Found(found) } => {
            if found.matched.score < judge.track_threshold {
                return miss("song", song_id, "lastfm", "no_match".to_owned(), 0);
            }
            Row::SongListeners(SongListenersRow {
                song_id,
                song_listeners: found.listeners.and_then(narrow),
                mbid: found.mbid,
                engagement_ratio: ratio(found.playcount, found.listeners),
                match_score: found.matched.score,
                match_quality: found.matched.quality,
            })
        }
    }
}

fn audio_row(audio: AudioFeatures, judge: Judge) -> Row {
    match audio.clip {
        ClipOutcome::Missing { reason, features_version } => {
            miss("song", audio.song_id, "audio", reason, narrow(i64::from(features_version)).unwrap_or(0))
        }
        ClipOutcome::Analyzed { provider, clip_ref, clip_sha256, features_version, features, matched } => {
            let features_version = narrow(i64::from(features_version)).unwrap_or(0);
            let refused = |note: &MatchNote| note.score < judge.track_threshold;
            if matched.as_ref().is_some_and(refused) {
                return miss("song", audio.song_id, "audio", "no_match".to_owned(), features_version);
            }
            let danceability =
                crate::dsp::danceability(features.bpm, features.energy, features.zero_crossing_rate, features.beat_regularity);
            Row::SongAudio(SongAudioRow {
                song_id: audio.song_id,
                preview_url: clip_ref,
                provider,
                clip_sha256,
                features_version,
                danceability: danceability.filter(|value| (0.0..=1.0).contains(value)),
                features,
            })
        }
    }
}

fn miss(entity: &str, entity_id: String, source: &str, reason: String, features_version: i32) -> Row {
    let (entity, source) = (entity.to_owned(), source.to_owned());
    Row::Miss(MissRow { entity, entity_id, source, reason, features_version })
}

/// Validation keeps these in range; what does not fit is unknown.
fn narrow(value: i64) -> Option<i32> {
    i32::try_from(value).ok()
}
