//! `/api/events`: a snapshot every second and every change of state at once, as server-sent events.
//!
//! One task makes each event once; all listeners share its bytes. A listener that cannot keep up loses events, not the others'
//! time: the next snapshot tells it everything again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use futures::Stream;
use futures::stream::unfold;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Endpoint;
use super::tree::changes;

/// Listeners at once: each costs a connection and a few kilobytes a second.
const LISTENERS_MAX: usize = 32;

/// Events a slow listener may be behind before it loses some.
const BEHIND_MAX: usize = 16;

/// How often the board is looked at for changes: well below what a person notices.
const LOOK: Duration = Duration::from_millis(200);

/// Looks between two snapshots without a change: one second.
const LOOKS_A_SNAPSHOT: u32 = 5;

/// Where events come from. `None` ends all streams.
#[derive(Debug, Clone)]
pub struct Hub {
    sender: broadcast::Sender<Option<Bytes>>,
    places: Arc<Semaphore>,
}

impl Hub {
    /// A hub without listeners.
    pub fn new() -> Hub {
        Hub { sender: broadcast::channel(BEHIND_MAX).0, places: Arc::new(Semaphore::new(LISTENERS_MAX)) }
    }

    /// Events from now on, after `first`; `None` when all places are taken.
    pub fn listen(&self, first: Bytes) -> Option<impl Stream<Item = Result<Bytes, actix_web::Error>> + use<>> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let listener = Listener { first: Some(first), events: self.sender.subscribe(), _place: place };
        Some(unfold(listener, |mut listener| async move { listener.next().await.map(|event| (Ok(event), listener)) }))
    }

    /// Ends all streams: they would hold up a graceful stop.
    pub fn close(&self) {
        // Without listeners there is nobody to tell.
        let _ = self.sender.send(None);
    }
}

impl Default for Hub {
    fn default() -> Self {
        Hub::new()
    }
}

struct Listener {
    first: Option<Bytes>,
    events: broadcast::Receiver<Option<Bytes>>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            match self.events.recv().await {
                Ok(event) => return event,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// An event as it goes over the wire. JSON has no raw line breaks, so one `data` line is enough.
pub fn event(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// Makes the events, and feeds the memory of throughputs, for ever.
pub async fn run(endpoint: Endpoint, hub: Hub) {
    let mut before = endpoint.sources.board.report();
    let mut fed = Instant::now();
    let mut look: u32 = 0;
    endpoint.remember(&endpoint.samples(), 0.0);
    loop {
        tokio::time::sleep(LOOK).await;
        look = look.wrapping_add(1);
        let reports = endpoint.sources.board.report();
        let changed = changes(&before, &reports);
        before = reports;
        let due = look.is_multiple_of(LOOKS_A_SNAPSHOT);
        if !due && changed.is_empty() {
            continue;
        }
        let samples = endpoint.samples();
        if due {
            endpoint.remember(&samples, fed.elapsed().as_secs_f64());
            fed = Instant::now();
        }
        if hub.sender.receiver_count() == 0 {
            continue;
        }
        for change in &changed {
            let _ = hub.sender.send(Some(event("change", change)));
        }
        let _ = hub.sender.send(Some(event("snapshot", &endpoint.snapshot_of(&before, &samples))));
    }
}
