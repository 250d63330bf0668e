//! Reads Spotify's bodies, leniently: only ids and names are required, numbers may be floats, lists may be null or missing.

use serde_json::Value;

use crate::records::{AlbumRef, ArtistProfile, ArtistRef, Parsed, TopTrack, Validate};

/// Longer texts and lists are no names, genres or billings but a broken server; a topic takes no record of any size.
const MAX_TEXT_BYTES: usize = 4_096;
const MAX_LIST: usize = 100;

/// A page of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchPage {
    /// The usable tracks, in order, doubles included.
    pub tracks: Vec<TopTrack>,
    /// Fields of theirs that were out of range and became `None`.
    pub nulled: Vec<&'static str>,
    /// Rows on the page, usable or not (null rows, local files without an id).
    pub rows: usize,
    /// Spotify names a next page. It does so even at the wall, and sometimes leaves it out too early.
    pub has_next: bool,
    /// How many results there are: an estimate that changes from page to page.
    pub total: Option<i64>,
}

/// Reads the answer to a search for tracks. `None` if it is none.
pub fn parse_search(body: &Value) -> Option<SearchPage> {
    let page = body.get("tracks")?.as_object()?;
    let rows = match page.get("items")? {
        Value::Array(rows) => rows.as_slice(),
        Value::Null => &[],
        _ => return None,
    };
    let (tracks, nulled): (Vec<TopTrack>, Vec<_>) =
        rows.iter().filter_map(parse_track).map(|parsed| (parsed.record, parsed.nulled)).unzip();
    Some(SearchPage {
        tracks,
        nulled: nulled.concat(),
        rows: rows.len(),
        has_next: page.get("next").and_then(Value::as_str).is_some_and(|next| !next.is_empty()),
        total: page.get("total").and_then(number),
    })
}

/// Reads a track. `None` without an id, a name or a primary artist: such rows cannot be told apart from others.
pub fn parse_track(row: &Value) -> Option<Parsed<TopTrack>> {
    let artists = list(row, "artists");
    // A guest must not move up: without its primary artist a track belongs nowhere.
    artists.first().and_then(artist_ref)?;
    let mut track = TopTrack {
        id: text(row, "id")?,
        name: text(row, "name")?,
        artists: artists.iter().take(MAX_LIST).filter_map(artist_ref).collect(),
        album: row.get("album").and_then(album),
        duration_ms: row.get("duration_ms").and_then(duration),
        explicit: row.get("explicit").and_then(Value::as_bool),
        is_playable: row.get("is_playable").and_then(Value::as_bool),
        popularity: row.get("popularity").and_then(number),
        track_number: row.get("track_number").and_then(number),
        isrc: row.get("external_ids").and_then(|ids| text(ids, "isrc")).map(|isrc| canonical_isrc(&isrc)),
        preview_url: text(row, "preview_url"),
    };
    let nulled = track.validate().ok()?;
    Some(Parsed { record: track, nulled })
}

/// Reads an artist's profile. `None` without an id or a name.
pub fn parse_artist(row: &Value) -> Option<Parsed<ArtistProfile>> {
    let mut profile = ArtistProfile {
        artist_id: text(row, "id")?,
        name: text(row, "name")?,
        popularity: row.get("popularity").and_then(number),
        followers: row.get("followers").and_then(|followers| number(followers.get("total").unwrap_or(followers))),
        genres: row.get("genres").and_then(Value::as_array).map(|genres| strings(genres)),
        missing: None,
    };
    let nulled = profile.validate().ok()?;
    Some(Parsed { record: profile, nulled })
}

fn album(row: &Value) -> Option<AlbumRef> {
    Some(AlbumRef {
        id: text(row, "id")?,
        title: text(row, "name"),
        album_type: text(row, "album_type").map(|kind| kind.to_ascii_lowercase()),
        total_tracks: row.get("total_tracks").and_then(number),
        release_date: text(row, "release_date"),
        release_date_precision: text(row, "release_date_precision"),
        artist: list(row, "artists").iter().find_map(artist_ref),
    })
}

fn artist_ref(row: &Value) -> Option<ArtistRef> {
    Some(ArtistRef { id: text(row, "id")?, name: text(row, "name")? })
}

/// Text that is there, not blank, and of a sane length.
fn text(row: &Value, key: &str) -> Option<String> {
    let sane = |text: &&str| !text.trim().is_empty() && text.len() <= MAX_TEXT_BYTES;
    row.get(key).and_then(Value::as_str).filter(sane).map(str::to_owned)
}

/// A list; empty when it is missing, null or something else.
fn list<'a>(row: &'a Value, key: &str) -> &'a [Value] {
    row.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn strings(values: &[Value]) -> Vec<String> {
    let sane = values.iter().filter_map(Value::as_str).filter(|text| text.len() <= MAX_TEXT_BYTES);
    sane.take(MAX_LIST).map(str::to_owned).collect()
}

/// An integer, also one written as a float (`4.9022656E7`, seen in early 2024).
fn number(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let rounded = || value.as_f64().map(f64::round).filter(|number| number.abs() < EXACT);
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53 fits")]
    value.as_i64().or_else(|| rounded().map(|number| number as i64))
}

/// A number of milliseconds; for some weeks it came as an object around one.
fn duration(value: &Value) -> Option<i64> {
    number(value).or_else(|| value.as_object()?.values().find_map(number))
}

/// Some labels deliver `us-um7-24-09273`.
fn canonical_isrc(isrc: &str) -> String {
    isrc.chars().filter(|c| !matches!(c, '-' | ' ')).collect::<String>().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read_track(row: &Value) -> Option<TopTrack> {
        parse_track(row).map(|parsed| parsed.record)
    }

    fn read_artist(row: &Value) -> Option<ArtistProfile> {
        parse_artist(row).map(|parsed| parsed.record)
    }

    fn track() -> Value {
        json!({
            "id": "4uLU6hMCjMI75M1A2tKUQC", "name": "Song", "type": "track", "duration_ms": 213_573, "explicit": false,
            "track_number": 1, "popularity": 80, "preview_url": null, "external_ids": {"isrc": "GBARL9300135"},
            "artists": [{"id": "0gxyHStUsqpMadRV0Di1Qt", "name": "Singer"}, {"id": "1", "name": "Guest"}],
            "album": {"id": "6XzMPAHDxRaN1RvLR1UkUu", "name": "Album", "album_type": "album", "total_tracks": 10,
                      "release_date": "1987-11-12", "release_date_precision": "day",
                      "artists": [{"id": "0gxyHStUsqpMadRV0Di1Qt", "name": "Singer"}]},
        })
    }

    #[test]
    fn a_full_track_is_read_with_album_and_artists_in_billing_order() {
        let track = read_track(&track()).unwrap();
        assert_eq!(track.primary_artist().map(|artist| artist.name.as_str()), Some("Singer"));
        assert_eq!(track.artists.len(), 2);
        assert_eq!((track.duration_ms, track.popularity, track.track_number), (Some(213_573), Some(80), Some(1)));
        assert_eq!(track.isrc.as_deref(), Some("GBARL9300135"));
        let album = track.album.unwrap();
        assert_eq!((album.total_tracks, album.release_date.as_deref()), (Some(10), Some("1987-11-12")));
        assert_eq!(album.artist.map(|artist| artist.name).as_deref(), Some("Singer"));
    }

    #[test]
    fn what_a_restricted_account_does_not_get_is_unknown_and_not_zero() {
        let mut row = track();
        for key in ["popularity", "available_markets", "linked_from", "preview_url", "external_ids"] {
            row.as_object_mut().map(|row| row.remove(key));
        }
        let track = read_track(&row).unwrap();
        assert_eq!((track.popularity, track.preview_url, track.isrc), (None, None, None));
        let profile = read_artist(&json!({"id": "a1", "name": "A", "type": "artist", "images": []})).unwrap();
        assert_eq!((profile.popularity, profile.followers, profile.genres), (None, None, None));
    }

    #[test]
    fn genres_may_be_missing_null_empty_or_a_list() {
        let genres = |genres: Value| read_artist(&json!({"id": "a1", "name": "A", "genres": genres})).unwrap().genres;
        assert_eq!(genres(Value::Null), None);
        assert_eq!(genres(json!([])), Some(vec![]), "Spotify says that there are none");
        assert_eq!(genres(json!(["Rock", " pop", null, "rock"])), Some(vec!["pop".to_owned(), "rock".to_owned()]));
    }

    #[test]
    fn followers_may_be_an_object_a_number_or_null() {
        let followers = |value: Value| read_artist(&json!({"id": "a1", "name": "A", "followers": value})).unwrap().followers;
        assert_eq!(followers(json!({"href": null, "total": 12_425_030.0})), Some(12_425_030));
        assert_eq!(followers(json!(7)), Some(7));
        assert_eq!(followers(json!({"total": null})), None);
    }

    #[test]
    fn integers_written_as_floats_or_wrapped_in_objects_are_read() {
        let mut row = track();
        row["duration_ms"] = json!(4.902_265_6E7);
        assert_eq!(read_track(&row).unwrap().duration_ms, None, "13 hours is out of range, and only this field is lost");
        row["duration_ms"] = json!(204_160.0);
        assert_eq!(read_track(&row).unwrap().duration_ms, Some(204_160));
        row["duration_ms"] = json!({"totalMilliseconds": 252_160});
        assert_eq!(read_track(&row).unwrap().duration_ms, Some(252_160));
    }

    #[test]
    fn a_relinked_track_keeps_the_id_that_was_returned() {
        let mut row = track();
        row["linked_from"] = json!({"id": "6kLCHFM39wkFjOuyPGLGeQ", "type": "track"});
        assert_eq!(read_track(&row).unwrap().id, "4uLU6hMCjMI75M1A2tKUQC");
    }

    #[test]
    fn rows_that_are_null_or_local_are_passed_over_and_counted() {
        let local = json!({"id": null, "name": "My file", "is_local": true, "artists": [{"id": null, "name": "Me"}]});
        let page = parse_search(&json!({"tracks": {"items": [null, local, track(), {}], "total": 3.0, "next": null}})).unwrap();
        assert_eq!((page.tracks.len(), page.rows, page.total, page.has_next), (1, 4, Some(3), false));
    }

    #[test]
    fn a_guest_does_not_move_up_to_an_unreadable_primary_artist() {
        let mut row = track();
        row["artists"][0]["id"] = Value::Null;
        assert_eq!(read_track(&row), None);
    }

    #[test]
    fn an_album_without_a_title_or_artists_does_not_cost_the_track() {
        let mut row = track();
        row["album"] = json!({"id": "al1", "name": "", "artists": null, "images": []});
        let album = read_track(&row).unwrap().album.unwrap();
        assert_eq!((album.title, album.artist), (None, None));
    }

    #[test]
    fn no_answer_makes_a_record_too_large_for_a_topic() {
        let long = "x".repeat(3_000_000);
        let mut row = track();
        row["preview_url"] = json!(long);
        row["artists"] = Value::from(vec![json!({"id": "a1", "name": "A"}); 10_000]);
        let read = read_track(&row).unwrap();
        assert!(serde_json::to_vec(&read).unwrap().len() < 950_000);
        row["name"] = json!(long);
        assert_eq!(read_track(&row), None);
        let profile = read_artist(&json!({"id": "a1", "name": "A", "genres": vec!["y".repeat(4_000); 1_000]})).unwrap();
        assert!(serde_json::to_vec(&profile).unwrap().len() < 950_000);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        let key = prop_oneof![
            Just("id"),
            Just("name"),
            Just("artists"),
            Just("album"),
            Just("tracks"),
            Just("items"),
            Just("duration_ms"),
            Just("followers"),
            Just("total"),
            Just("genres"),
            Just("external_ids"),
            Just("isrc"),
            Just("next"),
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_the_parsers_panic(value in any_json()) {
            let _ = read_artist(&value);
            let _ = parse_search(&value);
            if let Some(track) = read_track(&value) {
                prop_assert!(!track.id.is_empty() && track.primary_artist().is_some());
            }
        }

        #[test]
        fn a_field_of_any_shape_costs_at_most_itself(
            key in prop::sample::select(vec!["duration_ms", "album", "popularity", "external_ids", "preview_url", "explicit"]),
            value in any_json(),
        ) {
            let mut row = track();
            row[key] = value;
            let parsed = read_track(&row);
            prop_assert_eq!(parsed.map(|track| track.name), Some("Song".to_owned()));
        }
    }
}
