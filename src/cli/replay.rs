//! `reprise replay`: applies what stands in the topics to the database once more.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::progress::Progress;
use super::{Usage, logging};
use crate::config::Config;
use crate::records::now_micros;
use crate::replay::{Counts, Event, Means, ReplayError, Report, Request, Start, plan, rebuild, replay};
use crate::service::{open_mailbox, open_store};
use crate::transform::Judge;

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Only this topic [default: music_transformed and the raw topics]
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// From this time on: 2026-05-01T12:00:00Z, a date, or a span before now such as 7d
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from_beginning", "from_offset", "rebuild"])]
    since: Option<String>,
    /// From the first message kept [default]
    #[arg(long, conflicts_with = "from_offset")]
    from_beginning: bool,
    /// From this offset of this partition of --topic on, and only there
    #[arg(long, value_name = "PARTITION:OFFSET", requires = "topic", conflicts_with = "rebuild")]
    from_offset: Option<String>,
    /// Build the database anew from music_transformed alone: beside the live one, which it then replaces
    #[arg(long)]
    rebuild: bool,
    /// Rebuild even if the database has something that music_transformed has not: it is lost then
    #[arg(long, requires = "rebuild")]
    accept_loss: bool,
    /// At most so many records a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Begin again instead of going on where an interrupted replay was
    #[arg(long)]
    restart: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    topics: BTreeMap<String, Counts>,
    rows_changed: u64,
    appended: u64,
    rebuilt: bool,
    seconds: f64,
    digest: String,
}

pub(super) fn run(args: &ReplayArgs, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let run_id = logging::run_id();
    let _guard = logging::start(config, &run_id, Some("warn"))?;
    // What is wrong with the words is said before anything is opened.
    let request = request(args, config).map_err(usage)?;
    let means = Means {
        mailbox: open_mailbox(config)?,
        store: open_store(config, "reprise replay")?,
        judge: Judge { artist_threshold: config.matching.artist_threshold, track_threshold: config.matching.track_threshold },
        run_id,
        data_dir: config.data_dir.clone(),
        batch_max: config.load.batch_max,
        rate: args.rate,
        restart: args.restart,
        accept_loss: args.accept_loss,
    };
    let started = Instant::now();
    let mut progress = Progress::new("replayed", "offsets", 0);
    let mut listener = |event: Event<'_>| show(&mut progress, &event);
    let done = if args.rebuild { rebuild(&means, &mut listener) } else { replay(&means, &request, &mut listener) };
    progress.end();
    let Report { topics, rows_changed, appended } = done.map_err(usage)?;
    let seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let answer = Answer { topics, rows_changed, appended, rebuilt: args.rebuild, seconds, digest: means.store.digest()? };
    if json {
        answer!("{}", serde_json::to_string(&answer)?);
    } else {
        print(&answer);
    }
    Ok(ExitCode::SUCCESS)
}

fn usage(error: ReplayError) -> anyhow::Error {
    match error {
        ReplayError::Refused(text) => Usage(text).into(),
        other => anyhow::Error::new(other).context("the replay ended early; the same command goes on where it was"),
    }
}

fn request(args: &ReplayArgs, config: &Config) -> Result<Request, ReplayError> {
    let names = config.topic_names();
    let topics = plan::topics_of(args.topic.as_deref(), &names)?;
    if args.rebuild && args.topic.is_some() && topics != [crate::records::Topic::MusicTransformed] {
        let text = "--rebuild reads music_transformed alone: leave out --topic, or replay that topic without --rebuild";
        return Err(ReplayError::Refused(text.to_owned()));
    }
    let start = match (&args.since, &args.from_offset) {
        (Some(text), _) => Start::Since(plan::parse_since(text, now_micros())?),
        (None, Some(text)) => plan::parse_offset(text)?,
        (None, None) => Start::Beginning,
    };
    let listed: Vec<&str> = topics.iter().map(|topic| names.name(*topic)).collect();
    let from = args.since.as_ref().or(args.from_offset.as_ref()).map_or("beginning", String::as_str);
    let words = format!("{} from {from}", listed.join(" "));
    Ok(Request { topics, start, words })
}

fn print(answer: &Answer) {
    answer!(
        "{:<21} {:>9} {:>9} {:>10} {:>10} {:>11} {:>8}",
        "topic",
        "read",
        "applied",
        "unchanged",
        "superseded",
        "undecodable",
        "refused"
    );
    for (topic, counts) in &answer.topics {
        let Counts { read, applied, unchanged, superseded, undecodable, refused } = counts;
        answer!("{topic:<21} {read:>9} {applied:>9} {unchanged:>10} {superseded:>10} {undecodable:>11} {refused:>8}");
    }
    if answer.appended > 0 {
        answer!("appended to music_transformed, which lacked them: {}", answer.appended);
    }
    answer!("rows changed: {}; took {:.1} s", answer.rows_changed, answer.seconds);
    answer!("digest: {}", answer.digest);
}

fn show(progress: &mut Progress, event: &Event<'_>) {
    match event {
        Event::Planned { offsets, done } => {
            if *done > 0 {
                progress.line(&format!("going on where an interrupted replay was: {done} of {offsets} offsets are done"));
            }
            progress.resume(*offsets, *done);
        }
        Event::Done(more) => progress.advance(*more),
        Event::Note(text) => progress.line(text),
    }
}
