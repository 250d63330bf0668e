//! `reprise report FILE`: what is in the database, as one page for an analyst.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::{Usage, logging};
use crate::config::Config;
use crate::report::{Census, Figures, Made, page};
use crate::service::open_store;
use crate::store::Store;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The page to write: one HTML file, with nothing outside of it; an older one is replaced
    #[arg(value_name = "FILE.html")]
    file: PathBuf,
}

/// The answer with `--json`.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    file: &'a Path,
    figures: &'a Figures,
}

pub(super) fn run(args: &ReportArgs, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let _guard = logging::start(config, &logging::run_id(), Some("error"))?;
    let target = target(&args.file)?;
    let store = open_store(config, "reprise report")?;
    let figures = figures(&*store)?;
    let at = chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string();
    let html = page(&figures, &Made { at, database: store.describe() });
    replace(&target, html.as_bytes()).with_context(|| format!("{} cannot be written", args.file.display()))?;
    if json {
        answer!("{}", serde_json::to_string(&Answer { file: &args.file, figures: &figures })?);
    } else {
        let counts = &figures.counts;
        answer!(
            "{}: {} tracks, {} of them with audio features; {} artists, {} albums, {} genres",
            args.file.display(),
            counts.tracks,
            figures.coverage.audio,
            counts.artists,
            counts.albums,
            counts.genres
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn figures(store: &dyn Store) -> anyhow::Result<Figures> {
    let mut census = Census::new();
    store.scan(&Census::relations(), &mut |relation, row| {
        census.see(relation, row);
        ControlFlow::Continue(())
    })?;
    Ok(census.figures())
}

/// Where the page goes: behind a symbolic link if there is one. Said before the database is read, what is wrong with it.
fn target(file: &Path) -> anyhow::Result<PathBuf> {
    let shown = file.display();
    let refused =
        |found: &str| Err(Usage(format!("{shown}: {found}; expected the name of a file to write, such as report.html")));
    if let Ok(there) = fs::metadata(file) {
        if there.is_dir() {
            return Ok(refused("is a folder")?);
        }
        if !there.is_file() {
            return Ok(refused("is a device or a pipe, which cannot be replaced")?);
        }
        return Ok(fs::canonicalize(file)?);
    }
    if file.file_name().is_none() {
        return Ok(refused("names no file")?);
    }
    let folder = folder(file);
    if !folder.is_dir() {
        return Ok(refused(&format!("there is no folder {} to write it into", folder.display()))?);
    }
    Ok(file.to_path_buf())
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// All or nothing: whoever has the old page open, or reads while this writes, sees one whole page.
fn replace(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.partial", std::process::id()));
    let beside = folder(target).join(name);
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, target));
    if written.is_err() {
        // It may not even have been made: then there is nothing to remove.
        let _ = fs::remove_file(&beside);
    }
    written
}
