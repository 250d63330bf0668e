//! The seven topics: their names, partitions and retention.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A durable topic between two actor groups. The configured name may differ, see [`TopicNames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Scheduler and CLI to the tracks stage: one search request a message.
    MusicQueries,
    /// Tracks to artists, listeners, audio and transform: a Spotify track with its album and artists.
    MusicTopTracks,
    /// Artists to transform: an artist's profile.
    ArtistGenres,
    /// Listeners to transform: Last.fm figures of one artist or one track.
    LastfmArtist,
    /// Audio to transform: the features of one clip, or why there are none.
    MusicAudioFeatures,
    /// Transform to load: validated rows, compacted by key, kept for ever.
    MusicTransformed,
    /// Any stage to the operator: original bytes, reason and origin.
    MusicDeadLetters,
}

/// How long a topic keeps its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Messages older than this may be deleted.
    Delete(Duration),
    /// Only the last message of each key is kept, for ever.
    Compact,
}

impl Topic {
    /// Every topic, in the order of the flow.
    pub const ALL: [Topic; 7] = [
        Topic::MusicQueries,
        Topic::MusicTopTracks,
        Topic::ArtistGenres,
        Topic::LastfmArtist,
        Topic::MusicAudioFeatures,
        Topic::MusicTransformed,
        Topic::MusicDeadLetters,
    ];

    /// The contract name, before prefix and renaming.
    pub const fn default_name(self) -> &'static str {
        match self {
            Topic::MusicQueries => "music_queries",
            Topic::MusicTopTracks => "music_top_tracks",
            Topic::ArtistGenres => "artist_genres",
            Topic::LastfmArtist => "lastfm_artist",
            Topic::MusicAudioFeatures => "music_audio_features",
            Topic::MusicTransformed => "music_transformed",
            Topic::MusicDeadLetters => "music_dead_letters",
        }
    }

    /// The topic with this contract name.
    pub fn from_default_name(name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.default_name() == name)
    }

    /// How long its messages are kept.
    pub const fn retention(self) -> Retention {
        match self {
            Topic::MusicTransformed => Retention::Compact,
            Topic::MusicDeadLetters => Retention::Delete(DAY.saturating_mul(30)),
            _ => Retention::Delete(DAY.saturating_mul(7)),
        }
    }
}

/// What each topic is called in this deployment: `[topics]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicNames {
    names: BTreeMap<Topic, String>,
}

impl TopicNames {
    /// The contract names with `prefix` before each, and `renamed` in place of some (the prefix applies to those too).
    pub fn new(prefix: &str, renamed: &BTreeMap<Topic, String>) -> TopicNames {
        let name = |topic: Topic| renamed.get(&topic).map_or(topic.default_name(), String::as_str);
        TopicNames { names: Topic::ALL.into_iter().map(|topic| (topic, format!("{prefix}{}", name(topic)))).collect() }
    }

    /// The name of `topic` in this deployment.
    pub fn name(&self, topic: Topic) -> &str {
        self.names.get(&topic).map_or(topic.default_name(), String::as_str)
    }

    /// The topic that has this name here.
    pub fn topic(&self, name: &str) -> Option<Topic> {
        self.names.iter().find(|(_, known)| known.as_str() == name).map(|(topic, _)| *topic)
    }
}

impl Default for TopicNames {
    fn default() -> Self {
        TopicNames::new("", &BTreeMap::new())
    }
}

/// The partition of everything that belongs to this primary artist, the same number in every topic:
/// FNV-1a (64 bit) of the artist's id, modulo `partitions`. Never change it: records of one artist would lose their order.
pub fn partition_of(artist_id: &str, partitions: i32) -> i32 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = artist_id.bytes().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    let partitions = u64::try_from(partitions.max(1)).unwrap_or(1);
    i32::try_from(hash % partitions).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_contract_name_finds_its_topic_again() {
        for topic in Topic::ALL {
            assert_eq!(Topic::from_default_name(topic.default_name()), Some(topic));
        }
        assert_eq!(Topic::from_default_name("music"), None);
    }

    #[test]
    fn a_prefix_applies_to_renamed_topics_too() {
        let renamed = BTreeMap::from([(Topic::ArtistGenres, "profiles".to_owned())]);
        let names = TopicNames::new("eu.", &renamed);
        assert_eq!(names.name(Topic::ArtistGenres), "eu.profiles");
        assert_eq!(names.name(Topic::MusicQueries), "eu.music_queries");
        assert_eq!(names.topic("eu.profiles"), Some(Topic::ArtistGenres));
    }

    #[test]
    fn the_partition_of_an_artist_never_changes() {
        // Golden values: a change here would break the order of every stored record.
        assert_eq!(partition_of("0TnOYISbd1XYRBk9myaseg", 6), 1);
        assert_eq!(partition_of("", 6), partition_of("", 6));
    }

    proptest! {
        #[test]
        fn a_partition_is_always_in_range(id in ".*", partitions in 1..100_i32) {
            prop_assert!((0..partitions).contains(&partition_of(&id, partitions)));
        }
    }
}
