//! The promises of the room as a whole.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Census, Figures, Made, SAMPLE, page};
use crate::store::relations::{Relation, TRACKS, Value};

fn relation(name: &str) -> &'static Relation {
    Census::relations().into_iter().find(|relation| relation.name == name).expect(name)
}

/// A row with these columns known.
fn row(relation: &'static Relation, known: &[(&str, Value)]) -> Vec<Value> {
    let mut values = vec![Value::Null; relation.columns.len()];
    for (column, value) in known {
        values[relation.position(column).expect(column)] = value.clone();
    }
    values
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn figures(rows: &[(&'static Relation, Vec<Value>)]) -> Figures {
    let mut census = Census::new();
    rows.iter().for_each(|(relation, row)| census.see(relation, row));
    census.figures()
}

fn drawn(figures: &Figures) -> String {
    page(figures, &Made { at: "now".to_owned(), database: "sqlite:music.db".to_owned() })
}

/// A track and its artist, all made from one number.
fn pair(number: u64) -> [(&'static Relation, Vec<Value>); 2] {
    let share = |factor: u64| Value::Real((number.wrapping_mul(factor) % 1_009) as f64 / 1_009.0);
    let known = |every: u64, value: Value| if number.is_multiple_of(every) { Value::Null } else { value };
    let bpm = 60.0 + (number * 7 % 131) as f64 + 0.1;
    let track = [
        ("song_id", text(format!("s{number}"))),
        ("song_name", text(format!("Song {number}"))),
        ("artist_name", text(format!("Artist {number}"))),
        ("release_year", known(5, Value::Int(1950 + (number * 13 % 75) as i64))),
        ("duration_ms", Value::Int((number * 7_919 % 400_000) as i64)),
        ("genres", Value::Texts(vec![format!("genre {number}"), format!("genre {}", number % 9)])),
        ("popularity", known(2, Value::Int((number % 101) as i64))),
        ("song_listeners", known(3, Value::Int((number * 31) as i64))),
        ("engagement_ratio", known(3, Value::Real(1.0 + (number % 50) as f64 / 3.0))),
        ("lastfm_match_score", known(3, share(77))),
        ("lastfm_match_quality", known(3, text("high"))),
        ("bpm", known(4, Value::Real(bpm))),
        ("bpm_reference", known(4, Value::Real(if number.is_multiple_of(3) { bpm / 2.0 } else { bpm }))),
        ("energy", known(4, share(3))),
        ("danceability", known(4, share(5))),
        ("loudness_lufs", known(4, Value::Real(-30.0 + (number % 251) as f64 / 10.0))),
        ("music_key", known(4, text(["C", "Ab", "B"][(number % 3) as usize]))),
        ("music_mode", known(4, text(["minor", "major"][(number % 2) as usize]))),
        ("provider", known(4, text("deezer"))),
        ("features_version", known(4, Value::Int((number % 2) as i64))),
    ];
    let artist = [
        ("artist_id", text(format!("a{number}"))),
        ("artist_name", text(format!("Artist {number}"))),
        ("total_listeners", Value::Int((number * 997 % 100_003) as i64)),
        ("total_playcount", Value::Int((number * 9_973 % 1_000_003) as i64)),
        ("lastfm_observed_at", known(6, Value::Time(1))),
    ];
    [(&TRACKS, row(&TRACKS, &track)), (relation("artists"), row(relation("artists"), &artist))]
}

/// Says where the page is not well-formed: every element closed in its turn, attributes quoted, no bare `<` or `&`.
fn well_formed(page: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!doctype html>").ok_or("no doctype")?;
    while let Some(at) = rest.find('<') {
        references(&rest[..at])?;
        let end = tag_end(&rest[at..]).ok_or_else(|| format!("a tag without an end: {:.80}", &rest[at..]))?;
        let tag = &rest[at + 1..at + end];
        rest = &rest[at + end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("no element: <{tag}>"));
        }
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes {open:?}"));
            }
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        references(tag)?;
    }
    references(rest)?;
    if open.is_empty() { Ok(()) } else { Err(format!("left open: {open:?}")) }
}

/// Where a tag ends: the first `>` outside of quotes; none if there is a `<` within.
fn tag_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' => quoted = !quoted,
            '<' => return None,
            '>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn references(text: &str) -> Result<(), String> {
    for part in text.split('&').skip(1) {
        if !["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|known| part.starts_with(known)) {
            return Err(format!("a bare &: {part:.40}"));
        }
    }
    let disturbing = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{fffe}');
    text.chars().find(|c| disturbing(*c)).map_or(Ok(()), |c| Err(format!("{c:?} in the page")))
}

#[test]
fn the_checker_finds_what_is_not_well_formed() {
    let wrong = ["<p>", "</p>", "<p><b></p></b>", "a & b", "<p title=\"<\"></p>", "1 < 2", "<p>\u{202e}</p>", "<p"];
    for text in wrong {
        assert!(well_formed(&format!("<!doctype html>{text}")).is_err(), "{text}");
    }
    assert_eq!(well_formed("<!doctype html>\n<p a=\"&lt;>\">x &amp; y<br/></p>"), Ok(()));
}

#[test]
fn whatever_the_order_of_the_rows_the_page_is_the_same_to_the_byte() {
    let rows: Vec<_> = (0..5_000).flat_map(pair).collect();
    let mut other: Vec<_> = rows.iter().rev().cloned().collect();
    other.rotate_left(3_333);
    other.swap(17, 4_444);
    let (first, second) = (figures(&rows), figures(&other));
    assert_eq!(first.sample.len(), SAMPLE, "the sample is one of many");
    assert_eq!(serde_json::to_string(&first).ok(), serde_json::to_string(&second).ok());
    assert_eq!(drawn(&first), drawn(&second));
}

#[test]
fn a_million_rows_keep_no_more_than_their_bounds() {
    let mut census = Census::new();
    for number in 0..1_000_000 {
        // The artists too, but for time not all of them.
        for (relation, row) in pair(number).into_iter().take(if number.is_multiple_of(8) { 2 } else { 1 }) {
            census.see(relation, &row);
        }
    }
    let figures = census.figures();
    assert_eq!((figures.counts.tracks, figures.counts.artists), (1_000_000, 125_000));
    assert_eq!((figures.sample.len(), figures.artists.sample.len()), (SAMPLE, SAMPLE));
    assert!(figures.genres.left_out && figures.genres.top.len() == 20, "{:?}", figures.genres);
    assert!(figures.spreads.values().all(|spread| spread.bins.len() < 700));
    assert!(figures.extremes.iter().all(|extreme| extreme.tracks.len() <= 3));
    let html = drawn(&figures);
    assert!(html.len() < 1_500_000 && html.contains("those beyond were not counted"), "{}", html.len());
    well_formed(&html).expect("well-formed");
}

#[test]
fn what_is_unknown_is_said_and_never_counted_as_nothing() {
    let mut rows: Vec<_> = (1..=3).map(|n| (&TRACKS, row(&TRACKS, &[("song_id", text(format!("s{n}")))]))).collect();
    let nothing = figures(&rows);
    assert_eq!((nothing.spreads.len(), nothing.correlations.len(), nothing.agreement.compared), (0, 0, 0));
    let html = drawn(&nothing);
    well_formed(&html).expect("well-formed");
    for said in ["<code>audio</code> stage", "<code>lastfm.api_key</code>", "No artist here has a genre yet"] {
        assert!(html.contains(said), "{said}: {html}");
    }
    rows.push((&TRACKS, row(&TRACKS, &[("song_id", text("s4")), ("bpm", Value::Real(120.0))])));
    let one = figures(&rows);
    assert_eq!(one.spreads.keys().collect::<Vec<_>>(), [&"bpm"]);
    assert_eq!((one.spreads["bpm"].known, one.spreads["bpm"].median), (1, 120.0));
    assert!(drawn(&one).contains("Of 4 tracks, 1 have a tempo"), "{}", drawn(&one));
    // The table of artists has 0 where nobody was asked.
    let unasked = [("artist_id", text("a1")), ("total_listeners", Value::Int(0)), ("total_playcount", Value::Int(0))];
    let artists = figures(&[(relation("artists"), row(relation("artists"), &unasked))]);
    assert_eq!((artists.counts.artists, artists.coverage.artists_lastfm, artists.artists.top.len()), (1, 0, 0));
}

#[test]
fn an_empty_database_gives_a_page_that_says_what_to_do() {
    let html = drawn(&figures(&[]));
    well_formed(&html).expect("well-formed");
    assert!(html.contains("reprise search") && html.contains("No track here yet") && !html.contains("NaN"), "{html}");
}

#[test]
fn tempi_are_compared_within_four_percent() {
    let pairs = [(120.0, 124.7), (120.0, 115.3), (120.0, 60.5), (120.0, 239.0), (120.0, 80.0), (120.0, 125.0), (0.0, 120.0)];
    let track = |(ours, reference): &(f64, f64)| {
        (&TRACKS, row(&TRACKS, &[("bpm", Value::Real(*ours)), ("bpm_reference", Value::Real(*reference))]))
    };
    let found = figures(&pairs.iter().map(track).collect::<Vec<_>>()).agreement;
    assert_eq!((found.compared, found.same, found.half, found.double, found.other), (6, 2, 1, 1, 2));
}

#[test]
fn minor_keys_stand_under_the_major_keys_that_share_their_notes() {
    let key = |tonic: &str, mode: &str| (&TRACKS, row(&TRACKS, &[("music_key", text(tonic)), ("music_mode", text(mode))]));
    let counted = figures(&[key("C", "major"), key("A", "minor"), key("A", "minor"), key("H", "minor"), key("C", "dorian")]);
    let tracks: BTreeMap<(&str, bool), u64> =
        counted.keys.iter().filter(|key| key.tracks > 0).map(|key| ((key.tonic, key.minor), key.tracks)).collect();
    assert_eq!(tracks, BTreeMap::from([(("C", false), 1), (("A", true), 2)]));
    let html = drawn(&counted);
    let column = |name: &str| {
        let (before, _) = html.split_once(&format!(">{name}</text>")).expect(name);
        before.rsplit_once(" x=\"").and_then(|(_, rest)| rest.split('"').next()).map(str::to_owned)
    };
    assert_eq!((column("C"), column("G")), (column("Am"), column("G")));
    assert_eq!(column("C"), Some("240.0".to_owned()), "C is on top");
    assert!(html.contains("67 % are in minor"), "{html}");
}

#[test]
fn mixed_versions_of_the_analysis_are_warned_of() {
    let analysed =
        |version| (&TRACKS, row(&TRACKS, &[("features_version", Value::Int(version)), ("provider", text("deezer"))]));
    assert!(!drawn(&figures(&[analysed(2), analysed(2)])).contains("several versions"));
    let mixed = drawn(&figures(&[analysed(1), analysed(2)]));
    assert!(mixed.contains("several versions of the analysis"), "{mixed}");
}

fn anything() -> impl Strategy<Value = String> {
    const NASTY: &[&str] =
        &["<script>alert(1)</script>", "\"><img src=x>", "]]>", "&amp;", "\u{202e}evil", "\u{0}", "'", "</title></svg>"];
    prop_oneof![any::<String>(), prop::sample::select(NASTY).prop_map(str::to_owned), Just("x".repeat(10_000))]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![-1e9..1e9_f64, 0.0..1.0_f64, Just(f64::MAX), Just(-f64::MAX), Just(f64::MIN_POSITIVE), Just(0.0)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_name_breaks_out_of_its_place(names in prop::collection::vec(anything(), 5), database in anything()) {
        let [song, artist, genre, provider, quality] = names.as_slice() else { unreachable!() };
        let track = |id: &str| {
            let Value::Texts(genres) = Value::Texts(vec![genre.clone()]) else { unreachable!() };
            row(&TRACKS, &[
                ("song_id", text(id)), ("song_name", text(song)), ("artist_name", text(artist)), ("genres", Value::Texts(genres)),
                ("provider", text(provider)), ("features_version", Value::Int(2)), ("lastfm_match_quality", text(quality)),
                ("lastfm_match_score", Value::Real(1.0)), ("bpm", Value::Real(120.0)), ("energy", Value::Real(0.1)),
                ("danceability", Value::Real(0.5)), ("music_mode", text(quality)), ("music_key", text(provider)),
            ])
        };
        let heard = [("artist_id", text("a")), ("artist_name", text(artist)), ("total_listeners", Value::Int(9)),
            ("total_playcount", Value::Int(90)), ("lastfm_observed_at", Value::Time(1)), ("lastfm_match_quality", text(quality))];
        let figures = figures(&[(&TRACKS, track("1")), (&TRACKS, track("2")), (relation("artists"), row(relation("artists"), &heard))]);
        let html = page(&figures, &Made { at: "now".to_owned(), database });
        prop_assert_eq!(well_formed(&html), Ok(()));
        prop_assert!(!html.contains("<script") && !html.contains("<img") && html.len() < 100_000);
    }

    #[test]
    fn no_number_breaks_a_picture(values in prop::collection::vec((number(), number(), any::<i64>()), 1..12)) {
        let rows = values.iter().zip(0..).map(|((a, b, whole), id): (_, i32)| {
            (&TRACKS, row(&TRACKS, &[
                ("song_id", text(id.to_string())), ("bpm", Value::Real(*a)), ("bpm_reference", Value::Real(*b)),
                ("energy", Value::Real(*a)), ("danceability", Value::Real(*b)), ("loudness_lufs", Value::Real(*b)),
                ("duration_ms", Value::Int(*whole)), ("song_listeners", Value::Int(*whole)), ("popularity", Value::Int(*whole)),
                ("release_year", Value::Int(whole % 3_000)), ("engagement_ratio", Value::Real(*a)),
            ]))
        });
        let artists = values.iter().zip(0..).map(|((_, _, whole), id): (_, i32)| {
            (relation("artists"), row(relation("artists"), &[
                ("artist_id", text(id.to_string())), ("total_listeners", Value::Int(*whole)),
                ("total_playcount", Value::Int(whole.wrapping_mul(3))), ("lastfm_observed_at", Value::Time(1)),
            ]))
        });
        let figures = figures(&rows.chain(artists).collect::<Vec<_>>());
        prop_assert!(serde_json::to_string(&figures).is_ok());
        let html = drawn(&figures);
        prop_assert_eq!(well_formed(&html), Ok(()));
        prop_assert!(!html.contains("NaN") && !html.contains("=\"inf") && !html.contains(",inf"), "{}", html);
    }
}
