//! Aliases: a user's own list of names that no comparison of strings can join ("Prince" and "The Artist ...").
//!
//! A text of lines `name<TAB>canonical name or artist id`. Names are looked up as they are normalised, so that one line
//! covers all spellings. Empty lines and lines that start with `#` are skipped; a first line `name<TAB>canonical` is a
//! header.

use super::artist::Artist;
use std::collections::HashMap;
use thiserror::Error;

/// The user's names, by their normalised key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases {
    canonical: HashMap<String, String>,
}

/// Why a list of aliases cannot be used; says where and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AliasError {
    #[error("line {line}, column {column}: not UTF-8")]
    NotUtf8 { line: usize, column: usize },
    #[error("line {line}, column {column}: {problem}; expected name<TAB>canonical name or artist id")]
    Malformed { line: usize, column: usize, problem: &'static str },
    #[error("line {line}, column 1: {name:?} was already given another canonical name in line {earlier}")]
    Contradiction { line: usize, name: String, earlier: usize },
}

impl Aliases {
    /// Reads the text of an alias file.
    pub fn parse(bytes: &[u8]) -> Result<Aliases, AliasError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (line, column) = position(bytes, error.valid_up_to());
            AliasError::NotUtf8 { line, column }
        })?;
        let mut aliases = Aliases::default();
        let mut lines: HashMap<String, usize> = HashMap::new();
        for (at, row) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
            let line = at + 1;
            if row.trim().is_empty() || row.starts_with('#') || (line == 1 && row.to_lowercase().starts_with("name\tcanonical"))
            {
                continue;
            }
            let (name, canonical) = columns(row, line)?;
            let key = key(name);
            if key.is_empty() {
                return Err(AliasError::Malformed { line, column: 1, problem: "a name without letters, digits or symbols" });
            }
            let earlier = aliases.canonical.insert(key.clone(), canonical.to_owned());
            if earlier.is_some_and(|earlier| earlier != canonical) {
                let earlier = lines.get(&key).copied().unwrap_or(0);
                return Err(AliasError::Contradiction { line, name: name.to_owned(), earlier });
            }
            lines.insert(key, line);
        }
        Ok(aliases)
    }

    pub fn is_empty(&self) -> bool {
        self.canonical.is_empty()
    }

    /// How many names are known.
    pub fn len(&self) -> usize {
        self.canonical.len()
    }

    /// What the user says about two names; `None` if at most one of them is known and it is not the other.
    pub fn same(&self, one: &Artist, other: &Artist) -> Option<bool> {
        if self.canonical.is_empty() {
            return None;
        }
        let (a, b) = (one.words().key(), other.words().key());
        match (self.canonical.get(a), self.canonical.get(b)) {
            (Some(first), Some(second)) => Some(first == second || key(first) == key(second)),
            (Some(first), None) => (key(first) == b).then_some(true),
            (None, Some(second)) => (key(second) == a).then_some(true),
            (None, None) => None,
        }
    }
}

fn columns(row: &str, line: usize) -> Result<(&str, &str), AliasError> {
    let malformed = |column, problem| AliasError::Malformed { line, column, problem };
    let column_of = |bytes: usize| row.get(..bytes).unwrap_or("").chars().count() + 1;
    let (name, rest) = row.split_once('\t').ok_or_else(|| malformed(column_of(row.len()), "no tab"))?;
    if let Some((canonical, _)) = rest.split_once('\t') {
        return Err(malformed(column_of(name.len() + 1 + canonical.len()), "more than two columns"));
    }
    let canonical = rest.trim();
    if canonical.is_empty() {
        return Err(malformed(column_of(name.len() + 1), "no canonical name"));
    }
    Ok((name.trim(), canonical))
}

fn key(name: &str) -> String {
    Artist::new(name).words().key().to_owned()
}

/// Line and column (in characters, both from 1) of a byte.
pub fn position(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(before.get(start..).unwrap_or(&[])).chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(aliases: &Aliases, one: &str, other: &str) -> Option<bool> {
        aliases.same(&Artist::new(one), &Artist::new(other))
    }

    #[test]
    fn the_user_has_the_first_word() -> Result<(), AliasError> {
        let file =
            "# ours\nPrince\tid-1\nThe Artist Formerly Known as Prince\tid-1\nNirvana UK\tid-2\nNirvana\tid-3\nКино\tKino\n";
        let aliases = Aliases::parse(file.as_bytes())?;
        assert_eq!(aliases.len(), 5);
        assert_eq!(same(&aliases, "PRINCE", "the artist formerly known as prince"), Some(true));
        assert_eq!(same(&aliases, "Nirvana", "Nirvana (UK)"), Some(false));
        assert_eq!(same(&aliases, "Кино", "KINO"), Some(true));
        assert_eq!(same(&aliases, "Prince", "Madonna"), None);
        Ok(())
    }

    #[test]
    fn errors_say_where() {
        let problem = |file: &[u8]| Aliases::parse(file).map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(
            problem(b"a\tb\nx\n"),
            Err("line 2, column 2: no tab; expected name<TAB>canonical name or artist id".to_owned())
        );
        assert_eq!(problem(b"a\tb\n\xc3\xa9\xff\tc\n"), Err("line 2, column 2: not UTF-8".to_owned()));
        assert!(problem(b"a\t\n").is_err_and(|text| text.starts_with("line 1, column 3: no canonical")));
        assert!(problem(b"a\tb\tc\n").is_err_and(|text| text.starts_with("line 1, column 4: more than")));
        assert!(problem(b"a\tb\nA\tc\n").is_err_and(|text| text.contains("line 1")));
        assert_eq!(problem(b"name\tcanonical\n\n# x\n"), Ok(()));
    }
}
