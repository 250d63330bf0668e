//! What every payload carries beside its body.

use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::validate::{Parsed, RecordError, Validate};
use super::{Topic, Version};

/// The version of the payloads this build writes. Older ones are still read.
pub const SCHEMA_VERSION: u32 = 1;

/// A body with its provenance, as it stands in a payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope<T> {
    /// Version of the payload's schema.
    pub schema_version: u32,
    /// When the source answered: microseconds since the Unix epoch, UTC.
    pub observed_at: i64,
    /// The process that asked the source.
    pub run_id: String,
    /// The record itself.
    #[serde(flatten)]
    pub body: T,
}

/// A body that travels on a topic of its own.
pub trait Record: Serialize + DeserializeOwned + Validate {
    /// The topic it travels on.
    const TOPIC: Topic;

    /// Kafka message key: what the record is about, such as a track id. With the version it identifies the observation.
    fn key(&self) -> String;

    /// The primary artist's id, which decides the partition.
    fn partition_key(&self) -> &str;
}

impl<T: Record> Envelope<T> {
    /// A body observed at `observed_at` (microseconds since the Unix epoch).
    pub fn new(observed_at: i64, run_id: &str, body: T) -> Envelope<T> {
        Envelope { schema_version: SCHEMA_VERSION, observed_at, run_id: run_id.to_owned(), body }
    }

    /// The payload's bytes.
    ///
    /// # Errors
    /// If the body cannot be written as JSON, which none of our records does.
    pub fn to_json(&self) -> Result<Vec<u8>, RecordError> {
        serde_json::to_vec(self).map_err(|error| RecordError::encode(T::TOPIC, &error))
    }

    /// The version of this observation, from its time and content.
    ///
    /// # Errors
    /// As [`Envelope::to_json`].
    pub fn version(&self, revision: u16) -> Result<Version, RecordError> {
        let content = serde_json::to_vec(&self.body).map_err(|error| RecordError::encode(T::TOPIC, &error))?;
        Ok(Version::new(self.observed_at, revision, &content))
    }
}

/// Reads and validates a payload. Optional fields out of range become `None` and are listed in [`Parsed::nulled`].
///
/// # Errors
/// When the payload is no JSON, is written by a newer schema, or misses a required field: the message names which.
pub fn parse<T: Record>(payload: &[u8]) -> Result<Parsed<Envelope<T>>, RecordError> {
    let mut envelope: Envelope<T> =
        serde_json::from_slice(payload).map_err(|error| RecordError::decode(T::TOPIC, payload, &error))?;
    if envelope.schema_version == 0 || envelope.schema_version > SCHEMA_VERSION {
        return Err(RecordError::schema_version(T::TOPIC, envelope.schema_version));
    }
    if envelope.observed_at <= 0 {
        return Err(RecordError::required(
            T::TOPIC,
            "observed_at",
            &envelope.observed_at.to_string(),
            "microseconds since 1970, above 0",
        ));
    }
    let nulled = envelope.body.validate()?;
    Ok(Parsed { record: envelope, nulled })
}

/// Now, in microseconds since the Unix epoch.
pub fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
