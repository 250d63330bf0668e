//! Level and crossings of the waveform itself: RMS and zero-crossing rate, each the mean over frames.
//!
//! Frames of 2048 samples every 512 are four blocks of 512 each, so that one pass of block sums gives all frames.

use super::stft::HOP;

const BLOCKS_PER_FRAME: usize = 4;
const FRAME: usize = BLOCKS_PER_FRAME * HOP;

/// RMS of each frame, with zeros beyond both ends.
pub(super) fn rms_frames(samples: &[f32]) -> Vec<f32> {
    let squares: Vec<f64> = samples.chunks(HOP).map(sum_of_squares).collect();
    let frames = 1 + samples.len() / HOP;
    (0..frames).map(|t| (frame_blocks(&squares, t).sum::<f64>() / FRAME as f64).sqrt() as f32).collect()
}

/// Crossings over samples of a frame, mean over frames. The ends are continued by their own value: no crossings there.
pub(super) fn zero_crossing_rate(samples: &[f32]) -> f64 {
    let mut previous = false;
    let mut firsts = Vec::with_capacity(samples.len() / HOP + 1);
    let crossings: Vec<u32> = samples
        .chunks(HOP)
        .enumerate()
        .map(|(index, block)| {
            let negative: Vec<bool> = block.iter().map(|&x| x < -1e-10).collect();
            let first = index > 0 && negative.first().is_some_and(|&now| now != previous);
            firsts.push(u32::from(first));
            previous = negative.last().copied().unwrap_or(previous);
            u32::from(first) + negative.windows(2).map(|pair| u32::from(pair[0] != pair[1])).sum::<u32>()
        })
        .collect();
    let frames = 1 + samples.len() / HOP;
    // The first sample of a frame has no predecessor within it, hence cannot cross.
    let total: u64 = (0..frames)
        .map(|t| {
            let first = t.checked_sub(2).and_then(|block| firsts.get(block)).copied().unwrap_or(0);
            u64::from(frame_blocks(&crossings, t).sum::<u32>() - first)
        })
        .sum();
    total as f64 / (frames * FRAME) as f64
}

/// The blocks under frame `t`, which is centred on sample `512 t`.
fn frame_blocks<T: Copy>(blocks: &[T], t: usize) -> impl Iterator<Item = T> + '_ {
    let from = t.saturating_sub(2).min(blocks.len());
    let to = (t + 2).min(blocks.len());
    blocks[from..to].iter().copied()
}

/// In double precision, eight sums side by side so that the loop vectorises.
fn sum_of_squares(block: &[f32]) -> f64 {
    let (eights, rest) = block.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for eight in eights {
        for (sum, &x) in sums.iter_mut().zip(eight) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
}

/// Mean of single-precision values in double precision; 0 for none.
pub(super) fn mean(values: &[f32]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64 }
}
