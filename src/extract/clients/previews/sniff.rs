//! What the bytes of a download are, by their beginning: content types of clip servers are not to be trusted. Pure.

/// A container or stream that a decoder may be tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// MPEG audio, with or without an ID3 tag.
    Mp3,
    /// MPEG-4, such as iTunes' `.m4a`.
    Mp4,
    /// AAC without a container.
    Adts,
    /// Ogg.
    Ogg,
    /// FLAC.
    Flac,
    /// RIFF WAVE.
    Wav,
    /// Text: a page or an error message in place of a clip.
    Text,
    /// Nothing at all.
    Empty,
    /// Anything else: the decoder decides.
    Unknown,
}

impl Kind {
    /// File name extension that helps a decoder to choose.
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Kind::Mp3 => Some("mp3"),
            Kind::Mp4 => Some("m4a"),
            Kind::Adts => Some("aac"),
            Kind::Ogg => Some("ogg"),
            Kind::Flac => Some("flac"),
            Kind::Wav => Some("wav"),
            Kind::Text | Kind::Empty | Kind::Unknown => None,
        }
    }
}

/// How much is looked at to tell text from audio.
const TEXT_HEAD_BYTES: usize = 512;

/// What these bytes are.
pub fn kind(bytes: &[u8]) -> Kind {
    match bytes {
        [] => Kind::Empty,
        [b'I', b'D', b'3', ..] => Kind::Mp3,
        [b'O', b'g', b'g', b'S', ..] => Kind::Ogg,
        [b'f', b'L', b'a', b'C', ..] => Kind::Flac,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Kind::Wav,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Kind::Mp4,
        // Eleven set bits start an MPEG frame; layer 00 is ADTS.
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Kind::Adts,
        [0xff, second, ..] if second & 0xe0 == 0xe0 => Kind::Mp3,
        other if is_text(other) => Kind::Text,
        _ => Kind::Unknown,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let head = bytes.get(..TEXT_HEAD_BYTES).unwrap_or(bytes);
    let printable = |byte: &u8| matches!(byte, 0x20..=0x7e | b'\t' | b'\r' | b'\n');
    match std::str::from_utf8(head) {
        Ok(text) => !text.chars().any(|c| c.is_control() && !c.is_ascii_whitespace()),
        // The cut may have split a character.
        Err(error) => error.error_len().is_none() && head.iter().filter(|byte| printable(byte)).count() * 2 > head.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn audio_is_told_by_its_first_bytes() {
        for (bytes, expected) in [
            (&b"ID3\x04\x00\x00"[..], Kind::Mp3),
            (b"\xff\xfb\x90\x64", Kind::Mp3),
            (b"\xff\xf1\x50\x80", Kind::Adts),
            (b"\x00\x00\x00\x20ftypM4A ", Kind::Mp4),
            (b"OggS\x00\x02", Kind::Ogg),
            (b"fLaC\x00\x00", Kind::Flac),
            (b"RIFF\x24\x00\x00\x00WAVEfmt ", Kind::Wav),
            (b"\x00\x01\x02\x03", Kind::Unknown),
        ] {
            assert_eq!(kind(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_page_is_no_clip() {
        let page = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
        for text in [page, "<html>", "{\"error\":4}", "  \n", "Überlastet"] {
            assert_eq!(kind(text.as_bytes()), Kind::Text, "{text}");
        }
        assert_eq!(kind(b""), Kind::Empty);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = kind(&bytes);
        }
    }
}
