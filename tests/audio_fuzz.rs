//! No bytes make the analysis panic, hang or eat memory: mutated headers of every container it reads.
//!
//! A few hundred inputs in the normal run; `REPRISE_FUZZ_CASES=100000` for the long one.

mod audio_signals;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use audio_signals::{RATE, mp4, sine, vorbis, wav};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reprise::dsp::{Analyzer, Limits};

/// Heads of real containers, as their specifications write them, with a little content.
fn seeds() -> Vec<Vec<u8>> {
    let tone = sine(440.0, 0.5, 0.3, 8_000);
    let mut seeds = vec![wav(&[&tone], 8_000), wav(&[&tone, &tone], 8_000)];
    // MPEG 1 layer III, 128 kbit/s, 44.1 kHz: silent frames of 417 bytes; then the same behind an ID3v2 tag.
    let frame = [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat();
    seeds.push(frame.repeat(20));
    seeds.push([b"ID3\x04\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0".as_slice(), &frame.repeat(20)].concat());
    // AAC in ADTS: 44.1 kHz, stereo, frames of 64 bytes.
    seeds.push([&[0xff, 0xf1, 0x50, 0x80, 0x08, 0x1f, 0xfc][..], &[0x21; 57]].concat().repeat(20));
    // FLAC: marker, STREAMINFO (4096 samples a block, 44.1 kHz, stereo, 16 bits), a frame header.
    let mut flac = b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0\0\0\x10\0".to_vec();
    flac.extend([0; 16]);
    flac.extend(b"\xff\xf8\xc9\x18\0\xc2\0\0\0\0");
    flac.extend([0x55; 400]);
    seeds.push(flac);
    // Ogg page with a Vorbis identification header.
    let mut ogg = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x1e".to_vec();
    ogg.extend(b"\x01vorbis\0\0\0\0\x02\x44\xac\0\0\0\0\0\0\0\xee\x02\0\0\0\0\0\xb8\x01");
    ogg.extend(ogg.clone());
    seeds.push(ogg);
    // MP4: file type, then a movie box with an empty track.
    seeds.push(b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom\0\0\0\x20moov\0\0\0\x18trak\0\0\0\x10mdia\0\0\0\x08minf".to_vec());
    seeds.push(mp4(&tone, 8_000));
    seeds.push(vorbis(2, 20, RATE));
    seeds
}

#[derive(Debug, Clone)]
enum Mutation {
    Set(usize, u8),
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Fill(usize, u32),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Most of what matters is in the first bytes.
    let place = prop_oneof![4 => 0usize..128, 1 => 0usize..4_096];
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, to)| Mutation::Set(at, to)),
        (place.clone(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        place.clone().prop_map(Mutation::Cut),
        (place.clone(), 1usize..64).prop_map(|(at, len)| Mutation::Remove(at, len)),
        (place.clone(), 1usize..64).prop_map(|(at, len)| Mutation::Repeat(at, len)),
        (place, prop_oneof![Just(0), Just(u32::MAX), Just(0x7fff_ffff), any::<u32>()])
            .prop_map(|(at, to)| Mutation::Fill(at, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let len = bytes.len();
    if len == 0 {
        return;
    }
    match *mutation {
        Mutation::Set(at, to) => bytes[at % len] = to,
        Mutation::Flip(at, bit) => bytes[at % len] ^= 1 << bit,
        Mutation::Cut(at) => bytes.truncate(at % len),
        Mutation::Remove(at, count) => drop(bytes.drain(at % len..(at % len + count).min(len))),
        Mutation::Repeat(at, count) => {
            let piece = bytes[at % len..(at % len + count).min(len)].to_vec();
            bytes.splice(at % len..at % len, piece);
        }
        Mutation::Fill(at, to) => bytes.iter_mut().skip(at % len).zip(to.to_be_bytes()).for_each(|(byte, to)| *byte = to),
    }
}

#[test]
fn mutated_clips_end_in_values_or_an_error() {
    let cases = std::env::var("REPRISE_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let (seeds, analyzer) = (seeds(), RefCell::new(Analyzer::new()));
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let inputs = (0..seeds.len(), proptest::collection::vec(mutation(), 0..6));
    let outcome = runner.run(&inputs, |(seed, mutations)| {
        let mut clip = seeds[seed].clone();
        mutations.iter().for_each(|mutation| apply(&mut clip, mutation));
        let limits = Limits { max_seconds: 2.0, ..Limits::default() };
        let start = Instant::now();
        if let Ok(analysis) = analyzer.borrow_mut().analyze_bytes(clip, None, &limits) {
            prop_assert!(analysis.energy.is_some_and(|energy| energy.is_finite() && energy >= 0.0));
            prop_assert!(analysis.bpm.is_none_or(|bpm| (45.0..=249.0).contains(&bpm)));
            prop_assert!(analysis.mfcc.iter().chain(&analysis.chroma).all(|x| x.is_finite()));
        }
        prop_assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
