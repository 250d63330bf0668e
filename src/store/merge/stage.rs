//! Records made into rows to merge: duplicates folded, references followed, values checked.
//!
//! **Guarantee.** Of several records of one source about one row only the newest is staged. Every id that *any* record refers
//! to is staged as well, also when the record itself is old news: whether a stub parent exists then depends on the set of
//! records alone. Rows are kept sorted by key, because unsorted concurrent merges deadlock.

use std::collections::{BTreeMap, BTreeSet};

use super::super::statement::Cell;
use super::super::{Change, StoreError};
use super::tables::{ALBUMS, ARTIST_LASTFM, ARTIST_PROFILE, ARTISTS, AUDIO, MISSES, SONG_LASTFM, SONGS, TABLES, TRACK};
use crate::records::{AlbumRow, ArtistListenersRow, ArtistProfileRow, Row, SongAudioRow, SongListenersRow, SongRow, Version};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is what the row now says by its source.
    Won,
    /// The row says it already.
    Unchanged,
    /// The row, or another change, is newer.
    Superseded,
}

/// The newest record of one source about one row.
#[derive(Debug, Clone)]
pub(super) struct Staged {
    pub(super) version: Version,
    pub(super) cells: Vec<Cell>,
    /// Position among the changes.
    pub(super) change: usize,
}

/// One row to merge; without any source it is a stub, made only where the row is missing.
#[derive(Debug, Clone, Default)]
pub(super) struct StagedRow {
    pub(super) sources: Vec<Option<Staged>>,
}

/// The rows to merge by table, see [`TABLES`], and what is already known of each change's fate.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) tables: Vec<BTreeMap<Vec<String>, StagedRow>>,
    /// Which table and what fate: `Won` until proven otherwise.
    pub(super) fates: Vec<(usize, Fate)>,
    /// Artists whose genres may have changed.
    pub(super) relink: BTreeSet<String>,
}

impl Stage {
    /// # Errors
    /// [`StoreError::Data`] for values that one of the databases cannot hold: NUL in text, numbers that are not finite.
    pub(super) fn of(changes: &[Change]) -> Result<Stage, StoreError> {
        let mut stage = Stage {
            tables: TABLES.iter().map(|_| BTreeMap::new()).collect(),
            fates: Vec::with_capacity(changes.len()),
            relink: BTreeSet::new(),
        };
        for (position, change) in changes.iter().enumerate() {
            stage.add(position, change)?;
        }
        Ok(stage)
    }

    fn add(&mut self, position: usize, change: &Change) -> Result<(), StoreError> {
        match &change.row {
            Row::ArtistName(row) => self.stage(position, change, (ARTISTS, TRACK), vec![Cell::from(row.artist_name.as_str())]),
            Row::ArtistProfile(row) => {
                self.relink.insert(row.artist_id.clone());
                self.stage(position, change, (ARTISTS, ARTIST_PROFILE), profile_cells(row))
            }
            Row::ArtistListeners(row) => {
                self.relink.insert(row.artist_id.clone());
                self.stage(position, change, (ARTISTS, ARTIST_LASTFM), artist_listeners_cells(row))
            }
            Row::Album(row) => {
                self.refer(ARTISTS, row.artist_id.as_deref())?;
                self.stage(position, change, (ALBUMS, TRACK), album_cells(row))
            }
            Row::Song(row) => {
                self.refer(ARTISTS, Some(&row.artist_id))?;
                self.refer(ALBUMS, row.album_id.as_deref())?;
                self.stage(position, change, (SONGS, TRACK), song_cells(row))
            }
            Row::SongListeners(row) => self.stage(position, change, (SONGS, SONG_LASTFM), song_listeners_cells(row)),
            Row::SongAudio(row) => {
                self.refer(SONGS, Some(&row.song_id))?;
                self.stage(position, change, (AUDIO, TRACK), audio_cells(row)?)
            }
            Row::Miss(row) => {
                let cells = vec![Cell::from(row.reason.as_str()), Cell::Int(i64::from(row.features_version))];
                self.stage(position, change, (MISSES, TRACK), cells)
            }
        }
    }

    /// Another row points at `id`: it has to exist.
    fn refer(&mut self, table: usize, id: Option<&str>) -> Result<(), StoreError> {
        if let (Some(id), Some(rows)) = (id, self.tables.get_mut(table)) {
            check_key(table, id)?;
            rows.entry(vec![id.to_owned()]).or_default();
        }
        Ok(())
    }

    fn stage(
        &mut self,
        position: usize,
        change: &Change,
        (table, source): (usize, usize),
        mut cells: Vec<Cell>,
    ) -> Result<(), StoreError> {
        let key = match &change.row {
            Row::Miss(row) => vec![row.entity.clone(), row.entity_id.clone(), row.source.clone()],
            row => vec![row.entity_id().to_owned()],
        };
        key.iter().try_for_each(|part| check_key(table, part))?;
        cells.iter_mut().enumerate().try_for_each(|(column, cell)| check_cell((table, source, column), &key, cell))?;
        let Some(rows) = self.tables.get_mut(table) else { return Ok(()) };
        let row = rows.entry(key).or_default();
        if row.sources.len() <= source {
            row.sources.resize(source + 1, None);
        }
        let mut fate = Fate::Won;
        if let Some(slot) = row.sources.get_mut(source) {
            match slot {
                Some(held) if held.version > change.version => fate = Fate::Superseded,
                Some(held) if held.version == change.version => fate = Fate::Unchanged,
                held => {
                    let staged = Staged { version: change.version, cells, change: position };
                    if let Some(older) = held.replace(staged)
                        && let Some(entry) = self.fates.get_mut(older.change)
                    {
                        entry.1 = Fate::Superseded;
                    }
                }
            }
        }
        self.fates.push((table, fate));
        Ok(())
    }

    pub(super) fn decide(&mut self, change: usize, fate: Fate) {
        if let Some(entry) = self.fates.get_mut(change) {
            entry.1 = fate;
        }
    }
}

fn table_name(table: usize) -> &'static str {
    TABLES.get(table).map_or("", |table| table.name)
}

fn check_key(table: usize, id: &str) -> Result<(), StoreError> {
    if id.is_empty() || id.contains('\0') {
        return Err(StoreError::Data(format!("{}: {id:?} is no key: expected text without NUL", table_name(table))));
    }
    Ok(())
}

/// Refuses what PostgreSQL cannot store in text and SQLite not as a number, so that both refuse the same; and makes minus zero
/// zero, which SQLite does by itself.
fn check_cell((table, source, column): (usize, usize, usize), key: &[String], cell: &mut Cell) -> Result<(), StoreError> {
    let problem = match cell {
        Cell::Text(text) if text.contains('\0') => "text with a NUL character",
        Cell::Real(value) if !value.is_finite() => "a number that is not finite",
        Cell::Real(value) => {
            *value += 0.0;
            return Ok(());
        }
        _ => return Ok(()),
    };
    let name = TABLES
        .get(table)
        .and_then(|table| table.sources.get(source))
        .and_then(|source| source.columns.get(column))
        .map_or("", |column| column.name);
    Err(StoreError::Data(format!("{}.{name} of {}: {problem}", table_name(table), key.join("/"))))
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Cell {
        Cell::Real(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Cell {
        Cell::Int(i64::from(value))
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Cell {
        Cell::Int(value)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Bool(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Null, Into::into)
    }
}

/// Genre names as a JSON array in canonical form: sorted, without NULs, blanks or duplicates.
fn names_json<'n>(names: impl Iterator<Item = &'n String>) -> Cell {
    let names: BTreeSet<String> = names.map(|name| name.replace('\0', "")).filter(|name| !name.trim().is_empty()).collect();
    Cell::Text(serde_json::Value::from_iter(names).to_string())
}

fn profile_cells(row: &ArtistProfileRow) -> Vec<Cell> {
    vec![
        row.artist_name.as_str().into(),
        row.artist_popularity.into(),
        row.artist_followers.into(),
        row.genres.as_ref().map_or(Cell::Null, |genres| names_json(genres.iter())),
    ]
}

fn artist_listeners_cells(row: &ArtistListenersRow) -> Vec<Cell> {
    vec![
        row.on_tour.into(),
        row.total_listeners.into(),
        row.total_playcount.into(),
        row.plays_per_listener.into(),
        names_json(row.tags.iter()),
        row.match_score.into(),
        row.match_quality.as_str().into(),
    ]
}

fn album_cells(row: &AlbumRow) -> Vec<Cell> {
    vec![
        row.album_title.as_str().into(),
        row.artist_id.as_deref().into(),
        row.album_type.as_deref().into(),
        row.album_total_tracks.into(),
    ]
}

fn song_cells(row: &SongRow) -> Vec<Cell> {
    vec![
        row.song_name.as_str().into(),
        row.artist_id.as_str().into(),
        row.album_id.as_deref().into(),
        row.duration_ms.into(),
        row.duration_seconds.into(),
        row.duration_minutes.into(),
        row.release_date.as_deref().into(),
        row.release_date_precision.as_deref().into(),
        row.is_explicit.into(),
        row.popularity.into(),
        row.track_number.into(),
        row.is_playable.into(),
        row.isrc.as_deref().into(),
    ]
}

fn song_listeners_cells(row: &SongListenersRow) -> Vec<Cell> {
    vec![
        row.song_listeners.into(),
        row.mbid.as_deref().into(),
        row.engagement_ratio.into(),
        row.match_score.into(),
        row.match_quality.as_str().into(),
    ]
}

/// A vector feature as a JSON array.
fn numbers_json(row: &SongAudioRow, name: &str, numbers: &[f64]) -> Result<Cell, StoreError> {
    if numbers.iter().any(|number| !number.is_finite()) {
        let problem = format!("song_audio_features.{name} of {}: a number that is not finite", row.song_id);
        return Err(StoreError::Data(problem));
    }
    Ok(Cell::Text(serde_json::Value::from_iter(numbers.iter().map(|number| number + 0.0)).to_string()))
}

fn audio_cells(row: &SongAudioRow) -> Result<Vec<Cell>, StoreError> {
    let features = &row.features;
    let mut cells: Vec<Cell> = vec![
        row.preview_url.as_str().into(),
        row.provider.as_str().into(),
        row.clip_sha256.as_str().into(),
        row.features_version.into(),
        row.danceability.into(),
        features.duration_s.into(),
        features.bpm.into(),
        features.bpm_confidence.into(),
        features.bpm_reference.into(),
        features.energy.into(),
        features.spectral_centroid.into(),
        features.zero_crossing_rate.into(),
        features.harmonic_ratio.into(),
        features.percussive_ratio.into(),
        features.loudness_lufs.into(),
        features.loudness_range_lu.into(),
        features.key.as_deref().into(),
        features.mode.as_deref().into(),
        features.key_strength.into(),
        features.onset_rate.into(),
        features.beat_regularity.into(),
        features.spectral_bandwidth.into(),
        features.spectral_rolloff.into(),
        features.spectral_flatness.into(),
    ];
    cells.push(numbers_json(row, "spectral_contrast", &features.spectral_contrast)?);
    cells.push(numbers_json(row, "chroma", &features.chroma)?);
    cells.push(numbers_json(row, "mfcc", &features.mfcc)?);
    Ok(cells)
}
