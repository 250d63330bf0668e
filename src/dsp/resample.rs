//! Band-limited resampling to the analysis rate by overlap-save in the frequency domain.
//!
//! The filter is the Kaiser-windowed sinc of soxr's HQ quality, which the reference uses: flat to 91.4 % of the lower Nyquist
//! frequency, -6 dB in the middle of the transition, some -125 dB beyond. Its zero-phase spectrum is real,
//! so that filtering, decimation and delay compensation are one multiplication and a shorter inverse transform.

use std::f64::consts::PI;
use std::sync::Arc;

use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// The rate that all analysis happens at, as in the reference.
pub const ANALYSIS_RATE: u32 = 22_050;

/// The filter is -6 dB here, as part of the lower Nyquist frequency, and nothing from that frequency on.
const CUTOFF: f64 = 0.956_872;
/// Shape of the Kaiser window for a stop band of -126 dB, and the taps this takes in a transition of 1.
const KAISER_BETA: f64 = 13.040_1;
const TAPS_PER_TRANSITION: f64 = 8.302_3;
/// Blocks of about this many input samples: larger ones leave the cache, smaller ones waste more on their overlap.
const BLOCK: usize = 4_096;

/// Resamples whole clips; keeps filter and FFT plans for the last rate seen.
#[derive(Default)]
pub(super) struct Resampler {
    plan: Option<Plan>,
}

struct Plan {
    rate: u32,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    /// Zero-phase frequency response over the shared bins, scaled for the round trip.
    response: Vec<f64>,
    /// Samples dropped on each side of a block, at the input and at the output rate.
    edge_in: usize,
    edge_out: usize,
    block_in: Vec<f64>,
    spectrum_in: Vec<Complex64>,
    spectrum_out: Vec<Complex64>,
    block_out: Vec<f64>,
    scratch: Vec<Complex64>,
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
        let kernel = low_pass(f64::from(rate));
        let half = kernel.len() - 1;
        // Whole multiples of `down` keep input and output blocks aligned to a sample.
        let edge_in = half.div_ceil(down) * down;
        let multiple = BLOCK.max(4 * edge_in).div_ceil(2 * down) * 2;
        let (len_in, len_out) = (down * multiple, up * multiple);
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(len_in), planner.plan_fft_inverse(len_out));
        let mut block_in = vec![0.0; len_in];
        let mut spectrum_in = forward.make_output_vec();
        let spectrum_out = inverse.make_input_vec();
        let scratch_len = forward.get_scratch_len().max(inverse.get_scratch_len());
        let mut scratch = vec![Complex64::default(); scratch_len];
        for (lag, &tap) in kernel.iter().enumerate() {
            block_in[lag] = tap;
            block_in[(len_in - lag) % len_in] = tap;
        }
        // Cannot fail: every buffer was made by the plan itself.
        let _ = forward.process_with_scratch(&mut block_in, &mut spectrum_in, &mut scratch[..forward.get_scratch_len()]);
        let scale = 1.0 / len_in as f64;
        let response = spectrum_in.iter().take(spectrum_out.len()).map(|bin| bin.re * scale).collect();
        let (edge_out, block_out) = (edge_in / down * up, vec![0.0; len_out]);
        Plan { rate, forward, inverse, response, edge_in, edge_out, block_in, spectrum_in, spectrum_out, block_out, scratch }
    }

    fn run(&mut self, input: &[f32], output: &mut Vec<f32>) {
        let wanted = (input.len() as u64 * u64::from(ANALYSIS_RATE)).div_ceil(u64::from(self.rate)) as usize;
        output.reserve(wanted);
        let step = self.block_in.len() - 2 * self.edge_in;
        let mut at = 0;
        while output.len() < wanted {
            self.filter_block(input, at);
            let valid = &self.block_out[self.edge_out..self.block_out.len() - self.edge_out];
            output.extend(valid.iter().take(wanted - output.len()).map(|&x| x as f32));
            at += step;
        }
        self.restore_silence(input, output);
    }

    /// A transform spreads rounding noise over its whole block. Digital silence stays silence: where nothing lies under the
    /// kernel, nothing comes out, and crossings and spectrum are not those of noise at -250 dB.
    fn restore_silence(&self, input: &[f32], output: &mut [f32]) {
        let scale = f64::from(ANALYSIS_RATE) / f64::from(self.rate);
        let mut from = 0;
        for run in input.chunk_by(|a, b| is_silent(*a) == is_silent(*b)) {
            let to = from + run.len();
            // Silence goes on beyond both ends of the clip.
            let first = if from == 0 { 0 } else { from + self.edge_in };
            let last = if to == input.len() { to } else { to.saturating_sub(self.edge_in) };
            if first < last && is_silent(run[0]) {
                let end = ((last as f64 * scale) as usize).min(output.len());
                let start = ((first as f64 * scale).ceil() as usize).min(end);
                output[start..end].fill(0.0);
            }
            from = to;
        }
    }

    /// Filters the block whose valid part begins at `at`; silence surrounds the clip.
    fn filter_block(&mut self, input: &[f32], at: usize) {
        let before = self.edge_in.saturating_sub(at).min(self.block_in.len());
        let from = (at + before).saturating_sub(self.edge_in).min(input.len());
        let copied = (self.block_in.len() - before).min(input.len() - from);
        self.block_in[..before].fill(0.0);
        for (to, &x) in self.block_in[before..before + copied].iter_mut().zip(&input[from..from + copied]) {
            *to = f64::from(x);
        }
        self.block_in[before + copied..].fill(0.0);
        let (forward, inverse) = (&self.forward, &self.inverse);
        let scratch = &mut self.scratch[..forward.get_scratch_len()];
        let _ = forward.process_with_scratch(&mut self.block_in, &mut self.spectrum_in, scratch);
        self.spectrum_out.fill(Complex64::default());
        for ((to, from), gain) in self.spectrum_out.iter_mut().zip(&self.spectrum_in).zip(&self.response) {
            *to = from * gain;
        }
        // A real signal has real first and last bins; the transform insists on it.
        for end in [0, self.spectrum_out.len() - 1] {
            self.spectrum_out[end].im = 0.0;
        }
        let scratch = &mut self.scratch[..inverse.get_scratch_len()];
        let _ = inverse.process_with_scratch(&mut self.spectrum_out, &mut self.block_out, scratch);
    }
}

fn is_silent(x: f32) -> bool {
    x.abs() < 1e-9
}

/// The right half, tap 0 first, of the symmetric low-pass kernel at the input rate.
fn low_pass(rate: f64) -> Vec<f64> {
    let nyquist = rate.min(f64::from(ANALYSIS_RATE)) / rate;
    let (cutoff, transition) = (CUTOFF * nyquist, (1.0 - CUTOFF) * nyquist);
    // As the reference, which rounds up to whole groups of four taps and one in the middle.
    let half = ((TAPS_PER_TRANSITION / transition + 3.0).ceil() / 4.0).floor() * 2.0;
    let taps: Vec<f64> = (0..=half as usize)
        .map(|n| {
            let n = n as f64;
            let sinc = if n == 0.0 { cutoff } else { (PI * cutoff * n).sin() / (PI * n) };
            sinc * bessel_i0(KAISER_BETA * (1.0 - (n / (half + 0.5)).powi(2)).sqrt())
        })
        .collect();
    let sum = taps.iter().sum::<f64>() * 2.0 - taps[0];
    taps.iter().map(|tap| tap / sum).collect()
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
