//! Bytes to sound: demux and decode the head of a clip with symphonia, mix to mono, measure loudness on the way.
//!
//! Memory is bounded by [`Limits::max_seconds`] of mono sound whatever the file claims to hold: packets are mixed down as
//! they come, and an hour-long file is left after its first 30 seconds. Encoder delay and padding are cut (gapless).

use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use symphonia::core::audio::{Audio, GenericAudioBufferRef};
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

use super::edit_list;
use super::error::AnalyzeError;
use super::limits::Limits;
use super::loudness::LoudnessMeter;
use super::mend::Mended;
use super::metered::{Failure, Metered};

/// Sample rates that occur in music files. A header that claims more is either damaged or not music.
const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Channels mixed down at most: 7.1 and a little more.
const MAX_CHANNELS: usize = 16;
/// A clip this much longer than the limit is taken whole: encoders round a 30 s preview up to whole codec frames.
const OVERHANG_S: f64 = 0.1;
/// Undecodable packets in a row after which the rest is given up. More would let a large file of noise burn CPU for long.
const MAX_BAD_PACKETS: usize = 1_000;
/// Packets without sound in a row after which the rest is given up. A header of a few bytes can announce billions of packets that
/// are empty: they cost nothing to read, and no end of the file ends them.
const MAX_EMPTY_PACKETS: usize = 10_000;

/// The head of a clip as mono samples at its own rate.
#[derive(Debug, Default)]
pub(super) struct Sound {
    pub mono: Vec<f32>,
    pub rate: u32,
    pub channels: usize,
    pub loudness: LoudnessMeter,
}

/// Decodes a clip held in memory.
pub(super) fn decode_bytes(clip: Vec<u8>, hint: Option<&str>, limits: &Limits, sound: &mut Sound) -> Result<(), AnalyzeError> {
    if clip.is_empty() {
        return Err(AnalyzeError::Empty);
    }
    decode(Box::new(Cursor::new(clip)), hint, limits, sound)
}

/// Decodes the head of `source` into `sound`, reusing its buffers.
///
/// The decoders are third-party code on hostile input; a panic in one of them is an undecodable clip, not our end.
pub(super) fn decode(
    source: Box<dyn MediaSource>,
    hint: Option<&str>,
    limits: &Limits,
    sound: &mut Sound,
) -> Result<(), AnalyzeError> {
    if source.byte_len() == Some(0) {
        return Err(AnalyzeError::Empty);
    }
    let failure = Arc::default();
    let metered = Metered { inner: source, left: limits.max_bytes, failure: Arc::clone(&failure) };
    let outcome = catch_unwind(AssertUnwindSafe(|| read_packets(Box::new(metered), hint, limits, sound)))
        .unwrap_or_else(|_| Err(AnalyzeError::NotAudio { found: "data that makes the decoder panic".into() }));
    match outcome {
        Err(AnalyzeError::Cancelled(why)) => Err(AnalyzeError::Cancelled(why)),
        outcome => match failure.lock().take() {
            Some(Failure::Exhausted) => {
                Err(AnalyzeError::TooLarge { limit_bytes: limits.max_bytes, seconds: limits.max_seconds })
            }
            Some(Failure::Unreadable(why)) => Err(AnalyzeError::Unreadable(why)),
            None => outcome,
        },
    }
}

/// Takes mono samples that somebody decoded already.
pub(super) fn take_pcm(mono: &[f32], rate: u32, limits: &Limits, sound: &mut Sound) -> Result<(), AnalyzeError> {
    if mono.is_empty() {
        return Err(AnalyzeError::Empty);
    }
    let mut mixer = Mixer::new(limits, sound);
    mixer.start(rate, 1)?;
    mixer.take(&[mono]);
    mixer.finish();
    Ok(())
}

fn read_packets(
    source: Box<dyn MediaSource>,
    hint: Option<&str>,
    limits: &Limits,
    sound: &mut Sound,
) -> Result<(), AnalyzeError> {
    let mut source = Mended::new(source);
    let start_s = edit_list::read_start_s(&mut source);
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&to_hint(hint), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|error| not_audio(&error))?;
    let (track_id, mut decoder, gaps) = open_decoder(format.as_ref(), start_s)?;
    let mut mixer = Mixer::new(limits, sound);
    mixer.gaps = gaps;
    let (mut bad_packets, mut empty_packets) = (0, 0);
    let mut last_error = None;
    while !mixer.is_full() && bad_packets < MAX_BAD_PACKETS && empty_packets < MAX_EMPTY_PACKETS {
        limits.check()?;
        // An I/O error here is the end of a cut-off file: what was decoded until then counts. One of the source itself is told by
        // the source.
        let packet = match format.next_packet() {
            Ok(Some(packet)) if packet.track_id == track_id => packet,
            Ok(Some(packet)) => {
                empty_packets += usize::from(packet.data.is_empty());
                continue;
            }
            Ok(None) | Err(Error::IoError(_) | Error::ResetRequired) => break,
            Err(error) => {
                last_error = Some(error);
                bad_packets += 1;
                continue;
            }
        };
        match decoder.decode(&packet) {
            Ok(buffer) => {
                bad_packets = 0;
                empty_packets = if buffer.frames() > 0 { 0 } else { empty_packets + 1 };
                mixer.push(&buffer, &packet)?;
            }
            Err(error) => {
                last_error = Some(error);
                bad_packets += 1;
            }
        }
    }
    mixer.finish();
    if sound.mono.is_empty() {
        return Err(last_error.map_or(AnalyzeError::NotAudio { found: "no sound in it".into() }, |error| not_audio(&error)));
    }
    Ok(())
}

fn to_hint(hint: Option<&str>) -> Hint {
    let mut answer = Hint::new();
    match hint {
        Some(mime) if mime.contains('/') => answer.mime_type(mime),
        Some(extension) => answer.with_extension(extension.trim_start_matches('.')),
        None => &mut answer,
    };
    answer
}

fn not_audio(error: &Error) -> AnalyzeError {
    match error {
        Error::Unsupported(what) => AnalyzeError::NotAudio { found: format!("nothing that could be recognised ({what})") },
        Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            AnalyzeError::NotAudio { found: "data that ends before any sound".into() }
        }
        other => AnalyzeError::NotAudio { found: other.to_string() },
    }
}

/// Who cuts encoder delay and padding, which are not music.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gaps {
    /// The decoder does, as the container says.
    Decoder,
    /// We do. symphonia 0.6 cuts Vorbis at every page whose time stamp is earlier than its samples say, which muxers write
    /// in mid-stream; libvorbis cuts at the start and the end of the stream only.
    AtBothEnds,
    /// We do, as the edit list of an MP4 says: symphonia 0.6 reads it, but does not follow it.
    LeadSeconds(f64),
    /// We do: so many samples.
    Lead(usize),
}

/// Start-up samples of an AAC-LC stream by most encoders, for streams that do not say.
const AAC_LEAD: usize = 1_024;
/// With more, libvorbis couples a channel to several others. symphonia 0.6 undoes that in the order in which it was done, not
/// in the reverse one, and gives another sound.
const MOST_VORBIS_CHANNELS: usize = 3;

fn open_decoder(format: &dyn FormatReader, start_s: Option<f64>) -> Result<(u32, Box<dyn AudioDecoder>, Gaps), AnalyzeError> {
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| AnalyzeError::NotAudio { found: "a container without an audio track".into() })?;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| AnalyzeError::NotAudio { found: "an audio track without codec parameters".into() })?;
    let gaps = match parameters.codec {
        CODEC_ID_VORBIS if parameters.channels.as_ref().is_some_and(|c| c.count() > MOST_VORBIS_CHANNELS) => {
            return Err(unsupported(parameters, &"not decoded correctly"));
        }
        CODEC_ID_VORBIS => Gaps::AtBothEnds,
        CODEC_ID_AAC if track.delay.is_none() => start_s.map_or(Gaps::Lead(AAC_LEAD), Gaps::LeadSeconds),
        _ => Gaps::Decoder,
    };
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default().gapless(gaps == Gaps::Decoder))
        .map_err(|error| unsupported(parameters, &error))?;
    Ok((track.id, decoder, gaps))
}

fn unsupported(parameters: &AudioCodecParameters, why: &dyn std::fmt::Display) -> AnalyzeError {
    let channels = parameters.channels.as_ref().map_or(String::new(), |channels| format!(", {} channels", channels.count()));
    AnalyzeError::Unsupported {
        found: format!("codec {}{channels}: {why}", parameters.codec),
        expected: "MP3, AAC-LC with one or two channels, Vorbis with up to three, FLAC or PCM",
    }
}

/// Mixes decoded packets to mono and feeds the loudness meter, up to the limit.
struct Mixer<'a> {
    sound: &'a mut Sound,
    max_seconds: f64,
    /// Frames to keep, and frames to read in order to know whether the clip is only a little longer. Zero before the first packet.
    limit: usize,
    limit_with_overhang: usize,
    /// What lies beyond `limit`, one plane a channel, until it is known whether it counts.
    overhang: Vec<Vec<f32>>,
    /// Conversion space for integer codecs.
    planes: Vec<Vec<f32>>,
    gaps: Gaps,
    /// What the last packet called padding: it is, if no packet follows.
    held: Vec<Vec<f32>>,
}

impl<'a> Mixer<'a> {
    fn new(limits: &Limits, sound: &'a mut Sound) -> Self {
        sound.mono.clear();
        sound.rate = 0;
        sound.channels = 0;
        let max_seconds = limits.max_seconds.clamp(0.0, 3_600.0);
        Mixer {
            sound,
            max_seconds,
            limit: 0,
            limit_with_overhang: 0,
            overhang: Vec::new(),
            planes: Vec::new(),
            gaps: Gaps::Decoder,
            held: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.limit_with_overhang > 0 && self.frames_read() > self.limit_with_overhang
    }

    fn frames_read(&self) -> usize {
        self.sound.mono.len() + self.overhang.first().map_or(0, Vec::len)
    }

    fn push(&mut self, buffer: &GenericAudioBufferRef<'_>, packet: &Packet) -> Result<(), AnalyzeError> {
        let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
        if buffer.frames() == 0 || channels == 0 {
            return Ok(());
        }
        if self.sound.rate == 0 {
            self.start(rate, channels)?;
        } else if (rate, channels) != (self.sound.rate, self.sound.channels) {
            // A stream that changes its shape in the middle is damaged or concatenated: the first part is the clip.
            self.limit_with_overhang = 1;
            return Ok(());
        }
        // Not through a converting copy where the decoder gives floats already: that would clip at full scale.
        if let GenericAudioBufferRef::F32(floats) = buffer {
            let planes: Vec<&[f32]> = floats.iter_planes().collect();
            self.cut(&planes, packet);
        } else {
            let mut planes = std::mem::take(&mut self.planes);
            buffer.copy_to_vecs_planar(&mut planes);
            let views: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
            self.cut(&views, packet);
            self.planes = planes;
        }
        Ok(())
    }

    fn start(&mut self, rate: u32, channels: usize) -> Result<(), AnalyzeError> {
        if !RATES_HZ.contains(&rate) {
            let found = format!("a sample rate of {rate} Hz");
            return Err(AnalyzeError::Unsupported { found, expected: "4000 to 384000 Hz" });
        }
        if channels > MAX_CHANNELS {
            let found = format!("{channels} channels");
            return Err(AnalyzeError::Unsupported { found, expected: "at most 16 channels" });
        }
        self.sound.rate = rate;
        self.sound.channels = channels;
        self.sound.loudness.reset(rate, channels);
        self.limit = (self.max_seconds * f64::from(rate)).round() as usize;
        self.limit_with_overhang = ((self.max_seconds + OVERHANG_S) * f64::from(rate)).round() as usize;
        self.overhang = vec![Vec::new(); channels];
        if let Gaps::LeadSeconds(seconds) = self.gaps {
            self.gaps = Gaps::Lead((seconds * f64::from(rate)).round() as usize);
        }
        Ok(())
    }

    /// Takes what is music of a packet.
    fn cut(&mut self, planes: &[&[f32]], packet: &Packet) {
        let frames = planes.iter().map(|plane| plane.len()).min().unwrap_or(0);
        let (from, to) = match &mut self.gaps {
            Gaps::Decoder | Gaps::LeadSeconds(_) => (0, frames),
            Gaps::Lead(left) => {
                let from = frames.min(*left);
                *left -= from;
                (from, frames)
            }
            Gaps::AtBothEnds => {
                let before_start = usize::try_from(packet.pts.get().min(0).unsigned_abs()).unwrap_or(usize::MAX).min(frames);
                let padding = usize::try_from(packet.trim_end.get()).unwrap_or(usize::MAX).min(frames - before_start);
                (before_start, frames - padding)
            }
        };
        let held = std::mem::take(&mut self.held);
        self.take(&held.iter().map(Vec::as_slice).collect::<Vec<_>>());
        self.take(&planes.iter().map(|plane| &plane[from..to]).collect::<Vec<_>>());
        if to < frames {
            self.held = planes.iter().map(|plane| plane[to..frames].to_vec()).collect();
        }
    }

    fn take(&mut self, planes: &[&[f32]]) {
        let frames = planes.iter().map(|plane| plane.len()).min().unwrap_or(0);
        let within = frames.min(self.limit.saturating_sub(self.sound.mono.len()));
        let head: Vec<&[f32]> = planes.iter().map(|plane| &plane[..within]).collect();
        keep(self.sound, &head);
        for (kept, plane) in self.overhang.iter_mut().zip(planes) {
            kept.extend_from_slice(&plane[within..frames]);
        }
    }

    /// The overhang belongs to the clip if the clip ended within it.
    fn finish(self) {
        if !self.is_full() {
            let planes: Vec<&[f32]> = self.overhang.iter().map(Vec::as_slice).collect();
            keep(self.sound, &planes);
        }
        self.sound.loudness.finish();
    }
}

/// The mean of the channels, as every channel counts the same in the reference, the low-frequency one included.
fn keep(sound: &mut Sound, planes: &[&[f32]]) {
    sound.loudness.add(planes);
    match planes {
        [] => {}
        [one] => sound.mono.extend(one.iter().map(|&x| defined(x))),
        [left, right] => sound.mono.extend(left.iter().zip(*right).map(|(&l, &r)| defined((l + r) * 0.5))),
        [first, ..] => {
            let scale = 1.0 / planes.len() as f32;
            sound.mono.extend((0..first.len()).map(|i| defined(planes.iter().map(|plane| plane[i]).sum::<f32>() * scale)));
        }
    }
}

/// Float formats can hold NaN, infinity and absurd values; one of them would spoil every figure of the clip.
fn defined(x: f32) -> f32 {
    if x.abs() <= 1e6 { x } else { 0.0 }
}
