//! `reprise dead-letters`: what could not be used, and what to do about it.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Usage, logging};
use crate::config::Config;
use crate::mailbox::dead_letters::{Desk, Entry, Letters, Retried, State};
use crate::records::now_micros;
use crate::replay::plan::{parse_since, show_time};
use crate::service::open_mailbox;

/// Arguments of `dead-letters`.
#[derive(Debug, Args)]
pub(super) struct DeadLettersArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// One line each, newest first; purged ones are left out
    List(ListArgs),
    /// Everything about one, with its payload
    Show {
        /// Its id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Put the original records back at the end of their topics, once each: after a fix
    Retry(RetryArgs),
    /// Put letters away: they are not listed any more
    Purge(PurgeArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only what this stage gave up
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Only this kind of reason: undecodable, schema_version, required_field, rejected, constraint, poison
    #[arg(long, value_name = "KIND")]
    reason: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Purged ones too
    #[arg(long)]
    purged: bool,
}

#[derive(Debug, Args)]
struct RetryArgs {
    /// Ids, as `list` shows them
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// Every one that was neither retried nor purged
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Those that were retried or purged before, too
    #[arg(long)]
    again: bool,
}

#[derive(Debug, Args)]
struct PurgeArgs {
    /// Ids, as `list` shows them
    #[arg(value_name = "ID", required_unless_present_any = ["all", "before"])]
    ids: Vec<String>,
    /// Every one
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Only those given up before this time: 2026-05-01T12:00:00Z, a date, or a span before now such as 7d
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
}

pub(super) fn run(args: &DeadLettersArgs, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let run_id = logging::run_id();
    let _guard = logging::start(config, &run_id, Some("warn"))?;
    let mailbox = open_mailbox(config)?;
    match &args.what {
        What::List(args) => list(args, json, Letters::read(&*mailbox)?)?,
        What::Show { id } => show(id, json, Letters::read(&*mailbox)?)?,
        What::Retry(args) => retry(args, json, &mut Desk::take(&mailbox, &run_id)?)?,
        What::Purge(args) => purge(args, json, &mut Desk::take(&mailbox, &run_id)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ListArgs, json: bool, letters: Letters) -> anyhow::Result<()> {
    let unreadable = letters.unreadable;
    let wanted = |entry: &Entry| {
        args.stage.as_ref().is_none_or(|stage| *stage == entry.letter.stage)
            && args.reason.as_ref().is_none_or(|kind| *kind == entry.letter.reason.kind)
            && (args.purged || entry.state() != State::Purged)
    };
    let entries: Vec<Entry> = letters.newest_first().into_iter().filter(wanted).collect();
    let shown = entries.iter().take(args.limit);
    if json {
        answer!("{}", serde_json::to_string(&shown.map(describe).collect::<Vec<_>>())?);
    } else {
        for entry in shown {
            let Entry { letter, given_up_at, .. } = entry;
            answer!("{}  {:<9} {:<14} {}", show_time(*given_up_at), state(entry), letter.reason.kind, letter.id());
        }
        if entries.is_empty() {
            answer!("no dead letters");
        } else if entries.len() > args.limit {
            answer!("{} more; --limit shows them", entries.len() - args.limit);
        }
    }
    if unreadable > 0 {
        eprintln!("{unreadable} records of the topic are no dead letters that this build can read");
    }
    Ok(())
}

fn state(entry: &Entry) -> &'static str {
    match entry.state() {
        State::Pending => "pending",
        State::Retried => "retried",
        State::Purged => "purged",
    }
}

fn describe(entry: &Entry) -> Value {
    let letter = &entry.letter;
    json!({
        "id": letter.id(),
        "stage": letter.stage,
        "reason": letter.reason.kind,
        "detail": letter.reason.detail,
        "origin": {
            "topic": letter.origin_topic,
            "partition": letter.origin_partition,
            "offset": letter.origin_offset,
            "key": letter.origin_key,
            "time": show_time(letter.origin_time),
        },
        "time": show_time(entry.given_up_at),
        "state": state(entry),
        "state_time": entry.mark.as_ref().map(|mark| show_time(mark.at)),
    })
}

fn show(id: &str, json: bool, letters: Letters) -> anyhow::Result<()> {
    let entry = letters.entries.get(id).ok_or_else(|| unknown(id))?;
    let letter = &entry.letter;
    let (encoding, payload) = readable(&letter.payload()?);
    if json {
        let mut answer = describe(entry);
        answer["payload_encoding"] = encoding.into();
        answer["payload"] = payload;
        answer!("{}", serde_json::to_string(&answer)?);
        return Ok(());
    }
    answer!("id       {id}");
    answer!("stage    {} gave up at {}", letter.stage, show_time(entry.given_up_at));
    answer!("reason   {}: {}", letter.reason.kind, letter.reason.detail);
    answer!(
        "origin   {} partition {} offset {}, appended {}",
        letter.origin_topic,
        letter.origin_partition,
        letter.origin_offset,
        show_time(letter.origin_time)
    );
    answer!("key      {}", letter.origin_key);
    match &entry.mark {
        Some(mark) => answer!("state    {} {}", state(entry), show_time(mark.at)),
        None => answer!("state    pending"),
    }
    answer!("payload  ({encoding})");
    match payload {
        Value::String(text) => answer!("{text}"),
        other => answer!("{}", serde_json::to_string_pretty(&other)?),
    }
    Ok(())
}

/// Bytes as people can read them: JSON, printable text, or hexadecimal digits.
fn readable(bytes: &[u8]) -> (&'static str, Value) {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        return ("json", value);
    }
    let printable = |text: &&str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    match std::str::from_utf8(bytes).ok().filter(printable) {
        Some(text) => ("text", text.into()),
        None => ("hex", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()),
    }
}

fn unknown(id: &str) -> Usage {
    Usage(format!("there is no dead letter {id:?}: `reprise dead-letters list` shows those there are"))
}

fn retry(args: &RetryArgs, json: bool, desk: &mut Desk) -> anyhow::Result<()> {
    let mut ids = BTreeSet::new();
    if args.all {
        let due = |entry: &&Entry| entry.state() == State::Pending || args.again;
        ids.extend(desk.letters.entries.values().filter(due).map(|entry| entry.letter.id()));
    }
    for id in &args.ids {
        let entry = desk.letters.entries.get(id).ok_or_else(|| unknown(id))?;
        if let Some(mark) = entry.mark.as_ref().filter(|_| !args.again) {
            let (done, when) = (state(entry), show_time(mark.at));
            return Err(Usage(format!("{id} was {done} at {when} already; --again retries it once more")).into());
        }
        ids.insert(id.clone());
    }
    let outcomes = desk.retry(&ids).context("what was put back until now is marked: the same command goes on")?;
    let count = |wanted: fn(&Retried) -> bool| outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count();
    let appended = count(|outcome| *outcome == Retried::Appended);
    let superseded = count(|outcome| *outcome == Retried::Superseded);
    let impossible = count(|outcome| matches!(outcome, Retried::Impossible { .. }));
    if json {
        let line = |(id, outcome): &(String, Retried)| {
            let mut value = serde_json::to_value(outcome).unwrap_or_default();
            value["id"] = id.as_str().into();
            value
        };
        let answer = json!({
            "retried": appended,
            "superseded": superseded,
            "impossible": impossible,
            "letters": outcomes.iter().map(line).collect::<Vec<Value>>(),
        });
        answer!("{}", serde_json::to_string(&answer)?);
    } else {
        for (id, outcome) in &outcomes {
            match outcome {
                Retried::Appended => answer!("{id}: back in its topic"),
                Retried::Superseded => answer!("{id}: not needed, a newer record about the same thing is there"),
                Retried::Impossible { why } => answer!("{id}: left as it is: {why}"),
            }
        }
        let all = outcomes.len();
        answer!("{all} dead letters: {appended} put back, {superseded} not needed, {impossible} left as they are");
    }
    all_went(&outcomes)
}

/// An error that names the first letter that could not be put back, if there is one: the others were retried all the same.
fn all_went(outcomes: &[(String, Retried)]) -> anyhow::Result<()> {
    let failed: Vec<(&String, &String)> = outcomes
        .iter()
        .filter_map(|(id, outcome)| match outcome {
            Retried::Impossible { why } => Some((id, why)),
            _ => None,
        })
        .collect();
    let Some((id, why)) = failed.first() else { return Ok(()) };
    let (some, all) = (failed.len(), outcomes.len());
    let what = if all == 1 { format!("{id} was not retried") } else { format!("{some} of {all} were not retried; {id}") };
    Err(anyhow::anyhow!("{what}: {why}. `reprise dead-letters purge {id}` puts it away"))
}

fn purge(args: &PurgeArgs, json: bool, desk: &mut Desk) -> anyhow::Result<()> {
    let before = args
        .before
        .as_ref()
        .map(|text| parse_since(text, now_micros()).map_err(|error| Usage(error.to_string().replace("--since", "--before"))));
    let before = before.transpose()?;
    for id in &args.ids {
        desk.letters.entries.get(id).ok_or_else(|| unknown(id))?;
    }
    let due = |entry: &&Entry| {
        entry.state() != State::Purged
            && before.is_none_or(|before| entry.given_up_at < before)
            && (args.ids.is_empty() || args.ids.contains(&entry.letter.id()))
    };
    let ids: BTreeSet<String> = desk.letters.entries.values().filter(due).map(|entry| entry.letter.id()).collect();
    desk.purge(&ids)?;
    if json {
        answer!("{}", json!({ "purged": ids.len() }));
    } else {
        answer!("purged {} dead letters", ids.len());
    }
    Ok(())
}
