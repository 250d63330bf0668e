//! How figures go together: a cloud of points, and the matrix of correlations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::super::figures::{Correlation, Figures, Point};
use super::super::measures::{MEASURES, Measure};
use super::sound::{FIGURE, capital, numbered};
use super::svg::{Plot, ticks};
use super::text::{NAME, count, counted, decimal, escaped, shown, signed};
use super::{NO_AUDIO, missing, of_tracks, panel};

pub(super) fn scatter(figures: &Figures) -> String {
    let title = "Energy and danceability";
    let (Some(energy), Some(dance)) = (figures.spreads.get("energy"), figures.spreads.get("danceability")) else {
        return missing("scatter", title, NO_AUDIO);
    };
    if figures.sample.is_empty() {
        return missing("scatter", title, NO_AUDIO);
    }
    let together = figures.correlations.iter().find(|pair| pair.a == "energy" && pair.b == "danceability");
    let known = together.map_or(figures.sample.len() as u64, |pair| pair.known);
    let mut reading = of_tracks(figures, known, "have both");
    if (figures.sample.len() as u64) < known {
        let _ = write!(reading, ", {} of which are drawn", count(figures.sample.len() as u64));
    }
    let (x, y) = (decimal(energy.median, 2), decimal(dance.median, 2));
    let _ = write!(reading, "; the medians are {x} for energy and {y} for danceability");
    if let Some(pair) = together {
        let _ = write!(reading, ", and r = {}, {}", signed(pair.r), strength(pair.r));
    }
    reading.push('.');
    let ends = |of: fn(&Point) -> f64| {
        let values = figures.sample.iter().map(of);
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let room = (high - low) * 0.04;
        (low - room, high + room)
    };
    let (across, up) = (ends(|point| point.energy), ends(|point| point.danceability));
    let mut plot = Plot::new((FIGURE.0, 320.0), &reading, across, up);
    plot.beside(&numbered(&ticks(up, 5)));
    plot.below(&numbered(&ticks(across, 7)), "energy (danceability upwards)");
    for point in &figures.sample {
        let (class, mode) = match point.minor {
            Some(true) => ("pn", ", minor"),
            Some(false) => ("pj", ", major"),
            None => ("pu", ""),
        };
        let (song, artist) = (shown(&point.song, NAME), shown(&point.artist, NAME));
        let (energy, dance) = (decimal(point.energy, 2), decimal(point.danceability, 2));
        let title = format!("{song} – {artist}: energy {energy}, danceability {dance}{mode}");
        plot.dot((point.energy, point.danceability), point.minor == Some(true), class, &title);
    }
    plot.upright(energy.median, "");
    plot.level(dance.median);
    let legend = "<p class=\"legend\"><i class=\"pj\"></i> major <i class=\"pn\"></i> minor; dashed: the medians.</p>";
    panel("scatter", title, false, &reading, &(plot.finish() + legend))
}

/// In words, after Cohen.
fn strength(r: f64) -> &'static str {
    match r.abs() {
        size if size < 0.1 => "which is nothing to speak of",
        size if size < 0.3 => "which is weak",
        size if size < 0.5 => "which is moderate",
        _ => "which is strong",
    }
}

/// Fewer tracks than this make no correlation to speak of: it is shown, and not named.
const ENOUGH: u64 = 10;

pub(super) fn correlations(figures: &Figures) -> String {
    let title = "What goes with what";
    if figures.correlations.is_empty() {
        let advice = "No two figures are both known of three tracks or more yet: <code>reprise run</code> fills this.";
        return missing("correlations", title, advice);
    }
    let mut strongest: Vec<&Correlation> = figures.correlations.iter().filter(|pair| pair.known >= ENOUGH).collect();
    strongest.sort_by(|a, b| b.r.abs().total_cmp(&a.r.abs()));
    strongest.truncate(3);
    let said: Vec<String> = strongest
        .iter()
        .map(|pair| {
            format!("{} and {} (r = {}, {})", called(pair.a), called(pair.b), signed(pair.r), counted(pair.known, "track"))
        })
        .collect();
    let reading = match said.as_slice() {
        [] => format!("No two figures are both known of {ENOUGH} tracks yet, so that none of these says much."),
        said => format!("Most closely together go {}.", said.join("; ")),
    };
    let legend = "<p class=\"legend\"><i class=\"up\"></i> more of one, more of the other <i class=\"down\"></i> more of one, less of \
                  the other. Numbers are Pearson's r times 100 over the tracks where both are known; pale grey: fewer than 10. What \
                  goes together need not cause one another.</p>";
    panel("correlations", title, true, &reading, &(matrix(&figures.correlations) + legend))
}

fn called(key: &str) -> &'static str {
    Measure::of(key).map_or("", |measure| measure.name)
}

/// The lower triangle, as a table: its numbers can be read aloud, and copied.
fn matrix(correlations: &[Correlation]) -> String {
    let by_pair: BTreeMap<(&str, &str), &Correlation> = correlations.iter().map(|pair| ((pair.a, pair.b), pair)).collect();
    let there: BTreeSet<&str> = correlations.iter().flat_map(|pair| [pair.a, pair.b]).collect();
    let measures: Vec<&Measure> = MEASURES.iter().filter(|measure| there.contains(measure.key)).collect();
    let columns = measures.split_last().map_or(&[][..], |(_, columns)| columns);
    let mut table = String::from(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Matrix of correlations\"><table class=\"matrix\">\
         <thead><tr><td></td>",
    );
    for measure in columns {
        let _ = write!(table, "<th scope=\"col\" title=\"{}\"><span>{}</span></th>", measure.name, measure.short);
    }
    table += "</tr></thead><tbody>";
    for (index, row) in measures.iter().enumerate().skip(1) {
        let _ = write!(table, "<tr><th scope=\"row\">{}</th>", capital(row.name));
        for (at, column) in columns.iter().enumerate() {
            table += &match by_pair.get(&(column.key, row.key)) {
                Some(pair) if at < index => cell(pair),
                _ => "<td></td>".to_owned(),
            };
        }
        table += "</tr>";
    }
    table + "</tbody></table></div>"
}

fn cell(pair: &Correlation) -> String {
    let title = escaped(&format!(
        "{} and {}: r = {} over {}",
        called(pair.a),
        called(pair.b),
        signed(pair.r),
        counted(pair.known, "track")
    ));
    let number = decimal(pair.r * 100.0, 0);
    if pair.known < ENOUGH {
        return format!("<td class=\"w\" title=\"{title}\">{number}</td>");
    }
    // Half of full colour at most, so that the number stays readable.
    let (colour, share) = (if pair.r < 0.0 { "down" } else { "up" }, pair.r.abs() * 0.5);
    format!("<td style=\"background:rgb(var(--{colour}) / {share:.2})\" title=\"{title}\">{number}</td>")
}
