//! What an error of a database means for whoever waits: try again, look at the data, or call a person.
//!
//! **Guarantee.** What may pass by itself is never called a fault of the data: an error that is not recognised is
//! [`StoreError::Unavailable`], because waiting loses nothing and a dead letter would. No message holds a password.
//!
//! Diesel hides SQLSTATE, and most transient errors of PostgreSQL come as `Unknown`: the message decides. Connections ask for
//! `lc_messages = C`; where that is not permitted, typed kinds (constraints, serialization) still decide in any language.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

use super::StoreError;

/// An error inside a transaction: the database's, or ours.
#[derive(Debug)]
pub(super) enum Failure {
    Database(Error),
    Store(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl Failure {
    /// Two writers got into each other's way: the same transaction again, from its start, may well pass.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            Failure::Database(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => true,
            Failure::Database(Error::DatabaseError(_, information)) => {
                let message = information.message();
                message.contains("deadlock detected") || message.contains("could not serialize access")
            }
            _ => false,
        }
    }

    /// The session may not write. What made it so, such as a default of the database, is fixed when a session begins: this one
    /// would go on refusing after the database takes writes again.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Failure::Database(Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)))
    }

    /// The error for the caller; `place` is the database without secrets.
    pub(super) fn into_store_error(self, place: &str) -> StoreError {
        match self {
            Failure::Store(error) => error,
            Failure::Database(error) => classify(&error, place),
        }
    }
}

/// Messages after which waiting is pointless until a person acts.
const SETUP: [&str; 20] = [
    "cannot truncate a table referenced",
    "no such table",
    "no such column",
    "has no column named",
    "file is not a database",
    "malformed", // database disk image is malformed
    "unable to open database",
    "password authentication failed",
    "no password supplied",
    "permission denied",
    "no pg_hba.conf entry",
    "invalid connection option",
    "invalid URI",
    "invalid port",
    "invalid integer value",
    "invalid sslmode",
    "no schema has been selected",
    "authentication method",
    "SSL support is not compiled in",
    "sslmode value",
];

/// Messages that blame the data, of kinds that Diesel does not type.
const DATA: [&str; 9] = [
    "invalid byte sequence",
    "value too long",
    "out of range",
    "index row size",
    "index row requires",
    "string or blob too big",
    "datatype mismatch",
    "invalid input syntax",
    "unsupported Unicode escape",
];

fn classify(error: &Error, place: &str) -> StoreError {
    match error {
        Error::DatabaseError(kind, information) => classify_message(kind, information.as_ref(), place),
        Error::RollbackErrorOnCommit { commit_error, .. } => classify(commit_error, place),
        Error::SerializationError(problem) => StoreError::Data(format!("{place}: cannot be written: {problem}")),
        Error::DeserializationError(problem) => StoreError::Setup(format!("{place}: cannot be read: {problem}")),
        Error::QueryBuilderError(problem) => StoreError::Setup(format!("{place}: {problem}")),
        other => StoreError::Unavailable(format!("{place}: {other}")),
    }
}

fn classify_message(
    kind: &DatabaseErrorKind,
    information: &(dyn DatabaseErrorInformation + Send + Sync),
    place: &str,
) -> StoreError {
    let message = information.message();
    let text = format!("{place}: {}", describe(information));
    match kind {
        DatabaseErrorKind::UniqueViolation
        | DatabaseErrorKind::ForeignKeyViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::RestrictViolation
        | DatabaseErrorKind::ExclusionViolation => StoreError::Data(text),
        DatabaseErrorKind::ReadOnlyTransaction
        | DatabaseErrorKind::SerializationFailure
        | DatabaseErrorKind::ClosedConnection => StoreError::Unavailable(text),
        _ => classify_text(message, text),
    }
}

/// Classifies an error of which only the text is known, such as one of connecting.
pub(super) fn classify_text(message: &str, text: String) -> StoreError {
    let missing = ["relation", "column", "role", "database", "schema"];
    let is_missing = message.contains("does not exist") && missing.iter().any(|what| message.contains(what));
    if is_missing || SETUP.iter().any(|known| message.contains(known)) {
        let schema = message.contains("no such table")
            || message.contains("no such column")
            || message.contains("no column named")
            || (is_missing && (message.contains("relation") || message.contains("column")));
        let hint = if schema { " (the schema is missing or old: run `reprise migrate`)" } else { "" };
        return StoreError::Setup(format!("{text}{hint}"));
    }
    if DATA.iter().any(|known| message.contains(known)) {
        return StoreError::Data(text);
    }
    StoreError::Unavailable(text)
}

/// Message, table, constraint and detail, on one line of bounded length.
fn describe(information: &(dyn DatabaseErrorInformation + Send + Sync)) -> String {
    let mut text = String::new();
    if let Some(table) = information.table_name() {
        text.push_str(&format!("table {table}, "));
    }
    if let Some(constraint) = information.constraint_name() {
        text.push_str(&format!("constraint {constraint}: "));
    } else if let Some(column) = information.column_name() {
        text.push_str(&format!("column {column}: "));
    }
    text.push_str(information.message().trim_end());
    if let Some(details) = information.details() {
        let details: String = details.chars().take(200).collect();
        text.push_str(&format!(" ({details})"));
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(kind: DatabaseErrorKind, message: &str) -> StoreError {
        classify(&Error::DatabaseError(kind, Box::new(message.to_owned())), "here")
    }

    #[test]
    fn what_passes_by_itself_is_waited_for() {
        for message in [
            "deadlock detected",
            "canceling statement due to lock timeout",
            "canceling statement due to statement timeout",
            "terminating connection due to administrator command",
            "terminating connection due to idle-in-transaction timeout",
            "could not extend file \"base/16384/16401\": No space left on device",
            "sorry, too many clients already",
            "remaining connection slots are reserved for non-replication superuser connections",
            "the database system is starting up",
            "the database system is shutting down",
            "could not translate host name \"db\" to address: Temporary failure in name resolution",
            "database is locked",
            "database table is locked",
            "database or disk is full",
            "disk I/O error",
            "attempt to write a readonly database",
            "etwas ganz anderes",
        ] {
            let error = classified(DatabaseErrorKind::Unknown, message);
            assert!(matches!(error, StoreError::Unavailable(_)), "{message}: {error:?}");
        }
        for kind in [
            DatabaseErrorKind::SerializationFailure,
            DatabaseErrorKind::ReadOnlyTransaction,
            DatabaseErrorKind::ClosedConnection,
        ] {
            assert!(matches!(classified(kind, "im Klartext"), StoreError::Unavailable(_)));
        }
    }

    #[test]
    fn what_the_data_is_to_blame_for_is_said_in_any_language() {
        for kind in
            [DatabaseErrorKind::CheckViolation, DatabaseErrorKind::NotNullViolation, DatabaseErrorKind::ForeignKeyViolation]
        {
            assert!(matches!(classified(kind, "verletzt"), StoreError::Data(_)));
        }
        for message in [
            "invalid byte sequence for encoding \"UTF8\": 0x00",
            "integer out of range",
            "index row size 3016 exceeds btree version 4 maximum 2704 for index \"idx_artist_name\"",
        ] {
            assert!(matches!(classified(DatabaseErrorKind::Unknown, message), StoreError::Data(_)), "{message}");
        }
    }

    #[test]
    fn what_needs_a_person_says_so() {
        for message in [
            "relation \"artists\" does not exist",
            "no such table: artists",
            "password authentication failed for user \"reprise\"",
            "role \"reprise\" does not exist",
            "database \"music\" does not exist",
            "permission denied for table artists",
            "file is not a database",
            "unable to open database file",
        ] {
            assert!(matches!(classified(DatabaseErrorKind::Unknown, message), StoreError::Setup(_)), "{message}");
        }
    }

    #[test]
    fn only_conflicts_between_writers_are_tried_again() {
        let failure = |kind, message: &str| Failure::Database(Error::DatabaseError(kind, Box::new(message.to_owned())));
        assert!(failure(DatabaseErrorKind::SerializationFailure, "x").is_conflict());
        assert!(failure(DatabaseErrorKind::Unknown, "deadlock detected").is_conflict());
        assert!(!failure(DatabaseErrorKind::Unknown, "database is locked").is_conflict());
        assert!(!failure(DatabaseErrorKind::CheckViolation, "x").is_conflict());
        assert!(failure(DatabaseErrorKind::ReadOnlyTransaction, "im Klartext").is_read_only());
        assert!(!failure(DatabaseErrorKind::SerializationFailure, "x").is_read_only());
    }
}
