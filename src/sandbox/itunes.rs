//! Stand-in for iTunes Search: JavaScript by its content type, blank lines around it, and no ISRC.

use serde_json::{Value, json};

use super::shops::{Item, Shop};
use super::wire::{Reply, Request};
use super::world::Stand;

/// Throttled: a 403 with an empty result and no hint when to come back.
pub fn throttled() -> Reply {
    answer_with(403, &[])
}

fn answer_with(status: u16, rows: &[Value]) -> Reply {
    let body = json!({"resultCount": rows.len(), "results": rows});
    Reply::text(status, "text/javascript; charset=utf-8", format!("\n\n\n{body}\n\n\n"))
}

/// Answers a call; `path` is what follows the base.
pub fn answer(stand: &Stand<'_>, path: &str, request: &Request) -> Reply {
    match path {
        "/search" => {
            let term = request.param("term").unwrap_or_default();
            let limit = request.param("limit").and_then(|limit| limit.parse().ok()).unwrap_or(50_usize).clamp(1, 200);
            let rows: Vec<Value> = Shop::Itunes.search(stand, &term, limit).iter().map(|item| row(stand, item)).collect();
            answer_with(200, &rows)
        }
        "/lookup" => {
            let track = request.param("id").and_then(|id| id.parse().ok()).and_then(|id| stand.catalogue().track_by_itunes(id));
            let rows: Vec<Value> =
                track.and_then(|track| Shop::Itunes.item(stand, track)).map(|item| row(stand, &item)).into_iter().collect();
            answer_with(200, &rows)
        }
        _ => Reply::text(404, "text/html", "<html><body>Not Found</body></html>"),
    }
}

fn row(stand: &Stand<'_>, item: &Item) -> Value {
    let (track, recording) = stand.release(item.track);
    let album = stand.catalogue().album(track);
    let mut row = json!({
        "wrapperType": "track", "kind": "song", "artistId": 100_000 + recording.artists[0], "collectionId": 700_000 + track.album,
        "trackId": item.id, "artistName": item.artist, "collectionName": album.title, "trackName": item.title,
        "trackViewUrl": format!("https://music.apple.com/us/album/{}", item.id), "collectionPrice": 11.99, "trackPrice": -1.0,
        "releaseDate": format!("{}T08:00:00Z", full_date(&album.release_date)), "trackExplicitness": "notExplicit",
        "discCount": 1, "discNumber": 1, "trackNumber": track.number, "country": "USA", "currency": "USD",
        "primaryGenreName": "Music",
    });
    if let Some(object) = row.as_object_mut() {
        let milliseconds = if track.duration_ms > 0 { track.duration_ms } else { recording.duration_ms };
        // Both are missing now and then.
        if track.recording % 9 != 0 {
            object.insert("trackTimeMillis".to_owned(), json!(milliseconds));
        }
        if item.has_clip {
            object.insert("previewUrl".to_owned(), json!(format!("{}/clips/itunes/{}.flac", stand.base_url, item.id)));
        }
    }
    row
}

fn full_date(date: &str) -> String {
    match date.len() {
        4 => format!("{date}-01-01"),
        7 => format!("{date}-01"),
        _ => date.to_owned(),
    }
}
