//! Tracks: a title, its artist and the evidence around them, compared apart and then combined.
//!
//! Identifiers decide first (ISRC, then MusicBrainz id). Otherwise title and artist are each compared; the duration
//! confirms or denies, the album does so weakly; another version, another number or another artist caps the score below
//! every threshold, however equal the rest.

use super::alignment::{compare_names, length, plain_similarity};
use super::artist::Artist;
use super::fold::fold;
use super::outcome::{Comparison, Reason, Reasons};
use super::title::Title;
use super::versions::{LIVE, Version, is_number};
use super::words::Words;

mod titles;

use titles::TitleComparison;

/// What is known about a track; only the title must be there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TrackQuery<'a> {
    pub title: &'a str,
    /// Empty if unknown.
    pub artist: &'a str,
    pub album: Option<&'a str>,
    pub duration_s: Option<f64>,
    pub isrc: Option<&'a str>,
    pub mbid: Option<&'a str>,
}

/// A track, normalised once for many comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    title: Title,
    artist: Artist,
    album: Option<Album>,
    duration_s: Option<f64>,
    isrc: Option<String>,
    mbid: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Album {
    /// As given.
    full: Words,
    /// Without brackets: edition and year.
    bare: Words,
    /// Versions that its words say all its recordings are: "Live in Paris", "The Remixes".
    said: u16,
    /// Versions that its words hint at, wherever they stand: "Live Through This", "Party Mix".
    hinted: u16,
}

/// The weights of the combination. Title over artist as in beets (3 to 2): a catalogue spells titles with more care.
mod weight {
    pub const TITLE: f64 = 0.6;
    pub const ARTIST: f64 = 0.4;
    /// An artist unknown on one side: the title alone is weak evidence.
    pub const ARTIST_UNKNOWN: f64 = 0.9;
    /// The share of the remaining doubt that an equal duration, an equal album removes.
    pub const DURATION_EQUAL: f64 = 0.4;
    pub const ALBUM_EQUAL: f64 = 0.2;
    pub const DURATION_DIFFERS: f64 = 0.1;
    pub const ALBUM_DIFFERS: f64 = 0.03;
    pub const LIVE_ALBUM: f64 = 0.15;
    pub const SUBTITLE: f64 = 0.12;
    /// A title of which only some words are left, beside the same artist and length.
    pub const CUT_TITLE: f64 = 0.75;
    /// "Symphony No. 40" and "Symphony No. 41": low enough for the cap on other titles.
    pub const OTHER_NUMBERS: f64 = 0.5;
    /// No title on one side, all else equal: a match of low quality.
    pub const WITHOUT_TITLE: f64 = 0.82;
}

/// Highest scores of pairs that differ in what cannot be made up for; all below the lowest threshold, 0.7.
mod cap {
    pub const VERSION: f64 = 0.6;
    pub const PART: f64 = 0.62;
    pub const ARTIST: f64 = 0.65;
    pub const TITLE: f64 = 0.65;
}

/// Durations that differ by no more than this are equal: catalogues round and pad.
const SAME_SECONDS: f64 = 2.5;
/// Beyond this the recordings differ, or the version does.
const OTHER_SECONDS: f64 = 30.0;
/// The similarity from which titles can be the same, with and without an equal length to confirm it.
const SAME_TITLE: f64 = 0.7;
const SAME_TITLE_WITH_LENGTH: f64 = 0.6;
/// The similarity from which a segment of a title counts as the name of the artist or album.
const NAMES_IT: f64 = 0.75;

impl Track {
    /// Normalises what is known about a track.
    pub fn new(query: &TrackQuery<'_>) -> Track {
        let clean = |text: Option<&str>, kept: fn(char) -> bool| -> Option<String> {
            let id: String =
                text?.chars().take(64).filter(|letter| kept(*letter)).map(|letter| letter.to_ascii_uppercase()).collect();
            // The nil UUID and its kin fill a column; they name nothing.
            let filler = id.chars().all(|letter| id.starts_with(letter));
            (!filler).then_some(id)
        };
        let artist = Artist::new(query.artist);
        Track {
            title: Title::new(query.title, !artist.is_unknown()),
            artist,
            album: query.album.and_then(Album::new),
            duration_s: query.duration_s.filter(|seconds| seconds.is_finite() && *seconds > 0.0),
            isrc: clean(query.isrc, |letter| letter.is_ascii_alphanumeric()).filter(|id| id.len() == 12),
            mbid: clean(query.mbid, |letter| letter.is_ascii_hexdigit()).filter(|id| id.len() == 32),
        }
    }

    /// The artist, for a look into the alias file.
    pub fn artist(&self) -> &Artist {
        &self.artist
    }

    /// Seconds between the two lengths, where both are known.
    pub fn seconds_apart(&self, other: &Track) -> Option<f64> {
        Some((self.duration_s? - other.duration_s?).abs())
    }

    /// The numbers in the title, in order.
    pub fn title_numbers(&self) -> impl Iterator<Item = &str> {
        self.title.content.iter().flat_map(Words::iter).filter(|word| is_number(word))
    }

    /// How likely the two are the same track: the composite, before a threshold. `same_artist` is the alias file's word.
    pub fn compare(&self, other: &Track, same_artist: Option<bool>) -> Comparison {
        if self.isrc.is_some() && self.isrc == other.isrc {
            return Comparison::new(1.0, Reason::SameIsrc);
        }
        if self.mbid.is_some() && self.mbid == other.mbid {
            return Comparison::new(1.0, Reason::SameMbid);
        }
        let nothing = |track: &Track| track.title.is_empty() && track.title.placeholder.is_empty();
        if nothing(self) && nothing(other) {
            return Comparison::new(0.0, Reason::NothingToCompare);
        }
        if self == other && same_artist != Some(false) {
            return Comparison::new(1.0, Reason::Equal);
        }
        if self.title.is_empty() || other.title.is_empty() {
            return self.compare_without_title(other, same_artist);
        }
        let title = TitleComparison::of(self, other);
        let artist = self.compare_artists(other, &title, same_artist);
        self.combine(other, title, artist)
    }

    /// A title is missing. Only the same artist, album and length together still say that it is the same track.
    fn compare_without_title(&self, other: &Track, same_artist: Option<bool>) -> Comparison {
        let artist = same_artist.map_or_else(|| self.artist.compare(&other.artist).score, |same| f64::from(u8::from(same)));
        let evidence = [self.album_evidence(other), self.duration_evidence(other)];
        let album = evidence.contains(&Some(Reason::AlbumEqual)) || self.has_album_of(other) || other.has_album_of(self);
        let confirmed = album && evidence.contains(&Some(Reason::DurationEqual)) && artist >= 0.85;
        let score = if confirmed && !self.artist.is_unknown() { weight::WITHOUT_TITLE } else { 0.0 };
        let reasons = evidence.into_iter().flatten().fold(Reasons::of(Reason::TitleUnknown), Reasons::with);
        Comparison { score, reasons: if artist >= 0.85 { reasons.with(Reason::ArtistEqual) } else { reasons } }
    }

    /// The other's title ends with this album.
    fn has_album_of(&self, other: &Track) -> bool {
        self.album.as_ref().is_some_and(|album| other.title.content.iter().skip(1).any(|segment| album.is(segment)))
    }

    fn combine(&self, other: &Track, title: TitleComparison, artist: ArtistComparison) -> Comparison {
        let mut reasons = title.reasons.and(artist.reasons);
        let title_score = self.title_score(other, &title, &artist);
        let known = artist.score.map(|score| weight::TITLE * title_score + weight::ARTIST * score);
        let mut score = known.unwrap_or(weight::ARTIST_UNKNOWN * title_score);
        let duration = self.duration_evidence(other);
        let album = self.album_evidence(other);
        let (same_length, same_album) = (duration == Some(Reason::DurationEqual), album == Some(Reason::AlbumEqual));
        score += (1.0 - score) * if same_length { weight::DURATION_EQUAL } else { 0.0 };
        score += (1.0 - score) * if same_album { weight::ALBUM_EQUAL } else { 0.0 };
        if duration == Some(Reason::DurationDiffers) {
            score -= weight::DURATION_DIFFERS;
        }
        if album == Some(Reason::AlbumDiffers) {
            let live = self.album_says(LIVE, false) != other.album_says(LIVE, false) && !same_length;
            score -= if live { weight::LIVE_ALBUM } else { weight::ALBUM_DIFFERS };
        }
        reasons = duration.into_iter().chain(album).fold(reasons, Reasons::with);
        let version = self.version_difference(other, album, same_length);
        // Title, album and length agree: then half a name is a mangled name.
        let all_else = title.score > 0.95 && (same_album || title.album_in_title) && same_length;
        // A name that is only similar needs something that speaks for the same recording, and nothing that speaks against it.
        let confirmed = same_length || same_album || title.album_in_title;
        let doubtful =
            artist.misspelt && !confirmed || artist.inexact() && duration == Some(Reason::DurationDiffers) && !same_album;
        let caps = [
            (doubtful, cap::ARTIST),
            (version.is_some(), cap::VERSION),
            (title.part_differs, cap::PART),
            (title_score < if same_length { SAME_TITLE_WITH_LENGTH } else { SAME_TITLE }, cap::TITLE),
            (artist.score.is_some_and(|score| score < 0.55 && !(all_else && score > 0.25)), cap::ARTIST),
        ];
        score = caps.into_iter().filter(|(holds, _)| *holds).fold(score, |score, (_, cap)| score.min(cap));
        reasons = version.into_iter().fold(reasons, Reasons::with);
        Comparison { score: score.clamp(0.0, 1.0), reasons }
    }

    /// A cut or stuttering title ("Eyes Eyes") of a known artist is believed if the length is the same.
    fn title_score(&self, other: &Track, title: &TitleComparison, artist: &ArtistComparison) -> f64 {
        let known = artist.score.is_some_and(|score| score >= 0.85) && !title.part_differs;
        let cut = known && title.cut_short && self.duration_evidence(other) == Some(Reason::DurationEqual);
        if cut { title.score.max(weight::CUT_TITLE) } else { title.score }
    }

    fn duration_evidence(&self, other: &Track) -> Option<Reason> {
        Some(match self.seconds_apart(other)? {
            apart if apart <= SAME_SECONDS => Reason::DurationEqual,
            apart if apart <= OTHER_SECONDS => Reason::DurationNear,
            _ => Reason::DurationDiffers,
        })
    }

    fn album_evidence(&self, other: &Track) -> Option<Reason> {
        let (one, two) = (self.album.as_ref()?, other.album.as_ref()?);
        Some(if one.is(&two.bare) || one.is(&two.full) { Reason::AlbumEqual } else { Reason::AlbumDiffers })
    }

    /// The albums are equal with their brackets: "Fearless" is not "Fearless (Taylor's Version)".
    fn same_edition(&self, other: &Track) -> bool {
        let albums = self.album.as_ref().zip(other.album.as_ref());
        albums.is_some_and(|(one, two)| plain_similarity(one.full.key(), two.full.key()) >= NAMES_IT)
    }

    /// A mere hint is believed beside an equal length only.
    fn album_says(&self, kinds: u16, same_length: bool) -> u16 {
        let says = |album: &Album| if same_length { album.said | album.hinted } else { album.said };
        self.album.as_ref().map_or(0, |album| says(album) & kinds)
    }

    /// Another recording of the song, unless the other side's album explains the words.
    fn version_difference(&self, other: &Track, album: Option<Reason>, same_length: bool) -> Option<Reason> {
        let (one, two) = (&self.title.version, &other.title.version);
        if one.kinds() == 0 && two.kinds() == 0 {
            return None;
        }
        let same_album = album == Some(Reason::AlbumEqual) && self.same_edition(other);
        let unexplained = |owner: &Track, reader: &Track| {
            // An unknown album explains nothing, unless an equal length says that it is the same recording.
            let own_counts = same_album || (reader.album.is_none() && same_length);
            let says = |track: &Track| track.album_says(u16::MAX, same_length);
            let hints = says(reader) | if own_counts { says(owner) } else { 0 };
            let kinds = owner.title.version.kinds_except(|tail| reader.album.as_ref().is_some_and(|album| album.is(tail)));
            kinds & !(reader.title.version.kinds() | hints) != 0
        };
        if unexplained(self, other) || unexplained(other, self) {
            return Some(Reason::VersionDiffers);
        }
        let (a, b) = (one.which(), two.which());
        let named = one.kinds() != 0 && two.kinds() != 0 && !a.is_empty() && !b.is_empty();
        let other_one = named && compare_names(a, b).score.max(plain_similarity(a.key(), b.key())) < 0.6 && !contains(a, b);
        other_one.then_some(Reason::VersionDiffers)
    }

    fn compare_artists(&self, other: &Track, title: &TitleComparison, same: Option<bool>) -> ArtistComparison {
        match same {
            Some(true) => return ArtistComparison::new(1.0, Reason::AliasSame),
            Some(false) => return ArtistComparison::new(0.0, Reason::AliasDifferent),
            None => {}
        }
        if self.artist.is_unknown() || other.artist.is_unknown() {
            return match title.artist_in_title {
                true => ArtistComparison::new(0.97, Reason::ArtistInTitle),
                false => ArtistComparison { score: None, misspelt: false, reasons: Reasons::of(Reason::ArtistUnknown) },
            };
        }
        let strict = self.artist.compare(&other.artist).score;
        if strict >= 0.85 {
            return ArtistComparison::new(strict, if strict >= 1.0 { Reason::ArtistEqual } else { Reason::ArtistSimilar });
        }
        if self.shares_artist(other) {
            return ArtistComparison::new(0.9, Reason::ArtistShared);
        }
        // A short or mangled name is no match by itself; beside an equal title and duration it is a misspelling.
        let loose = 0.9 * plain_similarity(self.artist.words().key(), other.artist.words().key());
        let score = strict.max(loose);
        let found = ArtistComparison::new(score, if score >= 0.55 { Reason::ArtistSimilar } else { Reason::ArtistDiffers });
        ArtistComparison { misspelt: true, ..found }
    }

    /// One artist of a joint name, or a guest named in the title, is the other side's artist.
    fn shares_artist(&self, other: &Track) -> bool {
        let joint = |track: &Track| track.artist.parts().count() > 1 || !track.title.guests.is_empty();
        if !joint(self) && !joint(other) {
            return false;
        }
        let names = |track: &Track| {
            track.artist.parts().chain(&track.title.guests).filter(|name| is_telling(name)).cloned().collect::<Vec<_>>()
        };
        let theirs = names(other);
        names(self).iter().any(|mine| theirs.iter().any(|name| compare_names(mine, name).score >= 0.9))
    }
}

/// A part of a joint name that names somebody: "& Friends" and "& The Ensemble" stand behind anybody's name.
fn is_telling(part: &Words) -> bool {
    const ANYBODYS: [&str; 14] = [
        "friends",
        "sons",
        "brothers",
        "sisters",
        "family",
        "band",
        "ensemble",
        "orchestra",
        "choir",
        "chorus",
        "company",
        "co",
        "others",
        "guests",
    ];
    !part.is_symbols() && !ANYBODYS.contains(&part.key())
}

fn contains(one: &Words, other: &Words) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short.iter().all(|word| long.iter().any(|same| same == word))
}

struct ArtistComparison {
    /// `None` if one side has no artist and the title does not name it.
    score: Option<f64>,
    /// No match by itself.
    misspelt: bool,
    reasons: Reasons,
}

impl ArtistComparison {
    fn new(score: f64, reason: Reason) -> ArtistComparison {
        ArtistComparison { score: Some(score), misspelt: false, reasons: Reasons::of(reason) }
    }

    /// Neither equal nor equal but for what was left out of it.
    fn inexact(&self) -> bool {
        self.score.is_some_and(|score| score < 0.95)
    }
}

impl Album {
    fn new(raw: &str) -> Option<Album> {
        let folded = fold(raw);
        let full = Words::new(&folded);
        let start = folded.find(['(', '[']).filter(|at| *at > 0);
        let bare = start.and_then(|at| folded.get(..at)).map_or_else(|| full.clone(), Words::new);
        let bare = if bare.is_empty() { full.clone() } else { bare };
        let brackets = start.and_then(|at| folded.get(at..)).map_or_else(Words::default, Words::new);
        let said = Version::said(&full) | Version::said_by_tail(&brackets);
        let hinted = Version::hinted(&full);
        let known = !full.is_empty() && full.key() != "unknown" && full.key() != "unknownalbum";
        known.then_some(Album { full, bare, said, hinted })
    }

    /// True if `words` are this album's name, or nearly.
    fn is(&self, words: &Words) -> bool {
        let near = |name: &Words| {
            let shorter = length(name.key()).min(length(words.key()));
            name.key() == words.key() || (shorter > 4 && plain_similarity(name.key(), words.key()) >= NAMES_IT)
        };
        near(&self.bare) || near(&self.full)
    }
}
