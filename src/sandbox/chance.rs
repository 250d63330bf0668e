//! Chance without state: every draw is a function of the seed and of what is drawn for.
//!
//! The sandbox must give the same catalogue and the same faults whatever the order of calls, so nothing draws from a
//! shared generator. A [`Dice`] is made for one purpose, named by its parts, and thrown away.

use sha2::{Digest, Sha256};

/// A number for these parts: FNV-1a over the bytes, finished with SplitMix64 so that near inputs fall far apart.
pub fn mix(seed: u64, parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    finish(hash)
}

fn finish(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A number in 0..1 for these parts.
pub fn unit(seed: u64, parts: &[&str]) -> f64 {
    to_unit(mix(seed, parts))
}

fn to_unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1_u64 << 53) as f64
}

/// A short run of draws for one purpose.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Dice for the purpose that `parts` name.
    pub fn new(seed: u64, parts: &[&str]) -> Dice {
        Dice { state: mix(seed, parts) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        finish(self.state)
    }

    /// 0..1.
    pub fn unit(&mut self) -> f64 {
        to_unit(self.next())
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// 0..`bound`; 0 for an empty range.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    /// `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low).max(0).unsigned_abs().saturating_add(1)) as i64
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// One of a list by weight; the last entry if the weights are all zero.
    pub fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let total: u32 = choices.iter().map(|(weight, _)| weight).sum();
        let mut point = self.below(total.max(1) as usize) as u32;
        for (weight, choice) in choices {
            if point < *weight {
                return *choice;
            }
            point -= weight;
        }
        choices[choices.len() - 1].1
    }
}

const BASE62: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// 22 base62 characters, as Spotify's ids are.
pub fn base62_id(seed: u64, parts: &[&str]) -> String {
    let mut dice = Dice::new(seed, parts);
    (0..22).map(|_| char::from(*dice.pick(BASE62))).collect()
}

/// A UUID, as MusicBrainz' ids are.
pub fn uuid(seed: u64, parts: &[&str]) -> String {
    let (high, low) = (mix(seed, parts), mix(seed ^ 1, parts));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    format!("{a:08x}-{b:04x}-4{c:03x}-a{:03x}-{:012x}", low >> 52, low & 0xffff_ffff_ffff)
}

/// `digits` hexadecimal digits, at most 64.
pub fn hex(seed: u64, parts: &[&str], digits: usize) -> String {
    let mut digest = Sha256::new();
    digest.update(mix(seed, parts).to_le_bytes());
    let text: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    text.chars().take(digits).collect()
}
