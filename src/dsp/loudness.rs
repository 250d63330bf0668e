//! Loudness after EBU R128: integrated loudness (ITU-R BS.1770-4) and loudness range (EBU Tech 3342).
//!
//! Fed with the channels as they are decoded, before the mix to mono: antiphase stereo is silent in mono but loud in a room.

use std::f64::consts::PI;

/// Gating blocks are 400 ms long and start every 100 ms; short-term windows are 3 s long.
const STEPS_PER_BLOCK: usize = 4;
const STEPS_PER_SHORT_TERM: usize = 30;
const ABSOLUTE_GATE_LUFS: f64 = -70.0;

/// Accumulates the K-weighted energy of 100 ms steps.
#[derive(Debug, Default)]
pub(super) struct LoudnessMeter {
    channels: Vec<Channel>,
    coefficients: KWeighting,
    step_len: usize,
    in_step: usize,
    /// Channel-weighted mean square of each complete 100 ms step.
    steps: Vec<f64>,
}

#[derive(Debug, Default, Clone)]
struct Channel {
    weight: f64,
    state: [f64; 4],
    energy: f64,
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

/// One sample through one section, transposed direct form II.
#[inline(always)]
fn section(x: f64, [b0, b1, b2, a1, a2]: [f64; 5], s1: &mut f64, s2: &mut f64) -> f64 {
    let y = b0 * x + *s1;
    *s1 = (b1 * x + *s2) - a1 * y;
    *s2 = b2 * x - a2 * y;
    y
}

impl LoudnessMeter {
    pub(super) fn reset(&mut self, rate: u32, channels: usize) {
        self.coefficients = KWeighting::new(f64::from(rate));
        self.channels = (0..channels).map(|index| Channel { weight: weight(index, channels), ..Channel::default() }).collect();
        self.step_len = (rate as usize).div_ceil(10).max(1);
        self.in_step = 0;
        self.steps.clear();
    }

    /// Adds frames, one plane a channel.
    pub(super) fn add(&mut self, planes: &[&[f32]]) {
        let frames = planes.iter().map(|plane| plane.len()).min().unwrap_or(0);
        let mut from = 0;
        while from < frames {
            let to = frames.min(from + self.step_len - self.in_step);
            self.filter(planes, from, to);
            self.in_step += to - from;
            from = to;
            if self.in_step == self.step_len {
                self.close_step();
            }
        }
    }

    fn filter(&mut self, planes: &[&[f32]], from: usize, to: usize) {
        if let ([left, right], [left_plane, right_plane]) = (self.channels.as_mut_slice(), planes) {
            filter_pair(left, right, &left_plane[from..to], &right_plane[from..to], &self.coefficients);
            return;
        }
        for (channel, plane) in self.channels.iter_mut().zip(planes) {
            filter_one(channel, &plane[from..to], &self.coefficients);
        }
    }

    fn close_step(&mut self) {
        let mean_square: f64 = self.channels.iter_mut().map(|c| c.weight * std::mem::take(&mut c.energy)).sum();
        self.steps.push(mean_square / self.step_len as f64);
        self.in_step = 0;
        for channel in &mut self.channels {
            // Denormals after digital silence would slow the filter down a hundredfold.
            for state in &mut channel.state {
                if state.abs() < 1e-30 {
                    *state = 0.0;
                }
            }
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

fn filter_one(channel: &mut Channel, samples: &[f32], k: &KWeighting) {
    let [mut a, mut b, mut c, mut d] = channel.state;
    let mut energy = 0.0;
    for &x in samples {
        let shelved = section(finite(x), k.shelf, &mut a, &mut b);
        let y = section(shelved, k.highpass, &mut c, &mut d);
        energy += y * y;
    }
    channel.state = [a, b, c, d];
    channel.energy += energy;
}

/// Both channels in step, so that the two chains of dependent operations overlap.
fn filter_pair(left: &mut Channel, right: &mut Channel, l: &[f32], r: &[f32], k: &KWeighting) {
    let [mut la, mut lb, mut lc, mut ld] = left.state;
    let [mut ra, mut rb, mut rc, mut rd] = right.state;
    let mut energy = [0.0; 2];
    for (&x, &z) in l.iter().zip(r) {
        let shelved = [section(finite(x), k.shelf, &mut la, &mut lb), section(finite(z), k.shelf, &mut ra, &mut rb)];
        let y = [section(shelved[0], k.highpass, &mut lc, &mut ld), section(shelved[1], k.highpass, &mut rc, &mut rd)];
        energy[0] += y[0] * y[0];
        energy[1] += y[1] * y[1];
    }
    left.state = [la, lb, lc, ld];
    right.state = [ra, rb, rc, rd];
    left.energy += energy[0];
    right.energy += energy[1];
}

#[inline(always)]
fn finite(x: f32) -> f64 {
    f64::from(if x.abs() <= 1e6 { x } else { 0.0 })
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
