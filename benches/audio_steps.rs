//! What each step of the audio analysis costs, and the whole beside its floor (decoding and resampling).
//!
//! A synthesised WAV is analysed, so that the benchmark runs anywhere. `REPRISE_BENCH_CLIP=FILE` takes a real clip: with an MP3
//! the floor is what decoding costs.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use reprise::dsp::steps::Steps;
use reprise::dsp::{Analyzer, Limits};

/// 30 s of stereo at 44.1 kHz: a chord, a bass, and noise bursts at 120 BPM.
fn synthesised() -> Vec<u8> {
    let (rate, seconds) = (44_100u32, 30u32);
    let mut noise = 1u32;
    let mut data = Vec::new();
    for i in 0..rate * seconds {
        let t = f64::from(i) / f64::from(rate);
        let tone: f64 = [110.0, 220.0, 277.18, 329.63].iter().map(|hz| (t * hz * std::f64::consts::TAU).sin()).sum();
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from(noise) / f64::from(u32::MAX) - 0.5;
        let sample = ((0.1 * tone + hiss * (-30.0 * (t % 0.5)).exp()) * 20_000.0) as i16;
        data.extend_from_slice(&sample.to_le_bytes());
        data.extend_from_slice(&sample.to_le_bytes());
    }
    let mut wav = b"RIFF".to_vec();
    wav.extend_from_slice(&(36 + data.len() as u32).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x02\0");
    wav.extend_from_slice(&rate.to_le_bytes());
    wav.extend_from_slice(&(rate * 4).to_le_bytes());
    wav.extend_from_slice(b"\x04\0\x10\0data");
    wav.extend_from_slice(&(data.len() as u32).to_le_bytes());
    wav.extend_from_slice(&data);
    wav
}

fn clip() -> Vec<u8> {
    match std::env::var_os("REPRISE_BENCH_CLIP") {
        Some(path) => std::fs::read(&path).unwrap_or_else(|error| panic!("REPRISE_BENCH_CLIP: {}: {error}", path.display())),
        None => synthesised(),
    }
}

fn steps(criterion: &mut Criterion) {
    let clip = clip();
    let mut steps = Steps::new(clip.clone()).expect("the clip of the benchmark decodes");
    let mut group = criterion.benchmark_group("audio");
    group.sample_size(10);
    group.bench_function("decode_and_loudness", |b| b.iter(|| black_box(steps.decode())));
    group.bench_function("resample", |b| b.iter(|| steps.resample()));
    group.bench_function("floor", |b| {
        b.iter(|| {
            let _ = black_box(steps.decode());
            steps.resample();
        })
    });
    group.bench_function("stft", |b| b.iter(|| steps.stft()));
    group.bench_function("level", |b| b.iter(|| black_box(steps.level())));
    group.bench_function("shape", |b| b.iter(|| black_box(steps.shape())));
    group.bench_function("contrast", |b| b.iter(|| black_box(steps.contrast())));
    group.bench_function("mel", |b| b.iter(|| steps.mel()));
    group.bench_function("chroma_and_key", |b| b.iter(|| black_box(steps.chroma_and_key())));
    group.bench_function("reference_tempo", |b| b.iter(|| black_box(steps.reference_tempo())));
    group.bench_function("tempo", |b| b.iter(|| black_box(steps.tempo())));
    group.bench_function("separation", |b| b.iter(|| black_box(steps.separation())));
    let mut analyzer = Analyzer::new();
    let limits = Limits::default();
    group.bench_function("whole", |b| b.iter(|| black_box(analyzer.analyze_bytes(clip.clone(), None, &limits))));
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
