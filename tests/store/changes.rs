//! Records to apply, by hand and by chance.

use proptest::prelude::*;
use reprise::mailbox::{Ledger, TopicPartition};
use reprise::records::{
    AlbumRow, ArtistListenersRow, ArtistNameRow, ArtistProfileRow, Features, MissRow, Row, SongAudioRow, SongListenersRow,
    SongRow, Topic, Version,
};
use reprise::store::{Advance, Change, Claim};

pub fn partition(partition: i32) -> TopicPartition {
    TopicPartition { topic: Topic::MusicTransformed, partition }
}

/// `row`, observed at `at`, of partition 0.
pub fn change(at: i64, row: Row) -> Change {
    let content = serde_json::to_vec(&row).expect("a row is JSON");
    Change { at: partition(0), version: Version::new(at, 1, &content), row }
}

/// From where `claim` stands to `to`.
pub fn advance(claim: &Claim, to: i64, consumed: u64) -> Advance {
    Advance { at: claim.at, epoch: claim.epoch, from: claim.next_offset, to, counts: Ledger { consumed, ..Ledger::default() } }
}

pub fn artist(id: &str, name: &str) -> Row {
    Row::ArtistName(ArtistNameRow { artist_id: id.into(), artist_name: name.into() })
}

pub fn profile(id: &str, name: &str, genres: Option<&[&str]>) -> Row {
    Row::ArtistProfile(ArtistProfileRow {
        artist_id: id.into(),
        artist_name: name.into(),
        artist_popularity: Some(50),
        artist_followers: Some(1_000),
        genres: genres.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
    })
}

pub fn listeners(id: &str, listeners: Option<i64>, tags: &[&str]) -> Row {
    Row::ArtistListeners(ArtistListenersRow {
        artist_id: id.into(),
        on_tour: Some(true),
        total_listeners: listeners,
        total_playcount: listeners.map(|listeners| listeners * 3),
        plays_per_listener: listeners.map(|_| 3.0),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        match_score: 0.9,
        match_quality: "high".into(),
    })
}

pub fn album(id: &str, title: &str, artist: Option<&str>) -> Row {
    Row::Album(AlbumRow {
        album_id: id.into(),
        album_title: title.into(),
        artist_id: artist.map(str::to_owned),
        album_type: Some("album".into()),
        album_total_tracks: Some(12),
    })
}

pub fn song(id: &str, name: &str, artist: &str, album: Option<&str>) -> Row {
    Row::Song(SongRow {
        song_id: id.into(),
        song_name: name.into(),
        artist_id: artist.into(),
        album_id: album.map(str::to_owned),
        duration_ms: Some(181_500),
        duration_seconds: Some(181),
        duration_minutes: Some(3.025),
        release_date: Some("1997-05-21".into()),
        release_date_precision: Some("day".into()),
        is_explicit: Some(false),
        popularity: Some(77),
        track_number: Some(6),
        is_playable: None,
        isrc: Some("GBAYE9700123".into()),
    })
}

pub fn song_listeners(id: &str, listeners: Option<i32>) -> Row {
    Row::SongListeners(SongListenersRow {
        song_id: id.into(),
        song_listeners: listeners,
        mbid: None,
        engagement_ratio: listeners.map(|_| 4.1),
        match_score: 1.0,
        match_quality: "exact".into(),
    })
}

pub fn audio(id: &str, bpm: Option<f64>, features_version: i32) -> Row {
    Row::SongAudio(SongAudioRow {
        song_id: id.into(),
        preview_url: "deezer:track:1".into(),
        provider: "deezer".into(),
        clip_sha256: "00ff".into(),
        features_version,
        danceability: Some(0.1 + 0.2),
        features: Box::new(Features {
            duration_s: 29.9,
            bpm,
            energy: Some(0.25),
            harmonic_ratio: Some(0.75),
            percussive_ratio: Some(0.25),
            key: Some("A".into()),
            mode: Some("minor".into()),
            loudness_lufs: Some(-0.0),
            mfcc: vec![-311.5, 1e-7, 0.1],
            ..Features::default()
        }),
    })
}

pub fn miss(entity: &str, id: &str, source: &str, features_version: i32) -> Row {
    Row::Miss(MissRow {
        entity: entity.into(),
        entity_id: id.into(),
        source: source.into(),
        reason: "no_match".into(),
        features_version,
    })
}

/// One record of every kind, children first.
pub fn one_of_each() -> Vec<Change> {
    vec![
        change(7, audio("s1", Some(123.4), 2)),
        change(6, song_listeners("s1", Some(1_000))),
        change(5, song("s1", "Paranoid Android", "a1", Some("b1"))),
        change(5, album("b1", "OK Computer", Some("a1"))),
        change(5, artist("a1", "Radiohead")),
        change(8, profile("a1", "Radiohead", Some(&["art rock", "alternative"]))),
        change(9, listeners("a1", Some(5_000_000), &["rock", "electronic"])),
        change(9, miss("song", "s2", "audio", 2)),
    ]
}

fn id(kind: &'static str) -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(move |number| format!("{kind}{number}"))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("Björk".to_owned()), Just("björk".to_owned()), Just("e\u{301}".to_owned()), Just("\"\\?{x}".to_owned())]
}

fn names() -> impl Strategy<Value = Vec<String>> {
    let name = prop_oneof![Just("rock"), Just("ärger"), Just("zydeco"), Just("Pop")].prop_map(str::to_owned);
    proptest::collection::vec(name, 0..3)
}

fn number() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(prop_oneof![
        Just(0.1 + 0.2),
        Just(1.0 / 3.0),
        Just(-0.0),
        Just(5e-324),
        Just(1.797_693_134_862_315_7e308),
        proptest::num::f64::POSITIVE | proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL,
    ])
}

fn row() -> impl Strategy<Value = Row> {
    let optional = |kind| proptest::option::of(id(kind));
    prop_oneof![
        (id("a"), name()).prop_map(|(id, name)| artist(&id, &name)),
        (id("a"), name(), proptest::option::of(names())).prop_map(|(id, name, genres)| {
            let genres: Option<Vec<&str>> = genres.as_ref().map(|names| names.iter().map(String::as_str).collect());
            profile(&id, &name, genres.as_deref())
        }),
        (id("a"), proptest::option::of(0..3_i64), names(), number()).prop_map(|(id, count, tags, ratio)| {
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            match listeners(&id, count, &tags) {
                Row::ArtistListeners(row) => Row::ArtistListeners(ArtistListenersRow { plays_per_listener: ratio, ..row }),
                row => row,
            }
        }),
        (id("b"), name(), optional("a")).prop_map(|(id, title, artist)| album(&id, &title, artist.as_deref())),
        (id("s"), name(), id("a"), optional("b")).prop_map(|(id, name, by, on)| song(&id, &name, &by, on.as_deref())),
        (id("s"), proptest::option::of(0..3_i32)).prop_map(|(id, count)| song_listeners(&id, count)),
        (id("s"), proptest::option::of(30.0..300.0), 1..3_i32, number()).prop_map(|(id, bpm, version, real)| {
            match audio(&id, bpm, version) {
                Row::SongAudio(mut row) => {
                    row.features.onset_rate = real;
                    Row::SongAudio(row)
                }
                row => row,
            }
        }),
        (id("s"), 1..3_i32).prop_map(|(id, version)| miss("song", &id, "audio", version)),
    ]
}

/// Few ids and few times, so that versions collide and only the tie-break decides.
pub fn set_of_changes() -> impl Strategy<Value = Vec<Change>> {
    proptest::collection::vec((0..4_i64, row()).prop_map(|(at, row)| change(at, row)), 1..24)
}
