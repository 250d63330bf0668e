//! Spectral contrast (Jiang 2002): how far peaks stand above valleys in seven octave bands, mean over frames.

use super::stft::{BINS, Spectrogram, bin_hz};

/// Upper edge of the lowest band; each further band is an octave, the last one open.
const LOWEST_HZ: f64 = 200.0;
const BANDS: usize = 7;
/// Part of a band's bins that make its peak and its valley.
const QUANTILE: f64 = 0.02;
const DYNAMIC_RANGE_DB: f64 = 80.0;
const LEAST: f64 = 1e-10;

struct Band {
    bins: std::ops::Range<usize>,
    extremes: usize,
}

/// Decibels of contrast per band.
pub(super) fn mean_contrast(spectrogram: &Spectrogram) -> Vec<f64> {
    let bands: Vec<Band> = (0..BANDS).map(band).collect();
    let most = bands.iter().map(|band| band.extremes).max().unwrap_or(1);
    let mut extremes = Extremes::new(most);
    // Peak and valley of every band and frame: the floor in decibels depends on the greatest of all.
    let mut cells = Vec::with_capacity(spectrogram.frames() * BANDS);
    for power in spectrogram.power_frames() {
        cells.extend(bands.iter().map(|band| extremes.of(&power[band.bins.clone()], band.extremes)));
    }
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
    let extremes = (QUANTILE * (end - first) as f64).round_ties_even().max(1.0) as usize;
    Band { bins: first..if last_band { end } else { end - 1 }, extremes }
}

/// Finds the few greatest and least values of a band without sorting it.
struct Extremes {
    greatest: Vec<f32>,
    least: Vec<f32>,
}

impl Extremes {
    fn new(most: usize) -> Self {
        Extremes { greatest: Vec::with_capacity(most + 1), least: Vec::with_capacity(most + 1) }
    }

    /// Mean magnitude of the `count` greatest and of the `count` least powers.
    fn of(&mut self, power: &[f32], count: usize) -> (f64, f64) {
        self.greatest.clear();
        self.greatest.resize(count, -1.0);
        self.least.clear();
        self.least.resize(count, f32::INFINITY);
        let (mut gate_up, mut gate_down) = (-1.0, f32::INFINITY);
        for eight in power.chunks(8) {
            let top = eight.iter().copied().fold(-1.0, f32::max);
            let bottom = eight.iter().copied().fold(f32::INFINITY, f32::min);
            if top > gate_up {
                eight.iter().for_each(|&x| insert(&mut self.greatest, x, |new, old| new > old));
                gate_up = self.greatest[count - 1];
            }
            if bottom < gate_down {
                eight.iter().for_each(|&x| insert(&mut self.least, x, |new, old| new < old));
                gate_down = self.least[count - 1];
            }
        }
        (mean_root(&self.greatest), mean_root(&self.least))
    }
}

/// Puts `x` into its place in a list kept in order, the last one falling out.
#[inline(always)]
fn insert(list: &mut [f32], x: f32, before: impl Fn(f32, f32) -> bool) {
    let mut at = list.len();
    while at > 0 && before(x, list[at - 1]) {
        at -= 1;
    }
    if at < list.len() {
        list[at..].rotate_right(1);
        list[at] = x;
    }
}

fn mean_root(powers: &[f32]) -> f64 {
    let counted: Vec<f64> = powers.iter().filter(|x| x.is_finite() && **x >= 0.0).map(|&x| f64::from(x).sqrt()).collect();
    if counted.is_empty() { 0.0 } else { counted.iter().sum::<f64>() / counted.len() as f64 }
}
