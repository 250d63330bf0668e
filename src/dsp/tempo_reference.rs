//! The tempo that librosa's `beat_track` answers, reproduced step by step for comparison with existing data.
//!
//! It lies on a grid of 4 to 5 % and halves fast music: see [`super::tempo`] for our own estimate. Method: Ellis 2007, "Beat
//! tracking by dynamic programming", as in librosa 0.10: onset strength by the median over mel bands, the mean of normalised
//! local autocorrelations of 8 s, a log-normal prior around 120 BPM.

use std::sync::Arc;

use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner};
use rustfft::{Fft, FftPlanner};

use super::simd::{Lanes, widest};
use super::stft::{FRAME_RATE, periodic_hann};

/// Frames of the autocorrelation window: 8 s.
const WINDOW: usize = 344;
/// At least `2 * WINDOW - 1`, and a fast size.
const FFT: usize = 720;
const PRIOR_BPM: f64 = 120.0;
const MAX_BPM: f64 = 320.0;

/// FFT plans and buffers for the tempogram.
pub(super) struct ReferenceTempo {
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    window: Vec<f64>,
    pair: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

impl ReferenceTempo {
    pub(super) fn new() -> Self {
        let forward = FftPlanner::new().plan_fft_forward(FFT);
        let inverse = RealFftPlanner::new().plan_fft_inverse(FFT);
        ReferenceTempo {
            window: periodic_hann(WINDOW),
            pair: vec![Complex64::default(); FFT],
            scratch: vec![Complex64::default(); forward.get_inplace_scratch_len()],
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
    /// Means of power spectra instead of means of autocorrelations: one inverse transform for the clip, not one a frame. Two
    /// frames go through each transform, the second as the imaginary part: a bin's power and its mirror's add up to those of
    /// both frames.
    fn mean_autocorrelation(&mut self, onset: &[f32]) -> Vec<f64> {
        let padded = ramp_padded(onset);
        let mut powers = vec![0.0; FFT];
        for t in (0..onset.len()).step_by(2) {
            let neighbourhoods = [t, t + 1].map(|t| if t < onset.len() { &padded[t..t + WINDOW] } else { &[] });
            widest(Pair { neighbourhoods, window: &self.window, out: &mut self.pair });
            self.forward.process_with_scratch(&mut self.pair, &mut self.scratch);
            widest(AddPowers { spectrum: &self.pair, powers: &mut powers });
        }
        let scale = 0.5 / (FFT * onset.len().max(1)) as f64;
        let mut mean = self.inverse.make_input_vec();
        for (k, bin) in mean.iter_mut().enumerate() {
            *bin = Complex64::new((powers[k] + powers[(FFT - k) % FFT]) * scale, 0.0);
        }
        let mut correlation = self.inverse.make_output_vec();
        // Cannot fail: the buffers are the plan's own.
        let _ = self.inverse.process(&mut mean, &mut correlation);
        correlation.truncate(WINDOW);
        correlation
    }
}

/// Two neighbourhoods under the window, each brought to an energy of 1, as the parts of complex numbers.
struct Pair<'a> {
    neighbourhoods: [&'a [f32]; 2],
    window: &'a [f64],
    out: &'a mut [Complex64],
}

impl Lanes for Pair<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [first, second] = self.neighbourhoods.map(|x| under_window(x, self.window));
        for ((cell, x), y) in self.out.iter_mut().zip(first).zip(second) {
            *cell = Complex64::new(x, y);
        }
        self.out[WINDOW..].fill(Complex64::default());
    }
}

#[inline(always)]
fn under_window(x: &[f32], window: &[f64]) -> [f64; WINDOW] {
    const WIDTH: usize = 4;
    let mut weighted = [0.0; WINDOW];
    for ((to, &x), w) in weighted.iter_mut().zip(x).zip(window) {
        *to = f64::from(x) * w;
    }
    let mut energies = [0.0; WIDTH];
    for four in weighted.as_chunks::<WIDTH>().0 {
        for lane in 0..WIDTH {
            energies[lane] += four[lane] * four[lane];
        }
    }
    let energy: f64 = energies.iter().sum();
    let factor = if energy < f64::from(f32::MIN_POSITIVE) { 0.0 } else { 1.0 / energy.sqrt() };
    for x in &mut weighted {
        *x *= factor;
    }
    weighted
}

struct AddPowers<'a> {
    spectrum: &'a [Complex64],
    powers: &'a mut [f64],
}

impl Lanes for AddPowers<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (power, bin) in self.powers.iter_mut().zip(self.spectrum) {
            *power += bin.re * bin.re + bin.im * bin.im;
        }
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
