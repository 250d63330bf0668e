//! Distances between two keys: the plain edit distance, and what the edits of a typing error cost.
//!
//! `edits` equals `strsim`'s Levenshtein distance; where a key is ASCII and short, as nearly all are, it computes 64 cells
//! of the table at once (Myers 1999, in Hyyrö's form). `typo_cost` asks how likely one key is a misspelling of the other:
//! a doubled letter or a swapped pair costs less than another first letter or a plural. Both look at no more than
//! [`LONGEST_COMPARED`] letters, so that hostile input costs microseconds.

/// Letters compared one by one. Beyond them keys must be equal up to the length.
pub const LONGEST_COMPARED: usize = 256;

/// The Levenshtein distance of two keys, of at most [`LONGEST_COMPARED`] letters each.
pub fn edits(one: &str, other: &str) -> usize {
    let (one, other) =
        if one.is_ascii() && other.is_ascii() { without_common_bytes(one, other) } else { without_common_ends(one, other) };
    if one.is_empty() || other.is_empty() {
        return one.chars().count().max(other.chars().count());
    }
    if one.is_ascii() && other.is_ascii() {
        let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
        if short.len() <= 64 {
            return edits_in_one_word(short.as_bytes(), long.as_bytes());
        }
    }
    let (one, other) = (letters(one), letters(other));
    strsim::generic_levenshtein(&one, &other)
}

/// The start of a key that is compared.
pub fn letters(key: &str) -> Vec<char> {
    key.chars().take(LONGEST_COMPARED).collect()
}

/// As [`without_common_ends`], for ASCII, where every byte is a letter.
fn without_common_bytes<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let start = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let (one, other) = (one.get(start..).unwrap_or(""), other.get(start..).unwrap_or(""));
    let end = one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
    (one.get(..one.len() - end).unwrap_or(""), other.get(..other.len() - end).unwrap_or(""))
}

fn without_common_ends<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let start: usize = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let (one, other) = (one.get(start..).unwrap_or(""), other.get(start..).unwrap_or(""));
    let end: usize = one.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    (one.get(..one.len() - end).unwrap_or(""), other.get(..other.len() - end).unwrap_or(""))
}

/// Bit-parallel Levenshtein: `short` has at most 64 bytes, both are ASCII.
fn edits_in_one_word(short: &[u8], long: &[u8]) -> usize {
    let mut places = [0u64; 128];
    for (at, &byte) in short.iter().enumerate() {
        if let Some(mask) = places.get_mut(usize::from(byte)) {
            *mask |= 1 << at;
        }
    }
    let last = 1u64 << (short.len() - 1);
    let (mut plus, mut minus, mut distance) = (u64::MAX, 0u64, short.len());
    for &byte in long {
        let equal = places.get(usize::from(byte)).copied().unwrap_or(0);
        let diagonal = (((equal & plus).wrapping_add(plus)) ^ plus) | equal | minus;
        let (up, down) = (minus | !(diagonal | plus), plus & diagonal);
        distance += usize::from(up & last != 0);
        distance -= usize::from(down & last != 0);
        let (up, down) = ((up << 1) | 1, down << 1);
        plus = down | !(diagonal | up);
        minus = up & diagonal;
    }
    distance
}

/// Costs in hundredths of an edit.
mod cost {
    pub const EDIT: u32 = 100;
    /// "Elliott" and "Elliot".
    pub const DOUBLED: u32 = 60;
    /// "Rhianna" and "Rihanna".
    pub const SWAPPED: u32 = 80;
    /// "Lauryn" and "Lauren"; "Klan" and "Clan".
    pub const SOUNDS_ALIKE: u32 = 80;
    /// "Bryan" and "Ryan": hands and ears rarely miss the start of a word.
    pub const FIRST: u32 = 160;
    /// "Daughters" and "Daughter": more often another band than an error.
    pub const PLURAL: u32 = 150;
}

/// What it takes to mistype one word as the other, in edits; `0` for equal words.
pub fn typo_cost(one: &str, other: &str) -> f64 {
    if one == other {
        return 0.0;
    }
    let (one, other) = (letters(one), letters(other));
    f64::from(weighted(&one, &other)) / f64::from(cost::EDIT)
}

fn weighted(one: &[char], other: &[char]) -> u32 {
    let width = other.len() + 1;
    let mut before_last: Vec<u32> = vec![0; width];
    let mut last: Vec<u32> = Vec::with_capacity(width);
    let mut total = 0;
    last.push(0);
    for at in 0..other.len() {
        total += gap(other, at);
        last.push(total);
    }
    let mut current = vec![0; width];
    for row in 0..one.len() {
        set(&mut current, 0, get(&last, 0) + gap(one, row));
        for column in 0..other.len() {
            let mut best = get(&last, column) + exchange(one, row, other, column);
            best = best.min(get(&last, column + 1) + gap(one, row)).min(get(&current, column) + gap(other, column));
            if row > 0 && column > 0 && one.get(row) == other.get(column - 1) && one.get(row - 1) == other.get(column) {
                best = best.min(get(&before_last, column - 1) + cost::SWAPPED);
            }
            if column > 0 && is_digraph(one.get(row), other.get(column - 1), other.get(column)) {
                best = best.min(get(&last, column - 1) + cost::SOUNDS_ALIKE);
            }
            if row > 0 && is_digraph(other.get(column), one.get(row - 1), one.get(row)) {
                best = best.min(get(&before_last, column) + cost::SOUNDS_ALIKE);
            }
            set(&mut current, column + 1, best);
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut current);
    }
    get(&last, other.len())
}

fn get(row: &[u32], at: usize) -> u32 {
    row.get(at).copied().unwrap_or(u32::MAX / 2)
}

fn set(row: &mut [u32], at: usize, value: u32) {
    if let Some(cell) = row.get_mut(at) {
        *cell = value;
    }
}

/// The cost of a letter that the other word does not have.
fn gap(word: &[char], at: usize) -> u32 {
    let letter = word.get(at);
    if at == 0 {
        cost::FIRST
    } else if letter == word.get(at - 1) {
        cost::DOUBLED
    } else if at + 1 == word.len() && letter == Some(&'s') {
        cost::PLURAL
    } else {
        cost::EDIT
    }
}

fn exchange(one: &[char], row: usize, other: &[char], column: usize) -> u32 {
    let (Some(&a), Some(&b)) = (one.get(row), other.get(column)) else { return cost::EDIT };
    if a == b {
        0
    } else if sounds_alike(a, b) {
        cost::SOUNDS_ALIKE
    } else if row == 0 || column == 0 {
        cost::FIRST
    } else {
        cost::EDIT
    }
}

/// One letter that some spell with two: "Jimmy" and "Jimmie", "Ärzte" and "Aerzte".
fn is_digraph(letter: Option<&char>, first: Option<&char>, second: Option<&char>) -> bool {
    let (Some(letter), Some(first), Some(second)) = (letter, first, second) else { return false };
    matches!((letter, first, second), ('y', 'i', 'e') | ('f', 'p', 'h') | ('k', 'c', 'k') | ('a' | 'o' | 'u', _, 'e') if *first == *letter || matches!(letter, 'y' | 'f' | 'k'))
}

fn sounds_alike(a: char, b: char) -> bool {
    let vowel = |letter| matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    let pair = |x, y| (a == x && b == y) || (a == y && b == x);
    (vowel(a) && vowel(b)) || pair('c', 'k') || pair('v', 'w') || pair('i', 'j') || pair('s', 'z') || pair('0', 'o')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn edits_are_strsims(one in "[a-d0é]{0,90}", other in "[a-d0é]{0,90}") {
            prop_assert_eq!(edits(&one, &other), strsim::levenshtein(&one, &other));
        }

        #[test]
        fn ascii_edits_are_strsims(one in "[a-d]{0,80}", other in "[a-d]{0,80}") {
            prop_assert_eq!(edits(&one, &other), strsim::levenshtein(&one, &other));
        }

        #[test]
        fn a_typo_costs_the_same_both_ways(one in "[a-es]{0,12}", other in "[a-es]{0,12}") {
            prop_assert_eq!(typo_cost(&one, &other), typo_cost(&other, &one));
        }
    }

    #[test]
    fn typing_errors_cost_less_than_other_names() {
        assert!(typo_cost("elliott", "elliot") < 1.0);
        assert!(typo_cost("rhianna", "rihanna") < 1.0);
        assert!(typo_cost("lauryn", "lauren") < 1.0);
        assert!(typo_cost("bryan", "ryan") > 1.0);
        assert!(typo_cost("daughters", "daughter") > 1.0);
        assert!(typo_cost("krush", "rush") > 1.0);
        assert!(typo_cost("jimmy", "jimmie") < 1.0);
        assert!(typo_cost("arzte", "aerzte") < 1.0);
    }

    #[test]
    fn long_keys_are_compared_at_their_start() {
        let (one, other) = ("xa".repeat(50_000), "yb".repeat(50_000));
        assert_eq!(edits(&one, &other), LONGEST_COMPARED);
    }
}
