//! The figures of a track that are numbers: where they stand in a row, in which units they are shown, and how finely.

use super::histogram::Histogram;

/// A figure that is a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Its name in the JSON answer.
    pub(super) key: &'static str,
    /// Its column in the flat view of tracks.
    column: &'static str,
    /// Its name for a person.
    pub(super) name: &'static str,
    /// Short, for the heads of a matrix.
    pub(super) short: &'static str,
    /// Empty: none.
    pub(super) unit: &'static str,
    /// Shown behind the point.
    pub(super) decimals: usize,
    /// From the column's value to what is shown.
    convert: fn(f64) -> f64,
    /// Lower edge of the first bar.
    lo: f64,
    /// Width of the widest bar; where all values are close together, narrower ones show their shape.
    step: f64,
    /// Most bars.
    bars: u32,
    /// What correlations tell apart: values beyond count as its ends.
    pub(super) range: (f64, f64),
    /// Whether it has a place in the matrix of correlations.
    pub(super) correlated: bool,
}

/// Bins in the widest bar: quartiles are as exact as a bin.
const FINE: u32 = 10;

fn same(value: f64) -> f64 {
    value
}

fn seconds(milliseconds: f64) -> f64 {
    milliseconds / 1_000.0
}

/// Listeners span six powers of ten: without the logarithm a handful of stars would be the whole correlation. One is added
/// so that nobody listening is 0 and not minus infinity.
fn log10(count: f64) -> f64 {
    (count.max(0.0) + 1.0).log10()
}

const PLAIN: Measure = Measure {
    key: "",
    column: "",
    name: "",
    short: "",
    unit: "",
    decimals: 2,
    convert: same,
    lo: 0.0,
    step: 0.02,
    bars: 50,
    range: (0.0, 1.0),
    correlated: true,
};

const fn share(key: &'static str, name: &'static str, short: &'static str) -> Measure {
    Measure { key, column: key, name, short, ..PLAIN }
}

/// All of them, in the order of the matrix.
pub(super) static MEASURES: [Measure; 17] = [
    Measure { unit: "BPM", decimals: 0, lo: 30.0, step: 5.0, bars: 54, range: (0.0, 500.0), ..share("bpm", "tempo", "tempo") },
    share("energy", "energy", "energy"),
    Measure {
        unit: "LUFS",
        decimals: 1,
        lo: -60.0,
        step: 1.0,
        bars: 65,
        range: (-100.0, 20.0),
        ..share("loudness_lufs", "loudness", "loudness")
    },
    Measure {
        unit: "LU",
        decimals: 1,
        step: 1.0,
        bars: 40,
        range: (0.0, 100.0),
        ..share("loudness_range_lu", "loudness range", "range")
    },
    share("danceability", "danceability", "dance"),
    share("harmonic_ratio", "harmonic share", "harmonic"),
    Measure {
        unit: "Hz",
        decimals: 0,
        step: 250.0,
        bars: 45,
        range: (0.0, 25_000.0),
        ..share("spectral_centroid", "brightness (spectral centroid)", "bright")
    },
    Measure {
        unit: "a second",
        decimals: 1,
        step: 0.5,
        bars: 40,
        range: (0.0, 100.0),
        ..share("onset_rate", "onset rate", "onsets")
    },
    share("beat_regularity", "beat regularity", "regular"),
    Measure {
        column: "duration_ms",
        unit: "s",
        decimals: 0,
        convert: seconds,
        step: 15.0,
        bars: 60,
        range: (0.0, 7_200.0),
        ..share("duration_s", "duration", "length")
    },
    Measure {
        decimals: 0,
        lo: 1900.0,
        step: 5.0,
        bars: 40,
        range: (1850.0, 2150.0),
        ..share("release_year", "release year", "year")
    },
    Measure { decimals: 0, step: 5.0, bars: 21, range: (0.0, 100.0), ..share("popularity", "Spotify popularity", "popular") },
    Measure {
        column: "song_listeners",
        convert: log10,
        step: 0.25,
        bars: 40,
        range: (0.0, 12.0),
        ..share("log10_song_listeners", "listeners of the song (log)", "song lst.")
    },
    Measure {
        column: "artist_listeners",
        convert: log10,
        step: 0.25,
        bars: 40,
        range: (0.0, 12.0),
        ..share("log10_artist_listeners", "listeners of the artist (log)", "artist lst.")
    },
    Measure {
        decimals: 1,
        step: 1.0,
        bars: 60,
        range: (0.0, 1_000.0),
        ..share("engagement_ratio", "plays by listener of the song", "song p/l")
    },
    Measure {
        decimals: 1,
        step: 2.0,
        bars: 60,
        range: (0.0, 1_000.0),
        ..share("plays_per_listener", "plays by listener of the artist", "artist p/l")
    },
    Measure { step: 0.01, bars: 101, correlated: false, ..share("lastfm_match_score", "match score", "match") },
];

impl Measure {
    /// The one with this key.
    pub(super) fn of(key: &str) -> Option<&'static Measure> {
        MEASURES.iter().find(|measure| measure.key == key)
    }

    /// The value in the measure's unit; `None`: not known.
    pub(super) fn read(&self, number: impl Fn(&str) -> Option<f64>) -> Option<f64> {
        number(self.column).map(self.convert).filter(|value| value.is_finite())
    }

    /// For all tracks.
    pub(super) fn histogram(&self) -> Histogram {
        Histogram::new(self.lo, self.step / f64::from(FINE), self.bars * FINE)
    }

    /// For the tracks of a genre or of some years, of which there are many: two bins a bar.
    pub(super) fn small_histogram(&self) -> Histogram {
        Histogram::new(self.lo, self.step / 2.0, self.bars * 2)
    }
}
