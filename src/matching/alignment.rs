//! Alignment: how near two lists of words are.
//!
//! Words that both have are taken out first, whatever their order; what is left must be a typing error, not another word.
//! A word that only one of the names has makes another name of it ("Nirvana" and "Nirvana 2002"), and short names must be
//! equal, since one letter makes another artist of them ("Muse" and "Mouse").

use super::distance::{LONGEST_COMPARED, edits, typo_cost};
use super::outcome::{Comparison, Reason};
use super::words::Words;
use std::borrow::Cow;

/// Names of up to this many letters must be equal. One more would lose misspelled names, one less confuses bands.
const SHORT_NAME: usize = 6;
/// The share of the first spelling a mistyped word must keep.
const KEPT_OF_WORD: f64 = 0.75;
/// Another order of the same words: "Amamiya Sora".
const REORDERED: f64 = 0.97;
/// A name of one word has no other words to support it: its typing errors count more.
const LONE_WORD: f64 = 1.1;
/// Words compared one by one; more than any name has.
const MOST_WORDS: usize = 64;

/// How likely two names are the same, with the guards that names of artists need.
pub fn compare_names(one: &Words, other: &Words) -> Comparison {
    if one.is_empty() || other.is_empty() {
        return Comparison::new(0.0, Reason::NothingToCompare);
    }
    if one.key() == other.key() {
        return Comparison::new(1.0, Reason::Equal);
    }
    if one.is_symbols() || other.is_symbols() {
        return Comparison::new(0.0, Reason::SymbolsDiffer);
    }
    let rest = if one.len() == 1 && other.len() == 1 { Rest::whole(one, other) } else { Rest::of(one, other) };
    if rest.one.is_empty() && rest.other.is_empty() {
        return Comparison::new(REORDERED, Reason::Reordered);
    }
    let (short, long) = in_order(length(one.key()), length(other.key()));
    if rest.one.is_empty() || rest.other.is_empty() {
        return Comparison::new(0.8 * share(short, long), Reason::ExtraWords);
    }
    if share(short, long) < 0.5 {
        return Comparison::new(plain_similarity(one.key(), other.key()) * 0.8, Reason::Different);
    }
    compare_rest(one, other, &rest, short, long)
}

fn compare_rest(one: &Words, other: &Words, rest: &Rest<'_>, short: usize, long: usize) -> Comparison {
    let plain = edits(&rest.one, &rest.other);
    if plain * 3 > long {
        // Far from a typing error: the plain distance is answer enough.
        return Comparison::new(0.9 * (1.0 - share(plain.min(long), long)), Reason::Different);
    }
    if short <= SHORT_NAME && one.len() == 1 && other.len() == 1 || short < SHORT_NAME {
        return Comparison::new(0.8 * (1.0 - share(plain, long)), Reason::ShortName);
    }
    if numbers(&rest.one) != numbers(&rest.other) && !numbers(&rest.one).is_empty() && !numbers(&rest.other).is_empty() {
        return Comparison::new(0.6, Reason::PartDiffers);
    }
    let (one_rest, other_rest) = (length(&rest.one), length(&rest.other));
    // What lies beyond the letters compared is different at least by its length.
    let unseen = one_rest.max(LONGEST_COMPARED).abs_diff(other_rest.max(LONGEST_COMPARED));
    let cost = typo_cost(&rest.one, &rest.other) + unseen as f64;
    let lone = if one.len() == 1 && other.len() == 1 { LONE_WORD } else { 1.0 };
    let score = (1.0 - cost * lone / long as f64).max(0.0);
    let kept = 1.0 - cost / one_rest.max(other_rest).max(1) as f64;
    if kept < KEPT_OF_WORD && cost > 1.2 {
        return Comparison::new(score - 0.1, Reason::WordDiffers);
    }
    Comparison::new(score, if score < 0.7 { Reason::Different } else { Reason::Similar })
}

/// Plain normalised Levenshtein of two keys: for titles, where there is other evidence.
pub fn plain_similarity(one: &str, other: &str) -> f64 {
    let long = length(one).max(length(other));
    if long == 0 { 0.0 } else { 1.0 - share(edits(one, other).min(long), long) }
}

/// The keys of what is left when the words of both are taken out, in their order.
struct Rest<'a> {
    one: Cow<'a, str>,
    other: Cow<'a, str>,
}

impl<'a> Rest<'a> {
    /// Two different names of one word each: nothing to take out.
    fn whole(one: &'a Words, other: &'a Words) -> Rest<'a> {
        Rest { one: Cow::Borrowed(one.key()), other: Cow::Borrowed(other.key()) }
    }

    fn of(one: &'a Words, other: &'a Words) -> Rest<'a> {
        let (mut taken, mut found) = (0u64, 0u64);
        for (at, word) in one.iter().take(MOST_WORDS).enumerate() {
            let mut free = other.iter().take(MOST_WORDS).enumerate().filter(|(place, _)| taken & (1 << place) == 0);
            if let Some((place, _)) = free.find(|(_, same)| *same == word) {
                (taken, found) = (taken | 1 << place, found | 1 << at);
            }
        }
        if taken == 0 {
            return Rest::whole(one, other);
        }
        Rest { one: Cow::Owned(without(one, found)), other: Cow::Owned(without(other, taken)) }
    }
}

fn without(words: &Words, taken: u64) -> String {
    words.iter().enumerate().filter(|(at, _)| *at >= MOST_WORDS || taken & (1 << at) == 0).map(|(_, word)| word).collect()
}

/// The numbers in a key, in order of size: "Level 42" is not "Level 24".
pub fn numbers(key: &str) -> Vec<&str> {
    let mut found: Vec<&str> = key.split(|letter: char| !letter.is_ascii_digit()).filter(|run| !run.is_empty()).collect();
    found.sort_unstable();
    found
}

/// Letters of a key.
pub fn length(key: &str) -> usize {
    if key.is_ascii() { key.len() } else { key.chars().count() }
}

fn in_order(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
