//! A server that answers as scripted, byte for byte, and the stages' surroundings without brokers and databases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reprise::config::Period;
use reprise::extract::clients::http::{Http, ParkBook};
use reprise::extract::{Freshness, HttpOptions};
use reprise::mailbox::{MailboxError, Message, Outgoing, Polled, Progress, Session, TopicPartition};
use reprise::observe::Metrics;
use reprise::records::{ArtistRef, Envelope, TopTrack, Topic, Version, now_micros};
use reprise::stage::{Port, Processed, Processor, StageError, StepContext};
use reprise::store::{Advance, Applied, Change, Claim, Finding, Known, KnownKey, MigrationReport, Store, StoreError, Summary};
use reprise::supervision::Pulse;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The bytes of an answer; the connection closes after them.
#[derive(Debug, Clone)]
pub struct Reply(Vec<u8>);

impl Reply {
    pub fn new(status: u16, headers: &str, body: &[u8]) -> Reply {
        let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
        let mut bytes: Vec<u8> = std::mem::take(&mut bytes).into_bytes();
        bytes.extend_from_slice(body);
        Reply(bytes)
    }

    pub fn json(status: u16, body: &str) -> Reply {
        Reply::new(status, "content-type: application/json\r\n", body.as_bytes())
    }

    pub fn clip(body: &[u8]) -> Reply {
        Reply::new(200, "content-type: text/plain\r\n", body)
    }

    pub fn html(status: u16) -> Reply {
        Reply::new(status, "content-type: text/html\r\n", b"<html><body>Service temporarily unavailable</body></html>")
    }

    pub fn redirect(to: &str) -> Reply {
        Reply::new(302, &format!("location: {to}\r\n"), b"")
    }

    /// Announces more than it sends.
    pub fn cut(body: &str) -> Reply {
        Reply(format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n{body}", body.len() + 1_000).into_bytes())
    }

    /// Announces `bytes` and sends the first few.
    pub fn huge(bytes: u64) -> Reply {
        Reply(format!("HTTP/1.1 200 X\r\ncontent-length: {bytes}\r\n\r\n{{\"artist\":").into_bytes())
    }

    /// No HTTP at all.
    pub fn garbage() -> Reply {
        Reply(b"\x00\x01\x02 this is no HTTP\r\n\r\n".to_vec())
    }

    /// Closes without a word.
    pub fn hang_up() -> Reply {
        Reply(Vec::new())
    }
}

/// A scripted server.
#[derive(Debug)]
pub struct Server {
    pub url: String,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers each request by its path and query, and how many came before it in all.
    pub async fn start(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, answer, count) = (Arc::clone(&calls), Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer, count) = (Arc::clone(&log), Arc::clone(&answer), Arc::clone(&count));
                tokio::spawn(async move {
                    if let Some((path, stream)) = request(stream).await {
                        let reply = answer(&path, count.fetch_add(1, Ordering::SeqCst));
                        log.lock().push(path);
                        send(stream, &reply.0).await;
                    }
                });
            }
        });
        Server { url, calls }
    }

    /// What was asked so far: path and query.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().clone()
    }

    /// How many requests had `part` in path or query.
    pub fn count(&self, part: &str) -> usize {
        self.calls.lock().iter().filter(|call| call.contains(part)).count()
    }
}

async fn request(mut stream: TcpStream) -> Option<(String, TcpStream)> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut chunk = [0_u8; 2_048];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
    let text = String::from_utf8_lossy(&bytes);
    let path = text.split_whitespace().nth(1)?.to_owned();
    Some((path, stream))
}

async fn send(mut stream: TcpStream, bytes: &[u8]) {
    // A client may hang up early: its right.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
}

/// An HTTP core that retries without waiting and hands any longer wait to the stage.
pub fn http() -> Http {
    let options = HttpOptions {
        backoff_base: Period(Duration::from_millis(1)),
        backoff_max: Period(Duration::from_millis(2)),
        read_timeout: Period::seconds(2),
        max_wait_in_place: Period(Duration::from_millis(400)),
        breaker_failures: 1_000,
        ..HttpOptions::default()
    };
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    Http::new(options, Metrics::new(), logger, ParkBook::in_memory()).expect("an HTTP client")
}

/// A track of an artist, by short ids.
pub fn track(id: &str, title: &str, artist_id: &str, artist: &str) -> TopTrack {
    TopTrack {
        id: id.to_owned(),
        name: title.to_owned(),
        artists: vec![ArtistRef { id: artist_id.to_owned(), name: artist.to_owned() }],
        album: None,
        duration_ms: Some(200_000),
        explicit: None,
        is_playable: None,
        popularity: None,
        track_number: None,
        isrc: None,
        preview_url: None,
    }
}

/// Tracks as messages of one partition.
pub fn messages(tracks: &[TopTrack]) -> Vec<Message> {
    let payload = |track: &TopTrack| Envelope::new(1, "test", track.clone()).to_json().expect("JSON");
    tracks.iter().zip(0..).map(|(track, offset)| message(offset, payload(track))).collect()
}

pub fn message(offset: i64, payload: Vec<u8>) -> Message {
    let at = TopicPartition { topic: Topic::MusicTopTracks, partition: 2 };
    Message { at, offset, key: String::new(), payload, appended_at: 1, version: None }
}

/// What the mailbox and the database know already.
#[derive(Debug, Clone, Default)]
pub struct World {
    heads: Arc<Mutex<BTreeMap<String, Version>>>,
    known: Arc<Mutex<BTreeMap<KnownKey, Known>>>,
}

impl World {
    /// What was emitted is appended, as the stage would.
    pub fn append(&self, records: &[Outgoing]) {
        let versions = records.iter().filter_map(|record| Some((record.key.clone(), record.version?)));
        self.heads.lock().extend(versions);
    }

    /// The database heard this just now.
    pub fn knows(&self, key: KnownKey, features_version: i32) {
        self.known.lock().insert(key, Known { observed_at: now_micros(), features_version });
    }

    pub fn freshness(&self) -> Freshness {
        Freshness::new(Arc::new(self.clone()), Period::days(7))
    }

    /// One batch, as the stage would work on it.
    pub async fn process(&self, processor: &mut dyn Processor, batch: &[Message]) -> Result<Processed, StageError> {
        let port = Port::inline(Box::new(self.clone()));
        let pulse = Pulse::new();
        let context = StepContext { pulse: &pulse, port: &port, run_id: "test", partitions: 6 };
        processor.process(batch, &context).await
    }
}

impl Session for World {
    fn poll(&mut self, _max: usize, _wait: Duration) -> Result<Polled, MailboxError> {
        Ok(Polled::default())
    }

    fn idle(&mut self) -> Result<(), MailboxError> {
        Ok(())
    }

    fn seek(&mut self, _at: TopicPartition, _next_offset: i64) -> Result<(), MailboxError> {
        Ok(())
    }

    fn publish(&mut self, _records: &[Outgoing], _progress: &[Progress]) -> Result<(), MailboxError> {
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), MailboxError> {
        Ok(())
    }

    fn heads(&mut self, _at: TopicPartition, keys: &[String]) -> Result<Vec<Option<Version>>, MailboxError> {
        let heads = self.heads.lock();
        Ok(keys.iter().map(|key| heads.get(key).copied()).collect())
    }

    fn lag(&self) -> Vec<(TopicPartition, u64)> {
        Vec::new()
    }
}

/// Only what freshness asks is there.
fn absent<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("not part of this test".to_owned()))
}

impl Store for World {
    fn describe(&self) -> String {
        "test".to_owned()
    }

    fn migrate(&self) -> Result<MigrationReport, StoreError> {
        absent()
    }

    fn claim(&self, _partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        absent()
    }

    fn apply(&self, _changes: &[Change], _advances: &[Advance]) -> Result<Applied, StoreError> {
        absent()
    }

    fn known(&self, keys: &[KnownKey]) -> Result<BTreeMap<KnownKey, Known>, StoreError> {
        let known = self.known.lock();
        Ok(keys.iter().filter_map(|key| Some((key.clone(), *known.get(key)?))).collect())
    }

    fn ledger(&self) -> Result<Vec<(Claim, reprise::mailbox::Ledger)>, StoreError> {
        absent()
    }

    fn row_counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        absent()
    }

    fn digest(&self) -> Result<String, StoreError> {
        absent()
    }

    fn dump(&self, _line: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        absent()
    }

    fn check(&self) -> Result<Vec<Finding>, StoreError> {
        absent()
    }

    fn summary(&self) -> Result<Summary, StoreError> {
        absent()
    }
}
