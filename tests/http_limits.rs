//! The HTTP client keeps every limit, its own and the servers', also across restarts.

mod http_peer;

use std::time::{Duration, Instant};

use futures::future::join_all;
use http_peer::{Peer, account, free_account, get, http, judge, quick, respond};
use reprise::config::Period;
use reprise::extract::clients::http::{ApiError, ParkBook, RateWindow};
use reprise::extract::options::HttpOptions;
use reprise::observe::Metrics;
use reprise::records::now_micros;
use reprise::supervision::Pulse;

#[tokio::test]
async fn no_window_at_the_server_ever_holds_more_calls_than_allowed() {
    let peer = Peer::fixed(200, "", "");
    let http = http(quick(), &Metrics::new(), ParkBook::in_memory());
    let window = RateWindow::new(10, Duration::from_secs(2));
    let account = account(&http, "limited", window, 4);
    let (request, pulse, started) = (get(peer.url("/")), Pulse::new(), Instant::now());
    let calls = join_all((0..22).map(|_| account.call(&request, &judge, &pulse))).await;
    assert!(calls.iter().all(Result::is_ok));
    let took = started.elapsed();
    let at: Vec<Instant> = peer.received().into_iter().map(|received| received.at).collect();
    let most =
        at.iter().map(|start| at.iter().filter(|other| **other >= *start && **other < *start + window.per).count()).max();
    assert!(most <= Some(10), "{most:?} in one window");
    // 22 calls fill two windows and begin a third; one by one they would take 42 s.
    assert!(took >= window.per * 2 && took < window.per * 6, "{took:?}");
}

#[tokio::test]
async fn a_killed_process_and_its_successor_keep_the_window_together() {
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer::fixed(200, "", "");
    let window = RateWindow::new(6, Duration::from_secs(2));
    for _ in 0..3 {
        // Nothing is closed or saved between the incarnations but what each call left behind.
        let (book, _) = ParkBook::open(&folder.path().join("accounts.json")).unwrap();
        let http = http(quick(), &Metrics::new(), book);
        for _ in 0..4 {
            account(&http, "killed", window, 4).call(&get(peer.url("/")), &judge, &Pulse::new()).await.unwrap();
        }
        std::mem::forget(http);
    }
    let at: Vec<Instant> = peer.received().into_iter().map(|received| received.at).collect();
    let most =
        at.iter().map(|start| at.iter().filter(|other| **other >= *start && **other < *start + window.per).count()).max();
    assert_eq!((at.len(), most), (12, Some(6)));
}

#[tokio::test]
async fn accounts_of_one_name_share_their_limits() {
    let peer = Peer::fixed(200, "", "");
    let http = http(quick(), &Metrics::new(), ParkBook::in_memory());
    let window = RateWindow::new(1, Duration::from_millis(300));
    let started = Instant::now();
    for _ in 0..3 {
        account(&http, "shared", window, 4).call(&get(peer.url("/")), &judge, &Pulse::new()).await.unwrap();
    }
    assert!(started.elapsed() >= Duration::from_millis(600));
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_allowed() {
    let peer = Peer::start(|_, stream| {
        std::thread::sleep(Duration::from_millis(100));
        respond(stream, 200, "", "");
    });
    let http = http(quick(), &Metrics::new(), ParkBook::in_memory());
    let account = account(&http, "narrow", RateWindow::new(1_000, Duration::from_secs(1)), 2);
    let (request, pulse, started) = (get(peer.url("/")), Pulse::new(), Instant::now());
    join_all((0..6).map(|_| account.call(&request, &judge, &pulse))).await;
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for_in_place_and_shown() {
    let peer = Peer::start(|number, stream| match number {
        0 => respond(stream, 429, "retry-after: 2\r\n", "Too many requests"),
        _ => respond(stream, 200, "", ""),
    });
    let (metrics, pulse) = (Metrics::new(), Pulse::new());
    let http = http(quick(), &metrics, ParkBook::in_memory());
    let (account, request) = (free_account(&http), get(peer.url("/")));
    let watch = async {
        loop {
            if let Some(wait) = pulse.current_wait() {
                break wait;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let both = futures::future::join(account.call(&request, &judge, &pulse), watch);
    let (outcome, wait) = tokio::time::timeout(Duration::from_secs(30), both).await.expect("a wait is declared");
    assert_eq!(outcome.unwrap().status, 200);
    assert!(wait.reason.contains("rate limit") && wait.until.is_some(), "{wait:?}");
    assert_eq!(pulse.current_wait(), None);
    let times: Vec<Instant> = peer.received().into_iter().map(|received| received.at).collect();
    assert!(times[1] - times[0] >= Duration::from_millis(2_000));
    let text = metrics.encode().unwrap();
    assert!(text.contains("reprise_api_requests_total{api=\"clips\",status=\"429\"} 1"), "{text}");
    assert!(text.contains("reprise_api_wait_seconds_total{api=\"clips\",reason=\"retry_after\"}"), "{text}");
}

#[tokio::test]
async fn a_long_retry_after_parks_the_account_across_restarts_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.json");
    let started = now_micros();
    let peer = Peer::fixed(429, "retry-after: 83276\r\n", "Too many requests");
    for incarnation in 0..3 {
        let (book, _) = ParkBook::open(&path).unwrap();
        let http = http(quick(), &Metrics::new(), book);
        for _ in 0..3 {
            let outcome = free_account(&http).call(&get(peer.url("/")), &judge, &Pulse::new()).await;
            let Err(ApiError::Wait { reason, pause }) = outcome else { panic!("{incarnation}: {outcome:?}") };
            assert!(reason.contains("rate limit"), "{reason}");
            let (end, asked) = (now_micros() + i64::try_from(pause.as_micros()).unwrap(), started + 83_276_000_000);
            assert!((asked..asked + 60_000_000).contains(&end), "{pause:?}: until the end that the server named");
        }
    }
    assert_eq!(peer.received().len(), 1, "one call found out, none followed");
}

#[tokio::test]
async fn an_answer_that_was_under_way_when_the_account_was_parked_does_not_end_the_park() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.json");
    let (parked, wait_for_park) = std::sync::mpsc::channel::<()>();
    let (parked, wait_for_park) = (std::sync::Mutex::new(Some(parked)), std::sync::Mutex::new(wait_for_park));
    let peer = Peer::reading(move |_, head, stream| {
        if head.starts_with("GET /quota") {
            respond(stream, 429, "retry-after: 83276\r\n", "Too many requests");
        } else {
            // Answered only when the park is written: the sender goes away then.
            let _ = wait_for_park.lock().unwrap().recv();
            respond(stream, 200, "", "");
        }
    });
    let (book, _) = ParkBook::open(&path).unwrap();
    let http = http(quick(), &Metrics::new(), book);
    let account = free_account(&http);
    let (slow, quota, pulse) = (get(peer.url("/slow")), get(peer.url("/quota")), Pulse::new());
    let park = async {
        // Sent while the slow one is under way.
        while peer.received().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let outcome = account.call(&quota, &judge, &pulse).await;
        drop(parked.lock().unwrap().take());
        outcome
    };
    let (answered, throttled) = futures::future::join(account.call(&slow, &judge, &pulse), park).await;
    assert_eq!(answered.unwrap().status, 200);
    assert!(matches!(throttled, Err(ApiError::Wait { .. })));
    // The next process knows.
    let (book, _) = ParkBook::open(&path).unwrap();
    let next = http_peer::http(quick(), &Metrics::new(), book);
    let outcome = free_account(&next).call(&slow, &judge, &Pulse::new()).await;
    assert!(matches!(outcome, Err(ApiError::Wait { .. })), "{outcome:?}");
    assert_eq!(peer.received().len(), 2);
}

#[tokio::test]
async fn a_park_that_is_over_is_cleared_and_the_account_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.json");
    let peer = Peer::start(|number, stream| match number {
        0 => respond(stream, 429, "retry-after: 2\r\n", ""),
        _ => respond(stream, 200, "", ""),
    });
    let call = async |book: ParkBook| {
        let options = HttpOptions { max_wait_in_place: Period(Duration::from_millis(100)), ..quick() };
        let http = http(options, &Metrics::new(), book);
        free_account(&http).call(&get(peer.url("/")), &judge, &Pulse::new()).await
    };
    assert!(matches!(call(ParkBook::open(&path).unwrap().0).await, Err(ApiError::Wait { .. })));
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(call(ParkBook::open(&path).unwrap().0).await.unwrap().status, 200);
    assert_eq!(ParkBook::open(&path).unwrap().0.parked("test/1"), None);
}

#[tokio::test]
async fn a_throttle_of_one_call_holds_all_calls_of_the_account() {
    let peer = Peer::fixed(429, "retry-after: 3600\r\n", "");
    let http = http(quick(), &Metrics::new(), ParkBook::in_memory());
    let account = account(&http, "parallel", RateWindow::new(1_000, Duration::from_secs(1)), 2);
    let (request, pulse) = (get(peer.url("/")), Pulse::new());
    let calls = join_all((0..20).map(|_| account.call(&request, &judge, &pulse))).await;
    assert!(calls.iter().all(|call| matches!(call, Err(ApiError::Wait { .. }))));
    assert!(peer.received().len() <= 2, "only those under way already: {}", peer.received().len());
}

#[tokio::test]
async fn a_date_in_retry_after_is_understood() {
    let until = chrono::Utc::now() + chrono::Duration::seconds(3_600);
    let header = format!("retry-after: {}\r\n", until.format("%a, %d %b %Y %H:%M:%S GMT"));
    let peer = Peer::start(move |_, stream| respond(stream, 429, &header, ""));
    let http = http(quick(), &Metrics::new(), ParkBook::in_memory());
    for _ in 0..2 {
        let outcome = free_account(&http).call(&get(peer.url("/")), &judge, &Pulse::new()).await;
        assert!(matches!(outcome, Err(ApiError::Wait { .. })), "{outcome:?}");
    }
    assert_eq!(peer.received().len(), 1);
}
