use reprise::sandbox::Regime;
use reprise::sandbox::catalogue::Shelf;
use reprise::sandbox::engine::{Engine, Moment};
use reprise::sandbox::wire::{Reply, Request, encode};
use serde_json::{Value, json};

use super::{NOW, SMALL, ask, engine, small, switch};

const BASE: &str = "http://127.0.0.1:1";

/// A track with a code whose recording is on this shelf at Deezer; the first one with the code.
fn track_on(shelf: Shelf) -> usize {
    let catalogue = &SMALL.world().catalogue;
    let mut tracks = catalogue.tracks.iter().enumerate().filter(|(index, track)| {
        let first = track.isrc.as_deref().and_then(|isrc| catalogue.track_by_isrc(isrc)) == Some(*index);
        first && catalogue.recording(track).deezer == shelf
    });
    tracks.next().map(|(index, _)| index).expect("a track on every shelf")
}

fn by_isrc(engine: &Engine, track: usize) -> Reply {
    let isrc = SMALL.world().catalogue.tracks[track].isrc.clone().unwrap_or_default();
    ask(engine, &Request::get(&format!("/deezer/track/isrc:{isrc}")))
}

fn clip_of(body: &Value, field: &str) -> Request {
    let url = body[field].as_str().unwrap_or_else(|| panic!("no {field} in {body}"));
    Request::get(url.strip_prefix(BASE).unwrap_or(url))
}

#[test]
fn deezer_finds_by_code_what_is_listed_and_by_words_what_is_not() {
    let listed = track_on(Shelf::Listed);
    assert_eq!(by_isrc(&SMALL, listed).value()["id"], json!(SMALL.world().catalogue.tracks[listed].deezer_id));
    assert_eq!(by_isrc(&SMALL, track_on(Shelf::Mute)).value()["preview"], json!(""));
    for shelf in [Shelf::SearchOnly, Shelf::Absent] {
        let reply = by_isrc(&SMALL, track_on(shelf));
        assert_eq!((reply.status, &reply.value()["error"]["code"]), (200, &json!(800)), "{shelf:?}");
    }
    for shelf in [Shelf::Listed, Shelf::SearchOnly, Shelf::Absent] {
        let catalogue = &SMALL.world().catalogue;
        let track = &catalogue.tracks[track_on(shelf)];
        let q = encode(&format!("artist:\"{}\" track:\"{}\"", catalogue.primary(catalogue.recording(track)).name, track.title));
        let found = ask(&SMALL, &Request::get(&format!("/deezer/search?q={q}"))).value();
        let ids: Vec<Option<u64>> = found["data"].as_array().into_iter().flatten().map(|item| item["id"].as_u64()).collect();
        assert_eq!(ids.contains(&Some(track.deezer_id)), shelf != Shelf::Absent, "{shelf:?} {q}");
    }
}

#[test]
fn every_track_in_a_shop_is_found_by_its_own_words() {
    let catalogue = &SMALL.world().catalogue;
    for track in catalogue.tracks.iter().filter(|track| catalogue.recording(track).itunes == Shelf::Listed) {
        let term = encode(&format!("{} {}", catalogue.primary(catalogue.recording(track)).name, track.title));
        let reply = ask(&SMALL, &Request::get(&format!("/itunes/search?term={term}&media=music&entity=song&limit=25")));
        assert!(reply.body.bytes().starts_with(b"\n\n\n{"), "blank lines come first");
        let found = reply.value();
        let ids: Vec<Option<u64>> =
            found["results"].as_array().into_iter().flatten().map(|item| item["trackId"].as_u64()).collect();
        assert!(ids.contains(&Some(track.itunes_id)), "{term}: {ids:?}");
    }
}

/// Clients leave the guests out, since shops write them in many ways.
#[test]
fn a_track_with_guests_is_found_without_them() {
    let catalogue = &SMALL.world().catalogue;
    let mut tried = 0;
    for track in &catalogue.tracks {
        let recording = catalogue.recording(track);
        let bare = [" (feat", " feat.", " (with", " [feat"]
            .iter()
            .find_map(|guests| track.title.split_once(guests))
            .map(|(bare, _)| bare);
        let (Some(bare), Shelf::Listed | Shelf::SearchOnly) = (bare, recording.deezer) else { continue };
        let term = encode(&format!("{} {bare}", catalogue.primary(recording).name));
        let found = ask(&SMALL, &Request::get(&format!("/deezer/search?q={term}&limit=25"))).value();
        let recordings: Vec<Option<usize>> = found["data"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| {
                row["id"].as_u64().and_then(|id| catalogue.track_by_deezer(id)).map(|index| catalogue.tracks[index].recording)
            })
            .collect();
        assert!(recordings.contains(&Some(track.recording)), "{} by searching for {term}", track.title);
        tried += 1;
    }
    assert!(tried > 5, "{tried} tracks with guests");
}

#[test]
fn a_signed_link_works_until_it_expires_and_only_as_signed() {
    let body = by_isrc(&SMALL, track_on(Shelf::Listed)).value();
    let request = clip_of(&body, "preview");
    let at = |seconds: u64| Moment { unix_s: NOW.unix_s + seconds, ..NOW };
    assert_eq!(SMALL.answer(&request, at(899)).reply.status, 200);
    assert_eq!(SMALL.answer(&request, at(900)).reply.status, 403);
    let forged = Request { query: request.query.replace("hmac=", "hmac=0"), ..request };
    assert_eq!(ask(&SMALL, &forged).status, 403);
}

#[test]
fn dead_clips_are_dead_on_every_try_and_the_truth_knows() {
    let engine = engine(&small(Regime::Extended));
    switch(&engine, json!({"dead_clips": 1.0}));
    let request = clip_of(&by_isrc(&engine, track_on(Shelf::Listed)).value(), "preview");
    assert_eq!([ask(&engine, &request).status, ask(&engine, &request).status], [403, 403]);
    let truth = super::truth(&engine, json!([{"q": "night", "max_tracks": 20}]), "");
    assert_eq!(truth["counts"]["song_audio_features"], json!(0));
}

#[test]
fn the_embed_page_wants_a_browser_and_has_a_preview_or_not() {
    let catalogue = &SMALL.world().catalogue;
    let browser = |id: &str| {
        Request::get(&format!("/embed/track/{id}")).with_header("user-agent", "Mozilla/5.0").with_header("accept", "text/html")
    };
    assert_eq!(ask(&SMALL, &Request::get(&format!("/embed/track/{}", catalogue.tracks[0].id))).status, 403);
    let data = |id: &str| {
        let reply = ask(&SMALL, &browser(id));
        let text = String::from_utf8_lossy(reply.body.bytes()).into_owned();
        let script = text.split_once("type=\"application/json\">").and_then(|(_, tail)| tail.split_once("</script>"));
        script.and_then(|(json, _)| serde_json::from_str::<Value>(json).ok()).unwrap_or_else(|| panic!("no script in {text}"))
    };
    for track in catalogue.tracks.iter().take(50) {
        let entity = &data(&track.id)["props"]["pageProps"]["state"]["data"]["entity"];
        assert_eq!(entity["audioPreview"]["url"].is_string(), catalogue.recording(track).embed_preview, "{}", track.id);
    }
    assert!(data("0000000000000000000000")["props"]["pageProps"]["state"].is_null());
}

#[test]
fn musicbrainz_wants_to_know_who_asks() {
    let catalogue = &SMALL.world().catalogue;
    let track = catalogue.tracks.iter().find(|track| track.isrc.is_some() && catalogue.recording(track).mbid.is_some());
    let track = track.expect("a track with both ids");
    let request = Request::get(&format!("/musicbrainz/ws/2/isrc/{}?fmt=json", track.isrc.clone().unwrap_or_default()));
    assert_eq!(ask(&SMALL, &request).status, 403);
    let body = ask(&SMALL, &request.with_header("user-agent", "reprise/0.1 ( mail@example.org )")).value();
    assert_eq!(body["recordings"][0]["id"], json!(catalogue.recording(track).mbid));
}
