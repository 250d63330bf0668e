//! `music_audio_features`: the features of one clip, with provider and clip hash, or why there are none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener_figures::MatchNote;
use super::validate::{Nuller, RecordError, Validate, require_id};
use super::{Record, Topic};

/// What was measured. `None` is undefined for this clip (silence has no tempo), not zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Features {
    /// Seconds of audio analysed.
    pub duration_s: f64,
    /// Best estimate of the tempo, beats per minute, 45 to 249.
    pub bpm: Option<f64>,
    /// 0 to 1.
    pub bpm_confidence: Option<f64>,
    /// Tempo as librosa's `beat_track` answers, beats per minute.
    pub bpm_reference: Option<f64>,
    /// Mean over frames of the RMS amplitude, 0 to 1.
    pub energy: Option<f64>,
    /// Hz, mean over frames.
    pub spectral_centroid: Option<f64>,
    /// Crossings a sample, mean over frames, 0 to 1.
    pub zero_crossing_rate: Option<f64>,
    /// Harmonic energy over harmonic plus percussive, 0 to 1.
    pub harmonic_ratio: Option<f64>,
    /// Percussive energy over harmonic plus percussive, 0 to 1.
    pub percussive_ratio: Option<f64>,
    /// EBU R128 integrated loudness, LUFS.
    pub loudness_lufs: Option<f64>,
    /// EBU R128 loudness range, LU.
    pub loudness_range_lu: Option<f64>,
    /// Tonic: `C`, `C#`, `D`, `Eb`, `E`, `F`, `F#`, `G`, `Ab`, `A`, `Bb` or `B`.
    pub key: Option<String>,
    /// `major` or `minor`.
    pub mode: Option<String>,
    /// 0 to 1.
    pub key_strength: Option<f64>,
    /// Onsets a second.
    pub onset_rate: Option<f64>,
    /// How regular the beat is, 0 to 1.
    pub beat_regularity: Option<f64>,
    /// Hz, mean over frames.
    pub spectral_bandwidth: Option<f64>,
    /// Hz below which 85 % of the magnitude lies, mean over frames.
    pub spectral_rolloff: Option<f64>,
    /// 0 (tone) to 1 (noise), mean over frames.
    pub spectral_flatness: Option<f64>,
    /// dB, 7 bands, mean over frames.
    pub spectral_contrast: Vec<f64>,
    /// 12 pitch classes from C, 0 to 1, mean over frames.
    pub chroma: Vec<f64>,
    /// 20 coefficients, mean over frames.
    pub mfcc: Vec<f64>,
}

/// What became of the clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ClipOutcome {
    /// It was found, decoded and analysed.
    Analyzed {
        /// `spotify`, `spotify_embed`, `deezer` or `itunes`.
        provider: String,
        /// Where to get a clip again, such as `deezer:track:3135556`: preview links themselves expire.
        clip_ref: String,
        /// SHA-256 of the clip's bytes, hex.
        clip_sha256: String,
        /// Version of the analysis; a higher one re-analyses what is stored.
        features_version: u32,
        /// What was measured.
        features: Box<Features>,
        /// Asked track against the provider's, where it was found by search.
        matched: Option<MatchNote>,
    },
    /// No provider has a usable clip, a normal outcome. Tried again after `refresh_after`.
    Missing {
        /// A closed set: `no_preview`, `no_match`, `undecodable`, `too_large`, `too_short`, `refused`.
        reason: String,
        /// Version of the analysis that tried.
        features_version: u32,
    },
}

/// The audio stage's answer for one track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AudioFeatures {
    /// Spotify id of the track.
    pub song_id: String,
    /// Spotify id of the primary artist.
    pub artist_id: String,
    /// What became of the clip.
    #[serde(flatten)]
    pub clip: ClipOutcome,
}

impl Features {
    fn clean(&mut self, nuller: &mut Nuller) {
        let unit = |value: &f64| (0.0..=1.0).contains(value);
        nuller.keep("bpm", &mut self.bpm, |bpm| (30.0..=300.0).contains(bpm));
        nuller.keep("bpm_reference", &mut self.bpm_reference, |bpm| (0.0..=400.0).contains(bpm) && *bpm > 0.0);
        nuller.keep("spectral_centroid", &mut self.spectral_centroid, |hz| (0.0..=10_000.0).contains(hz));
        for (name, value) in [
            ("bpm_confidence", &mut self.bpm_confidence),
            ("energy", &mut self.energy),
            ("zero_crossing_rate", &mut self.zero_crossing_rate),
            ("harmonic_ratio", &mut self.harmonic_ratio),
            ("percussive_ratio", &mut self.percussive_ratio),
            ("key_strength", &mut self.key_strength),
            ("beat_regularity", &mut self.beat_regularity),
            ("spectral_flatness", &mut self.spectral_flatness),
        ] {
            nuller.keep(name, value, unit);
        }
        for (name, value) in [
            ("loudness_lufs", &mut self.loudness_lufs),
            ("loudness_range_lu", &mut self.loudness_range_lu),
            ("onset_rate", &mut self.onset_rate),
            ("spectral_bandwidth", &mut self.spectral_bandwidth),
            ("spectral_rolloff", &mut self.spectral_rolloff),
        ] {
            nuller.keep(name, value, |value| value.is_finite());
        }
        nuller.keep("mode", &mut self.mode, |mode| matches!(mode.as_str(), "major" | "minor"));
    }
}

impl Validate for AudioFeatures {
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError> {
        require_id(Topic::MusicAudioFeatures, "song_id", &self.song_id)?;
        require_id(Topic::MusicAudioFeatures, "artist_id", &self.artist_id)?;
        let mut nuller = Nuller::default();
        if let ClipOutcome::Analyzed { features, .. } = &mut self.clip {
            features.clean(&mut nuller);
        }
        Ok(nuller.finish())
    }
}

impl Record for AudioFeatures {
    const TOPIC: Topic = Topic::MusicAudioFeatures;

    fn key(&self) -> String {
        self.song_id.clone()
    }

    fn partition_key(&self) -> &str {
        &self.artist_id
    }
}
