//! Correlation, exactly: the sums are whole numbers, so neither the order of the rows nor their number rounds anything away.

/// Sums over the rows where two figures are both known, each as a whole number of its range's 2^36th parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CoMoments {
    n: i128,
    x: i128,
    y: i128,
    xx: i128,
    yy: i128,
    xy: i128,
}

/// Where a value stands in its range `lo..=hi`, from 0 to 2^36; values outside count as its ends. 36 bits leave room for the
/// products of 2^27 rows, and are finer than any of the figures is measured.
pub(super) fn place(value: f64, (lo, hi): (f64, f64)) -> i64 {
    const PARTS: f64 = (1_u64 << 36) as f64;
    ((value - lo) / (hi - lo) * PARTS).round().clamp(0.0, PARTS) as i64
}

impl CoMoments {
    /// Another row, by the places of its two values.
    pub(super) fn add(&mut self, x: i64, y: i64) {
        let (x, y) = (i128::from(x), i128::from(y));
        self.n += 1;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.yy += y * y;
        self.xy += x * y;
    }

    /// Rows.
    pub(super) fn known(&self) -> u64 {
        u64::try_from(self.n).unwrap_or_default()
    }

    /// Pearson's correlation, -1 to 1. `None`: fewer than three rows, or one of the figures is the same in all.
    pub(super) fn correlation(&self) -> Option<f64> {
        if self.n < 3 {
            return None;
        }
        let moment = |product: i128, a: i128, b: i128| self.n.checked_mul(product)?.checked_sub(a.checked_mul(b)?);
        let both = moment(self.xy, self.x, self.y)?;
        let (x, y) = (moment(self.xx, self.x, self.x)?, moment(self.yy, self.y, self.y)?);
        if x <= 0 || y <= 0 {
            return None;
        }
        Some((both as f64 / (x as f64).sqrt() / (y as f64).sqrt()).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANGE: (f64, f64) = (-50.0, 150.0);

    fn summed(pairs: &[(f64, f64)]) -> CoMoments {
        let mut sums = CoMoments::default();
        pairs.iter().for_each(|(x, y)| sums.add(place(*x, RANGE), place(*y, RANGE)));
        sums
    }

    /// As a textbook has it.
    fn straightforward(pairs: &[(f64, f64)]) -> f64 {
        let n = pairs.len() as f64;
        let (mx, my) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
        let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
        let both = sum(&|p| (p.0 - mx) * (p.1 - my));
        both / (sum(&|p| (p.0 - mx).powi(2)) * sum(&|p| (p.1 - my).powi(2))).sqrt()
    }

    proptest! {
        #[test]
        fn the_correlation_is_the_straightforward_one(mut pairs in prop::collection::vec((-50.0..150.0_f64, -50.0..150.0_f64), 1..100)) {
            // Two pairs far apart: neither figure is the same in all rows.
            pairs.extend([(0.0, 3.0), (100.0, 80.0)]);
            let found = summed(&pairs).correlation().expect("both vary");
            prop_assert!((found - straightforward(&pairs)).abs() < 1e-9, "{} for {}", found, straightforward(&pairs));
        }

        #[test]
        fn the_order_of_rows_makes_no_difference_at_all(pairs in prop::collection::vec((any::<f64>(), any::<f64>()), 0..50)) {
            let mut turned = pairs.clone();
            turned.reverse();
            prop_assert_eq!(summed(&pairs), summed(&turned));
        }
    }

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        assert_eq!(summed(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]).correlation(), None);
        assert_eq!(summed(&[(1.0, 1.0), (2.0, 2.0)]).correlation(), None, "two points are always on a line");
        assert_eq!(summed(&[(1.0, -1.0), (2.0, -2.0), (3.0, -3.0)]).correlation(), Some(-1.0));
    }

    #[test]
    fn a_hundred_million_rows_at_the_far_end_do_not_overflow() {
        let mut sums = summed(&[(150.0, 150.0), (-50.0, -50.0), (150.0, 149.0)]);
        for _ in 0..25 {
            let CoMoments { n, x, y, xx, yy, xy } = sums;
            sums = CoMoments { n: n * 2, x: x * 2, y: y * 2, xx: xx * 2, yy: yy * 2, xy: xy * 2 };
        }
        assert_eq!(sums.known(), 3 << 25);
        assert!(sums.correlation().is_some_and(|r| r > 0.99), "{sums:?}");
    }
}
