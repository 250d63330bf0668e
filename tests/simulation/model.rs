//! The oracle: what the six tables must hold, as a pure function of the set of raw records, in plain maps.
//!
//! It shares the transformer's pure core (which rows a raw record makes) and the order of versions with the program, and
//! nothing of how rows are staged, merged, linked or read back.

use std::collections::{BTreeMap, BTreeSet};

use reprise::mailbox::Mailbox;
use reprise::records::{
    AlbumRow, ArtistListenersRow, ArtistProfileRow, Row, SongAudioRow, SongListenersRow, SongRow, TRANSFORM_REVISION,
    Transformed, Version,
};
use reprise::transform::{Judge, rows_of};
use serde_json::{Value, json};

use crate::catalogue::THRESHOLD;
use crate::injector::RAW;
use crate::saboteur::is_poison;

type Newest<T> = Option<(Version, T)>;

#[derive(Debug, Default)]
struct Artist {
    track: Newest<String>,
    profile: Newest<ArtistProfileRow>,
    lastfm: Newest<ArtistListenersRow>,
}

#[derive(Debug, Default)]
struct Song {
    track: Newest<SongRow>,
    lastfm: Newest<SongListenersRow>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Model {
    artists: BTreeMap<String, Artist>,
    albums: BTreeMap<String, Newest<AlbumRow>>,
    songs: BTreeMap<String, Song>,
    audio: BTreeMap<String, Newest<SongAudioRow>>,
}

fn keep<T>(newest: &mut Newest<T>, version: Version, row: T) {
    if newest.as_ref().is_none_or(|(held, _)| version > *held) {
        *newest = Some((version, row));
    }
}

impl Model {
    /// Of everything that stands in the raw topics and can be used.
    pub fn of(mailbox: &dyn Mailbox) -> anyhow::Result<Model> {
        let judge = Judge { artist_threshold: THRESHOLD, track_threshold: THRESHOLD };
        let mut model = Model::default();
        for topic in RAW {
            for ends in mailbox.watermarks(topic)? {
                for message in mailbox.read(ends.at, ends.low, usize::MAX >> 1)? {
                    if message.key.starts_with("bad-") || is_poison(&message.key, "transform") {
                        continue;
                    }
                    let raw = rows_of(topic, &message.payload, judge)?;
                    for row in raw.rows {
                        let body = Transformed { revision: TRANSFORM_REVISION, artist_id: raw.artist_id.clone(), row };
                        let version = Version::new(raw.observed_at, TRANSFORM_REVISION, &serde_json::to_vec(&body)?);
                        if !is_poison(&body.row.key(), "load") {
                            model.add(version, body.row);
                        }
                    }
                }
            }
        }
        Ok(model)
    }

    fn add(&mut self, version: Version, row: Row) {
        match row {
            Row::ArtistName(row) => keep(&mut self.artist(row.artist_id).track, version, row.artist_name),
            Row::ArtistProfile(row) => keep(&mut self.artist(row.artist_id.clone()).profile, version, row),
            Row::ArtistListeners(row) => keep(&mut self.artist(row.artist_id.clone()).lastfm, version, row),
            Row::Album(row) => {
                if let Some(artist) = row.artist_id.clone() {
                    self.artist(artist);
                }
                keep(self.albums.entry(row.album_id.clone()).or_default(), version, row);
            }
            Row::Song(row) => {
                self.artist(row.artist_id.clone());
                if let Some(album) = row.album_id.clone() {
                    self.albums.entry(album).or_default();
                }
                keep(&mut self.songs.entry(row.song_id.clone()).or_default().track, version, row);
            }
            Row::SongListeners(row) => {
                keep(&mut self.songs.entry(row.song_id.clone()).or_default().lastfm, version, row);
            }
            Row::SongAudio(row) => {
                self.songs.entry(row.song_id.clone()).or_default();
                keep(self.audio.entry(row.song_id.clone()).or_default(), version, row);
            }
            Row::Miss(_) => {}
        }
    }

    fn artist(&mut self, id: String) -> &mut Artist {
        self.artists.entry(id).or_default()
    }

    /// Table and row, in the order of a dump.
    pub fn rows(&self) -> Vec<(&'static str, Value)> {
        let mut rows: Vec<(&'static str, Value)> = Vec::new();
        rows.extend(self.artists.iter().map(|(id, artist)| ("artists", artist.row(id))));
        rows.extend(self.albums.iter().map(|(id, album)| ("albums", album_row(id, album.as_ref().map(|newest| &newest.1)))));
        rows.extend(self.songs.iter().map(|(id, song)| ("songs", song.row(id))));
        let audio = self.audio.values().flatten().map(|(_, audio)| ("song_audio_features", audio_row(audio)));
        rows.extend(audio);
        let links: Vec<_> = self.artists.iter().flat_map(|(id, artist)| artist.links(id)).collect();
        let genres: BTreeSet<&String> = links.iter().map(|(_, genre, _)| genre).collect();
        rows.extend(genres.into_iter().map(|genre| ("genres", json!({ "genre_name": genre }))));
        rows.extend(links.iter().map(|(artist, genre, source)| {
            ("artist_genres", json!({ "artist_id": artist, "genre_name": genre, "source": source }))
        }));
        rows
    }
}

fn names(names: &[String]) -> String {
    Value::from(names).to_string()
}

impl Artist {
    fn row(&self, id: &str) -> Value {
        let track = self.track.as_ref().map(|(_, name)| name.as_str());
        let profile = self.profile.as_ref().map(|(_, row)| row);
        let lastfm = self.lastfm.as_ref().map(|(_, row)| row);
        let asked = (profile.is_some() || lastfm.is_some()).then(|| !self.genres().0.is_empty());
        json!({
            "artist_id": id,
            "artist_name": profile.map(|row| row.artist_name.as_str()).or(track).unwrap_or(id),
            "on_tour": lastfm.map_or(Some(false), |row| row.on_tour),
            "total_listeners": lastfm.map_or(Some(0), |row| row.total_listeners),
            "total_playcount": lastfm.map_or(Some(0), |row| row.total_playcount),
            "plays_per_listener": lastfm.and_then(|row| row.plays_per_listener),
            "artist_popularity": profile.and_then(|row| row.artist_popularity),
            "artist_followers": profile.and_then(|row| row.artist_followers),
            "has_genres": asked,
            "track_name": track,
            "profile_name": profile.map(|row| row.artist_name.as_str()),
            "profile_genres": profile.and_then(|row| row.genres.as_deref()).map(names),
            "lastfm_tags": lastfm.map(|row| names(&row.tags)),
            "lastfm_match_score": lastfm.map(|row| row.match_score),
            "lastfm_match_quality": lastfm.map(|row| row.match_quality.as_str()),
        })
    }

    /// The profile's genres, or else Last.fm's tags.
    fn genres(&self) -> (&[String], &'static str) {
        let profile = self.profile.as_ref().and_then(|(_, row)| row.genres.as_deref()).unwrap_or_default();
        let tags = self.lastfm.as_ref().map_or(&[][..], |(_, row)| &row.tags);
        if profile.is_empty() { (tags, "lastfm") } else { (profile, "profile") }
    }

    fn links(&self, id: &str) -> Vec<(String, String, &'static str)> {
        let (genres, source) = self.genres();
        genres.iter().map(|genre| (id.to_owned(), genre.clone(), source)).collect()
    }
}

fn album_row(id: &str, row: Option<&AlbumRow>) -> Value {
    json!({
        "album_id": id,
        "album_title": row.map_or(id, |row| row.album_title.as_str()),
        "artist_id": row.and_then(|row| row.artist_id.as_deref()),
        "album_type": row.and_then(|row| row.album_type.as_deref()),
        "album_total_tracks": row.and_then(|row| row.album_total_tracks),
    })
}

impl Song {
    fn row(&self, id: &str) -> Value {
        let track = self.track.as_ref().map(|(_, row)| row);
        let lastfm = self.lastfm.as_ref().map(|(_, row)| row);
        json!({
            "song_id": id,
            "song_name": track.map_or(id, |row| row.song_name.as_str()),
            "artist_id": track.map(|row| row.artist_id.as_str()),
            "album_id": track.and_then(|row| row.album_id.as_deref()),
            "song_listeners": lastfm.map_or(Some(0), |row| row.song_listeners),
            "mbid": lastfm.and_then(|row| row.mbid.as_deref()),
            "duration_ms": track.and_then(|row| row.duration_ms),
            "duration_seconds": track.and_then(|row| row.duration_seconds),
            "duration_minutes": track.and_then(|row| row.duration_minutes),
            "engagement_ratio": lastfm.and_then(|row| row.engagement_ratio),
            "release_date": track.and_then(|row| row.release_date.as_deref()),
            "release_date_precision": track.and_then(|row| row.release_date_precision.as_deref()),
            "is_explicit": track.and_then(|row| row.is_explicit),
            "popularity": track.and_then(|row| row.popularity),
            "track_number": track.and_then(|row| row.track_number),
            "is_playable": track.and_then(|row| row.is_playable),
            "isrc": track.and_then(|row| row.isrc.as_deref()),
            "lastfm_match_score": lastfm.map(|row| row.match_score),
            "lastfm_match_quality": lastfm.map(|row| row.match_quality.as_str()),
        })
    }
}

fn numbers(numbers: &[f64]) -> String {
    Value::from(numbers).to_string()
}

fn audio_row(row: &SongAudioRow) -> Value {
    let f = &row.features;
    json!({
        "song_id": row.song_id, "bpm": f.bpm, "energy": f.energy, "spectral_centroid": f.spectral_centroid,
        "zero_crossing_rate": f.zero_crossing_rate, "danceability": row.danceability, "preview_url": row.preview_url,
        "harmonic_ratio": f.harmonic_ratio, "percussive_ratio": f.percussive_ratio, "duration_s": f.duration_s,
        "bpm_confidence": f.bpm_confidence, "bpm_reference": f.bpm_reference, "loudness_lufs": f.loudness_lufs,
        "loudness_range_lu": f.loudness_range_lu, "music_key": f.key, "music_mode": f.mode, "key_strength": f.key_strength,
        "onset_rate": f.onset_rate, "beat_regularity": f.beat_regularity, "spectral_bandwidth": f.spectral_bandwidth,
        "spectral_rolloff": f.spectral_rolloff, "spectral_flatness": f.spectral_flatness,
        "spectral_contrast": numbers(&f.spectral_contrast), "chroma": numbers(&f.chroma), "mfcc": numbers(&f.mfcc),
        "provider": row.provider, "clip_sha256": row.clip_sha256, "features_version": row.features_version,
    })
}
