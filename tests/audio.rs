//! What the audio analysis promises, on sounds whose features are known because they are made here.

mod audio_signals;

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use audio_signals::{RATE, chord, clicks, mix, noise, sine, wav};
use proptest::prelude::*;
use reprise::dsp::{Analysis, AnalyzeError, Analyzer, Limits, danceability};
use reprise::sandbox::clips::{Mode, SAMPLE_RATE, Score, Style, render};

fn analyze(channels: &[&[f32]], rate: u32) -> Analysis {
    let clip = wav(channels, rate);
    Analyzer::new().analyze_bytes(clip, Some("wav"), &Limits::default()).expect("a WAV is analysed")
}

fn refused(clip: Vec<u8>) -> AnalyzeError {
    Analyzer::new().analyze_bytes(clip, Some("mp3"), &Limits::default()).expect_err("no clip, no features")
}

fn near(value: Option<f64>, expected: f64, tolerance: f64) {
    let value = value.expect("defined");
    assert!((value - expected).abs() <= tolerance, "{value} is not within {tolerance} of {expected}");
}

#[test]
fn a_sine_has_its_own_level_crossings_and_centre() {
    let a = analyze(&[&sine(441.0, 0.5, 10.0, RATE)], RATE);
    // Half of the first and last frames is silence: 433 frames, two of them at 1/sqrt(2), two at sqrt(3)/2.
    near(a.energy, 0.5 / 2f64.sqrt(), 0.001);
    near(a.zero_crossing_rate, 2.0 * 441.0 / 22_050.0, 0.000_4);
    near(a.spectral_centroid, 441.0, 12.0);
    near(a.harmonic_ratio, 1.0, 0.001);
    assert!(a.spectral_flatness.expect("defined") < 1e-4);
    assert_eq!(a.duration_s, 10.0);
    assert_eq!((a.sample_rate, a.channels), (RATE, 1));
}

#[test]
fn noise_is_flat_and_a_tone_is_not() {
    let a = analyze(&[&noise(0.3, 5.0, 22_050)], 22_050);
    near(a.spectral_centroid, 5_512.0, 60.0);
    near(a.zero_crossing_rate, 0.5, 0.01);
    near(a.spectral_rolloff, 0.85 * 11_025.0, 80.0);
    assert!(a.spectral_flatness.expect("defined") > 0.5);
}

#[test]
fn loudness_of_the_standard_tone_is_the_standards() {
    // EBU Tech 3341, test 1: a stereo sine of 1 kHz at -23 dBFS has -23 LUFS.
    let tone = sine(1_000.0, 10f32.powf(-23.0 / 20.0), 20.0, 48_000);
    let a = analyze(&[&tone, &tone], 48_000);
    near(a.loudness_lufs, -23.0, 0.1);
    near(a.loudness_range_lu, 0.0, 0.1);
}

#[test]
fn loudness_ends_at_the_gates() {
    // EBU Tech 3341, tests 3 and 4: what is 10 LU fainter than the rest, and -72 dBFS, do not count.
    let part = |dbfs: f64, seconds: f64| sine(1_000.0, 10f64.powf(dbfs / 20.0) as f32, seconds, 48_000);
    let tone = [part(-72.0, 3.0), part(-36.0, 4.0), part(-23.0, 16.0), part(-36.0, 4.0), part(-72.0, 3.0)].concat();
    near(analyze(&[&tone, &tone], 48_000).loudness_lufs, -23.0, 0.1);
}

#[test]
fn loudness_weighs_frequencies_as_the_standard_at_every_rate() {
    // Gain of the K-weighting of BS.1770-4, whose coefficients at 48 kHz define it, relative to 1 kHz.
    for (hz, gain_db) in [(50.0, -4.63), (100.0, -1.83), (500.0, -0.66), (2_000.0, 2.37), (5_000.0, 3.32), (10_000.0, 3.34)] {
        for rate in [44_100, 48_000] {
            let loudness = |hz| analyze(&[&sine(hz, 0.1, 5.0, rate)], rate).loudness_lufs;
            near(loudness(hz), loudness(1_000.0).expect("defined") + gain_db, 0.1);
        }
    }
}

#[test]
fn loudness_range_of_two_levels_is_their_difference() {
    // EBU Tech 3342, test 1: 20 s at -20 dBFS, then 20 s at -30 dBFS, has 10 LU; the first 15 s of each here.
    let mut tone = sine(1_000.0, 0.1, 15.0, 48_000);
    tone.extend(sine(1_000.0, 10f32.powf(-30.0 / 20.0), 15.0, 48_000));
    near(analyze(&[&tone, &tone], 48_000).loudness_range_lu, 10.0, 1.0);
}

#[test]
fn click_tracks_have_their_tempo_at_any_sample_rate() {
    for (bpm, rate) in [(90.0, RATE), (120.0, 48_000), (133.7, RATE), (100.0, 8_000)] {
        let a = analyze(&[&clicks(bpm, 20.0, rate)], rate);
        near(a.bpm, bpm, 0.005 * bpm);
        assert!(a.beat_regularity.expect("defined") > 0.8, "{bpm} BPM");
        assert!(a.percussive_ratio.expect("defined") > 0.9);
        near(a.onset_rate, bpm / 60.0, 0.2);
    }
}

#[test]
fn the_beat_is_neither_doubled_nor_halved_where_a_dance_style_makes_it_plain() {
    // House has hi-hats between its kicks, hip hop is slow, and a waltz has three beats a bar.
    let styles = [(Style::House, 118.0, 134.0), (Style::HipHop, 80.0, 104.0), (Style::Waltz, 84.0, 150.0)];
    for (style, low, high) in styles {
        for part in [0.0, 0.3, 0.7, 1.0] {
            let bpm = low + part * (high - low);
            let score = Score { style, bpm, tonic: 2, mode: Mode::Minor, variant: (part * 100.0) as u64 };
            let samples: Vec<f32> = render(&score).iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
            let a = analyze(&[&samples], SAMPLE_RATE);
            near(a.bpm, bpm, 0.02 * bpm);
        }
    }
}

#[test]
fn a_tempo_is_sure_only_where_there_is_a_pulse() {
    let confidence = |sound: &[f32]| analyze(&[sound], RATE).bpm_confidence.unwrap_or(0.0);
    // At these lengths, the rounding noise of the tone leaves one candidate, or two.
    for seconds in [8.0, 10.0] {
        let tone: Vec<f32> = sine(997.0, 0.5, seconds, RATE).iter().map(|x| (x * 32_767.0).round() / 32_768.0).collect();
        assert!(confidence(&tone) < 0.01, "{seconds} s of a tone: {}", confidence(&tone));
    }
    assert!(confidence(&clicks(120.0, 20.0, RATE)) > 0.8);
}

#[test]
fn the_reference_tempo_lies_on_its_grid() {
    // librosa's answers are 2583.98 / lag; 120 BPM is nearest to lag 22 (117.45) or 21 (123.05).
    let bpm = analyze(&[&clicks(120.0, 20.0, RATE)], RATE).bpm_reference.expect("defined");
    let lag = 60.0 * 22_050.0 / 512.0 / bpm;
    assert!((lag - lag.round()).abs() < 1e-9 && (21.0..=22.0).contains(&lag.round()), "lag {lag}");
}

#[test]
fn chords_have_their_key() {
    // I IV V I in D major; i iv v i in A minor.
    let d_major = [[2, 6, 9], [7, 11, 2], [9, 1, 4], [2, 6, 9]];
    let a_minor = [[9, 0, 4], [2, 5, 9], [4, 7, 11], [9, 0, 4]];
    for (chords, key, mode) in [(d_major, "D", "major"), (a_minor, "A", "minor")] {
        let sound: Vec<f32> = chords.iter().flat_map(|classes| chord(classes, 2.0, RATE)).collect();
        let a = analyze(&[&sound], RATE);
        assert_eq!((a.key, a.mode), (Some(key), Some(mode)));
        assert!(a.key_strength.expect("defined") > 0.5);
    }
}

#[test]
fn chroma_of_a_tone_is_its_pitch_class() {
    let a = analyze(&[&sine(440.0, 0.5, 5.0, RATE)], RATE);
    let strongest = (0..12).max_by(|&i, &j| a.chroma[i].total_cmp(&a.chroma[j]));
    assert_eq!(strongest, Some(9), "{:?}", a.chroma);
    assert_eq!((a.chroma.len(), a.mfcc.len(), a.spectral_contrast.len()), (12, 20, 7));
}

#[test]
fn resampling_keeps_what_the_lower_rate_can_hold_and_nothing_else() {
    for rate in [8_000, 11_025, 32_000, 44_100, 48_000, 96_000, 44_101] {
        near(analyze(&[&sine(1_000.0, 0.5, 3.0, rate)], rate).energy, 0.5 / 2f64.sqrt(), 0.004);
    }
    // 15 kHz is above what 22.05 kHz can hold: a naive decimation would fold it to 7 kHz.
    let folded = analyze(&[&sine(15_000.0, 0.5, 3.0, 44_100)], 44_100).energy.expect("defined");
    assert!(folded < 0.002, "{folded}");
}

/// RMS, zero-crossing rate, centroid, bandwidth, rolloff and flatness: relative differences from librosa 0.10.0's answers for the
/// same file.
fn differences(a: &Analysis, librosa: [f64; 6]) -> [f64; 6] {
    let ours =
        [a.energy, a.zero_crossing_rate, a.spectral_centroid, a.spectral_bandwidth, a.spectral_rolloff, a.spectral_flatness];
    std::array::from_fn(|place| (ours[place].expect("defined") / librosa[place] - 1.0).abs())
}

#[test]
fn noise_of_any_rate_has_the_references_features() {
    let librosa = [
        (44_100, [0.118_152_98, 0.476_363_43, 5_290.021_8, 3_044.522_8, 8_960.131_5, 0.398_430_23]),
        (48_000, [0.113_229_89, 0.477_433_89, 5_289.458_8, 3_045.222_6, 8_976.778_3, 0.394_948_96]),
        (88_200, [0.083_312_44, 0.476_934_34, 5_274.689_3, 3_042.911_7, 8_956.984_3, 0.393_423_08]),
        (96_000, [0.080_038_18, 0.478_808_59, 5_279.607_0, 3_042.537_1, 8_961.456_6, 0.390_574_43]),
        (176_400, [0.059_226_95, 0.476_667_67, 5_283.549_5, 3_051.876_0, 8_976.364_2, 0.391_857_20]),
        (192_000, [0.056_732_24, 0.477_610_43, 5_282.324_3, 3_051.031_2, 8_977.192_4, 0.387_507_80]),
    ];
    for (rate, librosa) in librosa {
        let found = differences(&analyze(&[&noise(0.3, 3.0, rate)], rate), librosa);
        assert!(found.iter().zip([1e-3, 1e-3, 3e-3, 5e-3, 5e-3, 5e-3]).all(|(found, most)| *found < most), "{rate}: {found:?}");
    }
}

#[test]
fn silence_beside_sound_has_the_references_crossings_and_spectrum() {
    // 0.9 s of tone and noise, 0.6 s of digital silence, and so on. Crossings and spectrum of what the reference's filter leaves in
    // the silence are a few per cent of the whole.
    let whole = mix(&sine(441.0, 0.5, 6.0, RATE), &noise(0.02, 6.0, RATE));
    let sound: Vec<f32> = whole.iter().enumerate().map(|(i, x)| if i % 66_150 < 39_690 { *x } else { 0.0 }).collect();
    let librosa = [0.218_184_95, 0.035_028_05, 1_252.208_4, 1_787.616_9, 3_127.635_4, 0.347_806_04];
    let found = differences(&analyze(&[&sound], RATE), librosa);
    assert!(found.iter().zip([1e-3, 3e-2, 1e-2, 1e-2, 1e-2, 1e-3]).all(|(found, most)| *found < most), "{found:?}");
}

#[test]
fn the_shares_add_up() {
    let sound = mix(&sine(440.0, 0.02, 10.0, RATE), &clicks(120.0, 10.0, RATE));
    let a = analyze(&[&sound], RATE);
    near(a.harmonic_ratio.zip(a.percussive_ratio).map(|(h, p)| h + p), 1.0, 1e-12);
    assert!((0.05..0.95).contains(&a.harmonic_ratio.expect("defined")));
}

#[test]
fn silence_has_no_tempo_key_loudness_or_shares_and_the_rest_is_zero() {
    let a = analyze(&[&vec![0.0; 10 * RATE as usize]], RATE);
    assert_eq!((a.bpm, a.bpm_confidence, a.bpm_reference, a.beat_regularity), (None, None, None, None));
    assert_eq!((a.harmonic_ratio, a.percussive_ratio, a.key, a.loudness_lufs, a.danceability), (None, None, None, None, None));
    assert_eq!((a.energy, a.zero_crossing_rate, a.spectral_centroid), (Some(0.0), Some(0.0), Some(0.0)));
    near(a.spectral_flatness, 1.0, 1e-5);
}

#[test]
fn antiphase_stereo_is_silent_in_mono_but_loud_in_the_room() {
    let left = sine(440.0, 0.5, 5.0, RATE);
    let right: Vec<f32> = left.iter().map(|x| -x).collect();
    let a = analyze(&[&left, &right], RATE);
    assert_eq!(a.energy, Some(0.0));
    assert!(a.loudness_lufs.expect("defined") > -20.0);
}

#[test]
fn six_channels_count_the_same_in_the_mix() {
    let (tone, none) = (sine(440.0, 0.6, 5.0, 48_000), vec![0.0; 5 * 48_000]);
    let a = analyze(&[&none, &none, &none, &tone, &none, &none], 48_000);
    near(a.energy, 0.1 / 2f64.sqrt(), 0.001);
    assert_eq!(a.channels, 6);
    assert_eq!(a.loudness_lufs, None, "the low-frequency channel has no loudness");
}

#[test]
fn the_first_thirty_seconds_count_and_a_little_more_is_taken_whole() {
    let tone = sine(440.0, 0.5, 40.0, 8_000);
    assert_eq!(analyze(&[&tone], 8_000).duration_s, 30.0);
    let a_little_more = analyze(&[&tone[..240_400]], 8_000).duration_s;
    assert!((a_little_more - 30.05).abs() < 1e-3, "{a_little_more}");
}

#[test]
fn the_same_bytes_give_the_same_bits_also_from_a_used_analyzer() {
    let sound = mix(&noise(0.1, 8.0, RATE), &clicks(97.0, 8.0, RATE));
    let clip = wav(&[&sound], RATE);
    let mut used = Analyzer::new();
    let first = used.analyze_bytes(clip.clone(), None, &Limits::default());
    let _ = used.analyze_bytes(wav(&[&noise(0.5, 3.0, 48_000)], 48_000), None, &Limits::default());
    let again = used.analyze_bytes(clip.clone(), Some("mp3"), &Limits::default());
    let fresh = Analyzer::new().analyze_reader(Box::new(Cursor::new(clip)), Some("audio/wav"), &Limits::default());
    assert!(first.is_ok());
    assert_eq!(first, again);
    assert_eq!(first, fresh);
}

#[test]
fn what_is_no_clip_is_refused_with_what_was_found() {
    assert_eq!(refused(Vec::new()), AnalyzeError::Empty);
    let text = refused(b"Not audio. ".repeat(2_000));
    assert_eq!(text.kind(), "undecodable");
    assert!(text.to_string().contains("expected"), "{text}");
    let short = refused(wav(&[&sine(440.0, 0.5, 0.02, RATE)], RATE));
    assert_eq!(short.kind(), "too_short");
    let header_only = refused(wav(&[&[]], RATE));
    assert_eq!(header_only.kind(), "undecodable");
    let absurd_rate = refused(wav(&[&sine(440.0, 0.5, 0.001, RATE)], 3_000_000_000));
    assert_eq!(absurd_rate.kind(), "undecodable");
}

#[test]
fn a_clip_cut_off_in_the_middle_gives_what_there_is() {
    let mut clip = wav(&[&sine(440.0, 0.5, 10.0, RATE)], RATE);
    clip.truncate(clip.len() / 2);
    let a = Analyzer::new().analyze_bytes(clip, None, &Limits::default()).expect("half a clip is a clip");
    assert!((4.9..=5.1).contains(&a.duration_s), "{}", a.duration_s);
}

#[test]
fn samples_beyond_full_scale_are_not_clipped() {
    near(analyze(&[&sine(440.0, 2.0, 5.0, RATE)], RATE).energy, 2f64.sqrt(), 0.006);
}

#[test]
fn samples_that_are_no_numbers_do_not_spoil_the_clip() {
    let mut sound = sine(440.0, 0.5, 5.0, RATE);
    sound[1_000] = f32::NAN;
    sound[2_000] = f32::INFINITY;
    sound[3_000] = 1e30;
    let a = analyze(&[&sound], RATE);
    near(a.energy, 0.5 / 2f64.sqrt(), 0.003);
    assert!(a.loudness_lufs.is_some_and(f64::is_finite));
}

#[test]
fn reading_stops_at_the_limit_of_bytes() {
    let clip = wav(&[&sine(440.0, 0.5, 10.0, RATE)], RATE);
    let limits = Limits { max_bytes: 100_000, ..Limits::default() };
    let error = Analyzer::new().analyze_bytes(clip, None, &limits).expect_err("too many bytes");
    assert_eq!(error.kind(), "too_large");
}

#[test]
fn a_deadline_or_a_flag_ends_the_work() {
    let clip = wav(&[&sine(440.0, 0.5, 10.0, RATE)], RATE);
    let past = Limits { deadline: Instant::now().checked_sub(Duration::from_secs(1)), ..Limits::default() };
    let flagged = Limits { cancelled: Some(Arc::new(AtomicBool::new(true))), ..Limits::default() };
    for limits in [past, flagged] {
        let error = Analyzer::new().analyze_bytes(clip.clone(), None, &limits).expect_err("given up");
        assert_eq!(error.kind(), "cancelled");
    }
}

proptest! {
    #[test]
    fn danceability_is_a_share_and_rises_with_regularity(
        bpm in 30.0..300.0f64, energy in 0.0..2.0f64, zcr in 0.0..1.0f64, a in 0.0..1.0f64, b in 0.0..1.0f64,
    ) {
        let of = |regularity| danceability(Some(bpm), Some(energy), Some(zcr), Some(regularity)).expect("defined");
        let (low, high) = (of(a.min(b)), of(a.max(b)));
        prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
        prop_assert!(low <= high);
    }
}

#[test]
fn without_tempo_or_energy_there_is_no_danceability() {
    assert_eq!(danceability(None, Some(0.2), Some(0.1), Some(0.5)), None);
    assert_eq!(danceability(Some(120.0), None, Some(0.1), Some(0.5)), None);
    assert!(danceability(Some(120.0), Some(0.2), None, None).is_some());
    assert_eq!(danceability(Some(f64::NAN), Some(0.2), None, None), None);
}
