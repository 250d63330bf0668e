//! From the figures to the page: one HTML file, its pictures and style inside.
//!
//! Every element is closed, so that the page is well-formed for strict readers too; what comes from the data passes
//! [`text::shown`].

mod frame;
mod names;
mod sound;
mod svg;
mod text;
mod together;

use super::figures::Figures;

/// When and from what the page was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The time, as it shall be shown.
    pub at: String,
    /// The database, without secrets.
    pub database: String,
}

const STYLE: &str = include_str!("style.css");

/// The page, as the text of an HTML file.
pub fn page(figures: &Figures, made: &Made) -> String {
    let sections = if figures.counts.tracks == 0 {
        vec![frame::nothing_yet()]
    } else {
        vec![
            frame::coverage(figures),
            sound::tempo(figures),
            sound::keys(figures),
            sound::loudness(figures),
            sound::loudness_by_year(figures),
            sound::tempo_by_year(figures),
            together::scatter(figures),
            sound::others(figures),
            together::correlations(figures),
            names::genres(figures),
            names::artists(figures),
            names::plays(figures),
            names::matches(figures),
            names::extremes(figures),
        ]
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>reprise report</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n{}<main>\n{}\n</main>\n{}</body>\n</html>\n",
        frame::head(figures, made),
        sections.join("\n"),
        frame::foot(figures, made),
    )
}

/// A figure with its title and what it shows in a sentence; `reading` is plain text, `body` is HTML.
fn panel(id: &str, title: &str, wide: bool, reading: &str, body: &str) -> String {
    let class = if wide { "panel wide" } else { "panel" };
    let reading = text::escaped(reading);
    format!(
        "<section class=\"{class}\" aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title}</h2><p class=\"hint\">{reading}</p>{body}</section>"
    )
}

/// In place of a figure that nothing is known for: what would fill it.
fn missing(id: &str, title: &str, advice: &str) -> String {
    format!(
        "<section class=\"panel wide\" aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title}</h2><p class=\"none\">{advice}</p></section>"
    )
}

/// What fills everything about sound.
const NO_AUDIO: &str = "No track here was analysed with a result yet: the <code>audio</code> stage of <code>reprise run</code> \
                        fills this from the previews it finds.";

/// What fills everything of Last.fm's.
const NO_LASTFM: &str = "Nothing from Last.fm here yet: with <code>lastfm.api_key</code> set, the <code>listeners</code> stage of \
                         <code>reprise run</code> fills this.";

/// `of 300 tracks, 281 have a tempo`.
fn of_tracks(figures: &Figures, known: u64, what: &str) -> String {
    format!("Of {}, {} {what}", text::counted(figures.counts.tracks, "track"), text::count(known))
}
