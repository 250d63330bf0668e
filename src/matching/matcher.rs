//! The matcher: mode, thresholds and aliases in one value that every stage shares.

use super::aliases::Aliases;
use super::artist::Artist;
use super::outcome::{Comparison, MatchResult, Reason};
use super::reference::{reference_ratio, squeezed};
use super::track::{Track, TrackQuery};
use serde::{Deserialize, Serialize};

/// From which score two names are the same. Valid from 0.7 to 0.9: below, precision falls fast, above, recall does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    pub artist: f64,
    pub track: f64,
}

impl Thresholds {
    /// The valid range, in which the README's curve was measured.
    pub const RANGE: std::ops::RangeInclusive<f64> = 0.7..=0.9;

    /// True if both thresholds are in the valid range.
    pub fn are_valid(&self) -> bool {
        Self::RANGE.contains(&self.artist) && Self::RANGE.contains(&self.track)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds { artist: 0.85, track: 0.8 }
    }
}

/// How names are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Normalisation, alignment of words, versions, durations: the default.
    #[default]
    Composite,
    /// The predecessor's difflib ratio, to reproduce its joins.
    Reference,
}

/// Compares artists and tracks. Holds no state that changes: share it by `Arc`.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    mode: Mode,
    thresholds: Thresholds,
    aliases: Aliases,
}

impl Matcher {
    pub fn new(mode: Mode, thresholds: Thresholds, aliases: Aliases) -> Matcher {
        Matcher { mode, thresholds, aliases }
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Are these two names the same artist?
    pub fn artist(&self, a: &str, b: &str) -> MatchResult {
        self.compare_artist_names(&Named::new(a), &Named::new(b)).result(self.thresholds.artist)
    }

    /// Compares names that were normalised before; the alias file has the first word. Composite in every mode.
    pub fn compare_artists(&self, a: &Artist, b: &Artist) -> Comparison {
        alias_verdict(self.aliases.same(a, b)).unwrap_or_else(|| a.compare(b))
    }

    /// Are these two records the same track?
    pub fn track(&self, a: &TrackQuery<'_>, b: &TrackQuery<'_>) -> MatchResult {
        self.compare_track_queries((a, &Track::new(a)), (b, &Track::new(b))).result(self.thresholds.track)
    }

    /// Compares tracks that were normalised before. Composite in every mode.
    pub fn compare_tracks(&self, a: &Track, b: &Track) -> Comparison {
        a.compare(b, self.aliases.same(a.artist(), b.artist()))
    }

    /// The candidate that matches best, with its margin to the second best; `None` if none matches. The first of equals.
    pub fn best_track(&self, asked: &TrackQuery<'_>, candidates: &[TrackQuery<'_>]) -> Option<(usize, MatchResult)> {
        let prepared = Track::new(asked);
        let compared = candidates
            .iter()
            .map(|candidate| self.compare_track_queries((asked, &prepared), (candidate, &Track::new(candidate))));
        best(compared, self.thresholds.track).filter(|(_, found)| found.matched)
    }

    /// As [`Matcher::best_track`], for names of artists.
    pub fn best_artist(&self, asked: &str, candidates: &[&str]) -> Option<(usize, MatchResult)> {
        let asked = Named::new(asked);
        best(
            candidates.iter().map(|candidate| self.compare_artist_names(&asked, &Named::new(candidate))),
            self.thresholds.artist,
        )
        .filter(|(_, found)| found.matched)
    }

    fn compare_artist_names(&self, a: &Named<'_>, b: &Named<'_>) -> Comparison {
        if self.mode == Mode::Composite {
            return self.compare_artists(&a.artist, &b.artist);
        }
        alias_verdict(self.aliases.same(&a.artist, &b.artist)).unwrap_or_else(|| reference(a.name, b.name))
    }

    pub(super) fn compare_track_queries(&self, a: (&TrackQuery<'_>, &Track), b: (&TrackQuery<'_>, &Track)) -> Comparison {
        match self.mode {
            Mode::Composite => self.compare_tracks(a.1, b.1),
            // The predecessor glued artist and title together.
            Mode::Reference => reference(&glued(a.0), &glued(b.0)),
        }
    }
}

struct Named<'a> {
    name: &'a str,
    artist: Artist,
}

impl<'a> Named<'a> {
    fn new(name: &'a str) -> Named<'a> {
        Named { name, artist: Artist::new(name) }
    }
}

fn alias_verdict(same: Option<bool>) -> Option<Comparison> {
    same.map(|same| if same { Comparison::new(1.0, Reason::AliasSame) } else { Comparison::new(0.0, Reason::AliasDifferent) })
}

fn reference(a: &str, b: &str) -> Comparison {
    let nothing = squeezed(a).is_empty() || squeezed(b).is_empty();
    Comparison::new(reference_ratio(a, b), if nothing { Reason::NothingToCompare } else { Reason::ReferenceRatio })
}

fn glued(track: &TrackQuery<'_>) -> String {
    format!("{} {}", track.artist, track.title)
}

/// The best comparison and its margin to the second best, whether or not it reaches the threshold.
pub(super) fn best(compared: impl Iterator<Item = Comparison>, threshold: f64) -> Option<(usize, MatchResult)> {
    let mut first: Option<(usize, Comparison)> = None;
    let mut second: Option<f64> = None;
    for (at, comparison) in compared.enumerate() {
        match first {
            Some((_, leader)) if comparison.score <= leader.score => {
                second = Some(second.map_or(comparison.score, |score| score.max(comparison.score)))
            }
            leader => {
                second = leader.map(|(_, leader)| leader.score);
                first = Some((at, comparison));
            }
        }
    }
    let (at, comparison) = first?;
    let mut result = comparison.result(threshold);
    result.margin = second.map(|second| (comparison.score - second).max(0.0));
    Some((at, result))
}
