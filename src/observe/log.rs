//! Logs through slog: text for people, JSON for machines, one event a line on standard error.
//!
//! What libraries log through the `log` crate goes the same way. Levels can be set by module, and changed at run time.

use std::io::IsTerminal;
use std::sync::{Arc, PoisonError, RwLock};

use slog::{Drain, Level, Logger, OwnedKVList, Record, o};
use slog_async::AsyncGuard;

/// From which level on events are logged, by module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelFilter {
    default: Level,
    /// Longest prefix first.
    modules: Vec<(String, Level)>,
}

impl LevelFilter {
    /// Reads `info` or `info,reprise::mailbox=debug,librdkafka=warning`.
    ///
    /// # Errors
    /// Says which part is no level.
    pub fn parse(text: &str) -> Result<LevelFilter, String> {
        let mut filter = LevelFilter { default: Level::Info, modules: Vec::new() };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((module, level)) => filter.modules.push((module.trim().to_owned(), level_of(level.trim())?)),
                None => filter.default = level_of(part)?,
            }
        }
        filter.modules.sort_by_key(|(module, _)| std::cmp::Reverse(module.len()));
        Ok(filter)
    }

    fn allows(&self, module: &str, level: Level) -> bool {
        let listed = self.modules.iter().find(|(prefix, _)| module.starts_with(prefix.as_str()));
        // Libraries are kept to warnings unless somebody asks for more: their chatter hides our events.
        let foreign = !module.starts_with("reprise");
        let fallback = if foreign && self.default.is_at_least(Level::Info) { Level::Warning } else { self.default };
        level.is_at_least(listed.map_or(fallback, |(_, level)| *level))
    }
}

fn level_of(text: &str) -> Result<Level, String> {
    match text.to_ascii_lowercase().as_str() {
        "critical" => Ok(Level::Critical),
        "error" => Ok(Level::Error),
        "warn" | "warning" => Ok(Level::Warning),
        "info" => Ok(Level::Info),
        "debug" => Ok(Level::Debug),
        "trace" => Ok(Level::Trace),
        _ => Err(format!("error, warn, info, debug or trace, also by module (info,reprise::mailbox=debug); not {text:?}")),
    }
}

/// Lets levels be changed while the process runs.
#[derive(Debug, Clone)]
pub struct LogLevels(Arc<RwLock<LevelFilter>>);

impl LogLevels {
    /// From now on log by this filter.
    pub fn set(&self, filter: LevelFilter) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = filter;
    }
}

struct Filtered<D> {
    inner: D,
    levels: LogLevels,
}

impl<D: Drain> Drain for Filtered<D> {
    type Ok = Option<D::Ok>;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<Self::Ok, Self::Err> {
        let allowed = self.levels.0.read().unwrap_or_else(PoisonError::into_inner).allows(record.module(), record.level());
        if allowed { self.inner.log(record, values).map(Some) } else { Ok(None) }
    }
}

/// Keeps logging alive; dropping it flushes.
pub struct LogGuard {
    /// To change levels at run time.
    pub levels: LogLevels,
    _flush: AsyncGuard,
}

impl std::fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogGuard").field("levels", &self.levels).finish_non_exhaustive()
    }
}

/// Events waiting to be written. When they come faster than they can be written they are dropped and counted, never waited for:
/// logging must not slow down the pipeline.
const QUEUE: usize = 4096;

/// Sends all logging of the process to standard error.
pub fn install(json: bool, filter: LevelFilter, run_id: &str) -> LogGuard {
    let levels = LogLevels(Arc::new(RwLock::new(filter)));
    let (root, flush) = if json { json_logger(&levels, run_id) } else { text_logger(&levels) };
    // The logger stays for good: threads that outlive the guard may still log, and a logger that is gone would panic in them.
    slog_scope::set_global_logger(root).cancel_reset();
    // A second installation in one process (tests) keeps the first bridge.
    let _ = slog_stdlog::init_with_level(log::Level::Debug);
    LogGuard { levels, _flush: flush }
}

fn text_logger(levels: &LogLevels) -> (Logger, AsyncGuard) {
    let color = std::io::stderr().is_terminal();
    let decorator = slog_term::TermDecorator::new().stderr();
    let decorator = if color { decorator.force_color() } else { decorator.force_plain() }.build();
    let format = slog_term::FullFormat::new(decorator).use_utc_timestamp().use_original_order().build().fuse();
    logger(format, levels, o!())
}

fn json_logger(levels: &LogLevels, run_id: &str) -> (Logger, AsyncGuard) {
    let format = slog_json::Json::new(std::io::stderr()).add_default_keys().set_flush(true).build().fuse();
    logger(format, levels, o!("run_id" => run_id.to_owned()))
}

fn logger<D>(
    format: D,
    levels: &LogLevels,
    values: slog::OwnedKV<impl slog::SendSyncRefUnwindSafeKV + 'static>,
) -> (Logger, AsyncGuard)
where
    D: Drain<Ok = (), Err = slog::Never> + Send + 'static,
{
    let (queued, flush) = slog_async::Async::new(format).chan_size(QUEUE).build_with_guard();
    // After the guard is gone nothing can be written any more: whoever still logs then is at the end of the process.
    let filtered = Filtered { inner: queued.ignore_res(), levels: levels.clone() };
    (Logger::root(filtered.ignore_res(), values), flush)
}

/// Logs every panic once, with thread and place, before supervision deals with it.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = crate::supervision::launch::panic_message(panic.payload());
        slog_scope::error!("A panic."; "thread" => thread, "place" => place, "message" => message);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_module_prefix_decides() {
        let filter = LevelFilter::parse("info,reprise=warn,reprise::mailbox=debug").expect("valid");
        assert!(filter.allows("reprise::mailbox::kafka", Level::Debug));
        assert!(!filter.allows("reprise::stage", Level::Info));
        assert!(!filter.allows("hyper", Level::Info), "libraries only warn by default");
    }

    #[test]
    fn a_wrong_level_is_named() {
        assert!(LevelFilter::parse("loud").expect_err("no level").contains("loud"));
    }
}
