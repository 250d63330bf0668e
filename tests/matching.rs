//! The promises of the matching room: precision and recall on our own labelled pairs, the laws of a comparison, and a
//! defined, cheap answer for bad input. `cargo test --test matching -- --nocapture curve` prints the README's tables.

use proptest::prelude::*;
use reprise::matching::{
    Aliases, Artist, Matcher, Mode, Quality, Thresholds, Track, TrackQuery, fold, normalise, reference_ratio,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use unicode_normalization::UnicodeNormalization;

mod labelled {
    use super::*;

    /// Scores with their labels, of all rows of a fixture.
    pub fn artists() -> Vec<(f64, bool, String)> {
        let matcher = Matcher::default();
        let score = |row: Vec<&str>| (matcher.artist(row[0], row[1]).score, row[2] == "1", row[..2].join(" | "));
        rows(include_str!("matching_fixtures/artists.tsv")).map(score).collect()
    }

    pub fn tracks() -> Vec<(f64, bool, String)> {
        let matcher = Matcher::default();
        let side = |row: &[&'static str]| TrackQuery {
            artist: row[0],
            title: row[1],
            album: Some(row[2]).filter(|album| !album.is_empty()),
            duration_s: row[3].parse().ok(),
            ..TrackQuery::default()
        };
        let score =
            |row: Vec<&'static str>| (matcher.track(&side(&row[..4]), &side(&row[4..])).score, row[8] == "1", row.join(" | "));
        rows(include_str!("matching_fixtures/tracks.tsv")).map(score).collect()
    }

    fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
        text.lines().skip(1).map(|line| line.split('\t').collect())
    }
}

#[derive(Debug, Clone, Copy)]
struct Quotas {
    precision: f64,
    recall: f64,
    f1: f64,
    accepted_negatives: f64,
}

fn quotas(rows: &[(f64, bool, String)], threshold: f64) -> Quotas {
    let count = |label: bool, accepted: bool| {
        rows.iter().filter(|row| row.1 == label && (row.0 >= threshold) == accepted).count() as f64
    };
    let (hits, misses, false_hits, refused) = (count(true, true), count(true, false), count(false, true), count(false, false));
    let (precision, recall) = (hits / (hits + false_hits), hits / (hits + misses));
    let accepted_negatives = false_hits / (false_hits + refused);
    Quotas { precision, recall, f1: 2.0 * precision * recall / (precision + recall), accepted_negatives }
}

#[test]
fn the_curve_over_the_valid_thresholds() {
    let thresholds = Thresholds::default();
    // What must not get worse. Our negatives are the hardest we could think of: one letter apart, in long names too.
    let floor = |precision, f1, accepted_negatives| Quotas { precision, recall: 0.9, f1, accepted_negatives };
    let sets = [
        ("artists", labelled::artists(), thresholds.artist, floor(0.95, 0.94, 0.06)),
        ("tracks", labelled::tracks(), thresholds.track, floor(0.95, 0.94, 0.04)),
    ];
    for (name, rows, default, floor) in sets {
        println!("\n{name}: {} pairs, {} of them matches", rows.len(), rows.iter().filter(|row| row.1).count());
        println!("| threshold | precision | recall | F1 | negatives accepted |\n|---|---|---|---|---|");
        for step in 0..=4 {
            let threshold = 0.7 + 0.05 * f64::from(step);
            let Quotas { precision, recall, f1, accepted_negatives } = quotas(&rows, threshold - 1e-9);
            println!("| {threshold:.2} | {precision:.3} | {recall:.3} | {f1:.3} | {:.1} % |", 100.0 * accepted_negatives);
            assert!(f1 > 0.85, "{name} at {threshold}");
        }
        for (score, label, text) in rows.iter().filter(|row| (row.0 >= default) != row.1) {
            println!("wrong: {} {score:.3} {text}", if *label { "missed" } else { "accepted" });
        }
        let at_default = quotas(&rows, default);
        assert!(at_default.precision >= floor.precision && at_default.recall >= floor.recall, "{name}: {at_default:?}");
        assert!(
            at_default.f1 >= floor.f1 && at_default.accepted_negatives <= floor.accepted_negatives,
            "{name}: {at_default:?}"
        );
    }
}

#[test]
fn defaults_are_in_the_valid_range() {
    assert!(Thresholds::default().are_valid());
    assert!(!Thresholds { artist: 0.65, track: 0.8 }.are_valid());
}

#[test]
fn a_matcher_is_shared_between_threads() {
    let matcher = Arc::new(Matcher::new(Mode::Composite, Thresholds::default(), Aliases::default()));
    let other = Arc::clone(&matcher);
    let answer = std::thread::spawn(move || other.artist("ABBA", "Abba")).join().ok();
    assert_eq!(answer, Some(matcher.artist("ABBA", "Abba")));
}

#[test]
fn identifiers_decide_first() {
    let matcher = Matcher::default();
    let one = TrackQuery { title: "Halo", artist: "A", isrc: Some("GB-AYE-06-00001"), ..TrackQuery::default() };
    let same = TrackQuery { title: "Something else", artist: "B", isrc: Some("gbaye0600001"), ..TrackQuery::default() };
    assert_eq!(matcher.track(&one, &same).quality, Quality::Exact);
    let mbid = Some("b1a9c0e9-d987-4042-ae91-78d6a3267d69");
    let (one, same) = (TrackQuery { mbid, ..one }, TrackQuery { mbid, isrc: None, ..same });
    assert_eq!(matcher.track(&one, &same).reasons, ["same MusicBrainz id"]);
    // Another ISRC proves nothing: one recording may have several.
    let other = TrackQuery { isrc: Some("USRC17607839"), mbid: None, ..one };
    assert!(matcher.track(&one, &other).matched);
    assert!(
        !matcher.track(&TrackQuery { isrc: Some("x"), ..same }, &TrackQuery { isrc: Some("x"), mbid: None, ..one }).matched,
        "no ISRC"
    );
}

#[test]
fn the_best_candidate_comes_with_its_margin() {
    let matcher = Matcher::default();
    let track = |title, artist, duration_s| TrackQuery { title, artist, duration_s: Some(duration_s), ..TrackQuery::default() };
    let asked = track("Teardrop", "Massive Attack", 330.0);
    let candidates = [
        track("Teardrop (Mad Professor Mix)", "Massive Attack", 380.0),
        track("Teardrop", "Massive Attack", 331.0),
        track("Angel", "Massive Attack", 379.0),
    ];
    let best = matcher.best_track(&asked, &candidates);
    assert!(best.as_ref().is_some_and(|(at, result)| *at == 1 && result.margin.is_some_and(|margin| margin > 0.3)), "{best:?}");
    assert_eq!(matcher.best_track(&asked, &candidates[2..]), None);
    assert_eq!(matcher.best_track(&asked, &[]), None);
    let best = matcher.best_artist("Beatles", &["The Beatles", "The Beatles Tribute"]).map(|(at, result)| (at, result.quality));
    assert_eq!(best, Some((0, Quality::Exact)));
    assert_eq!(
        matcher.best_artist("Beatles", &["The Beatles"]).and_then(|(_, result)| result.margin),
        None,
        "no second candidate"
    );
}

#[test]
fn reference_mode_is_the_predecessors() {
    let matcher = Matcher::new(Mode::Reference, Thresholds::default(), Aliases::default());
    let result = matcher.artist("Charles Brown", "Chris Brown");
    assert!((result.score - 0.818_181_818).abs() < 1e-6 && !result.matched, "{result:?}");
    let nothing = matcher.artist("", " ");
    assert_eq!(nothing.score, 1.0, "difflib says so");
    assert!(!nothing.matched, "and nobody should join them");
    assert!((reference_ratio("AC DC", "ac\tdc") - 1.0).abs() < 1e-12);
}

mod experts_would_say {
    use super::*;

    fn track<'a>(artist: &'a str, title: &'a str) -> TrackQuery<'a> {
        TrackQuery { title, artist, ..TrackQuery::default() }
    }

    fn same(one: &TrackQuery<'_>, other: &TrackQuery<'_>) -> bool {
        Matcher::default().track(one, other).matched
    }

    #[test]
    fn an_initial_is_no_guest_and_neither_is_the_end_of_a_name() {
        let matcher = Matcher::default();
        for (one, other) in [
            ("A.F.I.", "A"),
            ("R.F.K.", "R.F.D."),
            ("John F. Kennedy", "John"),
            ("Little Feat", "Little"),
            ("N-Dubz", "Dubz"),
            ("And One", "One"),
            ("Nirvana (UK)", "Nirvana (US)"),
        ] {
            assert!(!matcher.artist(one, other).matched, "{one} is not {other}");
        }
        for (one, other) in [
            ("A.F.I.", "AFI"),
            ("M.F. Doom", "MF Doom"),
            ("*NSYNC", "'N Sync"),
            ("Eminem f. Dr. Dre", "Eminem"),
            ("SIMON &AMP; GARFUNKEL", "Simon & Garfunkel"),
        ] {
            assert!(matcher.artist(one, other).matched, "{one} is {other}");
        }
        assert!(!same(&track("Kem", "Cold Feat"), &track("Kem", "Cold")));
    }

    #[test]
    fn a_part_is_the_same_part_wherever_it_is_written() {
        let titles = ["The Wall, Pt. 2", "The Wall (Part II)", "The Wall - Pt. 2", "The Wall Part Two"];
        for one in titles {
            for other in titles {
                assert!(same(&track("Pink Floyd", one), &track("Pink Floyd", other)), "{one} is {other}");
            }
            for other in ["The Wall, Pt. 1", "The Wall (Part III)", "The Wall"] {
                assert!(!same(&track("Pink Floyd", one), &track("Pink Floyd", other)), "{one} is not {other}");
            }
        }
        assert!(!same(&track("Band", "Suite (Part V)"), &track("Band", "Suite (Part X)")));
    }

    #[test]
    fn a_sequel_is_another_song() {
        for (one, other) in [("The Unforgiven", "The Unforgiven II"), ("Hello", "Hello 2"), ("Led Zeppelin", "Led Zeppelin IV")]
        {
            let with_length = |title, seconds| TrackQuery { duration_s: Some(seconds), ..track("Band", title) };
            assert!(!same(&track("Band", one), &track("Band", other)), "{one} is not {other}");
            assert!(!same(&with_length(one, 387.0), &with_length(other, 396.0)), "{one} is not {other}");
        }
    }

    #[test]
    fn an_artist_that_is_only_similar_needs_more_than_an_equal_title() {
        for (one, other) in
            [("Ryan Adams", "Bryan Adams"), ("Johnny Cash", "Johnny Nash"), ("Blur", "Blue"), ("Neil Young", "Paul Young")]
        {
            assert!(!same(&track(one, "Hallelujah"), &track(other, "Hallelujah")), "{one} is not {other}");
            let with_length = |artist, seconds| TrackQuery { duration_s: Some(seconds), ..track(artist, "Hallelujah") };
            assert!(!same(&with_length(one, 200.0), &with_length(other, 250.0)), "{one} is not {other}");
        }
        // A misspelled name, confirmed by the length.
        let with_length = |artist| TrackQuery { duration_s: Some(275.0), ..track(artist, "Hallelujah") };
        assert!(same(&with_length("Jeff Buckley"), &with_length("Jef Bukley")));
    }

    #[test]
    fn an_album_explains_a_version_only_if_it_says_so_of_itself() {
        let on = |title, album, seconds| TrackQuery { album: Some(album), duration_s: Some(seconds), ..track("Band", title) };
        for (title, album) in [
            ("Song (Live)", "Live Through This"),
            ("Song (Live)", "Live Forever: Best of"),
            ("Song (Shep's Remix)", "Party Mix 2004"),
            ("Song (Demo)", "Alternative 90s"),
            ("Song (Cover)", "Cover Girl"),
        ] {
            assert!(!same(&on(title, "Singles", 300.0), &on("Song", album, 210.0)), "{title} is not the one on {album}");
        }
        for (title, album) in [
            ("Song (Live)", "Live in Paris"),
            ("Song (Live)", "MTV Unplugged in New York"),
            ("Song (Remix)", "The Remixes"),
            ("Song (Acoustic)", "Hits (Acoustic)"),
        ] {
            assert!(same(&on(title, album, 210.0), &on("Song", album, 211.0)), "{title} is the one on {album}");
        }
    }

    #[test]
    fn another_version_is_known_in_other_languages() {
        let versions =
            ["En Vivo", "Ao Vivo", "En Directo", "In Concert", "Backing Track", "Made Famous by Adele", "ライブ", "カラオケ"];
        for version in versions {
            assert!(!same(&track("Band", "Hello"), &track("Band", &format!("Hello ({version})"))), "{version}");
        }
    }

    #[test]
    fn identifiers_that_name_nothing_decide_nothing() {
        let nil = Some("00000000-0000-0000-0000-000000000000");
        let filled = |artist, title| TrackQuery { mbid: nil, isrc: Some("000000000000"), ..track(artist, title) };
        assert!(!same(&filled("Adele", "Hello"), &filled("ABBA", "Waterloo")));
    }

    #[test]
    fn a_title_that_looks_like_none_equals_itself() {
        for title in ["007", "Unknown", "N.A."] {
            assert!(same(&track("Band", title), &track("Band", title)), "{title}");
        }
    }
}

mod bad_input {
    use super::*;

    #[test]
    fn names_without_content_are_never_equal() {
        let matcher = Matcher::default();
        for (one, other) in [
            ("", ""),
            (" ", "\t"),
            ("\u{202e}", "\u{200b}"),
            ("\u{0}", "\u{1}"),
            ("", "ABBA"),
            ("!!!", "???"),
            ("´", "\u{301}"),
        ] {
            let result = matcher.artist(one, other);
            assert!(!result.matched && result.score == 0.0, "{one:?} and {other:?}: {result:?}");
            assert!(!result.reasons.is_empty());
        }
        let nothing = TrackQuery::default();
        assert!(!matcher.track(&nothing, &nothing).matched);
    }

    #[test]
    fn a_band_of_symbols_equals_itself() {
        assert!(Matcher::default().artist("!!!", " !!! ").matched);
    }

    #[test]
    fn what_cannot_be_seen_changes_nothing() {
        let matcher = Matcher::default();
        assert_eq!(matcher.artist("ABBA", "\u{202e}AB\u{200b}BA\u{202c}").quality, Quality::Exact);
        assert_eq!(matcher.artist("The\u{0}Cure", "The Cure").quality, Quality::Exact);
    }

    #[test]
    fn numbers_that_are_none_are_no_durations() {
        let matcher = Matcher::default();
        let track =
            |duration_s| TrackQuery { title: "Halo", artist: "Texas", duration_s: Some(duration_s), ..TrackQuery::default() };
        for duration in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let score = matcher.track(&track(duration), &track(240.0)).score;
            assert!((0.9..=1.0).contains(&score), "{duration}: {score}");
        }
    }

    /// 100 kB of everything: the cost is bounded by the limit on what is looked at, not by the length.
    #[test]
    fn huge_names_cost_little() {
        let random: String =
            (0..100_000u32).filter_map(|at| char::from_u32(0x4e00 + at.wrapping_mul(2_654_435_761) % 20_000)).collect();
        let nasty = [
            "a", "ab ", "((((", "- ", "a - ", "feat. ", "é", "の", "e\u{301}", "1", "(live) ", "%41", "& ", ", ", "\"", "a.b.",
        ];
        let mut names: Vec<String> = nasty.iter().map(|part| part.repeat(100_000 / part.len())).collect();
        names.push(random.chars().rev().collect());
        names.push(random);
        for mode in [Mode::Composite, Mode::Reference] {
            let matcher = Matcher::new(mode, Thresholds::default(), Aliases::default());
            for one in &names {
                for other in &names {
                    let start = Instant::now();
                    let artist = matcher.artist(one, other);
                    let track = |title| TrackQuery { title, artist: other, album: Some(one), ..TrackQuery::default() };
                    let track = matcher.track(&track(one), &track(other));
                    assert!((0.0..=1.0).contains(&artist.score) && (0.0..=1.0).contains(&track.score));
                    // Generous for a busy machine and an unoptimised build; quadratic cost would take minutes.
                    assert!(start.elapsed() < Duration::from_secs(3), "{mode:?} {:?} {:?}", head(one), head(other));
                }
            }
        }
    }

    fn head(text: &str) -> String {
        text.chars().take(8).collect()
    }
}

/// Names as they come: letters of several scripts, marks, punctuation, brackets, numbers, and now and then anything.
fn name() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "the",
        "The",
        "and",
        "&",
        "feat.",
        "ft",
        "with",
        "x",
        "vs",
        "live",
        "(live)",
        "- Remix",
        "[Deluxe]",
        "(Pt. II)",
        "Part",
        "pt. i",
        "v",
        "f.",
        "&amp;",
        "one",
        "2",
        "ii",
        "p",
        "j",
        "n",
        "Beyoncé",
        "straße",
        "Кино",
        "й",
        "ポルノ",
        "소녀",
        "AC/DC",
        "\"Weird",
        "Al\"",
        "$",
        "!",
        "-",
        "(",
        ")",
        ",",
        "'",
        "05-",
        "100%",
        "%41",
        "u",
        "4",
        "for",
        "you",
        "R.E.M.",
        "Ms.",
        "his",
        "orchestra",
        "unknown",
        "s",
        "es",
    ])
    .prop_map(str::to_owned);
    // Accents, letters of Indic and kana scripts, enclosing and invisible marks: on whatever comes before them, or on nothing.
    let marks = "[\u{300}-\u{308}\u{93e}-\u{948}\u{e31}\u{3099}\u{309a}\u{20dd}-\u{20e3}\u{fe00}-\u{fe0f}\u{fe20}\u{200d}\u{5b0}\u{64b}]{1,2}";
    let piece = prop_oneof![
        12 => words,
        6 => "[a-zA-Z]{1,9}",
        2 => "\\PC{0,4}",
        2 => any::<char>().prop_map(String::from),
        1 => marks,
    ];
    prop::collection::vec((piece, prop_oneof![4 => Just(" "), 1 => Just("")]), 0..7)
        .prop_map(|parts| parts.into_iter().map(|(part, space)| part + space).collect())
}

#[derive(Debug, Clone)]
struct OwnedTrack(String, String, Option<String>, Option<f64>);

impl OwnedTrack {
    fn query(&self) -> TrackQuery<'_> {
        TrackQuery { title: &self.0, artist: &self.1, album: self.2.as_deref(), duration_s: self.3, ..TrackQuery::default() }
    }
}

fn track() -> impl Strategy<Value = OwnedTrack> {
    (name(), name(), prop::option::of(name()), prop::option::of(0.0..600.0f64)).prop_map(|(a, b, c, d)| OwnedTrack(a, b, c, d))
}

/// One edit away, so that the laws are also tried where scores are high.
fn nearly(name: &str, at: usize, letter: char) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let at = at % (letters.len() + 1);
    letters.insert(at, letter);
    letters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn artists_are_compared_the_same_both_ways_and_bounded(one in name(), far in name(), at in 0usize..20, letter in any::<char>()) {
        let matcher = Matcher::default();
        for other in [far, nearly(&one, at, letter)] {
            let forward = matcher.artist(&one, &other);
            prop_assert!((0.0..=1.0).contains(&forward.score));
            prop_assert_eq!(&forward, &matcher.artist(&other, &one));
            prop_assert_eq!(forward.matched, forward.score >= matcher.thresholds().artist);
        }
    }

    #[test]
    fn tracks_are_compared_the_same_both_ways_and_bounded(one in track(), far in track(), at in 0usize..20, letter in any::<char>()) {
        let matcher = Matcher::default();
        let near = OwnedTrack(nearly(&one.0, at, letter), far.1.clone(), one.2.clone(), one.3);
        for other in [far, near] {
            let forward = matcher.track(&one.query(), &other.query());
            prop_assert!((0.0..=1.0).contains(&forward.score));
            prop_assert_eq!(&forward, &matcher.track(&other.query(), &one.query()));
        }
    }

    #[test]
    fn a_name_equals_itself(name in name()) {
        let result = Matcher::default().artist(&name, &name);
        let something = !normalise(&name).is_empty();
        prop_assert_eq!(result.score, f64::from(u8::from(something)));
        prop_assert_eq!(result.quality == Quality::Exact, something);
    }

    #[test]
    fn a_track_equals_itself(track in track()) {
        let result = Matcher::default().track(&track.query(), &track.query());
        let something = !normalise(&track.0).is_empty();
        prop_assert!(result.score == 1.0 || (!something && result.reasons[0].starts_with("nothing to compare")), "{:?}", result);
    }

    #[test]
    fn case_and_unicode_form_do_not_count(one in name(), other in name()) {
        let matcher = Matcher::default();
        let score = matcher.artist(&one, &other).score;
        prop_assert_eq!(score, matcher.artist(&one.nfd().collect::<String>(), &other).score);
        prop_assert_eq!(score, matcher.artist(&one.nfc().collect::<String>(), &other).score);
        prop_assert_eq!(score, matcher.artist(&one.to_uppercase(), &other).score);
    }

    #[test]
    fn tracks_ignore_case_and_unicode_form_too(one in track(), other in track()) {
        let matcher = Matcher::default();
        let score = matcher.track(&one.query(), &other.query()).score;
        let decomposed = OwnedTrack(one.0.nfd().collect(), one.1.nfd().collect(), one.2.clone(), one.3);
        prop_assert_eq!(score, matcher.track(&decomposed.query(), &other.query()).score);
        let loud = OwnedTrack(one.0.to_uppercase(), one.1.to_uppercase(), one.2.as_ref().map(|album| album.to_uppercase()), one.3);
        prop_assert_eq!(score, matcher.track(&loud.query(), &other.query()).score);
    }

    #[test]
    fn latin_accents_do_not_count(letters in "[a-zA-Z ]{0,24}", marks in prop::collection::vec(0u32..0x6f, 24), other in name()) {
        let accent = |mark: u32| char::from_u32(0x300 + mark).filter(|mark| *mark != '\u{345}');
        let mut accented = String::new();
        for (letter, mark) in letters.chars().zip(&marks) {
            accented.push(letter);
            accented.extend(accent(*mark).filter(|_| letter != ' '));
        }
        let matcher = Matcher::default();
        prop_assert_eq!(matcher.artist(&letters, &other).score, matcher.artist(&accented, &other).score);
    }

    #[test]
    fn normalisation_is_idempotent(name in name()) {
        let once = normalise(&name);
        prop_assert_eq!(normalise(&once), once);
        let folded = fold(&name);
        prop_assert_eq!(fold(&folded), folded);
    }

    #[test]
    fn names_normalised_before_compare_the_same(one in name(), other in name()) {
        let matcher = Matcher::default();
        let prepared = matcher.compare_artists(&Artist::new(&one), &Artist::new(&other));
        prop_assert_eq!(prepared.result(matcher.thresholds().artist), matcher.artist(&one, &other));
    }

    #[test]
    fn tracks_normalised_before_compare_the_same(one in track(), other in track()) {
        let matcher = Matcher::default();
        let prepared = matcher.compare_tracks(&Track::new(&one.query()), &Track::new(&other.query()));
        prop_assert_eq!(prepared.result(matcher.thresholds().track), matcher.track(&one.query(), &other.query()));
    }

    #[test]
    fn reference_ratios_are_bounded_and_reflexive(one in name(), other in name()) {
        prop_assert!((0.0..=1.0).contains(&reference_ratio(&one, &other)));
        prop_assert_eq!(reference_ratio(&one, &one), 1.0);
    }
}
