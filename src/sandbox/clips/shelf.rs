//! The clips made last: retries and second providers do not cost a second synthesis.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::score::Score;
use super::synth::{SAMPLE_RATE, render};

/// How many clips are kept, at about 0.7 MB each.
const KEPT: usize = 8;

/// A clip as it was sent: its key and its bytes.
type Kept = (String, Arc<Vec<u8>>);

/// Clips by provider and name, the last used ones.
#[derive(Debug, Default)]
pub struct ClipShelf {
    kept: Mutex<VecDeque<Kept>>,
}

impl ClipShelf {
    /// The clip of a score as `provider` serves it.
    pub fn clip(&self, provider: &str, name: &str, score: &Score) -> Arc<Vec<u8>> {
        let key = format!("{provider}/{name}");
        if let Some(found) = self.find(&key) {
            return found;
        }
        // Made outside the lock; two makers of one clip make the same.
        let clip = Arc::new(super::encode(&render(score), SAMPLE_RATE, &key));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((key, Arc::clone(&clip)));
        kept.truncate(KEPT);
        clip
    }

    fn find(&self, key: &str) -> Option<Arc<Vec<u8>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == key).map(|(_, clip)| Arc::clone(clip))
    }
}
