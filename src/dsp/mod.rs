//! Pure signal processing: a clip in, its features out. No I/O, no clock but the caller's deadline, nothing of other rooms.
//!
//! ```text
//! bytes -> decode (symphonia, gapless, head only) -> mono + loudness (EBU R128)
//!       -> resample to 22050 Hz -> RMS, zero crossings
//!       -> one STFT -> centroid, bandwidth, rolloff, flatness, contrast, chroma, key
//!                   -> mel decibels -> MFCC, onset strength -> tempo, beats
//!                   -> two running medians -> harmonic and percussive energy
//! ```
//!
//! Where librosa 0.10 defines a feature, the definition is librosa's, so that existing data stays comparable; the tempo has
//! both librosa's answer and a better one of our own. [`FEATURES_VERSION`] goes up whenever a number can change.

mod analysis;
mod analyzer;
mod beats;
mod chroma;
mod contrast;
mod danceability;
mod decode;
mod edit_list;
mod error;
mod hpss;
mod interpolator;
mod key;
mod level;
mod limits;
mod loudness;
mod lowpass;
mod median;
mod mel;
mod mend;
mod metered;
mod onset;
mod portrait;
mod resample;
mod simd;
mod spectral;
#[doc(hidden)]
pub mod steps;
mod stft;
mod tempo;
mod tempo_model;
mod tempo_reference;
mod whitening;

pub use analysis::Analysis;
pub use analyzer::Analyzer;
pub use danceability::danceability;
pub use error::AnalyzeError;
pub use key::TONICS;
pub use limits::Limits;
pub use portrait::Portrait;
pub use resample::ANALYSIS_RATE;
pub use symphonia::core::io::MediaSource;

/// Version of the analysis. What was stored by a lower one is analysed again.
pub const FEATURES_VERSION: u32 = 6;
