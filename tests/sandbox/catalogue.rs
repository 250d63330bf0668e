use std::collections::{BTreeSet, HashSet};

use reprise::sandbox::catalogue::{Catalogue, Size};

use super::SMALL;

const SIZE: Size = Size { artists: 200, tracks: 900 };

#[test]
fn a_seed_gives_one_catalogue_and_another_seed_another() {
    let print = |seed| {
        let catalogue = Catalogue::build(seed, SIZE);
        format!("{:?}{:?}{:?}{:?}", catalogue.artists, catalogue.recordings, catalogue.albums, catalogue.tracks)
    };
    assert_eq!(print(7), print(7));
    assert_ne!(print(7), print(8));
}

#[test]
fn size_is_kept_and_ids_are_unique() {
    let catalogue = Catalogue::build(1, SIZE);
    assert_eq!(catalogue.tracks.len(), SIZE.tracks);
    assert_eq!(catalogue.artists.len(), SIZE.artists + 1, "and Various Artists");
    let tracks: HashSet<&str> = catalogue.tracks.iter().map(|track| track.id.as_str()).collect();
    let deezer: HashSet<u64> = catalogue.tracks.iter().map(|track| track.deezer_id).collect();
    let itunes: HashSet<u64> = catalogue.tracks.iter().map(|track| track.itunes_id).collect();
    let artists: HashSet<&str> = catalogue.artists.iter().map(|artist| artist.id.as_str()).collect();
    let albums: HashSet<&str> = catalogue.albums.iter().map(|album| album.id.as_str()).collect();
    assert_eq!((tracks.len(), deezer.len(), itunes.len()), (SIZE.tracks, SIZE.tracks, SIZE.tracks));
    assert_eq!((artists.len(), albums.len()), (catalogue.artists.len(), catalogue.albums.len()));
    for isrc in catalogue.tracks.iter().filter_map(|track| track.isrc.as_ref()) {
        assert!(isrc.len() == 12 && isrc.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{isrc}");
    }
}

#[test]
fn every_released_title_leads_to_its_recording_on_lastfm() {
    let catalogue = &SMALL.world().catalogue;
    for track in &catalogue.tracks {
        let recording = catalogue.recording(track);
        let artist = &catalogue.primary(recording).name;
        let found = catalogue.recording_of(artist, &track.title).map(|found| &found.title);
        assert_eq!(found, Some(&recording.title), "{artist}: {}", track.title);
    }
}

#[test]
fn names_and_facts_are_as_hard_as_outside() {
    let catalogue = Catalogue::build(1, Size { artists: 2_000, tracks: 10_000 });
    let has = |what: &str, test: &dyn Fn(&str) -> bool| {
        let count = catalogue.artists.iter().filter(|artist| test(&artist.name)).count();
        assert!(count >= 5, "{what}: {count} artists");
    };
    let within = |low: u32, high: u32| move |name: &str| name.chars().any(|c| (low..=high).contains(&u32::from(c)));
    has("kanji", &within(0x4e00, 0x9fff));
    has("kana", &within(0x3040, 0x30ff));
    has("hangul", &within(0xac00, 0xd7af));
    has("cyrillic", &within(0x400, 0x4ff));
    has("hebrew or arabic", &within(0x590, 0x6ff));
    has("emoji", &within(0x1f300, 0x1faff));
    has("decomposed accents", &within(0x301, 0x301));
    has("a slash", &|name| name.contains('/'));
    has("a plus", &|name| name.contains('+'));
    let titles = |mark: &str| catalogue.tracks.iter().filter(|track| track.title.contains(mark)).count();
    for mark in ["feat.", "Remaster", "Live", "Remix", " / ", "100%", "\""] {
        assert!(titles(mark) >= 10, "{mark}: {}", titles(mark));
    }
    let compilations = catalogue.albums.iter().filter(|album| album.kind == "compilation").count();
    assert!(compilations >= 10, "{compilations} compilations");
    let precisions: BTreeSet<&str> = catalogue.albums.iter().map(|album| album.precision).collect();
    assert_eq!(precisions, BTreeSet::from(["day", "month", "year"]));
}
