//! The tables of the embedded log, and the version of their layout.

use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types};

use super::database::Fault;
use crate::mailbox::MailboxError;

/// Raise it when the tables change; an older program refuses a newer file instead of misreading it.
pub(super) const LAYOUT: i32 = 1;

diesel::table! {
    /// One partition of one topic. `low` is the first offset kept, `high` the next to be given.
    logs (log) {
        log -> BigInt,
        topic -> Text,
        partition -> Integer,
        low -> BigInt,
        high -> BigInt,
        appended_at -> BigInt,
    }
}

diesel::table! {
    /// Keys are bytes here: text that a flipped bit made invalid must fail its checksum, not be trusted to be UTF-8.
    messages (position) {
        position -> BigInt,
        log -> BigInt,
        offset -> BigInt,
        key -> Binary,
        payload -> Binary,
        appended_at -> BigInt,
        observed_at -> Nullable<BigInt>,
        tiebreak -> Nullable<BigInt>,
        checksum -> BigInt,
    }
}

diesel::table! {
    /// What a group has committed for a log, with its ledger.
    offsets (consumer, log) {
        consumer -> Text,
        log -> BigInt,
        next_offset -> BigInt,
        consumed -> BigInt,
        emitted -> BigInt,
        superseded -> BigInt,
        dead_lettered -> BigInt,
        produced -> BigInt,
        checksum -> BigInt,
    }
}

diesel::table! {
    /// The newest session of each group: only the one that holds this epoch may publish.
    sessions (consumer) {
        consumer -> Text,
        epoch -> BigInt,
        owner -> Text,
        opened_at -> BigInt,
    }
}

diesel::table! {
    /// Which groups read which logs: retention deletes nothing they have not finished.
    subscriptions (consumer, log) {
        consumer -> Text,
        log -> BigInt,
    }
}

diesel::table! {
    /// Offsets that were lost to damage and given up by a repair: readers pass over them.
    holes (log, first) {
        log -> BigInt,
        first -> BigInt,
        last -> BigInt,
    }
}

const TABLES: &str = "
    CREATE TABLE logs (
        log INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        low INTEGER NOT NULL,
        high INTEGER NOT NULL,
        appended_at INTEGER NOT NULL,
        UNIQUE (topic, partition)
    ) STRICT;
    CREATE TABLE messages (
        position INTEGER PRIMARY KEY,
        log INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        key BLOB NOT NULL,
        payload BLOB NOT NULL,
        appended_at INTEGER NOT NULL,
        observed_at INTEGER,
        tiebreak INTEGER,
        checksum INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX messages_by_offset ON messages (log, offset);
    CREATE INDEX messages_by_key ON messages (log, key, offset);
    CREATE TABLE offsets (
        consumer TEXT NOT NULL,
        log INTEGER NOT NULL,
        next_offset INTEGER NOT NULL,
        consumed INTEGER NOT NULL,
        emitted INTEGER NOT NULL,
        superseded INTEGER NOT NULL,
        dead_lettered INTEGER NOT NULL,
        produced INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (consumer, log)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sessions (
        consumer TEXT PRIMARY KEY,
        epoch INTEGER NOT NULL,
        owner TEXT NOT NULL,
        opened_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE subscriptions (
        consumer TEXT NOT NULL,
        log INTEGER NOT NULL,
        PRIMARY KEY (consumer, log)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE holes (
        log INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (log, first)
    ) STRICT, WITHOUT ROWID;
";

#[derive(QueryableByName)]
struct UserVersion {
    #[diesel(sql_type = sql_types::Integer)]
    user_version: i32,
}

#[derive(QueryableByName)]
struct ApplicationId {
    #[diesel(sql_type = sql_types::Integer)]
    application_id: i32,
}

/// Makes the tables in an empty file, and gives it its number; refuses a file of another layout. Answers the number.
pub(super) fn prepare(connection: &mut SqliteConnection) -> Result<i32, Fault> {
    if let (LAYOUT, Some(identity)) = (layout(connection)?, identity(connection)?) {
        return Ok(identity);
    }
    connection.immediate_transaction(|connection| {
        match layout(connection)? {
            LAYOUT => {}
            0 => {
                for statement in TABLES.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                    sql_query(statement).execute(connection)?;
                }
                sql_query(format!("PRAGMA user_version = {LAYOUT}")).execute(connection)?;
            }
            other => {
                return Err(Fault::Mailbox(MailboxError::Invalid(format!(
                    "the mailbox has layout {other}, this program knows layout {LAYOUT}: use the reprise that wrote it, or \
                     another data_dir"
                ))));
            }
        }
        if let Some(identity) = identity(connection)? {
            return Ok(identity);
        }
        let drawn = rand::random_range(1..=i32::MAX);
        identify(connection, drawn)?;
        Ok(drawn)
    })
}

/// A table or an index, and where it begins in the file.
#[derive(Debug, PartialEq, Eq, QueryableByName)]
pub(super) struct Root {
    #[diesel(sql_type = sql_types::Text)]
    name: String,
    #[diesel(sql_type = sql_types::BigInt)]
    page: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    definition: Option<String>,
}

/// What the first page of the file says about the others.
pub(super) fn tables(connection: &mut SqliteConnection) -> Result<Vec<Root>, Fault> {
    let query = "SELECT name, rootpage AS page, sql AS definition FROM sqlite_master ORDER BY rootpage";
    Ok(sql_query(query).load(connection)?)
}

/// The number that tells this log from every other, kept in the header of the file; `None` where it has none.
pub(super) fn identity(connection: &mut SqliteConnection) -> Result<Option<i32>, Fault> {
    let found = sql_query("PRAGMA application_id").get_result::<ApplicationId>(connection)?.application_id;
    Ok((found != 0).then_some(found))
}

/// Gives the log its number.
pub(super) fn identify(connection: &mut SqliteConnection, identity: i32) -> Result<(), Fault> {
    Ok(connection.batch_execute(&format!("PRAGMA application_id = {identity}"))?)
}

/// Brings everything written until now from the write-ahead log into the file itself.
pub(super) fn checkpoint(connection: &mut SqliteConnection) -> Result<(), Fault> {
    Ok(connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?)
}

fn layout(connection: &mut SqliteConnection) -> Result<i32, Fault> {
    Ok(sql_query("PRAGMA user_version").get_result::<UserVersion>(connection)?.user_version)
}
