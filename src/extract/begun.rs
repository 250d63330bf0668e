//! What an errand that has to wait was already told, so that it does not ask again when it goes on.
//!
//! An errand may ask several services, one after the other. When one of them has to be waited for, the answers of those before it are
//! kept here until the errand is done, or too old to be used.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// For how long an answer is good. A source that knows nothing of a song is not asked for days once that is recorded, so hours do no
/// harm here.
const GOOD_FOR: Duration = Duration::from_secs(6 * 3_600);

/// See the module. Belongs to one processor; errands of different keys may use it at once.
#[derive(Debug)]
pub struct Begun<T> {
    told: RefCell<BTreeMap<String, (Instant, T)>>,
}

impl<T> Default for Begun<T> {
    fn default() -> Self {
        Begun { told: RefCell::default() }
    }
}

impl<T> Begun<T> {
    /// What was told for `key` and is still good. It is the caller's from now on: who has to wait again keeps it again.
    pub fn take(&self, key: &str) -> Option<(Instant, T)> {
        self.told.borrow_mut().remove(key).filter(|(since, _)| since.elapsed() < GOOD_FOR)
    }

    /// Keeps what was told for `key` since `since`.
    pub fn keep(&self, key: &str, since: Instant, told: T) {
        self.told.borrow_mut().insert(key.to_owned(), (since, told));
    }

    /// Forgets every other key: nobody waits for those any more.
    pub fn retain(&self, keys: &BTreeSet<(i32, String)>) {
        let wanted: BTreeSet<&str> = keys.iter().map(|(_, key)| key.as_str()).collect();
        self.told.borrow_mut().retain(|key, _| wanted.contains(key.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_kept_for_those_who_still_wait() {
        let begun = Begun::default();
        let now = Instant::now();
        begun.keep("a", now, 1);
        begun.keep("b", now, 2);
        begun.retain(&BTreeSet::from([(0, "b".to_owned()), (1, "c".to_owned())]));
        assert_eq!((begun.take("a"), begun.take("b"), begun.take("b")), (None, Some((now, 2)), None));
        if let Some(long_ago) = now.checked_sub(GOOD_FOR) {
            begun.keep("c", long_ago, 3);
            assert_eq!(begun.take("c"), None, "too old");
        }
    }
}
