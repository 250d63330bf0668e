//! Guests: "feat.", "with", "vs." and the other words that join artists.

use super::words::is_word_letter;

/// How a word joins two artists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// What follows is a guest of the artist before it.
    Guest,
    /// A guest if it looks like a name: "Staind With Fred Durst", but not "Sleeping With Sirens".
    MaybeGuest,
    /// Both are artists of equal rank.
    Equals,
}

const JOINTS: [(&str, Joint); 15] = [
    ("featuring", Joint::Guest),
    ("feat", Joint::Guest),
    ("ft", Joint::Guest),
    // In brackets or before a name of two words: elsewhere it is an initial, "John F. Kennedy", "A.F.I.".
    ("f.", Joint::Guest),
    ("performing", Joint::Guest),
    ("with", Joint::MaybeGuest),
    ("w/", Joint::Guest),
    ("vs", Joint::Equals),
    ("versus", Joint::Equals),
    ("presents", Joint::Equals),
    ("present", Joint::Equals),
    ("pres", Joint::Equals),
    ("and", Joint::Equals),
    ("x", Joint::Equals),
    ("y", Joint::Equals),
];

/// Splits a folded name at its first guest. The second part is empty of joint words: both together are the full name.
pub fn split_guests(folded: &str) -> (&str, Option<&str>) {
    for (at, joint, end) in joints(folded) {
        let (before, after) = (folded.get(..at).unwrap_or(""), folded.get(end..).unwrap_or(""));
        let guest = match joint {
            Joint::Guest => true,
            Joint::MaybeGuest => looks_like_a_name(after),
            Joint::Equals => false,
        };
        // "Little Feat" and "Fleet Ft" have nobody behind the word.
        if guest && before.chars().any(is_word_letter) && after.chars().any(is_word_letter) {
            return (before, Some(after));
        }
    }
    (folded, None)
}

/// Splits a folded title at "feat.", "ft." or "featuring"; "with" belongs to a title more often than to a guest.
pub fn split_featured(folded: &str) -> (&str, Option<&str>) {
    let found = joints(folded).find(|(at, joint, end)| {
        let somebody = folded.get(*end..).is_some_and(|after| after.chars().any(is_word_letter));
        *at > 0 && *joint == Joint::Guest && somebody && folded.get(*at..*end).is_some_and(|word| word.starts_with('f'))
    });
    match found {
        Some((at, _, end)) => (folded.get(..at).unwrap_or(""), folded.get(end..)),
        None => (folded, None),
    }
}

/// True for a text that is nothing but guests: "feat. Dido", "with Willie Nelson", "+ Dot Rotten".
pub fn is_guest_list(folded: &str) -> bool {
    let text = folded.trim_start();
    text.starts_with('+') && text.len() > 1
        || joints(text).next().is_some_and(|(at, joint, _)| at == 0 && matches!(joint, Joint::Guest | Joint::MaybeGuest))
}

/// The artists of a joint name; nothing if it is not joint.
pub fn joint_parts(folded: &str) -> impl Iterator<Item = &str> {
    let mut cuts: Vec<(usize, usize)> = joints(folded).map(|(at, _, end)| (at, end)).collect();
    let marks =
        folded.char_indices().filter(|(_, letter)| matches!(letter, '&' | ',' | '/' | ';' | '+' | '(' | '[' | ')' | ']'));
    cuts.extend(marks.map(|(at, _)| (at, at + 1)));
    cuts.sort_unstable();
    let joint = !cuts.is_empty();
    cuts.push((folded.len(), folded.len()));
    let mut start = 0;
    cuts.into_iter().filter(move |_| joint).filter_map(move |(at, end)| {
        let part = folded.get(start..at);
        start = end.max(start);
        part
    })
}

fn looks_like_a_name(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or("");
    words.next().is_some() && !matches!(first, "the" | "a" | "an" | "my" | "your" | "no" | "his" | "her" | "me" | "you")
}

/// The joint words of a folded text: where each starts, what it means, where the text goes on.
fn joints(folded: &str) -> impl Iterator<Item = (usize, Joint, usize)> {
    let mut previous = ' ';
    folded.char_indices().filter_map(move |(at, letter)| {
        let starts_word = !is_word_letter(previous) && previous != '\'';
        previous = letter;
        if !starts_word || !matches!(letter, 'a' | 'f' | 'p' | 'v' | 'w' | 'x' | 'y') {
            return None;
        }
        let rest = folded.get(at..)?;
        JOINTS.iter().find_map(|(word, joint)| {
            let after = rest.strip_prefix(word)?;
            let ends = after.chars().next().is_none_or(|next| !next.is_alphabetic() || next >= '\u{1100}')
                || !word.ends_with(char::is_alphabetic);
            let before = folded.get(..at).unwrap_or("");
            let single = word.len() == 1 && !(after.starts_with(' ') && before.ends_with(' '));
            let initial = *word == "f."
                && !(at == 0 || before.ends_with(['(', '[']) || before.ends_with(' ') && after.split_whitespace().count() > 1);
            (ends && !single && !initial).then_some((at, *joint, at + word.len()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_found_in_every_spelling() {
        for name in [
            "eminem ft. dido",
            "eminem feat dido",
            "eminem featuring dido",
            "eminem (feat. dido)",
            "eminem (f. dido)",
            "eminem f. dr. dre",
            "eminem w/ dido",
        ] {
            assert_eq!(split_guests(name).0.trim_end_matches(['(', ' ']), "eminem", "{name}");
        }
        assert_eq!(split_guests("staind with fred durst").0, "staind ");
        assert_eq!(split_guests("sleeping with sirens").1, None);
        assert_eq!(split_guests("feat. dido").1, None, "no name before it");
        assert_eq!(split_guests("aretha").1, None);
        assert_eq!(split_guests("daft punk").1, None);
        assert_eq!(split_guests("little feat").1, None, "nobody after it");
        assert_eq!(split_guests("a.f.i.").1, None, "an initial");
        assert_eq!(split_guests("john f. kennedy").1, None, "an initial");
        assert_eq!(split_featured("cold feat").1, None);
    }

    #[test]
    fn a_joint_name_has_parts() {
        let parts =
            |name| joint_parts(name).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parts("avicii & aloe blacc"), ["avicii", "aloe blacc"]);
        assert_eq!(parts("a, b and c feat. d"), ["a", "b", "c", ". d"]);
        assert!(parts("radiohead").is_empty());
    }

    #[test]
    fn guest_lists_are_recognised() {
        assert!(is_guest_list("feat. dido"));
        assert!(is_guest_list("with willie nelson"));
        assert!(is_guest_list("+ dot rotten"));
        assert!(!is_guest_list("and i feel fine"));
        assert!(!is_guest_list("live"));
    }
}
