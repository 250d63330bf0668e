//! A small world and what its sources say about it: never twice the same, at times that overlap and tie.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use reprise::mailbox::Outgoing;
use reprise::records::{
    AlbumRef, ArtistFigures, ArtistProfile, ArtistRef, AudioFeatures, ClipOutcome, Envelope, Features, FigureOutcome,
    ListenerFigures, MatchNote, Record, Subject, TopTrack, Topic, TrackFigures, partition_of,
};

use crate::chance::Chance;

/// Partitions of every topic: few, so that keys meet, and more than one, so that they meet across partitions.
pub const PARTITIONS: i32 = 3;

/// Scores below this are misses: the judge of the transformer.
pub const THRESHOLD: f64 = 0.5;

const GENRES: [&str; 5] = ["rock", "pop", "jazz", "salsa", "folk"];
const ALBUM_TYPES: [&str; 3] = ["single", "compilation", "album"];
const REASONS: [&str; 3] = ["not_found", "no_preview", "undecodable"];

/// The sources' answers, decided by the seed.
#[derive(Debug)]
pub struct Catalogue {
    chance: Chance,
    artists: usize,
    albums: usize,
    songs: usize,
    now: i64,
    injected: BTreeMap<Topic, u64>,
}

/// Shared by the stages and the injector of one run.
pub type World = Rc<RefCell<Catalogue>>;

impl Catalogue {
    /// The world of `seed`.
    pub fn new(seed: u64) -> Catalogue {
        let mut chance = Chance::new(seed, 2);
        let (artists, albums, songs) = (2 + chance.below(3), 2 + chance.below(3), 3 + chance.below(5));
        Catalogue { chance, artists, albums, songs, now: 1_000, injected: BTreeMap::new() }
    }

    /// How many songs a search can find.
    pub fn songs(&self) -> usize {
        self.songs
    }

    /// So many records of a topic do not come from a stage.
    pub fn count_injected(&mut self, topic: Topic) {
        *self.injected.entry(topic).or_default() += 1;
    }

    /// See [`Catalogue::count_injected`].
    pub fn injected(&self, topic: Topic) -> u64 {
        self.injected.get(&topic).copied().unwrap_or_default()
    }

    /// When the source answers: the clock moves, and answers arrive late or at the same moment.
    fn moment(&mut self) -> i64 {
        self.now += self.chance.between(0, 3);
        self.now - self.chance.between(0, 20)
    }

    /// The song with this number, as a search shows it now. Its primary artist is always the same, all else changes.
    pub fn track(&mut self, song: usize) -> Envelope<TopTrack> {
        self.track_named(&format!("song{song}"), song)
    }

    /// As [`Catalogue::track`], under another id.
    pub fn track_named(&mut self, id: &str, song: usize) -> Envelope<TopTrack> {
        let primary = self.artist(song % self.artists);
        let chance = &mut self.chance;
        let body = TopTrack {
            id: id.to_owned(),
            name: format!("Title {}", chance.below(4)),
            artists: vec![primary],
            album: None,
            duration_ms: chance.maybe(|chance| chance.between(500, 400_000)),
            explicit: chance.maybe(|chance| chance.percent(30)),
            is_playable: chance.maybe(|chance| chance.percent(90)),
            popularity: chance.maybe(|chance| chance.between(-5, 105)),
            track_number: chance.maybe(|chance| chance.between(1, 20)),
            isrc: None,
            preview_url: None,
        };
        let album = self.chance.percent(80).then(|| self.album());
        let observed_at = self.moment();
        Envelope::new(observed_at, "simulation", TopTrack { album, ..body })
    }

    fn artist(&mut self, number: usize) -> ArtistRef {
        ArtistRef { id: format!("artist{number}"), name: format!("Artist {number} v{}", self.chance.below(3)) }
    }

    fn album(&mut self) -> AlbumRef {
        let number = self.chance.below(self.albums);
        let artist = self.chance.below(self.artists);
        let artist = self.chance.percent(70).then(|| self.artist(artist));
        let chance = &mut self.chance;
        AlbumRef {
            id: format!("album{number}"),
            title: chance.maybe(|chance| format!("Album {number} v{}", chance.below(3))),
            album_type: Some((*chance.pick(&ALBUM_TYPES)).to_owned()),
            total_tracks: chance.maybe(|chance| chance.between(0, 30)),
            release_date: chance.maybe(|chance| format!("{}", chance.between(1960, 2026))),
            release_date_precision: Some("year".to_owned()),
            artist,
        }
    }

    fn names(&mut self) -> Vec<String> {
        let wanted = self.chance.below(3);
        (0..wanted).map(|_| (*self.chance.pick(&GENRES)).to_owned()).collect()
    }

    /// The profile of an artist, not older than `since`.
    pub fn profile(&mut self, artist_id: &str, since: i64) -> Envelope<ArtistProfile> {
        let genres = self.names();
        let chance = &mut self.chance;
        let body = ArtistProfile {
            artist_id: artist_id.to_owned(),
            name: format!("Profile of {artist_id} v{}", chance.below(3)),
            popularity: chance.maybe(|chance| chance.between(-5, 105)),
            followers: chance.maybe(|chance| chance.between(0, 1_000)),
            genres: chance.maybe(|_| genres),
            missing: None,
        };
        Envelope::new(self.moment().max(since), "simulation", body)
    }

    fn note(&mut self) -> MatchNote {
        MatchNote { score: self.chance.unit(), quality: "high".to_owned(), reasons: Vec::new(), margin: None }
    }

    fn reason(&mut self) -> String {
        (*self.chance.pick(&REASONS)).to_owned()
    }

    /// Last.fm's figures of an artist.
    pub fn artist_figures(&mut self, artist_id: &str, since: i64) -> Envelope<ListenerFigures> {
        let (tags, matched, reason) = (self.names(), self.note(), self.reason());
        let chance = &mut self.chance;
        let found = ArtistFigures {
            name: "N".to_owned(),
            mbid: None,
            on_tour: chance.maybe(|chance| chance.percent(20)),
            listeners: chance.maybe(|chance| chance.between(-1, 50)),
            playcount: chance.maybe(|chance| chance.between(0, 5_000)),
            tags,
            matched,
        };
        let missing = chance.percent(15);
        let figures = if missing { FigureOutcome::Missing { reason } } else { FigureOutcome::Found(found) };
        let body = ListenerFigures { artist_id: artist_id.to_owned(), subject: Subject::Artist { figures } };
        Envelope::new(self.moment().max(since), "simulation", body)
    }

    /// Last.fm's figures of a song.
    pub fn song_figures(&mut self, artist_id: &str, song_id: &str, since: i64) -> Envelope<ListenerFigures> {
        let (matched, reason) = (self.note(), self.reason());
        let chance = &mut self.chance;
        let found = TrackFigures {
            name: "N".to_owned(),
            mbid: chance.maybe(|_| "0b1e7a52-6d1c-4b1a-9a4e-000000000000".to_owned()),
            listeners: chance.maybe(|chance| chance.between(0, 50)),
            playcount: chance.maybe(|chance| chance.between(0, 5_000)),
            matched,
        };
        let missing = chance.percent(15);
        let figures = if missing { FigureOutcome::Missing { reason } } else { FigureOutcome::Found(found) };
        let subject = Subject::Track { song_id: song_id.to_owned(), figures };
        Envelope::new(self.moment().max(since), "simulation", ListenerFigures { artist_id: artist_id.to_owned(), subject })
    }

    /// The audio stage's answer.
    pub fn audio(&mut self, artist_id: &str, song_id: &str, since: i64) -> Envelope<AudioFeatures> {
        let (matched, reason) = (self.note(), self.reason());
        let chance = &mut self.chance;
        let features = Features {
            duration_s: 30.0,
            bpm: chance.maybe(|chance| 25.0 + 100.0 * chance.unit()),
            energy: chance.maybe(Chance::unit),
            zero_crossing_rate: chance.maybe(Chance::unit),
            key: Some("A".to_owned()),
            mode: Some((*chance.pick(&["major", "minor", "lydian"])).to_owned()),
            chroma: vec![chance.unit(), chance.unit()],
            ..Features::default()
        };
        let clip = if chance.percent(20) {
            ClipOutcome::Missing { reason, features_version: 1 }
        } else {
            ClipOutcome::Analyzed {
                provider: "deezer".to_owned(),
                clip_ref: format!("deezer:track:{}", chance.below(9)),
                clip_sha256: "00".to_owned(),
                features_version: 1,
                features: Box::new(features),
                matched: chance.maybe(|_| matched),
            }
        };
        let body = AudioFeatures { song_id: song_id.to_owned(), artist_id: artist_id.to_owned(), clip };
        Envelope::new(self.moment().max(since), "simulation", body)
    }

    /// A raw record about anything, whether or not anybody asked: late, early, about songs that no search ever found.
    pub fn anything(&mut self) -> Outgoing {
        let (song, kind) = (self.chance.below(self.songs + 2), self.chance.below(5));
        let (song_id, artist_id) = (format!("song{song}"), format!("artist{}", song % self.artists));
        let since = i64::MIN;
        match kind {
            0 => placed(&self.track(song)),
            1 => placed(&self.profile(&artist_id, since)),
            2 => placed(&self.artist_figures(&artist_id, since)),
            3 => placed(&self.song_figures(&artist_id, &song_id, since)),
            _ => placed(&self.audio(&artist_id, &song_id, since)),
        }
    }
}

/// A raw record where it belongs.
pub fn placed<T: Record>(envelope: &Envelope<T>) -> Outgoing {
    let partition = partition_of(envelope.body.partition_key(), PARTITIONS);
    Outgoing::record(envelope, partition, 0).expect("our records can be written")
}
