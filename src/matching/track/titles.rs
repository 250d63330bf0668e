//! The titles of two tracks: which of their segments to compare.
//!
//! The segments that name an artist or an album of either side are taken away; if the rest differs, further readings are
//! tried, each at a price. The best reading decides.

use super::super::alignment::{compare_names, length, numbers, plain_similarity};
use super::super::outcome::{Reason, Reasons};
use super::super::versions::is_number;
use super::super::words::Words;
use super::{NAMES_IT, Track, contains, weight};

/// The titles of two tracks, freed of what belongs to their artists and albums.
pub(super) struct TitleComparison {
    pub(super) score: f64,
    pub(super) part_differs: bool,
    pub(super) artist_in_title: bool,
    pub(super) album_in_title: bool,
    /// All words of one title are in the other.
    pub(super) cut_short: bool,
    pub(super) reasons: Reasons,
}

impl TitleComparison {
    pub(super) fn of(one: &Track, other: &Track) -> TitleComparison {
        let (a, b) = (Freed::of(one, other), Freed::of(other, one));
        let (whole_a, whole_b) = (a.whole(), b.whole());
        let mut best = similarity(&whole_a, &whole_b);
        if best < 1.0 {
            best = best.max(a.nearest(&b, &whole_b)).max(b.nearest(&a, &whole_a)).max(spelled_out(&whole_a, &whole_b));
        }
        let part_differs = best < 0.6 && numbers_differ(&whole_a, &whole_b)
            || parts_differ(one, other)
            || best < 1.0 && is_sequel(one, other, &a, &b);
        let mut reasons = Reasons::of(match best {
            1.0.. => Reason::TitleEqual,
            0.7.. => Reason::TitleSimilar,
            _ => Reason::TitleDiffers,
        });
        if a.album_found || b.album_found {
            reasons = reasons.with(Reason::AlbumInTitle);
        }
        if part_differs {
            reasons = reasons.with(Reason::PartDiffers);
        }
        TitleComparison {
            score: best,
            part_differs,
            artist_in_title: a.artist_found || b.artist_found,
            album_in_title: a.album_found || b.album_found,
            cut_short: best < weight::CUT_TITLE && contains(&whole_a, &whole_b),
            reasons,
        }
    }
}

/// The segments of a title without those that name the artist or the album of either side.
struct Freed<'a> {
    segments: Vec<&'a Words>,
    /// The other side's artist was taken from the start of this title.
    artist_found: bool,
    artist_unknown: bool,
    album_found: bool,
    track: &'a Track,
}

impl<'a> Freed<'a> {
    fn of(track: &'a Track, other: &Track) -> Freed<'a> {
        let mut freed = Freed {
            segments: track.title.content.iter().collect(),
            artist_found: false,
            artist_unknown: track.artist.is_unknown(),
            album_found: false,
            track,
        };
        // The artist first: behind it a title may have the name of its album.
        freed.drop_artist(track, other);
        freed.drop_album(track, other);
        freed
    }

    /// The shortest run of segments at the end that names an album.
    fn drop_album(&mut self, track: &Track, other: &Track) {
        for from in (1..self.segments.len()).rev() {
            let tail = Words::joined(self.segments.iter().skip(from).copied());
            if [&track.album, &other.album].into_iter().flatten().any(|album| album.is(&tail)) {
                self.segments.truncate(from);
                self.album_found = true;
                return;
            }
        }
    }

    fn drop_artist(&mut self, track: &Track, other: &Track) {
        let Some((first, true)) = self.segments.first().map(|first| (*first, self.segments.len() > 1)) else { return };
        if self.artist_unknown && other.artist.is_named(first, NAMES_IT)
            || track.artist.is_named(first, NAMES_IT) && !self.rest_is_album(track, other)
        {
            self.segments.remove(0);
            self.artist_found = self.artist_unknown;
        }
    }

    /// Behind the first segment stands nothing but an album: then the first is the title, even if it has the artist's name.
    fn rest_is_album(&self, track: &Track, other: &Track) -> bool {
        let rest = Words::joined(self.segments.iter().skip(1).copied());
        [&track.album, &other.album].into_iter().flatten().any(|album| album.is(&rest))
    }

    fn whole(&self) -> Words {
        match self.segments.as_slice() {
            [only] => (*only).clone(),
            all => Words::joined(all.iter().copied()),
        }
    }

    /// The other readings of this title, each at a price: without its subtitles, without an artist at its start, with the
    /// album that was taken for a subtitle.
    fn nearest(&self, other: &Freed<'_>, other_whole: &Words) -> f64 {
        let mut best = 0.0f64;
        if other.segments.len() == 1
            || !(self.artist_unknown || other.artist_unknown)
            || self.artist_found
            || other.artist_found
        {
            for kept in 1..self.segments.len() {
                let start = Words::joined(self.segments.iter().take(kept).copied());
                best = best.max(similarity(&start, other_whole) - weight::SUBTITLE);
            }
        }
        let unnamed = self.artist_unknown && !self.artist_found;
        if let Some(rest) = self.segments.get(1..).filter(|rest| unnamed && !rest.is_empty()) {
            best = best.max(similarity(&Words::joined(rest.iter().copied()), other_whole) - weight::SUBTITLE / 2.0);
        }
        if self.album_found {
            let all = Words::joined(self.track.title.content.iter());
            best = best.max(similarity(&all, other_whole) - weight::SUBTITLE / 2.0);
        } else if let Some(album) = &other.track.album {
            // Title and album run together: "CrashSiteFootnotes".
            let glued = Words::joined([other_whole, &album.full].into_iter());
            best = best.max(similarity(&self.whole(), &glued) - weight::SUBTITLE / 2.0);
        }
        if let (true, [only]) = (self.artist_unknown, self.segments.as_slice()) {
            let rest = only.key().strip_prefix(other.track.artist.words().key()).filter(|rest| !rest.is_empty());
            if let Some(rest) = rest.filter(|_| length(other.track.artist.words().key()) > 4) {
                best = best.max(plain_similarity(rest, other_whole.key()) - weight::SUBTITLE / 2.0);
            }
        }
        best
    }
}

/// Titles: plain distance, or the same words in another order; with other numbers they are other titles.
fn similarity(one: &Words, other: &Words) -> f64 {
    if one.is_empty() || other.is_empty() || one.is_symbols() != other.is_symbols() {
        return 0.0;
    }
    if one.key() == other.key() {
        return 1.0;
    }
    let aligned = compare_names(one, other).score;
    let score = plain_similarity(one.key(), other.key()).max(aligned);
    if numbers_differ(one, other) { score.min(weight::OTHER_NUMBERS) } else { score }
}

/// "I Would Die 4 U" and "I Would Die for You".
fn spelled_out(one: &Words, other: &Words) -> f64 {
    let short = |words: &Words| words.iter().any(|word| matches!(word, "4" | "2" | "u" | "r" | "ur"));
    if short(one) == short(other) {
        return 0.0;
    }
    let long = |words: &Words| -> String {
        let spelled = |word| match word {
            "4" => "for",
            "2" | "too" => "to",
            "u" => "you",
            "r" => "are",
            "ur" => "your",
            same => same,
        };
        words.iter().map(spelled).collect()
    };
    if long(one) == long(other) { 1.0 } else { 0.0 }
}

/// "Symphony No. 40" and "Symphony No. 41": numbers in titles count; "Part 2" does so even if the other has none.
fn numbers_differ(one: &Words, other: &Words) -> bool {
    let part = |words: &Words| words.iter().zip(words.iter().skip(1)).any(|(word, next)| word == "part" && is_number(next));
    if part(one) != part(other) {
        return true;
    }
    let (one, other) = (numbers(one.key()), numbers(other.key()));
    !one.is_empty() && !other.is_empty() && one != other
}

/// "The Unforgiven" and "The Unforgiven II": one has a number more, and nothing else. Beside the same album and length the
/// number was cut off.
fn is_sequel(one: &Track, other: &Track, a: &Freed<'_>, b: &Freed<'_>) -> bool {
    let follows = |first: &Words, second: &Words| {
        let number = second.key().strip_prefix(first.key()).filter(|_| second.len() == first.len() + 1);
        number.is_some_and(|number| !number.is_empty() && is_number(number))
    };
    let either = |a: &Words, b: &Words| follows(a, b) || follows(b, a);
    let heads = a.segments.first().zip(b.segments.first());
    let sequel = either(&a.whole(), &b.whole()) || heads.is_some_and(|(a, b)| either(a, b));
    let evidence = [one.album_evidence(other), one.duration_evidence(other)];
    sequel && evidence != [Some(Reason::AlbumEqual), Some(Reason::DurationEqual)]
}

/// Part numbers behind the titles differ, and they are not those of an album ("Best of, Volume 2").
fn parts_differ(one: &Track, other: &Track) -> bool {
    let (a, b) = (one.title.version.part(), other.title.version.part());
    let of_album = |part: &Words| {
        let albums = [&one.album, &other.album].into_iter().flatten();
        part.iter().all(|number| albums.clone().any(|album| album.full.iter().any(|word| word == number)))
    };
    a.key() != b.key() && !(of_album(a) && of_album(b))
}
