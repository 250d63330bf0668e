//! Bounds on the work that one clip may cause, and the cooperative way out of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::error::AnalyzeError;

/// What one analysis may cost. The defaults fit 30-second previews.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Seconds of sound analysed, from the start. More costs time and memory in proportion; less makes the tempo unsure.
    pub max_seconds: f64,
    /// Bytes read at most, whatever the container claims. The default lets 30 s of 8-channel 192 kHz PCM pass.
    pub max_bytes: u64,
    /// Give up after this moment. Checked between steps and between packets: a step takes milliseconds.
    pub deadline: Option<Instant>,
    /// Give up when somebody sets this.
    pub cancelled: Option<Arc<AtomicBool>>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_seconds: 30.0, max_bytes: 256 << 20, deadline: None, cancelled: None }
    }
}

impl Limits {
    /// `Err` once the caller has given up.
    pub(super) fn check(&self) -> Result<(), AnalyzeError> {
        if self.cancelled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(AnalyzeError::Cancelled("stopped by the caller"));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(AnalyzeError::Cancelled("the deadline passed"));
        }
        Ok(())
    }
}
