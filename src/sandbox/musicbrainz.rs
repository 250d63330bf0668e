//! Stand-in for MusicBrainz: recordings by ISRC, for clients that say who they are.

use serde_json::{Value, json};

use super::wire::{Reply, Request};
use super::world::Stand;

const HELP: &str = "For usage, please see: https://musicbrainz.org/development/mmd";

/// Over the limit, or a global limit on a bad day.
pub fn throttled() -> Reply {
    let text = "Your requests are exceeding the allowable rate limit. Please see http://wiki.musicbrainz.org/XMLWebService for more information.";
    Reply::json(503, &json!({"error": text}))
}

/// Answers a call; `path` is what follows the base.
pub fn answer(stand: &Stand<'_>, path: &str, request: &Request) -> Reply {
    // A name and a way to reach its owner, as `App/1.0 ( contact )`.
    let agent = request.header("user-agent");
    if !agent.contains('/') || !agent.contains('(') {
        return Reply::text(403, "text/plain", "Your User-Agent does not identify your application.");
    }
    let Some(isrc) = path.strip_prefix("/isrc/") else {
        return Reply::json(404, &json!({"error": "Not Found", "help": HELP}));
    };
    let catalogue = stand.catalogue();
    let index = catalogue.track_by_isrc(isrc).map(|track| catalogue.tracks[track].recording);
    match index.and_then(|index| Some((&catalogue.recordings[index], catalogue.musicbrainz_id(index)?))) {
        Some((recording, mbid)) => {
            // Lengths are missing now and then.
            let length = if recording.duration_ms % 8 == 0 { Value::Null } else { json!(recording.duration_ms) };
            let row = json!({"id": mbid, "title": recording.title, "disambiguation": "", "length": length, "video": false});
            Reply::json(200, &json!({"isrc": isrc, "recordings": [row]}))
        }
        None => Reply::json(404, &json!({"error": "Not Found", "help": HELP})),
    }
}
