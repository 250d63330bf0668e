//! Logging for a command.

use crate::config::{Config, LogFormat};
use crate::observe::log::{LevelFilter, LogGuard, install, log_panics};

/// Installs logging as configured. Commands that show something else on the terminal pass the least level they want shown.
pub(super) fn start(config: &Config, run_id: &str, quieter: Option<&str>) -> anyhow::Result<LogGuard> {
    let level = quieter.unwrap_or(&config.log.level);
    let filter = LevelFilter::parse(level).map_err(anyhow::Error::msg)?;
    let guard = install(config.log.format == LogFormat::Json, filter, run_id, config.secrets());
    log_panics();
    Ok(guard)
}

/// A new name for this process: time and chance, sortable.
pub(super) fn run_id() -> String {
    let chance: u32 = rand::random();
    format!("{}-{chance:08x}", chrono::Utc::now().format("%Y%m%dT%H%M%S"))
}
