//! The shape of the spectrum: centroid, bandwidth, rolloff and flatness, each the mean over frames.
//!
//! All four come from one pass over a frame in chunks of 64 bins: moments within a chunk are taken in single precision around
//! its own middle and put together in double precision, and the chunk sums find the rolloff without a second pass.

use super::simd::{Lanes, widest};
use super::stft::{BINS, Spectrogram, bin_hz};

const CHUNK: usize = 64;
const WIDTH: usize = 8;
/// Part of the magnitude that lies below the rolloff.
const ROLLOFF: f64 = 0.85;
const LEAST_POWER: f32 = 1e-10;

/// Means over frames, in Hz but for the flatness.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Shape {
    pub centroid: f64,
    pub bandwidth: f64,
    pub rolloff: f64,
    pub flatness: f64,
}

/// Measures every frame and averages. A silent frame has centroid, bandwidth and rolloff 0 and flatness 1.
pub(super) fn mean_shape(spectrogram: &Spectrogram) -> Shape {
    let sum = widest(SumOfShapes(spectrogram));
    let scale = 1.0 / spectrogram.frames().max(1) as f64;
    Shape {
        centroid: sum.centroid * scale,
        bandwidth: sum.bandwidth * scale,
        rolloff: sum.rolloff * scale,
        flatness: sum.flatness * scale,
    }
}

struct SumOfShapes<'a>(&'a Spectrogram);

impl Lanes for SumOfShapes<'_> {
    type Output = Shape;

    #[inline(always)]
    fn run(self) -> Shape {
        let mut magnitudes = vec![0.0f32; BINS];
        let mut sum = Shape::default();
        for power in self.0.power_frames() {
            let frame = frame_shape(power, &mut magnitudes);
            sum.centroid += frame.centroid;
            sum.bandwidth += frame.bandwidth;
            sum.rolloff += frame.rolloff;
            sum.flatness += frame.flatness;
        }
        sum
    }
}

#[inline(always)]
fn frame_shape(power: &[f32], magnitudes: &mut [f32]) -> Shape {
    for (magnitude, &power) in magnitudes.iter_mut().zip(power) {
        *magnitude = power.sqrt();
    }
    let mut sums = [0.0f64; BINS / CHUNK + 1];
    let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
    for ((index, chunk), sum) in magnitudes.chunks(CHUNK).enumerate().zip(&mut sums) {
        let [m0, m1, m2] = moments(chunk);
        let middle = (index * CHUNK + CHUNK / 2) as f64;
        *sum = m0;
        total += m0;
        first += m1 + middle * m0;
        second += m2 + 2.0 * middle * m1 + middle * middle * m0;
    }
    let flatness = flatness(power);
    if total < f64::from(f32::MIN_POSITIVE) {
        return Shape { flatness, ..Shape::default() };
    }
    let centroid = first / total;
    let variance = (second / total - centroid * centroid).max(0.0);
    Shape {
        centroid: centroid * bin_hz(1),
        bandwidth: variance.sqrt() * bin_hz(1),
        rolloff: rolloff(magnitudes, &sums, total),
        flatness,
    }
}

/// Bins from the middle of a chunk.
const OFFSETS: [f32; CHUNK] = {
    let mut offsets = [0.0; CHUNK];
    let mut i = 0;
    while i < CHUNK {
        offsets[i] = i as f32 - (CHUNK / 2) as f32;
        i += 1;
    }
    offsets
};

/// Sum, first and second moment of a chunk around its middle. What a last, shorter chunk lacks is nothing.
#[inline(always)]
fn moments(chunk: &[f32]) -> [f64; 3] {
    let mut sums = [[0.0f32; WIDTH]; 3];
    let (rows, rest) = chunk.as_chunks::<WIDTH>();
    let (offset_rows, _) = OFFSETS.as_chunks::<WIDTH>();
    let mut last = [0.0; WIDTH];
    last.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
    for (x, offset) in rows.iter().chain([&last]).zip(offset_rows) {
        let [zeroth, first, second] = &mut sums;
        for lane in 0..WIDTH {
            zeroth[lane] += x[lane];
        }
        for lane in 0..WIDTH {
            first[lane] += x[lane] * offset[lane];
        }
        for lane in 0..WIDTH {
            second[lane] += x[lane] * (offset[lane] * offset[lane]);
        }
    }
    sums.map(|lanes| lanes.iter().map(|&x| f64::from(x)).sum())
}

/// The lowest frequency below and at which the wanted part of the magnitude lies.
#[inline(always)]
fn rolloff(magnitudes: &[f32], chunk_sums: &[f64], total: f64) -> f64 {
    let wanted = ROLLOFF * total;
    let mut below = 0.0;
    for (chunk, sum) in magnitudes.chunks(CHUNK).zip(chunk_sums).enumerate().map(|(i, (m, s))| ((i, m), s)) {
        let (index, chunk) = chunk;
        if below + sum >= wanted {
            for (i, &magnitude) in chunk.iter().enumerate() {
                below += f64::from(magnitude);
                if below >= wanted {
                    return bin_hz(index * CHUNK + i);
                }
            }
        } else {
            below += sum;
        }
    }
    bin_hz(BINS - 1)
}

/// Geometric over arithmetic mean of the power. The logarithm is taken of products whose exponents are kept apart.
#[inline(always)]
fn flatness(power: &[f32]) -> f64 {
    let (mut products, mut sums) = ([1.0f64; WIDTH], [0.0f64; WIDTH]);
    let mut exponents = 0i64;
    for chunk in power.chunks(CHUNK) {
        let (rows, rest) = chunk.as_chunks::<WIDTH>();
        // What a last, shorter chunk lacks must not change a product nor a sum: it is taken out again below.
        let mut last = [1.0; WIDTH];
        last.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
        let padding = if rest.is_empty() { None } else { Some(&last) };
        for row in rows.iter().chain(padding) {
            let mut x = [0.0f64; WIDTH];
            for lane in 0..WIDTH {
                x[lane] = f64::from(if row[lane] > LEAST_POWER { row[lane] } else { LEAST_POWER });
            }
            for lane in 0..WIDTH {
                sums[lane] += x[lane];
            }
            for lane in 0..WIDTH {
                products[lane] *= x[lane];
            }
        }
        // Eight factors between 1e-10 and 1e20 keep a product well within range until its exponent is taken out.
        for product in &mut products {
            let bits = product.to_bits();
            exponents += (bits >> 52) as i64 - 1023;
            *product = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
        }
    }
    let logarithm = products.iter().product::<f64>().ln() + exponents as f64 * std::f64::consts::LN_2;
    let padding = (WIDTH - power.len() % WIDTH) % WIDTH;
    let bins = power.len().max(1) as f64;
    (logarithm / bins).exp() / ((sums.iter().sum::<f64>() - padding as f64) / bins)
}
