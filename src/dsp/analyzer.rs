//! The whole analysis of a clip, step after step, with buffers and FFT plans that are kept from clip to clip.

use symphonia::core::io::MediaSource;

use super::analysis::Analysis;
use super::decode::{self, Sound};
use super::error::AnalyzeError;
use super::hpss::Separator;
use super::limits::Limits;
use super::mel::{MelBank, MelSpectrogram};
use super::portrait::Portrait;
use super::resample::{ANALYSIS_RATE, Resampler};
use super::stft::{Spectrogram, Stft, WINDOW};
use super::tempo::{Rhythm, TempoEstimator};
use super::tempo_reference::ReferenceTempo;
use super::{chroma, contrast, danceability, key, level, onset, spectral};

/// Analyses clips one after the other. Keep one a worker thread: it holds some 40 MB of buffers after the first clip.
///
/// The same bytes give the same bits in every run on the same kind of machine; nothing here depends on time, chance or threads.
pub struct Analyzer {
    sound: Sound,
    resampler: Resampler,
    samples: Vec<f32>,
    stft: Stft,
    spectrogram: Spectrogram,
    mel_bank: MelBank,
    mel: MelSpectrogram,
    reference_tempo: ReferenceTempo,
    tempo: TempoEstimator,
    rhythm: Rhythm,
    chroma: Vec<[f32; chroma::CLASSES]>,
    separator: Separator,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").finish_non_exhaustive()
    }
}

impl Default for Analyzer {
    fn default() -> Self {
        Analyzer::new()
    }
}

impl Analyzer {
    /// Plans the transforms.
    pub fn new() -> Analyzer {
        Analyzer {
            sound: Sound::default(),
            resampler: Resampler::default(),
            samples: Vec::new(),
            stft: Stft::new(),
            spectrogram: Spectrogram::default(),
            mel_bank: MelBank::new(),
            mel: MelSpectrogram::default(),
            reference_tempo: ReferenceTempo::new(),
            tempo: TempoEstimator::default(),
            rhythm: Rhythm::default(),
            chroma: Vec::new(),
            separator: Separator::default(),
        }
    }

    /// Analyses a clip held in memory. `hint` is a file extension or a MIME type, if known; wrong ones do no harm.
    pub fn analyze_bytes(&mut self, clip: Vec<u8>, hint: Option<&str>, limits: &Limits) -> Result<Analysis, AnalyzeError> {
        decode::decode_bytes(clip, hint, limits, &mut self.sound)?;
        self.analyze_sound(limits)
    }

    /// Analyses the head of a file of any length in bounded memory.
    pub fn analyze_reader(
        &mut self,
        source: Box<dyn MediaSource>,
        hint: Option<&str>,
        limits: &Limits,
    ) -> Result<Analysis, AnalyzeError> {
        decode::decode(source, hint, limits, &mut self.sound)?;
        self.analyze_sound(limits)
    }

    /// Analyses mono samples at `rate` Hz.
    pub fn analyze_pcm(&mut self, mono: &[f32], rate: u32, limits: &Limits) -> Result<Analysis, AnalyzeError> {
        decode::take_pcm(mono, rate, limits, &mut self.sound)?;
        self.analyze_sound(limits)
    }

    /// The last clip analysed, for the eye.
    pub fn portrait(&self) -> Portrait {
        Portrait::of(&self.samples, &self.spectrogram, &self.rhythm, &self.chroma)
    }

    fn analyze_sound(&mut self, limits: &Limits) -> Result<Analysis, AnalyzeError> {
        limits.check()?;
        self.resampler.process(&self.sound.mono, self.sound.rate, &mut self.samples);
        let seconds = |samples: usize| samples as f64 / f64::from(ANALYSIS_RATE);
        if self.samples.len() < WINDOW {
            return Err(AnalyzeError::TooShort { found_s: seconds(self.samples.len()), expected_s: seconds(WINDOW) });
        }
        limits.check()?;
        self.stft.analyze(&self.samples, &mut self.spectrogram);
        limits.check()?;
        let mut analysis = Analysis {
            duration_s: seconds(self.samples.len()),
            sample_rate: self.sound.rate,
            channels: self.sound.channels as u32,
            energy: Some(level::mean(&level::rms_frames(&self.samples))),
            zero_crossing_rate: Some(level::zero_crossing_rate(&self.samples)),
            loudness_lufs: self.sound.loudness.integrated(),
            loudness_range_lu: self.sound.loudness.range(),
            ..Analysis::default()
        };
        self.add_spectral(&mut analysis);
        limits.check()?;
        self.add_rhythm(&mut analysis);
        limits.check()?;
        self.add_separation(&mut analysis);
        analysis.danceability =
            danceability(analysis.bpm, analysis.energy, analysis.zero_crossing_rate, analysis.beat_regularity);
        Ok(analysis)
    }

    fn add_spectral(&mut self, analysis: &mut Analysis) {
        let shape = spectral::mean_shape(&self.spectrogram);
        analysis.spectral_centroid = Some(shape.centroid);
        analysis.spectral_bandwidth = Some(shape.bandwidth);
        analysis.spectral_rolloff = Some(shape.rolloff);
        analysis.spectral_flatness = Some(shape.flatness.clamp(0.0, 1.0));
        analysis.spectral_contrast = contrast::mean_contrast(&self.spectrogram);
        self.mel_bank.apply(&self.spectrogram, &mut self.mel);
        analysis.mfcc = self.mel_bank.mean_mfcc(&self.mel);
        let tuning = chroma::tuning(&self.spectrogram);
        self.chroma = chroma::chroma_frames(&self.spectrogram, tuning);
        analysis.chroma = chroma::mean_chroma(&self.chroma);
        if let Some(key) = key::estimate(&self.spectrogram) {
            analysis.key = Some(key.tonic);
            analysis.mode = Some(key.mode);
            analysis.key_strength = Some(key.strength);
        }
    }

    fn add_rhythm(&mut self, analysis: &mut Analysis) {
        let onset = onset::median_onset_strength(&self.mel);
        analysis.bpm_reference = self.reference_tempo.estimate(&onset);
        self.rhythm = self.tempo.estimate(&self.mel);
        analysis.bpm = self.rhythm.bpm;
        analysis.bpm_confidence = self.rhythm.confidence;
        analysis.beat_regularity = self.rhythm.regularity;
        analysis.onset_rate = Some(self.rhythm.onsets.len() as f64 / analysis.duration_s);
    }

    fn add_separation(&mut self, analysis: &mut Analysis) {
        let parts = self.separator.separate(&self.samples, &self.spectrogram, &mut self.stft);
        if let Some((harmonic, percussive)) = parts.ratios() {
            analysis.harmonic_ratio = Some(harmonic);
            analysis.percussive_ratio = Some(percussive);
        }
    }
}
