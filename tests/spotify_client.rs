//! The Spotify client fits itself to the account, wastes no call, and classifies every answer by status and body.

mod spotify_fake;

use std::time::{Duration, Instant};

use futures::future::join_all;
use reprise::extract::clients::http::{ApiError, ParkBook};
use reprise::supervision::Pulse;
use spotify_fake::{Fake, Habits, book_file};

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test]
async fn a_search_names_text_market_type_and_page() {
    let fake = Fake::start(Habits::default()).await;
    let spotify = fake.client(ParkBook::in_memory());
    let answer = spotify.search("artist:\"AC/DC\" & more", None, 100, 20, &Pulse::new()).await.unwrap();
    assert_eq!((answer.page.tracks.len(), answer.limit), (20, 20));
    assert!(answer.observed_at > 1_700_000_000_000_000);
    spotify.search("x", Some("DE"), 0, 1, &Pulse::new()).await.unwrap();
    let calls = fake.calls("/v1/search").await;
    let expected = [("q", "artist:\"AC/DC\" & more"), ("type", "track"), ("market", "US"), ("limit", "20"), ("offset", "100")];
    for (key, value) in expected {
        assert_eq!(calls[0].get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(calls[1].get("market").map(String::as_str), Some("DE"));
}

#[tokio::test]
async fn a_crowd_of_callers_fetches_one_token() {
    let fake = Fake::start(Habits { token_delay: Duration::from_millis(200), ..Habits::default() }).await;
    let spotify = fake.client(ParkBook::in_memory());
    let pulse = Pulse::new();
    let calls = join_all((0..12).map(|_| spotify.search("x", None, 0, 1, &pulse))).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(fake.calls("/api/token").await.len(), 1);
    assert_eq!(fake.calls("/v1/search").await.len(), 12);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends() {
    let life = Duration::from_secs(4);
    let fake = Fake::start(Habits { token_life: life.as_secs(), ..Habits::default() }).await;
    let spotify = fake.client(ParkBook::in_memory());
    let started = Instant::now();
    loop {
        let asked = started.elapsed();
        spotify.artist("a1", &Pulse::new()).await.unwrap();
        let tokens = fake.calls("/api/token").await.len();
        if tokens == 2 {
            assert!(started.elapsed() >= life / 2, "a fresh token is kept");
            break;
        }
        assert_eq!(tokens, 1);
        assert!(asked < life, "a token is not used beyond its end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_the_call_made_again() {
    let fake = Fake::start(Habits { refused_calls: 1, ..Habits::default() }).await;
    let profile = fake.client(ParkBook::in_memory()).artist("a1", &Pulse::new()).await.unwrap();
    assert_eq!(profile.artist_id, "a1");
    assert_eq!((fake.calls("/api/token").await.len(), fake.calls("/v1/artists").await.len()), (2, 2));
}

#[tokio::test]
async fn tokens_that_are_always_refused_are_a_wait_and_not_a_loop() {
    let fake = Fake::start(Habits { refused_calls: u64::from(u32::MAX), ..Habits::default() }).await;
    let outcome = fake.client(ParkBook::in_memory()).artist("a1", &Pulse::new()).await;
    assert!(matches!(outcome, Err(ApiError::Wait { .. })), "{outcome:?}");
    assert_eq!(fake.calls("/api/token").await.len(), 3);
}

#[tokio::test]
async fn refused_credentials_stop_the_run_and_name_the_keys_but_not_the_secret() {
    for body in [r#"{"error":"invalid_client"}"#, r#"{"error":"invalid_client","error_description":"Invalid client secret"}"#] {
        let fake = Fake::start(Habits { first_token_answers: vec![(400, body)], ..Habits::default() }).await;
        let outcome = fake.client(ParkBook::in_memory()).artist("a1", &Pulse::new()).await;
        let Err(ApiError::Stop(advice)) = outcome else { panic!("{outcome:?}") };
        assert!(advice.contains("spotify.client_secret") && !advice.contains("hunter2"), "{advice}");
    }
}

#[tokio::test]
async fn the_page_size_is_found_out_once_and_remembered_across_restarts() {
    let (_folder, book) = book_file();
    let fake = Fake::start(Habits::restricted()).await;
    let spotify = fake.client(book());
    for offset in [0, 10] {
        assert_eq!(spotify.search("x", None, offset, 200, &Pulse::new()).await.unwrap().page.rows, 10);
    }
    fake.client(book()).search("x", None, 20, 200, &Pulse::new()).await.unwrap();
    let limits: Vec<String> =
        fake.calls("/v1/search").await.into_iter().filter_map(|call| call.get("limit").cloned()).collect();
    assert_eq!(limits, ["50", "10", "10", "10"]);
}

#[tokio::test]
async fn nothing_is_asked_beyond_the_wall() {
    let fake = Fake::start(Habits { total: 5_000, ..Habits::default() }).await;
    let spotify = fake.client(ParkBook::in_memory());
    assert_eq!(spotify.search("x", None, 980, 200, &Pulse::new()).await.unwrap().limit, 20);
    let outcome = spotify.search("x", None, 1_000, 200, &Pulse::new()).await;
    assert!(matches!(outcome, Err(ApiError::Missing { .. })));
    assert_eq!(fake.calls("/v1/search").await.len(), 1);
}

#[tokio::test]
async fn batches_are_tried_once_and_their_refusal_remembered_across_restarts() {
    let (_folder, book) = book_file();
    let fake = Fake::start(Habits::restricted()).await;
    for _ in 0..2 {
        let spotify = fake.client(book());
        assert_eq!(spotify.artists(&ids(&["a1", "a2"]), &Pulse::new()).await, Ok(None));
        assert!(!spotify.allows_batches());
    }
    assert_eq!(fake.paths("/v1/artists").await, ["/v1/artists"]);
}

#[tokio::test]
async fn a_batch_gives_profiles_and_misses_in_one_call() {
    let fake = Fake::start(Habits::default()).await;
    let found = fake.client(ParkBook::in_memory()).artists(&ids(&["a1", "gone", "a2"]), &Pulse::new()).await.unwrap().unwrap();
    assert_eq!(found["a1"].as_ref().map(|profile| profile.name.as_str()), Some("Artist a1"));
    assert_eq!(found["gone"], None);
    assert_eq!(fake.calls("/v1/artists").await.len(), 1);
}

#[tokio::test]
async fn one_bad_id_in_a_batch_does_not_end_batches_for_the_others() {
    let fake = Fake::start(Habits::default()).await;
    let spotify = fake.client(ParkBook::in_memory());
    assert_eq!(spotify.artists(&ids(&["a1", "bad1"]), &Pulse::new()).await, Ok(None));
    assert!(spotify.allows_batches());
    assert!(matches!(spotify.artist("bad1", &Pulse::new()).await, Err(ApiError::Rejected(_))));
    assert_eq!(spotify.artist("gone", &Pulse::new()).await, Err(ApiError::Missing { reason: "not_found".into() }));
}

#[tokio::test]
async fn losing_premium_stops_the_run_with_spotifys_own_words() {
    let text = "Active premium subscription required for the owner of the app. When the subscription status changes, it can \
                take a few hours before requests are allowed again.";
    let fake = Fake::start(Habits { first_answers: vec![(403, text, None)], ..Habits::default() }).await;
    let outcome = fake.client(ParkBook::in_memory()).search("x", None, 0, 10, &Pulse::new()).await;
    assert!(matches!(&outcome, Err(ApiError::Stop(advice)) if advice.contains("Active premium subscription")), "{outcome:?}");
    assert_eq!(fake.calls("/v1/search").await.len(), 1);
}

#[tokio::test]
async fn a_quota_parks_the_account_across_restarts() {
    let (_folder, book) = book_file();
    let quota = r#"{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}"#;
    let fake = Fake::start(Habits { first_answers: vec![(429, quota, None)], ..Habits::default() }).await;
    for _ in 0..3 {
        let outcome = fake.client(book()).search("x", None, 0, 10, &Pulse::new()).await;
        assert!(matches!(&outcome, Err(ApiError::Wait { reason, .. }) if reason.contains("quota")), "{outcome:?}");
    }
    assert_eq!(fake.calls("/v1/search").await.len(), 1);
}

#[tokio::test]
async fn a_rate_limit_of_seconds_is_sat_out() {
    let fake = Fake::start(Habits { first_answers: vec![(429, "Too many requests", Some("2"))], ..Habits::default() }).await;
    let started = Instant::now();
    fake.client(ParkBook::in_memory()).search("x", None, 0, 10, &Pulse::new()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn faults_of_all_kinds_in_a_row_end_in_the_right_answer() {
    let first_answers = vec![
        (502, "<html><h1>Bad gateway</h1></html>", None),
        (200, "<html>Welcome to our Wi-Fi</html>", None),
        (200, "{\"tracks\":{\"items\":[{\"id\":", None),
    ];
    let fake = Fake::start(Habits { first_answers, ..Habits::default() }).await;
    let answer = fake.client(ParkBook::in_memory()).search("x", None, 0, 10, &Pulse::new()).await.unwrap();
    assert_eq!(answer.page.tracks.len(), 10);
}

#[tokio::test]
async fn an_id_that_could_lead_elsewhere_is_refused_without_a_call() {
    let fake = Fake::start(Habits::default()).await;
    let spotify = fake.client(ParkBook::in_memory());
    for id in ["..", "a/b", "a?b", ""] {
        assert!(matches!(spotify.artist(id, &Pulse::new()).await, Err(ApiError::Rejected(_))), "{id}");
    }
    assert!(fake.server.received_requests().await.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn unusable_options_are_refused_by_name() {
    let fake = Fake::start(Habits::default()).await;
    let problem = |change: fn(&mut reprise::extract::options::SpotifyOptions)| {
        let mut options = fake.options();
        change(&mut options);
        options.problem().unwrap_or_default()
    };
    assert!(problem(|options| options.client_id.clear()).contains("spotify.client_id"));
    assert!(problem(|options| options.market = "usa".into()).contains("\"usa\""));
    assert!(problem(|options| options.api_url = "api.spotify.com".into()).contains("spotify.api_url"));
    assert_eq!(fake.options().problem(), None);
}
