//! The recordings of an artist: what was played, and what the other services have of it.

use super::super::chance::{self, Dice};
use super::super::clips::Score;
use super::super::names;
use super::{Artist, ArtistPage, FAMILIES, Recording, Shelf, TrackPage};

const PAGES: [(u32, TrackPage); 5] =
    [(82, TrackPage::Found), (3, TrackPage::Unheard), (6, TrackPage::Ghost), (6, TrackPage::Missing), (3, TrackPage::Other)];
const DEEZER: [(u32, Shelf); 4] = [(66, Shelf::Listed), (12, Shelf::SearchOnly), (8, Shelf::Mute), (14, Shelf::Absent)];
const ITUNES: [(u32, Shelf); 3] = [(60, Shelf::Listed), (8, Shelf::Mute), (32, Shelf::Absent)];
const VENUES: [&str; 5] = ["the Old Granary", "Kestrel Hall", "Radio 9", "Malmö", "the Lighthouse"];

/// A studio recording; `guests` are indices of other artists.
pub(super) fn studio(seed: u64, tag: &str, artist: usize, guests: Vec<usize>, artists: &[Artist]) -> Recording {
    let mut dice = Dice::new(seed, &["recording", tag]);
    let title = names::title(&mut dice, &artists[artist].name);
    let mut billed = vec![artist];
    billed.extend(guests);
    make(seed, tag, title, billed, artists)
}

/// Another take of a recording: live, remixed, acoustic. Another recording, with a title that nearly is the same.
pub(super) fn another_take(seed: u64, tag: &str, original: &Recording, artists: &[Artist]) -> Recording {
    let mut dice = Dice::new(seed, &["take", tag]);
    let remixer = *dice.pick(&original.artists);
    let title = match dice.below(6) {
        0 | 1 => format!("{} - Live at {}", original.title, dice.pick(&VENUES)),
        2 => format!("{} (Live)", original.title),
        3 => format!("{} - Acoustic", original.title),
        4 => format!("{} - {} Remix", original.title, artists[remixer].name),
        _ => format!("{} (Instrumental)", original.title),
    };
    make(seed, tag, title, original.artists.clone(), artists)
}

fn make(seed: u64, tag: &str, title: String, billed: Vec<usize>, artists: &[Artist]) -> Recording {
    let mut dice = Dice::new(seed, &["recording-facts", tag]);
    let artist = &artists[billed[0]];
    let family = &FAMILIES[artist.family];
    let share = dice.unit().powi(3);
    let listeners = 20 + (artist.listeners as f64 * share * 0.4) as i64;
    let page = page(&mut dice, artist.page);
    Recording {
        title,
        duration_ms: dice.between(95_000, 420_000),
        popularity: (artist.popularity - 20 + (share * 40.0) as i64).clamp(0, 100),
        explicit: dice.happens(0.12),
        page,
        mbid: dice.happens(0.65).then(|| chance::uuid(seed, &["recording-mbid", tag])),
        listeners: if page == TrackPage::Unheard { 0 } else { listeners },
        playcount: if page == TrackPage::Unheard { 0 } else { listeners * dice.between(2, 14) + dice.between(0, 19) },
        tags: family.genres.iter().take(dice.below(4)).map(|genre| (*genre).to_owned()).collect(),
        score: Score::draw(&mut dice, family.style, family.bpm),
        deezer: dice.weighted(&DEEZER),
        itunes: dice.weighted(&ITUNES),
        spotify_preview: dice.happens(0.3),
        embed_preview: dice.happens(0.7),
        karaoke: dice.happens(0.1),
        artists: billed,
    }
}

/// No page of the artist, no page of the track: a client that gives up after the artist loses nothing.
fn page(dice: &mut Dice, artist: ArtistPage) -> TrackPage {
    let page = dice.weighted(&PAGES);
    if artist == ArtistPage::Found { page } else { TrackPage::Missing }
}
