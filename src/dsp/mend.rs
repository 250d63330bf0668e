//! Files that others play and our demuxers would not: what their headers say is put right while they are read.
//!
//! The demuxers take a header at its word. A header that promises more than there is (a download cut off, a recording never
//! finished, a pipe) makes them give up before the first sound, although all that counts is there.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// Boxes or chunks looked at before a file is left as it is.
const MAX_PARTS: usize = 1_000;
/// A length that RIFF writers put where they do not know it yet, and readers take for "to the end".
const UNKNOWN_LEN: [u8; 4] = u32::MAX.to_le_bytes();
/// What older taggers hang behind a file of any kind.
const ID3V1_LEN: u64 = 128;

/// A source that reads as its header should have been.
pub(super) struct Mended {
    inner: Box<dyn MediaSource>,
    at: u64,
    /// Where it ends, if before its true end.
    end: Option<u64>,
    patches: Vec<Patch>,
    seekable: bool,
}

/// Bytes to read in place of those in the file.
struct Patch {
    at: u64,
    bytes: Vec<u8>,
}

impl Mended {
    /// Looks at the header. The source is left at its beginning.
    pub(super) fn new(inner: Box<dyn MediaSource>) -> Self {
        let seekable = inner.is_seekable();
        let mut mended = Mended { inner, at: 0, end: None, patches: Vec::new(), seekable };
        if seekable {
            // Nothing to mend, or nothing that can be: the demuxer says what is wrong.
            let _ = mended.look();
            let _ = mended.seek(SeekFrom::Start(0));
        }
        mended
    }

    fn look(&mut self) -> Option<()> {
        let head = self.bytes::<12>(0)?;
        if head.starts_with(b"OggS") {
            // symphonia gives up without a page in the last 64 KiB of what can be searched. It needs the end for nothing else.
            self.seekable = false;
        } else if head.get(4..8) == Some(b"ftyp") {
            self.shorten_media_data()?;
        } else if head.ends_with(b"WAVE") && (head.starts_with(b"RIFF") || head.starts_with(b"RF64")) {
            self.mend_wave()?;
        } else if head.starts_with(b"fLaC") {
            self.leave_out_tag()?;
        } else if let [b'I', b'D', b'3', _, _, _, len @ .., _, _] = head {
            // Seven bits a byte.
            let len = len.iter().fold(0, |len, byte| len << 7 | u64::from(byte & 0x7f));
            if self.bytes(10 + len)? == *b"fLaC" {
                self.leave_out_tag()?;
            }
        }
        Some(())
    }

    /// The sound of an MP4 that was cut off ends with the file. symphonia passes over a box that ends later.
    fn shorten_media_data(&mut self) -> Option<()> {
        let file_len = self.inner.byte_len()?;
        let mut at = 0u64;
        for _ in 0..MAX_PARTS {
            let [a, b, c, d, kind @ ..] = self.bytes::<8>(at)?;
            let short_len = u32::from_be_bytes([a, b, c, d]);
            let len = if short_len == 1 { u64::from_be_bytes(self.bytes(at + 8)?) } else { u64::from(short_len) };
            let end = at.checked_add(len).filter(|_| len >= 8)?;
            if end > file_len {
                let left = file_len.checked_sub(at)?;
                if kind == *b"mdat" {
                    match u32::try_from(left) {
                        Ok(left) if short_len != 1 => self.patch(at, &left.to_be_bytes()),
                        _ => self.patch(at + 8, &left.to_be_bytes()),
                    }
                }
                return Some(());
            }
            at = end;
        }
        None
    }

    /// The lengths of a WAV are made to cover its sound, lists are passed over, and RF64 is as good as RIFF.
    fn mend_wave(&mut self) -> Option<()> {
        let [_, _, _, _, riff_len @ ..] = self.bytes::<8>(0)?;
        let riff_end = 8 + u64::from(u32::from_le_bytes(riff_len));
        let file_len = self.inner.byte_len()?;
        let mut long_len = None;
        let mut at = 12;
        for _ in 0..MAX_PARTS {
            let [a, b, c, d, len @ ..] = self.bytes::<8>(at)?;
            let len = u32::from_le_bytes(len);
            match &[a, b, c, d] {
                b"ds64" => long_len = u32::try_from(u64::from_le_bytes(self.bytes(at + 16)?)).ok(),
                // Names and dates. symphonia loses its place after one of odd length.
                b"LIST" => self.patch(at, b"JUNK"),
                b"data" => {
                    self.patch(0, b"RIFF");
                    let unfinished = len == 0 && file_len > at + 8;
                    if unfinished {
                        self.patch(at + 4, &UNKNOWN_LEN);
                    } else if let (u32::MAX, Some(long_len)) = (len, long_len) {
                        self.patch(at + 4, &long_len.to_le_bytes());
                    }
                    if unfinished || riff_end < at + 8 + u64::from(len) {
                        self.patch(4, &UNKNOWN_LEN);
                    }
                    return Some(());
                }
                _ => {}
            }
            at += 8 + u64::from(len) + u64::from(len % 2);
        }
        None
    }

    /// symphonia takes what follows the last frame of a FLAC for a part of it, and the frame for damaged.
    fn leave_out_tag(&mut self) -> Option<()> {
        let end = self.inner.byte_len()?.checked_sub(ID3V1_LEN)?;
        if self.bytes(end)? == *b"TAG" {
            self.end = Some(end);
        }
        Some(())
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) {
        self.patches.push(Patch { at, bytes: bytes.to_vec() });
    }

    fn bytes<const N: usize>(&mut self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.seek(SeekFrom::Start(at)).ok()?;
        self.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

impl Read for Mended {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.at));
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.inner.read(&mut buffer[..most])?;
        for patch in &self.patches {
            for (place, byte) in (patch.at..).zip(&patch.bytes) {
                let index = place.checked_sub(self.at).and_then(|index| usize::try_from(index).ok());
                if let Some(read) = index.filter(|index| *index < got).and_then(|index| buffer.get_mut(index)) {
                    *read = *byte;
                }
            }
        }
        self.at += got as u64;
        Ok(got)
    }
}

impl Seek for Mended {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let position = match (position, self.end) {
            (SeekFrom::End(by), Some(end)) => SeekFrom::Start(end.saturating_add_signed(by)),
            (position, _) => position,
        };
        self.at = self.inner.seek(position)?;
        Ok(self.at)
    }
}

impl MediaSource for Mended {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.end.or_else(|| self.inner.byte_len())
    }
}
