//! Names that hurt: made up from word lists and syllables, in the scripts and spellings that break naive clients.

use super::chance::Dice;
use super::vocabulary::{
    ACCENTED, ADJECTIVES, ARABIC, CYRILLIC, EMOJI, FIRST, HANGUL, HEBREW, KANA, KANJI, LAST, MIDDLE, NOUNS, TITLE_STARTS,
    TITLE_WORDS,
};

/// Spelling families of names; every one has broken some client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Plain,
    The,
    Person,
    Accents,
    Kanji,
    Kana,
    Hangul,
    Cyrillic,
    RightToLeft,
    Emoji,
    Slash,
    Plus,
    Ampersand,
    Marks,
    Short,
    Number,
}

const SPELLINGS: [(u32, Spelling); 16] = [
    (26, Spelling::Plain),
    (12, Spelling::The),
    (22, Spelling::Person),
    (8, Spelling::Accents),
    (4, Spelling::Kanji),
    (2, Spelling::Kana),
    (3, Spelling::Hangul),
    (5, Spelling::Cyrillic),
    (3, Spelling::RightToLeft),
    (2, Spelling::Emoji),
    (3, Spelling::Slash),
    (4, Spelling::Plus),
    (3, Spelling::Ampersand),
    (6, Spelling::Marks),
    (1, Spelling::Short),
    (2, Spelling::Number),
];

/// A name for an artist.
pub fn artist(dice: &mut Dice) -> String {
    match dice.weighted(&SPELLINGS) {
        Spelling::Plain => format!("{} {}", dice.pick(&ADJECTIVES), dice.pick(&NOUNS)),
        Spelling::The => format!("The {} {}", dice.pick(&ADJECTIVES), dice.pick(&NOUNS)),
        Spelling::Person => person(dice),
        Spelling::Accents => format!("{} {}{}", dice.pick(&ACCENTED), dice.pick(&FIRST), dice.pick(&LAST)),
        Spelling::Kanji => run(dice, &KANJI, 3, 5),
        Spelling::Kana => run(dice, &KANA, 2, 3),
        Spelling::Hangul => run(dice, &HANGUL, 2, 3),
        Spelling::Cyrillic => format!("{} {}", run(dice, &CYRILLIC, 2, 2), run(dice, &CYRILLIC, 2, 3)),
        Spelling::RightToLeft => right_to_left(dice),
        Spelling::Emoji => format!("{}{}{} {}", dice.pick(&FIRST), dice.pick(&MIDDLE), dice.pick(&LAST), dice.pick(&EMOJI)),
        Spelling::Slash => slashed(dice),
        Spelling::Plus => plus(dice),
        Spelling::Ampersand => format!("{} & {}", person(dice), dice.pick(&["Sons", "The Ensemble", "Friends", "Company"])),
        Spelling::Marks => marks(dice),
        Spelling::Short => format!("{}{}", dice.pick(&["Ÿ", "Q", "V", "Ö", "X"]), dice.pick(&["o", "v", "i", "k7", "ı"])),
        Spelling::Number => format!("{} {}", dice.between(2, 1999), dice.pick(&NOUNS)),
    }
}

fn person(dice: &mut Dice) -> String {
    let given = format!("{}{}", dice.pick(&FIRST), dice.pick(&MIDDLE));
    format!("{given} {}{}{}", dice.pick(&FIRST), dice.pick(&MIDDLE), dice.pick(&LAST))
}

fn run(dice: &mut Dice, parts: &[&str], low: i64, high: i64) -> String {
    (0..dice.between(low, high)).map(|_| *dice.pick(parts)).collect()
}

fn right_to_left(dice: &mut Dice) -> String {
    let parts: &[&str] = if dice.happens(0.6) { &ARABIC } else { &HEBREW };
    format!("{} {}", dice.pick(parts), dice.pick(parts))
}

fn slashed(dice: &mut Dice) -> String {
    let side = |dice: &mut Dice| -> String { (0..2).map(|_| char::from(b'A' + dice.below(26) as u8)).collect() };
    if dice.happens(0.6) {
        format!("{}/{}", side(dice), side(dice))
    } else {
        format!("{} / {}", dice.pick(&NOUNS), dice.pick(&NOUNS))
    }
}

fn plus(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => format!("{}{} + The {}", dice.pick(&FIRST), dice.pick(&MIDDLE), dice.pick(&NOUNS)),
        1 => format!("+{}", dice.between(10, 999)),
        _ => format!("{0}+{0} {1}", char::from(b'A' + dice.below(26) as u8), dice.pick(&NOUNS)),
    }
}

fn marks(dice: &mut Dice) -> String {
    let noun = *dice.pick(&NOUNS);
    match dice.below(6) {
        0 => format!("!{}!", noun.to_uppercase()),
        1 => format!("{}. {noun}", dice.pick(&["N.O.V", "A.K", "D.J. O"])),
        2 => format!("{} 100% {noun}", dice.pick(&ADJECTIVES)),
        3 => format!("{}’s {noun}", dice.pick(&["Lola", "Fen", "Otto"])),
        4 => format!("...and the {noun}"),
        // Decomposed: the accent is a character of its own.
        _ => format!("Cafe\u{301} {noun}"),
    }
}

/// A name that is nearly another artist's name, and yet another artist.
pub fn near(dice: &mut Dice, name: &str) -> String {
    let stripped = name.strip_prefix("The ");
    match dice.below(4) {
        0 => stripped.map_or_else(|| format!("The {name}"), str::to_owned),
        1 => format!("{name}s"),
        2 => name.to_uppercase(),
        _ => format!("{name} {}", dice.pick(&["Trio", "UK", "II", "Orchestra"])),
    }
}

/// A title; the script follows the artist's name, now and then.
pub fn title(dice: &mut Dice, artist: &str) -> String {
    let foreign = artist.chars().next().is_some_and(|c| u32::from(c) > 0x370) && dice.happens(0.7);
    if foreign {
        return foreign_title(dice, artist);
    }
    let word = title_word(dice);
    match dice.below(12) {
        0 | 1 => word.to_owned(),
        2..=5 => format!("{} {word}", dice.pick(&TITLE_STARTS)),
        6 | 7 => format!("{word} {}", dice.pick(&TITLE_WORDS)),
        8 => format!("{word} of {}", dice.pick(&TITLE_WORDS)),
        9 => format!("{word} & {}", title_word(dice)),
        10 => format!("{word}, Pt. {}", dice.between(1, 4)),
        _ => odd_title(dice, word),
    }
}

fn title_word(dice: &mut Dice) -> &'static str {
    let words = if dice.happens(0.35) { &TITLE_WORDS[..8] } else { &TITLE_WORDS[..] };
    words[dice.below(words.len())]
}

fn odd_title(dice: &mut Dice, word: &str) -> String {
    match dice.below(8) {
        0 => format!("{word} / {}", dice.pick(&TITLE_WORDS)),
        1 => format!("{word} (Reprise)"),
        2 => format!("1 + 1 = {word}"),
        3 => format!("{word}?!"),
        4 => format!("\"{word}\""),
        5 => format!("{word} {}", dice.pick(&EMOJI)),
        6 => format!("¿Dónde Está el {word}?"),
        _ => format!("{word} 100%"),
    }
}

fn foreign_title(dice: &mut Dice, artist: &str) -> String {
    match artist.chars().next().map_or(0, u32::from) {
        0x400..=0x4ff => format!("{} {}", run(dice, &CYRILLIC, 1, 2), run(dice, &CYRILLIC, 2, 2)),
        0x590..=0x5ff => format!("{} {}", dice.pick(&HEBREW), dice.pick(&HEBREW)),
        0x600..=0x6ff => format!("{} {} {}", dice.pick(&ARABIC), dice.pick(&ARABIC), dice.pick(&ARABIC)),
        0xac00..=0xd7af => run(dice, &HANGUL, 2, 4),
        0x3040..=0x30ff => format!("{}{}", run(dice, &KANA, 1, 2), run(dice, &KANJI, 1, 2)),
        _ => run(dice, &KANJI, 2, 5),
    }
}

/// A title for an album.
pub fn album(dice: &mut Dice) -> String {
    match dice.below(5) {
        0 => format!("{} {}", dice.pick(&ADJECTIVES), dice.pick(&TITLE_WORDS)),
        1 => format!("The {} {}", dice.pick(&TITLE_WORDS), dice.pick(&TITLE_WORDS)),
        2 => format!("{} & {}", dice.pick(&TITLE_WORDS), dice.pick(&TITLE_WORDS)),
        3 => (*dice.pick(&TITLE_WORDS)).to_owned(),
        _ => format!("Songs for {}", dice.pick(&NOUNS)),
    }
}
