//! Words: a folded text as a list of comparable words and one key without spaces.
//!
//! Two texts with the same key are equal for every purpose: spacing, punctuation, "&" and "and", "The", initials with or
//! without points, number words and Roman numerals do not tell names apart. The words serve the alignment of names that
//! are only nearly equal.

use unicode_normalization::UnicodeNormalization;

/// A name or a title, ready for comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The words without spaces.
    key: String,
    /// Where each word ends in `key`, in bytes.
    ends: Vec<u16>,
    /// Nothing but symbols ("!!!"): such a name equals only itself.
    symbols: bool,
}

impl Words {
    /// Takes a folded text apart.
    pub fn new(folded: &str) -> Words {
        let mut splitter =
            Splitter { words: Words::default(), raw: String::with_capacity(24), initials: String::new(), conjunction: None };
        splitter.words.key.reserve(folded.len());
        splitter.words.ends.reserve(8);
        splitter.split(folded);
        if splitter.words.key.is_empty() { fallback(folded) } else { splitter.words }
    }

    /// The words without spaces.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// True if nothing is left to compare.
    pub fn is_empty(&self) -> bool {
        self.key.is_empty()
    }

    /// True for a name of symbols only.
    pub fn is_symbols(&self) -> bool {
        self.symbols
    }

    /// How many words.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The words in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let word = self.key.get(start..usize::from(end)).unwrap_or("");
            start = usize::from(end);
            word
        })
    }

    /// The text without its last `count` words, and those.
    pub(super) fn split_end(&self, count: usize) -> (Words, Vec<&str>) {
        let kept = self.len().saturating_sub(count);
        let mut start = Words::default();
        self.iter().take(kept).for_each(|word| start.push(word));
        (start, self.iter().skip(kept).collect())
    }

    fn last(&self) -> Option<&str> {
        let start = self.ends.len().checked_sub(2).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.key.get(usize::from(start)..).filter(|word| !word.is_empty())
    }

    /// All words of these texts in one; a conjunction at the start of a text stands between words now.
    pub fn joined<'a>(texts: impl Iterator<Item = &'a Words>) -> Words {
        let mut all = Words::default();
        for text in texts {
            for (at, word) in text.iter().enumerate() {
                if !(at == 0 && !all.is_empty() && text.len() > 1 && conjunction(word).is_some()) {
                    all.push(word);
                }
            }
        }
        all
    }

    pub(super) fn push(&mut self, word: &str) {
        // `fold` bounds the text at 2,048 bytes; joined texts could pass 65,535 only by that many joins.
        let Ok(end) = u16::try_from(self.key.len() + word.len()) else { return };
        self.key.push_str(word);
        self.ends.push(end);
    }
}

/// A text of only articles ("The The"), or only symbols ("!!!").
fn fallback(folded: &str) -> Words {
    let mut words = Words::default();
    for word in folded.split(|letter: char| !is_word_letter(letter)).filter(|word| !word.is_empty()) {
        words.push(word);
    }
    if words.is_empty() {
        let symbols: String = folded.chars().filter(|letter| !letter.is_whitespace()).collect();
        words.symbols = !symbols.is_empty();
        if words.symbols {
            words.push(&symbols);
        }
    }
    words
}

struct Splitter {
    words: Words,
    /// The word being read.
    raw: String,
    /// Single letters so far: "p", "j" are one word, "pj", however a catalogue spaces them. An article or conjunction
    /// between them does not end the run, otherwise normalising twice would give another word than normalising once.
    initials: String,
    /// A conjunction whose next word is not known yet: between words it goes, at an end it is part of the name ("And One").
    conjunction: Option<&'static str>,
}

/// Letters, digits and the marks that `fold` kept because they are letters of their script.
pub fn is_word_letter(letter: char) -> bool {
    if letter.is_ascii() { letter.is_ascii_alphanumeric() } else { letter.is_alphanumeric() || is_letter_mark(letter) }
}

fn is_letter_mark(letter: char) -> bool {
    unicode_normalization::char::is_combining_mark(letter)
}

/// Signs written for letters: "Ke$ha", "P!nk".
fn read_as_letter(previous: char, letter: char, next: char) -> char {
    let (before, after) = (previous.is_ascii_alphabetic(), next.is_ascii_alphabetic());
    match letter {
        '$' if before || after => 's',
        '!' if before && after => 'i',
        '@' if before && after => 'a',
        '€' if before && after => 'e',
        _ => letter,
    }
}

/// Scripts written without spaces: a change between them and Latin letters ends a word ("Theピーズ").
fn is_spaceless(letter: char) -> bool {
    matches!(letter, '\u{1100}'..='\u{11ff}' | '\u{3005}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

impl Splitter {
    fn split(&mut self, folded: &str) {
        let mut previous = ' ';
        let mut letters = folded.chars().peekable();
        while let Some(letter) = letters.next() {
            let letter = read_as_letter(previous, letter, letters.peek().copied().unwrap_or(' '));
            if is_word_letter(letter) {
                if !letter.is_ascii() || !previous.is_ascii() {
                    self.split_at_script_change(previous, letter);
                }
                self.raw.push(letter);
            } else if letter == '\'' {
                continue; // as if it were not there, for what follows too
            } else {
                self.finish();
            }
            previous = letter;
        }
        self.finish_text();
    }

    fn split_at_script_change(&mut self, previous: char, letter: char) {
        if is_word_letter(previous) && is_spaceless(previous) != is_spaceless(letter) && !is_letter_mark(letter) {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if self.raw.is_empty() {
            return;
        }
        if !self.raw.is_ascii() {
            self.raw = latin_lookalikes(&self.raw);
            if self.raw.contains(|letter| matches!(letter, '\u{1100}'..='\u{11ff}')) {
                self.raw = self.raw.nfc().collect(); // an apostrophe may have stood between the letters of a Hangul syllable
            }
        }
        if self.raw.len() == 1 && self.raw.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            self.finish_letter();
        } else if let Some(conjunction) = conjunction(&self.raw) {
            self.conjunction = Some(conjunction);
            if self.words.is_empty() && self.initials.is_empty() {
                self.push_conjunction();
            }
        } else if let Some(word) = canonical(&self.raw) {
            self.conjunction = None;
            if !self.initials.is_empty() {
                let initials = std::mem::take(&mut self.initials);
                // The "n" of "Rock 'n' Roll"; that of "N-Dubz" is a letter.
                if initials != "n" || self.words.is_empty() {
                    canonical(&initials).into_iter().for_each(|word| self.words.push(word));
                }
            }
            self.words.push(word);
        }
        self.raw.clear();
    }

    fn finish_letter(&mut self) {
        self.conjunction = None;
        let numeral =
            roman_digit(&self.raw).filter(|_| self.initials.is_empty() && matches!(self.words.last(), Some("part" | "volume")));
        match numeral {
            Some(number) => self.words.push(number),
            None => self.initials.push_str(&self.raw),
        }
    }

    fn finish_text(&mut self) {
        self.finish();
        if let Some(word) = canonical(&self.initials).filter(|word| !word.is_empty()) {
            self.words.push(word);
        }
        self.push_conjunction();
    }

    fn push_conjunction(&mut self) {
        self.conjunction.take().into_iter().for_each(|word| self.words.push(word));
    }
}

/// Words that join two others and are left out or written "&" as often as not.
fn conjunction(word: &str) -> Option<&'static str> {
    ["and", "und"].into_iter().find(|known| *known == word)
}

/// Roman numerals of one letter, which elsewhere are initials.
fn roman_digit(letter: &str) -> Option<&'static str> {
    match letter {
        "i" => Some("1"),
        "v" => Some("5"),
        "x" => Some("10"),
        _ => None,
    }
}

/// One spelling for numbers and the words that stand for them; `None` for articles.
fn canonical(word: &str) -> Option<&str> {
    Some(match word {
        "the" => return None,
        "one" => "1",
        "two" | "ii" => "2",
        "three" | "iii" => "3",
        "four" | "iv" => "4",
        "five" => "5",
        "six" | "vi" => "6",
        "seven" | "vii" => "7",
        "eight" | "viii" => "8",
        "nine" | "ix" => "9",
        "ten" => "10",
        "eleven" | "xi" => "11",
        "twelve" | "xii" => "12",
        "pt" => "part",
        "vol" => "volume",
        "pres" | "present" => "presents",
        "versus" => "vs",
        _ => return Some(word),
    })
}

/// Greek and Cyrillic letters used for their looks within a Latin word: KoЯn, LOOΠΔ. A word wholly of those scripts stays
/// as it is. A mark on such a letter goes: on a Latin letter it would be an accent.
fn latin_lookalikes(word: &str) -> String {
    if !word.chars().any(|letter| letter.is_ascii_alphabetic()) {
        return word.to_owned();
    }
    let mut latin = String::with_capacity(word.len());
    for letter in word.chars() {
        match lookalike(letter) {
            Some(same) => latin.push(same),
            None if is_letter_mark(letter) && latin.ends_with(|last: char| last.is_ascii()) => {}
            None => latin.push(letter),
        }
    }
    latin
}

fn lookalike(letter: char) -> Option<char> {
    Some(match letter {
        'я' => 'r',
        'и' | 'п' | 'π' | 'η' => 'n',
        'а' | 'α' | 'δ' | 'д' | 'λ' => 'a',
        'е' | 'ε' | 'σ' | 'ξ' | 'э' => 'e',
        'о' | 'ο' | 'θ' | 'ф' | 'φ' => 'o',
        'с' => 'c',
        'р' | 'ρ' => 'p',
        'х' | 'χ' => 'x',
        'у' | 'υ' => 'y',
        'т' | 'τ' => 't',
        'к' | 'κ' => 'k',
        'м' | 'μ' => 'm',
        'ш' | 'ω' => 'w',
        'ι' | 'і' => 'i',
        'ν' => 'v',
        'в' | 'β' => 'b',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fold::fold;
    use super::*;

    fn key(raw: &str) -> String {
        Words::new(&fold(raw)).key().to_owned()
    }

    #[test]
    fn spellings_of_one_name_share_a_key() {
        for (one, other) in [
            ("R.E.M.", "REM"),
            ("J. J. Cale", "JJ Cale"),
            ("P J Harvey", "PJ Harvey"),
            ("N*E*R*D", "N.E.R.D."),
            ("AC/DC", "AC DC"),
            ("Simon & Garfunkel", "Simon and Garfunkel"),
            ("The Cure", "Cure"),
            ("Guns N' Roses", "Guns and Roses"),
            ("Ke$ha", "Kesha"),
            ("P!nk", "Pink"),
            ("KoЯn", "Korn"),
            ("Boyz II Men", "Boyz 2 Men"),
            ("The ピーズ", "Theピーズ"),
            ("Take Five", "Take 5"),
            ("O'Jays", "OJays"),
            ("*NSYNC", "'N Sync"),
            ("Guns and Roses", "Guns N Roses"),
            ("Part X", "Pt. 10"),
            ("ㅁ`ￂ", "마"),
        ] {
            assert_eq!(key(one), key(other), "{one} and {other}");
        }
    }

    #[test]
    fn different_names_keep_different_keys() {
        for (one, other) in [
            ("!!!", "???"),
            ("!!!", ""),
            ("N-Dubz", "Dubz"),
            ("And One", "One"),
            ("The The", "And"),
            ("Кино", "Kino"),
            ("初音", "鏡音"),
        ] {
            assert_ne!(key(one), key(other), "{one} and {other}");
        }
    }

    #[test]
    fn words_come_back_in_order() {
        let words = Words::new("earth, wind & fire");
        assert_eq!(words.iter().collect::<Vec<_>>(), ["earth", "wind", "fire"]);
        assert_eq!(words.len(), 3);
    }

    #[test]
    fn names_of_symbols_are_known_as_such() {
        assert!(Words::new("!!!").is_symbols());
        assert!(!Words::new("the the").is_symbols());
        assert!(Words::new(" \t").is_empty());
    }
}
