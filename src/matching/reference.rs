//! Reference mode: the ratio that the predecessor computed, so that its joins can be reproduced.
//!
//! Equal to Python 3.11's `SequenceMatcher(None, a, b).ratio()` of both names in lower case without whitespace, including
//! the rule that ignores popular letters of texts of 200 letters and more ("autojunk"), and including its faults: the
//! ratio depends on the order of the arguments. The one difference: no more than [`LONGEST_REFERENCE`] letters of each
//! name are compared, since the algorithm is cubic.

use std::collections::HashMap;

/// Letters compared; twice the longest title in the labelled sets that the predecessor was measured on.
pub const LONGEST_REFERENCE: usize = 2_000;

/// Python counts a letter of a long text as junk if more than one in a hundred is that letter.
const AUTOJUNK_LENGTH: usize = 200;

/// The predecessor's ratio, 0 to 1. Two empty names have the ratio 1, as in Python; the matcher refuses them.
pub fn reference_ratio(a: &str, b: &str) -> f64 {
    let (a, b) = (squeezed(a), squeezed(b));
    let total = a.len() + b.len();
    if total == 0 { 1.0 } else { 2.0 * matching_letters(&a, &b) as f64 / total as f64 }
}

/// `lower()` and all `\s` removed. Python's `\s` also holds the four information separators.
pub(super) fn squeezed(name: &str) -> Vec<char> {
    let kept = |letter: &char| !letter.is_whitespace() && !('\u{1c}'..='\u{1f}').contains(letter);
    // A character has at least a byte of the limit; lower case of the whole string keeps Python's rule for the final sigma.
    let end = name.char_indices().filter(|(_, letter)| kept(letter)).nth(LONGEST_REFERENCE).map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or(name).to_lowercase().chars().filter(kept).collect()
}

fn matching_letters(a: &[char], b: &[char]) -> usize {
    let places = places_of(b);
    let mut longest = LongestBlock::new(&places, b.len());
    let mut open = vec![(0, a.len(), 0, b.len())];
    let mut total = 0;
    while let Some((a_low, a_high, b_low, b_high)) = open.pop() {
        let (i, j, size) = longest.find(a, b, (a_low, a_high, b_low, b_high));
        if size > 0 {
            total += size;
            if a_low < i && b_low < j {
                open.push((a_low, i, b_low, j));
            }
            if i + size < a_high && j + size < b_high {
                open.push((i + size, a_high, j + size, b_high));
            }
        }
    }
    total
}

/// Where each letter of `b` stands; without the popular ones if `b` is long.
fn places_of(b: &[char]) -> HashMap<char, Vec<usize>> {
    let mut places: HashMap<char, Vec<usize>> = HashMap::new();
    for (at, letter) in b.iter().enumerate() {
        places.entry(*letter).or_default().push(at);
    }
    if b.len() >= AUTOJUNK_LENGTH {
        let popular = b.len() / 100 + 1;
        places.retain(|_, at| at.len() <= popular);
    }
    places
}

struct LongestBlock<'a> {
    places: &'a HashMap<char, Vec<usize>>,
    /// The length of the block that ends at each place of `b`, for the last letter of `a` and the one before.
    last: Vec<usize>,
    current: Vec<usize>,
}

impl<'a> LongestBlock<'a> {
    fn new(places: &'a HashMap<char, Vec<usize>>, length: usize) -> LongestBlock<'a> {
        LongestBlock { places, last: vec![0; length + 1], current: vec![0; length + 1] }
    }

    /// The longest common block in these bounds, the earliest in `a` and then in `b`, grown by the letters beside it.
    fn find(&mut self, a: &[char], b: &[char], bounds: (usize, usize, usize, usize)) -> (usize, usize, usize) {
        let (a_low, a_high, b_low, b_high) = bounds;
        let (mut i, mut j, mut size) = (a_low, b_low, 0);
        let mut touched: &[usize] = &[];
        for (at, letter) in a.iter().enumerate().take(a_high).skip(a_low) {
            let found = self.places.get(letter).map_or(&[][..], Vec::as_slice);
            let first = found.partition_point(|place| *place < b_low);
            let end = found.partition_point(|place| *place < b_high);
            let here = found.get(first..end).unwrap_or(&[]);
            for &place in here {
                let length = value(&self.last, place) + 1;
                put(&mut self.current, place + 1, length);
                if length > size {
                    (i, j, size) = (at + 1 - length, place + 1 - length, length);
                }
            }
            touched.iter().for_each(|&place| put(&mut self.last, place + 1, 0));
            std::mem::swap(&mut self.last, &mut self.current);
            touched = here;
        }
        touched.iter().for_each(|&place| put(&mut self.last, place + 1, 0));
        grown(a, b, bounds, (i, j, size))
    }
}

/// Popular letters were not looked for, yet they extend a block that they touch.
fn grown(a: &[char], b: &[char], bounds: (usize, usize, usize, usize), block: (usize, usize, usize)) -> (usize, usize, usize) {
    let (a_low, a_high, b_low, b_high) = bounds;
    let (mut i, mut j, mut size) = block;
    while i > a_low && j > b_low && a.get(i - 1) == b.get(j - 1) {
        (i, j, size) = (i - 1, j - 1, size + 1);
    }
    while i + size < a_high && j + size < b_high && a.get(i + size) == b.get(j + size) {
        size += 1;
    }
    (i, j, size)
}

fn value(row: &[usize], at: usize) -> usize {
    row.get(at).copied().unwrap_or(0)
}

fn put(row: &mut [usize], at: usize, length: usize) {
    if let Some(cell) = row.get_mut(at) {
        *cell = length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_pythons() {
        for (a, b, ratio) in [
            ("", "", 1.0),
            ("abc", "", 0.0),
            ("abcd", "bcde", 0.75),
            ("Tide", "diet", 0.25),
            ("diet", "Tide", 0.5),
            ("Spoon", "T-Spoon", 10.0 / 12.0),
        ] {
            assert!((reference_ratio(a, b) - ratio).abs() < 1e-9, "{a} {b}: {}", reference_ratio(a, b));
        }
    }

    #[test]
    fn popular_letters_of_long_texts_are_ignored() {
        // Python: SequenceMatcher(None, 'ab' * 100, 'ba' * 100).ratio() == 0.0
        assert_eq!(reference_ratio(&"ab".repeat(100), &"ba".repeat(100)), 0.0);
        assert!(reference_ratio(&"ab".repeat(99), &"ba".repeat(99)) > 0.9);
    }
}
