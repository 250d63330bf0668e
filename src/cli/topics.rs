//! `reprise topics`: creates and checks the topics, or prints the JSON Schema of one.

use std::process::ExitCode;

use clap::Args;

use super::{Usage, logging};
use crate::config::Config;
use crate::records::{Topic, json_schema};
use crate::service::open_mailbox;

/// Arguments of `topics`.
#[derive(Debug, Args)]
pub(super) struct TopicsArgs {
    /// Print the JSON Schema of this topic's payloads instead
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
}

pub(super) fn run(args: &TopicsArgs, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    if let Some(name) = &args.schema {
        let topic = Topic::from_default_name(name).or_else(|| config.topic_names().topic(name)).ok_or_else(|| {
            let known: Vec<&str> = Topic::ALL.iter().map(|topic| topic.default_name()).collect();
            Usage(format!("{name:?} is no topic; the topics are {}", known.join(", ")))
        })?;
        println!("{}", serde_json::to_string_pretty(&json_schema(topic))?);
        return Ok(ExitCode::SUCCESS);
    }
    let _guard = logging::start(config, &logging::run_id(), Some("error"))?;
    let mailbox = open_mailbox(config)?;
    let reports = mailbox.create_topics(config.kafka.partitions)?;
    if json {
        println!("{}", serde_json::to_string(&reports)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", mailbox.describe());
    for report in &reports {
        let verb = if report.created { "created" } else { "present" };
        println!("  {:<24} {verb}, {} partitions", report.topic, report.partitions);
        for warning in &report.warnings {
            println!("    {warning}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
