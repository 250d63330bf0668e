//! Each step of the analysis on its own, for the benchmarks. Not part of the interface: use [`Analyzer`](super::Analyzer).

use super::decode::{self, Sound};
use super::error::AnalyzeError;
use super::hpss::Separator;
use super::limits::Limits;
use super::mel::{MelBank, MelSpectrogram};
use super::resample::Resampler;
use super::stft::{Spectrogram, Stft};
use super::tempo::TempoEstimator;
use super::tempo_reference::ReferenceTempo;
use super::{chroma, contrast, key, level, onset, spectral};

/// A clip with everything up to the mel spectrogram computed, and what the steps reuse.
pub struct Steps {
    clip: Vec<u8>,
    sound: Sound,
    resampler: Resampler,
    samples: Vec<f32>,
    stft: Stft,
    spectrogram: Spectrogram,
    mel_bank: MelBank,
    mel: MelSpectrogram,
    reference_tempo: ReferenceTempo,
    tempo: TempoEstimator,
    separator: Separator,
}

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").finish_non_exhaustive()
    }
}

impl Steps {
    /// Decodes `clip` and runs the steps that others need.
    pub fn new(clip: Vec<u8>) -> Result<Steps, AnalyzeError> {
        let mut steps = Steps {
            clip,
            sound: Sound::default(),
            resampler: Resampler::default(),
            samples: Vec::new(),
            stft: Stft::new(),
            spectrogram: Spectrogram::default(),
            mel_bank: MelBank::new(),
            mel: MelSpectrogram::default(),
            reference_tempo: ReferenceTempo::new(),
            tempo: TempoEstimator::default(),
            separator: Separator::default(),
        };
        steps.decode()?;
        steps.resample();
        steps.stft();
        steps.mel();
        Ok(steps)
    }

    /// Bytes to mono sound, loudness measured on the way.
    pub fn decode(&mut self) -> Result<(), AnalyzeError> {
        decode::decode_bytes(self.clip.clone(), None, &Limits::default(), &mut self.sound)
    }

    /// To the analysis rate.
    pub fn resample(&mut self) {
        self.resampler.process(&self.sound.mono, self.sound.rate, &mut self.samples);
    }

    /// The shared transform.
    pub fn stft(&mut self) {
        self.stft.analyze(&self.samples, &mut self.spectrogram);
    }

    /// RMS and zero crossings.
    pub fn level(&self) -> f64 {
        level::mean(&level::rms_frames(&self.samples)) + level::zero_crossing_rate(&self.samples)
    }

    /// Centroid, bandwidth, rolloff and flatness.
    pub fn shape(&self) -> f64 {
        spectral::mean_shape(&self.spectrogram).centroid
    }

    /// Spectral contrast.
    pub fn contrast(&self) -> Vec<f64> {
        contrast::mean_contrast(&self.spectrogram)
    }

    /// Mel decibels.
    pub fn mel(&mut self) {
        self.mel_bank.apply(&self.spectrogram, &mut self.mel);
    }

    /// Tuning, chroma and key.
    pub fn chroma_and_key(&self) -> f64 {
        let tuning = chroma::tuning(&self.spectrogram);
        let frames = chroma::chroma_frames(&self.spectrogram, tuning);
        key::estimate(&self.spectrogram).map_or(0.0, |key| key.strength) + chroma::mean_chroma(&frames)[0]
    }

    /// Median onset strength and the tempo of the reference.
    pub fn reference_tempo(&mut self) -> Option<f64> {
        self.reference_tempo.estimate(&onset::median_onset_strength(&self.mel))
    }

    /// Our own tempo, with onsets and beats.
    pub fn tempo(&mut self) -> Option<f64> {
        self.tempo.estimate(&self.mel).bpm
    }

    /// Both running medians, the inverse transform and the energies.
    pub fn separation(&mut self) -> Option<(f64, f64)> {
        self.separator.separate(&self.samples, &self.spectrogram, &mut self.stft).ratios()
    }
}
