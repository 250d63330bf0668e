//! The artists of a catalogue, and what Last.fm has on them.

use std::collections::{HashMap, HashSet};

use super::super::chance::{self, Dice};
use super::super::{fold, names};
use super::{Artist, ArtistPage, FAMILIES};

const PAGES: [(u32, ArtistPage); 5] = [
    (90, ArtistPage::Found),
    (4, ArtistPage::Missing),
    (2, ArtistPage::Unknown),
    (2, ArtistPage::IncorrectTag),
    (2, ArtistPage::Other),
];

/// How many artists of a hundred have a name that is nearly somebody else's.
const NEAR_SHARE: f64 = 0.06;
/// Tags that are not genres.
const LOOSE_TAGS: [&str; 6] = ["seen live", "female vocalists", "instrumental", "beautiful", "00s", "chillout"];

/// Makes `count` artists and "Various Artists" behind them.
pub(super) fn make(seed: u64, count: usize) -> Vec<Artist> {
    let mut artists: Vec<Artist> = Vec::with_capacity(count + 1);
    let mut first_of_key: HashMap<String, usize> = HashMap::new();
    let mut taken = HashSet::new();
    for index in 0..count.max(1) {
        let mut dice = Dice::new(seed, &["artist", &index.to_string()]);
        let name = name(&mut dice, &artists, &taken);
        taken.insert(name.clone());
        let mut artist = make_one(seed, index, name, &mut dice);
        // Last.fm has one page for names that differ in case and accents only.
        match first_of_key.get(&fold::name_key(&artist.name)) {
            Some(first) => share_page(&mut artist, &artists[*first]),
            None => {
                first_of_key.insert(fold::name_key(&artist.name), index);
            }
        }
        artists.push(artist);
    }
    artists.push(various(seed));
    artists
}

fn name(dice: &mut Dice, before: &[Artist], taken: &HashSet<String>) -> String {
    for _ in 0..8 {
        let name = if !before.is_empty() && dice.happens(NEAR_SHARE) {
            let model = dice.pick(before).name.clone();
            names::near(dice, &model)
        } else {
            names::artist(dice)
        };
        if !taken.contains(&name) {
            return name;
        }
    }
    // The word lists are finite, the catalogue is not.
    format!("{} {}", names::artist(dice), before.len())
}

fn make_one(seed: u64, index: usize, name: String, dice: &mut Dice) -> Artist {
    let tag = index.to_string();
    let weights: Vec<(u32, usize)> = FAMILIES.iter().enumerate().map(|(family, entry)| (entry.weight, family)).collect();
    let family = dice.weighted(&weights);
    let genres = if dice.happens(0.2) { Vec::new() } else { some_genres(dice, family) };
    // Fame falls with the rank, as it does outside.
    let fame = 1.0 / (1.0 + index as f64 / 40.0) * (0.5 + dice.unit());
    let listeners = 40 + (fame * 3_000_000.0) as i64;
    let page = dice.weighted(&PAGES);
    let known = dice.happens(0.75);
    Artist {
        id: chance::base62_id(seed, &["artist-id", &tag]),
        family,
        genres,
        popularity: ((fame * 70.0) as i64 + dice.between(3, 25)).clamp(0, 100),
        followers: (!dice.happens(0.005)).then(|| 10 + (fame * 5_000_000.0) as i64),
        pictured: !dice.happens(0.05),
        page,
        lastfm_name: lastfm_name(dice, &name),
        mbid: known.then(|| chance::uuid(seed, &["artist-mbid", &tag])),
        listeners,
        playcount: listeners * dice.between(3, 60) + dice.between(0, 99),
        on_tour: dice.happens(0.1),
        tags: tags(dice, family),
        has_bio: dice.happens(0.7),
        name,
    }
}

fn some_genres(dice: &mut Dice, family: usize) -> Vec<String> {
    let all = FAMILIES[family].genres;
    let mut genres = vec![all[0].to_owned()];
    for genre in &all[1..] {
        if dice.happens(0.3) {
            genres.push((*genre).to_owned());
        }
    }
    genres
}

fn tags(dice: &mut Dice, family: usize) -> Vec<String> {
    let all = FAMILIES[family].genres;
    // None gives `""`, one collapses to an object.
    match dice.below(10) {
        0 => Vec::new(),
        1 | 2 => vec![all[0].to_owned()],
        _ => {
            let mut tags: Vec<String> = all.iter().map(|genre| (*genre).to_owned()).collect();
            // Tags are written as people please.
            tags[0] = if dice.happens(0.3) { capitalised(all[0]) } else { tags[0].clone() };
            tags.push((*dice.pick(&LOOSE_TAGS)).to_owned());
            tags.truncate(5);
            tags
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Last.fm's spelling: mostly the same, else another case or one accent more.
fn lastfm_name(dice: &mut Dice, name: &str) -> String {
    if !dice.happens(0.07) || !name.is_ascii() {
        return name.to_owned();
    }
    let accented = name.replacen('a', "á", 1).replacen('o', "ö", 1);
    if accented == name { name.to_lowercase() } else { accented }
}

fn share_page(artist: &mut Artist, first: &Artist) {
    let own = (artist.id.clone(), artist.name.clone(), artist.genres.clone(), artist.family);
    let (popularity, followers, pictured) = (artist.popularity, artist.followers, artist.pictured);
    *artist = first.clone();
    (artist.id, artist.name, artist.genres, artist.family) = own;
    (artist.popularity, artist.followers, artist.pictured) = (popularity, followers, pictured);
}

fn various(seed: u64) -> Artist {
    Artist {
        id: chance::base62_id(seed, &["various-artists"]),
        name: "Various Artists".to_owned(),
        family: 0,
        genres: Vec::new(),
        popularity: 0,
        followers: Some(2_000_000),
        pictured: true,
        page: ArtistPage::Found,
        lastfm_name: "Various Artists".to_owned(),
        mbid: Some(chance::uuid(seed, &["various-artists"])),
        listeners: 1_500_000,
        playcount: 31_000_000,
        on_tour: false,
        tags: Vec::new(),
        has_bio: false,
    }
}
