//! Pictures as text: axes and marks in a view box. Whatever the numbers are, every coordinate is finite and inside.
//!
//! Colours come from the page's style sheet by class, so that one picture serves light, dark and paper.

use std::fmt::Write as _;

use super::text::{escaped, short};

/// From numbers to places along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    lo: f64,
    hi: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// `lo` stands at `from`, `hi` at `to`; a single value stands in the middle.
    fn new((lo, hi): (f64, f64), from: f64, to: f64) -> Scale {
        let (lo, hi) = (finite(lo), finite(hi));
        let (lo, hi) = if hi > lo { (lo, hi) } else { (lo - 0.5, lo + 0.5) };
        Scale { lo, hi, from, to }
    }

    /// The place of a value; one outside stands at the edge.
    pub(super) fn at(&self, value: f64) -> f64 {
        // Halves first: the span of two huge numbers is no number.
        let share = (finite(value) / 2.0 - self.lo / 2.0) / (self.hi / 2.0 - self.lo / 2.0);
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 };
        self.from + (self.to - self.from) * share
    }
}

fn finite(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(-1e300, 1e300) }
}

/// Round numbers in `lo..=hi`, about `most` of them.
pub(super) fn ticks((lo, hi): (f64, f64), most: usize) -> Vec<f64> {
    let (lo, hi) = (finite(lo), finite(hi));
    let span = hi - lo;
    if span <= 0.0 || span < 1e-12 * lo.abs().max(hi.abs()) {
        return vec![lo];
    }
    let raw = span / most.max(1) as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= raw).unwrap_or(raw);
    if !step.is_normal() {
        return vec![lo];
    }
    let first = (lo / step).ceil();
    (0..=most + 1).map(|index| (first + index as f64) * step).take_while(|tick| *tick <= hi + step * 1e-9).collect()
}

/// A picture with two axes.
pub(super) struct Plot {
    size: (f64, f64),
    body: String,
    label: String,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

/// Space beside the drawing, for numbers.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 36.0;

impl Plot {
    /// `label` is read aloud in place of the picture.
    pub(super) fn new(size: (f64, f64), label: &str, x: (f64, f64), y: (f64, f64)) -> Plot {
        let (width, height) = size;
        let (x, y) = (Scale::new(x, LEFT, width - RIGHT), Scale::new(y, height - BOTTOM, TOP));
        Plot { size, body: String::new(), label: label.to_owned(), x, y }
    }

    /// A number as a coordinate in the box.
    fn place(&self, value: f64, across: bool) -> String {
        let most = if across { self.size.0 } else { self.size.1 };
        let value = if value.is_finite() { value.clamp(0.0, most) } else { 0.0 };
        let text = format!("{value:.1}");
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    }

    fn across(&self, value: f64) -> String {
        self.place(value, true)
    }

    fn down(&self, value: f64) -> String {
        self.place(value, false)
    }

    /// Numbers below, at these values, and the name of the axis.
    pub(super) fn below(&mut self, ticks: &[(f64, String)], name: &str) {
        let (height, width) = (self.size.1, self.size.0);
        for (value, text) in ticks {
            self.text(self.x.at(*value), height - BOTTOM + 15.0, "t m", text);
        }
        self.text((LEFT + width - RIGHT) / 2.0, height - 4.0, "t m u", name);
    }

    /// Numbers and lines from the left.
    pub(super) fn beside(&mut self, ticks: &[(f64, String)]) {
        for (value, text) in ticks {
            let y = self.y.at(*value);
            self.line((LEFT, y), (self.size.0 - RIGHT, y), "g");
            self.text(LEFT - 6.0, y + 4.0, "t e", text);
        }
    }

    /// The same for whole numbers of tracks, from 0.
    pub(super) fn beside_counts(&mut self, most: u64) {
        let values = ticks((0.0, most as f64), 4).into_iter().filter(|tick| tick.fract() == 0.0);
        let ticks: Vec<(f64, String)> = values.map(|tick| (tick, short(tick))).collect();
        self.beside(&ticks);
    }

    /// From the axis below up to `value`, between two values.
    pub(super) fn bar(&mut self, (from, to): (f64, f64), value: f64, class: &str, title: &str) {
        self.band((from, to), (f64::NEG_INFINITY, value), class, title);
    }

    /// A rectangle between two values either way.
    pub(super) fn band(&mut self, (from, to): (f64, f64), (low, high): (f64, f64), class: &str, title: &str) {
        let (x, right) = (self.x.at(from), self.x.at(to));
        let (bottom, y) = (self.y.at(low), self.y.at(high));
        let gap = if right - x > 4.0 { 1.0 } else { 0.0 };
        let (width, height) = ((right - x - gap).max(0.5), (bottom - y).max(0.0));
        let (x, y, width, height) = (self.across(x), self.down(y), self.across(width), self.down(height));
        let title = escaped(title);
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"><title>{title}</title></rect>"
        );
    }

    /// A round mark, or a square one.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), square: bool, class: &str, title: &str) {
        let (x, y) = (self.x.at(x), self.y.at(y));
        if square {
            let (x, y) = (self.across(x - 2.6), self.down(y - 2.6));
            let _ = write!(self.body, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"5.2\" height=\"5.2\">");
        } else {
            let (x, y) = (self.across(x), self.down(y));
            let _ = write!(self.body, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"3\">");
        }
        // The caller has escaped it: it may be a name.
        let _ = write!(self.body, "<title>{title}</title></{}>", if square { "rect" } else { "circle" });
    }

    /// A line through values.
    pub(super) fn through(&mut self, points: &[(f64, f64)], class: &str) {
        let places: Vec<String> =
            points.iter().map(|(x, y)| format!("{},{}", self.across(self.x.at(*x)), self.down(self.y.at(*y)))).collect();
        let _ = write!(self.body, "<polyline class=\"{class}\" points=\"{}\"/>", places.join(" "));
    }

    /// A line at a value of the axis below, with a word.
    pub(super) fn upright(&mut self, value: f64, word: &str) {
        let x = self.x.at(value);
        self.line((x, TOP), (x, self.size.1 - BOTTOM), "q");
        // Above the marks, and not beyond the edge.
        let class = match x / self.size.0 {
            share if share > 0.75 => "t e s",
            share if share < 0.25 => "t s",
            _ => "t m s",
        };
        if !word.is_empty() {
            self.text(x, TOP - 8.0, class, word);
        }
    }

    /// A line at a value of the axis beside.
    pub(super) fn level(&mut self, value: f64) {
        let y = self.y.at(value);
        self.line((LEFT, y), (self.size.0 - RIGHT, y), "q");
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (self.across(from.0), self.down(from.1), self.across(to.0), self.down(to.1));
        let _ = write!(self.body, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let (x, y, text) = (self.across(x), self.down(y), escaped(text));
        let _ = write!(self.body, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
    }

    pub(super) fn finish(self) -> String {
        picture(self.size, &self.label, &self.body)
    }
}

/// An SVG element around what is drawn.
pub(super) fn picture((width, height): (f64, f64), label: &str, body: &str) -> String {
    format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{body}</svg>", escaped(label))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The numbers of the attributes that are places.
    fn places(svg: &str, attribute: &str) -> Vec<f64> {
        let before = format!(" {attribute}=\"");
        let parts = svg.split(&before).skip(1);
        parts.map(|part| part.split('"').next().unwrap_or_default().parse().expect("a number")).collect()
    }

    fn all_inside(svg: &str) -> Result<(), String> {
        for (attributes, most) in [(["x", "x1", "x2", "cx", "width"], 200.0), (["y", "y1", "y2", "cy", "height"], 100.0)] {
            for attribute in attributes {
                for place in places(svg, attribute) {
                    if !(place.is_finite() && (0.0..=most).contains(&place)) {
                        return Err(format!("{attribute}={place}: {svg}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>(),
            Just(f64::MAX),
            Just(f64::MIN),
            Just(f64::MIN_POSITIVE),
            Just(0.0),
            Just(f64::NAN),
            -5.0..5.0_f64
        ]
    }

    proptest! {
        #[test]
        fn every_mark_is_inside_whatever_the_values(range in (number(), number(), number(), number()), values in prop::collection::vec((number(), number()), 1..20)) {
            let mut plot = Plot::new((200.0, 100.0), "label", (range.0, range.1), (range.2, range.3));
            let below: Vec<(f64, String)> = ticks((range.0, range.1), 5).into_iter().map(|tick| (tick, short(tick))).collect();
            prop_assert!(below.len() <= 7 && below.iter().all(|(tick, _)| tick.is_finite()), "{:?}", below);
            plot.below(&below, "x");
            plot.beside(&below);
            for (x, y) in &values {
                plot.bar((*x, *y), *y, "b", "bar");
                plot.band((*x, *y), (*x, *y), "b", "band");
                plot.dot((*x, *y), false, "d", "dot");
                plot.dot((*x, *y), true, "d", "dot");
                plot.upright(*x, "median");
                plot.level(*y);
            }
            plot.through(&values, "l");
            let svg = plot.finish();
            prop_assert!(all_inside(&svg).is_ok(), "{:?}", all_inside(&svg));
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
        }

        #[test]
        fn ticks_are_round_and_in_their_range(lo in -1e6..1e6_f64, span in 1e-3..1e6_f64) {
            let found = ticks((lo, lo + span), 5);
            prop_assert!((1..=7).contains(&found.len()), "{:?}", found);
            prop_assert!(found.iter().all(|tick| *tick >= lo - 1e-9 * span && *tick <= lo + span * 1.001), "{:?}", found);
        }
    }

    #[test]
    fn equal_values_stand_in_the_middle() {
        let plot = Plot::new((200.0, 100.0), "label", (7.0, 7.0), (7.0, 7.0));
        assert_eq!((plot.x.at(7.0), plot.y.at(7.0)), ((LEFT + 200.0 - RIGHT) / 2.0, (100.0 - BOTTOM + TOP) / 2.0));
    }
}
