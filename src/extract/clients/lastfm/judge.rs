//! Last.fm's answers that look like one but are none: placeholders and ghosts. Pure.

use super::answer::{ArtistAnswer, TrackAnswer};

/// Pages nobody meant have a handful of listeners: those whose files are tagged the same wrong way. A real but obscure
/// track with so few is told apart by anything else that is known about it.
const GHOST_LISTENERS_MAX: i64 = 10;

/// Names that stand for "no artist".
const PLACEHOLDERS: [&str; 6] =
    ["[unknown]", "<unknown>", "(unknown)", "[unknown artist]", "<unknown artist>", "unknown artist"];

/// How pages for misspellings begin.
const INCORRECT_TAG: &str = "incorrect tag";

/// Where in a biography the words above would stand: a longer text about a real artist may mention them.
const INCORRECT_TAG_WITHIN_CHARS: usize = 60;

/// A name that stands for "no artist".
pub fn is_placeholder_name(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    PLACEHOLDERS.contains(&name.as_str())
}

/// Why an artist's figures are none of an artist, if they are: a closed set.
pub fn artist_flaw(artist: &ArtistAnswer) -> Option<&'static str> {
    let head: String = artist.bio.chars().take(INCORRECT_TAG_WITHIN_CHARS).collect();
    if is_placeholder_name(&artist.name) || head.to_lowercase().contains(INCORRECT_TAG) {
        return Some("placeholder");
    }
    let unknown = artist.mbid.is_none() && artist.tags.is_empty() && artist.bio.is_empty() && !artist.has_similar;
    (unknown && is_few(artist.listeners)).then_some("ghost")
}

/// Why a track's figures are none of a track, if they are: a closed set.
pub fn track_flaw(track: &TrackAnswer) -> Option<&'static str> {
    if track.artist.as_deref().is_some_and(is_placeholder_name) || is_placeholder_name(&track.name) {
        return Some("placeholder");
    }
    let unknown =
        track.mbid.is_none() && track.duration_ms.is_none() && track.album.is_none() && !track.has_wiki && !track.has_tags;
    (unknown && is_few(track.listeners)).then_some("ghost")
}

fn is_few(listeners: Option<i64>) -> bool {
    listeners.is_none_or(|count| count <= GHOST_LISTENERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::answer::{self, Reading};
    use super::*;

    #[test]
    fn a_track_nobody_knows_is_a_ghost() {
        let body = r#"{"track": {"name": "Fake", "url": "x", "duration": "0", "listeners": "2", "playcount": "4",
            "artist": {"name": "Nobody", "url": "x"}, "toptags": {"tag": []}}}"#;
        let Reading::Found(ghost) = answer::track(body.as_bytes()) else { panic!("unreadable") };
        assert_eq!(track_flaw(&ghost), Some("ghost"));
    }

    #[test]
    fn an_obscure_track_that_something_is_known_about_is_real() {
        let bare = TrackAnswer { name: "x".to_owned(), listeners: Some(2), ..TrackAnswer::default() };
        assert_eq!(track_flaw(&bare), Some("ghost"));
        assert_eq!(track_flaw(&TrackAnswer { duration_ms: Some(1), ..bare.clone() }), None);
        assert_eq!(track_flaw(&TrackAnswer { album: Some("y".to_owned()), ..bare.clone() }), None);
        assert_eq!(track_flaw(&TrackAnswer { listeners: Some(5_000), ..bare }), None);
    }

    #[test]
    fn placeholders_are_no_artists() {
        let unknown = ArtistAnswer { name: "[unknown]".to_owned(), listeners: Some(9_000_000), ..ArtistAnswer::default() };
        assert_eq!(artist_flaw(&unknown), Some("placeholder"));
        let bio = "This is an incorrect tag for Guns N' Roses.".to_owned();
        let wrong = ArtistAnswer { name: "Guns n Roses".to_owned(), listeners: Some(70_000), bio, ..ArtistAnswer::default() };
        assert_eq!(artist_flaw(&wrong), Some("placeholder"));
    }

    #[test]
    fn a_known_artist_is_neither() {
        let known =
            ArtistAnswer { name: "Unknown Mortal Orchestra".to_owned(), listeners: Some(1_500_000), ..ArtistAnswer::default() };
        assert_eq!(artist_flaw(&known), None);
    }
}
