//! Loudness after EBU R128: integrated loudness (ITU-R BS.1770-4) and loudness range (EBU Tech 3342).
//!
//! Fed with the channels as they are decoded, before the mix to mono: antiphase stereo is silent in mono but loud in a room.
//!
//! Equal to libebur128 within 0.001 LU, and to the standard's own coefficients at 48 kHz within 0.004 LU. Essentia's
//! `LoudnessEBUR128` answers up to 0.3 LU less at 44.1 kHz, the more the stronger the bass: it filters in single precision, in
//! which the high-pass's coefficients round (a sine of 60 Hz reads 0.4 LU less), and counts blocks that reach beyond the ends.

use std::f64::consts::PI;

use super::simd::{Lanes, widest};

/// Gating blocks are 400 ms long and start every 100 ms; short-term windows are 3 s long.
const STEPS_PER_BLOCK: usize = 4;
const STEPS_PER_SHORT_TERM: usize = 30;
const ABSOLUTE_GATE_LUFS: f64 = -70.0;

/// A recursive filter waits for its own last output. So this many stretches of a channel are filtered side by side, each a run
/// of steps, and each after a run-in over the samples before it.
const WIDTH: usize = 8;
const STEPS_PER_LANE: usize = 4;
const BATCH_STEPS: usize = WIDTH * STEPS_PER_LANE;
/// The high-pass forgets by e^-1 in 4.2 ms: after this run-in, what it started from is 110 dB down.
const RUN_IN_S: f64 = 0.06;
/// Squares are summed in single precision over this many samples.
const SUMMED: usize = 64;

/// Accumulates the K-weighted energy of 100 ms steps.
#[derive(Debug, Default)]
pub(super) struct LoudnessMeter {
    channels: Vec<Channel>,
    coefficients: KWeighting,
    step_len: usize,
    run_in: usize,
    /// Channel-weighted mean square of each complete 100 ms step.
    steps: Vec<f64>,
}

#[derive(Debug, Default, Clone)]
struct Channel {
    weight: f64,
    /// The run-in, then what is not measured yet.
    waiting: Vec<f32>,
}

/// The two second-order sections of BS.1770: the head's high shelf, then the revised low-frequency B weighting.
#[derive(Debug, Default, Clone, Copy)]
struct KWeighting {
    shelf: [f64; 5],
    highpass: [f64; 5],
}

impl KWeighting {
    /// The standard gives coefficients for 48 kHz only; these are its analogue prototypes at any rate (as in libebur128).
    fn new(rate: f64) -> Self {
        let (f0, gain_db, q) = (1_681.974_450_955_533, 3.999_843_853_973_347, 0.707_175_236_955_419_6);
        let k = (PI * f0 / rate).tan();
        let vh = 10f64.powf(gain_db / 20.0);
        let vb = vh.powf(0.499_666_774_154_541_6);
        let a0 = 1.0 + k / q + k * k;
        let shelf = [
            (vh + vb * k / q + k * k) / a0,
            2.0 * (k * k - vh) / a0,
            (vh - vb * k / q + k * k) / a0,
            2.0 * (k * k - 1.0) / a0,
            (1.0 - k / q + k * k) / a0,
        ];
        let (f0, q) = (38.135_470_876_024_44, 0.500_327_037_323_877_3);
        let k = (PI * f0 / rate).tan();
        let a0 = 1.0 + k / q + k * k;
        let highpass = [1.0, -2.0, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0];
        KWeighting { shelf, highpass }
    }
}

impl LoudnessMeter {
    pub(super) fn reset(&mut self, rate: u32, channels: usize) {
        self.coefficients = KWeighting::new(f64::from(rate));
        self.step_len = (rate as usize).div_ceil(10).max(1);
        self.run_in = (RUN_IN_S * f64::from(rate)).ceil() as usize;
        self.channels.resize_with(channels, Channel::default);
        for (index, channel) in self.channels.iter_mut().enumerate() {
            channel.weight = weight(index, channels);
            channel.waiting.clear();
            channel.waiting.resize(self.run_in, 0.0);
        }
        self.steps.clear();
    }

    /// Adds frames, one plane a channel.
    pub(super) fn add(&mut self, planes: &[&[f32]]) {
        let frames = planes.iter().map(|plane| plane.len()).min().unwrap_or(0);
        let batch = self.run_in + BATCH_STEPS * self.step_len;
        let mut from = 0;
        while from < frames {
            let room = batch - self.channels.first().map_or(0, |channel| channel.waiting.len());
            let to = frames.min(from + room);
            for (channel, plane) in self.channels.iter_mut().zip(planes) {
                channel.waiting.extend(plane[from..to].iter().map(|&x| finite(x)));
            }
            if to - from == room {
                self.measure(BATCH_STEPS);
            }
            from = to;
        }
    }

    /// Measures what is waiting. A step that is not complete does not count.
    pub(super) fn finish(&mut self) {
        let waiting = self.channels.first().map_or(0, |channel| channel.waiting.len());
        if let Some(steps) = waiting.saturating_sub(self.run_in).checked_div(self.step_len) {
            self.measure(steps);
        }
    }

    fn measure(&mut self, steps: usize) {
        let first = self.steps.len();
        self.steps.resize(first + steps, 0.0);
        for channel in &mut self.channels {
            if channel.weight > 0.0 {
                let scale = channel.weight / self.step_len as f64;
                let samples = channel.waiting.as_slice();
                let (run_in, step_len, weighting) = (self.run_in, self.step_len, self.coefficients);
                widest(Stretch { samples, run_in, step_len, weighting, scale, energies: &mut self.steps[first..] });
            }
            channel.waiting.drain(..steps * self.step_len);
        }
    }

    /// Integrated loudness in LUFS; `None` when every block lies below the absolute gate.
    pub(super) fn integrated(&self) -> Option<f64> {
        let blocks = window_means(&self.steps, STEPS_PER_BLOCK);
        let loud = gated(&blocks, power(ABSOLUTE_GATE_LUFS));
        let relative_gate = mean(&loud)? * 10f64.powf(-1.0);
        mean(&gated(&loud, relative_gate)).map(lufs)
    }

    /// Loudness range in LU; `None` for less than one short-term window of sound above the gate.
    pub(super) fn range(&self) -> Option<f64> {
        let windows = window_means(&self.steps, STEPS_PER_SHORT_TERM);
        let loud = gated(&windows, power(ABSOLUTE_GATE_LUFS));
        let relative_gate = mean(&loud)? * 10f64.powf(-2.0);
        let mut kept = gated(&loud, relative_gate);
        kept.sort_by(f64::total_cmp);
        let percentile = |p: f64| kept.get(((kept.len() - 1) as f64 * p + 0.5) as usize).copied();
        Some(lufs(percentile(0.95)?) - lufs(percentile(0.10)?))
    }
}

/// A run-in and then some steps of one channel, whose energies are to be added, scaled.
struct Stretch<'a> {
    samples: &'a [f32],
    run_in: usize,
    step_len: usize,
    weighting: KWeighting,
    scale: f64,
    energies: &'a mut [f64],
}

impl Lanes for Stretch<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let steps_per_lane = self.energies.len().div_ceil(WIDTH);
        let lane_len = steps_per_lane * self.step_len;
        let lanes: [&[f32]; WIDTH] = std::array::from_fn(|lane| self.samples.get(lane * lane_len..).unwrap_or(&[]));
        let mut filter = Filter::new(&self.weighting);
        for piece in (0..self.run_in).step_by(SUMMED) {
            filter.energy(&lanes, piece..self.run_in.min(piece + SUMMED));
        }
        for step in 0..steps_per_lane {
            let mut sums = [0.0f64; WIDTH];
            let (from, to) = (self.run_in + step * self.step_len, self.run_in + (step + 1) * self.step_len);
            for piece in (from..to).step_by(SUMMED) {
                let energy = filter.energy(&lanes, piece..to.min(piece + SUMMED));
                sums.iter_mut().zip(energy).for_each(|(sum, x)| *sum += f64::from(x));
            }
            for (lane, sum) in sums.iter().enumerate() {
                if let Some(energy) = self.energies.get_mut(lane * steps_per_lane + step) {
                    *energy += sum * self.scale;
                }
            }
        }
    }
}

/// Both sections over all lanes: direct form I, whose state is the signal itself, so that single precision is enough.
struct Filter {
    weighting: KWeighting32,
    x: [[f32; WIDTH]; 2],
    shelved: [[f32; WIDTH]; 2],
    y: [[f32; WIDTH]; 2],
}

struct KWeighting32 {
    shelf: [f32; 5],
    highpass: [f32; 5],
}

impl Filter {
    fn new(weighting: &KWeighting) -> Self {
        let weighting =
            KWeighting32 { shelf: weighting.shelf.map(|x| x as f32), highpass: weighting.highpass.map(|x| x as f32) };
        let rest = [[0.0; WIDTH]; 2];
        Filter { weighting, x: rest, shelved: rest, y: rest }
    }

    /// Filters this range of every lane, [`SUMMED`] samples at most, and returns the energies. A lane that ends goes on in silence.
    #[inline(always)]
    fn energy(&mut self, lanes: &[&[f32]; WIDTH], range: std::ops::Range<usize>) -> [f32; WIDTH] {
        let mut energies = [0.0f32; WIDTH];
        let KWeighting32 { shelf, highpass } = self.weighting;
        let (mut x, mut shelved, mut y) = (self.x, self.shelved, self.y);
        let pieces = transposed(lanes, range.start);
        for now in &pieces[..range.len().min(SUMMED)] {
            let between = section(&shelf, now, &x, &shelved);
            x = [*now, x[0]];
            let out = section(&highpass, &between, &shelved, &y);
            shelved = [between, shelved[0]];
            y = [out, y[0]];
            for lane in 0..WIDTH {
                energies[lane] += out[lane] * out[lane];
            }
        }
        (self.x, self.shelved, self.y) = (x, shelved, y);
        energies
    }
}

/// The next samples of every lane, one after the other.
#[inline(always)]
fn transposed(lanes: &[&[f32]; WIDTH], from: usize) -> [[f32; WIDTH]; SUMMED] {
    let mut rows = [[0.0; WIDTH]; SUMMED];
    for (lane, samples) in lanes.iter().enumerate() {
        for (row, &x) in rows.iter_mut().zip(samples.get(from..).unwrap_or(&[])) {
            row[lane] = x;
        }
    }
    rows
}

/// One sample of every lane through a second-order section: input now, the last two inputs, the last two outputs.
#[inline(always)]
fn section(k: &[f32; 5], now: &[f32; WIDTH], x: &[[f32; WIDTH]; 2], y: &[[f32; WIDTH]; 2]) -> [f32; WIDTH] {
    let &[b0, b1, b2, a1, a2] = k;
    std::array::from_fn(|i| (b0 * now[i] + b1 * x[0][i] + b2 * x[1][i] - a2 * y[1][i]) - a1 * y[0][i])
}

#[inline(always)]
fn finite(x: f32) -> f32 {
    if x.abs() <= 1e6 { x } else { 0.0 }
}

/// BS.1770 weights: surround channels 1.41, the low-frequency channel none. Order as in WAV: L R C LFE Ls Rs.
fn weight(index: usize, channels: usize) -> f64 {
    match (channels, index) {
        (6.., 3) => 0.0,
        (4, 2..) | (5, 3..) | (6.., 4..) => 1.41,
        _ => 1.0,
    }
}

fn window_means(steps: &[f64], len: usize) -> Vec<f64> {
    steps.windows(len).map(|window| window.iter().sum::<f64>() / len as f64).collect()
}

fn gated(powers: &[f64], gate: f64) -> Vec<f64> {
    powers.iter().copied().filter(|&power| power >= gate).collect()
}

fn mean(powers: &[f64]) -> Option<f64> {
    (!powers.is_empty()).then(|| powers.iter().sum::<f64>() / powers.len() as f64)
}

fn lufs(power: f64) -> f64 {
    -0.691 + 10.0 * power.log10()
}

fn power(lufs: f64) -> f64 {
    10f64.powf((lufs + 0.691) / 10.0)
}
