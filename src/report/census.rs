//! The accumulator: fed row by row, it holds a bounded amount whatever the size of the database.

use std::collections::BTreeMap;

use super::figures::{Agreement, Artist, Counts, Point, Utmost};
use super::histogram::Histogram;
use super::kept::{Kept, Top};
use super::measures::{MEASURES, Measure};
use super::moments::{CoMoments, place};
use crate::dsp::TONICS;
use crate::store::relations::{RELATIONS, Relation, TRACKS, Value};

/// Most tracks, and most artists, that are shown as single points.
pub const SAMPLE: usize = 2_000;
/// Most genres that are counted.
pub const GENRES: usize = 16_384;
/// Most words of one kind (providers, match qualities) that are counted: the data has about five.
const WORDS: usize = 32;
/// Rows of a table of the page.
pub(super) const TOP: usize = 20;
/// Tracks at each end.
const UTMOST: usize = 3;
/// A song with fewer listeners says nothing about how often it is played by each.
pub(super) const LISTENERS_THAT_COUNT: f64 = 100.0;
/// Tempi this much apart, as a share, are the same.
const SAME_TEMPO: f64 = 0.04;
/// Years of release that are possible; what is outside is a typing error, not a year.
const YEARS: std::ops::RangeInclusive<i64> = 1850..=2150;
/// Years in a step of the curves by year.
pub(super) const YEARS_TOGETHER: i64 = 5;

/// An end of a figure.
pub(super) struct End {
    pub(super) what: &'static str,
    pub(super) figure: &'static str,
    /// The small end.
    pub(super) low: bool,
}

const fn end(what: &'static str, figure: &'static str, low: bool) -> End {
    End { what, figure, low }
}

pub(super) static ENDS: [End; 8] = [
    end("fastest", "bpm", false),
    end("slowest", "bpm", true),
    end("loudest", "loudness_lufs", false),
    end("quietest", "loudness_lufs", true),
    end("most danceable", "danceability", false),
    end("brightest", "spectral_centroid", false),
    end("longest", "duration_s", false),
    end("most played by each listener", "engagement_ratio", false),
];

/// What the rows say together. Feed it with [`Census::see`], then ask for [`Census::figures`].
#[derive(Debug)]
pub struct Census {
    positions: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    pub(super) counts: Counts,
    pub(super) known: Known,
    pub(super) providers: Kept<u64>,
    pub(super) versions: Kept<u64>,
    pub(super) track_match: Kept<u64>,
    pub(super) artist_match: Kept<u64>,
    pub(super) histograms: Vec<Histogram>,
    pub(super) moments: BTreeMap<(usize, usize), CoMoments>,
    pub(super) agreement: Agreement,
    /// Major, then minor.
    pub(super) keys: [[u64; 12]; 2],
    pub(super) by_year: BTreeMap<i64, (Histogram, Histogram)>,
    pub(super) sample: Kept<Point>,
    pub(super) genres: Kept<GenreCount>,
    pub(super) top_artists: Top<Artist>,
    pub(super) artists: Kept<Artist>,
    pub(super) ends: Vec<Top<Utmost>>,
}

/// Of how many rows something is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) audio: u64,
    pub(super) lastfm: u64,
    pub(super) popularity: u64,
    pub(super) genres: u64,
    pub(super) isrc: u64,
    pub(super) artists_lastfm: u64,
}

/// The tracks of a genre.
#[derive(Debug, Default)]
pub(super) struct GenreCount {
    pub(super) tracks: u64,
    /// By [`GENRE_FIGURES`]; empty before the first value.
    pub(super) figures: BTreeMap<&'static str, Histogram>,
}

/// What is told of a genre.
pub(super) const GENRE_FIGURES: [&str; 3] = ["bpm", "energy", "danceability"];

/// A row with its columns by name.
struct Row<'a> {
    positions: &'a BTreeMap<&'static str, usize>,
    values: &'a [Value],
}

impl<'a> Row<'a> {
    fn value(&self, column: &str) -> &'a Value {
        self.positions.get(column).and_then(|position| self.values.get(*position)).unwrap_or(&Value::Null)
    }

    fn number(&self, column: &str) -> Option<f64> {
        self.value(column).number()
    }

    fn int(&self, column: &str) -> Option<i64> {
        if let Value::Int(value) = self.value(column) { Some(*value) } else { None }
    }

    fn text(&self, column: &str) -> Option<&'a str> {
        self.value(column).text()
    }

    fn name(&self, column: &str) -> String {
        self.text(column).unwrap_or_default().to_owned()
    }

    fn has(&self, column: &str) -> u64 {
        u64::from(*self.value(column) != Value::Null)
    }
}

impl Census {
    /// Nothing seen yet.
    #[expect(clippy::new_without_default, reason = "an empty census is a beginning, not a default")]
    pub fn new() -> Census {
        let pairs = MEASURES.iter().enumerate().flat_map(|(b, second)| {
            let first = MEASURES.iter().enumerate().take(b);
            first.filter(|(_, first)| first.correlated && second.correlated).map(move |(a, _)| (a, b))
        });
        let columns = |relation: &'static Relation| {
            (relation.name, relation.columns.iter().enumerate().map(|(position, column)| (column.name, position)).collect())
        };
        Census {
            positions: Census::relations().into_iter().map(columns).collect(),
            counts: Counts::default(),
            known: Known::default(),
            providers: Kept::new(WORDS),
            versions: Kept::new(WORDS),
            track_match: Kept::new(WORDS),
            artist_match: Kept::new(WORDS),
            histograms: MEASURES.iter().map(Measure::histogram).collect(),
            moments: pairs.map(|pair| (pair, CoMoments::default())).collect(),
            agreement: Agreement::default(),
            keys: [[0; 12]; 2],
            by_year: BTreeMap::new(),
            sample: Kept::new(SAMPLE),
            genres: Kept::new(GENRES),
            top_artists: Top::new(TOP),
            artists: Kept::new(SAMPLE),
            ends: ENDS.iter().map(|_| Top::new(UTMOST)).collect(),
        }
    }

    /// What to scan: the flat view of tracks, and the tables that it leaves rows of out (an artist without a track).
    pub fn relations() -> Vec<&'static Relation> {
        let tables = RELATIONS.iter().filter(|relation| ["artists", "albums", "genres"].contains(&relation.name));
        std::iter::once(&TRACKS).chain(tables).collect()
    }

    /// Takes in a row of one of [`Census::relations`]. The order of the rows makes no difference.
    pub fn see(&mut self, relation: &'static Relation, values: &[Value]) {
        let Some(positions) = self.positions.remove(relation.name) else { return };
        let row = Row { positions: &positions, values };
        match relation.name {
            "artists" => self.see_artist(&row),
            "albums" => self.counts.albums += 1,
            "genres" => self.counts.genres += 1,
            _ => self.see_track(&row),
        }
        self.positions.insert(relation.name, positions);
    }

    fn see_artist(&mut self, row: &Row<'_>) {
        self.counts.artists += 1;
        // The table has 0 where nobody was asked.
        if row.has("lastfm_observed_at") == 0 {
            return;
        }
        count(&mut self.artist_match, row.text("lastfm_match_quality"));
        let (Some(id), Some(listeners)) = (row.text("artist_id"), row.int("total_listeners")) else { return };
        self.known.artists_lastfm += 1;
        let artist = || Artist {
            name: row.name("artist_name"),
            listeners,
            playcount: row.int("total_playcount"),
            plays_per_listener: row.number("plays_per_listener"),
        };
        self.top_artists.offer(listeners as f64, id, artist);
        if let Some(kept) = self.artists.entry(id) {
            *kept = artist();
        }
    }

    fn see_track(&mut self, row: &Row<'_>) {
        self.counts.tracks += 1;
        let year = row.int("release_year").filter(|year| YEARS.contains(year));
        if let Some(year) = year {
            self.counts.first_year = Some(self.counts.first_year.map_or(year, |first| first.min(year)));
            self.counts.last_year = Some(self.counts.last_year.map_or(year, |last| last.max(year)));
        }
        self.see_coverage(row);
        let number = |column: &str| if column == "release_year" { year.map(|year| year as f64) } else { row.number(column) };
        let values: Vec<Option<f64>> = MEASURES.iter().map(|measure| measure.read(number)).collect();
        self.see_numbers(&values);
        self.see_tempi(row);
        self.see_key(row);
        if let Some(year) = year {
            self.see_year(year, row);
        }
        self.see_point(row);
        self.see_genres(row);
        self.see_ends(row, &values);
    }

    fn see_coverage(&mut self, row: &Row<'_>) {
        let audio = row.has("features_version");
        self.known.audio += audio;
        if audio > 0 {
            count(&mut self.providers, row.text("provider"));
            let version = row.int("features_version").unwrap_or_default();
            count(&mut self.versions, Some(&version.to_string()));
        }
        self.known.lastfm += row.has("song_listeners");
        self.known.popularity += row.has("popularity");
        self.known.isrc += row.has("isrc");
        count(&mut self.track_match, row.text("lastfm_match_quality"));
    }

    fn see_numbers(&mut self, values: &[Option<f64>]) {
        let mut places = [None; MEASURES.len()];
        for (((measure, histogram), value), stands) in MEASURES.iter().zip(&mut self.histograms).zip(values).zip(&mut places) {
            if let Some(value) = *value {
                histogram.add(value);
                *stands = Some(place(value, measure.range));
            }
        }
        for ((a, b), sums) in &mut self.moments {
            if let (Some(Some(x)), Some(Some(y))) = (places.get(*a), places.get(*b)) {
                sums.add(*x, *y);
            }
        }
    }

    fn see_tempi(&mut self, row: &Row<'_>) {
        let positive = |column| row.number(column).filter(|bpm| *bpm > 0.0);
        let (Some(ours), Some(reference)) = (positive("bpm"), positive("bpm_reference")) else { return };
        let near = |ratio: f64| (reference / (ours * ratio) - 1.0).abs() <= SAME_TEMPO;
        self.agreement.compared += 1;
        let kind = match () {
            () if near(1.0) => &mut self.agreement.same,
            () if near(0.5) => &mut self.agreement.half,
            () if near(2.0) => &mut self.agreement.double,
            () => &mut self.agreement.other,
        };
        *kind += 1;
    }

    fn see_key(&mut self, row: &Row<'_>) {
        let tonic = row.text("music_key").and_then(|key| TONICS.iter().position(|tonic| *tonic == key));
        let mode = minor(row).and_then(|minor| self.keys.get_mut(usize::from(minor)));
        if let Some(tracks) = tonic.and_then(|tonic| mode?.get_mut(tonic)) {
            *tracks += 1;
        }
    }

    fn see_year(&mut self, year: i64, row: &Row<'_>) {
        let of = |key| Measure::of(key).map_or_else(|| Histogram::new(0.0, 1.0, 1), Measure::small_histogram);
        let from = year - year.rem_euclid(YEARS_TOGETHER);
        let (loudness, tempo) = self.by_year.entry(from).or_insert_with(|| (of("loudness_lufs"), of("bpm")));
        row.number("loudness_lufs").into_iter().for_each(|value| loudness.add(value));
        row.number("bpm").into_iter().for_each(|value| tempo.add(value));
    }

    fn see_point(&mut self, row: &Row<'_>) {
        let (Some(energy), Some(danceability)) = (row.number("energy"), row.number("danceability")) else { return };
        if let Some(kept) = row.text("song_id").and_then(|id| self.sample.entry(id)) {
            let (song, artist) = (row.name("song_name"), row.name("artist_name"));
            *kept = Point { song, artist, energy, danceability, minor: minor(row) };
        }
    }

    fn see_genres(&mut self, row: &Row<'_>) {
        let Value::Texts(genres) = row.value("genres") else { return };
        self.known.genres += u64::from(!genres.is_empty());
        for genre in genres {
            let Some(kept) = self.genres.entry(genre) else { continue };
            kept.tracks += 1;
            for figure in GENRE_FIGURES {
                if let (Some(measure), Some(value)) = (Measure::of(figure), row.number(figure)) {
                    kept.figures.entry(figure).or_insert_with(|| measure.small_histogram()).add(value);
                }
            }
        }
    }

    fn see_ends(&mut self, row: &Row<'_>, values: &[Option<f64>]) {
        let listeners = row.number("song_listeners").unwrap_or_default();
        let id = row.text("song_id").unwrap_or_default();
        for (end, top) in ENDS.iter().zip(&mut self.ends) {
            let at = MEASURES.iter().position(|measure| measure.key == end.figure);
            let Some(value) = at.and_then(|at| values.get(at).copied().flatten()) else { continue };
            if end.figure == "engagement_ratio" && listeners < LISTENERS_THAT_COUNT {
                continue;
            }
            let utmost = || Utmost { song: row.name("song_name"), artist: row.name("artist_name"), value };
            top.offer(if end.low { -value } else { value }, id, utmost);
        }
    }
}

fn count(words: &mut Kept<u64>, word: Option<&str>) {
    if let Some(rows) = word.and_then(|word| words.entry(word)) {
        *rows += 1;
    }
}

fn minor(row: &Row<'_>) -> Option<bool> {
    match row.text("music_mode")? {
        "minor" => Some(true),
        "major" => Some(false),
        _ => None,
    }
}
