//! Builds that are wrong on purpose. The simulation has to catch each of them, or it proves nothing.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use reprise::records::{Row, Version};
use reprise::store::{Change, StoreError};

/// A deliberate mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The loader commits its offset before the rows are written, and trusts the commit.
    CommitFirst,
    /// The store lets the last writer to arrive win, not the newest observation.
    NoGuard,
    /// The transformer appends whatever comes, older than the last or not.
    NoGuardInTransformer,
    /// The store makes no stub for a parent that has not arrived.
    ForgetStub,
}

impl Broken {
    /// All of them.
    pub const ALL: [Broken; 4] = [Broken::CommitFirst, Broken::NoGuard, Broken::NoGuardInTransformer, Broken::ForgetStub];
}

/// What a store with a mistake keeps in mind.
#[derive(Debug, Default)]
pub struct Mistake {
    arrivals: Mutex<i64>,
    parents: Mutex<BTreeSet<(&'static str, String)>>,
}

impl Mistake {
    /// [`Broken::NoGuard`]: whatever arrives later is newer.
    pub fn by_arrival(&self, changes: &[Change]) -> Vec<Change> {
        let mut arrivals = self.arrivals.lock();
        let mut late = |change: &Change| {
            *arrivals += 1;
            Change { version: Version { observed_at: *arrivals, tiebreak: 0 }, ..change.clone() }
        };
        changes.iter().map(&mut late).collect()
    }

    /// [`Broken::ForgetStub`]: what a database without stubs says.
    pub fn parents_there(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut parents = self.parents.lock().clone();
        parents.extend(changes.iter().filter_map(|change| own(&change.row)));
        let orphan = changes.iter().flat_map(|change| needed(&change.row)).find(|parent| !parents.contains(parent));
        match orphan {
            Some((table, id)) => Err(StoreError::Data(format!("FOREIGN KEY constraint failed: {table} has no {id}"))),
            None => Ok(()),
        }
    }

    /// Remembers the rows that were written.
    pub fn written(&self, changes: &[Change]) {
        self.parents.lock().extend(changes.iter().filter_map(|change| own(&change.row)));
    }
}

fn own(row: &Row) -> Option<(&'static str, String)> {
    let table = match row {
        Row::ArtistName(_) | Row::ArtistProfile(_) | Row::ArtistListeners(_) => "artists",
        Row::Album(_) => "albums",
        Row::Song(_) | Row::SongListeners(_) => "songs",
        Row::SongAudio(_) | Row::Miss(_) => return None,
    };
    Some((table, row.entity_id().to_owned()))
}

fn needed(row: &Row) -> Vec<(&'static str, String)> {
    match row {
        Row::Album(album) => album.artist_id.iter().map(|id| ("artists", id.clone())).collect(),
        Row::Song(song) => {
            let album = song.album_id.iter().map(|id| ("albums", id.clone()));
            std::iter::once(("artists", song.artist_id.clone())).chain(album).collect()
        }
        Row::SongAudio(audio) => vec![("songs", audio.song_id.clone())],
        _ => Vec::new(),
    }
}
