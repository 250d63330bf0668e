//! `reprise search QUERY...`: enqueues search requests; a running service picks them up.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::logging;
use crate::config::Config;
use crate::extract::options::{QueryOptions, is_market};
use crate::extract::scheduler::{once, outgoing, unfinished_requests};
use crate::mailbox::{Mailbox, SessionSpec};
use crate::records::{SearchRequest, now_micros};
use crate::service::{Service, StageName, open_mailbox};

/// Arguments of `search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Search texts; Spotify's field filters work: artist:, album:, track:, year:1990-1999, genre:, isrc:, tag:new
    #[arg(required = true, value_name = "QUERY", value_parser = search_text)]
    queries: Vec<String>,
    /// Distinct tracks to fetch for each, 1 to 1000
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_tracks: u32,
    /// ISO 3166-1 alpha-2 market, if not the configured one
    #[arg(long, value_parser = market)]
    market: Option<String>,
}

fn search_text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("expected a search text".to_owned()) } else { Ok(text.to_owned()) }
}

fn market(text: &str) -> Result<String, String> {
    if is_market(text) { Ok(text.to_owned()) } else { Err("expected two capital letters such as US".to_owned()) }
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
    enqueue(&*mailbox, config.kafka.partitions, requests.clone(), &run_id)?;
    let answer: Vec<Enqueued> = requests
        .into_iter()
        .map(|request| Enqueued { request_id: request.request_id, q: request.q, max_tracks: request.max_tracks })
        .collect();
    if json {
        answer!("{}", serde_json::to_string(&answer)?);
    } else {
        for enqueued in answer {
            answer!("enqueued {:?} for up to {} tracks as {}", enqueued.q, enqueued.max_tracks, enqueued.request_id);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Enqueues every configured query once, now; but one that an earlier run left unfinished goes on where it stands.
pub(super) fn enqueue_all(service: &Service, queries: &[QueryOptions]) -> anyhow::Result<()> {
    service.mailbox.create_topics(service.config().kafka.partitions)?;
    let unfinished = unfinished_requests(&*service.mailbox, &StageName::Tracks.group())?;
    let mut requests = once(now_micros(), queries);
    requests.retain(|request| !unfinished.iter().any(|id| same_query(id, &request.request_id)));
    enqueue(&*service.mailbox, service.config().kafka.partitions, requests, service.run_id())
}

/// Ids of one query differ in the time at their end.
fn same_query(one: &str, other: &str) -> bool {
    let query = |id: &str| id.rsplit_once('/').map(|(query, _)| query.to_owned());
    query(one).is_some() && query(one) == query(other)
}

fn enqueue(mailbox: &dyn Mailbox, partitions: i32, requests: Vec<SearchRequest>, run_id: &str) -> anyhow::Result<()> {
    mailbox.create_topics(partitions)?;
    let records = outgoing(requests, run_id, mailbox.partitions()?)?;
    let mut session = mailbox.open(&SessionSpec {
        group: "reprise.search".to_owned(),
        topics: Vec::new(),
        heads: Vec::new(),
        instance: run_id.to_owned(),
        transactional: false,
        retains: true,
    })?;
    Ok(session.publish(&records, &[])?)
}
