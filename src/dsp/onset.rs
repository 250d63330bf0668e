//! Onset strength: how much louder the mel bands get from one frame to the next.

use super::mel::{BANDS, MelSpectrogram};

/// Zeros before the first difference: the lag of one frame and half a window, as the reference centres it.
const LEAD: usize = 3;

/// Onset strength as the reference's beat tracker takes it: the median over bands of the rise in decibels.
pub(super) fn median_onset_strength(mel: &MelSpectrogram) -> Vec<f32> {
    envelope(mel, |rises| {
        let (below, &mut upper, _) = rises.select_nth_unstable_by(BANDS / 2, f32::total_cmp);
        let lower = below.iter().copied().fold(0.0, f32::max);
        0.5 * (lower + upper)
    })
}

fn envelope(mel: &MelSpectrogram, mut aggregate: impl FnMut(&mut [f32; BANDS]) -> f32) -> Vec<f32> {
    let frames = mel.frames().len();
    let mut strengths = vec![0.0; LEAD];
    let mut rises = [0.0f32; BANDS];
    for (before, after) in mel.frames().zip(mel.frames().skip(1)) {
        for ((rise, before), after) in rises.iter_mut().zip(before).zip(after) {
            *rise = (after - before).max(0.0);
        }
        strengths.push(aggregate(&mut rises));
    }
    strengths.truncate(frames);
    strengths
}
