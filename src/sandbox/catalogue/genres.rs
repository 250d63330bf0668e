//! Families of genres, with the style and tempo range of their clips.

use super::super::clips::Style;

/// Genres that go together.
#[derive(Debug)]
pub struct Family {
    /// How many artists of a hundred, about.
    pub weight: u32,
    /// The genres; the first one names the family.
    pub genres: &'static [&'static str],
    /// Style of the clips.
    pub style: Style,
    /// Slowest and fastest clip, beats a minute.
    pub bpm: (i64, i64),
}

/// Every family.
pub const FAMILIES: [Family; 14] = [
    Family {
        weight: 16,
        genres: &["rock", "indie rock", "garage rock", "psychedelic rock"],
        style: Style::Rock,
        bpm: (96, 152),
    },
    Family { weight: 14, genres: &["pop", "art pop", "dream pop", "synth-pop"], style: Style::Pop, bpm: (92, 132) },
    Family { weight: 10, genres: &["jazz", "vocal jazz", "jazz fusion", "nu jazz"], style: Style::Swing, bpm: (88, 168) },
    Family { weight: 9, genres: &["electronic", "house", "deep house", "techno"], style: Style::House, bpm: (118, 134) },
    Family { weight: 9, genres: &["hip hop", "alternative hip hop", "boom bap"], style: Style::HipHop, bpm: (80, 104) },
    Family { weight: 8, genres: &["folk", "indie folk", "singer-songwriter"], style: Style::Folk, bpm: (78, 124) },
    Family { weight: 6, genres: &["metal", "black metal", "doom metal"], style: Style::Metal, bpm: (110, 184) },
    Family { weight: 6, genres: &["soul", "r&b", "neo soul", "funk"], style: Style::Funk, bpm: (84, 118) },
    Family { weight: 5, genres: &["ambient", "drone", "modern classical"], style: Style::Ambient, bpm: (60, 90) },
    Family { weight: 4, genres: &["reggae", "dub", "dancehall"], style: Style::Reggae, bpm: (68, 96) },
    Family { weight: 4, genres: &["drum and bass", "jungle", "breakbeat"], style: Style::Breaks, bpm: (160, 178) },
    Family { weight: 4, genres: &["j-pop", "k-pop", "city pop"], style: Style::Pop, bpm: (100, 140) },
    Family { weight: 3, genres: &["classical", "baroque", "chamber music"], style: Style::Waltz, bpm: (84, 150) },
    Family {
        weight: 2,
        genres: &["nueva canción", "música popular brasileira", "bossa nova"],
        style: Style::Folk,
        bpm: (90, 130),
    },
];
