//! Consumer groups: who may publish for one, what it has committed, and its ledger.
//!
//! **Guarantee.** Of all sessions of a group only the newest publishes. An offset and the ledger beside it change together.

use std::path::Path;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use sha2::{Digest, Sha256};

use super::database::{Fault, damaged};
use super::log::{Log, first_eight};
use super::schema::{offsets, sessions, subscriptions};
use crate::mailbox::{Committed, Ledger, MailboxError, Progress};

type OffsetRow = (i64, i64, i64, i64, i64, i64, i64);

/// Takes the group over from whoever holds it: answers the epoch that the new session must show when it publishes. What it `reads` is
/// kept until it has finished it, if it `retains`.
pub(super) fn claim(
    connection: &mut SqliteConnection,
    group: &str,
    owner: &str,
    now: i64,
    (reads, retains): (&[Log], bool),
) -> Result<i64, Fault> {
    let epoch = held(connection, group)?.map_or(1, |(epoch, _)| epoch + 1);
    diesel::replace_into(sessions::table)
        .values((
            sessions::consumer.eq(group),
            sessions::epoch.eq(epoch),
            sessions::owner.eq(owner),
            sessions::opened_at.eq(now),
        ))
        .execute(connection)?;
    if !retains {
        diesel::delete(subscriptions::table.filter(subscriptions::consumer.eq(group))).execute(connection)?;
    }
    for log in reads.iter().filter(|_| retains) {
        diesel::insert_or_ignore_into(subscriptions::table)
            .values((subscriptions::consumer.eq(group), subscriptions::log.eq(log.id)))
            .execute(connection)?;
    }
    Ok(epoch)
}

/// Refuses a session that is not the newest of its group.
pub(super) fn check(connection: &mut SqliteConnection, group: &str, epoch: i64) -> Result<(), Fault> {
    match held(connection, group)? {
        Some((current, _)) if current == epoch => Ok(()),
        Some((_, owner)) => {
            Err(Fault::Mailbox(MailboxError::Fenced(format!("{owner} opened group {group} after this session"))))
        }
        None => Err(Fault::Mailbox(MailboxError::Fenced(format!("group {group} was forgotten since this session was opened")))),
    }
}

/// Removes everything known about a group, so that retention no longer waits for it.
pub(super) fn forget(connection: &mut SqliteConnection, group: &str) -> Result<(), Fault> {
    diesel::delete(offsets::table.filter(offsets::consumer.eq(group))).execute(connection)?;
    diesel::delete(subscriptions::table.filter(subscriptions::consumer.eq(group))).execute(connection)?;
    diesel::delete(sessions::table.filter(sessions::consumer.eq(group))).execute(connection)?;
    Ok(())
}

fn held(connection: &mut SqliteConnection, group: &str) -> Result<Option<(i64, String)>, Fault> {
    Ok(sessions::table
        .filter(sessions::consumer.eq(group))
        .select((sessions::epoch, sessions::owner))
        .get_result(connection)
        .optional()?)
}

/// What the group has committed for `log`, if anything.
pub(super) fn committed(
    connection: &mut SqliteConnection,
    path: &Path,
    group: &str,
    log: Log,
) -> Result<Option<Committed>, Fault> {
    let row: Option<OffsetRow> = offsets::table
        .filter(offsets::consumer.eq(group))
        .filter(offsets::log.eq(log.id))
        .select((
            offsets::next_offset,
            offsets::consumed,
            offsets::emitted,
            offsets::superseded,
            offsets::dead_lettered,
            offsets::produced,
            offsets::checksum,
        ))
        .get_result(connection)
        .optional()?;
    let Some((next_offset, consumed, emitted, superseded, dead_lettered, produced, sum)) = row else {
        return Ok(None);
    };
    if checksum(group, log.id, [next_offset, consumed, emitted, superseded, dead_lettered, produced]) != sum {
        return Err(damaged(path, &format!("the offset of group {group} in {} does not match its checksum", log.at)).into());
    }
    let count = |stored: i64| u64::try_from(stored).unwrap_or(0);
    let ledger = Ledger {
        consumed: count(consumed),
        emitted: count(emitted),
        superseded: count(superseded),
        dead_lettered: count(dead_lettered),
        produced: count(produced),
    };
    Ok(Some(Committed { at: log.at, next_offset, ledger }))
}

/// Moves the group on and adds to its ledger.
pub(super) fn commit(
    connection: &mut SqliteConnection,
    path: &Path,
    group: &str,
    log: Log,
    progress: &Progress,
) -> Result<(), Fault> {
    let mut ledger = committed(connection, path, group, log)?.map_or_else(Ledger::default, |known| known.ledger);
    ledger.add(&progress.counts);
    let stored = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let numbers = [
        progress.next_offset,
        stored(ledger.consumed),
        stored(ledger.emitted),
        stored(ledger.superseded),
        stored(ledger.dead_lettered),
        stored(ledger.produced),
    ];
    let [next_offset, consumed, emitted, superseded, dead_lettered, produced] = numbers;
    diesel::replace_into(offsets::table)
        .values((
            offsets::consumer.eq(group),
            offsets::log.eq(log.id),
            offsets::next_offset.eq(next_offset),
            offsets::consumed.eq(consumed),
            offsets::emitted.eq(emitted),
            offsets::superseded.eq(superseded),
            offsets::dead_lettered.eq(dead_lettered),
            offsets::produced.eq(produced),
            offsets::checksum.eq(checksum(group, log.id, numbers)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Sets what a repair could save: offset and ledger as they were.
pub(super) fn restore(
    connection: &mut SqliteConnection,
    path: &Path,
    group: &str,
    log: Log,
    known: &Committed,
) -> Result<(), Fault> {
    commit(connection, path, group, log, &Progress { at: log.at, next_offset: known.next_offset, counts: known.ledger })
}

fn checksum(group: &str, log: i64, numbers: [i64; 6]) -> i64 {
    let mut digest = Sha256::new();
    digest.update(log.to_le_bytes());
    for number in numbers {
        digest.update(number.to_le_bytes());
    }
    digest.update(group.as_bytes());
    first_eight(&digest.finalize())
}
