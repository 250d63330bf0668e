//! Figures of the sound: tempo, keys, loudness, and the rest as small ones.

use std::fmt::Write as _;

use super::super::census::YEARS_TOGETHER;
use super::super::figures::{Figures, Key, Spread, Years};
use super::super::measures::Measure;
use super::frame::bar;
use super::svg::{Plot, picture, ticks};
use super::text::{count, counted, decimal, escaped, percent};
use super::{NO_AUDIO, missing, of_tracks, panel};

/// Width and height of a figure, and of a small one.
pub(super) const FIGURE: (f64, f64) = (480.0, 250.0);
const SMALL: (f64, f64) = (320.0, 165.0);

/// Bars with the median.
pub(super) fn histogram(size: (f64, f64), label: &str, spread: &Spread, measure: &Measure, below: &str) -> String {
    let edges = spread.bins.first().map(|bin| bin.from).zip(spread.bins.last().map(|bin| bin.to)).unwrap_or_default();
    // A few bars alone would be as wide as the picture.
    let room =
        (8_usize.saturating_sub(spread.bins.len())) as f64 / 2.0 * spread.bins.first().map_or(0.0, |bin| bin.to - bin.from);
    let edges = (edges.0 - room, edges.1 + room);
    let most = spread.bins.iter().map(|bin| bin.tracks).max().unwrap_or_default();
    let mut plot = Plot::new(size, label, edges, (0.0, most as f64));
    plot.beside_counts(most);
    // Edges may need one more decimal than values: 0.5 a second, 0.25 powers of ten.
    let decimals = spread.bins.first().map_or(measure.decimals, |bin| decimals_of(bin.to - bin.from));
    for bin in spread.bins.iter().filter(|bin| bin.tracks > 0) {
        let (from, to) = (decimal(bin.from, decimals), decimal(bin.to, decimals));
        let title = format!("{from} to {to}{}: {}", unit(measure), counted(bin.tracks, "track"));
        plot.bar((bin.from, bin.to), bin.tracks as f64, "b", &title);
    }
    plot.below(&numbered(&ticks(edges, (size.0 / 65.0) as usize)), below);
    plot.upright(spread.median, &format!("median {}", decimal(spread.median, measure.decimals)));
    plot.finish()
}

fn decimals_of(step: f64) -> usize {
    (0..4).find(|decimals| (step * 10_f64.powi(*decimals) + 1e-9).fract() < 1e-6).map_or(4, |decimals| decimals as usize)
}

/// Ticks with as many decimals as their distance needs.
pub(super) fn numbered(ticks: &[f64]) -> Vec<(f64, String)> {
    let decimals = ticks.first().zip(ticks.get(1)).map_or(0, |(first, second)| decimals_of(second - first));
    ticks.iter().map(|tick| (*tick, decimal(*tick, decimals))).collect()
}

/// ` BPM`, or nothing.
fn unit(measure: &Measure) -> String {
    if measure.unit.is_empty() { String::new() } else { format!(" {}", measure.unit) }
}

fn axis(measure: &Measure) -> String {
    if measure.unit.is_empty() { measure.name.to_owned() } else { format!("{} in {}", measure.name, measure.unit) }
        .replace("in a second", "by second")
}

/// `half of them are below 118 BPM, the middle half is between 104 and 131`.
fn middle(spread: &Spread, measure: &Measure) -> String {
    let [low, median, high] =
        [spread.lower_quartile, spread.median, spread.upper_quartile].map(|value| decimal(value, measure.decimals));
    format!("half of these are below {median}{}, the middle half is between {low} and {high}", unit(measure))
}

fn spread<'a>(figures: &'a Figures, key: &str) -> Option<(&'a Spread, &'static Measure)> {
    Some((figures.spreads.get(key)?, Measure::of(key)?))
}

pub(super) fn tempo(figures: &Figures) -> String {
    let title = "Tempo";
    let Some((spread, measure)) = spread(figures, "bpm") else { return missing("tempo", title, NO_AUDIO) };
    let mut reading = format!("{}; {}.", of_tracks(figures, spread.known, "have a tempo"), middle(spread, measure));
    let found = &figures.agreement;
    if found.compared > 0 {
        let [same, half, double, other] =
            [found.same, found.half, found.double, found.other].map(|n| percent(n, found.compared));
        let _ = write!(
            reading,
            " librosa's beat tracker finds the same within 4 % for {same} of {}, half of it for {half}, double for {double}, \
             something else for {other}.",
            count(found.compared)
        );
    }
    let picture = histogram(FIGURE, &reading, spread, measure, &axis(measure));
    panel("tempo", title, false, &reading, &(picture + &agreement(figures)))
}

/// librosa's tempo beside ours, as bars.
fn agreement(figures: &Figures) -> String {
    let found = &figures.agreement;
    if found.compared == 0 {
        return String::new();
    }
    let rows =
        [("librosa: the same", found.same), ("half of it", found.half), ("double", found.double), ("other", found.other)];
    let rows = rows.map(|(name, tracks)| bar(name, tracks, found.compared, ""));
    format!("<ul class=\"coverage agreement\">{}</ul>", rows.concat())
}

pub(super) fn loudness(figures: &Figures) -> String {
    let title = "Loudness";
    let Some((spread, measure)) = spread(figures, "loudness_lufs") else { return missing("loudness", title, NO_AUDIO) };
    let reading = format!(
        "{}; {}. Streaming services turn everything to about −14 LUFS.",
        of_tracks(figures, spread.known, "have a loudness"),
        middle(spread, measure)
    );
    panel("loudness", title, false, &reading, &histogram(FIGURE, &reading, spread, measure, &axis(measure)))
}

pub(super) fn loudness_by_year(figures: &Figures) -> String {
    by_year(figures, "loudness-years", "Loudness by year of release", "loudness_lufs", &figures.loudness_by_year)
}

pub(super) fn tempo_by_year(figures: &Figures) -> String {
    by_year(figures, "tempo-years", "Tempo by year of release", "bpm", &figures.tempo_by_year)
}

/// Fewer tracks than this make no median to speak of.
const FEW: u64 = 5;

fn by_year(figures: &Figures, id: &str, title: &str, key: &str, years: &[Years]) -> String {
    let (Some(measure), Some(first), Some(last)) = (Measure::of(key), years.first(), years.last()) else {
        return missing(
            id,
            title,
            "No track here has both a year of release and audio features yet: <code>reprise run</code> fills this.",
        );
    };
    let tracks: u64 = years.iter().map(|years| years.known).sum();
    let solid: Vec<&Years> = years.iter().filter(|years| years.known >= FEW).collect();
    let mut reading = of_tracks(figures, tracks, "have a year and audio features");
    if let [from, .., to] = solid.as_slice() {
        let (a, b) = (decimal(from.median, measure.decimals), decimal(to.median, measure.decimals));
        let unit = unit(measure);
        let _ = write!(reading, "; the median goes from {a}{unit} in {} to {b}{unit} in {}.", span(from), span(to));
    } else {
        reading.push('.');
    }
    let low = years.iter().map(|years| years.lower_quartile).fold(f64::INFINITY, f64::min);
    let high = years.iter().map(|years| years.upper_quartile).fold(f64::NEG_INFINITY, f64::max);
    let room = ((high - low) * 0.08).max(0.5);
    let ends = (first.from as f64, (last.from + YEARS_TOGETHER) as f64);
    let mut plot = Plot::new(FIGURE, &reading, ends, (low - room, high + room));
    plot.beside(&numbered(&ticks((low - room, high + room), 5)));
    for years in years {
        let [low, median, high] =
            [years.lower_quartile, years.median, years.upper_quartile].map(|value| decimal(value, measure.decimals));
        let title = format!(
            "{}: median {median}{}, middle half {low} to {high}, {}",
            span(years),
            unit(measure),
            counted(years.known, "track")
        );
        let from = years.from as f64;
        let class = if years.known < FEW { "f w" } else { "f" };
        plot.band((from + 0.4, from + 4.6), (years.lower_quartile, years.upper_quartile), class, &title);
    }
    let middle = |years: &Years| (years.from as f64 + YEARS_TOGETHER as f64 / 2.0, years.median);
    plot.through(&solid.iter().map(|years| middle(years)).collect::<Vec<_>>(), "l");
    for years in years {
        let title = escaped(&format!("{}: median {}{}", span(years), decimal(years.median, measure.decimals), unit(measure)));
        plot.dot(middle(years), false, if years.known < FEW { "d w" } else { "d" }, &title);
    }
    let ticks: Vec<(f64, String)> = ticks(ends, 7).into_iter().map(|year| (year, format!("{year:.0}"))).collect();
    plot.below(&ticks, "year of release");
    let legend = format!(
        "<p class=\"legend\">Dot: median of five years; bar: the middle half of the tracks; pale: fewer than {FEW} tracks.</p>"
    );
    panel(id, title, false, &reading, &(plot.finish() + &legend))
}

/// `1990–94`.
fn span(years: &Years) -> String {
    format!("{}–{:02}", years.from, (years.from + YEARS_TOGETHER - 1).rem_euclid(100))
}

pub(super) fn others(figures: &Figures) -> String {
    const SHOWN: [&str; 8] = [
        "danceability",
        "energy",
        "harmonic_ratio",
        "spectral_centroid",
        "onset_rate",
        "beat_regularity",
        "loudness_range_lu",
        "duration_s",
    ];
    let known: Vec<(&Spread, &Measure)> = SHOWN.iter().filter_map(|key| spread(figures, key)).collect();
    if known.is_empty() {
        return missing("others", "Other features", NO_AUDIO);
    }
    let small = |(spread, measure): &(&Spread, &Measure)| {
        let reading = format!("{}: {}.", counted(spread.known, "track"), middle(spread, measure));
        let label = format!("{}: {reading}", measure.name);
        let picture = histogram(SMALL, &label, spread, measure, measure.unit);
        format!("<figure><h3>{}</h3>{picture}<figcaption>{}</figcaption></figure>", capital(measure.name), escaped(&reading))
    };
    let body: Vec<String> = known.iter().map(small).collect();
    let reading = format!(
        "How the other features are spread over {}; energy and loudness are of the clip as the provider sends it.",
        counted(figures.counts.tracks, "track")
    );
    panel("others", "Other features", true, &reading, &format!("<div class=\"small\">{}</div>", body.concat()))
}

pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub(super) fn keys(figures: &Figures) -> String {
    let known: u64 = figures.keys.iter().map(|key| key.tracks).sum();
    if known == 0 {
        return missing("keys", "Keys", NO_AUDIO);
    }
    let minor: u64 = figures.keys.iter().filter(|key| key.minor).map(|key| key.tracks).sum();
    let most = figures.keys.iter().max_by_key(|key| key.tracks);
    let often = most.map_or_else(String::new, |key| format!("; most often {}, {} times", called(key), count(key.tracks)));
    let reading = format!(
        "{}{often}; {} are in minor. Neighbours on the circle of fifths share all notes but one.",
        of_tracks(figures, known, "have a key"),
        percent(minor, known)
    );
    let legend = "<p class=\"legend\">Outer ring major, inner ring minor; the relative minor is below its major. Numbers are tracks.</p>";
    panel("keys", "Keys", false, &reading, &(circle(&figures.keys, &reading) + legend))
}

fn called(key: &Key) -> String {
    format!("{} {}", key.tonic, if key.minor { "minor" } else { "major" })
}

/// The circle of fifths, C on top; minor keys stand below the major ones that share their notes.
fn circle(keys: &[Key], label: &str) -> String {
    let most = keys.iter().map(|key| key.tracks).max().unwrap_or_default().max(1) as f64;
    let mut body = String::new();
    for (index, key) in keys.iter().enumerate() {
        // Seven semitones a fifth; A minor is where C major is.
        let fifths = (index % 12) * 7 % 12;
        let step = if key.minor { (fifths + 9) % 12 } else { fifths } as f64;
        let (outer, inner) = if key.minor { (98.0, 48.0) } else { (152.0, 102.0) };
        let strength = 0.06 + 0.54 * key.tracks as f64 / most;
        let title = format!("{}: {}", called(key), counted(key.tracks, "track"));
        let (x, y) = around(step, (outer + inner) / 2.0);
        let name = if key.minor { format!("{}m", key.tonic) } else { key.tonic.to_owned() };
        let _ = write!(
            body,
            "<path class=\"{}\" fill-opacity=\"{strength:.2}\" d=\"{}\"><title>{title}</title></path>\
             <text class=\"k m\" x=\"{x:.1}\" y=\"{:.1}\">{name}</text><text class=\"c m\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            if key.minor { "wn" } else { "wj" },
            wedge(step, outer, inner),
            y - 1.0,
            y + 13.0,
            count(key.tracks)
        );
    }
    picture((480.0, 320.0), label, &body)
}

/// A place on the circle: `step` twelfths from the top, clockwise.
fn around(step: f64, radius: f64) -> (f64, f64) {
    let angle = (step / 12.0 - 0.25) * std::f64::consts::TAU;
    (240.0 + radius * angle.cos(), 160.0 + radius * angle.sin())
}

fn wedge(step: f64, outer: f64, inner: f64) -> String {
    let [a, b, c, d] = [(step - 0.48, outer), (step + 0.48, outer), (step + 0.48, inner), (step - 0.48, inner)]
        .map(|(step, radius)| around(step, radius));
    format!(
        "M{:.1} {:.1}A{outer} {outer} 0 0 1 {:.1} {:.1}L{:.1} {:.1}A{inner} {inner} 0 0 0 {:.1} {:.1}Z",
        a.0, a.1, b.0, b.1, c.0, c.1, d.0, d.1
    )
}
