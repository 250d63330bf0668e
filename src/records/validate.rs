//! Validation: required fields dead-letter a record, optional ones out of range become `None` and are counted.

use thiserror::Error;

use super::Topic;

/// A validated record, and which of its optional fields were out of range.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<T> {
    /// The record, with every field in range.
    pub record: T,
    /// Fields that were out of range and became `None`.
    pub nulled: Vec<&'static str>,
}

/// Why a payload cannot be used at all. Names the topic, the thing, what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{topic}: {problem}")]
pub struct RecordError {
    topic: &'static str,
    /// A closed set, for metric labels: `undecodable`, `schema_version`, `required_field`, `unencodable`.
    pub kind: &'static str,
    problem: String,
}

/// How much of a broken payload an error message quotes, in bytes.
const QUOTED_BYTES: usize = 80;

impl RecordError {
    pub(super) fn decode(topic: Topic, payload: &[u8], error: &serde_json::Error) -> RecordError {
        let head = String::from_utf8_lossy(payload.get(..QUOTED_BYTES).unwrap_or(payload));
        let problem =
            format!("the payload ({} bytes, starting {head:?}) is not a record of this topic: {error}", payload.len());
        RecordError { topic: topic.default_name(), kind: "undecodable", problem }
    }

    pub(super) fn encode(topic: Topic, error: &serde_json::Error) -> RecordError {
        RecordError { topic: topic.default_name(), kind: "unencodable", problem: format!("cannot be written as JSON: {error}") }
    }

    /// No topic takes it.
    pub(crate) fn too_large(topic: Topic, key: &str, bytes: usize, limit: usize) -> RecordError {
        let problem = format!("the record {key:.80} has {bytes} bytes; the most a topic takes is {limit}");
        RecordError { topic: topic.default_name(), kind: "unencodable", problem }
    }

    pub(super) fn schema_version(topic: Topic, found: u32) -> RecordError {
        let problem = format!(
            "schema_version is {found}, this build reads 1 to {}: upgrade reprise, then retry the dead letter",
            super::SCHEMA_VERSION
        );
        RecordError { topic: topic.default_name(), kind: "schema_version", problem }
    }

    /// A required field is missing or unusable.
    pub fn required(topic: Topic, field: &str, found: &str, expected: &str) -> RecordError {
        let problem = format!("required field {field} is {found:?}, expected {expected}");
        RecordError { topic: topic.default_name(), kind: "required_field", problem }
    }
}

/// A record body that knows its own limits.
pub trait Validate {
    /// Brings every optional field into range (out of range becomes `None`) and returns the names of those changed.
    ///
    /// # Errors
    /// When a required field is missing or unusable.
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError>;
}

/// Collects the names of optional fields that were out of range.
#[derive(Debug, Default)]
pub(super) struct Nuller {
    nulled: Vec<&'static str>,
}

impl Nuller {
    /// Keeps `value` when `valid` accepts it.
    pub(super) fn keep<T>(&mut self, field: &'static str, value: &mut Option<T>, valid: impl FnOnce(&T) -> bool) {
        if value.as_ref().is_some_and(|found| !valid(found)) {
            *value = None;
            self.nulled.push(field);
        }
    }

    pub(super) fn finish(self) -> Vec<&'static str> {
        self.nulled
    }
}

/// Refuses an empty or over-long id: at most 255 bytes, no white space or control characters.
pub(super) fn require_id(topic: Topic, field: &str, id: &str) -> Result<(), RecordError> {
    let valid = !id.is_empty() && id.len() <= 255 && !id.chars().any(|c| c.is_whitespace() || c.is_control());
    if valid { Ok(()) } else { Err(RecordError::required(topic, field, id, "1 to 255 characters without white space")) }
}

/// Longer than any name, and short enough for every index of PostgreSQL, which takes 2704 bytes.
const NAME_MAX_BYTES: usize = 2_000;

/// Refuses an empty or over-long name, and removes NUL, which PostgreSQL cannot store in text.
pub(super) fn require_name(topic: Topic, field: &str, name: &mut String) -> Result<(), RecordError> {
    if name.contains('\0') {
        name.retain(|c| c != '\0');
    }
    if name.trim().is_empty() {
        return Err(RecordError::required(topic, field, name, "a name that is not blank"));
    }
    if name.len() > NAME_MAX_BYTES {
        let found = format!("{} bytes", name.len());
        return Err(RecordError::required(topic, field, &found, "a name of at most 2,000 bytes"));
    }
    Ok(())
}

/// Trims a list of names, drops blank and over-long ones and NULs, sorts and removes duplicates: sets compare equal whatever their order.
pub(super) fn canonical_names(names: &mut Vec<String>) {
    for name in names.iter_mut() {
        *name = name.replace('\0', "").trim().to_lowercase();
    }
    names.retain(|name| !name.is_empty() && name.len() <= NAME_MAX_BYTES);
    names.sort();
    names.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_only_one_database_could_index_is_refused_and_a_genre_dropped() {
        let (longest, longer) = ("é".repeat(1_000), "é".repeat(1_001));
        assert_eq!(require_name(Topic::MusicTopTracks, "name", &mut longest.clone()), Ok(()));
        let error = require_name(Topic::MusicTopTracks, "name", &mut longer.clone()).unwrap_err();
        assert!(error.to_string().contains("2002 bytes"), "{error}");
        let mut genres = vec![longer, longest.clone(), "rock".to_owned()];
        canonical_names(&mut genres);
        assert_eq!(genres, ["rock".to_owned(), longest]);
    }
}
