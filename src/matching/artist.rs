//! Artists: the forms in which catalogues write one name, and the comparison of two names.
//!
//! A name is read in full and, where its punctuation allows, in further forms: without the featured artists, without
//! brackets, one side of a dash, without a track number glued to it. The best pair of forms decides; at most one of the
//! two may have left something out, otherwise "Nirvana (UK)" would equal "Nirvana (US)".

use super::alignment::{compare_names, plain_similarity};
use super::fold::fold;
use super::guests::{joint_parts, split_guests};
use super::outcome::{Comparison, Reason, Reasons};
use super::words::{Words, is_word_letter};
use std::borrow::Cow;

/// A name of an artist, normalised once for many comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct Artist {
    /// The first has everything; the others left something out.
    forms: Vec<Form>,
    /// The artists of a joint name; empty for one artist alone.
    parts: Vec<Words>,
}

#[derive(Debug, Clone, PartialEq)]
struct Form {
    words: Words,
    discount: f64,
    left_out: Option<Reason>,
}

/// What it costs to leave something out, by how often what is left out makes it another artist.
mod discount {
    pub const GUEST: f64 = 0.02;
    pub const BRACKET: f64 = 0.05;
    pub const HEAD_OF_DASH: f64 = 0.07;
    pub const TAIL_OF_DASH: f64 = 0.1;
    pub const NUMBER: f64 = 0.05;
    pub const SCRIPT: f64 = 0.06;
    pub const NICKNAME: f64 = 0.05;
    pub const BACKING: f64 = 0.08;
    pub const TITLE_OR_INITIAL: f64 = 0.05;
}

/// The highest score of two names that differ in their brackets only: below every threshold.
const TOLD_APART: f64 = 0.6;
/// A joint name has at most this many artists worth telling apart.
const MOST_PARTS: usize = 16;

impl Artist {
    /// Normalises a name.
    pub fn new(name: &str) -> Artist {
        let folded = fold(&decoded(name));
        let mut artist = Artist { forms: Vec::with_capacity(1), parts: Vec::new() };
        let (main, guests) = split_guests(&folded);
        match guests {
            None => artist.add(&folded, 0.0, None),
            Some(guests) => {
                artist.add(&format!("{main} {guests}"), 0.0, None);
                artist.add(main, discount::GUEST, Some(Reason::GuestLeftOut));
            }
        }
        artist.add_forms_by_punctuation(main);
        artist.parts = joint_parts(&folded).take(MOST_PARTS).map(Words::new).filter(|part| !part.is_empty()).collect();
        artist
    }

    /// True if nothing is left to compare.
    pub fn is_empty(&self) -> bool {
        self.words().is_empty()
    }

    /// True if a catalogue says that it does not know the artist.
    pub fn is_unknown(&self) -> bool {
        self.is_empty()
            || matches!(
                self.words().key(),
                "unknown" | "unk" | "unknownartist" | "various" | "variousartists" | "na" | "noartist"
            )
    }

    /// The name in full.
    pub fn words(&self) -> &Words {
        static NOTHING: std::sync::LazyLock<Words> = std::sync::LazyLock::new(Words::default);
        self.forms.first().map_or(&NOTHING, |form| &form.words)
    }

    /// The artists of a joint name; one artist alone is its own only part.
    pub fn parts(&self) -> impl Iterator<Item = &Words> {
        let alone = self.parts.is_empty().then(|| self.words());
        alone.into_iter().chain(&self.parts)
    }

    /// True if `words` are, or nearly are, one of the forms of this name.
    pub fn is_named(&self, words: &Words, nearly: f64) -> bool {
        let near = |form: &Form| form.words.key() == words.key() || plain_similarity(form.words.key(), words.key()) >= nearly;
        !self.is_unknown() && self.forms.iter().any(near)
    }

    /// How likely the two are the same artist: the composite, before a threshold.
    pub fn compare(&self, other: &Artist) -> Comparison {
        let full = compare_names(self.words(), other.words());
        if full.score >= 1.0 || (self.forms.len() == 1 && other.forms.len() == 1) {
            return full;
        }
        if self.is_told_apart_by_brackets(other) {
            return Comparison::new(full.score.min(TOLD_APART), Reason::WordDiffers);
        }
        let mut best = full;
        for one in &self.forms {
            for two in other.forms.iter().filter(|two| !(one.leaves_much_out() && two.leaves_much_out())) {
                best = best.or_better(one.compare(two));
            }
        }
        best
    }

    /// "Nirvana (UK)" and "Nirvana (US)": the brackets are there to tell the two apart, however like each other they are.
    fn is_told_apart_by_brackets(&self, other: &Artist) -> bool {
        fn bare(artist: &Artist) -> Option<&str> {
            let form = artist.forms.iter().find(|form| form.left_out == Some(Reason::BracketLeftOut));
            form.map(|form| form.words.key())
        }
        bare(self).is_some_and(|name| bare(other) == Some(name))
    }

    fn add(&mut self, text: &str, discount: f64, left_out: Option<Reason>) {
        let words = Words::new(text);
        let of_use = !words.is_empty() && !words.is_symbols() && self.forms.iter().all(|form| form.words.key() != words.key());
        if self.forms.is_empty() || of_use {
            self.forms.push(Form { words, discount, left_out });
        }
    }

    fn add_forms_by_punctuation(&mut self, main: &str) {
        if main.contains(['(', '[', '{']) {
            self.add(&without_brackets(main), discount::BRACKET, Some(Reason::BracketLeftOut));
        }
        if let Some((head, tail)) = main.split_once(" - ").or_else(|| main.split_once(".com-")) {
            self.add(head, discount::HEAD_OF_DASH, Some(Reason::TailLeftOut));
            self.add(tail, discount::TAIL_OF_DASH, Some(Reason::TailLeftOut));
        }
        if main.starts_with(|letter: char| letter.is_ascii_digit()) {
            without_track_number(main)
                .into_iter()
                .for_each(|rest| self.add(rest, discount::NUMBER, Some(Reason::NumberLeftOut)));
        }
        for suffix in [" album version", " ep", " ost"] {
            main.strip_suffix(suffix).into_iter().for_each(|rest| self.add(rest, discount::BRACKET, Some(Reason::TailLeftOut)));
        }
        if main.matches('"').count() == 2 {
            let unquoted: String = main.split('"').step_by(2).collect();
            self.add(&unquoted, discount::NICKNAME, Some(Reason::NicknameLeftOut));
        }
        if let Some(leader) = without_backing_group(main) {
            self.add(leader, discount::BACKING, Some(Reason::GuestLeftOut));
        }
        if let Some(plain) = without_title_and_initials(main) {
            self.add(&plain, discount::TITLE_OR_INITIAL, Some(Reason::InitialLeftOut));
        }
        if !main.is_ascii() {
            self.add_single_scripts(main);
        }
    }

    /// "여자친구 GFriend" is written in two scripts at once; either may stand alone elsewhere.
    fn add_single_scripts(&mut self, main: &str) {
        let words = Words::new(main);
        let (latin, rest): (Vec<&str>, Vec<&str>) =
            words.iter().partition(|word| word.chars().all(|letter| letter < '\u{370}'));
        if length_of(&latin) >= 3 && length_of(&rest) >= 2 {
            self.add(&latin.join(" "), discount::SCRIPT, Some(Reason::OtherScriptLeftOut));
            self.add(&rest.join(" "), discount::SCRIPT, Some(Reason::OtherScriptLeftOut));
        }
    }
}

fn length_of(words: &[&str]) -> usize {
    words.iter().map(|word| word.chars().count()).sum()
}

impl Form {
    fn compare(&self, other: &Form) -> Comparison {
        let found = compare_names(&self.words, &other.words);
        let reasons = [self.left_out, other.left_out].into_iter().flatten().fold(found.reasons, Reasons::with);
        Comparison { score: (found.score - (self.discount + other.discount)).max(0.0), reasons }
    }

    fn leaves_much_out(&self) -> bool {
        self.discount > discount::GUEST
    }
}

/// Names that passed through an URL or a web page: "Hot%20Snakes", "Simon &amp; Garfunkel".
fn decoded(name: &str) -> Cow<'_, str> {
    let escaped = name.contains('%') || name.contains('&') && name.contains(';');
    if !escaped {
        return Cow::Borrowed(name);
    }
    let mut bytes = Vec::with_capacity(name.len().min(super::fold::LONGEST_NAME));
    let mut rest = super::fold::bounded(name).as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = if *first == b'%' { tail.get(..2).and_then(hex) } else { None };
        rest = if escaped.is_some() { tail.get(2..).unwrap_or(&[]) } else { tail };
        bytes.push(escaped.unwrap_or(*first));
    }
    let text = String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned());
    Cow::Owned(text.to_ascii_lowercase().replace("&amp;", "&"))
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

/// The text outside all brackets; an unclosed bracket reaches to the end.
fn without_brackets(text: &str) -> String {
    let mut depth = 0u32;
    let mut outside = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                outside.push(' ');
            }
            _ if depth == 0 => outside.push(letter),
            _ => {}
        }
    }
    outside
}

/// "Count Basie & His Orchestra", "Dan Bern & the IJBC": the group of a person named in full. "Echo & the Bunnymen" is one
/// name.
fn without_backing_group(text: &str) -> Option<&str> {
    let joints = [" & the ", " and the ", " & his ", " and his ", " & her ", " and her "];
    let leader = joints.iter().find_map(|joint| text.split_once(joint)).map(|(leader, _)| leader)?;
    let person = leader.split_whitespace().count() == 2 && !leader.starts_with("the ") && !leader.contains([',', '&', '/']);
    person.then_some(leader)
}

/// "Ms. Lauryn Hill", "Richard M. Nixon": a title before and initials within a name of at least two other words.
fn without_title_and_initials(text: &str) -> Option<String> {
    if !text.contains('.') {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let last = words.len().checked_sub(1)?;
    let kept = |(at, word): (usize, &&str)| match at {
        0 => !matches!(*word, "ms." | "mrs." | "mr." | "dr."),
        _ => at == last || !(word.ends_with('.') && word.chars().count() == 2),
    };
    let plain: Vec<&str> = words.iter().enumerate().filter(|(at, word)| kept((*at, word))).map(|(_, word)| *word).collect();
    (plain.len() >= 2 && plain.len() < words.len()).then(|| plain.join(" "))
}

/// "06Mogwai", "03 Mogwai": two digits glued to a name of at least four letters, or with a leading zero. "10cc", "808 State"
/// and "50 Cent" keep theirs.
fn without_track_number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let digits = text.len() - rest.len();
    let glued = rest.starts_with(is_word_letter);
    let name = rest.trim_start_matches(|letter: char| !is_word_letter(letter));
    let long_enough = name.chars().take_while(|letter| is_word_letter(*letter)).count() >= 4;
    (digits == 2 && long_enough && (glued || text.starts_with('0'))).then_some(name)
}
