//! `reprise audit`: proves that nothing vanished.
//!
//! Each stage's ledger is committed with its offsets, so the counts are exact whatever was killed in between: consumed =
//! emitted + superseded + dead-lettered, by partition. What a stage has not read yet is `waiting`, not lost.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::logging;
use crate::config::Config;
use crate::mailbox::{Ledger, Mailbox};
use crate::service::progress::standing;
use crate::service::{StageName, open_mailbox, open_store};
use crate::store::{Finding, Store};

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Write the canonical dump that the digest is made of to this file
    #[arg(long, value_name = "FILE")]
    dump: Option<std::path::PathBuf>,
}

/// One stage's books.
#[derive(Debug, Serialize)]
struct StageBooks {
    consumed: u64,
    emitted: u64,
    superseded: u64,
    dead_lettered: u64,
    produced: u64,
    waiting: u64,
    balanced: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Audit {
    digest: String,
    balanced: bool,
    stages: BTreeMap<&'static str, StageBooks>,
    rows: BTreeMap<String, i64>,
    findings: Vec<Finding>,
}

pub(super) fn run(args: &AuditArgs, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let _guard = logging::start(config, &logging::run_id(), Some("error"))?;
    let (mailbox, store) = (open_mailbox(config)?, open_store(config, "reprise audit")?);
    if let Some(path) = &args.dump {
        write_dump(&*store, path)?;
    }
    let audit = audit(&*mailbox, &*store)?;
    let sound = audit.balanced && audit.findings.iter().all(|finding| finding.information);
    if json {
        answer!("{}", serde_json::to_string(&audit)?);
    } else {
        print(&audit);
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_dump(store: &dyn Store, path: &std::path::Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut failed = None;
    store.dump(&mut |line| {
        if failed.is_none() {
            failed = writeln!(file, "{line}").err();
        }
    })?;
    file.flush()?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn audit(mailbox: &dyn Mailbox, store: &dyn Store) -> anyhow::Result<Audit> {
    let mut stages = BTreeMap::new();
    for stage in StageName::FLOW {
        let mut books = standing(mailbox, stage)?;
        if stage == StageName::Load {
            // The loader's books are in the database, in the transaction that wrote the rows; the mailbox only hears of them.
            books.ledger = Ledger::default();
            for (_, ledger) in store.ledger()? {
                books.ledger.add(&ledger);
            }
        }
        let Ledger { consumed, emitted, superseded, dead_lettered, produced } = books.ledger;
        let balanced = books.ledger.is_balanced();
        let waiting = books.waiting;
        stages.insert(stage.name(), StageBooks { consumed, emitted, superseded, dead_lettered, produced, waiting, balanced });
    }
    Ok(Audit {
        digest: store.digest()?,
        balanced: stages.values().all(|books| books.balanced),
        stages,
        rows: store.row_counts()?,
        findings: store.check()?,
    })
}

fn print(audit: &Audit) {
    answer!("{:<11} {:>9} {:>9} {:>10} {:>13} {:>9}", "stage", "consumed", "emitted", "superseded", "dead-lettered", "waiting");
    for stage in StageName::FLOW {
        if let Some(books) = audit.stages.get(stage.name()) {
            answer!(
                "{:<11} {:>9} {:>9} {:>10} {:>13} {:>9}{}",
                stage.name(),
                books.consumed,
                books.emitted,
                books.superseded,
                books.dead_lettered,
                books.waiting,
                if books.balanced { "" } else { "  NOT BALANCED" }
            );
        }
    }
    for (table, rows) in &audit.rows {
        answer!("{table:<20} {rows:>9} rows");
    }
    for finding in &audit.findings {
        answer!("{}: {} ({} rows)", finding.table, finding.problem, finding.rows);
    }
    answer!("balanced: {}", if audit.balanced { "yes" } else { "NO" });
    answer!("digest:   {}", audit.digest);
}
