//! Band-limited resampling to the analysis rate by overlap-save in the frequency domain.
//!
//! The filter is the Kaiser-windowed sinc of soxr's HQ quality, which the reference uses: flat to 91.4 % of the lower Nyquist
//! frequency, -6 dB in the middle of the transition, some -125 dB beyond. Its zero-phase spectrum is real, so that filtering,
//! decimation and delay compensation are one multiplication and a shorter inverse transform.

use std::f64::consts::PI;
use std::sync::Arc;

use rustfft::num_complex::Complex64;
use rustfft::{Fft, FftPlanner};

/// The rate that all analysis happens at, as in the reference.
pub const ANALYSIS_RATE: u32 = 22_050;

/// The filter is -6 dB here, as part of the lower Nyquist frequency, and nothing from that frequency on.
const CUTOFF: f64 = 0.956_872;
/// Shape of the Kaiser window for a stop band of -126 dB, and the taps this takes in a transition of 1. The reference halves a
/// rate in one stage; other ratios take it several, which together are a little steeper (as measured).
const KAISER_BETA: f64 = 13.040_1;
const TAPS_PER_TRANSITION: f64 = 8.42;
const TAPS_PER_TRANSITION_HALVING: f64 = 8.302_3;
/// Blocks of about this many input samples: larger ones leave the cache, smaller ones waste more on their overlap.
const BLOCK: usize = 4_096;

/// Resamples whole clips; keeps filter and FFT plans for the last rate seen.
#[derive(Default)]
pub(super) struct Resampler {
    plan: Option<Plan>,
}

struct Plan {
    rate: u32,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
    /// Zero-phase frequency response from 0 Hz to the lower Nyquist frequency, scaled for the round trip.
    response: Vec<f64>,
    /// Samples dropped on each side of a block, at the input and at the output rate.
    edge_in: usize,
    edge_out: usize,
    /// Two blocks at a time, one as the imaginary part: the filter is real, so they do not mix.
    blocks_in: Vec<Complex64>,
    blocks_out: Vec<Complex64>,
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
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(len_in), planner.plan_fft_inverse(len_out));
        let mut scratch = vec![Complex64::default(); forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len())];
        let mut blocks_in = vec![Complex64::default(); len_in];
        for (lag, &tap) in kernel.iter().enumerate() {
            blocks_in[lag].re = tap;
            blocks_in[(len_in - lag) % len_in].re = tap;
        }
        forward.process_with_scratch(&mut blocks_in, &mut scratch);
        let response = blocks_in[..len_in.min(len_out) / 2].iter().map(|bin| bin.re / len_in as f64).collect();
        let (edge_out, blocks_out) = (edge_in / down * up, vec![Complex64::default(); len_out]);
        Plan { rate, forward, inverse, response, edge_in, edge_out, blocks_in, blocks_out, scratch }
    }

    fn run(&mut self, input: &[f32], output: &mut Vec<f32>) {
        let wanted = (input.len() as u64 * u64::from(ANALYSIS_RATE)).div_ceil(u64::from(self.rate)) as usize;
        output.reserve(wanted);
        let step = self.blocks_in.len() - 2 * self.edge_in;
        let mut at = 0;
        while output.len() < wanted {
            self.filter_blocks(input, [at, at + step]);
            let valid = &self.blocks_out[self.edge_out..self.blocks_out.len() - self.edge_out];
            output.extend(valid.iter().take(wanted - output.len()).map(|x| x.re as f32));
            output.extend(valid.iter().take(wanted - output.len()).map(|x| x.im as f32));
            at += 2 * step;
        }
        self.restore_silence(input, output);
    }

    /// A transform spreads rounding noise over its whole block. Digital silence stays silence: where nothing lies under the
    /// kernel, nothing comes out, and crossings and spectrum are not those of noise at -250 dB. The reference, in single
    /// precision, counts the crossings of that noise near every sound: clicks between silence have more crossings there.
    fn restore_silence(&self, input: &[f32], output: &mut [f32]) {
        // Shorter silence leaves something under the kernel everywhere, so that a look now and then finds all that counts.
        let stride = self.edge_in.max(1);
        let scale = f64::from(ANALYSIS_RATE) / f64::from(self.rate);
        let mut at = 0;
        while let Some(&x) = input.get(at) {
            if !is_silent(x) {
                at += stride;
                continue;
            }
            let from = at - input[..at].iter().rev().take_while(|x| is_silent(**x)).count();
            let to = at + input[at..].iter().take_while(|x| is_silent(**x)).count();
            // Silence goes on beyond both ends of the clip.
            let first = if from == 0 { 0 } else { from + self.edge_in };
            let last = if to == input.len() { to } else { to.saturating_sub(self.edge_in) };
            if first < last {
                let end = ((last as f64 * scale) as usize).min(output.len());
                let start = ((first as f64 * scale).ceil() as usize).min(end);
                output[start..end].fill(0.0);
            }
            at = to + 1;
        }
    }

    /// Filters the blocks whose valid parts begin at `starts`; silence surrounds the clip.
    fn filter_blocks(&mut self, input: &[f32], starts: [usize; 2]) {
        let len_in = self.blocks_in.len();
        let [real, imaginary] = starts.map(|at| {
            let before = self.edge_in.saturating_sub(at);
            let from = (at + before).saturating_sub(self.edge_in).min(input.len());
            (before, &input[from..input.len().min(from + len_in - before)])
        });
        self.blocks_in.fill(Complex64::default());
        for (to, &x) in self.blocks_in[real.0..].iter_mut().zip(real.1) {
            to.re = f64::from(x);
        }
        for (to, &x) in self.blocks_in[imaginary.0..].iter_mut().zip(imaginary.1) {
            to.im = f64::from(x);
        }
        self.forward.process_with_scratch(&mut self.blocks_in, &mut self.scratch);
        // Bins from 0 Hz upwards at the head, from -0 Hz downwards at the tail.
        self.blocks_out.fill(Complex64::default());
        for ((to, from), gain) in self.blocks_out.iter_mut().zip(&self.blocks_in).zip(&self.response) {
            *to = from * gain;
        }
        let below = self.blocks_out.iter_mut().rev().zip(self.blocks_in.iter().rev());
        for ((to, from), gain) in below.zip(&self.response[1..]) {
            *to = from * gain;
        }
        self.inverse.process_with_scratch(&mut self.blocks_out, &mut self.scratch);
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
    let is_halving = rate == f64::from(2 * ANALYSIS_RATE);
    let taps_per_transition = if is_halving { TAPS_PER_TRANSITION_HALVING } else { TAPS_PER_TRANSITION };
    let half = ((taps_per_transition / transition + 3.0).ceil() / 4.0).floor() * 2.0;
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
