//! The Last.fm client.

use std::time::Duration;

use reprise::config::Secret;
use reprise::extract::LastfmOptions;
use reprise::extract::clients::http::ApiError;
use reprise::extract::clients::lastfm::Lastfm;
use reprise::extract::clients::lastfm::answer::ArtistAnswer;
use reprise::supervision::Pulse;

use crate::rig::{Reply, Server, http};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const FOUND: &str =
    r#"{"artist":{"name":"U2","stats":{"listeners":"3623538","playcount":"1"},"tags":{"tag":{"name":"rock"}}}}"#;

pub fn client(url: &str) -> Lastfm {
    let options = LastfmOptions {
        api_key: Secret::new(KEY),
        api_url: format!("{url}/2.0/"),
        calls_per_second: 1_000,
        ..LastfmOptions::default()
    };
    Lastfm::new(&http(), &options).expect("a client")
}

async fn ask(server: &Server) -> Result<Option<ArtistAnswer>, ApiError> {
    client(&server.url).artist("U2", &Pulse::new()).await
}

fn error(code: u16) -> String {
    format!(r#"{{"message":"some words","error":{code}}}"#)
}

/// Every passing fault, then the answer: found as if nothing had been, with one call more.
#[tokio::test]
async fn passing_faults_of_every_kind_are_survived() {
    let faults = vec![
        Reply::json(500, &error(8)),
        Reply::json(200, &error(8)),
        Reply::json(503, &error(11)),
        Reply::json(200, &error(16)),
        Reply::json(400, &error(2)),
        Reply::html(200),
        Reply::html(502),
        Reply::json(200, r#"{"artist":{"name":"U2","stats":{"listen"#),
        Reply::json(200, "{}"),
        Reply::json(200, ""),
        Reply::cut(FOUND),
        Reply::huge(100_000_000),
        Reply::garbage(),
        Reply::hang_up(),
        Reply::redirect("/2.0/"),
        Reply::redirect("https://example.org/"),
    ];
    for (kind, fault) in faults.into_iter().enumerate() {
        let server = Server::start(move |_, nth| if nth == 0 { fault.clone() } else { Reply::json(200, FOUND) }).await;
        let found = ask(&server).await.unwrap_or_else(|error| panic!("fault {kind}: {error}"));
        assert_eq!(found.and_then(|artist| artist.listeners), Some(3_623_538), "fault {kind}");
        assert_eq!(server.calls().len(), 2, "fault {kind}");
    }
}

#[tokio::test]
async fn not_found_is_a_result_after_one_call_whatever_the_status() {
    for status in [200, 400, 404] {
        let server = Server::start(move |_, _| Reply::json(status, &error(6))).await;
        assert_eq!(ask(&server).await, Ok(None), "status {status}");
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_key_stops_after_one_call_and_never_shows() {
    for (status, code) in [(403, 10), (403, 26), (200, 26)] {
        let server = Server::start(move |_, _| Reply::json(status, &error(code))).await;
        let stopped = ask(&server).await;
        assert!(matches!(&stopped, Err(ApiError::Stop(reason)) if reason.contains("lastfm.api_key")), "{stopped:?}");
        assert!(!format!("{stopped:?}").contains(KEY));
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_wrong_call_is_rejected_after_one_call_and_the_key_does_not_show() {
    let server = Server::start(|_, _| Reply::json(400, &error(3))).await;
    let rejected = ask(&server).await;
    assert!(matches!(&rejected, Err(ApiError::Rejected(reason)) if reason.contains("error 3") && !reason.contains(KEY)));
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn too_many_requests_are_waited_for_as_long_as_the_server_says() {
    let told = Reply::new(429, "retry-after: 33\r\n", error(29).as_bytes());
    for reply in [
        told,
        Reply::new(200, "retry-after: 33\r\n", error(29).as_bytes()),
        Reply::new(429, "retry-after: 33\r\n", b"slow down"),
    ] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let waits = ask(&server).await;
        let Err(ApiError::Wait { pause, .. }) = waits else { panic!("{waits:?}") };
        assert!(pause > Duration::from_secs(30) && pause <= Duration::from_secs(33), "{pause:?}");
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test]
async fn an_outage_becomes_a_wait_and_nothing_is_given_up() {
    let server = Server::start(|_, _| Reply::html(503)).await;
    let waits = ask(&server).await;
    assert!(
        matches!(&waits, Err(ApiError::Wait { reason, .. }) if reason.contains("lastfm") && !reason.contains(KEY)),
        "{waits:?}"
    );
    assert_eq!(server.calls().len(), 6, "the first attempt and five retries");
}

#[tokio::test]
async fn a_call_names_what_it_wants_and_a_plus_sign_survives() {
    let server = Server::start(|_, _| Reply::json(200, FOUND)).await;
    let lastfm = client(&server.url);
    let asked = lastfm.artist("Florence + The Machine", &Pulse::new()).await;
    assert!(asked.is_ok());
    drop(lastfm.track("Florence + The Machine", "100% + 1", &Pulse::new()).await);
    let calls = server.calls();
    assert!(
        calls.iter().all(|call| call.starts_with("/2.0/?method=") && call.contains("autocorrect=1&format=json")),
        "{calls:?}"
    );
    assert!(calls.iter().any(|call| call.contains("artist.getInfo&artist=Florence+%252B+The+Machine")), "{calls:?}");
    assert!(calls.iter().any(|call| call.contains("artist=Florence+%2B+The+Machine&track=100%25+%2B+1")), "{calls:?}");
}
