//! How long a scrape takes while every core is busy, beside how long it takes while none is: `cargo bench --bench endpoint`.
//!
//! The budget is a p99 below 50 ms under load. It is measured here and not asserted in a test: a shared machine would make
//! such a test fail for reasons that are not ours.

#[path = "../tests/endpoint/client.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod client;
#[path = "../tests/endpoint/fakes.rs"]
mod fakes;

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fakes::{Stage, groups};
use reprise::config::Secret;
use reprise::observe::endpoint::{Endpoint, EndpointOptions, EndpointSources, factory};
use reprise::supervision::{ChildSpec, Tree};

const SCRAPES: usize = 1000;

/// Between two scrapes: the endpoint sleeps in between, as it does in life, and has to be woken.
const PAUSE: Duration = Duration::from_millis(2);

fn main() {
    let address = start();
    client::eventually("ready", || client::get(address, "/readyz").status == 200);
    let idle = measure(address, "/metrics");
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let stop = Arc::new(AtomicBool::new(false));
    let burners: Vec<_> = (0..cores).map(|_| burn(&stop)).collect();
    let metrics = measure(address, "/metrics");
    let actors = measure(address, "/api/actors");
    stop.store(true, Ordering::Relaxed);
    for burner in burners {
        let _ = burner.join();
    }
    println!("{SCRAPES} requests each over new connections, {cores} cores");
    println!("/metrics, cores idle:     {}", told(&idle));
    println!("/metrics, cores busy:     {}  p99 {:.1} times as long", told(&metrics), ratio(&metrics, &idle));
    println!("/api/actors, cores busy:  {}", told(&actors));
}

fn start() -> SocketAddr {
    let stage = Stage::new();
    let sources = EndpointSources {
        board: stage.board.clone(),
        metrics: stage.metrics.clone(),
        mailbox: stage.mailbox.clone(),
        store: stage.store.clone(),
        groups: groups(),
        run_id: "bench".to_owned(),
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let endpoint = Endpoint::new(EndpointOptions { listen, token: Secret::default() }, sources);
    let slot = endpoint.address();
    let spec = stage.tree(vec![ChildSpec::worker("endpoint", factory(endpoint))]);
    thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let mut tree = Tree::start(spec, &stage.board);
            tree.ended().await
        })
    });
    client::eventually("listening", || slot.get().is_some());
    slot.get().unwrap_or(listen)
}

fn burn(stop: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let mut value = 1.0_f64;
        while !stop.load(Ordering::Relaxed) {
            value = black_box(value.sqrt() + 1.0);
        }
    })
}

/// Sorted times of all requests.
fn measure(address: SocketAddr, path: &str) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..SCRAPES)
        .map(|_| {
            thread::sleep(PAUSE);
            let started = Instant::now();
            black_box(client::get(address, path));
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn told(sorted: &[Duration]) -> String {
    let at = |share| quantile(sorted, share).as_secs_f64() * 1e3;
    format!("median {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(0.5), at(0.99), at(1.0))
}

fn ratio(busy: &[Duration], idle: &[Duration]) -> f64 {
    quantile(busy, 0.99).as_secs_f64() / quantile(idle, 0.99).as_secs_f64().max(1e-9)
}
