//! From what was counted to the figures.

use std::cmp::Reverse;

use super::census::{Census, ENDS, GENRE_FIGURES, GenreCount, TOP};
use super::figures::{Artists, Correlation, Coverage, Extreme, Figures, Genre, Genres, Key, Named, Years};
use super::histogram::Histogram;
use super::kept::{Kept, Top};
use super::measures::MEASURES;
use crate::dsp::TONICS;

impl Census {
    /// What the rows seen so far say.
    pub fn figures(self) -> Figures {
        let by_year: Vec<_> = self.by_year.iter().collect();
        let spreads = MEASURES.iter().zip(&self.histograms);
        Figures {
            counts: self.counts,
            coverage: Coverage {
                audio: self.known.audio,
                providers: named(&self.providers),
                features_versions: named(&self.versions),
                lastfm: self.known.lastfm,
                popularity: self.known.popularity,
                genres: self.known.genres,
                isrc: self.known.isrc,
                track_match: named(&self.track_match),
                artists_lastfm: self.known.artists_lastfm,
                artist_match: named(&self.artist_match),
            },
            spreads: spreads.filter_map(|(measure, histogram)| Some((measure.key, histogram.spread()?))).collect(),
            agreement: self.agreement,
            keys: keys(&self.keys),
            loudness_by_year: by_year.iter().filter_map(|(from, (loudness, _))| years(**from, loudness)).collect(),
            tempo_by_year: by_year.iter().filter_map(|(from, (_, tempo))| years(**from, tempo)).collect(),
            sample: self.sample.iter().map(|(_, point)| point.clone()).collect(),
            correlations: correlations(&self),
            genres: genres(&self.genres),
            artists: Artists {
                top: self.top_artists.into_values(),
                sample: self.artists.iter().map(|(_, artist)| artist.clone()).collect(),
            },
            extremes: ENDS
                .iter()
                .zip(self.ends)
                .map(|(end, top)| Extreme { what: end.what, figure: end.figure, tracks: Top::into_values(top) })
                .collect(),
        }
    }
}

/// The most frequent first, equal ones by name.
fn named(words: &Kept<u64>) -> Vec<Named> {
    let mut named: Vec<Named> = words.iter().map(|(name, rows)| Named { name: name.to_owned(), rows: *rows }).collect();
    named.sort_by(|a, b| (Reverse(a.rows), &a.name).cmp(&(Reverse(b.rows), &b.name)));
    named
}

fn keys(counted: &[[u64; 12]; 2]) -> Vec<Key> {
    let of = |minor: bool, counts: &[u64; 12]| {
        TONICS.iter().zip(*counts).map(move |(tonic, tracks)| Key { tonic, minor, tracks }).collect::<Vec<_>>()
    };
    let [major, minor] = counted;
    [of(false, major), of(true, minor)].concat()
}

fn years(from: i64, values: &Histogram) -> Option<Years> {
    Some(Years {
        from,
        known: values.known(),
        lower_quartile: values.quantile(0.25)?,
        median: values.quantile(0.5)?,
        upper_quartile: values.quantile(0.75)?,
    })
}

fn correlations(census: &Census) -> Vec<Correlation> {
    let all = census.moments.iter().filter_map(|((a, b), sums)| {
        let (a, b) = (MEASURES.get(*a)?.key, MEASURES.get(*b)?.key);
        Some(Correlation { a, b, known: sums.known(), r: sums.correlation()? })
    });
    all.collect()
}

fn genres(counted: &Kept<GenreCount>) -> Genres {
    let mut all: Vec<(&str, &GenreCount)> = counted.iter().collect();
    all.sort_by_key(|(name, genre)| (Reverse(genre.tracks), *name));
    let top = all.into_iter().take(TOP).map(|(name, genre)| {
        let [bpm, energy, danceability] = GENRE_FIGURES.map(|figure| genre.figures.get(figure)?.quantile(0.5));
        Genre { name: name.to_owned(), tracks: genre.tracks, bpm, energy, danceability }
    });
    Genres { left_out: counted.left_out(), top: top.collect() }
}
