//! Building the extractors' processors, and what they share.

use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use futures::future::LocalBoxFuture;

use super::tree::{MakeProcessor, Service};
use crate::config::{Config, MatchingSection};
use crate::dsp::{AnalyzeError, FEATURES_VERSION};
use crate::extract::clients::http::{Http, ParkBook};
use crate::extract::clients::lastfm::Lastfm;
use crate::extract::clients::musicbrainz::MusicBrainz;
use crate::extract::clients::previews::Previews;
use crate::extract::clients::spotify::Spotify;
use crate::extract::{AnalystError, Artists, Audio, ClipAnalyst, Freshness, Listeners, Tracks};
use crate::matching::{Aliases, Matcher, Mode, Thresholds};
use crate::observe::Metrics;
use crate::observe::endpoint::BudgetSource;
use crate::pool::{Pool, PoolError};
use crate::records::Features;

/// What the extractors of a process share: one HTTP client with its limits and parked accounts, one Spotify token, one matcher.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    http: Http,
    matcher: Arc<Matcher>,
    /// Absent without credentials: then neither tracks nor artists run.
    spotify: Option<Spotify>,
}

impl Shared {
    pub(super) fn open(config: &Config, metrics: &Metrics) -> anyhow::Result<Shared> {
        let (parks, warning) = ParkBook::open(&config.data_dir.join("parks.json"))?;
        if let Some(warning) = warning {
            slog_scope::warn!("{}", warning);
        }
        let http = Http::new(config.http.clone(), metrics.clone(), slog_scope::logger(), parks)?;
        let spotify = if config.spotify.problem().is_none() { Some(Spotify::new(&config.spotify, &http)?) } else { None };
        Ok(Shared { http, matcher: Arc::new(matcher(config)?), spotify })
    }

    /// Where the endpoint learns what each API's account may still send.
    pub(super) fn budgets(&self) -> BudgetSource {
        let http = self.http.clone();
        Arc::new(move || http.budgets())
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
pub fn mode(section: &MatchingSection) -> Mode {
    if section.mode == "reference" { Mode::Reference } else { Mode::Composite }
}

fn freshness(service: &Service) -> Freshness {
    Freshness::new(Arc::clone(&service.store), service.config.refresh_after)
}

fn spotify(service: &Service) -> anyhow::Result<Spotify> {
    service.shared.spotify.clone().context("spotify.client_id and spotify.client_secret are not set")
}

pub(super) fn tracks(service: &Service) -> MakeProcessor {
    let service = service.clone();
    Arc::new(move || Ok(Box::new(Tracks::new(spotify(&service)?))))
}

pub(super) fn artists(service: &Service) -> MakeProcessor {
    let service = service.clone();
    Arc::new(move || Ok(Box::new(Artists::new(spotify(&service)?, freshness(&service)))))
}

pub(super) fn listeners(service: &Service) -> MakeProcessor {
    let service = service.clone();
    Arc::new(move || {
        let http = &service.shared.http;
        let lastfm = Lastfm::new(http, &service.config.lastfm)?;
        let musicbrainz = MusicBrainz::new(http, &service.config.musicbrainz)?;
        let matcher = Arc::clone(&service.shared.matcher);
        Ok(Box::new(Listeners::new(lastfm, musicbrainz, matcher, freshness(&service), service.metrics.clone())))
    })
}

pub(super) fn audio(service: &Service) -> MakeProcessor {
    let service = service.clone();
    Arc::new(move || {
        let matcher = Arc::clone(&service.shared.matcher);
        let previews = Previews::new(&service.shared.http, &service.config.previews, matcher)?;
        let analyst = Rc::new(PoolAnalyst { pool: service.pool.clone() });
        let at_once = service.config.previews.downloads_at_once + service.pool_options.workers + 2;
        Ok(Box::new(Audio::new(previews, analyst, freshness(&service), service.metrics.clone(), at_once)))
    })
}

/// The worker pool as the audio stage sees it.
struct PoolAnalyst {
    pool: Pool,
}

impl ClipAnalyst for PoolAnalyst {
    fn features_version(&self) -> u32 {
        FEATURES_VERSION
    }

    fn analyze(&self, clip: Vec<u8>, hint: Option<String>) -> LocalBoxFuture<'static, Result<Features, AnalystError>> {
        let pool = self.pool.clone();
        Box::pin(async move { pool.analyze(clip, hint).await.map(features).map_err(analyst_error) })
    }
}

fn analyst_error(error: PoolError) -> AnalystError {
    match error {
        PoolError::Unusable(AnalyzeError::Cancelled(detail)) => AnalystError::Unavailable(detail.to_owned()),
        PoolError::Unusable(error) => AnalystError::Unusable { reason: error.kind(), detail: error.to_string() },
        PoolError::Panicked(message) => AnalystError::Panicked(message),
        PoolError::Deadline(limit) => AnalystError::Deadline(limit),
        PoolError::Restarting => AnalystError::Unavailable(error.to_string()),
    }
}

fn features(analysis: crate::dsp::Analysis) -> Features {
    Features {
        duration_s: analysis.duration_s,
        bpm: analysis.bpm,
        bpm_confidence: analysis.bpm_confidence,
        bpm_reference: analysis.bpm_reference,
        energy: analysis.energy,
        spectral_centroid: analysis.spectral_centroid,
        zero_crossing_rate: analysis.zero_crossing_rate,
        harmonic_ratio: analysis.harmonic_ratio,
        percussive_ratio: analysis.percussive_ratio,
        loudness_lufs: analysis.loudness_lufs,
        loudness_range_lu: analysis.loudness_range_lu,
        key: analysis.key.map(ToString::to_string),
        mode: analysis.mode.map(ToString::to_string),
        key_strength: analysis.key_strength,
        onset_rate: analysis.onset_rate,
        beat_regularity: analysis.beat_regularity,
        spectral_bandwidth: analysis.spectral_bandwidth,
        spectral_rolloff: analysis.spectral_rolloff,
        spectral_flatness: analysis.spectral_flatness,
        spectral_contrast: analysis.spectral_contrast,
        chroma: analysis.chroma,
        mfcc: analysis.mfcc,
    }
}
