//! The edit list of an MP4: where in the decoded sound the music begins.
//!
//! AAC needs some samples to start up (1024 by most encoders, 2112 by Apple's), which the container says in
//! `moov/trak/edts/elst`. How much of the last frame is music it says as well, but the reference keeps that frame whole.

use std::io::SeekFrom;
use std::ops::Range;

use symphonia::core::io::MediaSource;

/// Start-up is a fraction of a second. A later start is a cut by an editor or damage, and would be decoded for nothing.
const LATEST_START_S: f64 = 5.0;
/// Boxes looked at before a damaged file is given up.
const MAX_BOXES: usize = 1_000;

/// Seconds to drop from the first audio track. `None` if this is no MP4, or it does not say, or cannot be searched. The source
/// is left at its beginning.
pub(super) fn read_start_s(source: &mut dyn MediaSource) -> Option<f64> {
    if !source.is_seekable() {
        return None;
    }
    let start_s = Boxes { source, left: MAX_BOXES }.audio_start_s();
    source.seek(SeekFrom::Start(0)).ok()?;
    start_s
}

/// A walk through the boxes of a file.
struct Boxes<'a> {
    source: &'a mut dyn MediaSource,
    left: usize,
}

struct Found {
    kind: [u8; 4],
    content: Range<u64>,
}

impl Boxes<'_> {
    fn audio_start_s(&mut self) -> Option<f64> {
        let len = self.source.byte_len()?;
        if self.next(0..len)?.kind != *b"ftyp" {
            return None;
        }
        let movie = self.find(0..len, b"moov")?;
        let mut rest = movie;
        while let Some(found) = self.next(rest.clone()) {
            rest.start = found.content.end;
            if found.kind == *b"trak"
                && let Some(ticks) = self.audio_ticks_per_s(found.content.clone())
            {
                let edits = self.find(found.content, b"edts")?;
                let list = self.find(edits, b"elst")?;
                return Some(self.first_start(list)? as f64 / ticks).filter(|start_s| *start_s <= LATEST_START_S);
            }
        }
        None
    }

    /// Ticks a second of a track, if it is one of sound.
    fn audio_ticks_per_s(&mut self, track: Range<u64>) -> Option<f64> {
        let media = self.find(track, b"mdia")?;
        let handler = self.find(media.clone(), b"hdlr")?;
        let is_sound = self.bytes::<12>(handler.start)?.ends_with(b"soun");
        let header = self.find(media, b"mdhd")?.start;
        let [version, ..] = self.bytes::<4>(header)?;
        let ticks = u32::from_be_bytes(self.bytes(header + if version == 1 { 20 } else { 12 })?);
        (is_sound && ticks > 0).then_some(f64::from(ticks))
    }

    /// Where the first edit that is not a pause begins, in ticks.
    fn first_start(&mut self, list: Range<u64>) -> Option<i64> {
        let [version, ..] = self.bytes::<4>(list.start)?;
        let count = u32::from_be_bytes(self.bytes(list.start + 4)?);
        for index in 0..u64::from(count.min(16)) {
            let start = if version == 1 {
                i64::from_be_bytes(self.bytes(list.start + 16 + index * 20)?)
            } else {
                i64::from(i32::from_be_bytes(self.bytes(list.start + 12 + index * 12)?))
            };
            if start >= 0 {
                return Some(start);
            }
        }
        None
    }

    /// The content of the first box of this kind.
    fn find(&mut self, mut within: Range<u64>, kind: &[u8; 4]) -> Option<Range<u64>> {
        loop {
            let found = self.next(within.clone())?;
            if found.kind == *kind {
                return Some(found.content);
            }
            within.start = found.content.end;
        }
    }

    /// The box at the beginning of this range.
    fn next(&mut self, within: Range<u64>) -> Option<Found> {
        self.left = self.left.checked_sub(1)?;
        if within.end.checked_sub(within.start)? < 8 {
            return None;
        }
        let header = u64::from_be_bytes(self.bytes(within.start)?);
        let kind = (header as u32).to_be_bytes();
        let (header_len, len) = match header >> 32 {
            0 => (8, within.end - within.start),
            1 => (16, u64::from_be_bytes(self.bytes(within.start + 8)?)),
            len => (8, len),
        };
        let end = within.start.checked_add(len)?;
        (len >= header_len && end <= within.end).then(|| Found { kind, content: within.start + header_len..end })
    }

    fn bytes<const N: usize>(&mut self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.source.seek(SeekFrom::Start(at)).ok()?;
        self.source.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
    }

    /// An MP4 without sound whose track counts in 1/44100 s.
    fn mp4(handler: &[u8; 4], list: &[u8]) -> Vec<u8> {
        let header = |scale: u32| [&[0; 12][..], &scale.to_be_bytes(), &[0; 8]].concat();
        let handler = boxed(b"hdlr", &[&[0; 8][..], handler, &[0; 13]].concat());
        let media = boxed(b"mdia", &[boxed(b"mdhd", &header(44_100)), handler].concat());
        let track = boxed(b"trak", &[boxed(b"edts", &boxed(b"elst", list)), media].concat());
        let movie = boxed(b"moov", &[boxed(b"mvhd", &header(600)), track].concat());
        [boxed(b"ftyp", b"M4A isom"), boxed(b"mdat", &[1; 100]), movie].concat()
    }

    fn entries(entries: &[(u32, i32)]) -> Vec<u8> {
        let mut list = [0u32.to_be_bytes(), (entries.len() as u32).to_be_bytes()].concat();
        for (duration, start) in entries {
            list.extend([duration.to_be_bytes(), start.to_be_bytes(), [0, 1, 0, 0]].concat());
        }
        list
    }

    fn read_bytes(bytes: Vec<u8>) -> Option<f64> {
        read_start_s(&mut Cursor::new(bytes))
    }

    #[test]
    fn the_start_is_that_of_the_list() {
        assert_eq!(read_bytes(mp4(b"soun", &entries(&[(18_000, 2_112)]))), Some(2_112.0 / 44_100.0));
        let after_a_pause = read_bytes(mp4(b"soun", &entries(&[(600, -1), (18_000, 1_024)])));
        assert_eq!(after_a_pause, Some(1_024.0 / 44_100.0));
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        assert_eq!(read_bytes(mp4(b"vide", &entries(&[(18_000, 2_112)]))), None);
        assert_eq!(read_bytes(mp4(b"soun", &entries(&[]))), None);
        assert_eq!(read_bytes(mp4(b"soun", &entries(&[(600, i32::MAX)]))), None, "half a day of start-up");
        assert_eq!(read_bytes(b"RIFF0000WAVEfmt ".to_vec()), None);
        assert_eq!(read_bytes(Vec::new()), None);
    }

    #[test]
    fn a_damaged_file_ends_the_walk() {
        let whole = mp4(b"soun", &entries(&[(18_000, 2_112)]));
        for at in 0..whole.len() {
            let _ = read_bytes(whole[..at].to_vec());
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = read_bytes(damaged);
            }
        }
    }
}
