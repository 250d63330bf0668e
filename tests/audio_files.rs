//! What the audio analysis makes of files: containers, damage, and sizes far beyond a clip.

mod audio_signals;

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use audio_signals::{RATE, flac, silent_mp3, sine, wav};
use reprise::dsp::{Analysis, AnalyzeError, Analyzer, Limits, MediaSource};

fn analyze(clip: Vec<u8>) -> Result<Analysis, AnalyzeError> {
    Analyzer::new().analyze_bytes(clip, None, &Limits::default())
}

/// A file that exists only in the calculation of its bytes, and counts how many were read.
struct Virtual<F> {
    len: u64,
    at: u64,
    byte: F,
    read: Arc<AtomicU64>,
}

impl<F: Fn(u64) -> u8> Virtual<F> {
    fn new(len: u64, byte: F) -> (Box<Self>, Arc<AtomicU64>) {
        let read = Arc::new(AtomicU64::new(0));
        (Box::new(Virtual { len, at: 0, byte, read: read.clone() }), read)
    }
}

impl<F: Fn(u64) -> u8> Read for Virtual<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX));
        for byte in &mut buffer[..count] {
            *byte = (self.byte)(self.at);
            self.at += 1;
        }
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl<F> Seek for Virtual<F> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.at = match position {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(by) => self.len.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

impl<F: Fn(u64) -> u8 + Send + Sync> MediaSource for Virtual<F> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}

#[test]
fn flac_and_wav_of_the_same_sound_have_the_same_features() {
    // Amplitudes that 16 bits hold exactly.
    let exact = |x: f32| (x * 32_768.0).round() / 32_768.0;
    let left: Vec<f32> = sine(440.0, 0.5, 4.0, RATE).into_iter().map(exact).collect();
    let right: Vec<f32> = sine(660.0, 0.3, 4.0, RATE).into_iter().map(exact).collect();
    let compressed = analyze(flac(&[&left, &right], RATE)).expect("FLAC is analysed");
    assert_eq!(compressed, analyze(wav(&[&left, &right], RATE)).expect("WAV is analysed"));
    assert_eq!((compressed.channels, compressed.duration_s), (2, 4.0));
}

#[test]
fn garbage_in_the_middle_of_an_mp3_is_skipped() {
    let garbage: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x7f).collect();
    let clip = [silent_mp3(200), garbage, silent_mp3(200)].concat();
    let seconds = analyze(clip).expect("what is left of it").duration_s;
    let whole = 400.0 * 1_152.0 / 44_100.0;
    assert!((whole - 0.2..=whole).contains(&seconds), "{seconds} of {whole} s");
}

#[test]
fn of_an_hour_only_the_head_is_read() {
    let header = &wav(&[&[]], RATE)[..44];
    let data_len = 3_600 * RATE * 4;
    let mut head = header.to_vec();
    head[4..8].copy_from_slice(&(36 + data_len).to_le_bytes());
    head[40..44].copy_from_slice(&data_len.to_le_bytes());
    let second: Vec<u8> = sine(440.0, 0.5, 1.0, RATE).into_iter().flat_map(f32::to_le_bytes).collect();
    let byte = move |at: u64| match head.get(at as usize) {
        Some(byte) => *byte,
        None => second[(at as usize - 44) % second.len()],
    };
    let (hour, read) = Virtual::new(44 + u64::from(data_len), byte);
    let a = Analyzer::new().analyze_reader(hour, Some("wav"), &Limits::default()).expect("an hour has a head");
    assert_eq!(a.duration_s, 30.0);
    assert!((a.energy.expect("defined") - 0.5 / 2f64.sqrt()).abs() < 0.001);
    let head_bytes = 30 * u64::from(RATE) * 4;
    assert!(read.load(Ordering::Relaxed) < head_bytes + (1 << 20), "{} bytes read", read.load(Ordering::Relaxed));
}

#[test]
fn gigabytes_of_nothing_are_refused_after_a_look() {
    let limits = Limits { max_bytes: 8 << 20, ..Limits::default() };
    let (zeros, read) = Virtual::new(2 << 30, |_| 0);
    let error = Analyzer::new().analyze_reader(zeros, Some("mp3"), &limits).expect_err("no sound in zeros");
    assert!(["undecodable", "too_large"].contains(&error.kind()), "{error}");
    assert!(read.load(Ordering::Relaxed) <= limits.max_bytes);
}

#[test]
fn a_source_that_fails_is_an_error_or_ends_the_clip_there() {
    struct Failing(io::Cursor<Vec<u8>>, usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(self.1);
            if most == 0 {
                return Err(io::Error::other("the disk is gone"));
            }
            self.1 -= most;
            self.0.read(&mut buffer[..most])
        }
    }
    impl Seek for Failing {
        fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
            self.0.seek(position)
        }
    }
    impl MediaSource for Failing {
        fn is_seekable(&self) -> bool {
            true
        }
        fn byte_len(&self) -> Option<u64> {
            None
        }
    }
    let clip = wav(&[&sine(440.0, 0.5, 4.0, RATE)], RATE);
    let after = |bytes: usize| {
        let source = Box::new(Failing(io::Cursor::new(clip.clone()), bytes));
        Analyzer::new().analyze_reader(source, None, &Limits::default())
    };
    let at_once = after(0).expect_err("nothing could be read");
    assert_eq!(at_once.kind(), "undecodable");
    let later = after(2 * RATE as usize * 4).expect("two seconds were read").duration_s;
    assert!((1.0..=2.0).contains(&later), "{later}");
}

#[test]
fn aac_in_5_1_is_refused_by_name() {
    // ADTS: AAC-LC, 44.1 kHz, channel configuration 6, frames of 64 bytes.
    let frame = [&[0xff, 0xf1, 0x51, 0x80, 0x08, 0x1f, 0xfc][..], &[0x21; 57]].concat();
    let error = analyze(frame.repeat(40)).expect_err("5.1 is not decoded");
    assert_eq!(error.kind(), "undecodable");
    assert!(error.to_string().contains("expected"), "{error}");
}
