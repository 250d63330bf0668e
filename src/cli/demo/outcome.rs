//! How a run ended, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::mailbox::Ledger;
use crate::sandbox::CallCounts;
use crate::service::progress::standing;
use crate::service::{Service, StageName};
use crate::store::{Summary, TABLES};

/// Widest bar of the histogram, in characters.
const BAR: i64 = 40;

/// The answer of `demo` and `run --once`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Outcome {
    rows: BTreeMap<String, i64>,
    digest: String,
    restarts: u64,
    dead_letters: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    api_calls: BTreeMap<String, u64>,
    summary: Summary,
}

impl Outcome {
    /// What the database holds now, and what it took.
    pub(in crate::cli) fn of(service: &Service, elapsed: Duration) -> anyhow::Result<Outcome> {
        let mut dead_letters = 0;
        for stage in StageName::FLOW.into_iter().filter(|stage| *stage != StageName::Load) {
            dead_letters += standing(&*service.mailbox, stage)?.ledger.dead_lettered;
        }
        let mut loaded = Ledger::default();
        for (_, ledger) in service.store.ledger()? {
            loaded.add(&ledger);
        }
        Ok(Outcome {
            rows: service.store.row_counts()?,
            digest: service.store.digest()?,
            restarts: service.board.restarts(),
            dead_letters: dead_letters + loaded.dead_lettered,
            seconds: (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            api_calls: BTreeMap::new(),
            summary: service.store.summary()?,
        })
    }

    /// With the calls that the sandbox counted, by API.
    pub(super) fn with_calls(mut self, calls: &CallCounts) -> Outcome {
        self.api_calls = calls.by_api.iter().map(|(api, counted)| (api.clone(), counted.calls)).collect();
        self
    }

    /// A line for the log of a scheduled run.
    pub(in crate::cli) fn print_short(&self) {
        let rows: Vec<String> =
            TABLES.iter().map(|table| format!("{table} {}", self.rows.get(*table).copied().unwrap_or(0))).collect();
        answer!("{}; {} restarts, {} dead letters, {:.1} s", rows.join(", "), self.restarts, self.dead_letters, self.seconds);
        answer!("digest {}", self.digest);
    }

    /// The whole summary.
    pub(super) fn print(&self, service: &Service) -> anyhow::Result<()> {
        answer!("\nrows");
        for table in TABLES {
            answer!("  {table:<20} {:>7}", self.rows.get(table).copied().unwrap_or(0));
        }
        answer!("\ntempo, songs by BPM");
        let most = self.summary.bpm_histogram.iter().map(|(_, songs)| *songs).max().unwrap_or(1).max(1);
        for (edge, songs) in &self.summary.bpm_histogram {
            let width = usize::try_from((songs * BAR + most - 1) / most).unwrap_or(0);
            answer!("  {edge:>3}-{:<3} {:>4} {}", edge + 9, songs, "▇".repeat(width));
        }
        answer!("\ntop artists by Last.fm listeners");
        for (name, listeners, songs) in &self.summary.top_artists {
            answer!(
                "  {:<36} {:>12} {songs:>3} songs",
                name,
                listeners.map_or_else(|| "-".to_owned(), |count| count.to_string())
            );
        }
        let calls: Vec<String> = self.api_calls.iter().map(|(api, calls)| format!("{api} {calls}")).collect();
        answer!("\nAPI calls     {}", calls.join(", "));
        answer!("restarts      {} (all healed)", self.restarts);
        answer!("dead letters  {}", self.dead_letters);
        answer!("digest        {}", self.digest);
        answer!("database      {}", service.store.describe());
        if let Some(address) = service.endpoint_address() {
            answer!("dashboard     http://{address}/ (with --keep-running)");
        }
        answer!("took          {:.1} s", self.seconds);
        Ok(())
    }
}
