//! What happens when: a function of the seed alone.

use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Something bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `kill -9` of an instance; a fresh one takes its place at once.
    KillInstance,
    /// An instance stands still for this long: other instances take over, and it comes back as a zombie.
    FreezeInstance(Duration),
    /// One instance more, or a kind stop of one.
    Scale,
    /// `kill -9` of the broker; it is started again after this long.
    KillBroker(Duration),
    /// The broker stands still for this long.
    FreezeBroker(Duration),
    /// `kill -9` of the database; it is started again after this long.
    KillDatabase(Duration),
    /// The database stands still for this long.
    FreezeDatabase(Duration),
}

/// Kills of instances in a bag of events, beside one of each other kind: ten minutes make more than 50 kills and 5 outages of each server.
const KILLS: usize = 9;

/// See the module.
pub struct Plan {
    chance: ChaCha8Rng,
    bag: Vec<Event>,
    bags: usize,
}

impl Plan {
    pub fn new(seed: u64) -> Plan {
        Plan { chance: ChaCha8Rng::seed_from_u64(seed), bag: Vec::new(), bags: 0 }
    }

    /// The next event, and how long after the one before.
    pub fn next(&mut self) -> (Duration, Event) {
        if self.bag.is_empty() {
            self.fill();
        }
        let event = self.bag.pop().unwrap_or(Event::KillInstance);
        (self.milliseconds(3_500, 7_500), event)
    }

    /// One of `count`.
    pub fn pick(&mut self, count: usize) -> usize {
        self.chance.random_range(0..count.max(1))
    }

    fn fill(&mut self) {
        let frozen_server = if self.bags.is_multiple_of(2) {
            Event::FreezeBroker(self.milliseconds(1_000, 8_000))
        } else {
            Event::FreezeDatabase(self.milliseconds(1_000, 8_000))
        };
        self.bags += 1;
        let others = [
            Event::KillBroker(self.milliseconds(500, 4_000)),
            Event::KillDatabase(self.milliseconds(500, 4_000)),
            // Longer than a session: the group goes on without it.
            Event::FreezeInstance(self.milliseconds(2_000, 16_000)),
            Event::Scale,
            frozen_server,
        ];
        self.bag = vec![Event::KillInstance; KILLS];
        self.bag.extend(others);
        self.bag.shuffle(&mut self.chance);
    }

    fn milliseconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.chance.random_range(least..=most))
    }
}
