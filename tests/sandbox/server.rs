use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reprise::sandbox::{LASTFM_API_KEY, Regime, Sandbox, SandboxOptions};
use serde_json::json;

use super::small;

/// What came over the wire.
struct Raw {
    status: u16,
    head: String,
    body: Vec<u8>,
    /// Whether as much came as the head promised.
    whole: bool,
}

/// One call on a connection of its own, read to the end.
fn call(url: &str, more: &str) -> Raw {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap_or((url, ""));
    let mut stream = TcpStream::connect(host).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n").expect("a request");
    let mut bytes = Vec::new();
    // A connection that is cut may end in an error; what came before it counts.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let body = bytes[end..].to_vec();
    let promised = head.split("content-length: ").nth(1).and_then(|tail| tail.split("\r\n").next()?.parse::<usize>().ok());
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Raw { status, head, whole: promised == Some(body.len()), body }
}

#[test]
fn it_serves_every_url_it_names_and_counts_the_calls() {
    let sandbox = Sandbox::start(small(Regime::Restricted)).expect("a sandbox");
    let urls = sandbox.urls();
    assert_eq!(call(&format!("{}/search?q=x", urls.api_url), "").status, 401);
    assert_eq!(call(&format!("{}/api/token", urls.accounts_url), "").status, 404, "a token is posted for");
    let artist = format!("{}?method=artist.getInfo&format=json&artist=x&api_key={LASTFM_API_KEY}", urls.lastfm_url);
    assert_eq!(call(&artist, "").status, 404);
    assert_eq!(call(&format!("{}/track/isrc:X", urls.deezer_url), "").status, 200);
    assert_eq!(call(&format!("{}/search?term=night", urls.itunes_url), "").status, 200);
    assert_eq!(call(&format!("{}/track/x", urls.spotify_embed_url), "").status, 403);
    assert_eq!(call(&format!("{}/isrc/X", urls.musicbrainz_url), "user-agent: a/1 (b)\r\n").status, 404);
    assert_eq!(sandbox.calls().total, 7);
    let counts: serde_json::Value =
        serde_json::from_slice(&call(&format!("{}/__calls", sandbox.base_url()), "").body).expect("JSON");
    assert_eq!(counts["total"], json!(7), "looking is not counted");
}

#[test]
fn cut_dripped_and_endless_bodies_go_over_the_wire_as_such() {
    let sandbox = Sandbox::start(small(Regime::Restricted)).expect("a sandbox");
    let url = format!("{}/search?q=night", sandbox.urls().deezer_url);
    let good = call(&url, "");
    assert!(good.whole && good.status == 200);
    sandbox.control(&json!({"mean": {"deezer": "cut"}})).expect("a switch");
    let cut = call(&url, "");
    assert!(!cut.whole && !cut.body.is_empty() && cut.body.len() < good.body.len(), "{}: {} bytes", cut.head, cut.body.len());
    sandbox.control(&json!({"mean": {"deezer": "flood"}, "flood_bytes": 3_000_000})).expect("a switch");
    let flood = call(&url, "");
    assert!(flood.whole && flood.body.len() == 3_000_000, "{}: {} bytes", flood.head, flood.body.len());
}

#[test]
fn latency_is_added_and_a_stopped_sandbox_is_gone() {
    let sandbox = Sandbox::start(SandboxOptions { latency_ms: 120, ..small(Regime::Restricted) }).expect("a sandbox");
    let url = format!("{}/track/1", sandbox.urls().deezer_url);
    let started = std::time::Instant::now();
    assert_eq!(call(&url, "").status, 200);
    assert!(started.elapsed() >= Duration::from_millis(120));
    let host = sandbox.base_url().trim_start_matches("http://").to_owned();
    sandbox.stop();
    assert!(TcpStream::connect(host).is_err());
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let first = Sandbox::start(small(Regime::Restricted)).expect("a sandbox");
    let port = first.base_url().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let error = Sandbox::start(SandboxOptions { port, ..small(Regime::Restricted) }).expect_err("a taken port");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}
