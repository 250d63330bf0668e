//! Our own estimate of the tempo: continuous, with a confidence.
//!
//! Three steps. *Which pulses are there?* The autocorrelation of onset strength, summed over frequency bands and over eight
//! multiples of each lag, peaks at every pulse of the metre; interpolation makes its peaks exact to some 0.1 %. *Which of them is
//! the beat?* The octave errors of all common estimators come from answering this with a prior around 120 BPM alone. A linear
//! model looks at how strong the rhythm is at fractions and multiples of each candidate, separately for bass, low middle, high
//! middle and treble: fast music has its bass on half the beats and nothing at a quarter of them, slow music has its hi-hat
//! between. *How sure is it?* The model's probability, times how much of a pulse there is.
//!
//! The model's 47 weights (conditional logit, ridge-regularised) were fitted to some 270 pieces whose tempo is known: accompaniment
//! styles from ballad to bebop rendered at usual tempi, and a few dozen recorded ones; styles were held out together to choose
//! the features. Accuracy on music unlike these is not known.

use std::borrow::Borrow;
use std::sync::Arc;

use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::mel::{BANDS, MelSpectrogram};
use super::simd::{Lanes, widest};
use super::stft::FRAME_RATE;
use super::{beats, tempo_model};

/// Bass to 200 Hz, low middle to 850 Hz, high middle to 3 kHz, treble: as ranges of mel bands.
const GROUPS: [std::ops::Range<usize>; 4] = [0..8, 8..32, 32..80, 80..128];
/// Frames of the moving average that is taken away from an onset strength, so that only what stands out counts.
const SMOOTHING: usize = 41;
/// Tempi looked at: from here, this many steps an octave, this many steps.
const LOWEST_BPM: f64 = 40.0;
const STEPS_PER_OCTAVE: usize = 100;
const STEPS: usize = 265;
/// Pulses slower than this are bars, not beats.
const SLOWEST_BEAT_BPM: f64 = 45.0;
/// Multiples of a lag that must agree.
const MULTIPLES: usize = 8;
/// A candidate is at least this part as strong as the strongest.
const LEAST_PART: f64 = 0.15;
/// Points between two frames at which an autocorrelation is known.
const INTERPOLATION: usize = 4;
/// Rises that vary less than this, in decibels, are the rounding noise of a steady tone.
const FAINTEST_RHYTHM_DB: f64 = 0.02;
/// A comb this weak is next to none: noise stays below it, a steady tone far below; music with a faint beat has twice as much.
const NO_PULSE: f64 = 0.04;
/// Less than this says nothing about a tempo.
const LEAST_SECONDS: f64 = 3.0;

/// The rhythm of a clip.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rhythm {
    pub bpm: Option<f64>,
    pub confidence: Option<f64>,
    /// How much of the onset strength comes back beat after beat, 0 to 1.
    pub regularity: Option<f64>,
    /// Onset strength per frame, in standard deviations.
    pub strength: Vec<f64>,
    /// Frames of the onsets and of the beats.
    pub onsets: Vec<usize>,
    pub beats: Vec<usize>,
}

/// FFT plans, kept for the last length seen.
#[derive(Default)]
pub(super) struct TempoEstimator {
    plans: Option<Plans>,
}

struct Plans {
    len: usize,
    forward: Arc<dyn RealToComplex<f64>>,
    fine: Arc<dyn ComplexToReal<f64>>,
}

impl TempoEstimator {
    pub(super) fn estimate(&mut self, mel: &MelSpectrogram) -> Rhythm {
        let decibel_rises = widest(Rises(mel.frames()));
        // The fourth root of the power: loud hits weigh more than in decibels, where a faint hi-hat counts like a drum.
        let loudness_rises = widest(Rises(mel.power_frames().map(fourth_root)));
        let broad: Vec<f64> =
            (0..decibel_rises[0].len()).map(|t| (0..4).map(|g| group_part(g) * decibel_rises[g][t]).sum()).collect();
        let strength = standardised(&broad, FAINTEST_RHYTHM_DB);
        let onsets = beats::onsets(&strength);
        let rhythm = Rhythm { strength, onsets, ..Rhythm::default() };
        if (rhythm.strength.len() as f64) < LEAST_SECONDS * FRAME_RATE || rhythm.strength.iter().all(|&x| x == 0.0) {
            return rhythm;
        }
        let mut envelopes: Vec<Vec<f64>> = decibel_rises.iter().map(|rise| standardised(rise, 0.0)).collect();
        envelopes.push(rhythm.strength.clone());
        let periodicity = self.mean_autocorrelation(&envelopes);
        let spectra: Vec<Vec<f64>> =
            loudness_rises.iter().map(|rise| self.tapered_autocorrelation(&standardised(rise, 0.0))).collect();
        decide(&periodicity, &spectra, rhythm)
    }

    fn plans(&mut self, frames: usize) -> &Plans {
        let len = (2 * frames).next_power_of_two();
        if self.plans.as_ref().is_none_or(|plans| plans.len != len) {
            self.plans = None;
        }
        self.plans.get_or_insert_with(|| {
            let mut planner = RealFftPlanner::new();
            let (forward, fine) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len * INTERPOLATION));
            Plans { len, forward, fine }
        })
    }

    /// Mean over envelopes, at fractions of a frame.
    fn mean_autocorrelation(&mut self, envelopes: &[Vec<f64>]) -> Correlation {
        let frames = envelopes.first().map_or(0, Vec::len);
        let mut sum = vec![0.0; frames * INTERPOLATION];
        for envelope in envelopes {
            for (sum, value) in sum.iter_mut().zip(self.fine_autocorrelation(envelope)) {
                *sum += value / envelopes.len() as f64;
            }
        }
        Correlation { values: sum, frames }
    }

    fn tapered_autocorrelation(&mut self, envelope: &[f64]) -> Vec<f64> {
        tempo_model::tapered(self.fine_autocorrelation(envelope).into_iter().step_by(INTERPOLATION))
    }

    /// Autocorrelation over its value at lag 0, unbiased by the overlap, interpolated by padding its spectrum.
    fn fine_autocorrelation(&mut self, envelope: &[f64]) -> Vec<f64> {
        let frames = envelope.len();
        let plans = self.plans(frames);
        let mean = envelope.iter().sum::<f64>() / frames.max(1) as f64;
        let mut padded = plans.forward.make_input_vec();
        for (to, x) in padded.iter_mut().zip(envelope) {
            *to = x - mean;
        }
        let mut spectrum = plans.forward.make_output_vec();
        let mut fine_spectrum = plans.fine.make_input_vec();
        let mut fine = plans.fine.make_output_vec();
        // Cannot fail: the buffers are the plans' own.
        let _ = plans.forward.process(&mut padded, &mut spectrum);
        for (to, bin) in fine_spectrum.iter_mut().zip(&spectrum) {
            *to = Complex64::new(bin.norm_sqr(), 0.0);
        }
        let _ = plans.fine.process(&mut fine_spectrum, &mut fine);
        let whole = fine[0];
        fine.truncate(frames * INTERPOLATION);
        for (i, value) in fine.iter_mut().enumerate() {
            let overlap = 1.0 - i as f64 / (INTERPOLATION * frames) as f64;
            *value = if whole > 0.0 { *value / whole / overlap } else { 0.0 };
        }
        fine
    }
}

/// An autocorrelation that can be asked at any lag.
struct Correlation {
    values: Vec<f64>,
    frames: usize,
}

impl Correlation {
    /// At `lag` frames, linear between the points; `None` where too little overlaps to trust it.
    fn at(&self, lag: f64) -> Option<f64> {
        if lag > 0.75 * self.frames as f64 {
            return None;
        }
        let place = lag * INTERPOLATION as f64;
        let (left, right) = (self.values.get(place as usize)?, self.values.get(place as usize + 1)?);
        Some(left + (right - left) * place.fract())
    }

    /// Mean over the multiples of the lag of a beat.
    fn comb(&self, bpm: f64) -> f64 {
        let lag = lag_frames(bpm);
        let values: Vec<f64> = (1..=MULTIPLES).map_while(|k| self.at(k as f64 * lag)).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }
}

fn lag_frames(bpm: f64) -> f64 {
    60.0 * FRAME_RATE / bpm
}

fn decide(periodicity: &Correlation, spectra: &[Vec<f64>], rhythm: Rhythm) -> Rhythm {
    let candidates = candidates(periodicity);
    let scores: Vec<f64> = candidates.iter().map(|c| tempo_model::score(c.bpm, c.comb, spectra)).collect();
    let Some(best) = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])) else {
        return rhythm;
    };
    let chosen = &candidates[best];
    let rivals: f64 = scores.iter().map(|score| (score - scores[best]).exp()).sum();
    Rhythm {
        bpm: Some(chosen.bpm),
        confidence: Some(pulse_share(chosen.comb) / rivals),
        regularity: Some(chosen.comb.clamp(0.0, 1.0).sqrt()),
        beats: beats::track(&rhythm.strength, lag_frames(chosen.bpm)),
        ..rhythm
    }
}

/// Near 0 where nothing comes back beat after beat, near 1 where music does: without rivals, the rounding noise of a tone would
/// have a tempo beyond doubt.
fn pulse_share(comb: f64) -> f64 {
    1.0 - (-(comb / NO_PULSE).powi(2)).exp()
}

struct Candidate {
    bpm: f64,
    comb: f64,
}

/// The peaks of the comb over tempo, to a fraction of a step.
fn candidates(periodicity: &Correlation) -> Vec<Candidate> {
    let bpm_at = |step: f64| LOWEST_BPM * 2f64.powf(step / STEPS_PER_OCTAVE as f64);
    let combs: Vec<f64> = (0..STEPS).map(|step| periodicity.comb(bpm_at(step as f64))).collect();
    let most = combs.iter().copied().fold(0.0, f64::max);
    let mut found = Vec::new();
    for (i, around) in combs.windows(3).enumerate() {
        let (before, here, after) = (around[0], around[1], around[2]);
        if here < before || here <= after || here <= LEAST_PART * most {
            continue;
        }
        let curve = before - 2.0 * here + after;
        let shift = if curve < 0.0 { (0.5 * (before - after) / curve).clamp(-0.5, 0.5) } else { 0.0 };
        let bpm = bpm_at((i + 1) as f64 + shift);
        if bpm >= SLOWEST_BEAT_BPM {
            found.push(Candidate { bpm, comb: here });
        }
    }
    found
}

/// Mean rise of each group of bands from frame to frame.
struct Rises<I>(I);

impl<F: Borrow<[f32; BANDS]>, I: Iterator<Item = F>> Lanes for Rises<I> {
    type Output = [Vec<f64>; 4];

    #[inline(always)]
    fn run(self) -> [Vec<f64>; 4] {
        let mut groups: [Vec<f64>; 4] = Default::default();
        let mut before: Option<F> = None;
        for now in self.0 {
            if let Some(before) = before {
                for (group, bands) in groups.iter_mut().zip(GROUPS) {
                    let pairs = now.borrow()[bands.clone()].iter().zip(&before.borrow()[bands.clone()]);
                    let rise: f32 = pairs.map(|(now, before)| (now - before).max(0.0)).sum();
                    group.push(f64::from(rise) / bands.len() as f64);
                }
            }
            before = Some(now);
        }
        groups
    }
}

#[inline(always)]
fn fourth_root(power: &[f32; BANDS]) -> [f32; BANDS] {
    power.map(|x| x.sqrt().sqrt())
}

fn group_part(group: usize) -> f64 {
    GROUPS[group].len() as f64 / BANDS as f64
}

/// What stands out from the moving average, in standard deviations; nothing if that deviation is no more than `least`.
fn standardised(envelope: &[f64], least: f64) -> Vec<f64> {
    let kernel: Vec<f64> =
        (1..=SMOOTHING).map(|i| 0.5 - 0.5 * (2.0 * std::f64::consts::PI * i as f64 / (SMOOTHING + 1) as f64).cos()).collect();
    let whole: f64 = kernel.iter().sum();
    let half = SMOOTHING / 2;
    let above: Vec<f64> = (0..envelope.len())
        .map(|t| {
            let from = t.saturating_sub(half);
            let around = &envelope[from..(t + half + 1).min(envelope.len())];
            let weights = &kernel[from + half - t..];
            let average: f64 = around.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() / whole;
            (envelope[t] - average).max(0.0)
        })
        .collect();
    let count = above.len().max(1) as f64;
    let mean = above.iter().sum::<f64>() / count;
    let deviation = (above.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    if deviation > least.max(1e-9) { above.iter().map(|x| x / deviation).collect() } else { vec![0.0; above.len()] }
}
