//! The stages by name.

use std::str::FromStr;

use clap::ValueEnum;
use serde::Serialize;

use crate::observe::endpoint::GroupView;
use crate::records::Topic;

/// A stage of the pipeline, in the order of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    /// Searches Spotify.
    Tracks,
    /// Looks up artists.
    Artists,
    /// Asks Last.fm.
    Listeners,
    /// Finds and analyses clips.
    Audio,
    /// Makes rows of raw records.
    Transform,
    /// Writes rows to the database.
    Load,
}

impl StageName {
    /// All, in the order of the flow.
    pub const FLOW: [StageName; 6] =
        [StageName::Tracks, StageName::Artists, StageName::Listeners, StageName::Audio, StageName::Transform, StageName::Load];

    /// As on the command line, in metrics and on the status board.
    pub const fn name(self) -> &'static str {
        match self {
            StageName::Tracks => "tracks",
            StageName::Artists => "artists",
            StageName::Listeners => "listeners",
            StageName::Audio => "audio",
            StageName::Transform => "transform",
            StageName::Load => "load",
        }
    }

    /// Its consumer group.
    pub fn group(self) -> String {
        format!("reprise.{}", self.name())
    }

    /// As the endpoint shows it.
    pub fn view(self) -> GroupView {
        GroupView { stage: self.name().to_owned(), group: self.group(), topics: self.topics() }
    }

    /// What it reads.
    pub fn topics(self) -> Vec<Topic> {
        match self {
            StageName::Tracks => vec![Topic::MusicQueries],
            StageName::Artists | StageName::Listeners | StageName::Audio => vec![Topic::MusicTopTracks],
            StageName::Transform => {
                vec![Topic::MusicTopTracks, Topic::ArtistGenres, Topic::LastfmArtist, Topic::MusicAudioFeatures]
            }
            StageName::Load => vec![Topic::MusicTransformed],
        }
    }
}

impl FromStr for StageName {
    type Err = String;

    fn from_str(text: &str) -> Result<StageName, String> {
        StageName::FLOW
            .into_iter()
            .find(|stage| stage.name() == text)
            .ok_or_else(|| format!("{text:?} is no stage; the stages are tracks, artists, listeners, audio, transform, load"))
    }
}
