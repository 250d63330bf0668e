//! How long a scrape takes while every core is busy with audio, beside how long it takes while none is:
//! `cargo bench --bench endpoint`.
//!
//! The real program on the sandbox, with one analysing thread a core. The budget is a p99 below 50 ms under load. It is measured
//! here; the test that recounts the metrics asserts a looser bound, because a shared machine is slow for reasons of its own.

#[path = "../tests/endpoint/client.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod client;
#[path = "../tests/process/mod.rs"]
mod process;
#[path = "../tests/pipeline/scene.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod scene;
#[path = "../tests/pipeline/scrape.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod scrape;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use process::{PATIENCE, free_port, holds_within};
use reprise::sandbox::SandboxOptions;
use scene::{SMALL, Scene};
use scrape::{Scrape, Scraped, Scraper};

const TRACKS: usize = 400;

/// How long the endpoint of a system that rests is scraped.
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    let scene = Scene::new(SandboxOptions { artists: 600, tracks: 4_000, ..SMALL }, TRACKS);
    let port = free_port();
    let settings = scene.settings("bench").with("observe.listen", format!("127.0.0.1:{port}")).with("log.level", "error");
    let running = settings.start(&["run"]);
    let ready = || process::get(port, "/readyz").is_some_and(|(status, _)| status == 200);
    assert!(holds_within(PATIENCE, ready), "{}", running.log());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let analyzed = || Scrape::take(address).count("reprise_clip_seconds_count", &[("step", "analyze")]);
    let waiting = || Scrape::take(address).sum("reprise_consumer_lag", &[("group", "reprise.audio")]);
    // Once most of the work has piled up: before, the backlog can be nothing although all is still to come.
    assert!(holds_within(PATIENCE, || waiting() > TRACKS as f64 / 2.0), "{}", running.log());
    let (before, started, scraper) = (analyzed(), Instant::now(), Scraper::start(address));
    while waiting() > 0.0 {
        assert!(started.elapsed() < PATIENCE, "{}", running.log());
        thread::sleep(Duration::from_millis(500));
    }
    let busy = scraper.stop();
    let rate = (analyzed() - before) as f64 / started.elapsed().as_secs_f64();
    let scraper = Scraper::start(address);
    thread::sleep(IDLE);
    let idle = scraper.stop();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("/metrics of a whole system, {} series, {cores} cores, each scrape over a new connection", busy.series_max);
    println!("every core busy with audio ({rate:.1} clips/s):  {}", busy.told());
    println!("at rest:  {}", idle.told());
    println!("p99 busy to p99 at rest: {:.1}", ratio(&busy, &idle));
}

fn ratio(busy: &Scraped, idle: &Scraped) -> f64 {
    busy.quantile(0.99).as_secs_f64() / idle.quantile(0.99).as_secs_f64().max(1e-9)
}
