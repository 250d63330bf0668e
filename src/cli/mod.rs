//! The commands, one file each.
//!
//! Standard output carries answers only; logs and progress go to standard error. Exit codes: 0 done, 1 failed while running,
//! 2 wrong usage or configuration.

#[macro_use]
mod answer;

mod analyze;
mod audit;
mod dead_letters;
mod demo;
mod doctor;
mod export;
mod logging;
mod match_names;
mod migrate;
mod once;
mod origin;
mod progress;
mod replay;
mod report;
mod run;
mod sandbox;
mod search;
mod status;
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, Sources, load};
use crate::matching::Thresholds;
use crate::service::mode;

/// A supervised, restart-tolerant music ETL: Spotify, Last.fm and audio features through durable topics into one database.
#[derive(Debug, Parser)]
#[command(name = "reprise", version, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Understood by every command, before or after its name.
#[derive(Debug, Args)]
struct Global {
    /// Configuration file [default: ./reprise.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer as JSON, for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything at once, embedded, against the sandbox; ends with a summary
    Demo(demo::DemoArgs),
    /// The supervised service
    Run(run::RunArgs),
    /// Enqueue search requests
    Search(search::SearchArgs),
    /// Audio features of local files
    Analyze(analyze::AnalyzeArgs),
    /// Similarity and verdict for artist or track names
    Match(match_names::MatchArgs),
    /// Create or update the database's tables
    Migrate,
    /// Create and check the topics, or print a topic's JSON Schema
    Topics(topics::TopicsArgs),
    /// Check what `run` needs: configuration, mailbox, database, APIs' addresses
    Doctor,
    /// The supervision tree of a running instance, in the terminal
    Status(status::StatusArgs),
    /// Apply what stands in the topics to the database once more, beside a running service or without
    Replay(replay::ReplayArgs),
    /// What could not be used: list, show, retry after a fix, purge
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Counts in against counts out, referential checks, canonical digest of the database
    Audit(audit::AuditArgs),
    /// The database as CSV, Parquet or JSON Lines, for other programs
    Export(export::ExportArgs),
    /// What is in the database, as one HTML page to look at
    Report(report::ReportArgs),
    /// The stand-in APIs on their own
    Sandbox(sandbox::SandboxArgs),
}

/// Wrong usage or configuration.
const WRONG_USAGE: u8 = 2;

/// Parses the arguments, runs the command and answers with its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) if error.is::<ConfigError>() || error.is::<Usage>() => {
            eprintln!("reprise: {error:#}");
            ExitCode::from(WRONG_USAGE)
        }
        Err(error) => {
            eprintln!("reprise: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Wrong usage that only shows while running.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let json = cli.global.json;
    let configured = || -> Result<Config, ConfigError> { load(&Sources::of_process(cli.global.config.clone())?) };
    match cli.command {
        Command::Demo(args) => demo::run(&args, json, &configured()?),
        Command::Run(args) => run::run(&args, json, configured()?),
        Command::Search(args) => search::run(&args, json, &configured()?),
        Command::Analyze(args) => analyze::run(&args, json),
        Command::Match(args) => {
            let config = configured()?;
            match_names::run(&args, json, match_defaults(&config))
        }
        Command::Migrate => migrate::run(json, &configured()?),
        Command::Topics(args) => topics::run(&args, json, &configured()?),
        Command::Doctor => doctor::run(json, &configured()?),
        Command::Status(args) => status::run(&args, json, &configured()?.observe.listen),
        Command::Replay(args) => replay::run(&args, json, &configured()?),
        Command::DeadLetters(args) => dead_letters::run(&args, json, &configured()?),
        Command::Audit(args) => audit::run(&args, json, &configured()?),
        Command::Export(args) => export::run(&args, json, &configured()?),
        Command::Report(args) => report::run(&args, json, &configured()?),
        Command::Sandbox(args) => sandbox::run(&args, json),
    }
}

fn match_defaults(config: &Config) -> match_names::Defaults {
    let section = &config.matching;
    match_names::Defaults {
        thresholds: Thresholds { artist: section.artist_threshold, track: section.track_threshold },
        mode: mode(section),
        aliases: section.aliases.clone(),
    }
}
