//! JSON Schemas of the payloads, made from the types themselves.

use serde_json::Value;

use super::{ArtistProfile, AudioFeatures, DeadLetter, Envelope, ListenerFigures, SearchRequest, TopTrack, Topic, Transformed};

/// The JSON Schema (draft 2020-12) of the payloads of `topic`.
pub fn json_schema(topic: Topic) -> Value {
    let schema = match topic {
        Topic::MusicQueries => schemars::schema_for!(Envelope<SearchRequest>),
        Topic::MusicTopTracks => schemars::schema_for!(Envelope<TopTrack>),
        Topic::ArtistGenres => schemars::schema_for!(Envelope<ArtistProfile>),
        Topic::LastfmArtist => schemars::schema_for!(Envelope<ListenerFigures>),
        Topic::MusicAudioFeatures => schemars::schema_for!(Envelope<AudioFeatures>),
        Topic::MusicTransformed => schemars::schema_for!(Envelope<Transformed>),
        Topic::MusicDeadLetters => schemars::schema_for!(Envelope<DeadLetter>),
    };
    schema.to_value()
}
