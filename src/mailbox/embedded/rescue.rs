//! Copying messages out of a damaged file.
//!
//! **Guarantee.** Every message that can be reached, through the table or through its index, is copied if it is sound. What the
//! index lists and the table does not give is lost, and told apart from what compaction removed: that is in neither.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::database::{Database, Fault};
use super::log::{self, Log, MESSAGE, MessageRow};
use super::schema::{logs, messages};
use crate::mailbox::MailboxError;

/// Positions or offsets looked at in one transaction.
const CHUNK: i64 = 500;
/// Positions looked at beyond the last one that should be.
const BEYOND: i64 = 100_000;

/// What was met on the way.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Messages copied.
    pub(super) kept: u64,
    /// Sound messages by log, doubles included.
    pub(super) sound: BTreeMap<i64, u64>,
    /// Log and offset of messages that are there and fail their checksum. Their log and offset may be what was damaged.
    pub(super) unsound: BTreeSet<(i64, i64)>,
    /// By log: offsets that the index lists and that could not be copied.
    pub(super) lost: BTreeMap<i64, BTreeSet<i64>>,
    /// Positions in the table that cannot be read, and of which the index does not say what stands there.
    pub(super) unread: BTreeSet<i64>,
    /// Logs of which not the whole index can be read.
    pub(super) blind: BTreeSet<i64>,
}

/// The log of a message, and the message.
type Found = (i64, MessageRow);

/// Copies the messages that stand in the table of `old` to `fresh`, which has its logs already.
pub(super) fn from_the_table(old: &mut Database, fresh: &mut Database) -> Result<Met, MailboxError> {
    let mut met = Met::default();
    // Positions are given in sequence, so no message stands beyond as many as were ever appended; unless the list of partitions,
    // which says how many, is damaged or old.
    let appended: Vec<i64> = fresh.read(|connection| Ok(logs::table.select(logs::high).load(connection)?))?;
    let end = appended.iter().fold(0_i64, |sum, high| sum.saturating_add(*high)).saturating_add(1 + BEYOND);
    let mut from = 1;
    while from < end {
        let to = end.min(from + CHUNK);
        let rows = match old.run(|connection| load(connection, from, to)) {
            Ok(rows) if rows.is_empty() => match old.run(|connection| next_position(connection, to)) {
                Ok(None) => return Ok(met),
                Ok(Some(next)) => {
                    // Never back, whatever a damaged page says.
                    from = next.max(to);
                    continue;
                }
                Err(_) => Vec::new(),
            },
            Ok(rows) => rows,
            // A damaged page: take what can be had one by one.
            Err(_) => old.run(|connection| Ok(singly(connection, from..to, &mut met.unread)))?,
        };
        from = to;
        met.kept += fresh.write(|connection| keep(connection, rows, &mut met))?;
    }
    Ok(met)
}

/// Copies those that its index leads to besides.
pub(super) fn from_the_index(
    old: &mut Database,
    fresh: &mut Database,
    every: &[Log],
    met: &mut Met,
) -> Result<(), MailboxError> {
    every.iter().try_for_each(|log| through_the_index(old, fresh, *log, met))
}

/// Looks for messages that the index lists and that the walk through the table did not meet: a damaged page may hide the sound
/// ones behind it.
fn through_the_index(old: &mut Database, fresh: &mut Database, log: Log, met: &mut Met) -> Result<(), MailboxError> {
    let ends = fresh.read(|connection| log::ends(connection, log.id))?;
    let mut from = ends.low;
    while from < ends.high {
        let to = ends.high.min(from + CHUNK);
        let entries = match old.run(|connection| listed(connection, log, from, to)) {
            Ok(entries) => entries,
            Err(_) => {
                met.blind.insert(log.id);
                let one = |connection: &mut SqliteConnection, offset| listed(connection, log, offset, offset + 1).ok();
                old.run(|connection| Ok((from..to).filter_map(|offset| one(connection, offset)).flatten().collect()))?
            }
        };
        take_missing(old, fresh, log, &entries, met)?;
        from = to;
    }
    Ok(())
}

/// Copies those of `listed` (offset and position) that are missing; notes those that cannot be had.
fn take_missing(
    old: &mut Database,
    fresh: &mut Database,
    log: Log,
    listed: &[(i64, i64)],
    met: &mut Met,
) -> Result<(), MailboxError> {
    let missing = fresh.read(|connection| absent(connection, log, listed))?;
    if missing.is_empty() {
        return Ok(());
    }
    let places = missing.iter().map(|(_, position)| *position);
    let rows = old.run(|connection| Ok(singly(connection, places, &mut met.unread)))?;
    met.kept += fresh.write(|connection| keep(connection, rows, met))?;
    let ends = fresh.read(|connection| log::ends(connection, log.id))?;
    let gone = fresh.read(|connection| absent(connection, log, &missing))?;
    for (offset, position) in gone.into_iter().filter(|(offset, _)| (ends.low..ends.high).contains(offset)) {
        met.unread.remove(&position);
        met.lost.entry(log.id).or_default().insert(offset);
    }
    Ok(())
}

/// The rows at these positions that can be read; notes which cannot.
fn singly(connection: &mut SqliteConnection, positions: impl Iterator<Item = i64>, unread: &mut BTreeSet<i64>) -> Vec<Found> {
    let mut rows = Vec::new();
    for position in positions {
        match load(connection, position, position.saturating_add(1)) {
            Ok(row) => rows.extend(row),
            Err(_) => drop(unread.insert(position)),
        }
    }
    rows
}

/// The rows from position `from` to before `to`. A single one is looked up and not searched for, so that the page behind it need
/// not be sound.
fn load(connection: &mut SqliteConnection, from: i64, to: i64) -> Result<Vec<Found>, Fault> {
    let rows = messages::table.select((messages::log, MESSAGE)).order(messages::position).into_boxed();
    let rows = if to - from == 1 {
        rows.filter(messages::position.eq(from))
    } else {
        rows.filter(messages::position.ge(from)).filter(messages::position.lt(to))
    };
    Ok(rows.load(connection)?)
}

fn next_position(connection: &mut SqliteConnection, from: i64) -> Result<Option<i64>, Fault> {
    let rest = messages::table.filter(messages::position.ge(from)).order(messages::position);
    Ok(rest.select(messages::position).first(connection).optional()?)
}

/// Offset and position of what the index lists from offset `from` to before `to`.
fn listed(connection: &mut SqliteConnection, log: Log, from: i64, to: i64) -> Result<Vec<(i64, i64)>, Fault> {
    let columns = (messages::offset, messages::position);
    let rows = messages::table.select(columns).filter(messages::log.eq(log.id)).order(messages::offset).into_boxed();
    let rows = if to - from == 1 {
        rows.filter(messages::offset.eq(from))
    } else {
        rows.filter(messages::offset.ge(from)).filter(messages::offset.lt(to))
    };
    Ok(rows.load(connection)?)
}

/// Those of `wanted` (offset and position, by offset) that are not there.
fn absent(connection: &mut SqliteConnection, log: Log, wanted: &[(i64, i64)]) -> Result<Vec<(i64, i64)>, Fault> {
    let (Some((first, _)), Some((last, _))) = (wanted.first(), wanted.last()) else { return Ok(Vec::new()) };
    let there = messages::table.filter(messages::log.eq(log.id)).filter(messages::offset.between(first, last));
    let there: BTreeSet<i64> = there.select(messages::offset).load(connection)?.into_iter().collect();
    Ok(wanted.iter().copied().filter(|(offset, _)| !there.contains(offset)).collect())
}

/// Inserts the rows that are sound; answers how many.
fn keep(connection: &mut SqliteConnection, rows: Vec<Found>, met: &mut Met) -> Result<u64, Fault> {
    let mut kept = 0;
    for (log, row) in rows {
        if !log::is_sound(log, &row) {
            met.unsound.insert((log, row.0));
            continue;
        }
        *met.sound.entry(log).or_default() += 1;
        let (offset, key, payload, appended_at, observed_at, tiebreak, sum) = row;
        let row = (
            messages::log.eq(log),
            messages::offset.eq(offset),
            messages::key.eq(key),
            messages::payload.eq(payload),
            messages::appended_at.eq(appended_at),
            messages::observed_at.eq(observed_at),
            messages::tiebreak.eq(tiebreak),
            messages::checksum.eq(sum),
        );
        // A damaged page may lead to the same row twice.
        kept += u64::try_from(diesel::insert_or_ignore_into(messages::table).values(row).execute(connection)?).unwrap_or(0);
    }
    Ok(kept)
}
