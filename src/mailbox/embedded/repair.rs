//! Repairing a damaged log: what is readable is kept, what is lost is listed.
//!
//! **Guarantee.** The damaged file is kept beside the new one. Every message in the new file has passed its checksum and kept
//! its offset; every lost one of a topic without compaction is noted, so that readers pass over it knowingly. Of a compacted
//! topic those are listed that are there and unsound: what is not there at all cannot be told from compaction.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::damage::{Presence, beside};
use super::database::{Database, Fault};
use super::group;
use super::log::{self, Log};
use super::schema::{self, holes, logs, messages, sessions, subscriptions};
use crate::mailbox::MailboxError;
use crate::records::{Retention, TopicNames, now_micros};

/// Messages copied in one transaction.
const CHUNK: i64 = 500;

/// What [`repair`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Messages kept.
    pub kept: u64,
    /// What was lost, a line each; empty if nothing was.
    pub lost: Vec<String>,
    /// Where the damaged file is now.
    pub damaged_copy: PathBuf,
}

/// Writes the readable part of `<dir>/mailbox.db` to a new file and puts it in the old one's place.
///
/// # Errors
/// [`MailboxError::Unavailable`] while another process has it open; [`MailboxError::Corrupt`] when not even the list of
/// partitions can be read.
pub fn repair(dir: &Path, names: &TopicNames) -> Result<Repaired, MailboxError> {
    let path = dir.join("mailbox.db");
    let (_presence, alone) = Presence::enter(&path)?;
    if !alone {
        let file = path.display();
        return Err(MailboxError::Unavailable(format!("{file}: in use by a running reprise: stop it before the repair")));
    }
    let fresh_path = beside(&path, ".repaired");
    for suffix in ["", "-wal", "-shm"] {
        remove(&beside(&fresh_path, suffix))?;
    }
    let mut old = Database::open(&path, None)?;
    let mut fresh = Database::open(&fresh_path, None)?;
    fresh.run(schema::prepare)?;
    let mut report = Repaired { kept: 0, lost: Vec::new(), damaged_copy: beside(&path, &format!(".damaged-{}", now_micros())) };
    let every = copy_logs(&mut old, &mut fresh, names)?;
    let unsound = copy_messages(&mut old, &mut fresh, &mut report)?;
    note_holes(&mut fresh, &every, &unsound, &mut report)?;
    copy_groups(&mut old, &mut fresh, &path, &every, &mut report)?;
    drop(old);
    drop(fresh);
    // The write-ahead log belongs to the damaged file: applied to the new one it would damage that too.
    for suffix in ["-wal", "-shm", ""] {
        rename(&beside(&path, suffix), &beside(&report.damaged_copy, suffix))?;
    }
    rename(&fresh_path, &path)?;
    Ok(report)
}

type LogRow = (i64, String, i32, i64, i64, i64);

fn copy_logs(old: &mut Database, fresh: &mut Database, names: &TopicNames) -> Result<Vec<Log>, MailboxError> {
    let rows: Vec<LogRow> = old.run(|connection| {
        let columns = (logs::log, logs::topic, logs::partition, logs::low, logs::high, logs::appended_at);
        Ok(logs::table.select(columns).load(connection)?)
    })?;
    fresh.write(|connection| {
        for (log, topic, partition, low, high, appended_at) in &rows {
            let row = (
                logs::log.eq(log),
                logs::topic.eq(topic),
                logs::partition.eq(partition),
                logs::low.eq(low),
                logs::high.eq(high),
                logs::appended_at.eq(appended_at),
            );
            diesel::insert_into(logs::table).values(row).execute(connection)?;
        }
        log::every(connection, names)
    })
}

type MessageRow = (i64, i64, i64, Vec<u8>, Vec<u8>, i64, Option<i64>, Option<i64>, i64);

/// Log and offset of messages that are there and fail their checksum.
type Unsound = BTreeSet<(i64, i64)>;

fn copy_messages(old: &mut Database, fresh: &mut Database, report: &mut Repaired) -> Result<Unsound, MailboxError> {
    let mut unsound = Unsound::new();
    // Positions are given in sequence, so no message stands beyond as many as were ever appended.
    let appended: Vec<i64> = fresh.read(|connection| Ok(logs::table.select(logs::high).load(connection)?))?;
    let last: i64 = appended.iter().sum();
    let mut position = 0;
    while position < last {
        let rows = match old.run(|connection| load(connection, position, CHUNK)) {
            Ok(rows) if rows.is_empty() => break,
            Ok(rows) => rows,
            // A damaged page: take what can be had one by one.
            Err(_) => (position..position + CHUNK)
                .filter_map(|before| old.run(|connection| load(connection, before, 1)).ok())
                .flatten()
                .filter(|row| row.0 <= position + CHUNK)
                .collect(),
        };
        position = rows.last().map_or(position + CHUNK, |row| row.0);
        report.kept += fresh.write(|connection| keep(connection, rows, &mut unsound))?;
    }
    Ok(unsound)
}

fn load(connection: &mut SqliteConnection, after: i64, max: i64) -> Result<Vec<MessageRow>, Fault> {
    let columns = (
        messages::position,
        messages::log,
        messages::offset,
        messages::key,
        messages::payload,
        messages::appended_at,
        messages::observed_at,
        messages::tiebreak,
        messages::checksum,
    );
    let rows = messages::table.filter(messages::position.gt(after)).order(messages::position).limit(max);
    Ok(rows.select(columns).load(connection)?)
}

/// Inserts the rows that are sound; answers how many.
fn keep(connection: &mut SqliteConnection, rows: Vec<MessageRow>, unsound: &mut Unsound) -> Result<u64, Fault> {
    let mut kept = 0;
    for (_, log, offset, key, payload, appended_at, observed_at, tiebreak, sum) in rows {
        if !log::is_sound(log, offset, &key, &payload, appended_at, observed_at.zip(tiebreak), sum) {
            unsound.insert((log, offset));
            continue;
        }
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
        // One by one, the same row may have been met twice.
        kept += u64::try_from(diesel::insert_or_ignore_into(messages::table).values(row).execute(connection)?).unwrap_or(0);
    }
    Ok(kept)
}

fn note_holes(fresh: &mut Database, every: &[Log], unsound: &Unsound, report: &mut Repaired) -> Result<(), MailboxError> {
    for log in every {
        let (gaps, dropped) = fresh.write(|connection| {
            let ends = log::ends(connection, log.id)?;
            let found: Vec<i64> = messages::table
                .filter(messages::log.eq(log.id))
                .order(messages::offset)
                .select(messages::offset)
                .load(connection)?;
            let compacted = log.at.topic.retention() == Retention::Compact;
            // Of a compacted topic only the last message must be there; what else is gone cannot be told from compaction.
            let mut expected = if compacted { ends.low.max(ends.high - 1) } else { ends.low };
            let mut gaps = Vec::new();
            for offset in found.iter().copied().chain([ends.high]) {
                if offset > expected {
                    gaps.push((expected, offset - 1));
                }
                expected = expected.max(offset + 1);
            }
            for (first, last) in &gaps {
                let row = (holes::log.eq(log.id), holes::first.eq(first), holes::last.eq(last));
                diesel::insert_into(holes::table).values(row).execute(connection)?;
            }
            // Their log and offset may be what was damaged: only what can be missing is called lost.
            let is_lost = |offset: &i64| {
                (ends.low..ends.high).contains(offset)
                    && found.binary_search(offset).is_err()
                    && !gaps.iter().any(|(first, last)| (*first..=*last).contains(offset))
            };
            let dropped: Vec<i64> =
                unsound.range((log.id, i64::MIN)..=(log.id, i64::MAX)).map(|(_, offset)| *offset).filter(is_lost).collect();
            Ok((gaps, dropped))
        })?;
        report.lost.extend(gaps.iter().map(|(first, last)| format!("{}: the messages from offset {first} to {last}", log.at)));
        report.lost.extend(dropped.iter().map(|offset| format!("{}: the message of offset {offset}", log.at)));
    }
    Ok(())
}

/// Offsets and ledgers that are sound. A group whose offset is lost reads that partition again from the beginning.
fn copy_groups(
    old: &mut Database,
    fresh: &mut Database,
    path: &Path,
    every: &[Log],
    report: &mut Repaired,
) -> Result<(), MailboxError> {
    let readers: Vec<(String, i64)> = old
        .run(|connection| Ok(subscriptions::table.select((subscriptions::consumer, subscriptions::log)).load(connection)?))
        .unwrap_or_else(|_| {
            report.lost.push("all consumer groups: they read everything again".to_owned());
            Vec::new()
        });
    for (reader, id) in readers {
        let Some(log) = every.iter().find(|log| log.id == id) else { continue };
        let committed = old.run(|connection| group::committed(connection, path, &reader, *log));
        fresh.write(|connection| {
            let row = (subscriptions::consumer.eq(&reader), subscriptions::log.eq(id));
            diesel::insert_into(subscriptions::table).values(row).execute(connection)?;
            let session = (
                sessions::consumer.eq(&reader),
                sessions::epoch.eq(0),
                sessions::owner.eq("repair"),
                sessions::opened_at.eq(0),
            );
            diesel::insert_or_ignore_into(sessions::table).values(session).execute(connection)?;
            match &committed {
                Ok(Some(known)) => group::restore(connection, path, &reader, *log, known),
                _ => Ok(()),
            }
        })?;
        if committed.is_err() {
            report.lost.push(format!("the offset of group {reader} in {}: it reads the partition again", log.at));
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), MailboxError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(MailboxError::Unavailable(format!("{}: cannot be removed: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), MailboxError> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(MailboxError::Unavailable(format!("{}: cannot be renamed to {}: {error}", from.display(), to.display())))
        }
        _ => Ok(()),
    }
}
