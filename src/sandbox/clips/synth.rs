//! From a score to samples: four bars are mixed once, then repeated to half a minute.

use std::sync::LazyLock;

use super::super::chance::Dice;
use super::drums::{KIT, Pattern, pattern};
use super::score::{Mode, Score, Style};

/// Samples a second: what the analysis works at, so nothing is lost in resampling.
pub const SAMPLE_RATE: u32 = 22_050;
/// Length of a clip in samples: 30 s.
const CLIP_SAMPLES: usize = 30 * SAMPLE_RATE as usize;
const BARS: usize = 4;
const TABLE: usize = 2048;

/// One period of a few harmonics.
static BASS: LazyLock<Vec<f32>> = LazyLock::new(|| table(&[1.0, 0.45, 0.2, 0.1]));
static KEYS: LazyLock<Vec<f32>> = LazyLock::new(|| table(&[1.0, 0.5, 0.28, 0.12, 0.08]));
static REED: LazyLock<Vec<f32>> = LazyLock::new(|| table(&[1.0, 0.1, 0.45, 0.08, 0.3, 0.05, 0.15]));

fn table(harmonics: &[f32]) -> Vec<f32> {
    (0..TABLE)
        .map(|step| {
            let angle = step as f32 / TABLE as f32 * std::f32::consts::TAU;
            harmonics.iter().zip(1_u8..).map(|(level, number)| level * (angle * f32::from(number)).sin()).sum::<f32>()
        })
        .collect()
}

/// A triad: semitones above the tonic, and whether its third is minor.
type Chord = (i32, bool);

const MAJOR: [[Chord; BARS]; 4] = [
    [(0, false), (5, false), (7, false), (0, false)],
    [(0, false), (9, true), (5, false), (7, false)],
    [(0, false), (2, true), (7, false), (0, false)],
    [(0, false), (0, false), (5, false), (7, false)],
];
const MINOR: [[Chord; BARS]; 4] = [
    [(0, true), (5, true), (7, true), (0, true)],
    [(0, true), (8, false), (5, true), (7, false)],
    [(0, true), (8, false), (10, false), (0, true)],
    [(0, true), (0, true), (5, true), (7, false)],
];

/// The samples of a clip: 30 s, mono, 16 bits.
pub fn render(score: &Score) -> Vec<i16> {
    let mut dice = Dice::new(score.variant, &["render"]);
    let progressions = if score.mode == Mode::Major { &MAJOR } else { &MINOR };
    let progression = *dice.pick(progressions);
    let mut mix = Loop::new(score);
    mix.drums();
    mix.bass(&progression);
    mix.chords(&progression, &mut dice);
    mix.into_clip()
}

/// Four bars; whatever rings past the end rings into the beginning.
struct Loop<'a> {
    score: &'a Score,
    pattern: Pattern,
    samples: Vec<f32>,
    step: f64,
}

/// How a note sounds.
struct Tone<'a> {
    table: &'a [f32],
    hertz: f64,
    level: f32,
    /// Seconds to full level.
    attack_s: f32,
    /// Decay a second, as an exponent.
    decay: f32,
    /// Seconds until it is cut.
    length_s: f32,
}

impl<'a> Loop<'a> {
    fn new(score: &'a Score) -> Loop<'a> {
        let beats = (BARS * score.beats_a_bar()) as f64;
        let length = beats * 60.0 / score.bpm * f64::from(SAMPLE_RATE);
        let pattern = pattern(score.style);
        // The grid divides the rounded length, so that the repeated bars stay on one tempo.
        let step = length.round() / (beats * pattern.steps_a_beat as f64);
        Loop { score, pattern, samples: vec![0.0; length.round().max(1.0) as usize], step }
    }

    fn steps_a_bar(&self) -> usize {
        self.pattern.steps_a_beat * self.score.beats_a_bar()
    }

    /// First samples and levels of a pattern's strokes within one bar.
    fn strokes(&self, bar: usize, line: &str) -> Vec<(usize, f32)> {
        let first = bar * self.steps_a_bar();
        line.bytes()
            .enumerate()
            .filter_map(|(step, stroke)| {
                let level = match stroke {
                    b'x' => 1.0,
                    b'o' => 0.5,
                    _ => return None,
                };
                Some((((first + step) as f64 * self.step).round() as usize, level))
            })
            .collect()
    }

    fn drums(&mut self) {
        let loudness = if self.score.style == Style::Ambient { 0.35 } else { 1.0 };
        let lines: [(&str, &[f32], f32); 4] = [
            (self.pattern.kick, &KIT.kick, 0.9),
            (self.pattern.snare, &KIT.snare, 0.55),
            (self.pattern.hat, &KIT.hat, 0.28),
            (self.pattern.ride, &KIT.ride, 0.25),
        ];
        for (line, sound, level) in lines {
            for bar in 0..BARS {
                for (start, stroke) in self.strokes(bar, line) {
                    self.add(start, sound.iter().map(|sample| sample * level * stroke * loudness));
                }
            }
        }
    }

    fn add(&mut self, start: usize, sound: impl Iterator<Item = f32>) {
        let length = self.samples.len();
        let mut at = start % length;
        for sample in sound {
            self.samples[at] += sample;
            at += 1;
            if at == length {
                at = 0;
            }
        }
    }

    fn bass(&mut self, progression: &[Chord; BARS]) {
        for (bar, (root, _)) in progression.iter().enumerate() {
            let strokes = self.strokes(bar, self.pattern.bass);
            for (count, (start, level)) in strokes.into_iter().enumerate() {
                // A walking bass goes up to the fifth and back.
                let walk = if self.score.style == Style::Swing { [0, 7, 12, 7][count % 4] } else { 0 };
                let hertz = pitch(36 + self.score.tonic as i32 + root + walk);
                let long = self.score.style == Style::Ambient;
                let (decay, length_s) = if long { (0.6, 3.0) } else { (5.0, 0.45) };
                self.note(start, &Tone { table: &BASS, hertz, level: 0.42 * level, attack_s: 0.004, decay, length_s });
            }
        }
    }

    fn chords(&mut self, progression: &[Chord; BARS], dice: &mut Dice) {
        let table: &[f32] = if dice.happens(0.5) { &KEYS } else { &REED };
        let (attack_s, decay, length_s) = match self.score.style {
            Style::Ambient => (0.5, 0.3, 4.5),
            Style::Pop | Style::HipHop | Style::Breaks => (0.03, 0.8, 1.9),
            Style::Rock | Style::Metal => (0.005, 1.8, 0.9),
            _ => (0.004, 5.0, 0.5),
        };
        for (bar, (root, minor)) in progression.iter().enumerate() {
            for (start, level) in self.strokes(bar, self.pattern.chords) {
                for third in [0, if *minor { 3 } else { 4 }, 7] {
                    let hertz = pitch(60 + (self.score.tonic as i32 + root) % 12 + third);
                    self.note(start, &Tone { table, hertz, level: 0.16 * level, attack_s, decay, length_s });
                }
            }
        }
    }

    fn note(&mut self, start: usize, tone: &Tone<'_>) {
        let rate = SAMPLE_RATE as f32;
        let increment = tone.hertz / f64::from(SAMPLE_RATE) * TABLE as f64;
        let fade = (-tone.decay / rate).exp();
        let rise = 1.0 / (tone.attack_s * rate).max(1.0);
        let count = (tone.length_s * rate) as usize;
        let release = (0.02 * rate) as usize;
        let (mut phase, mut level, mut gate) = (0.0_f64, tone.level, 0.0_f32);
        let notes = (0..count).map(|sample| {
            let value = tone.table[phase as usize & (TABLE - 1)] * level * gate.min(1.0);
            phase += increment;
            level *= fade;
            gate += rise;
            let left = count - sample;
            if left < release { value * left as f32 / release as f32 } else { value }
        });
        self.add(start, notes);
    }

    fn into_clip(self) -> Vec<i16> {
        let peak = self.samples.iter().fold(1e-3_f32, |peak, sample| peak.max(sample.abs()));
        let scale = 0.85 * f32::from(i16::MAX) / peak;
        let once: Vec<i16> = self.samples.iter().map(|sample| (sample * scale) as i16).collect();
        once.iter().copied().cycle().take(CLIP_SAMPLES).collect()
    }
}

/// Hertz of a MIDI note number.
fn pitch(note: i32) -> f64 {
    440.0 * ((f64::from(note) - 69.0) / 12.0).exp2()
}
