//! Spectral whitening: how strong a peak is beside its surroundings instead of by itself.
//!
//! The envelope of a spectrum is known every 100 Hz as the power-weighted mean power around there, the nearer bins counting
//! more, and is linear in decibels between. A peak above the envelope counts fully, one below by its distance (after Röbel and
//! Rodet 2005, with the constants of Essentia's `SpectralWhitening`).

use std::f64::consts::LN_10;

use super::simd::{Lanes, widest};
use super::stft::{BINS, bin_hz};

/// Hz from one point of the envelope to the next.
const RESOLUTION_HZ: f64 = 100.0;
/// The envelope goes on this much beyond the highest peak.
const MARGIN: f64 = 1.2;
/// A point takes in what lies this part of its own frequency below and above it, 50 Hz at least.
const REACH_BELOW: f64 = 0.34;
const REACH_ABOVE: f64 = 0.58;
const LEAST_REACH_HZ: f64 = 50.0;
/// What is this much fainter than the envelope (30 dB) is nothing.
const LEAST_RATIO: f64 = 1e-3;
/// How fast all peaks fall with frequency: 20 dB in 4 kHz, as the natural logarithm of power a Hz.
const TILT: f64 = -LN_10 * 2.0 / 4_000.0;

/// The envelope of one frame at a time.
pub(super) struct Envelope {
    points: Vec<Point>,
    /// Natural logarithms of the envelope's power at the points.
    levels: Vec<f64>,
}

/// The bins around a point of the envelope, and what each counts.
struct Point {
    first: usize,
    weights: Vec<f32>,
}

impl Envelope {
    /// For peaks up to `highest_hz`.
    pub(super) fn new(highest_hz: f64) -> Self {
        let last = (highest_hz * MARGIN / RESOLUTION_HZ).floor() as usize;
        let points: Vec<Point> = (0..=last).map(|point| Point::at(point as f64 * RESOLUTION_HZ)).collect();
        Envelope { levels: vec![0.0; points.len()], points }
    }

    /// Takes the envelope of a frame.
    pub(super) fn fit(&mut self, power: &[f32]) {
        widest(MeanPowers { points: &self.points, power, means: &mut self.levels });
        for level in &mut self.levels {
            *level = level.max(f64::MIN_POSITIVE).ln();
        }
        if let [.., before_last, last] = self.levels.as_mut_slice() {
            *last = *before_last;
        }
    }

    /// The power of a peak when its surroundings are levelled: 1 or less.
    pub(super) fn whiten(&self, hz: f64, power: f64) -> f64 {
        let place = (hz / RESOLUTION_HZ).max(0.0);
        let at = (place as usize).min(self.levels.len().saturating_sub(2));
        let &[left, right] = self.levels.get(at..at + 2).unwrap_or(&[0.0, 0.0]) else { return 0.0 };
        let ratio = power * f64::from((-(left + (right - left) * (place - at as f64)) as f32).exp());
        if ratio > LEAST_RATIO { ratio.min(1.0) * f64::from(((TILT * hz) as f32).exp()) } else { 0.0 }
    }
}

struct MeanPowers<'a> {
    points: &'a [Point],
    power: &'a [f32],
    means: &'a mut [f64],
}

impl Lanes for MeanPowers<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (mean, point) in self.means.iter_mut().zip(self.points) {
            *mean = point.mean_power(self.power);
        }
    }
}

impl Point {
    fn at(hz: f64) -> Self {
        let bin = |hz: f64| (hz / bin_hz(1) + 0.5).max(0.0) as usize;
        let first = bin(hz - LEAST_REACH_HZ.max(REACH_BELOW * hz)).min(BINS - 1);
        let end = bin(hz + LEAST_REACH_HZ.max(REACH_ABOVE * hz)).clamp(first + 1, BINS);
        let (centre, half) = ((first + end) as f64 / 2.0, (end - first) as f64 / 2.0);
        let weights = (first..end).map(|bin| (1.0 - (bin as f64 - centre).abs() / half).powi(4) as f32).collect();
        Point { first, weights }
    }

    /// Mean of the power, each bin weighted by its nearness and its own power.
    #[inline(always)]
    fn mean_power(&self, power: &[f32]) -> f64 {
        const WIDTH: usize = 8;
        let (mut weight_sums, mut sums) = ([0.0f32; WIDTH], [0.0f32; WIDTH]);
        let (rows, rest) = power.get(self.first..).unwrap_or(&[]).as_chunks::<WIDTH>();
        let (weight_rows, weight_rest) = self.weights.as_chunks::<WIDTH>();
        for (row, weights) in rows.iter().zip(weight_rows) {
            for lane in 0..WIDTH {
                let weight = weights[lane] * row[lane];
                weight_sums[lane] += weight;
                sums[lane] += weight * row[lane];
            }
        }
        let tail = rows.get(weight_rows.len()).map_or(rest, |row| row.as_slice());
        for (lane, (&x, &weight)) in tail.iter().zip(weight_rest).enumerate() {
            weight_sums[lane] += weight * x;
            sums[lane] += weight * x * x;
        }
        let total = |sums: [f32; WIDTH]| sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
        let weight = total(weight_sums);
        if weight > 0.0 { total(sums) / weight } else { 0.0 }
    }
}
