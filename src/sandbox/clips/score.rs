//! What a clip sounds like: style, tempo, key and a variant, drawn once for each recording.

use super::super::chance::Dice;

/// Kinds of accompaniment; each fixes drums, bass line and chords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Backbeat, straight eighths.
    Rock,
    /// Backbeat, syncopated bass, soft chords.
    Pop,
    /// Ride cymbal in triplets, walking bass.
    Swing,
    /// Four on the floor, off-beat hats.
    House,
    /// Sparse kick, late hats.
    HipHop,
    /// Plucked chords, shaker.
    Folk,
    /// Double bass drum, power chords.
    Metal,
    /// Sixteenths, short chords off the beat.
    Funk,
    /// Long chords, a soft pulse.
    Ambient,
    /// Third beat, off-beat chords.
    Reggae,
    /// Broken beats at speed.
    Breaks,
    /// Three beats a bar.
    Waltz,
}

/// Mode of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Major.
    Major,
    /// Natural minor.
    Minor,
}

impl Mode {
    /// As it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Major => "major",
            Mode::Minor => "minor",
        }
    }
}

/// What a clip sounds like.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Accompaniment.
    pub style: Style,
    /// Beats a minute.
    pub bpm: f64,
    /// 0 (C) to 11 (B).
    pub tonic: usize,
    /// Mode.
    pub mode: Mode,
    /// Chooses chords and details within the style.
    pub variant: u64,
}

impl Score {
    /// Draws a clip of a style; the tempo is in tenths of a beat.
    pub fn draw(dice: &mut Dice, style: Style, bpm: (i64, i64)) -> Score {
        Score {
            style,
            bpm: dice.between(bpm.0 * 10, bpm.1 * 10) as f64 / 10.0,
            tonic: dice.below(12),
            mode: if dice.happens(0.6) { Mode::Major } else { Mode::Minor },
            variant: dice.below(1 << 30) as u64,
        }
    }

    /// `C` to `B`, as the analysis spells them.
    pub fn tonic_name(&self) -> &'static str {
        crate::dsp::TONICS[self.tonic % 12]
    }

    /// Beats in a bar.
    pub fn beats_a_bar(&self) -> usize {
        if self.style == Style::Waltz { 3 } else { 4 }
    }
}
