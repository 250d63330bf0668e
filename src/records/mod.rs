//! The data contract: what travels on the topics.
//!
//! One file a topic. Every payload is JSON with `schema_version`, `observed_at` (microseconds since the Unix epoch, UTC:
//! when the source answered) and `run_id`, flattened together with the body; see [`Envelope`]. Parsing is lenient about
//! optional fields (out of range becomes `None` and is counted in [`Parsed::nulled`]) and strict about required ones
//! (the record goes to the dead letters with a [`RecordError`] that names the field).
//!
//! This room is pure: no I/O, and nothing of the other rooms.

mod artist_profile;
mod audio_features;
mod dead_letter;
mod envelope;
mod listener_figures;
mod row;
mod schema;
mod search_request;
mod topic;
mod track;
mod validate;
mod version;

pub use artist_profile::ArtistProfile;
pub use audio_features::{AudioFeatures, ClipOutcome, Features};
pub use dead_letter::{DeadLetter, DeadReason};
pub use envelope::{Envelope, Record, SCHEMA_VERSION, now_micros, parse};
pub use listener_figures::{ArtistFigures, FigureOutcome, ListenerFigures, MatchNote, Subject, TrackFigures};
pub use row::{
    AlbumRow, ArtistListenersRow, ArtistNameRow, ArtistProfileRow, MissRow, Row, SongAudioRow, SongListenersRow, SongRow,
    Transformed,
};
pub use schema::json_schema;
pub use search_request::{SearchCursor, SearchRequest};
pub use topic::{Retention, Topic, TopicNames, partition_of};
pub use track::{AlbumRef, ArtistRef, TopTrack};
pub use validate::{Parsed, RecordError, Validate};
pub use version::{TRANSFORM_REVISION, Version};
