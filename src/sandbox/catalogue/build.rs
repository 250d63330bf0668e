//! Builds a catalogue: albums for every artist, round by round, with remasters, singles and compilations in between.

use std::collections::{HashMap, HashSet};

use super::super::chance::{self, Dice};
use super::super::{fold, names};
use super::{Album, Artist, Catalogue, Recording, Size, Track, artists, recordings};

const EVERYWHERE: [&str; 12] = ["AR", "AU", "BR", "CA", "DE", "ES", "FR", "GB", "JP", "MX", "SE", "US"];
const EUROPE: [&str; 5] = ["DE", "ES", "FR", "GB", "SE"];
/// Share of facts out of range, as seen outside: zero durations, year 0000, albums of 0 or 999 tracks.
const BROKEN_SHARE: f64 = 0.004;

struct Builder {
    seed: u64,
    size: Size,
    artists: Vec<Artist>,
    recordings: Vec<Recording>,
    isrcs: Vec<String>,
    albums: Vec<Album>,
    tracks: Vec<Track>,
    titles: HashSet<(String, String)>,
}

/// How a recording is released on an album.
struct Release {
    recording: usize,
    note: Option<String>,
    isrc: String,
}

impl Catalogue {
    /// The catalogue of a seed. The same seed and size give the same catalogue, always.
    pub fn build(seed: u64, size: Size) -> Catalogue {
        let mut builder = Builder {
            seed,
            size,
            artists: artists::make(seed, size.artists),
            recordings: Vec::new(),
            isrcs: Vec::new(),
            albums: Vec::new(),
            tracks: Vec::with_capacity(size.tracks),
            titles: HashSet::new(),
        };
        let mut round = 0;
        while builder.tracks.len() < size.tracks {
            for artist in 0..builder.artists.len() - 1 {
                builder.year_of(artist, round);
            }
            round += 1;
        }
        builder.finish()
    }
}

impl Builder {
    fn full(&self) -> bool {
        self.tracks.len() >= self.size.tracks
    }

    /// What an artist releases in one round: everybody something in the first one, the famous more later.
    fn year_of(&mut self, artist: usize, round: usize) {
        let mut dice = Dice::new(self.seed, &["year", &artist.to_string(), &round.to_string()]);
        if self.full() || (round > 0 && !dice.happens(0.3)) {
            return;
        }
        let songs = if dice.happens(0.55) { dice.between(1, 2) } else { dice.between(4, 8) };
        let first = self.recordings.len();
        for _ in 0..songs {
            self.record(artist, &mut dice);
        }
        let made: Vec<usize> = (first..self.recordings.len()).collect();
        self.publish(artist, &made, &mut dice);
        if dice.happens(0.08) {
            self.remaster(artist, &made, &mut dice);
        }
        if made.len() > 3 && dice.happens(0.15) {
            self.publish(artist, &made[..1], &mut dice);
        }
        if self.recordings.len() > 40 && dice.happens(0.03) {
            self.compile(&mut dice);
        }
    }

    fn record(&mut self, artist: usize, dice: &mut Dice) {
        let tag = self.recordings.len().to_string();
        let own: Vec<usize> = (self.recordings.len().saturating_sub(6)..self.recordings.len())
            .filter(|index| self.recordings[*index].artists[0] == artist)
            .collect();
        let mut recording = if !own.is_empty() && dice.happens(0.12) {
            let original = &self.recordings[*dice.pick(&own)];
            recordings::another_take(self.seed, &tag, original, &self.artists)
        } else {
            let guests = self.guests(artist, dice);
            recordings::studio(self.seed, &tag, artist, guests, &self.artists)
        };
        // Titles are unique for each artist, and for artists whose names nearly are the same: the truth has no ties.
        let who = loose_name(&self.artists[artist].name);
        let plain = recording.title.clone();
        let mut copy = 1;
        while !self.titles.insert((who.clone(), fold::title_key(&recording.title))) {
            copy += 1;
            recording.title = format!("{plain} {}", roman(copy));
        }
        self.isrcs.push(self.isrc(&tag));
        self.recordings.push(recording);
    }

    fn guests(&self, artist: usize, dice: &mut Dice) -> Vec<usize> {
        let count = if dice.happens(0.12) { dice.between(1, 2) } else { 0 };
        let mut guests: Vec<usize> =
            (0..count).map(|_| dice.below(self.artists.len() - 1)).filter(|guest| *guest != artist).collect();
        guests.dedup();
        guests
    }

    fn isrc(&self, tag: &str) -> String {
        let mut dice = Dice::new(self.seed, &["isrc", tag]);
        let country = *dice.pick(&["US", "GB", "DE", "SE", "JP", "FR", "BR", "QM"]);
        let letters: String = (0..3).map(|_| char::from(b'A' + dice.below(26) as u8)).collect();
        // The number of the recording makes it unique.
        format!("{country}{letters}{:02}{:05}", dice.below(100), tag.parse::<u64>().unwrap_or(0) % 100_000)
    }

    /// A recording's ordinary release.
    fn as_recorded(&self, recording: usize) -> Release {
        Release { recording, note: None, isrc: self.isrcs[recording].clone() }
    }

    fn publish(&mut self, artist: usize, made: &[usize], dice: &mut Dice) {
        let releases: Vec<Release> = made.iter().map(|recording| self.as_recorded(*recording)).collect();
        let kind = if made.len() < 3 { "single" } else { "album" };
        let title = if kind == "single" { self.recordings[made[0]].title.clone() } else { names::album(dice) };
        self.release(vec![artist], kind, title, releases, dice);
    }

    fn remaster(&mut self, artist: usize, made: &[usize], dice: &mut Dice) {
        let year = dice.between(2003, 2024);
        let note = match dice.below(3) {
            0 => format!(" - {year} Remaster"),
            1 => format!(" - Remastered {year}"),
            _ => " (Remastered)".to_owned(),
        };
        let releases: Vec<Release> = made
            .iter()
            .map(|recording| Release {
                recording: *recording,
                note: Some(note.clone()),
                isrc: self.isrc(&(50_000 + recording % 50_000).to_string()),
            })
            .collect();
        let title = format!("{} ({year} Remaster)", names::album(dice));
        self.release(vec![artist], "album", title, releases, dice);
    }

    fn compile(&mut self, dice: &mut Dice) {
        let count = dice.between(6, 12);
        let mut picks: Vec<usize> = (0..count).map(|_| dice.below(self.recordings.len())).collect();
        picks.sort_unstable();
        picks.dedup();
        let releases: Vec<Release> = picks.iter().map(|recording| self.as_recorded(*recording)).collect();
        let title =
            format!("{} {}", dice.pick(&["Now Hear This!", "Café Nocturne", "Roots &", "100% Hits"]), dice.between(1, 60));
        let various = self.artists.len() - 1;
        self.release(vec![various], "compilation", title, releases, dice);
    }

    fn release(&mut self, artists: Vec<usize>, kind: &'static str, title: String, releases: Vec<Release>, dice: &mut Dice) {
        let (release_date, precision) = release_date(dice);
        let taken_down = dice.happens(BROKEN_SHARE);
        let total_tracks = if dice.happens(BROKEN_SHARE) { *dice.pick(&[0, 999]) } else { releases.len() as i64 };
        self.albums.push(Album {
            id: chance::base62_id(self.seed, &["album-id", &self.albums.len().to_string()]),
            title: if taken_down { String::new() } else { title },
            artists,
            kind,
            release_date,
            precision,
            total_tracks,
        });
        for (place, release) in releases.into_iter().enumerate() {
            if self.full() {
                return;
            }
            let track = self.track(release, place, taken_down, dice);
            self.tracks.push(track);
        }
    }

    fn track(&self, release: Release, place: usize, taken_down: bool, dice: &mut Dice) -> Track {
        let tag = self.tracks.len().to_string();
        let recording = &self.recordings[release.recording];
        let drift = if release.note.is_some() { dice.between(-900, 900) } else { 0 };
        let markets: &[&str] = match (taken_down, dice.below(20)) {
            (true, _) => &[],
            (false, 0) => &EUROPE,
            _ => &EVERYWHERE,
        };
        Track {
            id: chance::base62_id(self.seed, &["track-id", &tag]),
            title: released_title(recording, &self.artists, release.note.as_deref(), dice),
            recording: release.recording,
            album: self.albums.len() - 1,
            number: if dice.happens(BROKEN_SHARE) { *dice.pick(&[0, 120]) } else { place as i64 + 1 },
            duration_ms: if dice.happens(BROKEN_SHARE) { 0 } else { recording.duration_ms + drift },
            isrc: (!dice.happens(0.02)).then_some(release.isrc),
            markets,
            linked_from: dice.happens(0.03).then(|| chance::base62_id(self.seed, &["linked", &tag])),
            floats: dice.happens(0.02),
            deezer_id: 1_000_000
                + chance::mix(self.seed, &["deezer", &tag]) % 1_000_000 * 10_000
                + self.tracks.len() as u64 % 10_000,
            itunes_id: 200_000_000 + self.tracks.len() as u64 * 7 + chance::mix(self.seed, &["itunes", &tag]) % 7,
        }
    }

    fn finish(self) -> Catalogue {
        let Builder { seed, artists, recordings, albums, tracks, .. } = self;
        let artist_by_key = first_by_key(&artists, |artist| fold::name_key(&artist.name));
        let plus_lost = first_by_key(&artists, |artist| {
            let lost = if artist.name.contains('+') { artist.name.replace('+', " ") } else { String::new() };
            fold::name_key(&lost)
        });
        let mut track_by_id: HashMap<String, usize> = HashMap::new();
        let mut track_by_isrc: HashMap<String, usize> = HashMap::new();
        for (index, track) in tracks.iter().enumerate() {
            track_by_id.insert(track.id.clone(), index);
            track_by_id.extend(track.linked_from.clone().map(|id| (id, index)));
            if let Some(isrc) = &track.isrc {
                track_by_isrc.entry(isrc.clone()).or_insert(index);
            }
        }
        let mut recording_by_title = HashMap::new();
        for (index, recording) in recordings.iter().enumerate() {
            let key = (fold::name_key(&artists[recording.artists[0]].name), fold::title_key(&recording.title));
            recording_by_title.entry(key).or_insert(index);
        }
        Catalogue {
            seed,
            artist_by_id: artists.iter().enumerate().map(|(index, artist)| (artist.id.clone(), index)).collect(),
            artist_by_mbid: first_by_key(&artists, |artist| artist.mbid.clone().unwrap_or_default()),
            track_by_deezer: tracks.iter().enumerate().map(|(index, track)| (track.deezer_id, index)).collect(),
            track_by_itunes: tracks.iter().enumerate().map(|(index, track)| (track.itunes_id, index)).collect(),
            track_by_id,
            track_by_isrc,
            artist_by_key,
            plus_lost,
            recording_by_title,
            artists,
            recordings,
            albums,
            tracks,
        }
    }
}

fn first_by_key(artists: &[Artist], key: impl Fn(&Artist) -> String) -> HashMap<String, usize> {
    let mut first = HashMap::new();
    for (index, artist) in artists.iter().enumerate() {
        let key = key(artist);
        if !key.is_empty() {
            first.entry(key).or_insert(index);
        }
    }
    first
}

/// A name without what [`names::near`] changes.
fn loose_name(name: &str) -> String {
    let key = fold::name_key(name);
    let mut key = key.strip_prefix("the ").unwrap_or(&key);
    for suffix in [" trio", " uk", " ii", " orchestra", "s"] {
        key = key.strip_suffix(suffix).unwrap_or(key);
    }
    key.to_owned()
}

fn roman(number: usize) -> String {
    const NUMERALS: [&str; 9] = ["II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"];
    NUMERALS.get(number - 2).map_or_else(|| format!("No. {number}"), |numeral| (*numeral).to_owned())
}

fn released_title(recording: &Recording, artists: &[Artist], note: Option<&str>, dice: &mut Dice) -> String {
    let guests: Vec<&str> = recording.artists[1..].iter().map(|index| artists[*index].name.as_str()).collect();
    let mut title = recording.title.clone();
    if !guests.is_empty() && dice.happens(0.8) {
        let billing = guests.join(" & ");
        title = if dice.happens(0.7) { format!("{title} (feat. {billing})") } else { format!("{title} feat. {billing}") };
    }
    title + note.unwrap_or_default()
}

fn release_date(dice: &mut Dice) -> (String, &'static str) {
    if dice.happens(BROKEN_SHARE) {
        return ("0000".to_owned(), "year");
    }
    let year = if dice.happens(0.7) { dice.between(2005, 2026) } else { dice.between(1955, 2004) };
    let (month, day) = (dice.between(1, 12), dice.between(1, 28));
    match dice.below(10) {
        0 | 1 => (format!("{year:04}"), "year"),
        2 => (format!("{year:04}-{month:02}"), "month"),
        _ => (format!("{year:04}-{month:02}-{day:02}"), "day"),
    }
}
