//! Drum sounds, made once, and the patterns of each style.

use std::sync::LazyLock;

use super::super::chance::Dice;
use super::score::Style;
use super::synth::SAMPLE_RATE;

/// Drum sounds at the clip's sample rate.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) kick: Vec<f32>,
    pub(super) snare: Vec<f32>,
    pub(super) hat: Vec<f32>,
    pub(super) ride: Vec<f32>,
}

pub(super) static KIT: LazyLock<Kit> = LazyLock::new(|| Kit {
    kick: kick(),
    snare: snare(),
    hat: noise_burst(0.05, 60.0, "hat"),
    ride: noise_burst(0.22, 16.0, "ride"),
});

/// One bar of a style: a character a step, `x` loud, `o` soft.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Steps in a beat.
    pub(super) steps_a_beat: usize,
    pub(super) kick: &'static str,
    pub(super) snare: &'static str,
    pub(super) hat: &'static str,
    pub(super) ride: &'static str,
    pub(super) bass: &'static str,
    pub(super) chords: &'static str,
}

const fn bar(
    steps_a_beat: usize,
    [kick, snare, hat, ride]: [&'static str; 4],
    bass: &'static str,
    chords: &'static str,
) -> Pattern {
    Pattern { steps_a_beat, kick, snare, hat, ride, bass, chords }
}

/// The bar of a style.
pub(super) fn pattern(style: Style) -> Pattern {
    match style {
        Style::Rock => {
            bar(4, ["x.....x.x.......", "....x.......x...", "x.o.x.o.x.o.x.o.", ""], "x.x.x.x.x.x.x.x.", "x.......x.......")
        }
        Style::Pop => {
            bar(4, ["x.......x.x.....", "....x.......x...", "o.x.o.x.o.x.o.x.", ""], "x..x..x.x..x..x.", "x...............")
        }
        Style::Swing => bar(3, ["o.....o.....", "", "...x.....x..", "x..x.xx..x.x"], "x..x..x..x..", "x....x......"),
        Style::House => {
            bar(4, ["x...x...x...x...", "....o.......o...", "..x...x...x...x.", ""], "..x...x...x...x.", "x.....x....x....")
        }
        Style::HipHop => {
            bar(4, ["x..o....x.x.....", "....x.......x...", "x.x.x.x.x.x.x.xo", ""], "x.......x.x.....", "x...............")
        }
        Style::Folk => bar(4, ["", "", "o.o.x.o.o.o.x.o.", ""], "x.......x.......", "x...o.o.x...o.o."),
        Style::Metal => {
            bar(4, ["xxxxxxxxxxxxxxxx", "....x.......x...", "", "x...x...x...x..."], "x.xxx.xxx.xxx.xx", "x...x...x...x...")
        }
        Style::Funk => {
            bar(4, ["x..x......x..x..", "....x..o.o..x...", "xoxoxoxoxoxoxoxo", ""], "x..x..x...x..x..", "....x.o.....x.o.")
        }
        Style::Ambient => bar(4, ["o.......o.......", "", "....o.......o...", ""], "x...............", "x..............."),
        Style::Reggae => {
            bar(4, ["........x.......", "........x.......", "x...x...x...x...", ""], "x.....x.x..x....", "....x.......x...")
        }
        Style::Breaks => {
            bar(4, ["x.........x.....", "....x..o.o..x..o", "x.x.x.x.x.x.x.x.", ""], "x.....x...x.....", "x...............")
        }
        Style::Waltz => bar(4, ["x...........", "", "....o...o...", ""], "x...........", "....x...x..."),
    }
}

fn seconds(samples: usize) -> f32 {
    samples as f32 / SAMPLE_RATE as f32
}

fn kick() -> Vec<f32> {
    let mut phase = 0.0_f32;
    (0..SAMPLE_RATE as usize / 4)
        .map(|sample| {
            let time = seconds(sample);
            phase += (48.0 + 110.0 * (-time * 32.0).exp()) / SAMPLE_RATE as f32;
            (phase * std::f32::consts::TAU).sin() * (-time * 13.0).exp()
        })
        .collect()
}

fn snare() -> Vec<f32> {
    let mut dice = Dice::new(0, &["snare"]);
    (0..SAMPLE_RATE as usize / 5)
        .map(|sample| {
            let time = seconds(sample);
            let tone = (time * 190.0 * std::f32::consts::TAU).sin() * (-time * 30.0).exp();
            0.5 * tone + 0.7 * (dice.unit() as f32 * 2.0 - 1.0) * (-time * 22.0).exp()
        })
        .collect()
}

/// Differentiated noise: bright, as metal is.
fn noise_burst(length_s: f32, decay: f32, name: &str) -> Vec<f32> {
    let mut dice = Dice::new(0, &[name]);
    let mut last = 0.0_f32;
    (0..(length_s * SAMPLE_RATE as f32) as usize)
        .map(|sample| {
            let noise = dice.unit() as f32 * 2.0 - 1.0;
            let bright = noise - last;
            last = noise;
            0.5 * bright * (-seconds(sample) * decay).exp()
        })
        .collect()
}
