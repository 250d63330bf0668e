use std::io::Cursor;
use std::time::Instant;

use reprise::sandbox::catalogue::{Catalogue, Size};
use reprise::sandbox::clips::{SAMPLE_RATE, encode, render};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// Decodes with the decoder that the pipeline uses.
fn decode(file: Vec<u8>) -> (Option<u32>, Vec<i16>) {
    let source = MediaSourceStream::new(Box::new(Cursor::new(file)), Default::default());
    let probed =
        symphonia::default::get_probe().probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default());
    let mut format = probed.expect("a format");
    let track = format.default_track(TrackType::Audio).expect("an audio track");
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio()).expect("parameters").clone();
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(&parameters, &AudioDecoderOptions::default()).expect("a codec");
    let mut samples = Vec::new();
    while let Some(packet) = format.next_packet().expect("a packet") {
        let buffer = decoder.decode(&packet).expect("a frame");
        let mut part = vec![0_i16; buffer.samples_interleaved()];
        buffer.copy_to_slice_interleaved(&mut part);
        samples.extend(part);
    }
    (parameters.sample_rate, samples)
}

#[test]
fn a_clip_of_every_style_decodes_to_the_very_samples_and_is_small() {
    let catalogue = Catalogue::build(3, Size { artists: 150, tracks: 400 });
    let mut styles = std::collections::BTreeSet::new();
    for recording in &catalogue.recordings {
        if !styles.insert(format!("{:?}", recording.score.style)) {
            continue;
        }
        let samples = render(&recording.score);
        assert_eq!(samples.len(), 30 * SAMPLE_RATE as usize);
        let file = encode(&samples, SAMPLE_RATE, "a clip");
        println!("{:?}: {} bytes", recording.score.style, file.len());
        assert!(file.len() < 1_300_000, "{:?}: {} bytes", recording.score.style, file.len());
        assert!(decode(file) == (Some(SAMPLE_RATE), samples), "{:?} decodes to something else", recording.score.style);
    }
    assert!(styles.len() >= 10, "{styles:?}");
}

#[test]
fn four_bars_repeat_at_the_tempo_of_the_score() {
    let catalogue = Catalogue::build(3, Size { artists: 40, tracks: 60 });
    for recording in catalogue.recordings.iter().take(10) {
        let score = &recording.score;
        let beats = (4 * score.beats_a_bar()) as f64;
        let bars = (beats * 60.0 / score.bpm * f64::from(SAMPLE_RATE)).round() as usize;
        let samples = render(score);
        assert!(samples[..bars] == samples[bars..2 * bars], "{score:?}");
        assert!(samples.iter().any(|sample| sample.unsigned_abs() > 20_000), "{score:?} is quiet");
    }
}

#[test]
fn odd_sounds_survive_encoding() {
    let noise = |count: u32| (0..count).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as u16 as i16).collect::<Vec<i16>>();
    let square: Vec<i16> = (0..9_000).map(|n| if n / 50 % 2 == 0 { i16::MIN } else { i16::MAX }).collect();
    for samples in [vec![0; 10_000], noise(8_192), noise(4_097 + 16), square] {
        assert!(decode(encode(&samples, SAMPLE_RATE, "odd")).1 == samples, "{} samples", samples.len());
    }
}

#[test]
fn a_clip_costs_little() {
    let catalogue = Catalogue::build(3, Size { artists: 40, tracks: 60 });
    let started = Instant::now();
    for recording in catalogue.recordings.iter().take(20) {
        encode(&render(&recording.score), SAMPLE_RATE, "a clip");
    }
    let each = started.elapsed() / 20;
    println!("{each:?} a clip");
    assert!(each.as_millis() < 500, "{each:?} a clip, unoptimised and on a busy machine");
}
