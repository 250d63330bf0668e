//! Figures with names: genres, artists, matches, and the tracks at the ends.

use std::collections::BTreeMap;

use super::super::census::{GENRES, LISTENERS_THAT_COUNT, TOP};
use super::super::figures::{Artist, Bin, Extreme, Figures, Spread, Utmost};
use super::super::measures::Measure;
use super::frame::listed;
use super::sound::{FIGURE, capital, histogram};
use super::svg::Plot;
use super::text::{NAME, count, counted, decimal, name, percent, short, shown, spoken};
use super::{NO_LASTFM, missing, of_tracks, panel};

/// A number of a table, or a dash.
fn known(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| decimal(value, decimals))
}

/// A number over a bar of its share of the largest.
fn barred(value: u64, most: u64) -> String {
    let width = value as f64 / most.max(1) as f64 * 100.0;
    format!(
        "<td class=\"n barred\"><span class=\"bar\"><i style=\"width:{:.1}%\"></i></span> {}</td>",
        width.clamp(0.0, 100.0),
        count(value)
    )
}

/// A table that scrolls by itself where the window is narrow. `heads`: name, and whether its column is of numbers.
fn table(label: &str, heads: &[(&str, bool)], rows: &[String]) -> String {
    let heads: Vec<String> = heads
        .iter()
        .map(|(head, number)| format!("<th scope=\"col\"{}>{head}</th>", if *number { " class=\"n\"" } else { "" }))
        .collect();
    format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{label}\"><table class=\"list\"><thead><tr>{}</tr></thead>\
         <tbody>{}</tbody></table></div>",
        heads.concat(),
        rows.concat()
    )
}

pub(super) fn genres(figures: &Figures) -> String {
    let top = &figures.genres.top;
    let Some(first) = top.first() else {
        let advice = "No artist here has a genre yet: they come from Spotify's profiles or from Last.fm's tags, by the \
                      <code>artists</code> and <code>listeners</code> stages of <code>reprise run</code>.";
        return missing("genres", "Genres", advice);
    };
    let mut reading = format!(
        "{}; most often {}, {}.",
        of_tracks(figures, figures.coverage.genres, "have a genre"),
        spoken(&first.name),
        counted(first.tracks, "track")
    );
    let timed = || top.iter().filter_map(|genre| Some((genre.bpm?, &genre.name)));
    if let (Some(slow), Some(fast)) = (timed().min_by(|a, b| a.0.total_cmp(&b.0)), timed().max_by(|a, b| a.0.total_cmp(&b.0)))
        && slow.1 != fast.1
    {
        let [slowest, fastest] = [slow, fast].map(|(bpm, genre)| format!("{} ({} BPM)", spoken(genre), decimal(bpm, 0)));
        reading += &format!(" Of the most frequent {}, {fastest} is the fastest and {slowest} the slowest.", top.len());
    }
    if figures.genres.left_out {
        reading += &format!(" There are more than {} genres; those beyond were not counted.", count(GENRES as u64));
    }
    let rows: Vec<String> = top
        .iter()
        .map(|genre| {
            format!(
                "<tr><th scope=\"row\">{}</th>{}<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                name(&genre.name),
                barred(genre.tracks, first.tracks),
                known(genre.bpm, 0),
                known(genre.energy, 2),
                known(genre.danceability, 2)
            )
        })
        .collect();
    let heads = [("Genre", false), ("Tracks", true), ("BPM", true), ("Energy", true), ("Dance", true)];
    let legend = "<p class=\"legend\">Medians of the tracks of the genre's artists; a track counts in each of its genres.</p>";
    panel("genres", "Genres", false, &reading, &(table("Genres", &heads, &rows) + legend))
}

pub(super) fn artists(figures: &Figures) -> String {
    let top = &figures.artists.top;
    let Some(first) = top.first() else { return missing("artists", "Artists by listeners", NO_LASTFM) };
    let reading = format!(
        "Of {}, {} have Last.fm's figures; {} has most listeners, {}.",
        counted(figures.counts.artists, "artist"),
        count(figures.coverage.artists_lastfm),
        spoken(&first.name),
        short(first.listeners as f64)
    );
    let listeners = |artist: &Artist| u64::try_from(artist.listeners).unwrap_or_default();
    let rows: Vec<String> = top
        .iter()
        .map(|artist| {
            format!(
                "<tr><th scope=\"row\">{}</th>{}<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                name(&artist.name),
                barred(listeners(artist), listeners(first)),
                artist.playcount.map_or_else(|| "–".to_owned(), |plays| short(plays as f64)),
                known(artist.plays_per_listener, 1)
            )
        })
        .collect();
    let heads = [("Artist", false), ("Listeners", true), ("Plays", true), ("Plays by listener", true)];
    let legend = format!("<p class=\"legend\">The first {TOP} by listeners on Last.fm.</p>");
    panel("artists", "Artists by listeners", false, &reading, &(table("Artists by listeners", &heads, &rows) + &legend))
}

/// An artist whom nobody hears has no place on an axis of powers of ten.
fn logs(artist: &Artist) -> Option<(f64, f64)> {
    let log = |value: i64| (value > 0).then(|| (value as f64).log10());
    Some((log(artist.listeners)?, log(artist.playcount?)?))
}

pub(super) fn plays(figures: &Figures) -> String {
    let title = "Listeners and plays";
    let points: Vec<((f64, f64), &Artist)> =
        figures.artists.sample.iter().filter_map(|artist| Some((logs(artist)?, artist))).collect();
    if points.is_empty() {
        return missing("plays", title, NO_LASTFM);
    }
    let mut ratios: Vec<f64> = points.iter().map(|((listeners, plays), _)| 10_f64.powf(plays - listeners)).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
    let (drawn, all) = (points.len() as u64, figures.coverage.artists_lastfm);
    let reading = format!(
        "Of {} with Last.fm's figures, {} are drawn; the one in the middle of these is played {} times by each listener.",
        counted(all, "artist"),
        count(drawn),
        decimal(ratio, 1)
    );
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let values = points.iter().map(|(point, _)| of(point));
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        (low - 0.1, high + 0.1)
    };
    let (across, up) = (ends(|point| point.0), ends(|point| point.1));
    let mut plot = Plot::new((FIGURE.0, 320.0), &reading, across, up);
    plot.beside(&powers(up));
    plot.below(&powers(across), "listeners of the artist (plays upwards)");
    plot.through(&[(across.0, across.0 + ratio.log10()), (across.1, across.1 + ratio.log10())], "q");
    for (point, artist) in &points {
        let (listeners, plays) = (short(artist.listeners as f64), short(artist.playcount.unwrap_or_default() as f64));
        let title = format!("{}: {listeners} listeners, {plays} plays", shown(&artist.name, NAME));
        plot.dot(*point, false, "pj", &title);
    }
    let legend = "<p class=\"legend\">Both axes in powers of ten; above the dashed line, an artist is played more by each listener \
                  than the one in the middle.</p>";
    panel("plays", title, false, &reading, &(plot.finish() + legend))
}

/// 1, 2, 5, 10, 20, ... as far as there is room, at their logarithms.
fn powers((lo, hi): (f64, f64)) -> Vec<(f64, String)> {
    let whole = (lo.floor() as i32)..=(hi.ceil() as i32);
    let steps: &[f64] = if hi - lo < 2.0 {
        &[1.0, 2.0, 5.0]
    } else if hi - lo < 4.0 {
        &[1.0, 3.0]
    } else {
        &[1.0]
    };
    let values = whole.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
    let inside = values.filter(|value| (lo..=hi).contains(&value.log10()));
    inside.map(|value| (value.log10(), short(value))).collect()
}

pub(super) fn matches(figures: &Figures) -> String {
    let title = "How well Last.fm's answers fit";
    let (Some(spread), Some(measure)) = (figures.spreads.get("lastfm_match_score"), Measure::of("lastfm_match_score")) else {
        return missing("matches", title, NO_LASTFM);
    };
    let spread = &hundredths(spread);
    let full = spread.bins.last().map_or(0, |bin| bin.tracks);
    let reading = format!(
        "{}; {} of these score 1, and the least alike that was taken scores {}. What is below the threshold is not taken.",
        of_tracks(figures, spread.known, "were matched with a song of Last.fm's"),
        percent(full, spread.known),
        decimal(spread.least, 2)
    );
    let words = format!("<p class=\"legend\">In words: {}.</p>", listed(&figures.coverage.track_match));
    panel("matches", title, false, &reading, &(histogram(FIGURE, &reading, spread, measure, measure.name) + &words))
}

/// In bars of 0.01 from 0.8 or below up to 1: where all scores are alike, narrower bars would show nothing.
fn hundredths(spread: &Spread) -> Spread {
    let hundredth = |value: f64| ((value * 100.0 + 1e-6).floor() as i64).clamp(0, 100);
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for bin in &spread.bins {
        *counts.entry(hundredth(bin.from)).or_default() += bin.tracks;
    }
    let first = counts.keys().next().map_or(80, |first| *first.min(&80));
    let bar = |at: i64| {
        let (from, to) = (at as f64 / 100.0, (at + 1) as f64 / 100.0);
        Bin { from, to, tracks: counts.get(&at).copied().unwrap_or_default() }
    };
    Spread { bins: (first..=100).map(bar).collect(), ..spread.clone() }
}

pub(super) fn extremes(figures: &Figures) -> String {
    let title = "The ends of the shelf";
    let filled: Vec<&Extreme> = figures.extremes.iter().filter(|extreme| !extreme.tracks.is_empty()).collect();
    let Some(first) = filled.first().and_then(|extreme| extreme.tracks.first().map(|track| (extreme, track))) else {
        let advice = "No track here has figures yet: <code>reprise run</code> fills this.";
        return missing("extremes", title, advice);
    };
    let reading = format!(
        "The three tracks at each end; {} is {} by {}. Songs with fewer than {LISTENERS_THAT_COUNT} listeners are not ranked by plays.",
        first.0.what,
        spoken(&first.1.song),
        spoken(&first.1.artist)
    );
    let body: Vec<String> = filled.iter().map(|extreme| end(extreme)).collect();
    panel("extremes", title, true, &reading, &format!("<div class=\"ends\">{}</div>", body.concat()))
}

fn end(extreme: &Extreme) -> String {
    let measure = Measure::of(extreme.figure);
    let (unit, decimals) = measure.map_or(("", 2), |measure| (measure.unit, measure.decimals));
    let unit = if extreme.figure == "engagement_ratio" { "plays" } else { unit };
    let row = |track: &Utmost| {
        let value = decimal(track.value, decimals);
        format!(
            "<tr><th scope=\"row\">{}<span>{}</span></th><td class=\"n\">{value}</td></tr>",
            name(&track.song),
            name(&track.artist)
        )
    };
    let rows: Vec<String> = extreme.tracks.iter().map(row).collect();
    format!(
        "<table><caption>{}</caption><thead><tr><th scope=\"col\">song, artist</th><th scope=\"col\" class=\"n\">{unit}</th></tr></thead>\
         <tbody>{}</tbody></table>",
        capital(extreme.what),
        rows.concat()
    )
}
