//! A picture of one clip: waveform, spectrogram, onsets with beats, chroma, above one another on one time axis.

use std::fs;
use std::path::Path;

use super::canvas::{Anchor, Area, Canvas, Colour, Raster, Svg};
use crate::cli::Usage;
use crate::dsp::{Portrait, TONICS};

const WIDTH: usize = 1_200;
const HEIGHT: usize = 860;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
/// Decibels below the loudest cell at which the spectrogram is black.
const DARKEST_DB: f32 = -80.0;

const INK: Colour = [40, 40, 48];
const FAINT: Colour = [215, 218, 224];
const WAVE: Colour = [46, 96, 160];
const ONSETS: Colour = [70, 78, 90];
const BEATS: Colour = [240, 130, 60];
const PANEL: Colour = [247, 248, 250];

/// Colours from quiet to loud, equally apart in brightness (after matplotlib's magma).
const HEAT: [Colour; 9] = [
    [0, 0, 4],
    [29, 17, 71],
    [81, 18, 124],
    [131, 38, 129],
    [183, 55, 121],
    [230, 81, 100],
    [252, 137, 97],
    [254, 196, 136],
    [252, 253, 191],
];

/// Says before hours of work that the target is of no known kind.
pub(super) fn check_target(target: &Path) -> anyhow::Result<()> {
    match kind(target).as_deref() {
        Some("svg" | "png") => Ok(()),
        _ => {
            let found = target.display();
            Err(Usage(format!("--plot: found {found}, expected a name that ends in .svg or .png")).into())
        }
    }
}

fn kind(target: &Path) -> Option<String> {
    target.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase)
}

/// Draws and writes the file.
pub(super) fn draw(portrait: &Portrait, title: &str, target: &Path) -> anyhow::Result<()> {
    if kind(target).as_deref() == Some("png") {
        let mut raster = Raster::new(WIDTH, HEIGHT);
        compose(&mut raster, portrait, title);
        fs::write(target, raster.finish()?)?;
    } else {
        let mut svg = Svg::new(WIDTH, HEIGHT);
        compose(&mut svg, portrait, title);
        fs::write(target, svg.finish())?;
    }
    Ok(())
}

fn compose(canvas: &mut dyn Canvas, portrait: &Portrait, title: &str) {
    canvas.rectangle(Area { x: 0.0, y: 0.0, width: WIDTH as f64, height: HEIGHT as f64 }, [255; 3]);
    canvas.text(LEFT, 22.0, Anchor::Start, title, INK);
    let panel = |y: f64, height: f64| Area { x: LEFT, y, width: WIDTH as f64 - LEFT - RIGHT, height };
    waveform(canvas, panel(52.0, 120.0), portrait);
    spectrogram(canvas, panel(204.0, 300.0), portrait);
    onsets(canvas, panel(536.0, 110.0), portrait);
    chroma(canvas, panel(678.0, 140.0), portrait);
    time_axis(canvas, panel(52.0, 766.0), portrait);
}

fn seconds(portrait: &Portrait) -> f64 {
    (portrait.waveform.len().max(1)) as f64 * portrait.frame_s
}

fn time_axis(canvas: &mut dyn Canvas, area: Area, portrait: &Portrait) {
    let whole = seconds(portrait);
    let step = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0].into_iter().find(|step| whole / step <= 16.0).unwrap_or(300.0);
    let bottom = area.y + area.height;
    for tick in 0..=(whole / step) as usize {
        let x = area.x + tick as f64 * step / whole * area.width;
        canvas.line((x, bottom), (x, bottom + 5.0), INK);
        let label = if step < 1.0 { format!("{:.1}", tick as f64 * step) } else { format!("{:.0}", tick as f64 * step) };
        canvas.text(x, bottom + 19.0, Anchor::Middle, &label, INK);
    }
    canvas.text(area.x - 12.0, bottom + 19.0, Anchor::End, "seconds", INK);
}

fn heading(canvas: &mut dyn Canvas, area: Area, text: &str) {
    canvas.text(area.x, area.y - 7.0, Anchor::Start, text, INK);
}

fn waveform(canvas: &mut dyn Canvas, area: Area, portrait: &Portrait) {
    heading(canvas, area, "waveform");
    canvas.rectangle(area, PANEL);
    let middle = area.y + area.height / 2.0;
    for (level, label) in [(1.0, "1"), (0.0, "0"), (-1.0, "-1")] {
        let y = middle - level * area.height / 2.0;
        canvas.line((area.x, y), (area.x + area.width, y), FAINT);
        canvas.text(area.x - 6.0, y + 4.0, Anchor::End, label, INK);
    }
    let columns = area.width as usize;
    let per_column = portrait.waveform.len() as f64 / columns as f64;
    for column in 0..columns {
        let from = (column as f64 * per_column) as usize;
        let to = (((column + 1) as f64 * per_column).ceil() as usize).clamp(from + 1, portrait.waveform.len().max(from + 1));
        let frames = portrait.waveform.get(from..to).unwrap_or_default();
        let low = frames.iter().map(|frame| frame.0).fold(0.0, f32::min).max(-1.0);
        let high = frames.iter().map(|frame| frame.1).fold(0.0, f32::max).min(1.0);
        let (x, half) = (area.x + column as f64 + 0.5, area.height / 2.0);
        canvas.line((x, middle - f64::from(high) * half), (x, middle - f64::from(low) * half), WAVE);
    }
}

fn spectrogram(canvas: &mut dyn Canvas, area: Area, portrait: &Portrait) {
    heading(canvas, area, "spectrogram, Hz, 80 dB from dark to light");
    let columns = portrait.spectrogram.len();
    let rows = portrait.spectrogram.first().map_or(0, Vec::len);
    let cell = |row: usize, column: usize| heat(1.0 - portrait.spectrogram[column][rows - 1 - row] / DARKEST_DB);
    let pixels: Vec<Colour> = (0..rows).flat_map(|row| (0..columns).map(move |column| cell(row, column))).collect();
    canvas.image(area, columns, &pixels);
    let (low, high) = portrait.frequency_range_hz;
    for hz in [50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0] {
        let y = area.y + area.height * (1.0 - (hz / low).ln() / (high / low).ln());
        canvas.line((area.x - 4.0, y), (area.x, y), INK);
        canvas.text(area.x - 8.0, y + 4.0, Anchor::End, &format!("{hz:.0}"), INK);
    }
}

fn onsets(canvas: &mut dyn Canvas, area: Area, portrait: &Portrait) {
    heading(canvas, area, "onset strength, and the beats");
    canvas.rectangle(area, PANEL);
    let whole = seconds(portrait);
    for beat in &portrait.beats_s {
        let x = area.x + beat / whole * area.width;
        canvas.line((x, area.y), (x, area.y + area.height), BEATS);
    }
    let top = portrait.onset_strength.iter().copied().fold(1.0, f64::max);
    let point = |(t, strength): (usize, &f64)| {
        let x = area.x + (t + 1) as f64 * portrait.frame_s / whole * area.width;
        (x.min(area.x + area.width), area.y + area.height * (1.0 - 0.95 * strength / top))
    };
    let points: Vec<(f64, f64)> = portrait.onset_strength.iter().enumerate().map(point).collect();
    canvas.polyline(&points, ONSETS);
}

fn chroma(canvas: &mut dyn Canvas, area: Area, portrait: &Portrait) {
    heading(canvas, area, "chroma");
    let columns = portrait.chroma.len();
    let pixels: Vec<Colour> =
        (0..12).rev().flat_map(|class| portrait.chroma.iter().map(move |frame| heat(frame[class]))).collect();
    canvas.image(area, columns, &pixels);
    for (class, name) in TONICS.iter().enumerate() {
        let y = area.y + area.height * (1.0 - (class as f64 + 0.5) / 12.0);
        canvas.text(area.x - 8.0, y + 4.0, Anchor::End, &with_flat(name), INK);
    }
}

/// A note with a real flat: the font of pictures in pixels has no small letters, and `Bb` would become `BB`.
pub(super) fn with_flat(note: &str) -> String {
    note.replace('b', "♭")
}

/// The colour of a value from 0 to 1.
fn heat(value: f32) -> Colour {
    let place = value.clamp(0.0, 1.0) * (HEAT.len() - 1) as f32;
    let below = (place as usize).min(HEAT.len() - 2);
    let part = place - below as f32;
    let mix = |i: usize| f32::from(HEAT[below][i]) * (1.0 - part) + f32::from(HEAT[below + 1][i]) * part;
    [0, 1, 2].map(|i| mix(i).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_runs_from_dark_to_light_and_takes_anything() {
        assert_eq!(heat(0.0), HEAT[0]);
        assert_eq!(heat(1.0), HEAT[8]);
        assert_eq!(heat(f32::NAN), heat(f32::NAN));
        assert_eq!(heat(-5.0), HEAT[0]);
    }

    #[test]
    fn an_empty_portrait_can_be_drawn() {
        let portrait = Portrait {
            frame_s: 0.02,
            waveform: Vec::new(),
            spectrogram: Vec::new(),
            frequency_range_hz: (40.0, 10_000.0),
            onset_strength: Vec::new(),
            beats_s: Vec::new(),
            chroma: Vec::new(),
        };
        let mut svg = Svg::new(WIDTH, HEIGHT);
        compose(&mut svg, &portrait, "<nothing>");
        assert!(svg.finish().contains("&lt;nothing&gt;"));
        let mut raster = Raster::new(WIDTH, HEIGHT);
        compose(&mut raster, &portrait, "nothing");
        assert!(raster.finish().is_ok());
    }
}
