//! `reprise migrate`: creates or updates the database's tables.

use std::process::ExitCode;

use super::logging;
use crate::config::Config;
use crate::service::open_store;

pub(super) fn run(json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let _guard = logging::start(config, &logging::run_id(), Some("warn"))?;
    let store = open_store(config, "reprise migrate")?;
    let report = store.migrate()?;
    if json {
        answer!("{}", serde_json::to_string(&report)?);
    } else if report.applied.is_empty() {
        answer!("{}: up to date ({} migrations)", store.describe(), report.present);
    } else {
        answer!("{}: applied {}", store.describe(), report.applied.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}
