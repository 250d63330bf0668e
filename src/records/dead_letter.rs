//! `music_dead_letters`: what could not be used, with its original bytes, its reason and where it came from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::{RecordError, Validate, require_id};
use super::{Record, Topic};

/// Why a message was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadReason {
    /// A closed set, for metric labels: `undecodable`, `schema_version`, `required_field`, `unencodable`, `rejected`
    /// (by an API), `constraint` (by the database), `poison` (its batch killed the actor again and again).
    pub kind: String,
    /// What was found and what was expected, for people.
    pub detail: String,
}

impl DeadReason {
    /// A reason of this kind.
    pub fn new(kind: &str, detail: impl Into<String>) -> DeadReason {
        DeadReason { kind: kind.to_owned(), detail: detail.into() }
    }
}

impl From<&RecordError> for DeadReason {
    fn from(error: &RecordError) -> DeadReason {
        DeadReason::new(error.kind, error.to_string())
    }
}

/// A message that was given up. Its id is its origin: giving up the same message twice makes one dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// The stage that gave up.
    pub stage: String,
    /// Why.
    pub reason: DeadReason,
    /// Contract name of the topic it came from.
    pub origin_topic: String,
    /// Partition it came from.
    pub origin_partition: i32,
    /// Offset it had there.
    pub origin_offset: i64,
    /// When it was appended there, microseconds since the Unix epoch.
    pub origin_time: i64,
    /// Its key.
    pub origin_key: String,
    /// Its bytes, base64.
    pub payload_base64: String,
}

impl DeadLetter {
    /// `stage/topic/partition/offset`: the same for every attempt on the same message.
    pub fn id(&self) -> String {
        format!("{}/{}/{}/{}", self.stage, self.origin_topic, self.origin_partition, self.origin_offset)
    }

    /// The original bytes.
    ///
    /// # Errors
    /// When the text is no base64.
    pub fn payload(&self) -> Result<Vec<u8>, RecordError> {
        STANDARD.decode(&self.payload_base64).map_err(|error| {
            RecordError::required(Topic::MusicDeadLetters, "payload_base64", &error.to_string(), "the original bytes in base64")
        })
    }

    /// Bytes as they stand in [`DeadLetter::payload_base64`].
    pub fn encode_payload(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }
}

impl Validate for DeadLetter {
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError> {
        require_id(Topic::MusicDeadLetters, "stage", &self.stage)?;
        Ok(Vec::new())
    }
}

impl Record for DeadLetter {
    const TOPIC: Topic = Topic::MusicDeadLetters;

    fn key(&self) -> String {
        self.id()
    }

    fn partition_key(&self) -> &str {
        &self.origin_key
    }
}
