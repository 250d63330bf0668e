//! Tells waiting sessions of this process that something was appended.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A counter of publications that can be waited on.
#[derive(Debug, Default)]
pub(super) struct News {
    published: Mutex<u64>,
    changed: Condvar,
}

impl News {
    /// How many publications there have been. Read it before looking for messages, so that none is missed in between.
    pub(super) fn seen(&self) -> u64 {
        *self.published.lock()
    }

    /// Counts a publication and wakes everybody.
    pub(super) fn tell(&self) {
        *self.published.lock() += 1;
        self.changed.notify_all();
    }

    /// Waits until there are more than `seen`; answers whether there are.
    pub(super) fn wait(&self, seen: u64, at_most: Duration) -> bool {
        let mut published = self.published.lock();
        if *published == seen {
            self.changed.wait_for(&mut published, at_most);
        }
        *published != seen
    }
}
