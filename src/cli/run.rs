//! `reprise run`: the supervised service.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use super::origin::Origin;
use super::{Usage, logging, once};
use crate::config::{Config, MailboxKind};
use crate::mailbox::{InstanceLock, InstanceSlot, MailboxError, instance_name};
use crate::service::{Running, Service, ServiceOptions, StageName, Stop};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Only these stages, separated by commas; other processes run the others
    #[arg(long, value_delimiter = ',', value_name = "STAGE")]
    only: Vec<StageName>,
    /// The configured queries once, everything drained to the database, then exit (for cron)
    #[arg(long)]
    once: bool,
}

/// What must be held while a service runs: nobody else may run on the same embedded data, and the instance's name is taken.
struct Locks {
    _lock: Option<InstanceLock>,
    _slot: InstanceSlot,
}

pub(super) fn run(args: &RunArgs, json: bool, config: Config) -> anyhow::Result<ExitCode> {
    let run_id = logging::run_id();
    let _guard = logging::start(&config, &run_id, None)?;
    let started = Instant::now();
    let stages = if args.only.is_empty() { StageName::FLOW.to_vec() } else { args.only.clone() };
    require_credentials(&config, &stages)?;
    if let Some(origin) = Origin::of_service(&config) {
        origin.claim(&config.data_dir)?;
    }
    let (instance, _locks) = claim_instance(&config)?;
    let options = ServiceOptions { stages, schedule: !args.once, instance, run_id };
    let once = args.once;
    let service = Service::open(config, options)?;
    warn_of_missing(&service);
    let stop = actix_rt::System::new().block_on(serve(service.clone(), once))?;
    match stop {
        // For cron the work counts, not that stopping went well.
        Stop::Asked if once => {
            drop(_guard);
            eprintln!("reprise: stopped before everything was in the database; the same command goes on where it was");
            Ok(ExitCode::FAILURE)
        }
        Stop::Asked => Ok(ExitCode::SUCCESS),
        Stop::Drained => {
            let summary = super::demo::Outcome::of(&service, started.elapsed())?;
            if json {
                answer!("{}", serde_json::to_string(&summary)?);
            } else {
                summary.print_short();
            }
            Ok(ExitCode::SUCCESS)
        }
        Stop::Failed(why) | Stop::GaveUp(why) => {
            drop(_guard);
            eprintln!("reprise: {why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn require_credentials(config: &Config, stages: &[StageName]) -> anyhow::Result<()> {
    let searches = stages.iter().any(|stage| matches!(stage, StageName::Tracks | StageName::Artists));
    if let Some(problem) = config.spotify.problem().filter(|_| searches) {
        return Err(Usage(problem).into());
    }
    let nothing_but = |stage: StageName| stages.iter().all(|other| *other == stage);
    if nothing_but(StageName::Listeners) && config.lastfm.api_key.is_empty() {
        return Err(Usage("--only listeners needs lastfm.api_key, which is empty".to_owned()).into());
    }
    if nothing_but(StageName::Audio) && config.previews.providers.is_empty() {
        return Err(Usage("--only audio needs previews.providers, which is empty".to_owned()).into());
    }
    Ok(())
}

fn claim_instance(config: &Config) -> anyhow::Result<(String, Locks)> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("data_dir {} cannot be made", config.data_dir.display()))?;
    let lock = match config.mailbox.kind {
        MailboxKind::Embedded => Some(InstanceLock::acquire(&config.data_dir)?),
        MailboxKind::Kafka => None,
    };
    let slot = InstanceSlot::acquire(&config.data_dir)?;
    let name = config.instance.clone().unwrap_or_else(|| instance_name(&config.data_dir, &slot));
    Ok((name, Locks { _lock: lock, _slot: slot }))
}

fn warn_of_missing(service: &Service) {
    let config = service.config();
    if config.lastfm.api_key.is_empty() {
        slog_scope::warn!("No lastfm.api_key: the listeners stage is not started, Last.fm figures stay empty.");
    }
    if config.previews.providers.is_empty() {
        slog_scope::warn!("No previews.providers: the audio stage is not started, audio features stay empty.");
    }
    if config.queries.is_empty() {
        slog_scope::info!("No queries are configured: waiting for `reprise search`.");
    }
}

async fn serve(service: Service, once: bool) -> anyhow::Result<Stop> {
    let mut running = service.start();
    let stop = if once { once_through(&service, &mut running).await? } else { forever(&mut running).await };
    slog_scope::info!("Stopping."; "because" => format!("{stop:?}"));
    if matches!(stop, Stop::GaveUp(_)) {
        return Ok(stop);
    }
    match running.shut_down().await {
        Stop::Asked => Ok(stop),
        worse => Ok(worse),
    }
}

/// Until a signal. What cannot be prepared (wrong credentials, a database of another make) no waiting mends: that ends it too.
async fn forever(running: &mut Running) -> Stop {
    match running.until_prepared().await {
        Some(stop) => stop,
        None => running.until_signal().await,
    }
}

/// The configured queries, from the search to the database. A broker or database that is away is waited for here as well.
async fn once_through(service: &Service, running: &mut Running) -> anyhow::Result<Stop> {
    if let Some(stop) = running.until_prepared().await {
        return Ok(stop);
    }
    loop {
        let begun = service.clone();
        match tokio::task::spawn_blocking(move || once::begin(&begun)).await? {
            Ok(()) => break,
            Err(error) if matches!(error.downcast_ref(), Some(MailboxError::Unavailable(_))) => {
                slog_scope::warn!("Waiting to enqueue the queries."; "reason" => format!("{error:#}"));
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            stop = running.until_signal() => return Ok(stop),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    let stop = running.until_drained().await;
    if stop == Stop::Drained {
        once::finished(service);
    }
    Ok(stop)
}

/// Between two attempts at a mailbox that is away.
const PAUSE: Duration = Duration::from_secs(1);
