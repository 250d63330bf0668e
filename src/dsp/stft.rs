//! The short-time Fourier transform that everything spectral shares, and its inverse.
//!
//! As the reference's: 2048 samples, hop 512, periodic Hann window, centred with zeros beyond both ends, no scaling; in double
//! precision, and kept in single. In single precision the bass of a clip leaves its rounding noise at the mirror image near the
//! Nyquist frequency, where after resampling there is nothing else: the contrast of the top band would be that of the noise.

use std::f64::consts::PI;
use std::sync::Arc;

use realfft::num_complex::{Complex32, Complex64};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::simd::{Lanes, widest};

/// Samples under one window.
pub(super) const WINDOW: usize = 2_048;
/// Samples from one frame to the next.
pub(super) const HOP: usize = 512;
/// Frequency bins of one frame.
pub(super) const BINS: usize = WINDOW / 2 + 1;
/// Frames a second.
pub(super) const FRAME_RATE: f64 = super::resample::ANALYSIS_RATE as f64 / HOP as f64;

/// Hz of a frequency bin.
pub(super) fn bin_hz(bin: usize) -> f64 {
    bin as f64 * f64::from(super::resample::ANALYSIS_RATE) / WINDOW as f64
}

/// The complex spectrum of a clip and its power, frame after frame, [`BINS`] values each.
#[derive(Debug, Default)]
pub(super) struct Spectrogram {
    pub spectrum: Vec<Complex32>,
    pub power: Vec<f32>,
}

impl Spectrogram {
    pub(super) fn frames(&self) -> usize {
        self.power.len() / BINS
    }

    pub(super) fn power_frames(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.power.chunks_exact(BINS)
    }
}

/// FFT plans, window and scratch space.
pub(super) struct Stft {
    forward: Forward,
    inverse: Arc<dyn ComplexToReal<f32>>,
    window: Vec<f32>,
    frame: Vec<f32>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

struct Forward {
    plan: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    frame: Vec<f64>,
    bins: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

impl Stft {
    pub(super) fn new() -> Self {
        let plan = RealFftPlanner::new().plan_fft_forward(WINDOW);
        let inverse = RealFftPlanner::new().plan_fft_inverse(WINDOW);
        let window = periodic_hann(WINDOW);
        Stft {
            window: window.iter().map(|w| *w as f32).collect(),
            frame: inverse.make_output_vec(),
            bins: inverse.make_input_vec(),
            scratch: inverse.make_scratch_vec(),
            inverse,
            forward: Forward {
                window,
                frame: plan.make_input_vec(),
                bins: plan.make_output_vec(),
                scratch: plan.make_scratch_vec(),
                plan,
            },
        }
    }

    /// Transforms `samples` into `out`, replacing what was there.
    pub(super) fn analyze(&mut self, samples: &[f32], out: &mut Spectrogram) {
        let frames = 1 + samples.len() / HOP;
        out.spectrum.resize(frames * BINS, Complex32::default());
        out.power.resize(frames * BINS, 0.0);
        let Forward { plan, window, frame, bins, scratch } = &mut self.forward;
        let rows = out.spectrum.chunks_exact_mut(BINS).zip(out.power.chunks_exact_mut(BINS));
        for (t, (spectrum, power)) in rows.enumerate() {
            windowed(samples, t, window, frame);
            // Cannot fail: all lengths are the plan's.
            let _ = plan.process_with_scratch(frame, bins, scratch);
            widest(Single { bins, spectrum, power });
        }
    }

    /// Inverse transform by overlap-add. `masked(t, bins)` fills in the spectrum of frame `t`, frame after frame;
    /// `finished(at, samples)` takes the [`HOP`] samples from `at` on as soon as no later frame adds to them.
    pub(super) fn synthesize(
        &mut self,
        frames: usize,
        mut masked: impl FnMut(usize, &mut [Complex32]),
        mut finished: impl FnMut(usize, &[f32]),
    ) {
        const OVERLAP: usize = WINDOW / HOP;
        // An inverse transform is unscaled, too.
        let window: Vec<f32> = self.window.iter().map(|w| w / WINDOW as f32).collect();
        let inside = self.factors(OVERLAP, frames.max(2 * OVERLAP));
        let mut sum = vec![0.0; WINDOW];
        for block in 0..frames + OVERLAP - 1 {
            if block < frames {
                masked(block, &mut self.bins);
                self.bins[0].im = 0.0;
                self.bins[BINS - 1].im = 0.0;
                let _ = self.inverse.process_with_scratch(&mut self.bins, &mut self.frame, &mut self.scratch);
                widest(OverlapAdd { frame: &self.frame, window: &window, out: &mut sum });
            }
            let at_an_end = block < OVERLAP || block + OVERLAP > frames;
            let ends = if at_an_end { self.factors(block, frames) } else { Vec::new() };
            for (y, factor) in sum.iter_mut().zip(if at_an_end { &ends } else { &inside }) {
                *y *= factor;
            }
            // The first half window lies before the first sample.
            if let Some(index) = block.checked_sub(OVERLAP / 2) {
                finished(index * HOP, &sum[..HOP]);
            }
            sum.copy_within(HOP.., 0);
            sum[WINDOW - HOP..].fill(0.0);
        }
    }

    /// One over the sum of the squared windows at each sample of a block: constant but at the ends.
    fn factors(&self, block: usize, frames: usize) -> Vec<f32> {
        // Block `b` lies under the frames `b - 3 ..= b` that exist, at offsets of whole hops.
        let offsets = (0..WINDOW / HOP).filter(|back| *back <= block && block - back < frames);
        let parts: Vec<&[f32]> = offsets.map(|back| &self.window[back * HOP..(back + 1) * HOP]).collect();
        let sums = (0..HOP).map(|i| parts.iter().map(|part| part[i] * part[i]).sum::<f32>());
        sums.map(|sum| if sum > f32::MIN_POSITIVE { 1.0 / sum } else { 1.0 }).collect()
    }
}

/// A spectrum in single precision, and its power.
struct Single<'a> {
    bins: &'a [Complex64],
    spectrum: &'a mut [Complex32],
    power: &'a mut [f32],
}

impl Lanes for Single<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((power, single), bin) in self.power.iter_mut().zip(self.spectrum).zip(self.bins) {
            *single = Complex32::new(bin.re as f32, bin.im as f32);
            *power = single.re * single.re + single.im * single.im;
        }
    }
}

struct OverlapAdd<'a> {
    frame: &'a [f32],
    window: &'a [f32],
    out: &'a mut [f32],
}

impl Lanes for OverlapAdd<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((y, x), w) in self.out.iter_mut().zip(self.frame).zip(self.window) {
            *y += x * w;
        }
    }
}

/// Frame `t` of `samples` under the window; zeros beyond the ends.
fn windowed(samples: &[f32], t: usize, window: &[f64], frame: &mut [f64]) {
    let start = t * HOP;
    let before = (WINDOW / 2).saturating_sub(start);
    let from = (start + before - WINDOW / 2).min(samples.len());
    let count = (WINDOW - before).min(samples.len() - from);
    frame[..before].fill(0.0);
    let inside = frame[before..before + count].iter_mut().zip(&samples[from..from + count]).zip(&window[before..]);
    for ((to, x), w) in inside {
        *to = f64::from(*x) * w;
    }
    frame[before + count..].fill(0.0);
}

/// Hann window of `len` samples whose period is `len`.
pub(super) fn periodic_hann(len: usize) -> Vec<f64> {
    (0..len).map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / len as f64).cos()).collect()
}
