//! What Last.fm's bodies say. Its JSON is converted from XML by machine: numbers are text, lists of one collapse, and empty
//! containers come as `""`, white space or `[]`.
//!
//! Pure, and total: any bytes give a [`Reading`].

use serde_json::Value;

use crate::extract::clients::loose;

/// Names beyond these were made by no person: a longer text counts as none, a longer list is cut.
const MAX_TEXT_BYTES: usize = 4_096;
const MAX_LIST: usize = 100;

/// A body, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading<T> {
    /// What was asked for.
    Found(T),
    /// The service answers that there is nothing: an empty container in place of the answer.
    Empty,
    /// An error of the service's own, which comes with any HTTP status, 200 included.
    Failed {
        /// Its number; see [`super::verdict`].
        code: i64,
        /// Its words.
        message: String,
    },
    /// Not an answer: HTML of an outage, a body cut short, JSON of another shape. Says what it was instead.
    Unreadable(String),
}

/// An artist, from `artist.getInfo`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArtistAnswer {
    /// Name, after autocorrection.
    pub name: String,
    /// MusicBrainz id.
    pub mbid: Option<String>,
    /// On tour at the moment.
    pub on_tour: Option<bool>,
    /// All-time listeners.
    pub listeners: Option<i64>,
    /// All-time plays.
    pub playcount: Option<i64>,
    /// Top tags as they come.
    pub tags: Vec<String>,
    /// The biography, without its link back.
    pub bio: String,
    /// There are similar artists.
    pub has_similar: bool,
}

/// A track, from `track.getInfo`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackAnswer {
    /// Title, after autocorrection.
    pub name: String,
    /// The artist's name, after autocorrection.
    pub artist: Option<String>,
    /// Title of the album it is best known from.
    pub album: Option<String>,
    /// Length; `None` when unknown, which the service writes as `"0"`.
    pub duration_ms: Option<i64>,
    /// MusicBrainz recording id.
    pub mbid: Option<String>,
    /// All-time listeners.
    pub listeners: Option<i64>,
    /// All-time plays.
    pub playcount: Option<i64>,
    /// It has tags.
    pub has_tags: bool,
    /// It has a wiki page.
    pub has_wiki: bool,
}

/// Reads a body of `artist.getInfo`.
pub fn artist(body: &[u8]) -> Reading<ArtistAnswer> {
    read(body, "artist", |artist| {
        let stats = artist.get("stats").unwrap_or(&Value::Null);
        Some(ArtistAnswer {
            name: owned(artist, "name")?,
            mbid: owned(artist, "mbid"),
            on_tour: loose::count(artist, "ontour").map(|flag| flag != 0),
            listeners: loose::count(stats, "listeners"),
            playcount: loose::count(stats, "playcount"),
            tags: names(artist.get("tags"), "tag"),
            bio: artist.get("bio").map(biography).unwrap_or_default(),
            has_similar: !names(artist.get("similar"), "artist").is_empty(),
        })
    })
}

/// Reads a body of `track.getInfo`.
pub fn track(body: &[u8]) -> Reading<TrackAnswer> {
    read(body, "track", |track| {
        Some(TrackAnswer {
            name: owned(track, "name")?,
            artist: track.get("artist").and_then(named),
            album: track.get("album").and_then(|album| owned(album, "title")),
            duration_ms: loose::count(track, "duration").filter(|ms| *ms > 0),
            mbid: owned(track, "mbid"),
            listeners: loose::count(track, "listeners"),
            playcount: loose::count(track, "playcount"),
            has_tags: !names(track.get("toptags"), "tag").is_empty(),
            has_wiki: track.get("wiki").is_some_and(|wiki| !biography(wiki).is_empty()),
        })
    })
}

fn read<T>(body: &[u8], subject: &str, build: impl FnOnce(&Value) -> Option<T>) -> Reading<T> {
    let value = match loose::json(body) {
        Ok(value) => value,
        Err(problem) => return Reading::Unreadable(problem),
    };
    // The error comes first: it is there with any HTTP status, in any order of keys.
    if let Some(code) = loose::count(&value, "error") {
        let message = loose::text(&value, "message").unwrap_or("no message").to_owned();
        return Reading::Failed { code, message };
    }
    match value.get(subject) {
        None => Reading::Unreadable(format!("JSON without {subject:?}")),
        Some(found) if loose::is_blank(found) => Reading::Empty,
        Some(found) => build(found).map_or_else(|| Reading::Unreadable(format!("{subject} without a name")), Reading::Found),
    }
}

fn owned(value: &Value, field: &str) -> Option<String> {
    loose::text(value, field).and_then(sane)
}

fn sane(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= MAX_TEXT_BYTES).then(|| text.to_owned())
}

/// A name that stands alone or in an object.
fn named(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => sane(name),
        other => owned(other, "name"),
    }
}

/// The names in a container's list, such as `{"tag": [{"name": "rock"}]}`.
fn names(container: Option<&Value>, field: &str) -> Vec<String> {
    let items = container.map(|container| loose::items(container, field)).unwrap_or_default();
    items.into_iter().filter_map(named).take(MAX_LIST).collect()
}

/// A text without the link every text ends with, so that a text that is only the link is empty.
fn biography(value: &Value) -> String {
    let text = loose::text(value, "summary").or_else(|| loose::text(value, "content")).unwrap_or("");
    let end =
        text.find("<a href=\"https://www.last.fm").or_else(|| text.find("<a href=\"http://www.last.fm")).unwrap_or(text.len());
    text.get(..end).unwrap_or(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARTIST: &str = r##"{"artist": {"name": "Die Ärzte", "mbid": "", "url": "https:\/\/www.last.fm\/music\/Die+%C3%84rzte",
        "image": [{"#text": "", "size": ""}], "streamable": "0", "ontour": "1",
        "stats": {"listeners": "812345", "playcount": "61234567"}, "similar": "",
        "tags": {"tag": {"name": "punk", "url": "x"}},
        "bio": {"published": "01 Jan 1970, 00:00", "summary": " <a href=\"https://www.last.fm/music/x\">Read more on Last.fm</a>", "content": ""}}}"##;

    #[test]
    fn an_artist_is_read_through_all_quirks() {
        let Reading::Found(artist) = artist(ARTIST.as_bytes()) else { panic!("not found") };
        assert_eq!((artist.name.as_str(), artist.mbid, artist.on_tour), ("Die Ärzte", None, Some(true)));
        assert_eq!((artist.listeners, artist.playcount), (Some(812_345), Some(61_234_567)));
        assert_eq!(artist.tags, ["punk"], "a list of one collapses into an object");
        assert!(artist.bio.is_empty(), "a biography that is only the link back is none: {:?}", artist.bio);
        assert!(!artist.has_similar);
    }

    #[test]
    fn empty_containers_are_empty_however_they_are_written() {
        for tags in [r#""""#, r#""\n      ""#, "[]", "null", r#"{"tag": []}"#, r#"{"tag": "", "@attr": {"artist": "x"}}"#] {
            let body = format!(r#"{{"artist": {{"name": "x", "tags": {tags}, "similar": {tags}, "bio": {tags}}}}}"#);
            let Reading::Found(artist) = artist(body.as_bytes()) else { panic!("{body}") };
            assert!(artist.tags.is_empty() && !artist.has_similar && artist.bio.is_empty(), "{body}");
        }
    }

    #[test]
    fn a_duration_of_zero_is_unknown() {
        let body = r#"{"track": {"name": "x", "duration": "0", "listeners": "2", "playcount": "4", "artist": {"name": "y"}, "toptags": {"tag": []}}}"#;
        let Reading::Found(track) = track(body.as_bytes()) else { panic!("not found") };
        assert_eq!((track.duration_ms, track.has_tags, track.has_wiki, track.album), (None, false, false, None));
        assert_eq!((track.artist.as_deref(), track.listeners), (Some("y"), Some(2)));
    }

    #[test]
    fn an_error_is_seen_whatever_surrounds_it() {
        for body in [
            r#"{"error":6,"message":"The artist you supplied could not be found"}"#,
            r#"{"message":"The artist you supplied could not be found","error":"6","links":[]}"#,
        ] {
            let reading = artist(body.as_bytes());
            assert_eq!(reading, Reading::Failed { code: 6, message: "The artist you supplied could not be found".to_owned() });
        }
    }

    #[test]
    fn no_answer_grows_beyond_what_a_topic_takes() {
        let tags: Vec<_> = (0..50_000).map(|number| serde_json::json!({"name": format!("tag {number}")})).collect();
        let body = serde_json::json!({"artist": {"name": "x", "mbid": "y".repeat(5_000), "tags": {"tag": tags}}});
        let Reading::Found(read) = artist(body.to_string().as_bytes()) else { panic!("not found") };
        assert_eq!((read.tags.len(), read.mbid), (MAX_LIST, None));
        let long = format!("Queen{}", " ".repeat(2_000_000));
        let body = serde_json::json!({"artist": {"name": long}, "track": {"name": "q".repeat(5_000)}}).to_string();
        assert!(matches!(artist(body.as_bytes()), Reading::Found(read) if read.name == "Queen"));
        assert!(matches!(track(body.as_bytes()), Reading::Unreadable(_)));
    }

    #[test]
    fn nothing_found_is_not_unreadable() {
        assert_eq!(artist(br#"{"artist": ""}"#), Reading::Empty);
        assert_eq!(track(br#"{"track": []}"#), Reading::Empty);
    }

    #[test]
    fn html_cut_bodies_and_foreign_json_are_unreadable() {
        for body in
            ["<html><body>503</body></html>", r#"{"artist": {"name": "x""#, "{}", "[]", "7", "", r#"{"artist": {"url": "x"}}"#]
        {
            assert!(matches!(artist(body.as_bytes()), Reading::Unreadable(_)), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_a_body_gives_a_reading(cut in 0..ARTIST.len()) {
            let body = ARTIST.as_bytes().get(..cut).unwrap_or_default();
            prop_assert!(matches!(artist(body), Reading::Unreadable(_)));
        }
    }
}
