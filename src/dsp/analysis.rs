//! What is measured of one clip.

use serde::Serialize;

/// Every feature of a clip. `None` is undefined for this clip (silence has no tempo), not zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Analysis {
    /// Seconds of sound analysed.
    pub duration_s: f64,
    /// Sample rate of the clip itself, Hz.
    pub sample_rate: u32,
    /// Channels of the clip itself.
    pub channels: u32,
    /// Best estimate of the tempo, beats per minute, 45 to 249.
    pub bpm: Option<f64>,
    /// How sure that is, 0 to 1: the probability of this tempo among those that the clip allows, times how much of a pulse there is
    /// at all, which is 1 for music with a beat and 0 for a steady tone.
    pub bpm_confidence: Option<f64>,
    /// Tempo as librosa's `beat_track` answers, beats per minute.
    pub bpm_reference: Option<f64>,
    /// Mean over frames of the RMS amplitude, 0 to 1 (more only for clips decoded beyond full scale).
    pub energy: Option<f64>,
    /// Hz, mean over frames.
    pub spectral_centroid: Option<f64>,
    /// Crossings a sample, mean over frames, 0 to 1.
    pub zero_crossing_rate: Option<f64>,
    /// Harmonic energy over harmonic plus percussive, 0 to 1.
    pub harmonic_ratio: Option<f64>,
    /// Percussive energy over harmonic plus percussive, 0 to 1.
    pub percussive_ratio: Option<f64>,
    /// See [`danceability`](super::danceability), 0 to 1.
    pub danceability: Option<f64>,
    /// EBU R128 integrated loudness, LUFS.
    pub loudness_lufs: Option<f64>,
    /// EBU R128 loudness range, LU.
    pub loudness_range_lu: Option<f64>,
    /// Tonic, one of [`TONICS`](super::TONICS): `C`, `C#`, `D`, `Eb`, `E`, `F`, `F#`, `G`, `Ab`, `A`, `Bb` or `B`.
    pub key: Option<&'static str>,
    /// `major` or `minor`.
    pub mode: Option<&'static str>,
    /// How well the clip fits that key, 0 to 1.
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
