//! Folding: one spelling for each letter, whatever the case, accent, width or Unicode form.
//!
//! Guarantee: `fold` is idempotent, and gives the same text for a name in upper or lower case, in NFC or NFD, with or
//! without Latin and Greek accents. Scripts whose marks are letters (kana voicing, Indic and Thai vowels, Cyrillic й)
//! keep them, so that two different names never become one by losing what tells them apart. Punctuation stays, in one
//! ASCII spelling: the rooms above need brackets, dashes and commas to see the structure of a name.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// How much of a name is looked at, in bytes. Longer than any title in the catalogues (MusicBrainz: under 1,000
/// characters); a larger limit makes hostile input expensive, a smaller one would confuse long classical titles.
pub const LONGEST_NAME: usize = 2_048;

/// The start of `raw` that is looked at: at most [`LONGEST_NAME`] bytes, cut between two characters.
pub fn bounded(raw: &str) -> &str {
    if raw.len() <= LONGEST_NAME {
        return raw;
    }
    let end = (0..=LONGEST_NAME).rev().find(|&at| raw.is_char_boundary(at)).unwrap_or(0);
    raw.get(..end).unwrap_or("")
}

/// Folds the bounded start of `raw` and appends it to `out`.
pub fn fold_into(raw: &str, out: &mut String) {
    let raw = bounded(raw);
    if raw.is_ascii() {
        out.extend(raw.bytes().map(fold_ascii));
    } else {
        let mut letters = FoldedLetters { out: String::with_capacity(raw.len()), base: Script::None };
        raw.nfd().map(plain_punctuation).nfkd().map(plain_punctuation).for_each(|letter| letters.push(letter));
        // Hangul and kana were taken apart by the decomposition: put the letters together again.
        out.extend(letters.out.nfc());
    }
}

/// `raw`, folded.
pub fn fold(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len().min(LONGEST_NAME));
    fold_into(raw, &mut out);
    out
}

fn fold_ascii(byte: u8) -> char {
    match byte {
        b'A'..=b'Z' => char::from(byte.to_ascii_lowercase()),
        0..=31 | 127 => ' ',
        b'`' => '\'',
        _ => char::from(byte),
    }
}

/// Spacing accents that typists use as apostrophes: they must be seen before NFKD makes "space + accent" of them.
fn plain_punctuation(letter: char) -> char {
    match letter {
        '\u{b4}' | '`' | '\u{2b9}'..='\u{2bc}' | '\u{2bf}' | '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '\u{ff07}' => {
            '\''
        }
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' | '\u{300c}'..='\u{300f}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '\u{2044}' | '\u{2215}' | '\u{ff0f}' => '/',
        '\u{3010}' | '\u{3014}' => '[',
        '\u{3011}' | '\u{3015}' => ']',
        '\u{3001}' => ',',
        _ => letter,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Accented,
    CyrillicE,
    Other,
    /// No letter to stand on: the start, a space, punctuation, a symbol.
    None,
}

struct FoldedLetters {
    out: String,
    /// What the last base letter was: decides whether a mark after it is an accent or a letter of its own.
    base: Script,
}

impl FoldedLetters {
    fn push(&mut self, letter: char) {
        if is_invisible(letter) {
            return;
        }
        if letter == '\u{345}' {
            self.out.push('ι'); // the iota subscript: its upper case is a letter of its own
            self.base = Script::Accented;
        } else if is_combining_mark(letter) {
            self.push_mark(letter);
        } else if letter.is_control() || letter.is_whitespace() {
            self.out.push(' ');
            self.base = Script::None;
        } else {
            self.base = script_of(letter);
            let letter = if ('\u{1c80}'..='\u{1c88}').contains(&letter) { usual_cyrillic(letter) } else { letter };
            letter.to_lowercase().filter(|lower| !is_combining_mark(*lower)).for_each(|lower| push_plain(lower, &mut self.out));
        }
    }

    fn push_mark(&mut self, mark: char) {
        let accent = match self.base {
            Script::Accented => true,
            Script::CyrillicE => mark == '\u{308}' || is_stress(mark) || is_optional_vowel(mark) || is_detached(mark),
            Script::Other => is_stress(mark) || is_optional_vowel(mark) || is_detached(mark),
            // What stands on nothing says nothing; and whoever splits at punctuation would hand it to another letter.
            Script::None => true,
        };
        if !accent {
            self.out.push(mark);
        }
    }
}

/// Stress: written in dictionaries only.
fn is_stress(mark: char) -> bool {
    mark == '\u{301}' || mark == '\u{300}'
}

/// Enclosing and half marks carry no meaning on any letter.
fn is_detached(mark: char) -> bool {
    matches!(mark, '\u{1ab0}'..='\u{1aff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe2f}')
}

/// Hebrew points and Arabic vowel signs: written in some catalogues and left out in others.
fn is_optional_vowel(mark: char) -> bool {
    matches!(mark, '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}')
}

/// Zero-width characters, direction overrides, soft hyphens, variation selectors: they change how a name looks, not what
/// it says.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{640}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Old Church Slavonic shapes share their upper case with the letters of today.
fn usual_cyrillic(letter: char) -> char {
    letter.to_uppercase().next().unwrap_or(letter)
}

fn script_of(letter: char) -> Script {
    match letter {
        'е' | 'Е' => Script::CyrillicE,
        '\0'..='\u{3ff}'
        | '\u{1e00}'..='\u{1fff}'
        | '\u{2c60}'..='\u{2c7f}'
        | '\u{a720}'..='\u{a7ff}'
        | '\u{ab30}'..='\u{ab6f}'
            if letter.is_alphanumeric() =>
        {
            Script::Accented
        }
        _ if letter.is_alphanumeric() => Script::Other,
        _ => Script::None,
    }
}

/// Letters that Unicode does not decompose and catalogues spell in ASCII.
fn push_plain(letter: char, out: &mut String) {
    let plain = match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ø' => "o",
        'ð' | 'đ' | 'ɖ' => "d",
        'ł' => "l",
        'ħ' => "h",
        'ı' => "i",
        'ŋ' => "n",
        'ŧ' => "t",
        'ə' | 'ǝ' => "e",
        'ς' => "σ",
        '×' => "x",
        '`' => "'",
        _ => return out.push(letter),
    };
    out.push_str(plain);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_case_and_width_are_one_spelling() {
        for (raw, folded) in [
            ("Beyoncé", "beyonce"),
            ("BJÖRK", "bjork"),
            ("Sigur Rós", "sigur ros"),
            ("Mø", "mo"),
            ("Sæglópur", "saeglopur"),
            ("Ｐｅｒｆｕｍｅ", "perfume"),
            ("O´Donnell", "o'donnell"),
            ("D’Angelo", "d'angelo"),
            ("Weiß", "weiss"),
            ("WEISS", "weiss"),
            ("½", "1/2"),
            ("Ёлка", "елка"),
            ("ΆΣΩΣ", "ασωσ"),
        ] {
            assert_eq!(fold(raw), folded, "{raw}");
        }
    }

    #[test]
    fn marks_that_are_letters_stay() {
        for (one, other) in [("が", "か"), ("ば", "ぱ"), ("кий", "кии"), ("की", "का"), ("소녀", "사녀")] {
            assert_ne!(fold(one), fold(other), "{one} and {other}");
        }
        assert_eq!(fold("소녀시대"), "소녀시대");
        assert_eq!(fold("ガ"), fold("ｶﾞ"), "half-width kana");
    }

    #[test]
    fn what_cannot_be_seen_does_not_count() {
        assert_eq!(fold("Ab\u{202e}ba\u{200b}"), "abba");
        assert_eq!(fold("\u{feff}A\u{ad}bba"), "abba");
        assert_eq!(fold("a\u{0}b"), "a b");
        assert_eq!(fold(":\u{fe00} 1\u{fe0f}\u{20e3}"), ": 1", "variation selectors and a keycap");
        assert_eq!(fold("!\u{301} \u{93f}"), "! ", "marks that stand on no letter");
    }

    /// Every character of Unicode, alone and between letters.
    #[test]
    fn every_character_folds_once_and_for_all() {
        for letter in ('\0'..=char::MAX).filter(|letter| !('\u{e000}'..='\u{f8ff}').contains(letter)) {
            let text = format!("a{letter}b");
            let folded = fold(&text);
            assert_eq!(fold(&folded), folded, "U+{:04X} twice", letter as u32);
            assert_eq!(fold(&text.nfd().collect::<String>()), folded, "U+{:04X} in NFD", letter as u32);
            assert_eq!(fold(&text.nfc().collect::<String>()), folded, "U+{:04X} in NFC", letter as u32);
        }
    }

    /// Lower case of upper case: what a catalogue that shouts makes of a name.
    #[test]
    fn every_letter_folds_the_same_in_upper_case() {
        let odd: Vec<char> = ('\0'..=char::MAX)
            .filter(|letter| letter.is_alphabetic())
            .filter(|letter| fold(&letter.to_uppercase().collect::<String>()) != fold(&letter.to_string()))
            .collect();
        assert!(odd.is_empty(), "{odd:?}");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "é".repeat(60_000);
        assert_eq!(bounded(&long).len(), LONGEST_NAME);
        let odd = format!("a{long}");
        assert_eq!(bounded(&odd).len(), LONGEST_NAME - 1);
    }
}
