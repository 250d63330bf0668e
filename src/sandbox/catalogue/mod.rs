//! The catalogue: thousands of artists, recordings, albums and tracks, a pure function of the seed.
//!
//! A [`Recording`] is what was played once in a studio or on a stage; a [`Track`] is a release of it on an album. What
//! the other services know hangs on the recording, so that a remaster, a single and a compilation of the same song
//! lead to the same figures and the same clip, whichever of its titles a client looks for. A live version, a remix or
//! an acoustic take is another recording.

mod artists;
mod build;
mod genres;
mod recordings;

use std::collections::HashMap;

pub use genres::FAMILIES;

use super::clips::Score;
use super::fold;

/// How big a catalogue is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Artists.
    pub artists: usize,
    /// Tracks, over all albums.
    pub tracks: usize,
}

/// What Last.fm makes of an artist's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtistPage {
    /// A page under the name as asked, or under a spelling that differs in case and accents only.
    Found,
    /// No page.
    Missing,
    /// Corrected to `[unknown]`.
    Unknown,
    /// A page that says that it is an incorrect tag.
    IncorrectTag,
    /// Corrected to quite another artist.
    Other,
}

/// What Last.fm makes of a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackPage {
    /// A page.
    Found,
    /// A page without listeners.
    Unheard,
    /// A page that somebody's typo made: two listeners, nothing else.
    Ghost,
    /// No page.
    Missing,
    /// Corrected to quite another title.
    Other,
}

/// An artist.
#[derive(Debug, Clone)]
pub struct Artist {
    /// Spotify id.
    pub id: String,
    /// Name on Spotify.
    pub name: String,
    /// Index into [`FAMILIES`].
    pub family: usize,
    /// Genres on Spotify; a fifth of the artists has none.
    pub genres: Vec<String>,
    /// 0 to 100.
    pub popularity: i64,
    /// Followers; unknown for a few.
    pub followers: Option<i64>,
    /// Whether there are pictures.
    pub pictured: bool,
    /// What Last.fm makes of the name.
    pub page: ArtistPage,
    /// Name on Last.fm.
    pub lastfm_name: String,
    /// MusicBrainz id, where Last.fm knows it.
    pub mbid: Option<String>,
    /// Listeners on Last.fm.
    pub listeners: i64,
    /// Plays on Last.fm.
    pub playcount: i64,
    /// On tour, says Last.fm.
    pub on_tour: bool,
    /// Last.fm's top tags.
    pub tags: Vec<String>,
    /// Whether Last.fm has a biography.
    pub has_bio: bool,
}

/// Where a recording's clip can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Found by ISRC and by search.
    Listed,
    /// Found by search only.
    SearchOnly,
    /// Found, without a clip.
    Mute,
    /// Not there.
    Absent,
}

/// A recording.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Artists, primary one first.
    pub artists: Vec<usize>,
    /// Title, with the version where it is one of another kind (`- Live at ...`), without guests.
    pub title: String,
    /// Milliseconds.
    pub duration_ms: i64,
    /// Popularity, 0 to 100.
    pub popularity: i64,
    /// Marked explicit.
    pub explicit: bool,
    /// What Last.fm makes of the title.
    pub page: TrackPage,
    /// MusicBrainz recording id, where Last.fm knows it.
    pub mbid: Option<String>,
    /// Listeners on Last.fm.
    pub listeners: i64,
    /// Plays on Last.fm.
    pub playcount: i64,
    /// Last.fm's tags.
    pub tags: Vec<String>,
    /// What the clip sounds like.
    pub score: Score,
    /// On Deezer.
    pub deezer: Shelf,
    /// On iTunes, which knows no ISRC.
    pub itunes: Shelf,
    /// Whether Spotify's API gives a preview to the few who still get any.
    pub spotify_preview: bool,
    /// Whether the embed page has a preview.
    pub embed_preview: bool,
    /// Whether the shops also carry a karaoke version, listed first.
    pub karaoke: bool,
}

/// An album.
#[derive(Debug, Clone)]
pub struct Album {
    /// Spotify id.
    pub id: String,
    /// Title; empty after a takedown.
    pub title: String,
    /// Artists, primary one first.
    pub artists: Vec<usize>,
    /// `album`, `single` or `compilation`.
    pub kind: &'static str,
    /// As Spotify writes it.
    pub release_date: String,
    /// `year`, `month` or `day`.
    pub precision: &'static str,
    /// Tracks on the album, as Spotify says: a few are 0 or beyond any album.
    pub total_tracks: i64,
}

/// A release of a recording.
#[derive(Debug, Clone)]
pub struct Track {
    /// Spotify id.
    pub id: String,
    /// Title as released, guests and remaster included.
    pub title: String,
    /// Index of the recording.
    pub recording: usize,
    /// Index of the album.
    pub album: usize,
    /// From 1; a few are 0.
    pub number: i64,
    /// Milliseconds; within a second or two of the recording's, a few are 0.
    pub duration_ms: i64,
    /// The code; a few tracks have none.
    pub isrc: Option<String>,
    /// Markets where it plays; empty after a takedown.
    pub markets: &'static [&'static str],
    /// The id it was asked by before it was relinked.
    pub linked_from: Option<String>,
    /// Whether Spotify writes its numbers as floats.
    pub floats: bool,
    /// Id at Deezer.
    pub deezer_id: u64,
    /// Id at iTunes.
    pub itunes_id: u64,
}

/// Everything there is.
#[derive(Debug)]
pub struct Catalogue {
    /// The seed it came from.
    pub seed: u64,
    /// Artists; the last one is "Various Artists".
    pub artists: Vec<Artist>,
    /// Recordings.
    pub recordings: Vec<Recording>,
    /// Albums.
    pub albums: Vec<Album>,
    /// Tracks.
    pub tracks: Vec<Track>,
    artist_by_id: HashMap<String, usize>,
    track_by_id: HashMap<String, usize>,
    track_by_isrc: HashMap<String, usize>,
    track_by_deezer: HashMap<u64, usize>,
    track_by_itunes: HashMap<u64, usize>,
    artist_by_key: HashMap<String, usize>,
    artist_by_mbid: HashMap<String, usize>,
    plus_lost: HashMap<String, usize>,
    recording_by_title: HashMap<(String, String), usize>,
}

impl Catalogue {
    /// The artist with this Spotify id.
    pub fn artist_by_id(&self, id: &str) -> Option<&Artist> {
        self.artist_by_id.get(id).map(|index| &self.artists[*index])
    }

    /// The track with this Spotify id, or the one that it was relinked to.
    pub fn track_by_id(&self, id: &str) -> Option<usize> {
        self.track_by_id.get(id).copied()
    }

    /// A track with this code.
    pub fn track_by_isrc(&self, isrc: &str) -> Option<usize> {
        self.track_by_isrc.get(&isrc.to_uppercase()).copied()
    }

    /// The track with this Deezer id.
    pub fn track_by_deezer(&self, id: u64) -> Option<usize> {
        self.track_by_deezer.get(&id).copied()
    }

    /// What MusicBrainz calls this recording: it knows two thirds of those that Last.fm has no id of.
    pub fn musicbrainz_id(&self, recording: usize) -> Option<String> {
        let parts = ["musicbrainz", &recording.to_string()];
        let own = || (!super::chance::mix(self.seed, &parts).is_multiple_of(3)).then(|| super::chance::uuid(self.seed, &parts));
        self.recordings.get(recording).and_then(|known| known.mbid.clone()).or_else(own)
    }

    /// The track with this iTunes id.
    pub fn track_by_itunes(&self, id: u64) -> Option<usize> {
        self.track_by_itunes.get(&id).copied()
    }

    /// The artist whose page a name leads to: the first of those that differ in case and accents only.
    pub fn page_of(&self, name: &str) -> Option<&Artist> {
        self.artist_by_key.get(&fold::name_key(name)).map(|index| &self.artists[*index])
    }

    /// The artist whose page has this MusicBrainz id.
    pub fn page_of_mbid(&self, mbid: &str) -> Option<&Artist> {
        self.artist_by_mbid.get(mbid).map(|index| &self.artists[*index])
    }

    /// The artist whose `+` a double decoding turned into a space on the way to this name.
    pub fn plus_lost(&self, name: &str) -> Option<&Artist> {
        self.plus_lost.get(&fold::name_key(name)).map(|index| &self.artists[*index])
    }

    /// The recording that an artist's and a title's words lead to.
    pub fn recording_of(&self, artist: &str, title: &str) -> Option<&Recording> {
        let key = (fold::name_key(artist), fold::title_key(title));
        self.recording_by_title.get(&key).map(|index| &self.recordings[*index])
    }

    /// The recording of a track.
    pub fn recording(&self, track: &Track) -> &Recording {
        &self.recordings[track.recording]
    }

    /// The album of a track.
    pub fn album(&self, track: &Track) -> &Album {
        &self.albums[track.album]
    }

    /// The primary artist of a recording.
    pub fn primary(&self, recording: &Recording) -> &Artist {
        &self.artists[recording.artists[0]]
    }

    /// Names of a recording's artists, primary one first.
    pub fn artist_names<'a>(&'a self, recording: &'a Recording) -> impl Iterator<Item = &'a str> {
        recording.artists.iter().map(|index| self.artists[*index].name.as_str())
    }
}
