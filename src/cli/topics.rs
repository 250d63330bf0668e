//! `reprise topics`: creates and checks the topics, prints the JSON Schema of one, or repairs a damaged embedded log.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Usage, logging};
use crate::config::{Config, MailboxKind};
use crate::mailbox::embedded;
use crate::records::{Topic, json_schema};
use crate::service::open_mailbox;

/// What is safe, and what is not, once `music_transformed` has lost something.
const AFTER_LOST_ROWS: &str = "\
Next: `reprise replay --restart` makes again what music_transformed has lost, as far as the raw topics still hold what it was
made from: they keep seven days. Of what is older only the database is left; `reprise replay --rebuild` would take it out of there
as well, and refuses to.";

/// Arguments of `topics`.
#[derive(Debug, Args)]
pub(super) struct TopicsArgs {
    /// Print the JSON Schema of this topic's payloads instead
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Save what a damaged embedded log still holds: the damaged file is kept, what is lost is listed
    #[arg(long, conflicts_with = "schema")]
    repair: bool,
}

pub(super) fn run(args: &TopicsArgs, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    if let Some(name) = &args.schema {
        let topic = Topic::from_default_name(name).or_else(|| config.topic_names().topic(name)).ok_or_else(|| {
            let known: Vec<&str> = Topic::ALL.iter().map(|topic| topic.default_name()).collect();
            Usage(format!("{name:?} is no topic; the topics are {}", known.join(", ")))
        })?;
        answer!("{}", serde_json::to_string_pretty(&json_schema(topic))?);
        return Ok(ExitCode::SUCCESS);
    }
    let _guard = logging::start(config, &logging::run_id(), Some("error"))?;
    if args.repair {
        return repair(json, config);
    }
    let mailbox = open_mailbox(config)?;
    let reports = mailbox.create_topics(config.kafka.partitions)?;
    if json {
        answer!("{}", serde_json::to_string(&reports)?);
        return Ok(ExitCode::SUCCESS);
    }
    answer!("{}", mailbox.describe());
    for report in &reports {
        let verb = if report.created { "created" } else { "present" };
        answer!("  {:<24} {verb}, {} partitions", report.topic, report.partitions);
        for warning in &report.warnings {
            answer!("    {warning}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn repair(json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    if config.mailbox.kind != MailboxKind::Embedded {
        return Err(Usage("--repair is for the embedded mailbox; Kafka keeps and repairs its own replicas".to_owned()).into());
    }
    let repaired = embedded::repair(&config.data_dir, &config.topic_names())?;
    let damaged = repaired.damaged_copy.display().to_string();
    let next = repaired.rows_lost.then_some(AFTER_LOST_ROWS);
    if json {
        let answer = json!({"kept": repaired.kept, "lost": repaired.lost, "damaged_copy": damaged, "next": next});
        answer!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    answer!("{} messages kept; the damaged file is {damaged}", repaired.kept);
    repaired.lost.iter().for_each(|line| answer!("  lost: {line}"));
    if repaired.lost.is_empty() {
        answer!("  nothing was lost");
    }
    next.iter().for_each(|next| answer!("{next}"));
    Ok(ExitCode::SUCCESS)
}
