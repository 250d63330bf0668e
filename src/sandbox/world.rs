//! What every stand-in answers from: the catalogue, its index, and how things stand at the moment of a call.

use super::catalogue::{Catalogue, Recording, Size, Track};
use super::chance;
use super::index::Index;
use super::options::{SandboxOptions, Switches};

/// What never changes while a sandbox runs.
#[derive(Debug)]
pub struct World {
    /// Artists, recordings, albums, tracks.
    pub catalogue: Catalogue,
    /// The words in them.
    pub index: Index,
}

impl World {
    /// The world of a seed.
    pub fn build(options: &SandboxOptions) -> World {
        let size = Size { artists: options.artists.max(2), tracks: options.tracks.max(1) };
        let catalogue = Catalogue::build(options.seed, size);
        World { index: Index::build(&catalogue), catalogue }
    }
}

/// What a stand-in knows when it answers.
#[derive(Debug, Clone, Copy)]
pub struct Stand<'a> {
    /// The world.
    pub world: &'a World,
    /// The switches.
    pub switches: &'a Switches,
    /// Where the sandbox listens, such as `http://127.0.0.1:8080`.
    pub base_url: &'a str,
    /// Seconds since the Unix epoch.
    pub unix_s: u64,
}

impl<'a> Stand<'a> {
    /// The catalogue.
    pub fn catalogue(&self) -> &'a Catalogue {
        &self.world.catalogue
    }

    /// Whether a provider's link to a recording's clip is dead for good. `spotify` stands for the embed page, too.
    pub fn is_dead(&self, provider: &str, recording: usize) -> bool {
        is_dead(self.catalogue().seed, self.switches, provider, recording)
    }

    /// A track and its recording.
    pub fn release(&self, track: usize) -> (&'a Track, &'a Recording) {
        let track = &self.catalogue().tracks[track];
        (track, self.catalogue().recording(track))
    }
}

/// See [`Stand::is_dead`].
pub fn is_dead(seed: u64, switches: &Switches, provider: &str, recording: usize) -> bool {
    chance::unit(seed, &["dead", provider, &recording.to_string()]) < switches.dead_clips
}
