//! Versions: what the words behind a title say about the recording.
//!
//! A remaster, an edition, a radio edit is the same song to us; live, remix, acoustic, instrumental, karaoke, cover, demo,
//! a new recording and another part are not. Such words count only in brackets or behind a dash, and only where they are
//! said of the recording: "Live Forever" is a title, and so is "I Want to Live" behind the name of an artist.

use super::words::Words;

/// What makes it another recording: a set of the `Version::…` bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    kinds: u16,
    /// The words that say which one: the remixer, the place.
    which: Words,
    /// The texts that were read, in full.
    tails: Vec<(u16, Words)>,
    /// The numbers of "part 2", "2 of 2".
    part: Words,
}

pub const LIVE: u16 = 1;
pub const REMIX: u16 = 1 << 1;
pub const ACOUSTIC: u16 = 1 << 2;
pub const INSTRUMENTAL: u16 = 1 << 3;
pub const KARAOKE: u16 = 1 << 4;
pub const COVER: u16 = 1 << 5;
pub const DEMO: u16 = 1 << 6;
pub const RERECORDED: u16 = 1 << 7;
pub const EXTENDED: u16 = 1 << 8;
pub const ACAPELLA: u16 = 1 << 9;
/// "Spanish Version", "10 Minute Version": another one, whichever.
pub const OTHER: u16 = 1 << 10;

enum Meaning {
    Kind(u16),
    /// Says so only at the start or the end of the text, or before "at", "version" and the like: "live", "take".
    KindByPlace(u16),
    /// Says that it is the same song: "remastered".
    Same,
    /// Says so only together with a word that does: "2011", "digital".
    Filler,
    /// "version", "mix", "edit": the words beside it decide.
    Kindless(u16),
    Unknown,
}

#[rustfmt::skip] // a table
fn meaning(word: &str) -> Meaning {
    match word {
        "live" | "unplugged" | "session" | "sessions" | "vivo" | "directo" | "concert" | "ライブ" | "ライヴ" | "라이브" | "现场" | "現場" => Meaning::KindByPlace(LIVE),
        "リミックス" | "remix" | "rmx" | "remixed" | "remixes" | "rework" | "reworked" | "bootleg" | "mashup" | "megamix" | "refix" => Meaning::Kind(REMIX),
        "dub" => Meaning::KindByPlace(REMIX),
        "acoustic" | "acoustica" | "akustik" | "acustico" | "acoustique" | "アコースティック" => Meaning::KindByPlace(ACOUSTIC),
        "instrumental" | "instrumentals" | "instrumentale" | "インストゥルメンタル" => Meaning::Kind(INSTRUMENTAL),
        "karaoke" | "playback" | "カラオケ" | "伴奏" => Meaning::Kind(KARAOKE),
        "backing" => Meaning::KindByPlace(KARAOKE),
        "tribute" => Meaning::Kind(COVER),
        "cover" | "style" | "originally" | "made" => Meaning::KindByPlace(COVER),
        "demo" | "demos" | "outtake" | "outtakes" | "rehearsal" => Meaning::Kind(DEMO),
        "alternate" | "alternative" | "take" | "rough" => Meaning::KindByPlace(DEMO),
        "rerecorded" | "rerecording" | "rerecord" => Meaning::Kind(RERECORDED),
        "recorded" | "recording" => Meaning::Kindless(RERECORDED),
        "extended" => Meaning::Kind(EXTENDED),
        "acapella" | "cappella" | "capella" => Meaning::Kind(ACAPELLA),
        "explicit" | "clean" | "edited" | "uncensored" | "censored"
        | "bonus" | "mono" | "stereo" | "deluxe" | "edition" | "anniversary" | "expanded" | "soundtrack" | "ost" | "radio" => Meaning::Same,
        "digital" | "digitally" | "album" | "single" | "original" | "main" | "track" | "official" | "video" | "audio" | "lyric"
        | "lyrics" | "full" | "special" | "a" | "in" | "at" | "on" | "of" | "from" | "for" | "by" | "length" | "standard" | "super"
        | "lp" | "ep" | "hd" | "hq" | "motion" | "picture" | "film" | "movie" | "advisory" | "parental" | "content" | "re" | "7"
        | "disc" | "cd" => Meaning::Filler,
        "version" | "ver" | "versao" => Meaning::Kindless(OTHER),
        "mix" | "edit" => Meaning::Kindless(REMIX),
        _ if word.starts_with("remaster") => Meaning::Same,
        _ if is_year(word) => Meaning::Filler,
        _ => Meaning::Unknown,
    }
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && (word.starts_with("19") || word.starts_with("20")) && is_number(word)
}

pub fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a text behind a title is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Words about the version, taken into it.
    Version,
    /// Words of the title, or of the artist or album.
    Content,
}

impl Version {
    /// Reads a text in brackets or behind a dash; adds what it says about the version. A `doubtful` text may as well be the
    /// title itself, behind the name of an artist: only version words count there.
    pub fn read(&mut self, words: &Words, doubtful: bool) -> Tail {
        let reading = Reading::of(words);
        if reading.is_part() {
            words.iter().filter(|word| is_number(word)).for_each(|word| self.part.push(word));
            return Tail::Version;
        }
        let kinds = reading.kinds();
        if doubtful && reading.unknown > 0 && !reading.remaster {
            return Tail::Content;
        }
        if kinds != 0 {
            self.kinds |= kinds;
            words.iter().filter(|word| matches!(meaning(word), Meaning::Unknown)).for_each(|word| self.which.push(word));
            self.tails.push((kinds, words.clone()));
            return Tail::Version;
        }
        if reading.says_same() { Tail::Version } else { Tail::Content }
    }

    /// Takes the number of a part.
    pub fn add_part(&mut self, number: &str) {
        self.part.push(number);
    }

    /// The kinds that an album's name says of everything on it: "Live at Wembley", "Hits (Acoustic)", "The Remixes".
    pub fn said(words: &Words) -> u16 {
        Reading::of(words).said_of_album()
    }

    /// The kinds that the brackets behind an album's name say: "Fearless (Taylor's Version)".
    pub fn said_by_tail(words: &Words) -> u16 {
        Reading::of(words).kinds()
    }

    /// The kinds that the words of an album's name hint at.
    pub fn hinted(words: &Words) -> u16 {
        words.iter().fold(0, |kinds, word| match meaning(word) {
            Meaning::Kind(kind) | Meaning::KindByPlace(kind) | Meaning::Kindless(kind) => kinds | kind,
            _ => kinds,
        })
    }

    pub fn kinds(&self) -> u16 {
        self.kinds
    }

    /// The kinds said by texts that are not, for instance, the name of an album.
    pub fn kinds_except(&self, explained: impl Fn(&Words) -> bool) -> u16 {
        self.tails.iter().filter(|(_, words)| !explained(words)).fold(0, |kinds, (kind, _)| kinds | kind)
    }

    pub fn which(&self) -> &Words {
        &self.which
    }

    pub fn part(&self) -> &Words {
        &self.part
    }
}

/// Counts of what the words of one text mean.
#[derive(Default)]
struct Reading {
    kinds: u16,
    /// Kinds whose word only starts the text: "(Live Wembley)" behind a title says so, an album "Live Through This" does not.
    opening: u16,
    kindless: u16,
    same: usize,
    filler: usize,
    unknown: usize,
    numbers: usize,
    part_words: usize,
    from: bool,
    remaster: bool,
}

impl Reading {
    fn of(words: &Words) -> Reading {
        let mut reading = Reading::default();
        let mut following = words.iter().skip(1);
        let mut previous = "";
        for (at, word) in words.iter().enumerate() {
            let next = following.next();
            let of_disc = is_number(word) && matches!(previous, "disc" | "cd");
            previous = word;
            if of_disc {
                continue; // which disc it was on says nothing about the recording
            }
            reading.numbers += usize::from(is_number(word) && !is_year(word));
            reading.part_words += usize::from(matches!(word, "part" | "teil" | "parte" | "of" | "volume" | "chapter"));
            reading.from |= at == 0 && word == "from";
            reading.remaster |= word.starts_with("remaster");
            match meaning(word) {
                Meaning::Kind(kind) => reading.kinds |= kind,
                Meaning::KindByPlace(kind) => {
                    let said = match word {
                        "style" => next == Some("of"),
                        "originally" => matches!(next, Some("performed" | "recorded" | "by" | "sung")),
                        "made" => next == Some("famous"),
                        "backing" => next == Some("track"),
                        _ => next.is_none_or(says_more_of_a_version),
                    };
                    match said {
                        true => reading.kinds |= kind,
                        false if at == 0 && !is_phrase(word) => reading.opening |= kind,
                        false => reading.unknown += 1,
                    }
                }
                Meaning::Kindless(kind) => reading.kindless |= kind,
                Meaning::Same => reading.same += 1,
                Meaning::Filler => reading.filler += 1,
                Meaning::Unknown => reading.unknown += 1,
            }
        }
        reading
    }

    fn is_part(&self) -> bool {
        let plain = self.kinds | self.opening == 0 && self.kindless == 0 && self.same == 0;
        plain && self.numbers > 0 && self.part_words > 0 && self.unknown <= self.numbers + self.part_words
    }

    fn kinds(&self) -> u16 {
        let kindless = if self.unknown > 0 && !self.remaster || self.kindless & RERECORDED != 0 { self.kindless } else { 0 };
        self.kinds | self.opening | kindless
    }

    /// "mix" and "cover" are in the names of albums that are neither.
    fn said_of_album(&self) -> u16 {
        self.kinds & !COVER
    }

    fn says_same(&self) -> bool {
        self.remaster
            || (self.from && self.same > 0)
            || (self.unknown == 0 && (self.same > 0 || self.kindless != 0))
            || (self.unknown == 0 && self.filler > 0)
    }
}

/// Words that say something only together with the next one.
fn is_phrase(word: &str) -> bool {
    matches!(word, "style" | "originally" | "made" | "backing")
}

/// "live at", "acoustic version", "take 2".
fn says_more_of_a_version(next: &str) -> bool {
    is_number(next) || !matches!(meaning(next), Meaning::Unknown) || matches!(next, "performance" | "track")
}

#[cfg(test)]
mod tests {
    use super::super::fold::fold;
    use super::*;

    fn read(text: &str) -> (Tail, Version) {
        let mut version = Version::default();
        let tail = version.read(&Words::new(&fold(text)), false);
        (tail, version)
    }

    #[test]
    fn the_same_song_in_other_words() {
        let tails = [
            "2011 Remaster",
            "Remastered",
            "Radio Edit",
            "Album Version",
            "Explicit",
            "Deluxe Edition",
            "Bonus Track",
            "2012",
            "Mono",
            "From \"The Graduate\" Soundtrack",
            "Original Mix",
            "Single Version",
            "2009 Digital Remaster",
            "disc 2",
        ];
        for text in tails {
            let (tail, version) = read(text);
            assert_eq!((tail, version.kinds()), (Tail::Version, 0), "{text}");
        }
    }

    #[test]
    fn another_recording() {
        for (text, kinds) in [
            ("Live at Wembley", LIVE),
            ("MTV Unplugged", LIVE),
            ("Seeb Remix", REMIX),
            ("Chronic 1 edit", REMIX),
            ("Acoustic", ACOUSTIC),
            ("Karaoke Version", KARAOKE),
            ("Originally Performed by Adele", COVER),
            ("In the Style of Adele", COVER),
            ("Take 2, Early Take", DEMO),
            ("Re-Recorded Version", RERECORDED),
            ("Taylor's Version", OTHER),
            ("Live / 2011 Remaster", LIVE),
        ] {
            assert_eq!(read(text).1.kinds() & kinds, kinds, "{text}");
        }
        assert_eq!(read("2 of 2").1.part().key(), "22");
        assert_eq!(read("Pt. II").1.part().key(), "2");
    }

    #[test]
    fn other_words_are_content() {
        for text in ["And I Feel Fine", "Rumours", "The Unforgiven", "Style Talks Twice", "Alive"] {
            assert_eq!(read(text).0, Tail::Content, "{text}");
        }
    }

    #[test]
    fn a_doubtful_text_is_a_title_unless_it_has_only_version_words() {
        let mut version = Version::default();
        assert_eq!(version.read(&Words::new("i want to live"), true), Tail::Content);
        assert_eq!(version.read(&Words::new("live"), true), Tail::Version);
        assert_eq!(version.kinds(), LIVE);
    }
}
