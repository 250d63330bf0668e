//! Key and mode: a profile of pitch classes from spectral peaks, compared with the profiles of the 24 keys.
//!
//! The pitch classes are collected as in Gómez 2006 (harmonic pitch class profile): interpolated peaks between 25 and 3500 Hz,
//! each counting, with a falling weight, for the fundamentals whose harmonic it may be. The key profiles are `bgate` (Faraldo
//! 2016), found on electronic and popular music with the faint classes gated.

use super::chroma::CLASSES;
use super::stft::{BINS, Spectrogram, bin_hz};

/// Tonics from C.
const TONICS: [&str; CLASSES] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
/// Profiles of a major and a minor key, tonic first.
const MAJOR: [f64; CLASSES] = [1.00, 0.00, 0.42, 0.00, 0.53, 0.37, 0.00, 0.77, 0.00, 0.38, 0.21, 0.30];
const MINOR: [f64; CLASSES] = [1.00, 0.00, 0.36, 0.39, 0.00, 0.38, 0.00, 0.74, 0.27, 0.00, 0.42, 0.23];

const LOWEST_HZ: f64 = 25.0;
const HIGHEST_HZ: f64 = 3_500.0;
/// Peaks of a frame that count, the strongest.
const PEAKS: usize = 60;
/// Every fourth frame: keys change slowly, and windows then do not overlap.
const STRIDE: usize = 4;
/// Harmonics a peak may be, and how much less each counts.
const HARMONICS: usize = 4;
const DECAY: f64 = 0.6;
/// Classes fainter than this part of the strongest are noise.
const GATE: f64 = 0.2;

/// A key and how well it fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Key {
    pub tonic: &'static str,
    pub mode: &'static str,
    /// Correlation with the key's profile, 0 to 1.
    pub strength: f64,
}

/// The key of a clip, whose tuning deviates by `tuning` semitones from A = 440 Hz; `None` where nothing has a pitch.
pub(super) fn estimate(spectrogram: &Spectrogram, tuning: f64) -> Option<Key> {
    let mut profile = [0.0; CLASSES];
    for power in spectrogram.power_frames().step_by(STRIDE) {
        let frame = frame_profile(power, tuning);
        let top = frame.iter().copied().fold(0.0, f64::max);
        if top > 0.0 {
            for (sum, x) in profile.iter_mut().zip(frame) {
                *sum += x / top;
            }
        }
    }
    best_key(&gated(profile)?)
}

fn gated(profile: [f64; CLASSES]) -> Option<[f64; CLASSES]> {
    let top = profile.iter().copied().fold(0.0, f64::max);
    (top > 0.0).then(|| profile.map(|x| if x < GATE * top { 0.0 } else { x / top }))
}

fn best_key(profile: &[f64; CLASSES]) -> Option<Key> {
    let keys = (0..CLASSES).flat_map(|tonic| {
        [("major", &MAJOR), ("minor", &MINOR)].map(|(mode, shape)| (correlation(profile, shape, tonic), tonic, mode))
    });
    let (strength, tonic, mode) = keys.max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Key { tonic: TONICS[tonic], mode, strength: strength.clamp(0.0, 1.0) })
}

/// Pearson's correlation of the profile with a key's, whose tonic is moved to `tonic`.
fn correlation(profile: &[f64; CLASSES], shape: &[f64; CLASSES], tonic: usize) -> f64 {
    let mean = |values: &[f64; CLASSES]| values.iter().sum::<f64>() / CLASSES as f64;
    let (mean_p, mean_s) = (mean(profile), mean(shape));
    let (mut both, mut own, mut theirs) = (0.0, 0.0, 0.0);
    for (class, p) in profile.iter().enumerate() {
        let (p, s) = (p - mean_p, shape[(class + CLASSES - tonic) % CLASSES] - mean_s);
        both += p * s;
        own += p * p;
        theirs += s * s;
    }
    if own * theirs > 0.0 { both / (own * theirs).sqrt() } else { 0.0 }
}

fn frame_profile(power: &[f32], tuning: f64) -> [f64; CLASSES] {
    let mut profile = [0.0; CLASSES];
    for (hz, magnitude) in peaks(power) {
        for harmonic in 1..=HARMONICS {
            let weight = DECAY.powi(harmonic as i32 - 1);
            add(&mut profile, hz / harmonic as f64, tuning, weight * magnitude * magnitude);
        }
    }
    profile
}

/// Adds to the classes within a semitone, with a squared cosine of the distance.
fn add(profile: &mut [f64; CLASSES], hz: f64, tuning: f64, amount: f64) {
    // A is nine semitones above C.
    let pitch = 12.0 * (hz / 440.0).log2() - tuning + 9.0;
    let below = pitch.floor();
    for class in [below, below + 1.0] {
        let weight = (std::f64::consts::FRAC_PI_2 * (pitch - class)).cos();
        profile[class.rem_euclid(12.0) as usize % CLASSES] += amount * weight * weight;
    }
}

/// Interpolated frequency and magnitude of the strongest local maxima.
fn peaks(power: &[f32]) -> Vec<(f64, f64)> {
    let first = (LOWEST_HZ / bin_hz(1)).ceil() as usize;
    let last = ((HIGHEST_HZ / bin_hz(1)) as usize).min(BINS - 2);
    let mut found: Vec<(f64, f64)> = Vec::new();
    for bin in first..=last {
        let [before, here, after] = [power[bin - 1], power[bin], power[bin + 1]].map(|p| f64::from(p).max(1e-20).ln());
        if here <= before || here < after || power[bin] < 1e-8 {
            continue;
        }
        let curve = before - 2.0 * here + after;
        let shift = if curve < 0.0 { 0.5 * (before - after) / curve } else { 0.0 };
        found.push((bin_hz(1) * (bin as f64 + shift), (0.5 * (here - 0.25 * (before - after) * shift)).exp()));
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(PEAKS);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_recognised_in_every_key() {
        for tonic in 0..CLASSES {
            for (mode, shape) in [("major", &MAJOR), ("minor", &MINOR)] {
                let profile: [f64; CLASSES] = std::array::from_fn(|class| shape[(class + CLASSES - tonic) % CLASSES]);
                let key = best_key(&profile).expect("a key");
                assert_eq!((key.tonic, key.mode), (TONICS[tonic], mode));
                assert!(key.strength > 0.999);
            }
        }
    }
}
