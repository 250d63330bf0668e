//! `reprise search QUERY...`: enqueues search requests; a running service picks them up.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::logging;
use crate::config::Config;
use crate::extract::options::QueryOptions;
use crate::mailbox::{Mailbox, Outgoing, SessionSpec};
use crate::records::{Envelope, Record, SearchRequest, now_micros, partition_of};
use crate::service::{Service, open_mailbox};

/// Arguments of `search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Search texts; Spotify's field filters work: artist:, album:, track:, year:1990-1999, genre:, isrc:, tag:new
    #[arg(required = true, value_name = "QUERY")]
    queries: Vec<String>,
    /// Distinct tracks to fetch for each, 1 to 1000
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_tracks: u32,
    /// ISO 3166-1 alpha-2 market, if not the configured one
    #[arg(long)]
    market: Option<String>,
}

#[derive(Debug, Serialize)]
struct Enqueued {
    request_id: String,
    q: String,
    max_tracks: u32,
}

pub(super) fn run(args: &SearchArgs, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let run_id = logging::run_id();
    let _guard = logging::start(config, &run_id, Some("warn"))?;
    let mailbox = open_mailbox(config)?;
    let requests: Vec<SearchRequest> = args
        .queries
        .iter()
        .enumerate()
        .map(|(index, q)| SearchRequest {
            request_id: format!("search/{run_id}/{index}"),
            q: q.clone(),
            market: args.market.clone(),
            max_tracks: args.max_tracks,
            cursor: None,
        })
        .collect();
    enqueue(&*mailbox, config.kafka.partitions, &requests, &run_id)?;
    let answer: Vec<Enqueued> = requests
        .into_iter()
        .map(|request| Enqueued { request_id: request.request_id, q: request.q, max_tracks: request.max_tracks })
        .collect();
    if json {
        println!("{}", serde_json::to_string(&answer)?);
    } else {
        for enqueued in answer {
            println!("enqueued {:?} for up to {} tracks as {}", enqueued.q, enqueued.max_tracks, enqueued.request_id);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Enqueues every configured query once, now.
pub(super) fn enqueue_all(service: &Service, queries: &[QueryOptions]) -> anyhow::Result<()> {
    let run_id = service.run_id();
    let requests: Vec<SearchRequest> = queries
        .iter()
        .enumerate()
        .map(|(index, query)| SearchRequest {
            request_id: format!("once/{run_id}/{index}"),
            q: query.q.clone(),
            market: query.market.clone(),
            max_tracks: query.max_tracks,
            cursor: None,
        })
        .collect();
    enqueue(&*service.mailbox, service.config().kafka.partitions, &requests, run_id)
}

fn enqueue(mailbox: &dyn Mailbox, partitions: i32, requests: &[SearchRequest], run_id: &str) -> anyhow::Result<()> {
    mailbox.create_topics(partitions)?;
    let partitions = mailbox.partitions()?;
    let mut records = Vec::with_capacity(requests.len());
    for request in requests {
        let envelope = Envelope::new(now_micros(), run_id, request.clone());
        records.push(Outgoing::record(&envelope, partition_of(request.partition_key(), partitions), 0)?);
    }
    let mut session = mailbox.open(&SessionSpec {
        group: "reprise.search".to_owned(),
        topics: Vec::new(),
        heads: Vec::new(),
        instance: run_id.to_owned(),
        transactional: false,
    })?;
    Ok(session.publish(&records, &[])?)
}
