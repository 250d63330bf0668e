//! How well one can dance to it, from 0 to 1: a composite of our own, since nobody publishes Spotify's.
//!
//! `D = T * (0.55 R + 0.30 E + 0.15 Z)` with
//! - `T = 0.4 + 0.6 exp(-(log2(bpm / 118) / 0.6)^2 / 2)`: people move most readily at some 118 BPM (van Noorden and Moelants
//!   1999 put the resonance near 120); far tempi cost at most 60 %,
//! - `R` the regularity of the beat, the heaviest weight; unknown counts as 0.5,
//! - `E = min(1, energy / 0.25)`: RMS of 0.25 is loud modern music; more is not more danceable,
//! - `Z = exp(-(zcr / 0.15)^2)`: noise and hiss, unlike drums over bass, cross zero often.
//!
//! All factors are in 0 to 1, so D is; it rises with R whatever the rest. Without a tempo there is nothing to dance to: `None`.

/// The formula above; `None` without tempo or energy.
pub fn danceability(
    bpm: Option<f64>,
    energy: Option<f64>,
    zero_crossing_rate: Option<f64>,
    beat_regularity: Option<f64>,
) -> Option<f64> {
    let bpm = bpm.filter(|bpm| bpm.is_finite() && *bpm > 0.0)?;
    let energy = energy.filter(|energy| energy.is_finite())?;
    let tempo = 0.4 + 0.6 * (-0.5 * ((bpm / 118.0).log2() / 0.6).powi(2)).exp();
    let regularity = beat_regularity.filter(|r| r.is_finite()).unwrap_or(0.5).clamp(0.0, 1.0);
    let loudness = (energy / 0.25).clamp(0.0, 1.0);
    let calm = (-(zero_crossing_rate.filter(|z| z.is_finite()).unwrap_or(0.05) / 0.15).powi(2)).exp();
    Some((tempo * (0.55 * regularity + 0.30 * loudness + 0.15 * calm)).clamp(0.0, 1.0))
}
