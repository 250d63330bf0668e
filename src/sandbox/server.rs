//! The thin part: one thread, one actix server on 127.0.0.1, and the way from its types to the engine's.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix_web::body::SizedStream;
use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context as _;
use futures::{StreamExt as _, stream};

use super::engine::{Answer, Engine, Moment};
use super::ledger::CallCounts;
use super::options::{SandboxOptions, Switches};
use super::truth::{self, Truth, Wish};
use super::wire::{Body, Reply, Request};

/// Requests have small bodies: forms and switches.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Pieces of a dripped body.
const DRIPS: usize = 12;
/// Time for the first half of a cut body to leave.
const FLUSH: Duration = Duration::from_millis(10);
/// Bytes in a piece of a flood.
const FLOOD_PIECE: usize = 1 << 16;

/// Where to point the URL keys of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxUrls {
    /// `spotify.accounts_url`
    pub accounts_url: String,
    /// `spotify.api_url`
    pub api_url: String,
    /// `lastfm.api_url`
    pub lastfm_url: String,
    /// `previews.spotify_embed_url`
    pub spotify_embed_url: String,
    /// `previews.deezer_url`
    pub deezer_url: String,
    /// `previews.itunes_url`
    pub itunes_url: String,
    /// MusicBrainz.
    pub musicbrainz_url: String,
}

/// A running sandbox. Dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    engine: Arc<Engine>,
    base_url: String,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox on a thread of its own; returns when it listens on 127.0.0.1.
    ///
    /// # Errors
    /// When the port is taken or the thread cannot be had.
    pub fn start(options: SandboxOptions) -> anyhow::Result<Sandbox> {
        let listener = TcpListener::bind(("127.0.0.1", options.port))
            .with_context(|| format!("sandbox: cannot listen on 127.0.0.1:{}", options.port))?;
        let base_url = format!("http://{}", listener.local_addr().context("sandbox: the listener has no address")?);
        let engine = Arc::new(Engine::new(&options, &base_url));
        let (ready, started) = mpsc::channel();
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn({
            let engine = Arc::clone(&engine);
            move || serve(listener, engine, &ready)
        })?;
        let handle = started.recv().context("sandbox: the server did not start")??;
        Ok(Sandbox { engine, base_url, handle, thread: Some(thread) })
    }

    /// Such as `http://127.0.0.1:8080`.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Where to point the URL keys of the configuration.
    pub fn urls(&self) -> SandboxUrls {
        let at = |path: &str| format!("{}{path}", self.base_url);
        SandboxUrls {
            accounts_url: at("/accounts"),
            api_url: at("/spotify/v1"),
            lastfm_url: at("/lastfm/2.0/"),
            spotify_embed_url: at("/embed"),
            deezer_url: at("/deezer"),
            itunes_url: at("/itunes"),
            musicbrainz_url: at("/musicbrainz/ws/2"),
        }
    }

    /// The calls so far, as `GET /__calls` answers them.
    pub fn calls(&self) -> CallCounts {
        self.engine.calls()
    }

    /// What a perfect pipeline must store, as `GET /__truth` answers it.
    pub fn truth(&self, wish: &Wish) -> Truth {
        truth::truth(self.engine.world(), self.engine.clips(), wish)
    }

    /// Where the switches stand.
    pub fn switches(&self) -> Switches {
        self.engine.switches()
    }

    /// Changes switches, as `POST /__control` does.
    ///
    /// # Errors
    /// When the change names what is no switch, or a value that is none. Nothing is changed then.
    pub fn control(&self, change: &serde_json::Value) -> anyhow::Result<Switches> {
        self.engine.control(change).map_err(|problem| anyhow::anyhow!("sandbox switches: {problem}"))
    }

    /// Stops it and waits for its thread.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The order is sent when `stop` is called; its future only waits.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nothing to add.
            drop(thread.join());
        }
    }
}

fn serve(listener: TcpListener, engine: Arc<Engine>, ready: &mpsc::Sender<std::io::Result<ServerHandle>>) {
    let started = Instant::now();
    actix_web::rt::System::new().block_on(async {
        let app = move || {
            App::new()
                .app_data(web::PayloadConfig::new(REQUEST_BYTES_MAX))
                .app_data(web::Data::from(Arc::clone(&engine)))
                .app_data(web::Data::new(started))
                .default_service(web::to(answer))
        };
        // One worker is plenty: what costs time runs on the blocking pool.
        let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(0).listen(listener);
        match server {
            Ok(server) => {
                let server = server.run();
                // Nobody listens when `start` has given up: then there is nothing to serve.
                if ready.send(Ok(server.handle())).is_ok() {
                    drop(server.await);
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
}

async fn answer(http: HttpRequest, body: Bytes, engine: web::Data<Engine>, started: web::Data<Instant>) -> HttpResponse {
    let request = Request {
        method: http.method().to_string(),
        path: http.uri().path().to_owned(),
        query: http.uri().query().unwrap_or_default().to_owned(),
        headers: http
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body.to_vec(),
    };
    // Taken before anything is queued: limits are about when a call came.
    let now = Moment {
        elapsed_ms: started.elapsed().as_millis() as u64,
        unix_s: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    };
    let heavy = request.path.starts_with("/clips") || request.path.starts_with("/__truth");
    let answer = if heavy {
        let engine = engine.into_inner();
        match web::block(move || engine.answer(&request, now)).await {
            Ok(answer) => answer,
            Err(_) => return HttpResponse::ServiceUnavailable().finish(),
        }
    } else {
        engine.answer(&request, now)
    };
    send(answer).await
}

async fn send(answer: Answer) -> HttpResponse {
    if answer.delay_ms > 0 {
        actix_web::rt::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    let Reply { status, content_type, headers, body } = answer.reply;
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if !content_type.is_empty() {
        response.insert_header(("content-type", content_type));
    }
    for header in headers {
        response.insert_header(header);
    }
    match body {
        Body::Bytes(bytes) => response.body(bytes),
        Body::Shared(bytes) => response.body(bytes.to_vec()),
        Body::Cut(bytes) => response.body(cut(bytes)),
        Body::Drip(bytes, over_ms) => response.body(SizedStream::new(bytes.len() as u64, drip(bytes, over_ms))),
        Body::Flood(size) => response.body(SizedStream::new(size, flood(size))),
    }
}

type Piece = Result<Bytes, std::io::Error>;

/// Half of it, then an error: the server closes the connection short of the promised length.
fn cut(bytes: Vec<u8>) -> SizedStream<impl stream::Stream<Item = Piece>> {
    let length = bytes.len().max(1) as u64;
    let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
    let end = stream::once(async {
        // An error at once would drop what waits to be written, the head included.
        actix_web::rt::time::sleep(FLUSH).await;
        Err(std::io::Error::other("cut"))
    });
    SizedStream::new(length, Box::pin(stream::once(async { Ok(half) }).chain(end)))
}

fn drip(bytes: Vec<u8>, over_ms: u64) -> impl stream::Stream<Item = Piece> {
    let pause = Duration::from_millis(over_ms / DRIPS as u64);
    let piece = bytes.len().div_ceil(DRIPS).max(1);
    stream::unfold(Bytes::from(bytes), move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        actix_web::rt::time::sleep(pause).await;
        let next = left.split_to(piece.min(left.len()));
        Some((Ok(next), left))
    })
}

fn flood(size: u64) -> impl stream::Stream<Item = Piece> {
    static NOTHING: [u8; FLOOD_PIECE] = [b' '; FLOOD_PIECE];
    stream::iter((0..size.div_ceil(FLOOD_PIECE as u64)).map(move |piece| {
        let left = size - piece * FLOOD_PIECE as u64;
        Ok(Bytes::from_static(&NOTHING[..left.min(FLOOD_PIECE as u64) as usize]))
    }))
}
