//! Titles: the segments of a title, what each is, and the version it names.
//!
//! Catalogues put the artist before a title and the album, the version or the guests behind it, in brackets or beside a
//! dash. A title is therefore kept as a list of segments; which of them belong to the title is decided only when it is
//! compared, since the other side's artist and album say which are theirs.

use super::fold::fold;
use super::guests::{is_guest_list, joint_parts, split_featured};
use super::versions::{Tail, Version, is_number};
use super::words::{Words, is_word_letter};

/// A title, taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Title {
    /// The segments that may be title, artist or album; the first is never empty unless the title is.
    pub content: Vec<Words>,
    /// Artists that the title names as guests.
    pub guests: Vec<Words>,
    pub version: Version,
    /// What stood in place of a title: "Unknown", "n.a.", nothing but a track number. Empty if there is a title.
    pub placeholder: Words,
}

/// Segments told apart in one title; more than any real title has.
const MOST_SEGMENTS: usize = 12;
/// Guests read from one title.
const MOST_GUESTS: usize = 12;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    Bracket,
}

impl Title {
    /// Takes a title apart. If the artist is not known from elsewhere, the title may start with it.
    pub fn new(raw: &str, artist_known: bool) -> Title {
        let folded = fold(raw);
        let text = without_track_number(&folded);
        let mut title = Title::default();
        for (place, segment) in segments(text).into_iter().take(MOST_SEGMENTS) {
            title.add(place, segment, artist_known);
        }
        if text.trim() == "n.a." || title.content.first().is_some_and(|first| first.key() == "unknown") {
            title = Title::default();
        } else if title.content.is_empty() && !text.trim().is_empty() {
            // A title of version words only ("Remix", "Live"): then they are the title.
            let words = Words::new(text);
            title = Title { content: Vec::from_iter((!words.is_empty()).then_some(words)), ..Title::default() };
        }
        if title.content.is_empty() {
            title.placeholder = Words::new(&folded);
        }
        title
    }

    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    fn add(&mut self, place: Place, segment: &str, artist_known: bool) {
        // Behind a dash only "feat." and its kin: "U2 - With or Without You" has no guest.
        if is_guest_list(segment) && (place == Place::Bracket || segment.trim_start().starts_with('f')) {
            return self.add_guests(segment);
        }
        let (segment, guests) = split_featured(segment);
        guests.into_iter().for_each(|guests| self.add_guests(guests));
        let words = Words::new(segment);
        if words.is_empty() || (words.is_symbols() && !self.content.is_empty()) {
            return;
        }
        let doubtful = !artist_known && place == Place::Plain && self.content.len() == 1;
        if self.content.is_empty() || self.version.read(&words, doubtful) == Tail::Content {
            self.add_content(words);
        }
    }

    /// "The Wall, Pt. 2" says in the title what "The Wall (Part 2)" says behind it.
    fn add_content(&mut self, words: Words) {
        let (start, end) = words.split_end(2);
        match end.as_slice() {
            ["part", number] if is_number(number) && !start.is_empty() => {
                self.version.add_part(number);
                self.content.push(start);
            }
            _ => self.content.push(words),
        }
    }

    fn add_guests(&mut self, guests: &str) {
        let mut names: Vec<Words> = joint_parts(guests).map(Words::new).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            names.extend(Some(Words::new(guests)).filter(|name| !name.is_empty()));
        }
        names.truncate(MOST_GUESTS.saturating_sub(self.guests.len()));
        self.guests.append(&mut names);
    }
}

/// Splits at brackets and at dashes that have a space beside them.
fn segments(text: &str) -> Vec<(Place, &str)> {
    let mut found = Vec::with_capacity(4);
    let (mut start, mut depth, mut previous) = (0, 0u32, ' ');
    for (at, letter) in text.char_indices() {
        let place = if depth > 0 { Place::Bracket } else { Place::Plain };
        let after = text.get(at + letter.len_utf8()..).unwrap_or("");
        let cut = match letter {
            '(' | '[' | '{' => {
                depth += 1;
                true
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                true
            }
            '-' => depth == 0 && (is_gap(previous) || after.starts_with(is_gap)),
            _ => false,
        };
        if cut {
            found.push((place, text.get(start..at).unwrap_or("")));
            start = at + letter.len_utf8();
        }
        previous = letter;
    }
    found.push((if depth > 0 { Place::Bracket } else { Place::Plain }, text.get(start..).unwrap_or("")));
    found.retain(|(_, segment)| !segment.trim().is_empty());
    found
}

fn is_gap(letter: char) -> bool {
    matches!(letter, ' ' | '_' | '-')
}

/// "005-Stand", "07. Stand", "0A4-Stand": a number with a leading zero or of three digits, and a mark behind it. "99
/// Luftballons", "505" and "19-2000" keep theirs. Nothing but such a number is no title at all.
fn without_track_number(text: &str) -> &str {
    let rest = text.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
    let number = text.get(..text.len() - rest.len()).unwrap_or("");
    let name = rest.trim_start_matches(['-', '.', '_', ')', ' ']);
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let zero = number.starts_with('0') && (2..=4).contains(&number.len()) && (digits || rest.starts_with('-'));
    let long = digits && (3..=4).contains(&number.len()) && rest.starts_with(['-', '_', ')']) && !rest.starts_with("- ");
    let marked = rest.starts_with(['-', '.', '_', ')']);
    match (zero && (marked || rest.trim().is_empty())) || (long && name.contains(is_word_letter)) {
        true => name,
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::versions::{LIVE, REMIX};
    use super::*;

    fn content(raw: &str) -> Vec<String> {
        Title::new(raw, true).content.iter().map(|words| words.iter().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn a_title_is_taken_apart() {
        assert_eq!(content("Dreams - 2004 Remaster"), ["dreams"]);
        assert_eq!(content("Stand (Silence)"), ["stand", "silence"]);
        assert_eq!(content("Stand By Me"), ["stand by me"]);
        assert_eq!(content("005-Stand"), ["stand"]);
        assert_eq!(content("99 Luftballons"), ["99 luftballons"]);
        assert_eq!(content("(I Can't Get No) Satisfaction"), ["i cant get no", "satisfaction"]);
        assert_eq!(content("Live Forever"), ["live forever"]);
        assert_eq!(content("Wake Me Up (feat. Aloe Blacc)"), ["wake me up"]);
        assert_eq!(content("Dancing with Myself"), ["dancing with myself"]);
        assert_eq!(content("Remix"), ["remix"]);
        assert!(content("  ").is_empty());
    }

    #[test]
    fn its_version_and_guests_are_kept_apart() {
        let title = Title::new("Old Town Road (feat. Billy Ray Cyrus) - Remix", true);
        assert_eq!(title.version.kinds(), REMIX);
        assert_eq!(title.guests.iter().map(Words::key).collect::<Vec<_>>(), ["billyraycyrus"]);
        assert_eq!(Title::new("Creep (Live at Reading 1994)", true).version.kinds(), LIVE);
    }
}
