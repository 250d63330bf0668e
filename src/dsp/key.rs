//! Key and mode: a profile of pitch classes from spectral peaks, compared with the profiles of the 24 keys.
//!
//! The method is the one of Essentia's `KeyExtractor` with its defaults. Pitch classes are collected as a harmonic pitch class
//! profile (Gómez 2006) from the interpolated peaks between 25 and 3500 Hz of every window of 93 ms. The peaks are whitened
//! first, each measured against the spectral envelope around it, so that loud bass and drums do not drown the melody. The key
//! profiles are `bgate` (Faraldo 2016), found on electronic and popular music with the faint classes gated. One thing is left
//! out: there, rumble that falls from below 25 Hz counts as a peak at the edge of the range, which is a C.

use std::f32::consts::PI;

use super::chroma::CLASSES;
use super::stft::{Spectrogram, WINDOW, bin_hz};
use super::whitening::Envelope;

/// Tonics from C, each in its usual spelling, which is Essentia's too.
pub const TONICS: [&str; CLASSES] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
/// Profiles of a major and a minor key, tonic first.
const MAJOR: [f64; CLASSES] = [1.00, 0.00, 0.42, 0.00, 0.53, 0.37, 0.00, 0.77, 0.00, 0.38, 0.21, 0.30];
const MINOR: [f64; CLASSES] = [1.00, 0.00, 0.36, 0.39, 0.00, 0.38, 0.00, 0.74, 0.27, 0.00, 0.42, 0.23];

const LOWEST_HZ: f64 = 25.0;
const HIGHEST_HZ: f64 = 3_500.0;
/// Peaks of a frame that count, the strongest.
const PEAKS: usize = 60;
/// A peak is at least a tone of this amplitude.
const LEAST_AMPLITUDE: f64 = 1e-4;
/// Every fourth frame, so that windows do not overlap: keys change slowly.
const STRIDE: usize = 4;
/// What a peak may be the harmonic of: semitones down, octaves left out, and the weight. The first, second and fourth harmonic
/// are the class itself, the third is a fifth and the fifth a third above it.
const HARMONICS: [(f64, f64); 3] = [(0.0, 9.0), (7.019_550_008_653_875, 1.0), (3.863_137_138_648_355, 0.741_929_2)];
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

/// The key of a clip; `None` where nothing has a pitch.
pub(super) fn estimate(spectrogram: &Spectrogram) -> Option<Key> {
    let mut envelope = Envelope::new(HIGHEST_HZ);
    let mut peaks = Vec::new();
    let mut profile = [0.0; CLASSES];
    for power in spectrogram.power_frames().step_by(STRIDE) {
        find_peaks(power, &mut peaks);
        if peaks.is_empty() {
            continue;
        }
        envelope.fit(power);
        for &(hz, power) in &peaks {
            let power = envelope.whiten(hz, power);
            if power > 0.0 {
                add(&mut profile, hz, power);
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

/// Adds a peak to the nearest class of each tone it may belong to, less the farther it is from that class.
fn add(profile: &mut [f64; CLASSES], hz: f64, power: f64) {
    // A is nine semitones above C.
    let pitch = 12.0 * (hz / 440.0).log2() + 9.0;
    for (semitones, weight) in HARMONICS {
        let root = pitch - semitones;
        let class = (root + 0.5).floor();
        profile[(class as i32).rem_euclid(CLASSES as i32) as usize] +=
            weight * power * f64::from((PI * (root - class) as f32).cos());
    }
}

/// Interpolated frequency and power of the strongest local maxima, in no order.
fn find_peaks(power: &[f32], found: &mut Vec<(f64, f64)>) {
    let (first, last) = ((LOWEST_HZ / bin_hz(1)).ceil() as usize, (HIGHEST_HZ / bin_hz(1)) as usize);
    // A tone of amplitude 1 has a quarter of the window's length as its magnitude.
    let least = (LEAST_AMPLITUDE * WINDOW as f64 / 4.0).powi(2) as f32;
    found.clear();
    let Some(range) = power.get(first - 1..last + 2) else { return };
    for (bin, around) in (first..).zip(range.windows(3)) {
        let &[before, here, after] = around else { continue };
        if here <= before || here < after || here <= least {
            continue;
        }
        let [before, here, after] = [before, here, after].map(|power| f64::from(power).sqrt());
        let shift = 0.5 * (before - after) / (before - 2.0 * here + after);
        let magnitude = here - 0.25 * (before - after) * shift;
        found.push((bin_hz(1) * (bin as f64 + shift), magnitude * magnitude));
    }
    found.retain(|(hz, _)| (LOWEST_HZ..=HIGHEST_HZ).contains(hz));
    if found.len() > PEAKS {
        found.select_nth_unstable_by(PEAKS, |a, b| b.1.total_cmp(&a.1));
        found.truncate(PEAKS);
    }
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
