//! What the audio analysis makes of files: containers, damage, and sizes far beyond a clip.

mod audio_signals;

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use audio_signals::{RATE, flac, mp4, silent_mp3, sine, vorbis, wav};
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
fn a_source_that_fails_is_an_error_and_no_shorter_clip() {
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
    for bytes in [0, 2 * RATE as usize * 4] {
        let error = after(bytes).expect_err("it could not be read");
        assert_eq!(error, AnalyzeError::Unreadable("the disk is gone".to_owned()), "after {bytes} bytes");
    }
}

#[test]
fn aac_in_5_1_is_refused_by_name() {
    // ADTS: AAC-LC, 44.1 kHz, channel configuration 6, frames of 64 bytes.
    let frame = [&[0xff, 0xf1, 0x51, 0x80, 0x08, 0x1f, 0xfc][..], &[0x21; 57]].concat();
    let error = analyze(frame.repeat(40)).expect_err("5.1 is not decoded");
    assert_eq!(error.kind(), "undecodable");
    assert!(error.to_string().contains("expected"), "{error}");
}

#[test]
fn vorbis_with_more_than_three_channels_is_refused_by_name() {
    for channels in 1..=3 {
        let a = analyze(vorbis(channels, 100, RATE)).expect("up to three channels are decoded");
        assert_eq!(a.channels, u32::from(channels));
    }
    for channels in 4..=8 {
        let error = analyze(vorbis(channels, 100, RATE)).expect_err("more are not");
        assert_eq!(error.kind(), "undecodable");
        assert!(error.to_string().contains(&format!("{channels} channels")), "{error}");
        assert!(error.to_string().contains("Vorbis with up to three"), "{error}");
    }
}

#[test]
fn what_follows_the_last_page_of_an_ogg_file_does_no_harm() {
    let clip = vorbis(2, 200, RATE);
    let whole = analyze(clip.clone()).expect("Vorbis is analysed");
    assert!((whole.duration_s - 199.0 * 1_024.0 / f64::from(RATE)).abs() < 0.001, "{}", whole.duration_s);
    let garbage: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for tail in [vec![0; 1_000], vec![0; 100_000], garbage] {
        assert_eq!(analyze([clip.clone(), tail].concat()), Ok(whole.clone()));
    }
}

#[test]
fn of_an_mp4_that_was_cut_off_what_is_there_counts() {
    let clip = mp4(&sine(440.0, 0.5, 10.0, RATE), RATE);
    let whole = analyze(clip.clone()).expect("MP4 is analysed").duration_s;
    assert!((9.9..=10.0).contains(&whole), "{whole}");
    for (missing, least_share) in [(1, 0.99), (clip.len() / 10, 0.88), (clip.len() * 4 / 10, 0.58)] {
        let seconds = analyze(clip[..clip.len() - missing].to_vec()).expect("what is there").duration_s;
        assert!((least_share * whole..whole).contains(&seconds), "{seconds} of {whole} s without {missing} bytes");
    }
}

#[test]
fn an_mp4_that_announces_billions_of_empty_packets_comes_to_an_end() {
    let boxed = |kind: &[u8; 4], content: &[u8]| [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat();
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_be_bytes()).collect() };
    let mut clip = mp4(&sine(440.0, 0.5, 4.0, RATE), RATE);
    let whole = analyze(clip.clone()).expect("MP4 is analysed");
    // Fragments may follow: of this track, by default without a byte.
    let fragments = boxed(b"mvex", &boxed(b"trex", &words(&[0, 1, 1, 1_024, 0, 0])));
    let track = [boxed(b"tfhd", &words(&[0x2_0000, 1])), boxed(b"trun", &words(&[1, u32::MAX, 0]))].concat();
    let fragment = boxed(b"moof", &[boxed(b"mfhd", &words(&[0, 1])), boxed(b"traf", &track)].concat());
    let place = |clip: &[u8], kind: &[u8; 4]| clip.windows(4).position(|found| found == kind).expect("the box") - 4;
    // The movie box grows, and the sound moves by as much.
    let offset = place(&clip, b"stco") + 16;
    let sound = u32::from_be_bytes(clip[offset..offset + 4].try_into().expect("four bytes")) + fragments.len() as u32;
    clip[offset..offset + 4].copy_from_slice(&sound.to_be_bytes());
    let (movie, sound) = (place(&clip, b"moov"), place(&clip, b"mdat"));
    let grown = boxed(b"moov", &[&clip[movie + 8..sound], &fragments].concat());
    let crafted = [&clip[..movie], &grown, &clip[sound..], &fragment, &boxed(b"mdat", &[0])].concat();
    assert_eq!(analyze(crafted).map(|analysis| analysis.duration_s), Ok(whole.duration_s));
}

#[test]
fn an_mp4_cut_off_before_its_movie_box_is_refused() {
    let clip = mp4(&sine(440.0, 0.5, 10.0, RATE), RATE);
    let sound = clip.windows(4).position(|kind| kind == b"mdat").expect("it has sound") - 4;
    // The movie box behind the sound, and only its beginning left.
    let moved = [&clip[..16], &clip[sound..], &clip[16..sound]].concat();
    let error = analyze(moved[..moved.len() - 100].to_vec()).expect_err("nobody knows what the bytes mean");
    assert_eq!(error.kind(), "undecodable");
    assert!(error.to_string().contains("moov"), "{error}");
}

#[test]
fn a_flac_with_a_tag_at_its_end_keeps_its_last_frame() {
    let tone = sine(440.0, 0.5, 4.0, RATE);
    let clip = flac(&[&tone], RATE);
    let id3v1 = [b"TAG".as_slice(), &[0; 125]].concat();
    let id3v2 = [b"ID3\x04\0\0\0\0\x01\0".as_slice(), &[0; 128]].concat();
    let whole = analyze(clip.clone());
    assert!(whole.is_ok());
    assert_eq!(analyze([clip.clone(), id3v1.clone()].concat()), whole);
    assert_eq!(analyze([id3v2, clip, id3v1].concat()), whole);
}

#[test]
fn a_wav_is_read_whatever_its_header_says_of_lengths() {
    let clip = wav(&[&sine(440.0, 0.5, 4.0, RATE)], RATE);
    let whole = analyze(clip.clone());
    assert!(whole.is_ok());
    let with = |riff_len: u32, data_len: u32| {
        let mut clip = clip.clone();
        clip[4..8].copy_from_slice(&riff_len.to_le_bytes());
        clip[40..44].copy_from_slice(&data_len.to_le_bytes());
        clip
    };
    let data_len = clip.len() as u32 - 44;
    for (riff_len, data_len) in
        [(0, data_len), (1_000, data_len), (0, 0), (36, 0), (36 + data_len, u32::MAX), (u32::MAX, u32::MAX)]
    {
        assert_eq!(analyze(with(riff_len, data_len)), whole, "RIFF of {riff_len}, data of {data_len} bytes");
    }
    for (list, name) in [(b"LIST\x07\0\0\0INFOabc\0".as_slice(), "odd"), (b"LIST\x02\0\0\0IN", "too short")] {
        let mut clip = [&clip[..36], list, &clip[36..]].concat();
        clip[4..8].copy_from_slice(&(36 + data_len + list.len() as u32).to_le_bytes());
        assert_eq!(analyze(clip), whole, "a list that is {name}");
    }
}

#[test]
fn an_rf64_file_is_read_as_far_as_its_sound_goes() {
    let clip = wav(&[&sine(440.0, 0.5, 4.0, RATE)], RATE);
    let data_len = clip.len() as u64 - 44;
    let long_sizes = [72 + data_len, data_len, data_len / 4].map(u64::to_le_bytes).concat();
    let head = [b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".as_slice(), &long_sizes, &[0; 4]].concat();
    // Behind the sound, something that is none.
    let rf64 = [&head, &clip[12..40], &[0xff; 4], &clip[44..], b"LIST\x04\0\0\0INFO"].concat();
    assert_eq!(analyze(rf64), analyze(clip));
}
