//! What stands around the figures: head, coverage, foot.

use super::super::census::{GENRES, LISTENERS_THAT_COUNT, SAMPLE};
use super::super::figures::{Figures, Named};
use super::text::{count, counted, percent, shown};
use super::{Made, panel};

/// The mark of the dashboard: the sign that ends a repeated passage.
const MARK: &str = "<svg class=\"mark\" viewBox=\"0 0 28 28\" width=\"28\" height=\"28\" aria-hidden=\"true\">\
                    <circle cx=\"5.5\" cy=\"10.5\" r=\"2.3\"/><circle cx=\"5.5\" cy=\"17.5\" r=\"2.3\"/>\
                    <rect x=\"12\" y=\"3\" width=\"2.4\" height=\"22\" rx=\"1\"/>\
                    <rect x=\"18\" y=\"3\" width=\"6\" height=\"22\" rx=\"1\"/></svg>";

pub(super) fn head(figures: &Figures, made: &Made) -> String {
    let counts = &figures.counts;
    let years = match (counts.first_year, counts.last_year) {
        (Some(first), Some(last)) if first == last => format!("released in {first}"),
        (Some(first), Some(last)) => format!("released {first} to {last}"),
        _ => "years of release not known".to_owned(),
    };
    let albums = if counts.albums == 0 { "none named yet".to_owned() } else { per(counts.tracks, counts.albums, "album") };
    let genres = match figures.genres.top.first() {
        Some(genre) => format!("most often <bdi>{}</bdi>", shown(&genre.name, 30)),
        None => "of no artist yet".to_owned(),
    };
    let cards = [
        ("Tracks", counts.tracks, years),
        ("Artists", counts.artists, per(counts.tracks, counts.artists, "artist")),
        ("Albums", counts.albums, albums),
        ("Genres", counts.genres, genres),
    ];
    let cards: Vec<String> = cards
        .iter()
        .map(|(name, number, more)| {
            let number = count(*number);
            format!("<article><h2>{name}</h2><p class=\"said\">{number}</p><p class=\"more\">{more}</p></article>")
        })
        .collect();
    format!(
        "<header class=\"top\"><h1>{MARK}reprise report</h1><p class=\"run\">{} · {}</p></header>\n\
         <section class=\"answers\" aria-label=\"In short\">{}</section>\n",
        shown(&made.database, 120),
        shown(&made.at, 40),
        cards.concat()
    )
}

fn per(tracks: u64, others: u64, noun: &str) -> String {
    if others == 0 {
        return "none yet".to_owned();
    }
    format!("{:.1} tracks an {noun}", tracks as f64 / others as f64)
}

pub(super) fn nothing_yet() -> String {
    "<section class=\"panel wide\" aria-labelledby=\"empty\"><h2 id=\"empty\">No track here yet</h2>\
     <p>The database is there and ready, but no track has been loaded into it. Ask for some, and let the service work:</p>\
     <pre>reprise search \"genre:jazz\" --max-tracks 100\nreprise run --once</pre>\
     <p>Then make this page again. <code>reprise status</code> and <code>reprise audit</code> say what is on its way; \
     <code>reprise doctor</code> says what is missing.</p></section>"
        .to_owned()
}

pub(super) fn coverage(figures: &Figures) -> String {
    let (known, tracks, artists) = (&figures.coverage, figures.counts.tracks, figures.counts.artists);
    let hidden = "not shown to apps registered since February 2026";
    let rows = [
        bar("Audio features", known.audio, tracks, &listed(&known.providers)),
        bar("Last.fm figures", known.lastfm, tracks, &listed(&known.track_match)),
        bar("Genres", known.genres, tracks, "of the artist, by Spotify or Last.fm"),
        bar("ISRC", known.isrc, tracks, ""),
        bar("Spotify popularity", known.popularity, tracks, if known.popularity == 0 { hidden } else { "" }),
        bar("Artists with Last.fm figures", known.artists_lastfm, artists, &listed(&known.artist_match)),
    ];
    let reading = format!(
        "Of {}, {} have audio features and {} Last.fm's figures; of {}, {} have Last.fm's figures.",
        counted(tracks, "track"),
        percent(known.audio, tracks),
        percent(known.lastfm, tracks),
        counted(artists, "artist"),
        percent(known.artists_lastfm, artists),
    );
    let warning = mixed(&known.features_versions)
        .map_or_else(String::new, |warning| format!("<p class=\"warning\" data-tone=\"warn\">{warning}</p>"));
    panel("coverage", "What is known", true, &reading, &format!("<ul class=\"coverage\">{}</ul>{warning}", rows.concat()))
}

/// A share as a bar, with words.
pub(super) fn bar(name: &str, part: u64, whole: u64, more: &str) -> String {
    let width = if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 100.0).clamp(0.0, 100.0) };
    let share = percent(part, whole);
    let (part, whole) = (count(part), count(whole));
    format!(
        "<li><span>{name}</span><span class=\"bar\"><i style=\"width:{width:.1}%\"></i></span>\
         <span class=\"n\"><b>{share}</b> {part} of {whole}</span><span class=\"more\">{more}</span></li>"
    )
}

/// `deezer 239 · itunes 34`.
pub(super) fn listed(words: &[Named]) -> String {
    const SHOWN: usize = 6;
    let mut listed: Vec<String> =
        words.iter().take(SHOWN).map(|word| format!("<bdi>{}</bdi> {}", shown(&word.name, 24), count(word.rows))).collect();
    if words.len() > SHOWN {
        listed.push(format!("{} more", words.len() - SHOWN));
    }
    listed.join(" · ")
}

/// Numbers of different analyses do not compare.
fn mixed(versions: &[Named]) -> Option<String> {
    (versions.len() > 1).then(|| {
        let versions = listed(versions);
        format!(
            "Audio features of several versions of the analysis stand side by side (version and tracks: {versions}), which do not \
             quite compare. <code>reprise run</code> analyses the old ones again as their searches come round."
        )
    })
}

pub(super) fn foot(figures: &Figures, made: &Made) -> String {
    let mut said = vec![
        "What is unknown is left out, never counted as 0.".to_owned(),
        "Counts, shares and correlations are exact; medians and quartiles are right within 0.5 BPM, 0.1 LU and 0.002 of what goes \
         from 0 to 1, by genre and by year within 2.5 BPM, 0.5 LU and 0.01."
            .to_owned(),
        "Correlations are Pearson's, over the tracks where both figures are known; of listeners, the logarithm.".to_owned(),
        format!(
            "Clouds of points show at most {} tracks or artists, chosen by a hash of their ids: {} and {} here.",
            count(SAMPLE as u64),
            counted(figures.sample.len() as u64, "track"),
            counted(figures.artists.sample.len() as u64, "artist")
        ),
        format!("Plays by listener rank only songs with {LISTENERS_THAT_COUNT} listeners or more."),
    ];
    if figures.genres.left_out {
        said.push(format!("There are more than {} genres; those beyond were not counted.", count(GENRES as u64)));
    }
    match figures.coverage.features_versions.as_slice() {
        [] => {}
        [one] => said.push(format!("All audio features are of version {} of the analysis.", shown(&one.name, 12))),
        several => said.push(format!("Versions of the analysis, and their tracks: {}.", listed(several))),
    }
    format!(
        "<footer><p>{}</p><p>Made {} by reprise {}.</p></footer>\n",
        said.join(" "),
        shown(&made.at, 40),
        env!("CARGO_PKG_VERSION")
    )
}
