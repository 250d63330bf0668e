//! Spotify's objects as JSON, by regime.

use serde_json::{Map, Value, json};

use super::super::catalogue::{Album, Artist};
use super::super::chance;
use super::super::options::Regime;
use super::super::world::Stand;

/// Encloses a float in exponent form on its way through a JSON value, which would write it plainly.
const FLOAT_MARK: char = '\u{1}';

/// An artist.
pub(super) fn artist(stand: &Stand<'_>, artist: &Artist) -> Value {
    let mut object = artist_reference(stand, artist);
    let images: Vec<Value> = if artist.pictured { images("ab6761610000e5eb", &artist.id, [640, 320, 160]) } else { Vec::new() };
    set(&mut object, "images", json!(images));
    if stand.switches.regime == Regime::Restricted {
        // Observed with two spellings of "not for you".
        if chance::mix(stand.catalogue().seed, &["genres-null", &artist.id]).is_multiple_of(4) {
            set(&mut object, "genres", Value::Null);
        }
        return Value::Object(object);
    }
    set(&mut object, "followers", json!({"href": null, "total": artist.followers}));
    set(&mut object, "genres", json!(artist.genres));
    set(&mut object, "popularity", json!(artist.popularity));
    Value::Object(object)
}

/// An artist as named inside a track or album.
fn artist_reference(stand: &Stand<'_>, artist: &Artist) -> Map<String, Value> {
    let mut object = Map::new();
    identity(stand, &mut object, "artist", &artist.id);
    set(&mut object, "name", json!(artist.name));
    object
}

fn identity(stand: &Stand<'_>, object: &mut Map<String, Value>, kind: &str, id: &str) {
    set(object, "external_urls", json!({"spotify": format!("https://open.spotify.com/{kind}/{id}")}));
    set(object, "href", json!(format!("{}/spotify/v1/{kind}s/{id}", stand.base_url)));
    set(object, "id", json!(id));
    set(object, "type", json!(kind));
    set(object, "uri", json!(format!("spotify:{kind}:{id}")));
}

fn images(prefix: &str, id: &str, sizes: [u32; 3]) -> Vec<Value> {
    let picture = chance::hex(0, &["image", id], 24);
    sizes
        .iter()
        .map(|size| json!({"url": format!("https://i.scdn.co/image/{prefix}{picture}"), "height": size, "width": size}))
        .collect()
}

fn references(stand: &Stand<'_>, artists: &[usize]) -> Value {
    artists.iter().map(|index| Value::Object(artist_reference(stand, &stand.catalogue().artists[*index]))).collect()
}

fn album(stand: &Stand<'_>, album: &Album, markets: &[&str], market: Option<&str>) -> Value {
    let mut object = Map::new();
    identity(stand, &mut object, "album", &album.id);
    set(&mut object, "album_type", json!(album.kind));
    set(&mut object, "artists", references(stand, &album.artists));
    set(&mut object, "images", json!(images("ab67616d0000b273", &album.id, [640, 300, 64])));
    set(&mut object, "name", json!(album.title));
    set(&mut object, "release_date", json!(album.release_date));
    set(&mut object, "release_date_precision", json!(album.precision));
    set(&mut object, "total_tracks", number(stand.switches.floats, album.total_tracks));
    markets_of(stand, &mut object, markets, market);
    Value::Object(object)
}

/// With a market, whether it plays there; without one, and where the account may know, the list of markets.
fn markets_of(stand: &Stand<'_>, object: &mut Map<String, Value>, markets: &[&str], market: Option<&str>) {
    match market {
        Some(market) => set(object, "is_playable", json!(markets.contains(&market))),
        None if stand.switches.regime != Regime::Restricted => set(object, "available_markets", json!(markets)),
        None => {}
    }
}

/// A track. Its text still has to pass through [`with_floats`].
pub(super) fn track(stand: &Stand<'_>, index: usize, market: Option<&str>) -> Value {
    let catalogue = stand.catalogue();
    let (track, recording) = stand.release(index);
    let floats = track.floats || stand.switches.floats;
    let mut object = Map::new();
    identity(stand, &mut object, "track", &track.id);
    set(&mut object, "album", album(stand, catalogue.album(track), track.markets, market));
    set(&mut object, "artists", references(stand, &recording.artists));
    set(&mut object, "disc_number", number(floats, 1));
    set(&mut object, "duration_ms", duration(track.duration_ms, index, floats));
    set(&mut object, "explicit", json!(recording.explicit));
    set(&mut object, "external_ids", track.isrc.as_ref().map_or(json!({}), |isrc| json!({"isrc": isrc})));
    set(&mut object, "is_local", json!(false));
    set(&mut object, "name", json!(track.title));
    set(&mut object, "track_number", number(floats, track.number));
    markets_of(stand, &mut object, track.markets, market);
    if stand.switches.regime != Regime::Restricted {
        set(&mut object, "popularity", number(floats, recording.popularity));
        set(&mut object, "preview_url", preview(stand, index));
        if let Some(asked) = track.linked_from.as_deref().filter(|_| market.is_some()) {
            let mut link = Map::new();
            identity(stand, &mut link, "track", asked);
            set(&mut object, "linked_from", Value::Object(link));
        }
    }
    Value::Object(object)
}

fn preview(stand: &Stand<'_>, index: usize) -> Value {
    let (track, recording) = stand.release(index);
    if stand.switches.regime == Regime::Extended && recording.spotify_preview {
        json!(format!("{}/clips/spotify/{}.flac", stand.base_url, track.id))
    } else {
        Value::Null
    }
}

/// A file that somebody added to a playlist: no id, no album, no address.
pub(super) fn local_file() -> Value {
    json!({"album": {"id": null, "name": "", "artists": [], "type": "album"}, "artists": [{"id": null, "name": "Me", "type": "artist"}],
        "disc_number": 0, "duration_ms": 211_000, "explicit": false, "external_ids": {}, "external_urls": {}, "href": null, "id": null,
        "is_local": true, "name": "Demo tape", "track_number": 0, "type": "track", "uri": "spotify:local:Me::Demo+tape:211"})
}

/// With floats, in exponent form; for some weeks a few came as an object around the number.
fn duration(milliseconds: i64, index: usize, floats: bool) -> Value {
    match (floats, index % 5) {
        (false, _) => json!(milliseconds),
        (true, 0) => json!({"totalMilliseconds": milliseconds}),
        (true, _) => exponent(milliseconds),
    }
}

fn number(float: bool, value: i64) -> Value {
    if float { json!(value as f64) } else { json!(value) }
}

fn exponent(value: i64) -> Value {
    json!(format!("{FLOAT_MARK}{:E}{FLOAT_MARK}", value as f64))
}

/// Writes marked numbers out as `2.04053E5`.
pub(super) fn with_floats(text: &str) -> String {
    text.replace("\"\\u0001", "").replace("\\u0001\"", "")
}

fn set(object: &mut Map<String, Value>, key: &str, value: Value) {
    object.insert(key.to_owned(), value);
}
