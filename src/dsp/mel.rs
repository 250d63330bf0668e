//! Mel spectrogram in decibels and the cepstral coefficients from it.
//!
//! 128 triangular bands on Slaney's scale with area normalisation (Auditory Toolbox), 0 to 11025 Hz, as the reference's.

use std::f64::consts::PI;

use super::resample::ANALYSIS_RATE;
use super::simd::{Lanes, widest};
use super::stft::{BINS, Spectrogram, bin_hz};

/// Bands of the filter bank.
pub(super) const BANDS: usize = 128;
const COEFFICIENTS: usize = 20;
/// Everything below the clip's loudest cell by more than this counts as this.
const DYNAMIC_RANGE_DB: f32 = 80.0;
const LEAST_POWER: f32 = 1e-10;

/// Power of each band and its decibels, frame after frame, [`BANDS`] values each.
#[derive(Debug, Default)]
pub(super) struct MelSpectrogram {
    pub power: Vec<f32>,
    pub decibels: Vec<f32>,
}

impl MelSpectrogram {
    /// Decibels.
    pub(super) fn frames(&self) -> impl ExactSizeIterator<Item = &[f32; BANDS]> {
        self.decibels.as_chunks::<BANDS>().0.iter()
    }

    pub(super) fn power_frames(&self) -> impl ExactSizeIterator<Item = &[f32; BANDS]> {
        self.power.as_chunks::<BANDS>().0.iter()
    }
}

/// The filter bank, sparse: only some 2000 of 131 000 weights are not zero.
pub(super) struct MelBank {
    bands: Vec<(usize, Vec<f32>)>,
    /// Orthonormal DCT-II, one row a coefficient.
    dct: Vec<f64>,
}

impl MelBank {
    pub(super) fn new() -> Self {
        let top = hz_to_mel(f64::from(ANALYSIS_RATE) / 2.0);
        let edges: Vec<f64> = (0..BANDS + 2).map(|i| mel_to_hz(top * i as f64 / (BANDS + 1) as f64)).collect();
        let bands = edges.windows(3).map(|e| triangle(e[0], e[1], e[2])).collect();
        let dct = (0..COEFFICIENTS)
            .flat_map(|k| {
                let scale = if k == 0 { (1.0 / BANDS as f64).sqrt() } else { (2.0 / BANDS as f64).sqrt() };
                (0..BANDS).map(move |m| scale * (PI * k as f64 * (2 * m + 1) as f64 / (2 * BANDS) as f64).cos())
            })
            .collect();
        MelBank { bands, dct }
    }

    /// Fills `out` with the decibels of all frames, floored relative to the loudest.
    pub(super) fn apply(&self, spectrogram: &Spectrogram, out: &mut MelSpectrogram) {
        out.power.resize(spectrogram.frames() * BANDS, 0.0);
        out.decibels.resize(out.power.len(), 0.0);
        let loudest = widest(Collect { bands: &self.bands, spectrogram, out: &mut out.power });
        let floor = loudest * 10f32.powf(-DYNAMIC_RANGE_DB / 10.0);
        widest(ToDecibels { power: &mut out.power, least: floor.max(LEAST_POWER), decibels: &mut out.decibels });
    }

    /// Mean over frames of the cepstral coefficients. The transform is linear, so the mean may be taken first.
    pub(super) fn mean_mfcc(&self, mel: &MelSpectrogram) -> Vec<f64> {
        let mut sums = [0.0f64; BANDS];
        for frame in mel.frames() {
            for (sum, &decibels) in sums.iter_mut().zip(frame) {
                *sum += f64::from(decibels);
            }
        }
        let frames = mel.frames().len().max(1) as f64;
        self.dct.chunks_exact(BANDS).map(|row| row.iter().zip(&sums).map(|(c, s)| c * s).sum::<f64>() / frames).collect()
    }
}

/// Fills in the power of each band and returns the greatest.
struct Collect<'a> {
    bands: &'a [(usize, Vec<f32>)],
    spectrogram: &'a Spectrogram,
    out: &'a mut [f32],
}

impl Lanes for Collect<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let mut loudest = LEAST_POWER;
        for (power, row) in self.spectrogram.power_frames().zip(self.out.as_chunks_mut::<BANDS>().0) {
            for (cell, (first, weights)) in row.iter_mut().zip(self.bands) {
                *cell = dot(&power[*first..*first + weights.len()], weights).max(LEAST_POWER);
                loudest = if *cell > loudest { *cell } else { loudest };
            }
        }
        loudest
    }
}

/// Raises every power to the least, and takes the decibels.
struct ToDecibels<'a> {
    power: &'a mut [f32],
    least: f32,
    decibels: &'a mut [f32],
}

impl Lanes for ToDecibels<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (decibels, power) in self.decibels.iter_mut().zip(self.power) {
            *power = if *power > self.least { *power } else { self.least };
            *decibels = decibels_of(*power);
        }
    }
}

/// `10 log10(x)` of a positive normal number, to a unit or two in the last place. The library's logarithm does not vectorise.
#[inline(always)]
fn decibels_of(x: f32) -> f32 {
    const OCTAVE_DB: f32 = 3.010_3;
    const NEPER_DB: f32 = 4.342_944_8;
    // Mantissa between sqrt(1/2) and sqrt(2): the logarithm of what is near 1 is a short series in (m - 1) / (m + 1).
    let bits = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let exponent = (bits as i32) >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((exponent << 23) as u32));
    let t = (m - 1.0) / (m + 1.0);
    let s = t * t;
    let series = t * (2.0 + s * (2.0 / 3.0 + s * (2.0 / 5.0 + s * (2.0 / 7.0 + s * (2.0 / 9.0)))));
    exponent as f32 * OCTAVE_DB + series * NEPER_DB
}

#[inline(always)]
fn dot(power: &[f32], weights: &[f32]) -> f32 {
    let (power_fours, power_rest) = power.as_chunks::<4>();
    let (weight_fours, weight_rest) = weights.as_chunks::<4>();
    let mut sums = [0.0f32; 4];
    for (p, w) in power_fours.iter().zip(weight_fours) {
        for lane in 0..4 {
            sums[lane] += p[lane] * w[lane];
        }
    }
    sums.iter().sum::<f32>() + power_rest.iter().zip(weight_rest).map(|(p, w)| p * w).sum::<f32>()
}

fn triangle(low: f64, centre: f64, high: f64) -> (usize, Vec<f32>) {
    let area = 2.0 / (high - low);
    let weight = |bin: usize| {
        let hz = bin_hz(bin);
        (area * ((hz - low) / (centre - low)).min((high - hz) / (high - centre)).max(0.0)) as f32
    };
    let first = (0..BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
    (first, (first..BINS).map(weight).take_while(|&w| w > 0.0).collect())
}

fn hz_to_mel(hz: f64) -> f64 {
    if hz < 1_000.0 { hz * 3.0 / 200.0 } else { 15.0 + 27.0 * (hz / 1_000.0).ln() / 6.4f64.ln() }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1_000.0 * (6.4f64.ln() * (mel - 15.0) / 27.0).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_are_those_of_the_library() {
        for i in 0..100_000u32 {
            let x = f32::from_bits(1e-10f32.to_bits() + i * 9_000);
            let exact = 10.0 * f64::from(x).log10();
            assert!((f64::from(decibels_of(x)) - exact).abs() <= 5e-6 + 2e-7 * exact.abs(), "{x}");
        }
    }
}
