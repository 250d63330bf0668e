use reprise::sandbox::Regime;
use reprise::sandbox::engine::Moment;
use reprise::sandbox::wire::Request;
use serde_json::json;

use super::{NOW, ask, engine, lastfm_request, small, spotify_request, switch, token};

#[test]
fn calls_are_counted_by_endpoint_and_key_and_batches_by_each_id() {
    let engine = engine(&small(Regime::Extended));
    let token = token(&engine);
    let ids: Vec<&str> = engine.world().catalogue.artists.iter().take(3).map(|artist| artist.id.as_str()).collect();
    ask(&engine, &spotify_request(&token, &format!("/artists/{}", ids[0])));
    ask(&engine, &spotify_request(&token, &format!("/artists?ids={}", ids.join(","))));
    ask(&engine, &spotify_request(&token, "/search?q=night&type=track&market=US&limit=10&offset=20"));
    ask(&engine, &lastfm_request("artist.getInfo", "artist=A%252BB"));
    let calls = ask(&engine, &Request::get("/__calls")).value();
    assert_eq!(calls["total"], json!(5));
    assert_eq!(calls["by_endpoint"]["spotify.artist"], json!(1));
    assert_eq!(calls["by_endpoint"]["spotify.artists_batch"], json!(1));
    assert_eq!(calls["by_key"][format!("artists/{}", ids[0])], json!(2));
    assert_eq!(calls["answered"][format!("artists/{}", ids[1])], json!(1));
    assert_eq!(calls["by_key"]["search/night|20|10"], json!(1));
    assert_eq!(calls["by_key"]["lastfm.artist/A+B"], json!(1));
    switch(&engine, json!({"reset_calls": true}));
    assert_eq!(engine.calls().total, 0);
}

#[test]
fn what_goes_over_a_rolling_window_is_counted_and_refused_when_enforced() {
    let engine = engine(&small(Regime::Extended));
    let call = Request::get("/deezer/search?q=night");
    let at = |elapsed_ms: u64| engine.answer(&call, Moment { elapsed_ms, ..NOW }).reply.value()["error"]["code"].clone();
    for elapsed_ms in 0..50 {
        assert!(at(elapsed_ms).is_null());
    }
    assert!(at(60).is_null(), "counted, not enforced");
    assert_eq!(engine.calls().over_limit.get("deezer"), Some(&1));
    switch(&engine, json!({"enforce_limits": true}));
    assert_eq!(at(70), json!(4));
    // The window rolls: the calls of the first 50 ms have left it, those at 60 and 70 have not.
    assert!(at(5_055).is_null());
    let pace = engine.calls().by_api.remove("deezer").unwrap_or_default();
    assert_eq!((pace.calls, pace.first_ms, pace.last_ms, pace.peak), (53, 0, 5_055, 52));
}

#[test]
fn each_api_throttles_in_its_own_way() {
    let engine = engine(&small(Regime::Extended));
    let token = token(&engine);
    let none = json!({"calls": 0, "window_ms": 1000});
    let limits = json!({"spotify": none, "lastfm": none, "deezer": none, "itunes": none, "musicbrainz": none});
    switch(&engine, json!({"enforce_limits": true, "retry_after_s": 7, "limits": limits}));
    let spotify = ask(&engine, &spotify_request(&token, "/search?q=night&type=track&market=US"));
    assert_eq!((spotify.status, spotify.headers), (429, vec![("retry-after", "7".to_owned())]));
    assert_eq!(ask(&engine, &lastfm_request("artist.getInfo", "artist=x")).value()["error"], json!(29));
    let deezer = ask(&engine, &Request::get("/deezer/search?q=night"));
    assert_eq!((deezer.status, &deezer.value()["error"]["code"]), (200, &json!(4)));
    let itunes = ask(&engine, &Request::get("/itunes/search?term=night"));
    assert_eq!((itunes.status, itunes.value(), itunes.headers.len()), (403, json!({"resultCount": 0, "results": []}), 0));
    let musicbrainz = ask(&engine, &Request::get("/musicbrainz/ws/2/isrc/X").with_header("user-agent", "a/1 (b)"));
    assert_eq!(musicbrainz.status, 503);
}
