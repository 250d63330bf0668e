//! What a comparison answers: a score, a verdict, how sure it is, and why.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How sure a link is; travels with every joined record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// The same identifier, or equal after normalisation with nothing left out.
    Exact,
    /// A match that left out a featured artist, a bracket or a typing error.
    High,
    /// Just above the threshold, or no match at all.
    Low,
}

impl Quality {
    /// The label in records, metrics and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Quality::Exact => "exact",
            Quality::High => "high",
            Quality::Low => "low",
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The answer to "are these the same?".
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchResult {
    /// 0 to 1.
    pub score: f64,
    /// The score reaches the threshold.
    #[serde(rename = "match")]
    pub matched: bool,
    pub quality: Quality,
    /// The distance to the second-best candidate; `None` if there was only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// What decided, for a person to read.
    pub reasons: Vec<String>,
}

/// Everything that can decide a comparison: a closed set, in the order in which a person wants to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    AliasSame,
    AliasDifferent,
    SameIsrc,
    SameMbid,
    NothingToCompare,
    SymbolsDiffer,
    Equal,
    Reordered,
    Similar,
    Different,
    ShortName,
    ExtraWords,
    WordDiffers,
    GuestLeftOut,
    BracketLeftOut,
    TailLeftOut,
    NumberLeftOut,
    OtherScriptLeftOut,
    NicknameLeftOut,
    InitialLeftOut,
    TitleEqual,
    TitleSimilar,
    TitleDiffers,
    TitleUnknown,
    VersionDiffers,
    PartDiffers,
    ArtistEqual,
    ArtistSimilar,
    ArtistShared,
    ArtistDiffers,
    ArtistUnknown,
    ArtistInTitle,
    AlbumInTitle,
    AlbumEqual,
    AlbumDiffers,
    DurationEqual,
    DurationNear,
    DurationDiffers,
    OtherRecording,
    ReferenceRatio,
}

impl Reason {
    const ALL: [Reason; 40] = [
        Reason::AliasSame,
        Reason::AliasDifferent,
        Reason::SameIsrc,
        Reason::SameMbid,
        Reason::NothingToCompare,
        Reason::SymbolsDiffer,
        Reason::Equal,
        Reason::Reordered,
        Reason::Similar,
        Reason::Different,
        Reason::ShortName,
        Reason::ExtraWords,
        Reason::WordDiffers,
        Reason::GuestLeftOut,
        Reason::BracketLeftOut,
        Reason::TailLeftOut,
        Reason::NumberLeftOut,
        Reason::OtherScriptLeftOut,
        Reason::NicknameLeftOut,
        Reason::InitialLeftOut,
        Reason::TitleEqual,
        Reason::TitleSimilar,
        Reason::TitleDiffers,
        Reason::TitleUnknown,
        Reason::VersionDiffers,
        Reason::PartDiffers,
        Reason::ArtistEqual,
        Reason::ArtistSimilar,
        Reason::ArtistShared,
        Reason::ArtistDiffers,
        Reason::ArtistUnknown,
        Reason::ArtistInTitle,
        Reason::AlbumInTitle,
        Reason::AlbumEqual,
        Reason::AlbumDiffers,
        Reason::DurationEqual,
        Reason::DurationNear,
        Reason::DurationDiffers,
        Reason::OtherRecording,
        Reason::ReferenceRatio,
    ];

    /// One line for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::AliasSame => "the alias file says they are the same",
            Reason::AliasDifferent => "the alias file says they are different",
            Reason::SameIsrc => "same ISRC",
            Reason::SameMbid => "same MusicBrainz id",
            Reason::NothingToCompare => "nothing to compare: a name without letters, digits or symbols",
            Reason::SymbolsDiffer => "a name of symbols equals only itself",
            Reason::Equal => "equal after normalisation",
            Reason::Reordered => "same words in another order",
            Reason::Similar => "nearly the same spelling",
            Reason::Different => "different names",
            Reason::ShortName => "short names must be equal",
            Reason::ExtraWords => "one name has words that the other lacks",
            Reason::WordDiffers => "one word differs too much for a typing error",
            Reason::GuestLeftOut => "featured artists left out",
            Reason::BracketLeftOut => "text in brackets left out",
            Reason::TailLeftOut => "text beside a dash left out",
            Reason::NumberLeftOut => "track number left out",
            Reason::OtherScriptLeftOut => "compared in one script of two",
            Reason::NicknameLeftOut => "text in quotes left out",
            Reason::InitialLeftOut => "title or initial left out",
            Reason::TitleEqual => "title equal",
            Reason::TitleSimilar => "title similar",
            Reason::TitleDiffers => "title differs",
            Reason::TitleUnknown => "title unknown",
            Reason::VersionDiffers => "another version (live, remix, acoustic, demo, ...)",
            Reason::PartDiffers => "another part or number",
            Reason::ArtistEqual => "artist equal",
            Reason::ArtistSimilar => "artist similar",
            Reason::ArtistShared => "one artist in common",
            Reason::ArtistDiffers => "artist differs",
            Reason::ArtistUnknown => "artist unknown on one side",
            Reason::ArtistInTitle => "artist found in the title",
            Reason::AlbumInTitle => "album found in the title",
            Reason::AlbumEqual => "album equal",
            Reason::AlbumDiffers => "album differs",
            Reason::DurationEqual => "duration equal within 2 s",
            Reason::DurationNear => "duration near",
            Reason::DurationDiffers => "duration differs by more than 30 s",
            Reason::OtherRecording => "not surely the same recording",
            Reason::ReferenceRatio => "difflib ratio of the predecessor",
        }
    }
}

/// A set of reasons; small and `Copy`, so that a comparison allocates nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasons(u64);

impl Reasons {
    pub fn of(reason: Reason) -> Reasons {
        Reasons(1 << reason as u8)
    }

    pub fn with(self, reason: Reason) -> Reasons {
        Reasons(self.0 | 1 << reason as u8)
    }

    pub fn and(self, other: Reasons) -> Reasons {
        Reasons(self.0 | other.0)
    }

    pub fn has(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| self.has(*reason))
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}

/// A score and what made it, before a threshold turns it into a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    pub score: f64,
    pub reasons: Reasons,
}

impl Comparison {
    pub fn new(score: f64, reason: Reason) -> Comparison {
        Comparison { score, reasons: Reasons::of(reason) }
    }

    /// The better of two. Of two equally good ones the one with the earlier reasons, so that the answer does not depend on
    /// the order of the names.
    pub fn or_better(self, other: Comparison) -> Comparison {
        if other.score > self.score || (other.score == self.score && other.reasons.0 < self.reasons.0) { other } else { self }
    }

    pub fn result(self, threshold: f64) -> MatchResult {
        let score = self.score.clamp(0.0, 1.0);
        // difflib calls two empty names equal; nobody should join them.
        let matched = score >= threshold && !self.reasons.has(Reason::NothingToCompare);
        let quality = match score {
            _ if !matched => Quality::Low,
            EXACT_SCORE.. => Quality::Exact,
            HIGH_SCORE.. => Quality::High,
            _ => Quality::Low,
        };
        MatchResult {
            score,
            matched,
            quality,
            margin: None,
            reasons: self.reasons.iter().map(|reason| reason.as_str().to_owned()).collect(),
        }
    }
}

/// Nothing was left out and no letter differs: allows for rounding only.
const EXACT_SCORE: f64 = 0.999;
/// One thing left out, or one typing error in a name of usual length.
const HIGH_SCORE: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_once_and_in_order() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(at, reason as usize, "{reason:?}");
        }
    }

    #[test]
    fn the_label_follows_the_score() {
        let quality = |score| Comparison::new(score, Reason::Similar).result(0.85).quality;
        assert_eq!(quality(1.0), Quality::Exact);
        assert_eq!(quality(0.95), Quality::High);
        assert_eq!(quality(0.86), Quality::Low);
        assert_eq!(quality(0.5), Quality::Low);
    }
}
