//! Band-limited resampling to the analysis rate by overlap-save in the frequency domain.
//!
//! The filter is that of soxr's HQ quality, which the reference uses: [`super::lowpass`], and [`super::interpolator`] for rates that
//! are no factor of two away. Filtering and decimation are one multiplication and a shorter inverse transform.
//!
//! The reference filters in single precision, in blocks, and so does this, in the same blocks. A transform spreads its rounding noise,
//! some -150 dB, over the whole block: digital silence beside sound is noise to the end of the block and silence from there on.
//! The reference counts the crossings of that noise and takes its spectrum for music: clips with silence in them have other
//! zero-crossing rates and centroids without it, a click track by half. What is silent for a whole block stays silent.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

use super::interpolator::Interpolator;
use super::lowpass::{Lowpass, Stages};

/// The rate that all analysis happens at, as in the reference.
pub const ANALYSIS_RATE: u32 = 22_050;

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
    lowpass: Lowpass,
    interpolator: Option<Interpolator>,
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
        let stages = Stages::of(rate);
        let (lowpass, interpolator) = (Lowpass::of(rate, &stages), Interpolator::of(rate, &stages));
        let reach = lowpass.reach();
        // Whole multiples of `down` keep input and output blocks aligned to a sample.
        let valid = (lowpass.block.saturating_sub(2 * reach) + down / 2).div_euclid(down).max(1);
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
            block_in[place] = (lowpass.at(lag as f64) / len_in as f64) as f32;
        }
        let _ = forward.process_with_scratch(&mut block_in, &mut bins, &mut scratch);
        let mut response = bins[..len_in.min(len_out).div_ceil(2)].to_vec();
        if let Some(interpolator) = &interpolator {
            for (bin, gain) in response.iter_mut().enumerate() {
                *gain *= interpolator.gain(bin as f64 / len_in as f64) as f32;
            }
        }
        let block_out = vec![Complex32::default(); len_out];
        let (step_in, step_out) = (valid * down, valid * up);
        Plan { rate, forward, inverse, response, lowpass, interpolator, step_in, step_out, block_in, bins, block_out, scratch }
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
        if let Some(interpolator) = &self.interpolator {
            interpolator.cut_head(|time| self.lowpass.before(input, time), output);
        }
    }

    /// Loads the block that makes the samples from `at` on; silence surrounds the clip. Answers whether there is anything in it.
    fn load(&mut self, input: &[f32], at: usize) -> bool {
        let reach = self.lowpass.reach();
        let before = reach.saturating_sub(at);
        let from = (at + before).saturating_sub(reach).min(input.len());
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

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_that_begins_at_once_begins_as_in_the_reference() {
        // librosa 0.10.0 with soxr: a cosine of 1 kHz. The sound's beginning is cut where its last stage begins.
        let known: [(u32, [f32; 8]); 3] = [
            (8_000, [0.471_044_3, 0.568_627_9, 0.457_871_1, 0.324_474_4, 0.178_582_3, 0.046_906_9, -0.064_759_5, -0.182_168]),
            (32_000, [0.397_088, 0.512_231_6, 0.400_442_9, 0.343_945_8, 0.195_872, 0.083_850_9, -0.078_834_6, -0.197_284_7]),
            (
                48_000,
                [0.348_549_7, 0.519_138_9, 0.396_991_6, 0.345_314_3, 0.195_564_4, 0.083_518_6, -0.078_087_8, -0.198_308_4],
            ),
        ];
        let mut resampler = Resampler::default();
        for (rate, expected) in known {
            let turn = std::f64::consts::TAU * 1_000.0 / f64::from(rate);
            let cosine: Vec<f32> = (0..rate / 4).map(|n| (0.5 * (turn * f64::from(n)).cos()) as f32).collect();
            let mut output = Vec::new();
            resampler.process(&cosine, rate, &mut output);
            assert_eq!(output.len(), 5_513);
            for (n, (ours, theirs)) in output.iter().zip(expected).enumerate() {
                assert!((ours - theirs).abs() < 3e-6, "{rate} Hz, sample {n}: {ours}, not {theirs}");
            }
        }
    }
}
