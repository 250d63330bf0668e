//! What Deezer and iTunes have in common: a search that ranks by resemblance and carries things nobody wanted.

use super::catalogue::{Recording, Shelf, Track};
use super::fold;
use super::world::Stand;

/// Which shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shop {
    /// Deezer.
    Deezer,
    /// iTunes.
    Itunes,
}

/// A row of a shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Index of the track.
    pub track: usize,
    /// Id in the shop.
    pub id: u64,
    /// Title.
    pub title: String,
    /// Artist.
    pub artist: String,
    /// Whether it is somebody's imitation of the track.
    pub karaoke: bool,
    /// Whether there is a clip.
    pub has_clip: bool,
}

/// Bit of an id that marks an imitation. Ids of tracks are below.
const KARAOKE_BIT: u64 = 1 << 40;

impl Shop {
    /// Where a recording stands in this shop.
    pub fn shelf(self, recording: &Recording) -> Shelf {
        match self {
            Shop::Deezer => recording.deezer,
            Shop::Itunes => recording.itunes,
        }
    }

    fn id(self, track: &Track) -> u64 {
        match self {
            Shop::Deezer => track.deezer_id,
            Shop::Itunes => track.itunes_id,
        }
    }

    /// The row of a track, if the shop has it.
    pub fn item(self, stand: &Stand<'_>, track: usize) -> Option<Item> {
        let (release, recording) = stand.release(track);
        let shelf = self.shelf(recording);
        (shelf != Shelf::Absent).then(|| Item {
            track,
            id: self.id(release),
            title: release.title.clone(),
            artist: stand.catalogue().primary(recording).name.clone(),
            karaoke: false,
            has_clip: shelf != Shelf::Mute,
        })
    }

    fn karaoke(self, stand: &Stand<'_>, track: usize) -> Option<Item> {
        let (release, recording) = stand.release(track);
        recording.karaoke.then(|| Item {
            track,
            id: self.id(release) | KARAOKE_BIT,
            title: format!("{} (Karaoke Version)", release.title),
            artist: "Starlight Backing Band".to_owned(),
            karaoke: true,
            has_clip: true,
        })
    }

    /// Rows for these words: imitations of the best hit first, then what resembles most.
    pub fn search(self, stand: &Stand<'_>, text: &str, limit: usize) -> Vec<Item> {
        let words = fold::words(text);
        let alike = stand.world.index.resembling(&words, limit.min(100) * 3);
        let mut items: Vec<Item> = alike.first().and_then(|best| self.karaoke(stand, *best)).into_iter().collect();
        items.extend(alike.into_iter().filter_map(|track| self.item(stand, track)));
        items.truncate(limit);
        items
    }
}

/// The track's number behind an id of a clip, and whether it is the imitation's.
pub fn split_id(id: u64) -> (u64, bool) {
    (id & !KARAOKE_BIT, id & KARAOKE_BIT != 0)
}
