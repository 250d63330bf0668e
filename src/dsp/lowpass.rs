//! The low-pass filter of a rate: soxr's of HQ quality, a Kaiser-windowed sinc, flat to 91.4 % of the lower Nyquist frequency, -6 dB in
//! the middle of the transition, some -125 dB beyond.

use std::f64::consts::PI;

use super::resample::ANALYSIS_RATE;

/// The filter is -6 dB here, as part of the lower Nyquist frequency, and nothing from that frequency on.
const CUTOFF: f64 = 0.956_872;
/// Shape of the Kaiser window for a stop band of -126 dB, and the taps this takes in a transition of 1; and what each further
/// decibel takes. As measured of the reference, within 0.25 dB down to -90 dB at the usual rates.
const KAISER_BETA: f64 = 13.040_1;
const BETA_PER_DB: f64 = 0.110_2;
const TAPS_PER_TRANSITION: f64 = 8.302_3;
const TAPS_PER_DB: f64 = 0.071_7;
/// By how much the stop bands of two stages have to be lower than that of one.
const MORE_DB: f64 = 6.020_6;
/// Taps in a transition of 1 of a filter beside an interpolating one, or of that one itself.
pub(super) const TAPS_BESIDE_ANOTHER: f64 = TAPS_PER_TRANSITION + TAPS_PER_DB * MORE_DB;
/// Samples of a block of the reference, at the rate that its filter works at.
const BLOCK: f64 = 2_048.0;

/// See the module. Times are in samples of the input.
pub(super) struct Lowpass {
    cutoff: f64,
    beta: f64,
    /// Half the window's length.
    width: f64,
    /// What makes the gain at 0 Hz 1.
    norm: f64,
    scale: f64,
    /// Samples of a block of the reference at the input rate.
    pub(super) block: usize,
}

impl Lowpass {
    pub(super) fn of(rate: u32, stages: &Stages) -> Lowpass {
        let Stages { scale, more_db, .. } = *stages;
        let nyquist = f64::from(rate.min(ANALYSIS_RATE)) / f64::from(rate);
        let (cutoff, transition) = (CUTOFF * nyquist, (1.0 - CUTOFF) * nyquist / scale);
        // As the reference, which rounds up to whole groups of four taps and one in the middle.
        let taps = (TAPS_PER_TRANSITION + TAPS_PER_DB * more_db) / transition + 3.0;
        let half = (taps.ceil() / 4.0).floor() * 2.0;
        let (beta, width) = (KAISER_BETA + BETA_PER_DB * more_db, (half + 0.5) / scale);
        let mut lowpass = Lowpass { cutoff, beta, width, norm: 1.0, scale, block: (BLOCK / scale) as usize };
        let reach = lowpass.reach() as i32;
        lowpass.norm = (-reach..=reach).map(|lag| lowpass.at(f64::from(lag))).sum::<f64>().recip();
        lowpass
    }

    /// Samples that the filter reaches on each side of the one it makes.
    pub(super) fn reach(&self) -> usize {
        (self.width - 0.5 / self.scale) as usize
    }

    /// The kernel at a lag, which need not be whole.
    pub(super) fn at(&self, lag: f64) -> f64 {
        self.norm * windowed_sinc(lag, self.cutoff, self.beta, self.width)
    }

    /// What the filter makes of `input` at a time before its first sample: it rings before the sound begins.
    pub(super) fn before(&self, input: &[f32], time: f64) -> f64 {
        let within = (time + self.width).max(0.0).ceil() as usize;
        input.iter().take(within).enumerate().map(|(n, x)| f64::from(*x) * self.at(time - n as f64)).sum()
    }
}

/// How the reference comes from a rate to the analysis rate.
pub(super) struct Stages {
    /// The rate that its filter works at, as a multiple of the input rate.
    pub(super) scale: f64,
    /// Samples of the filter for one of the analysis rate.
    pub(super) step: f64,
    /// By how much the filter's stop band is lower than that of a single stage.
    more_db: f64,
}

impl Stages {
    pub(super) fn of(rate: u32) -> Stages {
        let (mut scale, mut step) = (1.0, f64::from(rate) / f64::from(ANALYSIS_RATE));
        let mut stages = 1.0;
        // High rates are halved first; low ones are doubled by the filter itself.
        while step >= 4.0 {
            (step, scale, stages) = (step / 2.0, scale / 2.0, stages + 1.0);
        }
        if step < 2.0 {
            (step, scale) = (step * 2.0, scale * 2.0);
        }
        let mut found = Stages { scale, step, more_db: 20.0 * f64::log10(stages) };
        if found.interpolates() {
            found.more_db += MORE_DB;
        }
        found
    }

    /// Whether an interpolating stage makes what is no factor of two.
    pub(super) fn interpolates(&self) -> bool {
        self.step != 1.0 && self.step != 2.0
    }
}

/// A sinc of a cut-off frequency relative to the Nyquist frequency in a Kaiser window of twice `width`, before division by the
/// window's own height.
pub(super) fn windowed_sinc(time: f64, cutoff: f64, beta: f64, width: f64) -> f64 {
    if time.abs() >= width {
        return 0.0;
    }
    let sinc = if time == 0.0 { cutoff } else { (PI * cutoff * time).sin() / (PI * time) };
    sinc * bessel_i0(beta * (1.0 - (time / width).powi(2)).sqrt())
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
