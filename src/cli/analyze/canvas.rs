//! Where a picture is drawn: SVG or pixels, behind one set of strokes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::font;

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// A place and a size, in pixels from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// Which end of a text is at its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The strokes a plot needs.
pub(super) trait Canvas {
    fn rectangle(&mut self, area: Area, colour: Colour);
    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour);
    fn polyline(&mut self, points: &[(f64, f64)], colour: Colour) {
        for pair in points.windows(2) {
            self.line(pair[0], pair[1], colour);
        }
    }
    /// `y` is the base line.
    fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str, colour: Colour);
    /// Pixels in rows from the top, stretched over the area.
    fn image(&mut self, area: Area, width: usize, pixels: &[Colour]);
}

/// Scalable vector graphics, as text.
pub(super) struct Svg {
    body: String,
    size: (usize, usize),
}

impl Svg {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Svg { body: String::new(), size: (width, height) }
    }

    pub(super) fn finish(self) -> String {
        let (width, height) = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n{}</svg>\n",
            self.body
        )
    }
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_in_xml(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What XML 1.0 allows, not even escaped anything else.
fn is_in_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

impl Canvas for Svg {
    fn rectangle(&mut self, a: Area, colour: Colour) {
        let Area { x, y, width, height } = a;
        let fill = hex(colour);
        self.body +=
            &format!("<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{fill}\"/>\n");
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.polyline(&[from, to], colour);
    }

    fn polyline(&mut self, points: &[(f64, f64)], colour: Colour) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
        let stroke = hex(colour);
        self.body += &format!("<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\"/>\n", points.join(" "));
    }

    fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str, colour: Colour) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (text, fill) = (escaped(text), hex(colour));
        self.body += &format!("<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{text}</text>\n");
    }

    fn image(&mut self, a: Area, width: usize, pixels: &[Colour]) {
        let Ok(png) = encode_png(width, pixels) else { return };
        self.body += &format!(
            "<image x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" preserveAspectRatio=\"none\" \
             href=\"data:image/png;base64,{}\"/>\n",
            a.x,
            a.y,
            a.width,
            a.height,
            STANDARD.encode(png)
        );
    }
}

/// Pixels, as PNG.
pub(super) struct Raster {
    width: usize,
    pixels: Vec<Colour>,
}

impl Raster {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Raster { width, pixels: vec![[255; 3]; width * height] }
    }

    pub(super) fn finish(&self) -> anyhow::Result<Vec<u8>> {
        encode_png(self.width, &self.pixels)
    }

    fn set(&mut self, x: f64, y: f64, colour: Colour) {
        let inside = x >= 0.0 && y >= 0.0 && (x as usize) < self.width;
        if inside && let Some(pixel) = self.pixels.get_mut(y as usize * self.width + x as usize) {
            *pixel = colour;
        }
    }

    fn each_pixel(a: Area) -> impl Iterator<Item = (usize, usize)> {
        let (x0, x1) = (a.x.max(0.0).round() as usize, (a.x + a.width).max(0.0).round() as usize);
        let (y0, y1) = (a.y.max(0.0).round() as usize, (a.y + a.height).max(0.0).round() as usize);
        (y0..y1).flat_map(move |y| (x0..x1).map(move |x| (x, y)))
    }
}

impl Canvas for Raster {
    fn rectangle(&mut self, area: Area, colour: Colour) {
        for (x, y) in Raster::each_pixel(area) {
            self.set(x as f64, y as f64, colour);
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let part = step as f64 / steps;
            self.set(from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part, colour);
        }
    }

    fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str, colour: Colour) {
        let width = (text.chars().count() * font::ADVANCE) as f64;
        let start = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        for (index, character) in text.chars().enumerate() {
            for (column, row) in font::dots(character) {
                let dot_x = start.round() + (index * font::ADVANCE + column) as f64;
                self.set(dot_x, y.round() - (font::HEIGHT - row) as f64, colour);
            }
        }
    }

    fn image(&mut self, area: Area, width: usize, pixels: &[Colour]) {
        let height = pixels.len() / width.max(1);
        for (x, y) in Raster::each_pixel(area) {
            let column = ((x as f64 + 0.5 - area.x) / area.width * width as f64) as usize;
            let row = ((y as f64 + 0.5 - area.y) / area.height * height as f64) as usize;
            if let Some(&colour) = pixels.get(row.min(height.saturating_sub(1)) * width + column.min(width.saturating_sub(1))) {
                self.set(x as f64, y as f64, colour);
            }
        }
    }
}

fn encode_png(width: usize, pixels: &[Colour]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let height = pixels.len() / width.max(1);
    let mut encoder = png::Encoder::new(&mut bytes, u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels.as_flattened())?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_svg_has_no_character_that_xml_forbids() {
        let mut svg = Svg::new(10, 10);
        svg.text(0.0, 0.0, Anchor::Start, "a\u{0}b\u{1b}c\u{ffff}d<\u{1d11e}ü", [0; 3]);
        assert!(svg.finish().contains(">a\u{fffd}b\u{fffd}c\u{fffd}d&lt;\u{1d11e}ü</text>"));
    }
}
