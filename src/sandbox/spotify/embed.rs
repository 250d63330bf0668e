//! The embed page: HTML with the facts of a track, and sometimes a preview, in a script.

use serde_json::{Value, json};

use super::super::wire::{Reply, Request};
use super::super::world::Stand;

/// `GET /embed/track/{id}`. Only what looks like a browser is let in.
pub fn page(stand: &Stand<'_>, id: &str, request: &Request) -> Reply {
    if !request.header("user-agent").contains("Mozilla") || request.header("accept").is_empty() {
        return Reply::text(403, "text/html", "<html><body>Forbidden</body></html>");
    }
    let props = match stand.catalogue().track_by_id(id) {
        Some(track) => json!({"state": {"data": {"entity": entity(stand, track)}}}),
        None => json!({"status": 404, "forbiddenReason": null}),
    };
    let data = json!({"props": {"pageProps": props}, "page": "/track/[id]", "query": {"id": id}});
    // A slash may not close the script from within a name.
    let data = data.to_string().replace("</", "<\\/");
    let page = format!(
        "<!DOCTYPE html><html><head><title>Embed</title></head><body><div id=\"__next\"></div>\
         <script id=\"__NEXT_DATA__\" type=\"application/json\">{data}</script></body></html>"
    );
    Reply::text(200, "text/html; charset=utf-8", page)
}

fn entity(stand: &Stand<'_>, index: usize) -> Value {
    let (track, recording) = stand.release(index);
    let artists: Vec<Value> = recording
        .artists
        .iter()
        .map(|artist| &stand.catalogue().artists[*artist])
        .map(|artist| json!({"name": artist.name, "uri": format!("spotify:artist:{}", artist.id)}))
        .collect();
    let mut entity = json!({
        "type": "track", "name": track.title, "title": track.title, "id": track.id,
        "uri": format!("spotify:track:{}", track.id), "artists": artists, "duration": track.duration_ms,
        "isPlayable": !track.markets.is_empty(), "isExplicit": recording.explicit,
    });
    // No preview is written in three ways.
    let preview = match (recording.embed_preview, track.recording % 3) {
        (true, _) => json!({"url": format!("{}/clips/spotify/{}.flac", stand.base_url, track.id)}),
        (false, 0) => json!({"url": null}),
        (false, 1) => Value::Null,
        (false, _) => return entity,
    };
    if let Some(object) = entity.as_object_mut() {
        object.insert("audioPreview".to_owned(), preview);
    }
    entity
}
