//! Which pulse of the metre is the beat: a linear score of a candidate tempo. See [`super::tempo`] for its place and its origin.

use super::stft::FRAME_RATE;

/// Fractions and multiples of the candidate at which the rhythm is looked at.
const RATIOS: [f64; 11] = [0.25, 1.0 / 3.0, 0.5, 2.0 / 3.0, 1.0, 4.0 / 3.0, 1.5, 2.0, 3.0, 4.0, 6.0];
/// Frames of autocorrelation used: 6 s, tapered.
const TAPER: usize = 258;

/// Weights of the logarithm of the comb, of the distance from 120 BPM in octaves, and of its square.
const PRIOR: [f64; 3] = [0.3786, 0.0298, -0.9544];
/// Beats grow rare from here on, and pulses of more than four a second are felt as parts of a beat (J. London, Hearing in Time,
/// 2004; L. van Noorden and D. Moelants, Resonance in the perception of musical pulse, 1999). The pieces of the fit hold too few of
/// these to say so: without, the off-beat hi-hats of house music double its tempo.
const FAST_BPM: f64 = 200.0;
/// Log-odds an octave above that.
const FAST: f64 = -4.0;
/// Weights of the rhythm's strength at [`RATIOS`], for bass, low middle, high middle and treble. What stands out: the beat is
/// where bass and low middle have half and two thirds, but not a quarter, and where all have halves and quarters of a beat.
const LEVEL: [[f64; RATIOS.len()]; 4] = [
    [-1.879, -0.022, 1.670, -0.348, 1.264, -0.301, -0.023, 0.594, 0.833, 0.796, -0.117],
    [-1.601, -0.322, 1.143, 0.018, 0.405, -0.118, -0.120, 0.679, 0.415, 0.684, 0.346],
    [0.354, 0.084, -0.219, 0.171, 0.305, -0.047, -0.301, 0.515, 0.047, 0.708, 0.754],
    [0.204, 1.720, -0.563, -0.559, 0.027, -0.267, -0.016, 0.337, -0.115, 1.080, 0.672],
];

/// The autocorrelation of an onset strength made ready for [`score`]: tapered, and both its sides in one.
pub(super) fn tapered(correlation: impl Iterator<Item = f64>) -> Vec<f64> {
    let taper = |lag: usize| 0.5 + 0.5 * (std::f64::consts::PI * lag as f64 / TAPER as f64).cos();
    let both_sides = |lag: usize| if lag == 0 { 1.0 } else { 2.0 };
    correlation.take(TAPER).enumerate().map(|(lag, value)| value * taper(lag) * both_sides(lag)).collect()
}

/// Log-odds of a candidate against the others. `correlations`: one tapered autocorrelation a group of bands.
pub(super) fn score(bpm: f64, comb: f64, correlations: &[Vec<f64>]) -> f64 {
    let octaves = (bpm / 120.0).log2();
    let haste = (bpm / FAST_BPM).log2().max(0.0);
    let prior = PRIOR[0] * comb.max(1e-3).ln() + PRIOR[1] * octaves + PRIOR[2] * octaves * octaves + FAST * haste;
    let level = |(correlation, weights): (&Vec<f64>, &[f64; RATIOS.len()])| -> f64 {
        RATIOS.iter().zip(weights).map(|(ratio, weight)| weight * strength(correlation, ratio * bpm)).sum()
    };
    prior + correlations.iter().zip(&LEVEL).map(level).sum::<f64>()
}

/// Amplitude of the rhythm at a tempo: the cosine transform of an autocorrelation is a power spectrum.
fn strength(correlation: &[f64], bpm: f64) -> f64 {
    let angle = 2.0 * std::f64::consts::PI * bpm / 60.0 / FRAME_RATE;
    // cos(n a) = 2 cos(a) cos((n - 1) a) - cos((n - 2) a)
    let twice = 2.0 * angle.cos();
    let (mut before, mut now) = (angle.cos(), 1.0);
    let mut power = 0.0;
    for &value in correlation {
        power += value * now;
        (before, now) = (now, twice * now - before);
    }
    power.max(0.0).sqrt() / 4.0
}
