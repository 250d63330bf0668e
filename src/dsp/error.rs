//! Why a clip has no analysis. A closed set, so that whoever counts failures has a bounded set of labels.

use thiserror::Error;

/// A clip that could not be analysed: what was found, and what was expected.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum AnalyzeError {
    /// No bytes at all.
    #[error("empty: found 0 bytes, expected an MP3, AAC, Vorbis, FLAC or WAV clip")]
    Empty,
    /// No container or codec we know begins in these bytes, or nothing in them decodes.
    #[error("not audio: found {found}, expected an MP3, AAC, Vorbis, FLAC or WAV clip")]
    NotAudio {
        /// What the demuxer or decoder said.
        found: String,
    },
    /// Audio, but of a kind that is not decoded here.
    #[error("unsupported audio: found {found}, expected {expected}")]
    Unsupported {
        /// The codec, channel layout or sample rate that was met.
        found: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// Less sound than one analysis window.
    #[error("too short: found {found_s:.3} s of sound, expected at least {expected_s:.3} s")]
    TooShort {
        /// Seconds decoded.
        found_s: f64,
        /// Seconds of one analysis window.
        expected_s: f64,
    },
    /// More bytes than [`Limits::max_bytes`](super::Limits::max_bytes) had to be read.
    #[error("too large: more than {limit_bytes} bytes would have to be read for the first {seconds} s")]
    TooLarge {
        /// The limit that was passed.
        limit_bytes: u64,
        /// The seconds that were wanted.
        seconds: f64,
    },
    /// The source could not be read to the end, or as far as wanted: a disk or a network that is gone.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The caller gave up, or the deadline passed.
    #[error("cancelled: {0}")]
    Cancelled(&'static str),
}

impl AnalyzeError {
    /// The label under which this failure is counted: `undecodable`, `too_short`, `too_large`, `unreadable` or `cancelled`.
    pub fn kind(&self) -> &'static str {
        match self {
            AnalyzeError::Empty | AnalyzeError::NotAudio { .. } | AnalyzeError::Unsupported { .. } => "undecodable",
            AnalyzeError::TooShort { .. } => "too_short",
            AnalyzeError::TooLarge { .. } => "too_large",
            AnalyzeError::Unreadable(_) => "unreadable",
            AnalyzeError::Cancelled(_) => "cancelled",
        }
    }
}
