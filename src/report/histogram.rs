//! How values are spread: counts in bins of one width, and what can be said from them.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts of values in bins of one width. Only bins that hold something take memory; there are never more than asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    lo: f64,
    step: f64,
    last: u32,
    counts: BTreeMap<u32, u64>,
    known: u64,
    least: f64,
    most: f64,
}

/// Bins in a bar, the first one that leaves more than `ENOUGH` bars; at least 1.
const WIDTHS: [u32; 4] = [10, 5, 2, 1];
const ENOUGH: u32 = 11;

/// A bar: `tracks` values from `from` on, up to but without `to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Lower edge, in the unit of the figure.
    pub from: f64,
    /// Upper edge.
    pub to: f64,
    /// How many tracks.
    pub tracks: u64,
}

/// How the known values of a figure are spread. All in its unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// Of how many tracks the value is known.
    pub known: u64,
    /// The smallest value.
    pub least: f64,
    /// A quarter of the tracks is below; right within the finest bar's width, as the next two.
    pub lower_quartile: f64,
    /// Half of the tracks is below.
    pub median: f64,
    /// Three quarters of the tracks are below.
    pub upper_quartile: f64,
    /// The largest value.
    pub most: f64,
    /// The bars from the first to the last that holds a track. What lies outside the figure's range is in the outermost ones.
    pub bins: Vec<Bin>,
}

impl Histogram {
    /// `bins` bins of the width `step` from `lo` on.
    pub(super) fn new(lo: f64, step: f64, bins: u32) -> Histogram {
        let (least, most) = (f64::INFINITY, f64::NEG_INFINITY);
        Histogram { lo, step, last: bins.saturating_sub(1), counts: BTreeMap::new(), known: 0, least, most }
    }

    /// Values outside of the range count in the outermost bins; NaN counts nowhere.
    pub(super) fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        // `as` saturates: below is bin 0.
        let bin = (((value - self.lo) / self.step).floor() as u32).min(self.last);
        *self.counts.entry(bin).or_default() += 1;
        self.known += 1;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// The value below which the share `q` lies, as numpy's `quantile` defines it. Within a bin the values count as evenly
    /// spread, so the answer is at most a bin's width from the true one. `None`: nothing known.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let place = self.known.checked_sub(1)? as f64 * q.clamp(0.0, 1.0);
        let (below, above) = (self.ranked(place.floor() as u64)?, self.ranked(place.ceil() as u64)?);
        Some(below + (above - below) * place.fract())
    }

    /// About the value with `rank` smaller ones.
    fn ranked(&self, rank: u64) -> Option<f64> {
        let mut before = 0;
        for (bin, count) in &self.counts {
            if rank < before + count {
                let within = ((rank - before) as f64 + 0.5) / *count as f64;
                return Some((self.lo + (f64::from(*bin) + within) * self.step).clamp(self.least, self.most));
            }
            before += count;
        }
        None
    }

    /// Bins in a bar: as many as leave enough bars to see a shape.
    fn width(&self) -> Option<u32> {
        let (first, last) = (self.counts.first_key_value()?.0, self.counts.last_key_value()?.0);
        Some(WIDTHS.into_iter().find(|width| last / width - first / width >= ENOUGH).unwrap_or(1))
    }

    /// The spread. `None`: nothing known.
    pub(super) fn spread(&self) -> Option<Spread> {
        let width = self.width()?;
        let mut bars: BTreeMap<u32, u64> = BTreeMap::new();
        for (bin, count) in &self.counts {
            *bars.entry(bin / width).or_default() += count;
        }
        let (first, last) = (*bars.first_key_value()?.0, *bars.last_key_value()?.0);
        let edge = |bar: u32| tidy(self.lo + f64::from(bar) * self.step * f64::from(width));
        let bins = (first..=last)
            .map(|bar| Bin { from: edge(bar), to: edge(bar + 1), tracks: bars.get(&bar).copied().unwrap_or_default() })
            .collect();
        Some(Spread {
            known: self.known,
            least: self.least,
            lower_quartile: self.quantile(0.25)?,
            median: self.quantile(0.5)?,
            upper_quartile: self.quantile(0.75)?,
            most: self.most,
            bins,
        })
    }
}

/// 0.15000000000000002 is 0.15.
fn tidy(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::new(-10.0, 0.5, 60);
        values.iter().for_each(|value| histogram.add(*value));
        histogram
    }

    fn true_quantile(values: &[f64], q: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() - 1) as f64 * q;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }

    proptest! {
        #[test]
        fn bars_add_up_to_what_is_known_whatever_the_values(values in prop::collection::vec(any::<f64>(), 0..200)) {
            let histogram = filled(&values);
            let numbers = values.iter().filter(|value| !value.is_nan()).count() as u64;
            prop_assert_eq!(histogram.known(), numbers);
            let spread = histogram.spread();
            prop_assert_eq!(spread.is_some(), numbers > 0);
            if let Some(spread) = spread {
                prop_assert_eq!(spread.bins.iter().map(|bin| bin.tracks).sum::<u64>(), numbers);
                prop_assert!(spread.bins.len() <= 60);
                prop_assert!(spread.bins.windows(2).all(|pair| pair[0].to == pair[1].from));
            }
        }

        #[test]
        fn quantiles_are_within_a_bin_of_the_true_ones(values in prop::collection::vec(-10.0..20.0_f64, 1..200), q in 0.0..=1.0_f64) {
            let found = filled(&values).quantile(q).expect("something is known");
            let truth = true_quantile(&values, q);
            prop_assert!((found - truth).abs() <= 0.5 + 1e-9, "{} for {}", found, truth);
        }

        #[test]
        fn each_value_is_in_the_bar_whose_edges_hold_it(value in -10.0..19.9_f64) {
            let spread = filled(&[value]).spread().expect("one value");
            let bar = spread.bins[0];
            prop_assert!(spread.bins.len() == 1 && bar.from <= value + 1e-9 && value < bar.to + 1e-9, "{:?}", bar);
            prop_assert_eq!((spread.least, spread.median, spread.most), (value, value, value));
        }
    }
}
