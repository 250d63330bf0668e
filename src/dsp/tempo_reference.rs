//! The tempo that librosa's `beat_track` answers, reproduced step by step for comparison with existing data.
//!
//! It lies on a grid of 4 to 5 % and halves fast music: see [`super::tempo`] for our own estimate. Method: Ellis 2007, "Beat
//! tracking by dynamic programming", as in librosa 0.10: onset strength by the median over mel bands, the mean of normalised
//! local autocorrelations of 8 s, a log-normal prior around 120 BPM.

use std::sync::Arc;

use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::stft::{FRAME_RATE, periodic_hann};

/// Frames of the autocorrelation window: 8 s.
const WINDOW: usize = 344;
/// At least `2 * WINDOW - 1`, and a fast size.
const FFT: usize = 720;
const PRIOR_BPM: f64 = 120.0;
const MAX_BPM: f64 = 320.0;

/// FFT plans and buffers for the tempogram.
pub(super) struct ReferenceTempo {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    window: Vec<f64>,
    frame: Vec<f64>,
    spectrum: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

impl ReferenceTempo {
    pub(super) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(FFT), planner.plan_fft_inverse(FFT));
        let scratch_len = forward.get_scratch_len().max(inverse.get_scratch_len());
        ReferenceTempo {
            window: periodic_hann(WINDOW),
            frame: vec![0.0; FFT],
            spectrum: vec![Complex64::default(); FFT / 2 + 1],
            scratch: vec![Complex64::default(); scratch_len],
            forward,
            inverse,
        }
    }

    /// BPM, or `None` where the reference answers 0: no onset anywhere.
    pub(super) fn estimate(&mut self, onset: &[f32]) -> Option<f64> {
        if onset.iter().all(|&strength| strength == 0.0) {
            return None;
        }
        let correlation = self.mean_autocorrelation(onset);
        let first = (1..WINDOW).find(|&lag| lag_bpm(lag) < MAX_BPM)?;
        let mut best: Option<(usize, f64)> = None;
        for (lag, &strength) in correlation.iter().enumerate().take(WINDOW).skip(first) {
            let octaves = lag_bpm(lag).log2() - PRIOR_BPM.log2();
            let score = (1e6 * strength).ln_1p() - 0.5 * octaves * octaves;
            if best.is_none_or(|(_, top)| score > top) {
                best = Some((lag, score));
            }
        }
        best.map(|(lag, _)| lag_bpm(lag))
    }

    /// Mean over frames of the autocorrelation of the windowed neighbourhood, each normalised by its value at lag 0.
    ///
    /// Means of power spectra instead of means of autocorrelations: one inverse transform for the clip, not one a frame.
    fn mean_autocorrelation(&mut self, onset: &[f32]) -> Vec<f64> {
        let padded = ramp_padded(onset);
        let mut mean_power = vec![0.0; self.spectrum.len()];
        for neighbourhood in padded.windows(WINDOW).take(onset.len()) {
            let mut energy = 0.0;
            for ((cell, &x), w) in self.frame.iter_mut().zip(neighbourhood).zip(&self.window) {
                *cell = f64::from(x) * w;
                energy += *cell * *cell;
            }
            if energy < f64::from(f32::MIN_POSITIVE) {
                continue;
            }
            self.frame[WINDOW..].fill(0.0);
            let scratch = &mut self.scratch[..self.forward.get_scratch_len()];
            let _ = self.forward.process_with_scratch(&mut self.frame, &mut self.spectrum, scratch);
            let scale = 1.0 / energy;
            for (sum, bin) in mean_power.iter_mut().zip(&self.spectrum) {
                *sum += bin.norm_sqr() * scale;
            }
        }
        let scale = 1.0 / (FFT * onset.len().max(1)) as f64;
        for (bin, power) in self.spectrum.iter_mut().zip(&mean_power) {
            *bin = Complex64::new(power * scale, 0.0);
        }
        let scratch = &mut self.scratch[..self.inverse.get_scratch_len()];
        let _ = self.inverse.process_with_scratch(&mut self.spectrum, &mut self.frame, scratch);
        self.frame[..WINDOW].to_vec()
    }
}

fn lag_bpm(lag: usize) -> f64 {
    60.0 * FRAME_RATE / lag as f64
}

/// Half a window on each side, falling linearly from the edge to zero.
fn ramp_padded(onset: &[f32]) -> Vec<f32> {
    let half = WINDOW / 2;
    let first = onset.first().copied().unwrap_or(0.0);
    let last = onset.last().copied().unwrap_or(0.0);
    let ramp = |edge: f32, away: usize| edge * (half - away) as f32 / half as f32;
    let head = (1..=half).rev().map(|away| ramp(first, away));
    let tail = (1..=half).map(|away| ramp(last, away));
    head.chain(onset.iter().copied()).chain(tail).collect()
}
