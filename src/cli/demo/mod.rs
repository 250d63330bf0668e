//! `reprise demo`: everything at once, embedded, against the sandbox.
//!
//! The stages, topics and database are the real ones; only the music APIs are stand-ins. On the way a few actors are made
//! to crash or are killed, to show that it makes no difference: the digest at the end is the same with and without.

mod faults;
mod outcome;
mod progress;

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::logging;
use super::origin::Origin;
use super::search::enqueue_all;
use crate::config::{Config, MailboxKind, Period, Secret};
use crate::extract::options::QueryOptions;
use crate::extract::scheduler::Every;
use crate::mailbox::InstanceLock;
use crate::sandbox::{CLIENT_ID, CLIENT_SECRET, LASTFM_API_KEY, Sandbox, SandboxOptions};
use crate::service::{Service, ServiceOptions, StageName, Stop};

pub(super) use outcome::Outcome;

/// Searches of the demo: genres of the sandbox's catalogue, which do not overlap.
const QUERIES: [&str; 5] = ["genre:jazz", "genre:rock", "genre:electronic", "genre:folk", "genre:pop"];

/// The display tells of crashes and restarts in its own words; what the sandbox spoils on purpose is no news.
const QUIET: &str = "error,reprise::supervision=critical,reprise::observe::log=critical,actix_http=critical";

/// Share of the sandbox's answers that are faults of all kinds, unless `--no-faults`.
const FAULT_RATE: f64 = 0.05;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many tracks to fetch in all
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=5000))]
    tracks: u32,
    /// Go on running after the summary, until Ctrl-C: to look at the dashboard
    #[arg(long)]
    keep_running: bool,
    /// Neither crash actors nor let the stand-in APIs fail
    #[arg(long)]
    no_faults: bool,
    /// The sandbox's catalogue and faults follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) fn run(args: &DemoArgs, json: bool, configured: &Config) -> anyhow::Result<ExitCode> {
    let run_id = logging::run_id();
    let quiet = if std::env::var_os("REPRISE__LOG__LEVEL").is_some() { None } else { Some(QUIET) };
    let guard = logging::start(configured, &run_id, quiet)?;
    let started = Instant::now();
    let fault_rate = if args.no_faults { 0.0 } else { FAULT_RATE };
    let sandbox = Sandbox::start(SandboxOptions { seed: args.seed, fault_rate, ..SandboxOptions::default() })?;
    let config = demo_config(configured, &sandbox, args.tracks);
    Origin::Demo.claim(&config.data_dir)?;
    let _lock = InstanceLock::acquire(&config.data_dir)?;
    let options = ServiceOptions { stages: StageName::FLOW.to_vec(), schedule: false, instance: "demo".to_owned(), run_id };
    let service = Service::open(config, options)?;
    let stop = actix_rt::System::new().block_on(play(&service, args, json, started, &sandbox))?;
    match stop {
        Stop::Asked | Stop::Drained => Ok(ExitCode::SUCCESS),
        Stop::Failed(why) | Stop::GaveUp(why) => {
            drop(guard);
            eprintln!("reprise demo: {why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn play(service: &Service, args: &DemoArgs, json: bool, started: Instant, sandbox: &Sandbox) -> anyhow::Result<Stop> {
    let (enqueuer, queries) = (service.clone(), service.config().queries.clone());
    tokio::task::spawn_blocking(move || enqueue_all(&enqueuer, &queries)).await??;
    let mut running = service.start();
    let bars = progress::show(service.clone());
    let faults = (!args.no_faults).then(|| faults::inject(service.clone()));
    let stop = running.until_drained().await;
    bars.finish().await;
    if let Some(faults) = faults {
        faults.abort();
    }
    if stop == Stop::Drained {
        let (summarised, seconds) = (service.clone(), started.elapsed());
        let calls = sandbox.calls();
        let outcome = tokio::task::spawn_blocking(move || Outcome::of(&summarised, seconds)).await??.with_calls(&calls);
        if json {
            answer!("{}", serde_json::to_string(&outcome)?);
        } else {
            outcome.print(service)?;
        }
        if args.keep_running {
            eprintln!("Still running; Ctrl-C ends it.");
            let end = running.until_signal().await;
            running.shut_down().await;
            return Ok(end);
        }
    }
    match running.shut_down().await {
        Stop::Asked => Ok(stop),
        worse => Ok(worse),
    }
}

/// The configuration with the sandbox in place of the world.
fn demo_config(configured: &Config, sandbox: &Sandbox, tracks: u32) -> Config {
    let mut config = configured.clone();
    let urls = sandbox.urls();
    config.mailbox.kind = MailboxKind::Embedded;
    config.database.url = Secret::default();
    config.spotify.client_id = CLIENT_ID.to_owned();
    config.spotify.client_secret = Secret::new(CLIENT_SECRET);
    config.spotify.accounts_url = urls.accounts_url;
    config.spotify.api_url = urls.api_url;
    config.lastfm.api_key = Secret::new(LASTFM_API_KEY);
    config.lastfm.api_url = urls.lastfm_url;
    config.previews.spotify_embed_url = urls.spotify_embed_url;
    config.previews.deezer_url = urls.deezer_url;
    config.previews.itunes_url = urls.itunes_url;
    config.musicbrainz.api_url = urls.musicbrainz_url;
    at_demo_speed(&mut config);
    let shares = u32::try_from(QUERIES.len()).unwrap_or(1);
    config.queries = QUERIES
        .iter()
        .zip(0_u32..)
        .map(|(q, index)| QueryOptions {
            q: (*q).to_owned(),
            max_tracks: tracks / shares + u32::from(index < tracks % shares),
            every: Every::default(),
            market: None,
        })
        .filter(|query| query.max_tracks > 0)
        .collect();
    if TcpListener::bind(&config.observe.listen).is_err() {
        // Another reprise is running here: the demo's page moves aside.
        config.observe.listen = "127.0.0.1:0".to_owned();
    }
    config
}

/// The real services' limits would stretch the demo to many minutes; the stand-ins have none to respect.
fn at_demo_speed(config: &mut Config) {
    config.spotify.calls_per_30s = 30_000;
    config.lastfm.calls_per_second = 1_000;
    config.previews.deezer_calls_per_5s = 5_000;
    config.previews.itunes_calls_per_minute = 60_000;
    config.http.backoff_base = Period(Duration::from_millis(20));
    config.http.backoff_max = Period(Duration::from_millis(500));
}
