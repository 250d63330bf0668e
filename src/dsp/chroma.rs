//! Chroma: how much of each of the twelve pitch classes sounds, whatever the octave.
//!
//! As librosa's `chroma_stft`: the deviation of the tuning from A = 440 Hz is estimated from spectral peaks, then Gaussian
//! bumps in octave-wrapped semitones (Ellis 2007) collect the power of each frame, which is normalised to its strongest class.

use super::resample::ANALYSIS_RATE;
use super::simd::{Lanes, widest};
use super::stft::{BINS, Spectrogram, WINDOW, bin_hz};

/// Pitch classes of an octave.
pub(super) const CLASSES: usize = 12;
const A440_HZ: f64 = 440.0;
/// Only peaks in this range, and above this part of their frame's maximum, tell about the tuning.
const PEAK_RANGE_HZ: std::ops::Range<f64> = 150.0..4_000.0;
const PEAK_THRESHOLD: f32 = 0.1;
/// Steps of the tuning estimate in a semitone.
const TUNING_STEPS: usize = 100;

/// Weights of the octaves: a Gaussian around this octave of A = 27.5 Hz, this wide.
const CENTRE_OCTAVE: f64 = 5.0;
const OCTAVE_WIDTH: f64 = 2.0;

/// Pitch classes of every frame from C, each frame's strongest being 1; silent frames are 0.
pub(super) fn chroma_frames(spectrogram: &Spectrogram, tuning: f64) -> Vec<[f32; CLASSES]> {
    widest(Collect { filters: &interleaved(&filters(tuning)), spectrogram })
}

struct Collect<'a> {
    filters: &'a [[Weights; SUMS]],
    spectrogram: &'a Spectrogram,
}

impl Lanes for Collect<'_> {
    type Output = Vec<[f32; CLASSES]>;

    #[inline(always)]
    fn run(self) -> Vec<[f32; CLASSES]> {
        let mut frames = Vec::with_capacity(self.spectrogram.frames());
        for power in self.spectrogram.power_frames() {
            let raw = apply(self.filters, power);
            let top = raw.iter().copied().fold(0.0, f32::max);
            frames.push(if top < f32::MIN_POSITIVE { raw } else { raw.map(|x| x / top) });
        }
        frames
    }
}

/// The weights of a bin for all classes, with zeros up to whole registers.
const WIDTH: usize = 16;
type Weights = [f32; WIDTH];
/// Bins summed side by side, as a sum has to wait for itself.
const SUMS: usize = 4;

/// The weights in the order of use: bin by bin, with zeros up to whole groups.
fn interleaved(filters: &[Vec<f32>]) -> Vec<[Weights; SUMS]> {
    let weight = |class: usize, bin: usize| filters.get(class).and_then(|f| f.get(bin)).copied().unwrap_or(0.0);
    (0..BINS.div_ceil(SUMS))
        .map(|group| std::array::from_fn(|at| std::array::from_fn(|class| weight(class, group * SUMS + at))))
        .collect()
}

/// All twelve weighted sums in one pass over the frame.
#[inline(always)]
fn apply(filters: &[[Weights; SUMS]], power: &[f32]) -> [f32; CLASSES] {
    let [mut a, mut b, mut c, mut d] = [[0.0f32; WIDTH]; SUMS];
    let (groups, rest) = power.as_chunks::<SUMS>();
    let mut last = [0.0; SUMS];
    last.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
    for (weights, power) in filters.iter().zip(groups.iter().chain([&last])) {
        add_scaled(&mut a, &weights[0], power[0]);
        add_scaled(&mut b, &weights[1], power[1]);
        add_scaled(&mut c, &weights[2], power[2]);
        add_scaled(&mut d, &weights[3], power[3]);
    }
    std::array::from_fn(|class| (a[class] + b[class]) + (c[class] + d[class]))
}

#[inline(always)]
fn add_scaled(sums: &mut Weights, weights: &Weights, power: f32) {
    for lane in 0..WIDTH {
        sums[lane] += weights[lane] * power;
    }
}

/// Mean over frames.
pub(super) fn mean_chroma(frames: &[[f32; CLASSES]]) -> Vec<f64> {
    let count = frames.len().max(1) as f64;
    (0..CLASSES).map(|class| frames.iter().map(|frame| f64::from(frame[class])).sum::<f64>() / count).collect()
}

/// Deviation from A = 440 Hz in semitones, -0.5 to 0.5: the commonest among the stronger half of the spectral peaks.
pub(super) fn tuning(spectrogram: &Spectrogram) -> f64 {
    let mut peaks = Vec::new();
    for power in spectrogram.power_frames() {
        collect_peaks(power, &mut peaks);
    }
    if peaks.is_empty() {
        return 0.0;
    }
    let mut strengths: Vec<f32> = peaks.iter().map(|peak| peak.1).collect();
    let threshold = median(&mut strengths);
    let mut counts = [0u32; TUNING_STEPS];
    for (hz, _) in peaks.iter().filter(|peak| peak.1 >= threshold) {
        let semitones = 12.0 * (hz / (A440_HZ / 16.0)).log2();
        let fraction = semitones.rem_euclid(1.0);
        let residual = if fraction >= 0.5 { fraction - 1.0 } else { fraction };
        let step = ((residual + 0.5) * TUNING_STEPS as f64) as usize;
        counts[step.min(TUNING_STEPS - 1)] += 1;
    }
    let commonest = (0..TUNING_STEPS).rev().max_by_key(|&step| counts[step]).unwrap_or(0);
    commonest as f64 / TUNING_STEPS as f64 - 0.5
}

/// Frequency (by parabolic interpolation) and strength of each local maximum of a frame.
fn collect_peaks(power: &[f32], peaks: &mut Vec<(f64, f32)>) {
    let top = power.iter().copied().fold(0.0, f32::max);
    let threshold = PEAK_THRESHOLD * top;
    let first = (PEAK_RANGE_HZ.start / bin_hz(1)).ceil() as usize;
    let last = (PEAK_RANGE_HZ.end / bin_hz(1)).ceil() as usize;
    for (offset, around) in power[first - 1..last + 1].windows(3).enumerate() {
        let (before, here, after) = (around[0], around[1], around[2]);
        if here <= threshold || here <= before.max(gate(before, threshold)) || here < after {
            continue;
        }
        let (curve, slope) = (after + before - 2.0 * here, 0.5 * (after - before));
        let shift = if slope.abs() >= curve.abs() { 0.0 } else { -slope / curve };
        peaks.push((bin_hz(1) * ((first + offset) as f64 + f64::from(shift)), here + 0.5 * slope * shift));
    }
}

/// Neighbours below the threshold count as nothing.
fn gate(x: f32, threshold: f32) -> f32 {
    if x > threshold { x } else { 0.0 }
}

fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    if even { 0.5 * (upper + below.iter().copied().fold(0.0, f32::max)) } else { upper }
}

fn filters(tuning: f64) -> Vec<Vec<f32>> {
    let classes = CLASSES as f64;
    let pitch = |bin: usize| {
        let hz = bin as f64 * f64::from(ANALYSIS_RATE) / WINDOW as f64;
        classes * (hz / (A440_HZ * 2f64.powf(tuning / classes) / 16.0)).log2()
    };
    // The constant bin has no pitch: an octave and a half below the first one that has.
    let pitches: Vec<f64> = (0..=BINS).map(|bin| if bin == 0 { pitch(1) - 1.5 * classes } else { pitch(bin) }).collect();
    let mut filters = vec![vec![0.0f32; BINS]; CLASSES];
    for bin in 0..BINS {
        let width = (pitches[bin + 1] - pitches[bin]).max(1.0);
        let bumps: [f64; CLASSES] = std::array::from_fn(|class| {
            let distance = (pitches[bin] - class as f64 + classes / 2.0).rem_euclid(classes) - classes / 2.0;
            (-0.5 * (2.0 * distance / width).powi(2)).exp()
        });
        let length = bumps.iter().map(|x| x * x).sum::<f64>().sqrt();
        let octave = (-0.5 * ((pitches[bin] / classes - CENTRE_OCTAVE) / OCTAVE_WIDTH).powi(2)).exp();
        for (class, bump) in bumps.iter().enumerate() {
            // Pitches are counted from A; the answer begins with C, three semitones above.
            filters[(class + CLASSES - 3) % CLASSES][bin] = (bump / length * octave) as f32;
        }
    }
    filters
}
