//! The answer as people and programs read it: a table, JSON or CSV.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::Format;
use super::files::Found;
use crate::dsp::Analysis;

/// Longest file name shown in the table; longer ones lose their beginning.
const NAME_WIDTH: usize = 48;

/// Writes one record after the other, as they come.
pub(super) struct Writer<W> {
    format: Format,
    out: W,
    name_width: usize,
    written: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Record<'a> {
    Analyzed {
        file: String,
        #[serde(flatten)]
        analysis: &'a Analysis,
    },
    Failed {
        file: String,
        error: &'a str,
    },
}

impl<W: Write> Writer<W> {
    pub(super) fn start(format: Format, mut out: W, files: &[Found]) -> io::Result<Self> {
        let longest = files.iter().map(|file| one_line(&file.path).chars().count()).max().unwrap_or(4);
        let name_width = longest.clamp(4, NAME_WIDTH);
        match format {
            Format::Csv => csv_record(&mut out, &csv_header())?,
            Format::Table if !files.is_empty() => writeln!(out, "{}", table_header(name_width))?,
            Format::Json | Format::Table => {}
        }
        Ok(Writer { format, out, name_width, written: 0 })
    }

    pub(super) fn write(&mut self, file: &Path, result: &Result<Analysis, String>) -> io::Result<()> {
        match self.format {
            Format::Json => {
                let file = file.display().to_string();
                let record = match result {
                    Ok(analysis) => Record::Analyzed { file, analysis },
                    Err(error) => Record::Failed { file, error },
                };
                write!(self.out, "{}", if self.written == 0 { "[\n  " } else { ",\n  " })?;
                serde_json::to_writer(&mut self.out, &record)?;
            }
            Format::Csv => csv_record(&mut self.out, &csv_cells(file, result))?,
            // A failed file has no row: standard error says why.
            Format::Table => {
                if let Ok(analysis) = result {
                    writeln!(self.out, "{}", table_line(file, analysis, self.name_width))?;
                }
            }
        }
        self.written += 1;
        self.out.flush()
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.format == Format::Json {
            writeln!(self.out, "{}", if self.written == 0 { "[]" } else { "\n]" })?;
        }
        self.out.flush()
    }
}

fn table_header(width: usize) -> String {
    format!(
        "{:width$}  {:>6}  {:>6} {:>4}  {:8}  {:>6}  {:>6}  {:>8}  {:>5}  {:>5}  {:>5}",
        "file", "s", "BPM", "sure", "key", "LUFS", "energy", "centroid", "zcr", "harm", "dance"
    )
}

fn table_line(file: &Path, a: &Analysis, width: usize) -> String {
    let key = a.key.zip(a.mode).map_or("-".to_owned(), |(key, mode)| format!("{key} {mode}"));
    format!(
        "{:width$}  {:>6.1}  {:>6} {:>4}  {key:8}  {:>6}  {:>6}  {:>8}  {:>5}  {:>5}  {:>5}",
        shortened(&one_line(file), width),
        a.duration_s,
        shown(a.bpm, 1),
        shown(a.bpm_confidence, 2),
        shown(a.loudness_lufs, 1),
        shown(a.energy, 3),
        shown(a.spectral_centroid, 0),
        shown(a.zero_crossing_rate, 3),
        shown(a.harmonic_ratio, 2),
        shown(a.danceability, 2),
    )
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// A path as people read it: a control character in it neither breaks the line nor steers the terminal.
pub(super) fn one_line(path: &Path) -> String {
    let mut line = String::new();
    for character in path.display().to_string().chars() {
        if character.is_control() { line.extend(character.escape_default()) } else { line.push(character) }
    }
    line
}

/// The end of a name says more than its beginning.
fn shortened(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width { name.to_owned() } else { std::iter::once('…').chain(name.chars().skip(count + 1 - width)).collect() }
}

type Column = (&'static str, fn(&Analysis) -> Option<f64>);

const COLUMNS: [Column; 20] = [
    ("duration_s", |a| Some(a.duration_s)),
    ("bpm", |a| a.bpm),
    ("bpm_confidence", |a| a.bpm_confidence),
    ("bpm_reference", |a| a.bpm_reference),
    ("energy", |a| a.energy),
    ("spectral_centroid", |a| a.spectral_centroid),
    ("zero_crossing_rate", |a| a.zero_crossing_rate),
    ("harmonic_ratio", |a| a.harmonic_ratio),
    ("percussive_ratio", |a| a.percussive_ratio),
    ("danceability", |a| a.danceability),
    ("loudness_lufs", |a| a.loudness_lufs),
    ("loudness_range_lu", |a| a.loudness_range_lu),
    ("key_strength", |a| a.key_strength),
    ("onset_rate", |a| a.onset_rate),
    ("beat_regularity", |a| a.beat_regularity),
    ("spectral_bandwidth", |a| a.spectral_bandwidth),
    ("spectral_rolloff", |a| a.spectral_rolloff),
    ("spectral_flatness", |a| a.spectral_flatness),
    ("sample_rate", |a| Some(f64::from(a.sample_rate))),
    ("channels", |a| Some(f64::from(a.channels))),
];

type Vectors = (&'static str, usize, fn(&Analysis) -> &[f64]);

const VECTORS: [Vectors; 3] =
    [("spectral_contrast", 7, |a| &a.spectral_contrast), ("chroma", 12, |a| &a.chroma), ("mfcc", 20, |a| &a.mfcc)];

fn csv_record(out: &mut impl Write, cells: &[String]) -> io::Result<()> {
    // In memory first: a `csv::Writer` that is dropped passes over what its last flush met.
    let mut line = csv::Writer::from_writer(Vec::new());
    line.write_record(cells)?;
    out.write_all(&line.into_inner().map_err(csv::IntoInnerError::into_error)?)
}

fn csv_header() -> Vec<String> {
    let scalars = COLUMNS.iter().map(|(name, _)| (*name).to_owned());
    let vectors = VECTORS.iter().flat_map(|(name, len, _)| (1..=*len).map(move |i| format!("{name}_{i}")));
    let names = ["file", "error", "key", "mode"].into_iter().map(str::to_owned);
    names.chain(scalars).chain(vectors).collect()
}

fn csv_cells(file: &Path, result: &Result<Analysis, String>) -> Vec<String> {
    let mut cells = vec![file.display().to_string()];
    match result {
        Err(error) => {
            let empty = 2 + COLUMNS.len() + VECTORS.iter().map(|(_, len, _)| len).sum::<usize>();
            cells.push(error.clone());
            cells.extend(std::iter::repeat_n(String::new(), empty));
        }
        Ok(a) => {
            cells.extend([String::new(), a.key.unwrap_or_default().to_owned(), a.mode.unwrap_or_default().to_owned()]);
            cells.extend(COLUMNS.iter().map(|(_, get)| get(a).map_or(String::new(), |value| value.to_string())));
            for (_, len, get) in VECTORS {
                cells.extend((0..len).map(|i| get(a).get(i).map_or(String::new(), f64::to_string)));
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn written(format: Format, results: &[(&str, Result<Analysis, String>)]) -> String {
        let files: Vec<Found> = results.iter().map(|(name, _)| Found { path: PathBuf::from(name), problem: None }).collect();
        let mut out = Vec::new();
        let mut writer = Writer::start(format, &mut out, &files).expect("a Vec takes everything");
        for (name, result) in results {
            writer.write(Path::new(name), result).expect("a Vec takes everything");
        }
        writer.finish().expect("a Vec takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn json_is_an_array_with_an_object_a_file() {
        let text = written(Format::Json, &[("a.mp3", Ok(Analysis::default())), ("b.mp3", Err("not audio".into()))]);
        let value: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        assert_eq!(value[0]["file"], "a.mp3");
        assert!(value[0]["bpm"].is_null());
        assert_eq!(value[1], serde_json::json!({"file": "b.mp3", "error": "not audio"}));
    }

    #[test]
    fn json_of_nothing_is_an_empty_array() {
        assert_eq!(written(Format::Json, &[]), "[]\n");
    }

    #[test]
    fn every_csv_line_has_as_many_cells_as_the_header() {
        let text = written(Format::Csv, &[("a.mp3", Ok(Analysis::default())), ("b.mp3", Err("no".into()))]);
        let counts: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(counts, [counts[0]; 3]);
    }

    #[test]
    fn a_full_disk_is_an_error_in_every_format() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let files = [Found { path: PathBuf::from("a.mp3"), problem: None }];
        for format in [Format::Table, Format::Json, Format::Csv] {
            let mut out = Full;
            let outcome = Writer::start(format, &mut out, &files)
                .and_then(|mut writer| writer.write(Path::new("a.mp3"), &Ok(Analysis::default())));
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::StorageFull, "{format:?}");
        }
    }

    #[test]
    fn a_file_is_one_line_of_the_table_whatever_its_name() {
        let text =
            written(Format::Table, &[("a\nb\u{1b}[2J.mp3", Ok(Analysis::default())), ("ü.mp3", Ok(Analysis::default()))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with(r"a\nb\u{1b}[2J.mp3  "), "{text}");
        assert!(lines[2].starts_with("ü.mp3  "), "{text}");
    }

    #[test]
    fn csv_quotes_what_would_be_misread() {
        let text = written(Format::Csv, &[("a,\"b\".mp3", Err("line\nbreak".into()))]);
        assert!(text.contains("\n\"a,\"\"b\"\".mp3\",\"line\nbreak\","), "{text}");
    }
}
