use reprise::sandbox::engine::Moment;
use reprise::sandbox::wire::Request;
use reprise::sandbox::{Regime, SandboxOptions};
use serde_json::{Value, json};

use super::{NOW, SMALL, ask, engine, small, spotify, spotify_request, switch, token, token_request};

fn an_artist() -> &'static str {
    &SMALL.world().catalogue.artists[3].id
}

#[test]
fn a_token_needs_the_right_client() {
    let reply = ask(&SMALL, &token_request());
    assert_eq!((reply.status, &reply.value()["token_type"]), (200, &json!("Bearer")));
    let wrong = ask(&SMALL, &token_request().with_header("authorization", "Basic bm9ib2R5OnNlY3JldA=="));
    assert_eq!((wrong.status, &wrong.value()["error"]), (400, &json!("invalid_client")));
}

#[test]
fn tokens_expire_and_are_told_from_invented_ones() {
    let engine = engine(&SandboxOptions { token_life_s: 10, ..small(Regime::Extended) });
    let token = token(&engine);
    let request = spotify_request(&token, &format!("/artists/{}", an_artist()));
    assert_eq!(ask(&engine, &request).status, 200);
    let later = Moment { elapsed_ms: NOW.elapsed_ms + 10_000, ..NOW };
    let message = |reply: reprise::sandbox::wire::Reply| (reply.status, reply.value()["error"]["message"].clone());
    assert_eq!(message(engine.answer(&request, later).reply), (401, json!("The access token expired")));
    assert_eq!(message(ask(&engine, &spotify_request("invented", "/artists/x"))), (401, json!("Invalid access token")));
    assert_eq!(message(ask(&engine, &Request::get("/spotify/v1/artists/x"))), (401, json!("No token provided")));
}

#[test]
fn each_regime_shows_and_refuses_what_it_does_outside() {
    for (regime, limit, batch, full) in
        [(Regime::Extended, 50, 200, true), (Regime::Legacy, 50, 200, true), (Regime::Restricted, 10, 403, false)]
    {
        let engine = engine(&small(regime));
        let search = |limit: usize| spotify(&engine, &format!("/search?q=night&type=track&market=US&limit={limit}"));
        assert_eq!((search(limit).status, search(limit + 1).status), (200, 400), "{regime:?}");
        let artist = spotify(&engine, &format!("/artists/{}", an_artist())).value();
        for field in ["popularity", "followers"] {
            assert_eq!(artist.get(field).is_some(), full, "{regime:?} {field}");
        }
        assert_eq!(artist["genres"].is_array(), full, "{regime:?}");
        assert_eq!(spotify(&engine, &format!("/artists?ids={}", an_artist())).status, batch, "{regime:?}");
        let page = search(10).value();
        let tracks: Vec<&Value> =
            page["tracks"]["items"].as_array().into_iter().flatten().filter(|item| !item.is_null()).collect();
        assert!(tracks.iter().all(|track| track.get("popularity").is_some() == full), "{regime:?}");
        assert!(tracks.iter().all(|track| track["external_ids"].is_object()), "external_ids were given back");
        let previews = tracks.iter().filter(|track| track["preview_url"].is_string()).count();
        assert_eq!(previews > 0, regime == Regime::Extended, "{regime:?}");
    }
}

#[test]
fn a_batch_keeps_the_order_and_has_null_for_nobody() {
    let ids = [an_artist(), "0000000000000000000000", &SMALL.world().catalogue.artists[9].id];
    let batch = spotify(&SMALL, &format!("/artists?ids={}", ids.join(","))).value();
    let found: Vec<&Value> = batch["artists"].as_array().into_iter().flatten().map(|artist| &artist["id"]).collect();
    assert_eq!(found, [&json!(ids[0]), &Value::Null, &json!(ids[2])]);
}

#[test]
fn unknown_and_malformed_ids_differ() {
    assert_eq!(spotify(&SMALL, "/artists/0000000000000000000000").status, 404);
    let malformed = spotify(&SMALL, "/artists/nobody");
    assert_eq!((malformed.status, &malformed.value()["error"]["message"]), (400, &json!("invalid id")));
}

#[test]
fn a_lapsed_subscription_says_so_in_159_bytes_of_plain_text() {
    let engine = engine(&small(Regime::Restricted));
    switch(&engine, json!({"premium_lost": true}));
    let reply = spotify(&engine, "/search?q=night&type=track&market=US");
    assert_eq!((reply.status, reply.body.bytes().len(), reply.content_type.as_str()), (403, 159, "text/plain"));
}

#[test]
fn the_quota_is_used_up_and_comes_back() {
    let engine = engine(&small(Regime::Restricted));
    switch(&engine, json!({"quota_after": 2, "quota_retry_after_s": 80_000, "quota_resets_s": 100}));
    let request = spotify_request(&token(&engine), &format!("/artists/{}", an_artist()));
    let statuses: Vec<u16> = (0..3).map(|_| ask(&engine, &request).status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    let refused = ask(&engine, &request);
    assert_eq!(refused.value()["error"]["reason"], json!("QUOTA_EXCEEDED"));
    assert_eq!(refused.headers, [("retry-after", "80000".to_owned())]);
    let tomorrow = Moment { elapsed_ms: NOW.elapsed_ms + 100_000, ..NOW };
    assert_eq!(engine.answer(&request, tomorrow).reply.status, 200);
}

#[test]
fn relinked_tracks_name_the_id_that_was_asked_for() {
    let catalogue = &SMALL.world().catalogue;
    let track = catalogue.tracks.iter().find(|track| track.linked_from.is_some()).expect("a relinked track");
    let asked = track.linked_from.clone().unwrap_or_default();
    let body = spotify(&SMALL, &format!("/tracks/{asked}?market=US")).value();
    assert_eq!((&body["id"], &body["linked_from"]["id"]), (&json!(track.id), &json!(asked)));
}
