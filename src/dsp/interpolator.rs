//! The reference's last stage for rates that are no factor of two away: samples between samples, by a short Kaiser-windowed sinc.
//!
//! It shows in two ways. Its pass band droops, by 3e-4 of the sound as a whole. And it starts with the first sample that the low-pass
//! filter makes at or after the beginning, as if there had been silence before: where sound begins at once, the ringing before it is
//! missing in the first few samples. Of a clip at a low rate, whose upper half is empty, those are most of the flatness.

use std::f64::consts::TAU;

use super::lowpass::{Stages, TAPS_BESIDE_ANOTHER, windowed_sinc};
use super::resample::ANALYSIS_RATE;

/// Measured of the reference, within 2e-5 of its response: the shape of the window, and the cut-off frequency for a sound that
/// reaches to 0 Hz and how it moves with the sound's highest frequency. Frequencies are relative to the Nyquist frequency of the
/// samples that come in.
const BETA: f64 = 14.058_7;
const CUTOFF: f64 = 0.856_116;
const CUTOFF_PER_EDGE: f64 = 0.105_628;
/// Steps of the integral in a sample: the kernel has no frequencies beyond.
const STEPS: i32 = 8;

/// See the module. Times are in the samples that come in.
pub(super) struct Interpolator {
    cutoff: f64,
    /// Half the kernel's length.
    width: f64,
    norm: f64,
    /// Samples that come in for one of the clip, and for one that goes out.
    scale: f64,
    step: f64,
    /// The kernel from its middle on, of which it has one half, [`STEPS`] to a sample.
    curve: Vec<f64>,
}

impl Interpolator {
    /// For a clip of `rate`; `None` where the reference does not end with this stage.
    pub(super) fn of(rate: u32, stages: &Stages) -> Option<Interpolator> {
        let Stages { scale, step, .. } = *stages;
        let ratio = f64::from(rate) / f64::from(ANALYSIS_RATE);
        // Between 1.5 and 2 it interpolates first.
        if !stages.interpolates() || (1.5..2.0).contains(&ratio) {
            return None;
        }
        let edge = f64::from(rate.min(ANALYSIS_RATE)) / (f64::from(rate) * scale);
        let cutoff = CUTOFF + CUTOFF_PER_EDGE * edge;
        // The images of the sound begin at 2 - edge.
        let taps = (TAPS_BESIDE_ANOTHER / (2.0 - edge - cutoff)).ceil();
        let width = if ratio < 1.0 { taps / 2.0 } else { (taps / 2.0).ceil() };
        let mut interpolator = Interpolator { cutoff, width, norm: 1.0, scale, step, curve: Vec::new() };
        let reach = width.ceil() as i32;
        interpolator.norm = (-reach..=reach).map(|time| interpolator.at(f64::from(time))).sum::<f64>().recip();
        // The middle belongs to both halves.
        let share = |n| if n == 0 { 0.5 } else { 1.0 };
        interpolator.curve = (0..reach * STEPS).map(|n| share(n) * interpolator.at(f64::from(n) / f64::from(STEPS))).collect();
        Some(interpolator)
    }

    fn at(&self, time: f64) -> f64 {
        self.norm * windowed_sinc(time, self.cutoff, BETA, self.width)
    }

    /// The gain at a frequency in cycles per sample of the clip.
    pub(super) fn gain(&self, frequency: f64) -> f64 {
        let turn = TAU * frequency / (self.scale * f64::from(STEPS));
        let half: f64 = self.curve.iter().zip(0..).map(|(height, n)| height * (turn * f64::from(n)).cos()).sum();
        2.0 * half / f64::from(STEPS)
    }

    /// Takes from the first samples of `output` what comes from before the beginning. `before` is the filtered sound at a time, in
    /// samples of the clip.
    pub(super) fn cut_head(&self, before: impl Fn(f64) -> f64, output: &mut [f32]) {
        let ringing: Vec<f64> = (1..=self.width as usize).map(|back| before(-(back as f64) / self.scale)).collect();
        for (n, sample) in output.iter_mut().enumerate() {
            let time = n as f64 * self.step;
            if time >= self.width {
                break;
            }
            let missing = ringing.iter().zip(1..).map(|(ringing, back)| ringing * self.at(time + f64::from(back)));
            *sample -= missing.sum::<f64>() as f32;
        }
    }
}
