//! Tracks in, audio features of their preview clips out.
//!
//! For each track that is not fresh: resolve a clip, download it, have it analysed; if a provider has no usable clip for certain,
//! ask the next. That no provider has one is a normal outcome and recorded with its reason. Downloads and analyses of a batch
//! overlap, so that network and cores are busy together; clips live in memory only, and no longer than their analysis.
//!
//! The signal processing itself is behind [`ClipAnalyst`]: the pool of analysing threads implements it.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use sha2::{Digest as _, Sha256};

use super::attempts::{self, Attempt, Step};
use super::begun::Begun;
use super::clients::http::ApiError;
use super::clients::options::ProviderKind;
use super::clients::previews::{Download, Preview, Previews, Resolved};
use super::errands::{self, Desk, Errand, Trouble};
use super::freshness::{Freshness, Question};
use crate::mailbox::Message;
use crate::observe::Metrics;
use crate::observe::metrics::StepLabel;
use crate::records::{AudioFeatures, ClipOutcome, DeadReason, Envelope, Features, TopTrack, Topic, Validate as _, now_micros};
use crate::stage::{Processed, Processor, StageError, StepContext, Subscription};
use crate::store::{KnownKey, KnownSource};
use crate::supervision::Pulse;

/// Messages a batch. Larger: the cores stay busy through slow downloads; smaller: less is repeated when the process dies.
const BATCH_MAX: usize = 16;

/// What analyses clips.
pub trait ClipAnalyst {
    /// Version of the analysis: a higher one re-analyses what is stored.
    fn features_version(&self) -> u32;

    /// Analyses one clip. `hint` is the file name extension its bytes suggest.
    fn analyze(&self, clip: Vec<u8>, hint: Option<String>) -> LocalBoxFuture<'static, Result<Features, AnalystError>>;
}

/// Why a clip was not analysed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnalystError {
    /// It is the clip.
    #[error("{reason}: {detail}")]
    Unusable {
        /// A closed set: `undecodable`, `too_short`, `too_large`.
        reason: &'static str,
        /// For people.
        detail: String,
    },
    /// The analysis panicked and was caught: counts as an undecodable clip.
    #[error("the analysis panicked: {0}")]
    Panicked(String),
    /// It took longer than the pool allows.
    #[error("no result after {0:?}")]
    Deadline(Duration),
    /// The pool is not there, for the moment.
    #[error("{0}")]
    Unavailable(String),
}

/// How long the stage waits for a pool that is restarting.
const POOL_PAUSE: Duration = Duration::from_secs(1);

/// The stage's processor.
pub struct Audio {
    finder: ClipFinder,
    freshness: Freshness,
    desk: Desk<AudioFeatures>,
    clips_at_once: usize,
}

impl fmt::Debug for Audio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audio").field("clips_at_once", &self.clips_at_once).finish_non_exhaustive()
    }
}

impl Audio {
    /// A processor that takes clips from `previews` and has them analysed by `analyst`, at most `clips_at_once` under way:
    /// the downloads at once plus the pool's workers and a little more keep both busy.
    pub fn new(
        previews: Previews,
        analyst: Rc<dyn ClipAnalyst>,
        freshness: Freshness,
        metrics: Metrics,
        clips_at_once: usize,
    ) -> Audio {
        let finder = ClipFinder { begun: Begun::default(), previews, analyst, metrics };
        Audio { finder, freshness, desk: Desk::default(), clips_at_once }
    }
}

impl Processor for Audio {
    fn subscription(&self) -> Subscription {
        Subscription {
            topics: vec![Topic::MusicTopTracks],
            heads: vec![Topic::MusicAudioFeatures],
            batch_max: BATCH_MAX,
            transactional: true,
        }
    }

    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(async move {
            self.desk.reopen()?;
            let tracks = errands::bodies::<TopTrack>(batch);
            let keys = errands::keys(batch, &tracks, wants);
            self.finder.begun.retain(&keys);
            let version = self.finder.analyst.features_version();
            let question = |song_id: &str| question(song_id, version);
            let fresh = errands::fresh_keys(&self.freshness, context, Topic::MusicAudioFeatures, &keys, question).await?;
            let plans = errands::plan(tracks, wants, |key| fresh.contains(key));
            let (finder, pulse, run_id) = (&self.finder, context.pulse, context.run_id);
            self.desk.work(batch, plans, self.clips_at_once, pulse, |track| finder.features(track, run_id, pulse)).await
        })
    }
}

fn wants(track: &TopTrack) -> Vec<Errand<Box<TopTrack>>> {
    vec![Errand { key: track.id.clone(), ask: Box::new(track.clone()) }]
}

/// How to ask whether a song's features are fresh: those of an older analysis are not.
fn question(song_id: &str, features_version: u32) -> Option<Question> {
    let known = KnownKey { source: KnownSource::SongAudio, id: song_id.to_owned() };
    let least_version = Some(i32::try_from(features_version).unwrap_or(i32::MAX));
    Some(Question { least_version, ..Question::new(song_id, known) })
}

/// What was found out so far about a track whose clip has to be waited for.
#[derive(Debug, Default)]
struct Sought {
    /// Why the first providers in their order have none.
    reasons: Vec<&'static str>,
    /// The clip of the next one, and when it was found.
    resolved: Option<(Instant, Preview)>,
}

/// Links to clips are signed for a quarter of an hour at Deezer.
const LINK_GOOD_FOR: Duration = Duration::from_secs(600);

/// Finds a clip and has it analysed.
struct ClipFinder {
    begun: Begun<Sought>,
    previews: Previews,
    analyst: Rc<dyn ClipAnalyst>,
    metrics: Metrics,
}

impl ClipFinder {
    async fn features(&self, track: Box<TopTrack>, run_id: &str, pulse: &Pulse) -> Result<Envelope<AudioFeatures>, Trouble> {
        let clip = self.any_clip(&track, pulse).await?;
        let artist_id = track.primary_artist().map(|artist| artist.id.clone()).unwrap_or_default();
        let mut body = AudioFeatures { song_id: track.id, artist_id, clip };
        let nulled = body.validate().map_err(|error| Trouble::GiveUp(DeadReason::from(&error)))?;
        self.metrics.nulled("audio", &nulled);
        Ok(Envelope::new(now_micros(), run_id, body))
    }

    /// The first usable clip of the providers in their order, or the most telling reason why there is none.
    async fn any_clip(&self, track: &TopTrack, pulse: &Pulse) -> Result<ClipOutcome, Trouble> {
        let (since, mut sought) = self.begun.take(&track.id).unwrap_or_else(|| (Instant::now(), Sought::default()));
        for provider in self.previews.order().iter().skip(sought.reasons.len()) {
            match self.clip_of(*provider, track, &mut sought.resolved, pulse).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(reason)) => {
                    sought.reasons.push(reason);
                    sought.resolved = None;
                }
                Err(trouble) => {
                    self.begun.keep(&track.id, since, sought);
                    return Err(trouble);
                }
            }
        }
        let reasons = sought.reasons;
        let features_version = self.analyst.features_version();
        Ok(ClipOutcome::Missing { reason: attempts::most_telling(&reasons).to_owned(), features_version })
    }

    /// A usable clip of one provider, or why it certainly has none.
    async fn clip_of(
        &self,
        provider: ProviderKind,
        track: &TopTrack,
        resolved: &mut Option<(Instant, Preview)>,
        pulse: &Pulse,
    ) -> Result<Result<ClipOutcome, &'static str>, Trouble> {
        let mut history = Vec::new();
        let (mut found_at, mut preview) = match resolved.take().filter(|(since, _)| since.elapsed() < LINK_GOOD_FOR) {
            Some(found) => found,
            None => match self.resolve(provider, track, pulse).await? {
                Resolved::Clip(preview) => (Instant::now(), preview),
                Resolved::Missing(reason) => return Ok(Err(reason)),
            },
        };
        loop {
            *resolved = Some((found_at, preview.clone()));
            match self.attempt(&preview, pulse).await? {
                Ok(found) => return Ok(Ok(found)),
                Err(attempt) => history.push(attempt),
            }
            match attempts::next_step(&history) {
                Step::Again => {}
                Step::GiveUp(reason) => return Ok(Err(reason)),
                Step::Resolve => match self.resolve(provider, track, pulse).await? {
                    Resolved::Clip(again) => (found_at, preview) = (Instant::now(), again),
                    Resolved::Missing(reason) => return Ok(Err(reason)),
                },
            }
        }
    }

    async fn resolve(&self, provider: ProviderKind, track: &TopTrack, pulse: &Pulse) -> Result<Resolved, ApiError> {
        self.timed("resolve", self.previews.resolve(provider, track, pulse)).await
    }

    /// One download and, if it is audio, its analysis.
    async fn attempt(&self, preview: &Preview, pulse: &Pulse) -> Result<Result<ClipOutcome, Attempt>, Trouble> {
        let download = self.timed("download", self.previews.download(preview, pulse)).await;
        pulse.alive();
        let (clip, kind) = match download {
            Ok(Download::Clip(clip, kind)) => (clip, kind),
            Ok(Download::NotAudio) => return Ok(Err(Attempt::NotAudio)),
            Ok(Download::Gone) => return Ok(Err(Attempt::Gone)),
            Ok(Download::TooLarge) => return Ok(Err(Attempt::TooLarge)),
            Ok(Download::Refused(_)) => return Ok(Err(Attempt::Refused)),
            Err(error) => return Err(error.into()),
        };
        let clip_sha256 = hex(&Sha256::digest(&clip));
        let hint = kind.hint().map(str::to_owned);
        match self.timed("analyze", self.analyst.analyze(clip, hint)).await {
            Ok(features) => Ok(Ok(ClipOutcome::Analyzed {
                provider: preview.provider.name().to_owned(),
                clip_ref: preview.clip_ref.clone(),
                clip_sha256,
                features_version: self.analyst.features_version(),
                features: Box::new(features),
                matched: preview.matched.clone(),
            })),
            Err(AnalystError::Unusable { reason, .. }) => Ok(Err(Attempt::Unusable { reason, clip_sha256 })),
            Err(AnalystError::Panicked(_)) => Ok(Err(Attempt::Unusable { reason: "undecodable", clip_sha256 })),
            Err(AnalystError::Deadline(_)) => Ok(Err(Attempt::Deadline)),
            Err(AnalystError::Unavailable(problem)) => {
                Err(Trouble::Halt(StageError::wait(format!("audio pool: {problem}"), POOL_PAUSE)))
            }
        }
    }

    async fn timed<T>(&self, step: &str, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let done = work.await;
        self.metrics.clip.get_or_create(&StepLabel::new(step)).observe(start.elapsed().as_secs_f64());
        done
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
