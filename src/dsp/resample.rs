//! Band-limited resampling to the analysis rate by overlap-save in the frequency domain.
//!
//! The filter is the Kaiser-windowed sinc of soxr's HQ quality, which the reference uses: flat to 91.4 % of the lower Nyquist
//! frequency, -6 dB in the middle of the transition, at least some -125 dB beyond. Filtering and decimation are one multiplication
//! and a shorter inverse transform.
//!
//! The reference filters in single precision, in blocks, and so does this, in the same blocks. A transform spreads its rounding noise,
//! some -150 dB, over the whole block: digital silence beside sound is noise to the end of the block and silence from there on.
//! The reference counts the crossings of that noise and takes its spectrum for music: clips with silence in them have other
//! zero-crossing rates and centroids without it, a click track by half. What is silent for a whole block stays silent.

use std::f64::consts::PI;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

/// The rate that all analysis happens at, as in the reference.
pub const ANALYSIS_RATE: u32 = 22_050;

/// The filter is -6 dB here, as part of the lower Nyquist frequency, and nothing from that frequency on.
const CUTOFF: f64 = 0.956_872;
/// Shape of the Kaiser window for a stop band of -126 dB, and the taps this takes in a transition of 1; and what each further
/// decibel takes. As measured of the reference, within 0.25 dB down to -90 dB at the usual rates.
const KAISER_BETA: f64 = 13.040_1;
const BETA_PER_DB: f64 = 0.110_2;
const TAPS_PER_TRANSITION: f64 = 8.302_3;
const TAPS_PER_DB: f64 = 0.071_7;
/// Samples of a block of the reference, at the rate that its filter works at.
const BLOCK: f64 = 2_048.0;

/// Resamples whole clips; keeps filter and FFT plans for the last rate seen.
#[derive(Default)]
pub(super) struct Resampler {
    plan: Option<Plan>,
}

struct Plan {
    rate: u32,
    forward: Arc<dyn RealToComplex<f32>>,
    /// Complex, because the short way of real signals leaves rounding noise of the bass at its mirror image near the Nyquist
    /// frequency, where there is nothing else.
    inverse: Arc<dyn Fft<f32>>,
    /// The filter from 0 Hz to below the lower Nyquist frequency, scaled for the round trip.
    response: Vec<Complex32>,
    /// Samples that the filter reaches on each side of the one it makes, at the input rate.
    reach: usize,
    /// Samples that a block makes, at the input and at the output rate. They stand at its beginning.
    step_in: usize,
    step_out: usize,
    block_in: Vec<f32>,
    bins: Vec<Complex32>,
    block_out: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Resampler {
    /// Replaces `output` by `input` at [`ANALYSIS_RATE`]; its length is the input's, scaled and rounded up.
    pub(super) fn process(&mut self, input: &[f32], rate: u32, output: &mut Vec<f32>) {
        output.clear();
        if rate == ANALYSIS_RATE || rate == 0 {
            output.extend_from_slice(input);
            return;
        }
        if self.plan.as_ref().is_none_or(|plan| plan.rate != rate) {
            self.plan = Some(Plan::new(rate));
        }
        if let Some(plan) = &mut self.plan {
            plan.run(input, output);
        }
    }
}

impl Plan {
    fn new(rate: u32) -> Plan {
        let shared = gcd(rate, ANALYSIS_RATE);
        let (up, down) = ((ANALYSIS_RATE / shared) as usize, (rate / shared) as usize);
        let Kernel { taps, block } = Kernel::of(rate);
        let reach = taps.len() - 1;
        // Whole multiples of `down` keep input and output blocks aligned to a sample.
        let valid = (block.saturating_sub(2 * reach) + down / 2).div_euclid(down).max(1);
        let blocks = (valid * down + 2 * reach).div_ceil(down);
        let (len_in, len_out) = (blocks * down, blocks * up);
        let forward = RealFftPlanner::new().plan_fft_forward(len_in);
        let inverse = FftPlanner::new().plan_fft_inverse(len_out);
        let (mut block_in, mut bins) = (forward.make_input_vec(), forward.make_output_vec());
        let scratch_len = forward.get_scratch_len().max(inverse.get_inplace_scratch_len());
        let mut scratch = vec![Complex32::default(); scratch_len];
        // Its centre stands `reach` before the end, so that what a block makes stands at the beginning, as in the reference.
        for lag in -(reach as isize)..=reach as isize {
            let place = (lag - reach as isize).rem_euclid(len_in as isize) as usize;
            block_in[place] = (taps[lag.unsigned_abs()] / len_in as f64) as f32;
        }
        let _ = forward.process_with_scratch(&mut block_in, &mut bins, &mut scratch);
        let response = bins[..len_in.min(len_out).div_ceil(2)].to_vec();
        let block_out = vec![Complex32::default(); len_out];
        let (step_in, step_out) = (valid * down, valid * up);
        Plan { rate, forward, inverse, response, reach, step_in, step_out, block_in, bins, block_out, scratch }
    }

    fn run(&mut self, input: &[f32], output: &mut Vec<f32>) {
        let wanted = (input.len() as u64 * u64::from(ANALYSIS_RATE)).div_ceil(u64::from(self.rate)) as usize;
        output.reserve(wanted);
        let mut at = 0;
        while output.len() < wanted {
            let count = self.step_out.min(wanted - output.len());
            if self.load(input, at) {
                self.filter();
                output.extend(self.block_out.iter().take(count).map(|x| x.re));
            } else {
                output.resize(output.len() + count, 0.0);
            }
            at += self.step_in;
        }
    }

    /// Loads the block that makes the samples from `at` on; silence surrounds the clip. Answers whether there is anything in it.
    fn load(&mut self, input: &[f32], at: usize) -> bool {
        let before = self.reach.saturating_sub(at);
        let from = (at + before).saturating_sub(self.reach).min(input.len());
        let part = &input[from..input.len().min(from + self.block_in.len() - before)];
        self.block_in.fill(0.0);
        self.block_in[before..before + part.len()].copy_from_slice(part);
        part.iter().any(|x| *x != 0.0)
    }

    fn filter(&mut self) {
        // It fails for buffers of another length only.
        let _ = self.forward.process_with_scratch(&mut self.block_in, &mut self.bins, &mut self.scratch);
        self.block_out.fill(Complex32::default());
        for ((to, from), gain) in self.block_out.iter_mut().zip(&self.bins).zip(&self.response) {
            *to = from * gain;
        }
        let below = self.block_out.iter_mut().rev().zip(self.bins.iter().zip(&self.response).skip(1));
        for (to, (from, gain)) in below {
            *to = (from * gain).conj();
        }
        self.inverse.process_with_scratch(&mut self.block_out, &mut self.scratch);
    }
}

/// The low-pass filter for a rate.
struct Kernel {
    /// The right half, tap 0 first, of the symmetric kernel at the input rate.
    taps: Vec<f64>,
    /// Samples of a block of the reference at the input rate.
    block: usize,
}

impl Kernel {
    fn of(rate: u32) -> Kernel {
        let Stages { scale, more_db } = Stages::of(rate);
        let nyquist = f64::from(rate.min(ANALYSIS_RATE)) / f64::from(rate);
        let (cutoff, transition) = (CUTOFF * nyquist, (1.0 - CUTOFF) * nyquist / scale);
        // As the reference, which rounds up to whole groups of four taps and one in the middle.
        let taps = (TAPS_PER_TRANSITION + TAPS_PER_DB * more_db) / transition + 3.0;
        let half = (taps.ceil() / 4.0).floor() * 2.0;
        let (beta, width) = (KAISER_BETA + BETA_PER_DB * more_db, (half + 0.5) / scale);
        let taps: Vec<f64> = (0..=(half / scale) as usize)
            .map(|n| {
                let n = n as f64;
                let sinc = if n == 0.0 { cutoff } else { (PI * cutoff * n).sin() / (PI * n) };
                sinc * bessel_i0(beta * (1.0 - (n / width).powi(2)).max(0.0).sqrt())
            })
            .collect();
        let sum = taps.iter().sum::<f64>() * 2.0 - taps[0];
        Kernel { taps: taps.iter().map(|tap| tap / sum).collect(), block: (BLOCK / scale) as usize }
    }
}

/// How the reference comes from a rate to the analysis rate.
struct Stages {
    /// The rate that its filter works at, as a multiple of the input rate.
    scale: f64,
    /// By how much the filter's stop band is lower than that of a single stage.
    more_db: f64,
}

impl Stages {
    fn of(rate: u32) -> Stages {
        let mut ratio = f64::from(rate) / f64::from(ANALYSIS_RATE);
        let (mut scale, mut stages) = (1.0, 1.0);
        // High rates are halved first; low ones are doubled by the filter itself.
        while ratio >= 4.0 {
            (ratio, scale, stages) = (ratio / 2.0, scale / 2.0, stages + 1.0);
        }
        if ratio < 2.0 {
            scale *= 2.0;
        }
        // What is no factor of two takes an interpolating stage behind the filter.
        let interpolates = ratio != 2.0 && ratio != 0.5;
        let more_db = 20.0 * f64::log10(stages) + if interpolates { 20.0 * f64::log10(2.0) } else { 0.0 };
        Stages { scale, more_db }
    }
}

/// Modified Bessel function of the first kind and order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..200 {
        term *= quarter / f64::from(k * k);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
