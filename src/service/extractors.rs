//! Building the extractors' processors, and what they share.

use std::sync::Arc;

use anyhow::Context as _;

use super::tree::{MakeProcessor, Service};
use crate::config::Config;
use crate::extract::clients::http::{Http, ParkBook};
use crate::matching::{Aliases, Matcher, Mode, Thresholds};
use crate::observe::Metrics;

/// What the extractors of a process share: one HTTP client with its limits, one matcher.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) http: Http,
    pub(super) matcher: Arc<Matcher>,
}

impl Shared {
    pub(super) fn open(config: &Config, metrics: &Metrics) -> anyhow::Result<Shared> {
        let (parks, warning) = ParkBook::open(&config.data_dir.join("parks.json"))?;
        if let Some(warning) = warning {
            slog_scope::warn!("{}", warning);
        }
        let http = Http::new(config.http.clone(), metrics.clone(), slog_scope::logger(), parks)?;
        Ok(Shared { http, matcher: Arc::new(matcher(config)?) })
    }
}

/// The matcher that the configuration describes.
///
/// # Errors
/// When the aliases file cannot be read: says the line and column.
pub fn matcher(config: &Config) -> anyhow::Result<Matcher> {
    let section = &config.matching;
    let aliases = match &section.aliases {
        None => Aliases::default(),
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("matching.aliases: {}", path.display()))?;
            Aliases::parse(&bytes).with_context(|| format!("matching.aliases: {}", path.display()))?
        }
    };
    let thresholds = Thresholds { artist: section.artist_threshold, track: section.track_threshold };
    Ok(Matcher::new(mode(section), thresholds, aliases))
}

/// The configuration's matching mode.
pub fn mode(section: &crate::config::MatchingSection) -> Mode {
    if section.mode == "reference" { Mode::Reference } else { Mode::Composite }
}
pub(super) fn audio(_: &Service) -> MakeProcessor { todo!() }
pub(super) fn listeners(_: &Service) -> MakeProcessor { todo!() }
pub(super) fn artists(_: &Service) -> MakeProcessor { todo!() }
pub(super) fn tracks(_: &Service) -> MakeProcessor { todo!() }
