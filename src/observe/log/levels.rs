//! From which level on events are logged, by module, and how that is changed while the process runs.

use std::sync::{Arc, PoisonError, RwLock};

use slog::Level;

/// From which level on events are logged, by module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelFilter {
    /// As it was written.
    text: String,
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
        let mut filter = LevelFilter { text: text.trim().to_owned(), default: Level::Info, modules: Vec::new() };
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

/// Lets levels be changed while the process runs. Clones change together. The lock is the standard library's: slog asks for
/// drains that are sound to use after a panic.
#[derive(Debug, Clone)]
pub struct LogLevels(Arc<RwLock<LevelFilter>>);

impl LogLevels {
    /// Begins with this filter.
    pub fn new(filter: LevelFilter) -> LogLevels {
        LogLevels(Arc::new(RwLock::new(filter)))
    }

    /// From now on log by this filter.
    pub fn set(&self, filter: LevelFilter) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = filter;
    }

    /// The filter in force, as it was written.
    pub fn text(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    pub(super) fn allow(&self, module: &str, level: Level) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).allows(module, level)
    }
}

/// The logger is the process's, and so are its levels.
static INSTALLED: RwLock<Option<LogLevels>> = RwLock::new(None);

pub(super) fn installed(levels: &LogLevels) {
    *INSTALLED.write().unwrap_or_else(PoisonError::into_inner) = Some(levels.clone());
}

/// The levels of the installed logger; `None` where nobody installed one.
pub fn in_force() -> Option<LogLevels> {
    INSTALLED.read().unwrap_or_else(PoisonError::into_inner).clone()
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
