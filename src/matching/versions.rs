//! Versions: what the words behind a title say about the recording.
//!
//! A remaster, an edition, a radio edit is the same song to us; live, remix, acoustic, instrumental, karaoke, cover, demo,
//! a new recording and another part are not. Such words count only in brackets or behind a dash: "Live Forever" is a title.

use super::words::Words;

/// What makes it another recording: a set of the `Version::…` bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    kinds: u16,
    /// The words that say which one: the remixer, the place.
    which: Words,
    /// "part 2", "2 of 2".
    part: Words,
    /// A remaster, an edition and the like were found; they do not count.
    ignored: bool,
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
    /// Says that it is the same song: "remastered".
    Same,
    /// Says so only together with a word that does: "2011", "digital", "the".
    Filler,
    /// "version", "mix", "edit": the words beside it decide.
    Kindless(u16),
    Unknown,
}

fn meaning(word: &str) -> Meaning {
    match word {
        "live" | "unplugged" | "concert" => Meaning::Kind(LIVE),
        "remix" | "rmx" | "remixed" | "remixes" | "rework" | "reworked" | "bootleg" | "mashup" | "dub" | "megamix"
        | "refix" => Meaning::Kind(REMIX),
        "acoustic" | "acoustica" | "akustik" | "acustico" => Meaning::Kind(ACOUSTIC),
        "instrumental" | "instrumentals" => Meaning::Kind(INSTRUMENTAL),
        "karaoke" | "backing" | "playback" => Meaning::Kind(KARAOKE),
        "cover" | "covered" | "tribute" | "style" | "famous" => Meaning::Kind(COVER),
        "demo" | "demos" | "outtake" | "outtakes" | "rehearsal" | "rough" | "alternate" | "alternative" | "take" | "sketch" => {
            Meaning::Kind(DEMO)
        }
        "rerecorded" | "rerecording" | "rerecord" | "recorded" => Meaning::Kind(RERECORDED),
        "extended" => Meaning::Kind(EXTENDED),
        "acapella" | "cappella" | "capella" => Meaning::Kind(ACAPELLA),
        "remaster" | "remastered" | "remastering" | "remasterizado" | "remasterise" | "explicit" | "clean" | "edited"
        | "uncensored" | "censored" | "bonus" | "mono" | "stereo" | "deluxe" | "edition" | "anniversary" | "expanded"
        | "soundtrack" | "ost" | "radio" => Meaning::Same,
        "digital" | "digitally" | "album" | "single" | "original" | "main" | "track" | "official" | "video" | "audio"
        | "lyric" | "lyrics" | "full" | "special" | "a" | "in" | "at" | "on" | "of" | "from" | "for" | "by" | "length"
        | "standard" | "super" | "lp" | "ep" | "hd" | "hq" | "motion" | "picture" | "film" | "movie" | "advisory"
        | "parental" | "content" | "re" | "7" => Meaning::Filler,
        "version" | "ver" | "versao" => Meaning::Kindless(OTHER),
        "mix" | "edit" => Meaning::Kindless(REMIX),
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
    /// Reads a text in brackets or behind a dash; adds what it says about the version.
    pub fn read(&mut self, words: &Words) -> Tail {
        let reading = Reading::of(words);
        if reading.is_part() {
            words.iter().filter(|word| is_number(word)).for_each(|word| self.part.push(word));
            return Tail::Version;
        }
        let kinds = reading.kinds();
        if kinds != 0 {
            self.kinds |= kinds;
            words.iter().filter(|word| matches!(meaning(word), Meaning::Unknown)).for_each(|word| self.which.push(word));
            return Tail::Version;
        }
        if reading.says_same() {
            self.ignored = true;
            return Tail::Version;
        }
        Tail::Content
    }

    /// The kinds that the words of an album's name hint at.
    pub fn hinted(words: &Words) -> u16 {
        words.iter().fold(0, |kinds, word| match meaning(word) {
            Meaning::Kind(kind) | Meaning::Kindless(kind) => kinds | kind,
            _ => kinds,
        })
    }

    pub fn kinds(&self) -> u16 {
        self.kinds
    }

    pub fn which(&self) -> &Words {
        &self.which
    }

    pub fn part(&self) -> &Words {
        &self.part
    }

    pub fn ignored(&self) -> bool {
        self.ignored
    }
}

/// Counts of what the words of one text mean.
#[derive(Default)]
struct Reading {
    kinds: u16,
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
        for (at, word) in words.iter().enumerate() {
            reading.numbers += usize::from(is_number(word) && !is_year(word));
            reading.part_words += usize::from(matches!(word, "part" | "teil" | "parte" | "of" | "volume" | "chapter" | "disc"));
            reading.from |= at == 0 && word == "from";
            reading.remaster |= word.starts_with("remaster");
            match meaning(word) {
                Meaning::Kind(kind) => reading.kinds |= kind,
                Meaning::Kindless(kind) => reading.kindless |= kind,
                Meaning::Same => reading.same += 1,
                Meaning::Filler => reading.filler += 1,
                Meaning::Unknown => reading.unknown += 1,
            }
        }
        reading
    }

    fn is_part(&self) -> bool {
        self.numbers > 0
            && self.part_words > 0
            && self.unknown <= self.numbers + self.part_words
            && self.kinds == 0
            && self.kindless == 0
    }

    fn kinds(&self) -> u16 {
        if self.remaster {
            return self.kinds & (LIVE | REMIX | ACOUSTIC | INSTRUMENTAL | KARAOKE | DEMO);
        }
        // "style" and "famous" mean a cover only in a longer phrase; "take" and "cover" stand alone or with their number.
        self.kinds | if self.unknown > 0 { self.kindless } else { 0 }
    }

    fn says_same(&self) -> bool {
        self.remaster
            || (self.from && self.same > 0)
            || (self.unknown == 0 && (self.same > 0 || self.kindless != 0))
            || (self.unknown == 0 && self.filler > 0 && self.numbers == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold::fold;
    use super::*;

    fn read(text: &str) -> (Tail, Version) {
        let mut version = Version::default();
        let tail = version.read(&Words::new(&fold(text)));
        (tail, version)
    }

    #[test]
    fn the_same_song_in_other_words() {
        for text in [
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
        ] {
            let (tail, version) = read(text);
            assert_eq!((tail, version.kinds()), (Tail::Version, 0), "{text}");
        }
    }

    #[test]
    fn another_recording() {
        for (text, kinds) in [
            ("Live at Wembley", LIVE),
            ("Seeb Remix", REMIX),
            ("Chronic 1 edit", REMIX),
            ("Acoustic", ACOUSTIC),
            ("Karaoke Version", KARAOKE),
            ("Originally Performed by Adele", 0),
            ("Take 2, Early Take", DEMO),
            ("Re-Recorded Version", RERECORDED),
            ("Taylor's Version", OTHER),
            ("Live / 2011 Remaster", LIVE),
        ] {
            assert_eq!(read(text).1.kinds(), kinds, "{text}");
        }
        assert_eq!(read("2 of 2").1.part().key(), "22");
        assert_eq!(read("Pt. II").1.part().key(), "2");
    }

    #[test]
    fn other_words_are_content() {
        for text in ["And I Feel Fine", "Rumours", "The Unforgiven"] {
            assert_eq!(read(text).0, Tail::Content, "{text}");
        }
    }
}
