//! Recordings: is a track that a search found the very recording that was asked for?
//!
//! Two tracks can be the same for joining their figures and still not sound alike. A clip of another recording puts somebody
//! else's tempo and key on a song, which is worse than having no clip; so what is enough to join is not enough here, unless an
//! identifier says so. Clips come from shops whose names and lengths are clean: what differs there differs for a reason.

use super::matcher::{Matcher, Mode, best};
use super::outcome::{Comparison, MatchResult, Reason};
use super::track::{Track, TrackQuery};

/// Shops agree about the length of a recording within this: they round, and pad with silence.
const EQUAL_TITLE_SECONDS: f64 = 5.0;
/// Where the titles are spelt differently, the length has to make up for it.
const SIMILAR_TITLE_SECONDS: f64 = 2.5;
/// The score of what is not confirmed: below every threshold, as for another version.
const UNCONFIRMED: f64 = 0.65;

impl Matcher {
    /// The candidate that is most likely the recording asked for, with its margin to the second best; it is only if it
    /// matched. `None` without candidates. In reference mode what the predecessor would have taken.
    pub fn best_recording(&self, asked: &TrackQuery<'_>, candidates: &[TrackQuery<'_>]) -> Option<(usize, MatchResult)> {
        let prepared = Track::new(asked);
        let compared = candidates.iter().map(|candidate| match self.mode() {
            Mode::Composite => self.compare_recordings(&prepared, &Track::new(candidate)),
            Mode::Reference => self.compare_track_queries((asked, &prepared), (candidate, &Track::new(candidate))),
        });
        best(compared, self.thresholds().track)
    }

    fn compare_recordings(&self, asked: &Track, candidate: &Track) -> Comparison {
        let comparison = self.compare_tracks(asked, candidate);
        let by_identifier = comparison.reasons.has(Reason::SameIsrc) || comparison.reasons.has(Reason::SameMbid);
        if by_identifier || (self.is_same_artist(comparison, asked, candidate) && is_confirmed(comparison, asked, candidate)) {
            return comparison;
        }
        Comparison { score: comparison.score.min(UNCONFIRMED), reasons: comparison.reasons.with(Reason::OtherRecording) }
    }

    /// A name that is only similar has to be a match by itself: no length makes "Hollow Pilots" of "Hollow Whalers".
    fn is_same_artist(&self, comparison: Comparison, asked: &Track, candidate: &Track) -> bool {
        !comparison.reasons.has(Reason::ArtistSimilar)
            || self.compare_artists(asked.artist(), candidate.artist()).score >= self.thresholds().artist
    }
}

/// Equal titles of about one length, or similar ones with the same numbers of exactly one length. Without a length on one
/// side, equal titles.
fn is_confirmed(comparison: Comparison, asked: &Track, candidate: &Track) -> bool {
    let equal = comparison.reasons.has(Reason::TitleEqual) || comparison.reasons.has(Reason::Equal);
    let similar = comparison.reasons.has(Reason::TitleSimilar) && asked.title_numbers().eq(candidate.title_numbers());
    match asked.seconds_apart(candidate) {
        Some(apart) => (equal && apart <= EQUAL_TITLE_SECONDS) || (similar && apart <= SIMILAR_TITLE_SECONDS),
        None => equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track<'a>(artist: &'a str, title: &'a str, duration_s: Option<f64>) -> TrackQuery<'a> {
        TrackQuery { title, artist, album: Some("Songs"), duration_s, ..TrackQuery::default() }
    }

    fn takes(asked: TrackQuery<'_>, candidate: TrackQuery<'_>) -> bool {
        Matcher::default().best_recording(&asked, &[candidate]).is_some_and(|(_, found)| found.matched)
    }

    #[test]
    fn the_recording_is_taken_however_it_is_written() {
        let asked = track("Beyoncé", "Run the World (Girls)", Some(236.0));
        for found in [
            track("Beyonce", "Run The World (Girls)", Some(238.9)),
            track("BEYONCÉ", "Run the Wrold (Girls)", Some(236.5)),
            track("Beyoncé", "Run the World (Girls)", None),
        ] {
            assert!(takes(asked, found), "{found:?}");
        }
        let coded = |query| TrackQuery { isrc: Some("USSM11103042"), ..query };
        assert!(takes(coded(asked), coded(track("Beyoncé", "Girls", Some(300.0)))), "an identifier decides");
    }

    #[test]
    fn what_only_resembles_it_is_not() {
        let asked = track("Hollow Pilots", "Summer", Some(200.0));
        for found in [
            track("Hollow Whalers", "Summer", Some(200.5)),
            track("Hollow Pilots", "Summer", Some(260.0)),
            track("Hollow Pilots", "Summer II", Some(201.0)),
            track("Hollow Pilots", "Seven Summer", Some(200.0)),
            track("Hollow Pilots", "Summre", None),
            track("Hollow Pilots", "Summre", Some(204.0)),
        ] {
            assert!(!takes(asked, found), "{found:?}");
        }
    }
}
