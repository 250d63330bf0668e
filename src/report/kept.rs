//! What is kept of a database of any size: some entries by name, and the first few by a value.
//!
//! **Guarantee.** Neither holds more than its limit, and what is kept depends only on the set of rows, not on their order.

use std::collections::BTreeMap;

/// At most `limit` entries by name: those whose names have the smallest hashes. Whoever is in at the end was never turned away
/// before, for the bar only gets higher; so what an entry counts is complete.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept<V> {
    limit: usize,
    entries: BTreeMap<(u64, String), V>,
    left_out: bool,
}

impl<V: Default> Kept<V> {
    pub(super) fn new(limit: usize) -> Kept<V> {
        Kept { limit, entries: BTreeMap::new(), left_out: false }
    }

    /// The entry called `name`, new if need be; `None` if it is none of those that are kept.
    pub(super) fn entry(&mut self, name: &str) -> Option<&mut V> {
        let key = (hash(name), name.to_owned());
        if self.entries.len() >= self.limit && !self.entries.contains_key(&key) {
            self.left_out = true;
            if self.entries.last_key_value().is_none_or(|(last, _)| *last < key) {
                return None;
            }
            self.entries.pop_last();
        }
        Some(self.entries.entry(key).or_default())
    }

    /// Whether there were more names than are kept.
    pub(super) fn left_out(&self) -> bool {
        self.left_out
    }

    /// Names with their entries, in no order that means anything, yet always the same.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.entries.iter().map(|((_, name), value)| (name.as_str(), value))
    }
}

/// FNV-1a with a last stir: the same everywhere and for ever, where the standard library's hashes may change.
fn hash(name: &str) -> u64 {
    let spread =
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let stirred = (spread ^ (spread >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    stirred ^ (stirred >> 29)
}

/// The `limit` entries with the largest values; equal ones by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Top<V> {
    limit: usize,
    entries: BTreeMap<(Falling, String), V>,
}

/// A number that sorts from large to small.
#[derive(Debug, Clone, Copy)]
struct Falling(f64);

impl PartialEq for Falling {
    fn eq(&self, other: &Falling) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Falling {}

impl PartialOrd for Falling {
    fn partial_cmp(&self, other: &Falling) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Falling {
    fn cmp(&self, other: &Falling) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0)
    }
}

impl<V> Top<V> {
    pub(super) fn new(limit: usize) -> Top<V> {
        Top { limit, entries: BTreeMap::new() }
    }

    /// Keeps it if it is among the largest.
    pub(super) fn offer(&mut self, value: f64, name: &str, entry: impl FnOnce() -> V) {
        let falling = Falling(value);
        let full = self.entries.len() >= self.limit;
        if full && self.entries.last_key_value().is_none_or(|(last, _)| (last.0, last.1.as_str()) < (falling, name)) {
            return;
        }
        self.entries.insert((falling, name.to_owned()), entry());
        if self.entries.len() > self.limit {
            self.entries.pop_last();
        }
    }

    /// From the largest down.
    pub(super) fn into_values(self) -> Vec<V> {
        self.entries.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_is_complete_bounded_and_free_of_order(names in prop::collection::vec("[a-f]{1,2}", 0..120), seed in any::<u64>()) {
            let mut other = names.clone();
            other.sort_by_key(|name| hash(&format!("{name}{seed}")));
            let count = |names: &[String]| {
                let mut kept: Kept<usize> = Kept::new(7);
                names.iter().for_each(|name| kept.entry(name).into_iter().for_each(|count| *count += 1));
                kept
            };
            let kept = count(&names);
            prop_assert_eq!(&kept, &count(&other));
            let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
            prop_assert_eq!(kept.iter().count(), distinct.len().min(7));
            prop_assert_eq!(kept.left_out(), distinct.len() > 7);
            for (name, count) in kept.iter() {
                prop_assert_eq!(*count, names.iter().filter(|other| *other == name).count());
            }
        }

        #[test]
        fn the_top_is_the_head_of_the_sorted_list(values in prop::collection::vec(-5..5_i32, 0..40)) {
            let mut top = Top::new(4);
            let mut all: Vec<(i32, String)> = values.iter().zip(0..).map(|(value, id)| (-value, format!("{id:02}"))).collect();
            all.iter().rev().for_each(|(value, id)| top.offer(f64::from(-value), id, || id.clone()));
            all.sort();
            let expected: Vec<String> = all.into_iter().take(4).map(|(_, id)| id).collect();
            prop_assert_eq!(top.into_values(), expected);
        }
    }
}
