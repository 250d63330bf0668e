//! The HTTP client survives every kind of bad server, loses nothing and shows no secret.

mod http_peer;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use http_peer::{Peer, free_account, get, http, judge, quick, respond};
use reprise::config::{Period, Secret};
use reprise::extract::clients::http::{Answer, ApiError, ApiRequest, Hosts, ParkBook, Verdict};
use reprise::extract::options::HttpOptions;
use reprise::observe::Metrics;
use reprise::supervision::Pulse;

async fn call(options: HttpOptions, request: &ApiRequest) -> Result<Answer, ApiError> {
    let http = http(options, &Metrics::new(), ParkBook::in_memory());
    free_account(&http).call(request, &judge, &Pulse::new()).await
}

fn is_wait(outcome: &Result<Answer, ApiError>, reason: &str) -> bool {
    matches!(outcome, Err(ApiError::Wait { reason: found, .. }) if found.contains(reason))
}

#[tokio::test]
async fn passing_faults_are_tried_again_until_an_answer_comes() {
    let peer = Peer::start(|number, stream| match number {
        0 => respond(stream, 503, "", "<html>upstream</html>"),
        1 => drop(stream.write_all(b"this is no HTTP\r\n\r\n")),
        _ => respond(stream, 200, "", "{}"),
    });
    let answer = call(quick(), &get(peer.url("/"))).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
    assert_eq!(peer.received().len(), 3);
}

#[tokio::test]
async fn a_body_cut_in_the_middle_is_never_taken_for_a_whole_one() {
    let peer = Peer::start(|number, stream| match number {
        0 => drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"tracks\":")),
        1 => drop(stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"tra")),
        _ => respond(stream, 200, "", "whole"),
    });
    assert_eq!(call(quick(), &get(peer.url("/"))).await.unwrap().body, b"whole");
}

#[tokio::test]
async fn a_server_that_drips_bytes_is_cut_off_by_the_total_time_out() {
    let peer = Peer::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            sleep(Duration::from_millis(50));
        }
    });
    let started = Instant::now();
    let options = HttpOptions { retries: 0, total_timeout: Period::seconds(1), ..quick() };
    let outcome = call(options, &get(peer.url("/"))).await;
    assert!(is_wait(&outcome, "timeout"), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_stops_talking_is_cut_off_by_the_read_time_out() {
    let peer = Peer::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx");
        sleep(Duration::from_secs(30));
    });
    let started = Instant::now();
    let options = HttpOptions { retries: 0, read_timeout: Period(Duration::from_millis(300)), ..quick() };
    let outcome = call(options, &get(peer.url("/"))).await;
    assert!(is_wait(&outcome, "timeout"), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// 100 MB, announced or not, are not read further than allowed.
async fn oversized(headers: &'static str) {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let peer = Peer::start(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        let _ = stream.write_all(headers.as_bytes());
        let chunk = [b'x'; 64 * 1024];
        for _ in 0..1_600 {
            if stream.write_all(&chunk).is_err() {
                break;
            }
            count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    });
    let request = get(peer.url("/")).max_bytes(1_000_000, Verdict::Missing("too_large".to_owned()));
    let outcome = call(quick(), &request).await;
    assert_eq!(outcome.unwrap_err(), ApiError::Missing { reason: "too_large".to_owned() });
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 20_000_000, "{sent} bytes went into buffers before the connection was closed");
}

#[tokio::test]
async fn a_hundred_megabytes_are_not_read_when_announced() {
    oversized("content-length: 104857600\r\n\r\n").await;
}

#[tokio::test]
async fn a_hundred_megabytes_are_not_read_when_unannounced() {
    oversized("connection: close\r\n\r\n").await;
}

#[tokio::test]
async fn redirects_are_not_followed_unless_a_list_allows_it() {
    let elsewhere = Peer::fixed(200, "", "secret place");
    let target = elsewhere.url("/clip");
    let location = format!("location: {target}\r\n");
    let peer = Peer::start(move |_, stream| respond(stream, 302, &location, ""));
    let outcome = call(quick(), &get(peer.url("/"))).await;
    assert!(matches!(outcome, Err(ApiError::Rejected(text)) if text.contains("302")));
    assert!(elsewhere.received().is_empty());
    let listed = get(peer.url("/")).hosts(Hosts::listed(&["127.0.0.1".to_owned()]));
    assert_eq!(call(quick(), &listed).await.unwrap().body, b"secret place");
}

#[tokio::test]
async fn a_redirect_off_the_list_is_refused_before_anything_is_sent_there() {
    let elsewhere = Peer::fixed(200, "", "");
    let port = elsewhere.url("/").port().unwrap_or_default();
    let location = format!("location: http://localhost:{port}/\r\n");
    let peer = Peer::start(move |_, stream| respond(stream, 301, &location, ""));
    let request = get(peer.url("/")).hosts(Hosts::listed(&["127.0.0.1".to_owned()]));
    let outcome = call(quick(), &request).await;
    assert!(matches!(&outcome, Err(ApiError::Rejected(text)) if text.contains("allow list")), "{outcome:?}");
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let peer = Peer::start(|_, stream| respond(stream, 302, "location: /again\r\n", ""));
    let request = get(peer.url("/")).hosts(Hosts::listed(&["127.0.0.1".to_owned()]));
    let outcome = call(HttpOptions { retries: 1, ..quick() }, &request).await;
    assert!(is_wait(&outcome, "redirect_loop"), "{outcome:?}");
    assert_eq!(peer.received().len(), 2 * 6, "five redirects, twice");
}

#[tokio::test]
async fn a_dead_server_opens_the_breaker_and_is_left_alone() {
    let peer = Peer::start(|_, _| {});
    let options = HttpOptions { retries: 5, breaker_failures: 3, breaker_pause: Period::seconds(60), ..quick() };
    let http = http(options, &Metrics::new(), ParkBook::in_memory());
    let account = free_account(&http);
    for _ in 0..5 {
        let outcome = account.call(&get(peer.url("/")), &judge, &Pulse::new()).await;
        assert!(is_wait(&outcome, "not answering"), "{outcome:?}");
    }
    assert_eq!(peer.received().len(), 3);
}

#[tokio::test]
async fn nobody_listening_is_a_wait_and_not_a_failure() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = url::Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    assert!(is_wait(&call(quick(), &get(url)).await, "connect"));
}

#[tokio::test]
async fn one_request_that_never_works_is_given_up_while_others_do() {
    let peer = Peer::start(|_, stream| respond(stream, 500, "", ""));
    let good = Peer::fixed(200, "", "");
    let options = HttpOptions { retries: 0, give_up_rounds: 3, ..quick() };
    let http = http(options, &Metrics::new(), ParkBook::in_memory());
    let (account, pulse) = (free_account(&http), Pulse::new());
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(account.call(&get(peer.url("/bad")), &judge, &pulse).await);
        account.call(&get(good.url("/good")), &judge, &pulse).await.unwrap();
    }
    assert!(is_wait(&outcomes[0], "status 500") && is_wait(&outcomes[1], "status 500"));
    assert!(matches!(&outcomes[2], Err(ApiError::Rejected(text)) if text.contains("3 rounds")), "{outcomes:?}");
}

#[tokio::test]
async fn a_server_that_is_down_for_everybody_costs_no_message() {
    let peer = Peer::start(|_, stream| respond(stream, 500, "", ""));
    let options = HttpOptions { retries: 0, give_up_rounds: 2, ..quick() };
    let http = http(options, &Metrics::new(), ParkBook::in_memory());
    let account = free_account(&http);
    for round in 0..8 {
        let outcome = account.call(&get(peer.url("/")), &judge, &Pulse::new()).await;
        assert!(is_wait(&outcome, "status 500"), "round {round}: {outcome:?}");
    }
}

/// With a breaker that opens long before the retries are used up, as by default, and nobody else asking.
fn broken_early() -> HttpOptions {
    let (pause, in_place) = (Period(Duration::from_millis(20)), Period(Duration::from_millis(1)));
    HttpOptions {
        retries: 5,
        give_up_rounds: 4,
        breaker_failures: 3,
        breaker_pause: pause,
        max_wait_in_place: in_place,
        backoff_base: in_place,
        ..quick()
    }
}

#[tokio::test]
async fn a_request_that_never_works_is_given_up_also_where_the_stage_has_nothing_else_to_ask() {
    let peer = Peer::reading(|_, head, stream| respond(stream, if head.contains("/bad") { 500 } else { 200 }, "", ""));
    let http = http(broken_early(), &Metrics::new(), ParkBook::in_memory());
    let (account, pulse) = (free_account(&http), Pulse::new());
    account.call(&get(peer.url("/good")), &judge, &pulse).await.unwrap();
    let mut outcome = account.call(&get(peer.url("/bad")), &judge, &pulse).await;
    for _ in 0..1_000 {
        let Err(ApiError::Wait { .. }) = &outcome else { break };
        tokio::time::sleep(Duration::from_millis(5)).await; // what the stage does
        outcome = account.call(&get(peer.url("/bad")), &judge, &pulse).await;
    }
    assert!(matches!(&outcome, Err(ApiError::Rejected(text)) if text.contains("status 500")), "{outcome:?}");
    let asked = |path: &str| peer.received().iter().filter(|request| request.head.contains(path)).count();
    assert_eq!(asked("/good"), 2, "once before, and once for a second opinion");
    assert!(asked("/bad") <= 20, "{} calls for one request", asked("/bad"));
}

#[tokio::test]
async fn a_server_that_goes_down_for_everybody_costs_no_message_however_long_it_takes() {
    let peer = Peer::reading(|number, _, stream| respond(stream, if number == 0 { 200 } else { 500 }, "", ""));
    let http = http(broken_early(), &Metrics::new(), ParkBook::in_memory());
    let (account, pulse) = (free_account(&http), Pulse::new());
    account.call(&get(peer.url("/good")), &judge, &pulse).await.unwrap();
    while peer.received().len() < 30 {
        let outcome = account.call(&get(peer.url("/other")), &judge, &pulse).await;
        assert!(matches!(outcome, Err(ApiError::Wait { .. })), "{outcome:?}");
        tokio::time::sleep(Duration::from_millis(5)).await; // what the stage does
    }
}

#[tokio::test]
async fn no_secret_shows_in_errors_metrics_or_debug_output() {
    let peer = Peer::start(|number, stream| respond(stream, if number == 0 { 400 } else { 500 }, "", ""));
    let metrics = Metrics::new();
    let http = http(quick(), &metrics, ParkBook::in_memory());
    let request = get(peer.url("/x?api_key=hunter2&hdnea=hunter2")).header("authorization", Secret::new("Bearer hunter2"));
    let mut shown = format!("{request:?}");
    for _ in 0..2 {
        let error = free_account(&http).call(&request, &judge, &Pulse::new()).await.unwrap_err();
        shown.push_str(&format!("{error} {error:?}"));
    }
    shown.push_str(&metrics.encode().unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(peer.received()[0].head.contains("Bearer hunter2"), "but it is sent");
}

#[tokio::test]
async fn headers_that_cannot_be_sent_stop_the_run_without_showing_them() {
    let request = get(Peer::fixed(200, "", "").url("/")).header("authorization", Secret::new("hunter2\nx: y"));
    let outcome = call(quick(), &request).await;
    assert!(matches!(&outcome, Err(ApiError::Stop(text)) if text.contains("authorization") && !text.contains("hunter2")));
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let elsewhere = Peer::fixed(200, "", "");
    let location = format!("location: http://localhost:{}/\r\n", elsewhere.url("/").port().unwrap_or_default());
    let peer = Peer::start(move |_, stream| respond(stream, 302, &location, ""));
    let request = get(peer.url("/"))
        .header("authorization", Secret::new("hunter2"))
        .hosts(Hosts::listed(&["127.0.0.1".to_owned(), "localhost".to_owned()]));
    call(quick(), &request).await.unwrap();
    assert!(!elsewhere.received()[0].head.contains("hunter2"));
}

#[test]
fn callers_come_and_go_and_the_client_stays() {
    let peer = Peer::fixed(200, "", "");
    let http = http(quick(), &Metrics::new(), ParkBook::in_memory());
    for _ in 0..3 {
        let arbiter = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = arbiter.block_on(free_account(&http).call(&get(peer.url("/")), &judge, &Pulse::new()));
        assert_eq!(outcome.unwrap().status, 200);
    }
    assert_eq!(peer.received().len(), 3);
}

#[tokio::test]
async fn the_last_clone_may_be_dropped_inside_a_task() {
    let http = http(quick(), &Metrics::new(), ParkBook::in_memory());
    tokio::spawn(async move { drop(http) }).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_dies_takes_its_request_along_and_frees_its_slot() {
    let peer = Peer::start(|number, stream| {
        if number == 0 {
            sleep(Duration::from_secs(60));
        }
        respond(stream, 200, "", "");
    });
    let http = http(quick(), &Metrics::new(), ParkBook::in_memory());
    let window = reprise::extract::clients::http::RateWindow::new(100, Duration::from_secs(1));
    let account = http_peer::account(&http, "one", window, 1);
    let request = get(peer.url("/"));
    let killed = tokio::time::timeout(Duration::from_millis(200), account.call(&request, &judge, &Pulse::new())).await;
    assert!(killed.is_err());
    let next = tokio::time::timeout(Duration::from_secs(20), account.call(&request, &judge, &Pulse::new())).await;
    assert_eq!(next.unwrap().unwrap().status, 200);
}
