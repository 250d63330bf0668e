//! `reprise match`: are two names the same artist, are two records the same track?
//!
//! Two names as arguments, or a TSV of pairs from a file or standard input. Pairs are answered one by one as they are read,
//! in their order, so that a file of any length needs no memory. Standard output carries answers only.

use crate::matching::{Aliases, MatchResult, Matcher, Mode, Thresholds};
use anyhow::Context;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod pairs;

use pairs::Columns;

/// Compare two names of artists, or a file of pairs of artists or tracks.
#[derive(Debug, Clone, clap::Args)]
pub struct MatchArgs {
    /// Two names of artists.
    #[arg(value_name = "NAME", num_args = 0..=2, conflicts_with = "file")]
    pub names: Vec<String>,
    /// A TSV with a header: artist_a title_a album_a artist_b title_b album_b [dur_a_s dur_b_s], or name_a name_b; "-" reads
    /// standard input.
    #[arg(long, value_name = "PAIRS.TSV")]
    pub file: Option<PathBuf>,
    /// Answer in TSV: the input columns, then score, match (1 or 0) and quality.
    #[arg(long)]
    pub tsv: bool,
    /// How names are compared.
    #[arg(long, value_enum)]
    pub mode: Option<ModeArg>,
    /// From which score two artists are the same, 0.7 to 0.9.
    #[arg(long, value_name = "SCORE", value_parser = threshold)]
    pub artist_threshold: Option<f64>,
    /// From which score two tracks are the same, 0.7 to 0.9.
    #[arg(long, value_name = "SCORE", value_parser = threshold)]
    pub track_threshold: Option<f64>,
    /// A TSV of names and their canonical names or artist ids, consulted first.
    #[arg(long, value_name = "FILE")]
    pub aliases: Option<PathBuf>,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeArg {
    /// Normalisation, alignment of words, versions and durations.
    Composite,
    /// The predecessor's difflib ratio.
    Reference,
}

/// What the configuration says; an argument overrides it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    pub thresholds: Thresholds,
    pub mode: Mode,
    pub aliases: Option<PathBuf>,
}

/// How the answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Tsv,
}

fn threshold(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    let range = Thresholds::RANGE;
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is not between {} and {}", range.start(), range.end()))
    }
}

/// Runs the command. An error is a failure while running (exit code 1); wrong usage is answered here, with exit code 2.
pub fn run(args: &MatchArgs, json: bool, defaults: Defaults) -> anyhow::Result<ExitCode> {
    let format = match (json, args.tsv) {
        (true, true) => return Ok(usage("--json and --tsv exclude each other")),
        (true, false) => Format::Json,
        (false, true) => Format::Tsv,
        (false, false) => Format::Text,
    };
    let matcher = matcher(args, defaults)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let code = match (args.names.as_slice(), &args.file) {
        ([one, other], None) => answer_names(&matcher, one, other, format, &mut out).map(|()| ExitCode::SUCCESS),
        ([_], None) => return Ok(usage("one NAME given; expected two, or --file PAIRS.TSV")),
        (_, Some(path)) if path != Path::new("-") => {
            let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            answer_pairs(&matcher, &mut BufReader::new(file), &path.display().to_string(), format, &mut out)
        }
        (_, None) if io::stdin().is_terminal() => {
            return Ok(usage("nothing to compare; expected NAME NAME or --file PAIRS.TSV"));
        }
        _ => answer_pairs(&matcher, &mut io::stdin().lock(), "standard input", format, &mut out),
    };
    match code.and_then(|code| out.flush().map(|()| code).map_err(anyhow::Error::from)) {
        Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done,
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::from(2)
}

/// `reprise match ... | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn matcher(args: &MatchArgs, defaults: Defaults) -> anyhow::Result<Matcher> {
    let mode = match args.mode {
        Some(ModeArg::Composite) => Mode::Composite,
        Some(ModeArg::Reference) => Mode::Reference,
        None => defaults.mode,
    };
    let thresholds = Thresholds {
        artist: args.artist_threshold.unwrap_or(defaults.thresholds.artist),
        track: args.track_threshold.unwrap_or(defaults.thresholds.track),
    };
    let aliases = match args.aliases.as_ref().or(defaults.aliases.as_ref()) {
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read the alias file {}", path.display()))?;
            Aliases::parse(&bytes).with_context(|| format!("alias file {}", path.display()))?
        }
        None => Aliases::default(),
    };
    Ok(Matcher::new(mode, thresholds, aliases))
}

fn answer_names(matcher: &Matcher, one: &str, other: &str, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    let result = matcher.artist(one, other);
    match format {
        Format::Text => writeln!(out, "{}", in_words(&result))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string(&result)?)?,
        Format::Tsv => {
            writeln!(out, "name_a\tname_b\tscore\tmatch\tquality")?;
            // A tab or newline in an argument would break the table.
            let cell = |name: &str| name.replace(['\t', '\n', '\r'], " ");
            writeln!(out, "{}\t{}\t{}", cell(one), cell(other), in_columns(&result))?;
        }
    }
    Ok(())
}

fn answer_pairs(
    matcher: &Matcher,
    input: &mut impl BufRead,
    source: &str,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let mut rows = pairs::Rows::new(input, source);
    let Some(header) = rows.next_line()? else { return Ok(usage(&format!("{source} is empty; expected a header line"))) };
    let columns = match Columns::recognise(&header) {
        Ok(columns) => columns,
        Err(problem) => return Ok(usage(&format!("{source}, line 1: {problem}"))),
    };
    if format == Format::Tsv {
        writeln!(out, "{header}\tscore\tmatch\tquality")?;
    }
    let answered = answer_rows(matcher, &mut rows, &columns, format, out);
    // A line that cannot be read ends the answer, but what was answered stays whole.
    let closed = if format == Format::Json { writeln!(out, "\n]") } else { Ok(()) };
    answered.and_then(|()| Ok(closed?)).map(|()| ExitCode::SUCCESS)
}

fn answer_rows<R: BufRead>(
    matcher: &Matcher,
    rows: &mut pairs::Rows<'_, R>,
    columns: &Columns,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut separator = "";
    if format == Format::Json {
        write!(out, "[")?;
    }
    while let Some(line) = rows.next_line()? {
        if line.is_empty() {
            // No pair, often the end of a file; the table's lines stay beside those of the input.
            if format == Format::Tsv {
                writeln!(out)?;
            }
            continue;
        }
        let row = columns.split(&line).map_err(|problem| rows.problem(&problem))?;
        let result = row.compare(matcher);
        match format {
            Format::Text => writeln!(out, "{}\t{}", in_words(&result), row.title())?,
            Format::Json => {
                write!(out, "{separator}\n{}", serde_json::to_string(&result)?)?;
                separator = ",";
            }
            Format::Tsv => writeln!(out, "{}{}\t{}", line, row.padding(), in_columns(&result))?,
        }
    }
    Ok(())
}

fn in_words(result: &MatchResult) -> String {
    let verdict = if result.matched { "match" } else { "no match" };
    format!("{:.3} {verdict} ({}): {}", result.score, result.quality, result.reasons.join("; "))
}

fn in_columns(result: &MatchResult) -> String {
    format!("{:.6}\t{}\t{}", result.score, u8::from(result.matched), result.quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(input: &[u8], format: Format) -> (String, Result<ExitCode, String>) {
        let mut out = Vec::new();
        let code =
            answer_pairs(&Matcher::default(), &mut &input[..], "pairs", format, &mut out).map_err(|error| error.to_string());
        (String::from_utf8_lossy(&out).into_owned(), code)
    }

    #[test]
    fn pairs_keep_their_columns_and_order() {
        let (out, code) = answer(b"id\tname_a\tname_b\n1\tABBA\tAbba\n2\tABBA\tABC\n", Format::Tsv);
        assert_eq!(code, Ok(ExitCode::SUCCESS));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "id\tname_a\tname_b\tscore\tmatch\tquality");
        assert_eq!(lines[1], "1\tABBA\tAbba\t1.000000\t1\texact");
        assert!(lines[2].starts_with("2\tABBA\tABC\t0.") && lines[2].ends_with("\t0\tlow"), "{}", lines[2]);
    }

    #[test]
    fn short_rows_are_padded_and_long_ones_refused() {
        let (out, _) = answer(b"title_a\ttitle_b\tartist_a\tartist_b\tdur_a_s\tdur_b_s\r\nOne\tOne\tU2\tU2\r\n", Format::Tsv);
        assert_eq!(out.lines().nth(1), Some("One\tOne\tU2\tU2\t\t\t1.000000\t1\texact"));
        let (_, code) = answer(b"name_a\tname_b\na\tb\tc\n", Format::Tsv);
        assert_eq!(code, Err("pairs, line 2: 3 columns; the header has 2".to_owned()));
        let (out, _) = answer(b"name_a\tname_b\nx\tx\n\ny\ty\n", Format::Tsv);
        assert_eq!(out.lines().nth(2), Some(""), "an empty line keeps its place");
    }

    #[test]
    fn json_is_one_array() -> Result<(), serde_json::Error> {
        for (input, count) in
            [(&b"name_a\tname_b\n"[..], 0), (b"name_a\tname_b\nx\ty\n", 1), (b"name_a\tname_b\nx\ty\nb\tb", 2)]
        {
            let (out, _) = answer(input, Format::Json);
            let array: Vec<serde_json::Value> = serde_json::from_str(&out)?;
            assert_eq!(array.len(), count);
            assert!(array.iter().all(|answer| answer["score"].is_number() && answer["match"].is_boolean()));
        }
        let (out, code) = answer(b"name_a\tname_b\nx\ty\na\tb\tc\n", Format::Json);
        assert!(code.is_err());
        assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&out)?.len(), 1, "what was answered is whole");
        Ok(())
    }

    #[test]
    fn bad_input_says_where() {
        let (_, code) = answer(b"name_a\tname_b\nok\tok\n\xc3\xa9t\xff\tx\n", Format::Tsv);
        assert_eq!(code, Err("pairs, line 3, column 3: not UTF-8".to_owned()));
        assert_eq!(answer(b"", Format::Tsv).1, Ok(ExitCode::from(2)));
        assert_eq!(answer(b"a\tb\n", Format::Tsv).1, Ok(ExitCode::from(2)));
        let endless = [b"name_a\tname_b\n".to_vec(), vec![b'x'; 17 << 20]].concat();
        assert_eq!(
            answer(&endless, Format::Tsv).1,
            Err("pairs, line 2: longer than 16 MiB; expected a line a pair".to_owned())
        );
    }

    #[test]
    fn thresholds_outside_the_valid_range_are_refused() {
        assert_eq!(threshold("0.85"), Ok(0.85));
        assert!(threshold("0.95").is_err() && threshold("NaN").is_err() && threshold("x").is_err());
    }
}
