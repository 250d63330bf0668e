//! `reprise export`: the database as files for other programs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::logging;
use super::progress::Progress;
use crate::config::Config;
use crate::export::{Exported, Format, export, relations};
use crate::service::open_store;
use crate::store::Store;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// What the files are
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// Folder for the files: one a table, `tracks` with everything a song, and `datapackage.json` that explains them
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, Serialize)]
struct Answer {
    folder: String,
    files: Vec<Exported>,
    seconds: f64,
}

pub(super) fn run(args: &ExportArgs, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let _guard = logging::start(config, &logging::run_id(), Some("error"))?;
    let store = open_store(config, "reprise export")?;
    let started = Instant::now();
    let mut progress = Progress::new("exported", "rows", rows_to_come(&*store)?);
    let files = export(&*store, &args.folder, args.format, &mut |_| progress.advance(1));
    progress.end();
    let files = files.context("nothing was exported")?;
    let seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let answer = Answer { folder: args.folder.display().to_string(), files, seconds };
    if json {
        answer!("{}", serde_json::to_string(&answer)?);
    } else {
        print(&answer);
    }
    Ok(ExitCode::SUCCESS)
}

/// The tables, and each song once more in the flat view.
fn rows_to_come(store: &dyn Store) -> anyhow::Result<u64> {
    let counts = store.row_counts()?;
    let rows = |name: &str| counts.get(if name == "tracks" { "songs" } else { name }).copied().unwrap_or(0);
    Ok(relations().iter().map(|relation| u64::try_from(rows(relation.name)).unwrap_or(0)).sum())
}

fn print(answer: &Answer) {
    for file in &answer.files {
        answer!("{:<28} {:>12} rows {:>12}", file.file, HumanCount(file.rows).to_string(), HumanBytes(file.bytes).to_string());
    }
    answer!(
        "in {}, with datapackage.json that tells columns, units and checksums; took {:.1} s",
        answer.folder,
        answer.seconds
    );
}
