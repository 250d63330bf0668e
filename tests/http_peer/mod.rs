//! A server on loopback that behaves as badly as a test wants: it answers bytes, not documents.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use reprise::config::Period;
use reprise::extract::clients::http::{Account, AccountSpec, Answer, ApiRequest, Http, ParkBook, RateWindow, Verdict};
use reprise::extract::options::HttpOptions;
use reprise::observe::Metrics;
use url::Url;

/// A request as the peer received it.
#[derive(Debug, Clone)]
pub struct Received {
    pub at: Instant,
    /// Request line and headers.
    pub head: String,
}

/// See the module. Every connection serves one request.
pub struct Peer {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Peer {
    /// Answers the n-th request (from 0) with what `answer` writes.
    pub fn start(answer: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> Peer {
        Peer::reading(move |number, _, stream| answer(number, stream))
    }

    /// As [`Peer::start`], with the request line and headers to look at.
    pub fn reading(answer: impl Fn(usize, &str, &mut TcpStream) + Send + Sync + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&received));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Peer { port, received }
    }

    /// Answers each request with the same complete answer.
    pub fn fixed(status: u16, headers: &'static str, body: &'static str) -> Peer {
        Peer::start(move |_, stream| respond(stream, status, headers, body))
    }

    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).expect("a URL")
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic").clone()
    }
}

fn serve(mut stream: TcpStream, answer: &(dyn Fn(usize, &str, &mut TcpStream) + Send + Sync), log: &Mutex<Vec<Received>>) {
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let number = {
        let mut log = log.lock().expect("no panic");
        log.push(Received { at: Instant::now(), head: head.clone() });
        log.len() - 1
    };
    answer(number, &head, &mut stream);
    let _ = stream.shutdown(Shutdown::Write);
    // Read what is left, so that closing does not reset the connection under the answer.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    let _ = stream.read(&mut [0_u8; 1024]);
}

/// Writes a complete answer. `headers`: lines that end in CRLF.
pub fn respond(stream: &mut TcpStream, status: u16, headers: &str, body: &str) {
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}");
}

/// Options with waits of milliseconds.
pub fn quick() -> HttpOptions {
    let millis = |millis| Period(Duration::from_millis(millis));
    HttpOptions {
        // Long enough that no busy machine runs into them; tests of time-outs set their own.
        connect_timeout: Period::seconds(10),
        read_timeout: Period::seconds(10),
        total_timeout: Period::seconds(30),
        retries: 2,
        backoff_base: millis(5),
        backoff_max: millis(20),
        max_wait_in_place: millis(2_500),
        breaker_failures: 100,
        breaker_pause: millis(200),
        ..HttpOptions::default()
    }
}

/// A client that logs nothing.
pub fn http(options: HttpOptions, metrics: &Metrics, parks: ParkBook) -> Http {
    Http::new(options, metrics.clone(), slog::Logger::root(slog::Discard, slog::o!()), parks).expect("a client")
}

/// An account without limits worth the name.
pub fn free_account(http: &Http) -> Account {
    account(http, "test/1", RateWindow::new(100_000, Duration::from_secs(1)), 8)
}

pub fn account(http: &Http, name: &str, window: RateWindow, max_concurrent: usize) -> Account {
    http.account(AccountSpec { api: "clips", name: name.to_owned(), windows: vec![window], max_concurrent })
}

pub fn get(url: Url) -> ApiRequest {
    ApiRequest::get("test", url)
}

/// Accepts 200, tries 5xx again, waits for 429, gives up the rest.
pub fn judge(answer: &Answer) -> Verdict {
    match answer.status {
        200 => Verdict::Accept,
        404 => Verdict::Missing("not_found".to_owned()),
        429 => Verdict::WaitFor { reason: "rate limit".to_owned(), pause: answer.retry_after },
        500..=599 => Verdict::Retry(format!("status {}", answer.status)),
        status => Verdict::Reject(format!("status {status}")),
    }
}
