//! What a picture of a clip is drawn from.

use super::chroma::CLASSES;
use super::resample::ANALYSIS_RATE;
use super::stft::{FRAME_RATE, HOP, Spectrogram, bin_hz};
use super::tempo::Rhythm;

/// Rows of the log-frequency spectrogram, and its range.
const ROWS: usize = 160;
const LOWEST_HZ: f64 = 40.0;
const HIGHEST_HZ: f64 = 10_500.0;

/// A clip for the eye: everything a frame of 23 ms wide.
#[derive(Debug, Clone, PartialEq)]
pub struct Portrait {
    /// Seconds from one frame to the next.
    pub frame_s: f64,
    /// Least and greatest sample of each frame.
    pub waveform: Vec<(f32, f32)>,
    /// Decibels below the loudest cell, lowest frequency first; the rows are equally spaced in pitch.
    pub spectrogram: Vec<Vec<f32>>,
    /// Hz of the lowest and the highest row.
    pub frequency_range_hz: (f64, f64),
    /// Onset strength, in standard deviations.
    pub onset_strength: Vec<f64>,
    /// Seconds of the beats.
    pub beats_s: Vec<f64>,
    /// Pitch classes from C, 0 to 1.
    pub chroma: Vec<[f32; CLASSES]>,
}

impl Portrait {
    pub(super) fn of(samples: &[f32], spectrogram: &Spectrogram, rhythm: &Rhythm, chroma: &[[f32; CLASSES]]) -> Portrait {
        let top = loudest(spectrogram);
        let extremes = |block: &[f32]| block.iter().fold((0.0f32, 0.0f32), |(low, high), &x| (low.min(x), high.max(x)));
        Portrait {
            frame_s: 1.0 / FRAME_RATE,
            waveform: samples.chunks(HOP).map(extremes).collect(),
            spectrogram: spectrogram.power_frames().map(|power| rows(power, top)).collect(),
            frequency_range_hz: (LOWEST_HZ, HIGHEST_HZ),
            onset_strength: rhythm.strength.clone(),
            // A rise counts for the frame it ends in, whose window is centred on it.
            beats_s: rhythm.beats.iter().map(|&t| ((t + 1) * HOP) as f64 / f64::from(ANALYSIS_RATE)).collect(),
            chroma: chroma.to_vec(),
        }
    }
}

fn loudest(spectrogram: &Spectrogram) -> f32 {
    spectrogram.power.iter().copied().fold(1e-10, f32::max)
}

/// One frame in rows of equal pitch: the loudest bin within a row, or the nearest where rows are finer than bins.
fn rows(power: &[f32], loudest: f32) -> Vec<f32> {
    let edge = |row: f64| LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ).powf(row / ROWS as f64) / bin_hz(1);
    (0..ROWS)
        .map(|row| {
            let (low, high) = (edge(row as f64), edge((row + 1) as f64));
            let from = (low.round() as usize).min(power.len() - 1);
            let to = (high.round() as usize).clamp(from + 1, power.len());
            let top = power[from..to].iter().copied().fold(1e-20, f32::max);
            10.0 * (top / loudest).log10()
        })
        .collect()
}
