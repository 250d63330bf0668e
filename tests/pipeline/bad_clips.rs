//! Clips that are no audio: recorded as missing, and everything else goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use reprise::sandbox::Sandbox;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::scene::{SMALL, Scene, lines};

/// Deezer as the sandbox plays it, except that the bytes of every second clip are noise.
struct NoisyShop {
    sandbox: Arc<str>,
    own: Arc<str>,
}

impl Respond for NoisyShop {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let digits = path.bytes().rev().find(u8::is_ascii_digit).unwrap_or_default();
        if path.starts_with("/clips") && digits % 2 == 0 {
            let noise: Vec<u8> = (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            return ResponseTemplate::new(200).set_body_raw(noise, "audio/mpeg");
        }
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (head, body) = fetch(&self.sandbox, &format!("{path}{query}"));
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(502);
        let kind = if path.starts_with("/clips") { "audio/flac" } else { "application/json" };
        ResponseTemplate::new(status).set_body_raw(moved(body, &self.sandbox, &self.own), kind)
    }
}

/// Links to clips lead here.
fn moved(body: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    match String::from_utf8(body) {
        Ok(text) => text.replace(from, to).into_bytes(),
        Err(binary) => binary.into_bytes(),
    }
}

/// Head and body of an answer of `host`.
fn fetch(host: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(host).expect("the sandbox");
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n").expect("asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
}

fn address(url: &str) -> Arc<str> {
    url.trim_start_matches("http://").into()
}

async fn noisy_shop(sandbox: &Sandbox) -> MockServer {
    let server = MockServer::start().await;
    let shop = NoisyShop { sandbox: address(&sandbox.base_url()), own: address(&server.uri()) };
    Mock::given(any()).respond_with(shop).mount(&server).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_that_is_no_audio_is_recorded_as_missing_and_the_rest_goes_on() {
    let scene = Scene::new(SMALL, 40);
    let shop = noisy_shop(&scene.sandbox).await;
    let settings = scene
        .settings("noise")
        .with("previews.providers", "[\"deezer\"]")
        .with("previews.deezer_url", format!("{}/deezer", shop.uri()));
    let run = tokio::task::spawn_blocking(move || settings.answer(&["run", "--once", "--json"]));
    let summary = run.await.expect("a run");
    assert_eq!((&summary["rows"]["songs"], &summary["dead_letters"]), (&40.into(), &0.into()), "{summary}");
    let data_dir = scene.place("noise/data");
    let analysed = lines(&data_dir, "SELECT song_id AS value FROM song_audio_features");
    let missing = "SELECT reason AS value FROM source_misses WHERE entity = 'song' AND source = 'audio'";
    let reasons = lines(&data_dir, missing);
    assert_eq!(analysed.len() + reasons.len(), 40, "each song has its features or a reason for having none: {reasons:?}");
    assert!(analysed.len() >= 5, "{}", analysed.len());
    let unusable = reasons.iter().filter(|reason| *reason != "no_preview").count();
    assert!(unusable >= 5, "{reasons:?}");
}
