//! Reading and appending: the statements on the messages table.
//!
//! **Guarantee.** A message is delivered as it was appended or not at all: its checksum covers everything it consists of and
//! where it stands, and a missing one is noticed because offsets have no gaps (compacted topics aside).

use std::path::Path;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use sha2::{Digest, Sha256};

use super::database::{Fault, damaged};
use super::schema::{holes, logs, messages};
use crate::mailbox::{Message, Outgoing, TopicPartition};
use crate::records::{Retention, TopicNames, Version};

/// One partition and its number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) id: i64,
    pub(super) at: TopicPartition,
}

/// The ends of a log and when it was last appended to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) appended_at: i64,
}

/// What a message consists of, where it stands aside; [`MessageRow`] in Rust.
pub(super) const MESSAGE: (
    messages::offset,
    messages::key,
    messages::payload,
    messages::appended_at,
    messages::observed_at,
    messages::tiebreak,
    messages::checksum,
) = (
    messages::offset,
    messages::key,
    messages::payload,
    messages::appended_at,
    messages::observed_at,
    messages::tiebreak,
    messages::checksum,
);

/// Offset, key, payload, when it was appended, version (time, tiebreak), checksum.
pub(super) type MessageRow = (i64, Vec<u8>, Vec<u8>, i64, Option<i64>, Option<i64>, i64);

/// The ends of every log, by its number.
pub(super) fn all_ends(connection: &mut SqliteConnection) -> Result<Vec<(i64, Ends)>, Fault> {
    let rows: Vec<(i64, i64, i64, i64)> =
        logs::table.select((logs::log, logs::low, logs::high, logs::appended_at)).load(connection)?;
    Ok(rows.into_iter().map(|(log, low, high, appended_at)| (log, Ends { low, high, appended_at })).collect())
}

/// The ends of one log.
pub(super) fn ends(connection: &mut SqliteConnection, log: i64) -> Result<Ends, Fault> {
    let (low, high, appended_at) =
        logs::table.filter(logs::log.eq(log)).select((logs::low, logs::high, logs::appended_at)).get_result(connection)?;
    Ok(Ends { low, high, appended_at })
}

/// Every log whose topic has a name in this deployment.
pub(super) fn every(connection: &mut SqliteConnection, names: &TopicNames) -> Result<Vec<Log>, Fault> {
    let rows: Vec<(i64, String, i32)> =
        logs::table.select((logs::log, logs::topic, logs::partition)).order((logs::topic, logs::partition)).load(connection)?;
    let known = |(id, name, partition): (i64, String, i32)| {
        names.topic(&name).map(|topic| Log { id, at: TopicPartition { topic, partition } })
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Reads what stands between `from` and the high end. Nothing where there should be something is damage, unless a repair has
/// given it up: then the answer is empty.
pub(super) fn read_on(
    connection: &mut SqliteConnection,
    path: &Path,
    log: Log,
    from: i64,
    ends: Ends,
    max: usize,
) -> Result<Vec<Message>, Fault> {
    let messages = read(connection, path, log, from, max)?;
    if messages.is_empty() {
        // Compaction never removes the last message of a key, so the last of all must be there.
        let compacted = log.at.topic.retention() == Retention::Compact;
        missing(connection, path, log, if compacted { ends.high - 1 } else { from }, ends.high)?;
    }
    Ok(messages)
}

/// Up to `max` messages from `from` on. What precedes a damaged one is answered; a damaged first one is an error.
fn read(connection: &mut SqliteConnection, path: &Path, log: Log, from: i64, max: usize) -> Result<Vec<Message>, Fault> {
    let mut rows = load(connection, log, from, max);
    if max > 1 && matches!(&rows, Err(Fault::Sql(_))) {
        // A damaged page further on must not hide what stands before it.
        rows = load(connection, log, from, 1);
    }
    let mut found = Vec::new();
    let mut expected = from;
    for row in rows? {
        match checked(path, log, row).and_then(|message| follows(connection, path, log, expected, message)) {
            Ok(message) => {
                expected = message.offset + 1;
                found.push(message);
            }
            Err(fault) if found.is_empty() => return Err(fault),
            Err(_) => return Ok(found),
        }
    }
    Ok(found)
}

fn load(connection: &mut SqliteConnection, log: Log, from: i64, max: usize) -> Result<Vec<MessageRow>, Fault> {
    Ok(messages::table
        .filter(messages::log.eq(log.id))
        .filter(messages::offset.ge(from))
        .order(messages::offset)
        .limit(i64::try_from(max).unwrap_or(i64::MAX))
        .select(MESSAGE)
        .load(connection)?)
}

/// The version of the last message under `key`.
pub(super) fn head(connection: &mut SqliteConnection, path: &Path, log: Log, key: &str) -> Result<Option<Version>, Fault> {
    let row: Option<MessageRow> = messages::table
        .filter(messages::log.eq(log.id))
        .filter(messages::key.eq(key.as_bytes()))
        .order(messages::offset.desc())
        .select(MESSAGE)
        .first(connection)
        .optional()?;
    row.map_or(Ok(None), |row| checked(path, log, row).map(|message| message.version))
}

/// The first offset appended at or after `time`; the end if there is none. Times never decrease along a log, so it is found
/// by halving.
pub(super) fn offset_at(connection: &mut SqliteConnection, log: Log, time: i64) -> Result<i64, Fault> {
    let ends = ends(connection, log.id)?;
    let (mut below, mut above) = (ends.low, ends.high);
    while below < above {
        let middle = below + (above - below) / 2;
        let next: Option<(i64, i64)> = messages::table
            .filter(messages::log.eq(log.id))
            .filter(messages::offset.ge(middle))
            .order(messages::offset)
            .select((messages::offset, messages::appended_at))
            .first(connection)
            .optional()?;
        match next {
            Some((offset, appended_at)) if appended_at < time => below = offset + 1,
            _ => above = middle,
        }
    }
    // Compaction leaves gaps: answer an offset that exists.
    let first: Option<i64> = messages::table
        .filter(messages::log.eq(log.id))
        .filter(messages::offset.ge(below))
        .order(messages::offset)
        .select(messages::offset)
        .first(connection)
        .optional()?;
    Ok(first.unwrap_or(ends.high))
}

/// Appends one message at `offset`.
pub(super) fn append(
    connection: &mut SqliteConnection,
    log: i64,
    offset: i64,
    appended_at: i64,
    record: &Outgoing,
) -> Result<(), Fault> {
    let key = record.key.as_bytes();
    diesel::insert_into(messages::table)
        .values((
            messages::log.eq(log),
            messages::offset.eq(offset),
            messages::key.eq(key),
            messages::payload.eq(record.payload.as_slice()),
            messages::appended_at.eq(appended_at),
            messages::observed_at.eq(record.version.map(|version| version.observed_at)),
            messages::tiebreak.eq(record.version.map(|version| version.tiebreak)),
            messages::checksum.eq(checksum(log, offset, key, &record.payload, appended_at, record.version)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Notes where the next message goes.
pub(super) fn advance(connection: &mut SqliteConnection, log: i64, ends: Ends) -> Result<(), Fault> {
    diesel::update(logs::table.filter(logs::log.eq(log)))
        .set((logs::high.eq(ends.high), logs::appended_at.eq(ends.appended_at)))
        .execute(connection)?;
    Ok(())
}

fn checked(path: &Path, log: Log, row: MessageRow) -> Result<Message, Fault> {
    let sound = is_sound(log.id, &row);
    let (offset, key, payload, appended_at, observed_at, tiebreak, _) = row;
    let version = observed_at.zip(tiebreak).map(|(observed_at, tiebreak)| Version { observed_at, tiebreak });
    let key = sound
        .then(|| String::from_utf8(key).ok())
        .flatten()
        .ok_or_else(|| damaged(path, &format!("{} offset {offset} does not match its checksum", log.at)))?;
    Ok(Message { at: log.at, offset, key, payload, appended_at, version })
}

/// Refuses a message that does not follow the one before, unless what lies between was compacted or given up by a repair.
fn follows(
    connection: &mut SqliteConnection,
    path: &Path,
    log: Log,
    expected: i64,
    message: Message,
) -> Result<Message, Fault> {
    if message.offset == expected || log.at.topic.retention() == Retention::Compact {
        return Ok(message);
    }
    missing(connection, path, log, expected, message.offset)?;
    Ok(message)
}

/// An error unless every offset from `from` to before `to` is known to be lost.
fn missing(connection: &mut SqliteConnection, path: &Path, log: Log, from: i64, to: i64) -> Result<(), Fault> {
    let known: Vec<(i64, i64)> = holes::table
        .filter(holes::log.eq(log.id))
        .filter(holes::last.ge(from))
        .order(holes::first)
        .select((holes::first, holes::last))
        .load(connection)?;
    let reached = known.into_iter().fold(from, |at, (first, last)| if first <= at { at.max(last + 1) } else { at });
    if reached >= to {
        return Ok(());
    }
    Err(damaged(path, &format!("{} has lost the messages from offset {reached} to {}", log.at, to - 1)).into())
}

/// Whether a stored message is what was appended to `log`.
pub(super) fn is_sound(log: i64, row: &MessageRow) -> bool {
    let (offset, key, payload, appended_at, observed_at, tiebreak, sum) = row;
    let version = observed_at.zip(*tiebreak).map(|(observed_at, tiebreak)| Version { observed_at, tiebreak });
    checksum(log, *offset, key, payload, *appended_at, version) == *sum
}

fn checksum(log: i64, offset: i64, key: &[u8], payload: &[u8], appended_at: i64, version: Option<Version>) -> i64 {
    let mut digest = Sha256::new();
    let key_bytes = i64::try_from(key.len()).unwrap_or(i64::MAX);
    for number in [log, offset, appended_at, key_bytes] {
        digest.update(number.to_le_bytes());
    }
    if let Some(version) = version {
        digest.update(version.observed_at.to_le_bytes());
        digest.update(version.tiebreak.to_le_bytes());
    }
    digest.update([u8::from(version.is_some())]);
    digest.update(key);
    digest.update(payload);
    first_eight(&digest.finalize())
}

/// The first eight bytes of a digest as a number: what SQLite can store without a blob.
pub(super) fn first_eight(digest: &[u8]) -> i64 {
    digest.iter().take(8).fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte))
}
