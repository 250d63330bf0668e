//! `reprise analyze PATH...`: audio features of local files, a tool on its own.
//!
//! Files and folders, recursively and in order; all cores; a file that fails is reported and the rest goes on. Standard output
//! carries the answer only, in the order of the files whatever order they finish in.
//!
//! Exit codes: 0 all analysed, 1 some file failed, 2 nothing to analyse or wrong usage.

mod answer;
mod canvas;
mod files;
mod font;
mod plot;
mod workers;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Usage;
use crate::dsp::Analysis;
use answer::Writer;

/// Audio features of local files.
#[derive(Debug, Clone, Args)]
pub struct AnalyzeArgs {
    /// Audio files (MP3, AAC/M4A, Ogg Vorbis, FLAC, WAV) and folders, which are searched recursively
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How the answer is written to standard output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub format: Format,
    /// Draw waveform, spectrogram, onsets with beats, and chroma of one clip into this .svg or .png file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Files analysed at the same time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line a file, the main features only
    Table,
    /// An array, an object a file: all features, or the error
    Json,
    /// A line a file, all features
    Csv,
}

/// Analyses, writes the answer, and says how it went.
pub fn run(args: &AnalyzeArgs, json: bool) -> anyhow::Result<ExitCode> {
    let format = if json { Format::Json } else { args.format };
    let found = files::find(&args.paths);
    if let Some(target) = &args.plot {
        plot::check_target(target)?;
        if found.len() != 1 {
            return Err(Usage(format!("--plot draws one clip: found {} files, expected exactly 1", found.len())).into());
        }
    }
    let bar = progress(found.len());
    let mut writer = Writer::start(format, io::stdout().lock(), &found)?;
    let jobs = args.jobs.map_or_else(default_jobs, usize::from);
    let mut failed = 0;
    let (mut portrait, mut title) = (None, String::new());
    let outcome = workers::analyze_all(&found, jobs, args.plot.is_some(), |index, result| {
        let file = &found[index];
        if let Err(error) = &result {
            failed += 1;
            bar.suspend(|| eprintln!("reprise analyze: {}: {error}", answer::one_line(&file.path)));
        }
        let result = result.map(|(analysis, drawn)| {
            portrait = drawn;
            title = headline(&file.path, &analysis);
            analysis
        });
        bar.suspend(|| writer.write(&file.path, &result))?;
        bar.inc(1);
        Ok(())
    });
    bar.finish_and_clear();
    match outcome.and_then(|()| writer.finish()) {
        // Whoever read our output has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(exit_code(found.len(), failed)),
        other => other.context("writing to standard output")?,
    }
    if let (Some(target), Some(portrait)) = (&args.plot, portrait) {
        plot::draw(&portrait, &title, target).with_context(|| format!("drawing {}", target.display()))?;
    }
    if found.is_empty() {
        eprintln!("reprise analyze: no audio files found (looked for {})", files::EXTENSIONS.join(", "));
    } else if failed > 0 {
        eprintln!("reprise analyze: {failed} of {} files failed", found.len());
    }
    Ok(exit_code(found.len(), failed))
}

/// What stands above a picture.
fn headline(path: &Path, analysis: &Analysis) -> String {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let tempo = analysis.bpm.map(|bpm| format!("{bpm:.1} BPM"));
    let key = analysis.key.zip(analysis.mode).map(|(key, mode)| format!("{} {mode}", plot::with_flat(key)));
    let loudness = analysis.loudness_lufs.map(|lufs| format!("{lufs:.1} LUFS"));
    std::iter::once(name).chain(tempo).chain(key).chain(loudness).collect::<Vec<_>>().join("   ")
}

fn exit_code(found: usize, failed: usize) -> ExitCode {
    match (found, failed) {
        (0, _) => ExitCode::from(2),
        (_, 0) => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}

fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A bar on standard error, for people only and where there is something to wait for.
fn progress(files: usize) -> ProgressBar {
    let target =
        if files > 1 && io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(files as u64), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} files, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
