//! A stand-in for Spotify's two servers, small enough to see through: a catalogue of numbered tracks, one switch a habit.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reprise::config::{Period, Secret};
use reprise::extract::clients::http::{Http, ParkBook};
use reprise::extract::clients::spotify::Spotify;
use reprise::extract::options::{HttpOptions, SpotifyOptions};
use reprise::observe::Metrics;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// How the stand-in behaves.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Larger pages are refused.
    pub largest_page: u64,
    pub batches: bool,
    /// Tracks there are.
    pub total: u64,
    /// Each page begins with the last row of the page before.
    pub overlap: bool,
    /// Seconds.
    pub token_life: u64,
    /// Token requests to refuse, and API calls to refuse with 401, from the first on.
    pub refused_calls: u64,
    /// Answers given before all others, in order: to API calls, not to token requests.
    pub first_answers: Vec<(u16, &'static str, Option<&'static str>)>,
    /// The same for token requests.
    pub first_token_answers: Vec<(u16, &'static str)>,
    pub token_delay: Duration,
}

impl Default for Habits {
    /// Extended quota and no trouble.
    fn default() -> Self {
        Habits {
            largest_page: 50,
            batches: true,
            total: 1_000,
            overlap: false,
            token_life: 3_600,
            refused_calls: 0,
            first_answers: Vec::new(),
            first_token_answers: Vec::new(),
            token_delay: Duration::ZERO,
        }
    }
}

impl Habits {
    /// A development app since February 2026.
    pub fn restricted() -> Habits {
        Habits { largest_page: 10, batches: false, ..Habits::default() }
    }
}

/// See the module.
pub struct Fake {
    pub server: MockServer,
}

struct Answers {
    habits: Habits,
    counts: Mutex<HashMap<&'static str, usize>>,
}

impl Fake {
    pub async fn start(habits: Habits) -> Fake {
        let server = MockServer::start().await;
        let answers = Answers { habits, counts: Mutex::default() };
        Mock::given(any()).respond_with(answers).mount(&server).await;
        Fake { server }
    }

    /// A process's client on this stand-in.
    pub fn client(&self, book: ParkBook) -> Spotify {
        self.client_with(book, quick())
    }

    pub fn client_with(&self, book: ParkBook, options: HttpOptions) -> Spotify {
        self.counting_client(book, options, Metrics::new())
    }

    pub fn counting_client(&self, book: ParkBook, options: HttpOptions, metrics: Metrics) -> Spotify {
        let http = Http::new(options, metrics, slog::Logger::root(slog::Discard, slog::o!()), book).expect("a client");
        Spotify::new(&self.options(), &http).expect("usable options")
    }

    pub fn options(&self) -> SpotifyOptions {
        SpotifyOptions {
            client_id: "app".to_owned(),
            client_secret: Secret::new("hunter2"),
            api_url: format!("{}/v1", self.server.uri()),
            accounts_url: self.server.uri(),
            calls_per_30s: 10_000,
            ..SpotifyOptions::default()
        }
    }

    /// The requests received: path and query.
    pub async fn calls(&self, path: &str) -> Vec<HashMap<String, String>> {
        let received = self.server.received_requests().await.unwrap_or_default();
        let query = |request: &Request| request.url.query_pairs().into_owned().collect();
        received.iter().filter(|request| request.url.path().starts_with(path)).map(query).collect()
    }

    pub async fn paths(&self, prefix: &str) -> Vec<String> {
        let received = self.server.received_requests().await.unwrap_or_default();
        let paths = received.iter().map(|request| request.url.path().to_owned());
        paths.filter(|path| path.starts_with(prefix)).collect()
    }
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        if path == "/api/token" {
            return self.token(request);
        }
        let number = self.count("api");
        if let Some((status, body, retry_after)) = self.habits.first_answers.get(number) {
            let answer = ResponseTemplate::new(*status).set_body_string(*body);
            return retry_after.iter().fold(answer, |answer, seconds| answer.insert_header("retry-after", *seconds));
        }
        if number < usize::try_from(self.habits.refused_calls).unwrap_or(0) {
            return error(401, "The access token expired");
        }
        let query: HashMap<String, String> = request.url.query_pairs().into_owned().collect();
        match path.strip_prefix("/v1/") {
            Some("search") => self.search(&query),
            Some("artists") if !self.habits.batches => error(403, "Forbidden"),
            Some("artists") => self.batch(&query),
            Some(path) => artist(path.strip_prefix("artists/").unwrap_or_default()),
            None => error(404, "Service not found"),
        }
    }
}

impl Answers {
    fn count(&self, what: &'static str) -> usize {
        let mut counts = self.counts.lock().expect("no panic");
        let count = counts.entry(what).or_insert(0);
        *count += 1;
        *count - 1
    }

    fn token(&self, request: &Request) -> ResponseTemplate {
        let number = self.count("token");
        if let Some((status, body)) = self.habits.first_token_answers.get(number) {
            return ResponseTemplate::new(*status).set_body_string(*body);
        }
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        let authorization = request.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if sent != "grant_type=client_credentials" || authorization != "Basic YXBwOmh1bnRlcjI=" {
            return ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_client"}));
        }
        let token = json!({"access_token": format!("T{number}"), "token_type": "bearer", "expires_in": self.habits.token_life});
        ResponseTemplate::new(200).set_body_json(token).set_delay(self.habits.token_delay)
    }

    fn search(&self, query: &HashMap<String, String>) -> ResponseTemplate {
        let number = |key: &str| query.get(key).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
        let (limit, offset) = (number("limit"), number("offset"));
        if limit > self.habits.largest_page {
            return error(400, "Invalid limit");
        }
        if offset >= 1_000 {
            return error(400, "Bad request.");
        }
        let first = if self.habits.overlap && offset > 0 { offset - 1 } else { offset };
        let rows: Vec<Value> = (first..self.habits.total.min(first + limit)).map(track).collect();
        let end = offset + limit >= self.habits.total;
        let next = if end { Value::Null } else { json!("https://api.spotify.com/v1/search?offset=...") };
        let page = json!({"href": "x", "limit": limit, "offset": offset, "previous": null, "next": next,
                          "total": self.habits.total, "items": rows});
        // The wrong content type on purpose: it is a hint at most.
        ResponseTemplate::new(200).set_body_raw(json!({"tracks": page}).to_string(), "text/plain")
    }

    fn batch(&self, query: &HashMap<String, String>) -> ResponseTemplate {
        let ids: Vec<&str> = query.get("ids").map(|ids| ids.split(',').collect()).unwrap_or_default();
        if ids.iter().any(|id| id.starts_with("bad")) {
            return error(400, "invalid id");
        }
        let rows: Vec<Value> = ids.iter().map(|id| profile(id).unwrap_or_default()).collect();
        ResponseTemplate::new(200).set_body_json(json!({"artists": rows}))
    }
}

fn artist(id: &str) -> ResponseTemplate {
    if id.starts_with("bad") {
        return error(400, "Invalid base62 id");
    }
    match profile(id) {
        Some(profile) => ResponseTemplate::new(200).set_body_json(profile),
        None => error(404, "Resource not found"),
    }
}

fn profile(id: &str) -> Option<Value> {
    (!id.starts_with("gone")).then(|| json!({"id": id, "name": format!("Artist {id}"), "images": [], "type": "artist"}))
}

/// Track `t7` by artist `a7`.
fn track(number: u64) -> Value {
    let artist = json!({"id": format!("a{number}"), "name": format!("Artist a{number}")});
    json!({
        "id": format!("t{number}"), "name": format!("Track {number}"), "duration_ms": 200_000.0, "artists": [artist],
        "album": {"id": format!("al{number}"), "name": "", "artists": []}, "external_ids": {}, "is_local": false,
    })
}

pub fn error(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": {"status": status, "message": message}}))
}

/// Options with waits of milliseconds.
pub fn quick() -> HttpOptions {
    let millis = |millis| Period(Duration::from_millis(millis));
    HttpOptions {
        retries: 3,
        backoff_base: millis(5),
        backoff_max: millis(20),
        max_wait_in_place: millis(2_500),
        ..HttpOptions::default()
    }
}

/// A book in a file of a fresh folder, so that it can be opened again.
pub fn book_file() -> (Arc<tempfile::TempDir>, impl Fn() -> ParkBook) {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let path = folder.path().join("accounts.json");
    (folder, move || ParkBook::open(&path).expect("readable").0)
}
