//! Stand-in for Deezer: errors in 200s, and links to clips that are signed and expire.

use serde_json::{Value, json};

use super::catalogue::Shelf;
use super::chance;
use super::query::{Filter, Query};
use super::shops::{Item, Shop};
use super::wire::{Reply, Request, encode};
use super::world::Stand;

/// Not found, in a 200.
fn no_data() -> Reply {
    error("DataException", "no data", 800)
}

/// Throttled, in a 200.
pub fn quota() -> Reply {
    error("Exception", "Quota limit exceeded", 4)
}

fn error(kind: &str, message: &str, code: u16) -> Reply {
    Reply::json(200, &json!({"error": {"type": kind, "message": message, "code": code}}))
}

/// Answers a call; `path` is what follows the base.
pub fn answer(stand: &Stand<'_>, path: &str, request: &Request) -> Reply {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["search"] => search(stand, request),
        ["track", id] => match id.strip_prefix("isrc:").or_else(|| id.strip_prefix("isrc%3A")) {
            Some(isrc) => by_isrc(stand, isrc),
            None => by_id(stand, id),
        },
        _ => Reply::json(404, &json!({"error": "Not Found"})),
    }
}

fn by_isrc(stand: &Stand<'_>, isrc: &str) -> Reply {
    let track = stand.catalogue().track_by_isrc(isrc);
    match track
        .filter(|track| stand.release(*track).1.deezer != Shelf::SearchOnly)
        .and_then(|track| Shop::Deezer.item(stand, track))
    {
        Some(item) => full(stand, &item),
        None => no_data(),
    }
}

fn by_id(stand: &Stand<'_>, id: &str) -> Reply {
    let track = id.parse().ok().and_then(|id| stand.catalogue().track_by_deezer(id));
    match track.and_then(|track| Shop::Deezer.item(stand, track)) {
        Some(item) => full(stand, &item),
        None => no_data(),
    }
}

fn search(stand: &Stand<'_>, request: &Request) -> Reply {
    let text = request.param("q").unwrap_or_default();
    if text.trim().is_empty() {
        return error("MissingParameterException", "Missing parameters: q", 501);
    }
    let limit = request.param("limit").and_then(|limit| limit.parse().ok()).unwrap_or(25_usize).clamp(1, 100);
    let index = request.param("index").and_then(|index| index.parse().ok()).unwrap_or(0_usize).min(1000);
    let found = Shop::Deezer.search(stand, &plain(&text), index + limit + 1);
    let rows: Vec<Value> = found.iter().skip(index).take(limit).map(|item| row(stand, item)).collect();
    let total = found.len();
    let mut body = json!({"data": rows, "total": total});
    if total > index + limit
        && let Some(object) = body.as_object_mut()
    {
        let next = format!("{}/deezer/search?q={}&limit={limit}&index={}", stand.base_url, encode(&text), index + limit);
        object.insert("next".to_owned(), json!(next));
    }
    escaped(&body)
}

/// The words of a search, those within `artist:"..." track:"..."` included.
fn plain(text: &str) -> String {
    let query = Query::parse(text);
    let mut words = query.words;
    for filter in query.filters {
        if let Filter::Artist(more) | Filter::Track(more) = filter {
            words.extend(more);
        }
    }
    words.join(" ")
}

/// JSON with escaped slashes and no letter beyond ASCII.
fn escaped(body: &Value) -> Reply {
    let mut text = String::new();
    for letter in body.to_string().chars() {
        match letter {
            '/' => text.push_str("\\/"),
            _ if letter.is_ascii() => text.push(letter),
            _ => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    Reply::text(200, "application/json; charset=utf-8", text)
}

fn full(stand: &Stand<'_>, item: &Item) -> Reply {
    let (track, recording) = stand.release(item.track);
    let mut body = row(stand, item);
    let more = json!({
        "isrc": track.isrc, "track_position": track.number, "disk_number": 1,
        "share": format!("https://www.deezer.com/track/{}?utm_term=0_{}", item.id, stand.unix_s),
        "release_date": stand.catalogue().album(track).release_date,
        // Mostly unknown, which is 0.
        "bpm": if track.recording % 4 == 0 { json!(recording.score.bpm) } else { json!(0) },
        "gain": -8.2, "available_countries": track.markets, "contributors": [{"name": item.artist, "role": "Main"}],
    });
    if let (Some(object), Value::Object(more)) = (body.as_object_mut(), more) {
        object.extend(more);
    }
    escaped(&body)
}

fn row(stand: &Stand<'_>, item: &Item) -> Value {
    let (track, recording) = stand.release(item.track);
    let (short, version) = match item.title.split_once(" (") {
        Some((short, version)) => (short.to_owned(), format!("({version}")),
        None => (item.title.clone(), String::new()),
    };
    // An album's tracks can be millisecond-less: the recording's length stands in.
    let milliseconds = if track.duration_ms > 0 { track.duration_ms } else { recording.duration_ms };
    json!({
        "id": item.id, "readable": track.recording % 7 != 0, "title": item.title, "title_short": short, "title_version": version,
        "link": format!("https://www.deezer.com/track/{}", item.id), "duration": milliseconds / 1000 + i64::from(item.karaoke),
        "rank": recording.popularity * 9_000 + 1_000, "explicit_lyrics": recording.explicit, "explicit_content_lyrics": 0,
        "explicit_content_cover": 0, "preview": if item.has_clip { signed(stand, item.id) } else { String::new() },
        "artist": {"id": 1_000 + recording.artists[0], "name": item.artist, "type": "artist"},
        "album": {"id": 500_000 + track.album, "title": stand.catalogue().album(track).title, "type": "album"},
        "type": "track",
    })
}

/// A link that works for a while.
fn signed(stand: &Stand<'_>, id: u64) -> String {
    let path = format!("/clips/deezer/{id}.flac");
    let expires = stand.unix_s + stand.switches.clip_life_s;
    let signature = signature(stand, &path, expires);
    format!("{}{path}?hdnea=exp={expires}~acl={path}*~data=user_id=0,application_id=42~hmac={signature}", stand.base_url)
}

fn signature(stand: &Stand<'_>, path: &str, expires: u64) -> String {
    chance::hex(stand.catalogue().seed, &["signature", path, &expires.to_string()], 64)
}

/// Whether the query of a link to a clip is signed for this path and has not expired.
pub fn is_valid(stand: &Stand<'_>, path: &str, query: &str) -> bool {
    let field = |name: &str| {
        let (_, tail) = query.split_once(name)?;
        Some(tail.split('~').next().unwrap_or(tail))
    };
    let expires = field("exp=").and_then(|expires| expires.parse::<u64>().ok());
    expires.is_some_and(|expires| expires > stand.unix_s && field("hmac=") == Some(signature(stand, path, expires).as_str()))
}
