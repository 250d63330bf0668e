//! Spectral contrast (Jiang 2002): how far peaks stand above valleys in seven octave bands, mean over frames.

use super::simd::{Lanes, widest};
use super::stft::{BINS, Spectrogram, bin_hz};

/// Upper edge of the lowest band; each further band is an octave, the last one open.
const LOWEST_HZ: f64 = 200.0;
const BANDS: usize = 7;
/// Part of a band's bins that make its peak and its valley.
const QUANTILE: f64 = 0.02;
/// Bins that makes at most, in the last band.
const MOST: usize = 9;
const DYNAMIC_RANGE_DB: f64 = 80.0;
const LEAST: f64 = 1e-10;

struct Band {
    bins: std::ops::Range<usize>,
    extremes: usize,
}

/// Decibels of contrast per band.
pub(super) fn mean_contrast(spectrogram: &Spectrogram) -> Vec<f64> {
    let bands: Vec<Band> = (0..BANDS).map(band).collect();
    // Peak and valley of every band and frame: the floor in decibels depends on the greatest of all.
    let cells = widest(PeaksAndValleys { spectrogram, bands: &bands });
    let floor = |pick: fn(&(f64, f64)) -> f64| decibels(cells.iter().map(pick).fold(0.0, f64::max)) - DYNAMIC_RANGE_DB;
    let (peak_floor, valley_floor) = (floor(|cell| cell.0), floor(|cell| cell.1));
    let mut sums = [0.0; BANDS];
    for frame in cells.chunks_exact(BANDS) {
        for (sum, (peak, valley)) in sums.iter_mut().zip(frame) {
            *sum += decibels(*peak).max(peak_floor) - decibels(*valley).max(valley_floor);
        }
    }
    let frames = spectrogram.frames().max(1) as f64;
    sums.iter().map(|sum| sum / frames).collect()
}

fn decibels(magnitude: f64) -> f64 {
    10.0 * magnitude.max(LEAST).log10()
}

/// The bins of a band as the reference counts them: one below the lower edge joins, but the top one leaves again.
fn band(index: usize) -> Band {
    let edge = |i: usize| if i == 0 { 0.0 } else { LOWEST_HZ * 2f64.powi(i as i32 - 1) };
    let (low, high) = (edge(index), edge(index + 1));
    let first = (0..BINS).find(|&bin| bin_hz(bin) >= low).unwrap_or(0);
    let first = if index > 0 { first.saturating_sub(1) } else { first };
    let last_band = index + 1 == BANDS;
    let end = if last_band { BINS } else { (0..BINS).rfind(|&bin| bin_hz(bin) <= high).map_or(BINS, |bin| bin + 1) };
    let extremes = (QUANTILE * (end - first) as f64).round_ties_even().clamp(1.0, MOST as f64) as usize;
    Band { bins: first..if last_band { end } else { end - 1 }, extremes }
}

struct PeaksAndValleys<'a> {
    spectrogram: &'a Spectrogram,
    bands: &'a [Band],
}

impl Lanes for PeaksAndValleys<'_> {
    type Output = Vec<(f64, f64)>;

    #[inline(always)]
    fn run(self) -> Vec<(f64, f64)> {
        let mut cells = Vec::with_capacity(self.spectrogram.frames() * BANDS);
        for power in self.spectrogram.power_frames() {
            for band in self.bands {
                cells.push(extremes(&power[band.bins.clone()], band.extremes));
            }
        }
        cells
    }
}

/// Lanes that a band is dealt out to, bin after bin.
const WIDTH: usize = 8;

/// Mean magnitude of the `count` greatest and of the `count` least of a band's powers.
#[inline(always)]
fn extremes(power: &[f32], count: usize) -> (f64, f64) {
    // The capacity is a constant of the loop, so that its lists stay in registers.
    match count {
        1 => (mean_greatest::<1>(power, count, |x| x), mean_greatest::<1>(power, count, |x| -x)),
        2..=3 => (mean_greatest::<3>(power, count, |x| x), mean_greatest::<3>(power, count, |x| -x)),
        4..=6 => (mean_greatest::<6>(power, count, |x| x), mean_greatest::<6>(power, count, |x| -x)),
        _ => (mean_greatest::<MOST>(power, count, |x| x), mean_greatest::<MOST>(power, count, |x| -x)),
    }
}

/// Mean root of the `count <= N` powers that `sign` makes greatest. Each lane keeps its own `N` greatest in order by a chain of
/// maxima and minima; the greatest of all are among them.
#[inline(always)]
fn mean_greatest<const N: usize>(power: &[f32], count: usize, sign: impl Fn(f32) -> f32) -> f64 {
    let mut kept = [[f32::NEG_INFINITY; WIDTH]; N];
    let (rows, rest) = power.as_chunks::<WIDTH>();
    for row in rows {
        let mut falling = row.map(&sign);
        for level in &mut kept {
            for (best, x) in level.iter_mut().zip(&mut falling) {
                (*best, *x) = if *x > *best { (*x, *best) } else { (*best, *x) };
            }
        }
    }
    let mut greatest = [f32::NEG_INFINITY; N];
    let candidates = kept.as_flattened().iter().copied();
    for candidate in candidates.chain(rest.iter().map(|&x| sign(x))) {
        if candidate > greatest[N - 1] {
            let mut falling = candidate;
            for best in &mut greatest {
                (*best, falling) = if falling > *best { (falling, *best) } else { (*best, falling) };
            }
        }
    }
    let counted = greatest.iter().take(count).filter(|x| x.is_finite());
    let (sum, number) = counted.fold((0.0, 0.0), |(sum, number), &x| (sum + f64::from(x.abs()).sqrt(), number + 1.0));
    if number > 0.0 { sum / number } else { 0.0 }
}
