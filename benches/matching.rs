//! How fast names and tracks are compared, beside `strsim` alone on the same names.
//!
//! `artists/prepared` and `tracks/full` are the figures of the README: names normalised before, as a catalogue keeps them,
//! and two records from raw text to verdict. The pairs are those of the tests, so that equal, similar and different names
//! occur as they do in use.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reprise::matching::{Artist, Matcher, Track, TrackQuery, normalise};
use std::hint::black_box;

fn rows(text: &'static str) -> Vec<Vec<&'static str>> {
    text.lines().skip(1).map(|line| line.split('\t').collect()).collect()
}

fn side(row: &[&'static str]) -> TrackQuery<'static> {
    let album = Some(row[2]).filter(|album| !album.is_empty());
    TrackQuery { artist: row[0], title: row[1], album, duration_s: row[3].parse().ok(), ..TrackQuery::default() }
}

fn artists(criterion: &mut Criterion) {
    let names = rows(include_str!("../tests/matching_fixtures/artists.tsv"));
    let keys: Vec<(String, String)> = names.iter().map(|row| (normalise(row[0]), normalise(row[1]))).collect();
    let prepared: Vec<(Artist, Artist)> = names.iter().map(|row| (Artist::new(row[0]), Artist::new(row[1]))).collect();
    let matcher = Matcher::default();
    let mut group = criterion.benchmark_group("artists");
    group.throughput(Throughput::Elements(names.len() as u64));
    group.bench_function("strsim", |bench| {
        bench.iter(|| keys.iter().map(|(a, b)| strsim::normalized_levenshtein(black_box(a), black_box(b))).sum::<f64>())
    });
    group.bench_function("prepared", |bench| {
        bench.iter(|| prepared.iter().map(|(a, b)| matcher.compare_artists(black_box(a), black_box(b)).score).sum::<f64>())
    });
    group.bench_function("full", |bench| {
        bench.iter(|| names.iter().map(|row| matcher.artist(black_box(row[0]), black_box(row[1])).score).sum::<f64>())
    });
    group.finish();
}

fn tracks(criterion: &mut Criterion) {
    let records = rows(include_str!("../tests/matching_fixtures/tracks.tsv"));
    let queries: Vec<_> = records.iter().map(|row| (side(&row[..4]), side(&row[4..]))).collect();
    let prepared: Vec<(Track, Track)> = queries.iter().map(|(a, b)| (Track::new(a), Track::new(b))).collect();
    let matcher = Matcher::default();
    let mut group = criterion.benchmark_group("tracks");
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("strsim", |bench| {
        let both = |a: &str, b: &str| strsim::normalized_levenshtein(black_box(a), black_box(b));
        bench.iter(|| queries.iter().map(|(a, b)| both(a.artist, b.artist) + both(a.title, b.title)).sum::<f64>())
    });
    group.bench_function("prepared", |bench| {
        bench.iter(|| prepared.iter().map(|(a, b)| matcher.compare_tracks(black_box(a), black_box(b)).score).sum::<f64>())
    });
    group.bench_function("full", |bench| {
        bench.iter(|| queries.iter().map(|(a, b)| matcher.track(black_box(a), black_box(b)).score).sum::<f64>())
    });
    group.finish();
}

criterion_group!(benches, artists, tracks);
criterion_main!(benches);
