//! Seeded chance: the same seed gives the same decisions on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of decisions.
#[derive(Debug)]
pub struct Chance {
    rng: ChaCha8Rng,
}

impl Chance {
    /// The stream number `stream` of `seed`: streams of one seed do not disturb each other.
    pub fn new(seed: u64, stream: u64) -> Chance {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Chance { rng }
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    /// From 0 to below `limit`; 0 if there is nothing below.
    pub fn below(&mut self, limit: usize) -> usize {
        self.rng.random_range(0..limit.max(1))
    }

    /// From `low` to below `high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..high)
    }

    /// From 0 to below 1, in steps of a thousandth: short texts in a dump.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.rng.random_range(0..1_000_u32)) / 1_000.0
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[self.below(choices.len())]
    }

    /// `Some` three times in four.
    pub fn maybe<T>(&mut self, make: impl FnOnce(&mut Chance) -> T) -> Option<T> {
        if self.percent(75) { Some(make(self)) } else { None }
    }
}
