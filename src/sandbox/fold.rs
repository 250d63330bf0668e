//! Text folding: the keys by which the stand-ins look names up, and the words that their searches know.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Case, accents, white space and apostrophe style aside: two names with one key are one page on Last.fm.
pub fn name_key(name: &str) -> String {
    let folded: String =
        name.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(unaccented).flat_map(char::to_lowercase).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unaccented(letter: char) -> impl Iterator<Item = char> {
    let plain: &[char] = match letter {
        'ø' | 'Ø' => &['o'],
        'ł' | 'Ł' => &['l'],
        'đ' | 'Đ' | 'ð' | 'Ð' => &['d'],
        'æ' | 'Æ' => &['a', 'e'],
        'ß' => &['s', 's'],
        'ı' => &['i'],
        '’' | '‘' | '`' => &['\''],
        '–' | '—' => &['-'],
        _ => &[],
    };
    plain.iter().copied().chain(plain.is_empty().then_some(letter))
}

/// The words of a text for searching. Scripts without spaces give one word a character.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in name_key(text).chars() {
        let alone = is_ideographic(letter);
        if (alone || !letter.is_alphanumeric()) && !word.is_empty() && letter != '\'' {
            words.push(std::mem::take(&mut word));
        }
        if alone {
            words.push(letter.to_string());
        } else if letter.is_alphanumeric() {
            word.push(letter);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn is_ideographic(letter: char) -> bool {
    matches!(u32::from(letter), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0x1100..=0x11ff | 0xac00..=0xd7af)
}

/// Version words that still name the same recording: Last.fm corrects such titles to the plain one.
const SAME_RECORDING: [&str; 7] =
    ["remaster", "radio edit", "single version", "album version", "mono", "stereo", "bonus track"];

/// The key of a title without guests and without version words that name the same recording.
pub fn title_key(title: &str) -> String {
    let mut text = name_key(title);
    for (open, close) in [('(', ')'), ('[', ']')] {
        text = drop_brackets(&text, open, close);
    }
    if let Some((head, tail)) = text.rsplit_once(" - ")
        && is_same_recording(tail)
    {
        text = head.to_owned();
    }
    for mark in [" feat. ", " ft. ", " featuring "] {
        if let Some((head, _)) = text.split_once(mark) {
            text = head.to_owned();
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_same_recording(note: &str) -> bool {
    let guest = ["feat", "ft.", "with "].iter().any(|mark| note.starts_with(mark));
    guest || SAME_RECORDING.iter().any(|mark| note.contains(mark))
}

fn drop_brackets(text: &str, open: char, close: char) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once(open) {
        let Some((note, after)) = tail.split_once(close) else { break };
        kept.push_str(head);
        if !is_same_recording(note) {
            kept.push(open);
            kept.push_str(note);
            kept.push(close);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}
