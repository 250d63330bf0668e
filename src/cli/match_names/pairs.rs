//! A TSV of pairs: its lines, its header, its rows. No quoting: a field has neither tab nor newline.

use crate::matching::{MatchResult, Matcher, TrackQuery};
use anyhow::Context;
use std::io::{BufRead, Read};

/// Bytes of the longest line read: many times the longest names. A file without line ends is not a table.
const LONGEST_LINE: u64 = 16 << 20;
/// Letters of a header shown in a message.
const SHOWN: usize = 200;

/// The lines of an input, checked for UTF-8, with their numbers.
pub(super) struct Rows<'a, R> {
    input: &'a mut R,
    source: &'a str,
    bytes: Vec<u8>,
    line: usize,
}

impl<'a, R: BufRead> Rows<'a, R> {
    pub(super) fn new(input: &'a mut R, source: &'a str) -> Self {
        Rows { input, source, bytes: Vec::new(), line: 0 }
    }

    /// What is wrong with the line read last.
    pub(super) fn problem(&self, problem: &str) -> anyhow::Error {
        anyhow::anyhow!("{}, line {}: {problem}", self.source, self.line)
    }

    /// The next line without its end; `None` behind the last.
    pub(super) fn next_line(&mut self) -> anyhow::Result<Option<String>> {
        self.bytes.clear();
        let mut line = Read::take(&mut *self.input, LONGEST_LINE + 1);
        let read = line.read_until(b'\n', &mut self.bytes).with_context(|| format!("cannot read {}", self.source))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        if read as u64 > LONGEST_LINE {
            anyhow::bail!(
                "{}, line {}: longer than {} MiB; expected a line a pair",
                self.source,
                self.line,
                LONGEST_LINE >> 20
            );
        }
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let before = self.bytes.get(..error.valid_up_to()).unwrap_or(&[]);
            let column = String::from_utf8_lossy(before).chars().count() + 1;
            anyhow::anyhow!("{}, line {}, column {column}: not UTF-8", self.source, self.line)
        })?;
        let text = if self.line == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        let text = text.strip_suffix('\n').unwrap_or(text);
        Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned()))
    }
}

/// Where one side of a pair stands.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    artist: Option<usize>,
    title: Option<usize>,
    album: Option<usize>,
    duration: Option<usize>,
    isrc: Option<usize>,
    mbid: Option<usize>,
}

/// Where the columns stand that a comparison needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    count: usize,
    tracks: bool,
    a: Side,
    b: Side,
}

impl Columns {
    /// Finds the columns by their names, in any order and among others.
    pub(super) fn recognise(header: &str) -> Result<Columns, String> {
        let names: Vec<String> = header.split('\t').map(|name| name.trim().to_lowercase()).collect();
        let at = |name: String| names.iter().position(|found| *found == name);
        let side = |which: &str| Side {
            artist: at(format!("artist_{which}")),
            title: at(format!("title_{which}")),
            album: at(format!("album_{which}")),
            duration: at(format!("dur_{which}_s")),
            isrc: at(format!("isrc_{which}")),
            mbid: at(format!("mbid_{which}")),
        };
        let (mut a, mut b) = (side("a"), side("b"));
        let tracks = a.title.is_some() && b.title.is_some();
        if !tracks {
            // Names of artists; their own columns win over those of tracks without titles.
            a.artist = at("name_a".to_owned()).or(a.artist);
            b.artist = at("name_b".to_owned()).or(b.artist);
        }
        if tracks || (a.artist.is_some() && b.artist.is_some()) {
            Ok(Columns { count: names.len(), tracks, a, b })
        } else {
            let found: String = names.join(" ").chars().take(SHOWN).collect();
            Err(format!(
                "found the columns {found:?}; expected name_a name_b, or artist_a title_a album_a artist_b title_b album_b"
            ))
        }
    }

    /// The fields of a line; missing ones at its end count as empty.
    pub(super) fn split<'a>(&'a self, line: &'a str) -> Result<Row<'a>, String> {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields.len() > self.count {
            return Err(format!("{} columns; the header has {}", fields.len(), self.count));
        }
        Ok(Row { columns: self, fields })
    }
}

/// One pair.
pub(super) struct Row<'a> {
    columns: &'a Columns,
    fields: Vec<&'a str>,
}

impl Row<'_> {
    pub(super) fn compare(&self, matcher: &Matcher) -> MatchResult {
        if self.columns.tracks {
            matcher.track(&self.track(self.columns.a), &self.track(self.columns.b))
        } else {
            matcher.artist(self.field(self.columns.a.artist), self.field(self.columns.b.artist))
        }
    }

    /// The tabs that a row lacks at its end.
    pub(super) fn padding(&self) -> String {
        "\t".repeat(self.columns.count.saturating_sub(self.fields.len()))
    }

    /// What was compared, for a person.
    pub(super) fn title(&self) -> String {
        let name = |side: Side| {
            let parts = [self.field(side.artist), self.field(side.title)];
            parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(": ")
        };
        format!("{}\t{}", name(self.columns.a), name(self.columns.b))
    }

    fn track(&self, side: Side) -> TrackQuery<'_> {
        let optional = |at| Some(self.field(at)).filter(|field| !field.is_empty());
        TrackQuery {
            title: self.field(side.title),
            artist: self.field(side.artist),
            album: optional(side.album),
            // A length that is no number is as good as none.
            duration_s: self.field(side.duration).trim().parse().ok(),
            isrc: optional(side.isrc),
            mbid: optional(side.mbid),
        }
    }

    fn field(&self, at: Option<usize>) -> &str {
        at.and_then(|at| self.fields.get(at)).copied().unwrap_or("")
    }
}
