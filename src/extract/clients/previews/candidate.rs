//! What a provider knows of a track that might be the one asked for. Pure.

use crate::matching::{MatchResult, Matcher, TrackQuery};
use crate::records::{MatchNote, TopTrack};

/// A track of a provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidate {
    /// The provider's id.
    pub id: i64,
    /// Title with its version words.
    pub title: String,
    /// Artists as one text.
    pub artist: String,
    /// Album title.
    pub album: Option<String>,
    /// Seconds.
    pub duration_s: Option<f64>,
    /// Not in search results.
    pub isrc: Option<String>,
    /// The clip's link, `None` when there is none.
    pub link: Option<String>,
}

/// What a search brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// The recording asked for, with a clip, and how well it matches.
    Found(Box<Candidate>, MatchNote),
    /// Candidates with clips, none of which is the recording: the score of the best.
    Unlike(f64),
    /// No candidate has a clip.
    NoClip,
}

/// The candidate with a clip that is the recording asked for.
pub fn choose(matcher: &Matcher, track: &TopTrack, candidates: Vec<Candidate>) -> Choice {
    let mut playable: Vec<Candidate> = candidates.into_iter().filter(|candidate| candidate.link.is_some()).collect();
    let queries: Vec<TrackQuery<'_>> = playable.iter().map(Candidate::query).collect();
    match matcher.best_recording(&asked(track), &queries) {
        None => Choice::NoClip,
        Some((_, best)) if !best.matched => Choice::Unlike(best.score),
        Some((at, best)) => Choice::Found(Box::new(playable.swap_remove(at)), note(best)),
    }
}

/// The track as it is compared with what providers have.
fn asked(track: &TopTrack) -> TrackQuery<'_> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a track")]
    let duration_s = track.duration_ms.map(|ms| ms as f64 / 1_000.0);
    TrackQuery {
        title: &track.name,
        artist: track.primary_artist().map_or("", |artist| &artist.name),
        album: track.album.as_ref().and_then(|album| album.title.as_deref()),
        duration_s,
        isrc: track.isrc.as_deref(),
        mbid: None,
    }
}

/// A match as records carry it.
pub fn note(found: MatchResult) -> MatchNote {
    MatchNote { score: found.score, quality: found.quality.as_str().to_owned(), reasons: found.reasons, margin: found.margin }
}

impl Candidate {
    fn query(&self) -> TrackQuery<'_> {
        TrackQuery {
            title: &self.title,
            artist: &self.artist,
            album: self.album.as_deref(),
            duration_s: self.duration_s,
            isrc: self.isrc.as_deref(),
            mbid: None,
        }
    }
}

/// Words that say nothing about which recording it is, when they stand behind a dash or in brackets: searched with them, a
/// provider that writes them another way finds nothing.
const NOISE: [&str; 4] = ["remaster", "feat", "featuring", "ft."];

/// The words to search for: primary artist, then the title without remaster and guest additions and without the brackets,
/// dashes and quotes that search engines take for operators.
pub fn search_terms(track: &TopTrack) -> String {
    let artist = track.primary_artist().map_or("", |artist| artist.name.as_str());
    let title = kept_parts(&track.name);
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| if matches!(c, '"' | '(' | ')' | '[' | ']' | '{' | '}' | ':') || c.is_control() { ' ' } else { c })
            .collect()
    };
    let text = format!("{} {}", plain(artist), plain(&title));
    text.split_whitespace().filter(|word| *word != "-").collect::<Vec<_>>().join(" ")
}

/// The title's parts (split at ` - ` and brackets) that tell recordings apart. The first part always stays.
fn kept_parts(title: &str) -> String {
    let split = title.replace(" - ", "\u{1}").replace([')', ']'], "").replace(['(', '['], "\u{1}");
    let keep = |(at, part): (usize, &str)| {
        let lower = part.trim().to_lowercase();
        let noise = NOISE.iter().any(|word| lower.split(' ').any(|found| found.starts_with(word)));
        (at == 0 || !noise).then(|| part.trim().to_owned())
    };
    split.split('\u{1}').enumerate().filter_map(keep).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::records::ArtistRef;
    use proptest::prelude::*;

    /// A track with this artist and title and nothing optional.
    pub(crate) fn track(artist: &str, name: &str) -> TopTrack {
        TopTrack {
            id: "4uLU6hMCjMI75M1A2tKUQC".to_owned(),
            name: name.to_owned(),
            artists: vec![ArtistRef { id: "0gxyHStUsqpMadRV0Di1Qt".to_owned(), name: artist.to_owned() }],
            album: None,
            duration_ms: None,
            explicit: None,
            is_playable: None,
            popularity: None,
            track_number: None,
            isrc: None,
            preview_url: None,
        }
    }

    fn candidate(id: i64, artist: &str, title: &str, duration_s: f64, link: Option<&str>) -> Candidate {
        let link = link.map(str::to_owned);
        let (artist, title) = (artist.to_owned(), title.to_owned());
        Candidate { id, title, artist, duration_s: Some(duration_s), link, ..Candidate::default() }
    }

    #[test]
    fn the_right_candidate_is_chosen_among_versions_and_covers() {
        let asked = TopTrack { duration_ms: Some(354_000), ..track("Queen", "Bohemian Rhapsody") };
        let found = choose(
            &Matcher::default(),
            &asked,
            vec![
                candidate(1, "Queen", "Bohemian Rhapsody (Live at Wembley)", 352.0, Some("x")),
                candidate(2, "The Braids", "Bohemian Rhapsody", 354.0, Some("x")),
                candidate(3, "Queen", "Bohemian Rhapsody", 354.0, None),
                candidate(4, "Queen", "Bohemian Rhapsody (Remastered 2011)", 354.0, Some("x")),
            ],
        );
        let Choice::Found(found, _) = found else { panic!("{found:?}") };
        assert_eq!(found.id, 4, "1 is live, 2 somebody else, 3 has no clip");
    }

    #[test]
    fn the_reason_for_no_candidate_is_told() {
        let asked = track("Queen", "Bohemian Rhapsody");
        let choose = |candidates| choose(&Matcher::default(), &asked, candidates);
        assert_eq!(choose(Vec::new()), Choice::NoClip);
        assert_eq!(choose(vec![candidate(1, "Queen", "Bohemian Rhapsody", 1.0, None)]), Choice::NoClip);
        assert!(matches!(choose(vec![candidate(1, "Abba", "Waterloo", 1.0, Some("x"))]), Choice::Unlike(score) if score < 0.7));
    }

    #[test]
    fn a_search_leaves_out_what_providers_write_differently() {
        let terms = |title: &str| search_terms(&track("Queen", title));
        assert_eq!(terms("Bohemian Rhapsody - Remastered 2011"), "Queen Bohemian Rhapsody");
        assert_eq!(terms("Bohemian Rhapsody (2011 Remaster)"), "Queen Bohemian Rhapsody");
        assert_eq!(terms("Under Pressure (feat. David Bowie)"), "Queen Under Pressure");
        assert_eq!(terms("Love of My Life - Live at Wembley '86"), "Queen Love of My Life Live at Wembley '86");
        assert_eq!(terms("\"39\""), "Queen 39");
        assert_eq!(terms("Remaster of Puppets"), "Queen Remaster of Puppets");
    }

    #[test]
    fn a_search_keeps_hard_names() {
        assert_eq!(search_terms(&track("AC/DC", "T.N.T.")), "AC/DC T.N.T.");
        assert_eq!(
            search_terms(&track("Florence + The Machine", "You've Got the Love")),
            "Florence + The Machine You've Got the Love"
        );
        assert_eq!(search_terms(&track("椎名林檎", "丸ノ内サディスティック")), "椎名林檎 丸ノ内サディスティック");
    }

    proptest! {
        #[test]
        fn no_title_makes_it_panic(artist in "\\PC{0,20}", title in "\\PC{0,40}") {
            let _ = search_terms(&track(&artist, &title));
        }
    }
}
