//! Onsets and beats as points in time.

/// Weight of the tempo against the onsets (Ellis 2007); higher follows the tempo more rigidly.
const TIGHTNESS: f64 = 100.0;
/// Two onsets closer than this many frames (70 ms) are heard as one.
const ONSET_GAP: usize = 3;

/// Frames of the onsets: local maxima of the strength that stand out from their neighbourhood.
pub(super) fn onsets(strength: &[f64]) -> Vec<usize> {
    let reach = 10;
    let mut found: Vec<usize> = Vec::new();
    for t in 1..strength.len().saturating_sub(1) {
        let here = strength[t];
        let around = &strength[t.saturating_sub(reach)..(t + reach + 1).min(strength.len())];
        let mean = around.iter().sum::<f64>() / around.len() as f64;
        let is_peak = here > strength[t - 1] && here >= strength[t + 1] && here > mean + 0.5;
        if is_peak && found.last().is_none_or(|&last| t - last >= ONSET_GAP) {
            found.push(t);
        }
    }
    found
}

/// Frames of the beats: the sequence, some `period` frames apart, that collects most onset strength (dynamic programming).
pub(super) fn track(strength: &[f64], period: f64) -> Vec<usize> {
    // Not NaN, not below what a frame can tell apart.
    if strength.len() < 2 || !period.is_finite() || period < 4.0 {
        return Vec::new();
    }
    let (nearest, farthest) = ((period / 2.0).round() as usize, (2.0 * period).round() as usize);
    let cost: Vec<f64> = (nearest..=farthest).map(|gap| -TIGHTNESS * (gap as f64 / period).ln().powi(2)).collect();
    let mut score = strength.to_vec();
    let mut previous = vec![None; strength.len()];
    for t in 0..strength.len() {
        let candidates = (nearest..=farthest.min(t)).zip(&cost).map(|(gap, cost)| (t - gap, score[t - gap] + cost));
        if let Some((from, best)) = candidates.max_by(|a, b| a.1.total_cmp(&b.1))
            && best > 0.0
        {
            score[t] += best;
            previous[t] = Some(from);
        }
    }
    let tail = strength.len().saturating_sub(period.ceil() as usize);
    let mut at = (tail..strength.len()).max_by(|&a, &b| score[a].total_cmp(&score[b]));
    let mut beats = Vec::new();
    while let Some(t) = at {
        beats.push(t);
        at = previous[t];
    }
    beats.reverse();
    beats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_fall_on_regular_pulses() {
        let strength: Vec<f64> = (0..600).map(|t| if t % 20 == 7 { 3.0 } else { 0.0 }).collect();
        let beats = track(&strength, 20.0);
        assert!(beats.len() >= 28, "{} beats", beats.len());
        assert!(beats.iter().all(|beat| beat % 20 == 7), "{beats:?}");
        assert_eq!(onsets(&strength).len(), 30);
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert!(track(&[], 20.0).is_empty());
        assert!(track(&[0.0; 5], f64::NAN).is_empty());
        assert!(onsets(&[]).is_empty());
    }
}
