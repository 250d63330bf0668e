//! Repairing a damaged log: what is readable is kept, what is lost is listed.
//!
//! **Guarantee.** The damaged file is kept beside the new one, as it was. Every message in the new file has passed its checksum
//! and kept its offset; every lost one is listed and noted, so that readers pass over it knowingly. Of a compacted topic the index
//! tells what is lost from what was removed; only where that is unreadable too is it how many may be lost, and not which.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::damage::{Header, Presence, beside, size};
use super::database::Database;
use super::log::{self, Ends, Log};
use super::rescue::{self, Met};
use super::schema::{self, holes, logs, messages, sessions, subscriptions};
use super::wal::Survey;
use super::{ends, exchange, group, partitions, source};
use crate::mailbox::MailboxError;
use crate::records::{Retention, TopicNames, now_micros};

/// More messages than any partition has ever had.
const MOST: i64 = 10_000_000_000;
/// More messages than there are in a page of the file.
const MESSAGES_IN_A_PAGE: i64 = 128;

/// What [`repair`] did. It is kept beside the damaged file too, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Messages kept.
    pub kept: u64,
    /// What was lost, a line each; empty if nothing was.
    pub lost: Vec<String>,
    /// Something of a compacted topic was lost, or may have been: a rebuild would take it out of the database as well.
    pub rows_lost: bool,
    /// Where the damaged file is now.
    pub damaged_copy: PathBuf,
}

/// Writes the readable part of `<dir>/mailbox.db` to a new file and puts it in the old one's place. A repair that was killed on
/// the way is brought to its end instead, and its own findings are answered.
///
/// # Errors
/// [`MailboxError::Unavailable`] while another process has it open; [`MailboxError::Corrupt`] when not even the list of
/// partitions can be read: then nothing was changed.
pub fn repair(dir: &Path, names: &TopicNames) -> Result<Repaired, MailboxError> {
    let path = dir.join("mailbox.db");
    let file = path.display();
    if !dir.is_dir() {
        return Err(nothing(&path));
    }
    let (presence, alone) = Presence::enter(&path)?;
    if !alone {
        return Err(MailboxError::Unavailable(format!("{file}: in use by a running reprise: stop it before the repair")));
    }
    if let Some(report) = exchange::finish(&path)? {
        return Ok(report);
    }
    if ![&path, &beside(&path, "-wal")].iter().any(|path| path.exists()) {
        return Err(nothing(&path));
    }
    if presence.misses_a_log(&path) && Survey::of(&path)?.committed == 0 {
        return Err(hopeless(&path));
    }
    let (copy, fresh) = (beside(&path, ".copy"), beside(&path, ".fresh"));
    let clear = || {
        let every = [&copy, &fresh].into_iter().flat_map(|path| exchange::PARTS.map(|part| beside(path, part)));
        every.into_iter().try_for_each(|path| remove(&path))
    };
    clear()?;
    let stamp = now_micros();
    let report = save(&path, &copy, &fresh, names, stamp).and_then(|report| {
        is_on_disk(&fresh)?;
        exchange::prepare(&path, &fresh, stamp, &report)?;
        exchange::finish(&path)?;
        Ok(report)
    });
    // After a failure as well: what was half done would only fill the disk.
    let cleared = clear();
    report.and_then(|report| cleared.map(|()| report))
}

/// All of it is in the file itself. SQLite writes it there when the last connection is closed, and tells nobody if it cannot.
fn is_on_disk(fresh: &Path) -> Result<(), MailboxError> {
    let header = Header::read(fresh).ok().flatten();
    if header.is_some_and(|header| size(fresh) >= header.file_bytes()) && size(&beside(fresh, "-wal")) == 0 {
        return Ok(());
    }
    let file = fresh.display();
    Err(MailboxError::Unavailable(format!("{file}: cannot be written to its end: free some disk space. Nothing was changed")))
}

fn nothing(path: &Path) -> MailboxError {
    MailboxError::Invalid(format!("{}: there is no such file, so there is nothing to repair", path.display()))
}

/// Writes what can be read of `path` to `fresh`, by way of `copy`.
fn save(path: &Path, copy: &Path, fresh_path: &Path, names: &TopicNames, stamp: i64) -> Result<Repaired, MailboxError> {
    let mut fresh = Database::open(fresh_path, None)?;
    fresh.run(schema::prepare)?;
    let survey = Survey::of(path)?;
    let outdated = survey.is_outdated;
    let taken = if outdated { &Survey::default() } else { &survey };
    let (mut old, every) = source::open(path, copy, (fresh_path, &mut fresh), taken)
        .and_then(|mut old| copy_logs(&mut old, &mut fresh, names).map(|every| (old, every)))
        .map_err(|error| match error {
            MailboxError::Corrupt(_) | MailboxError::Failed(_) => hopeless(path),
            other => other,
        })?;
    // Where the list of partitions may be older than the messages, the ends are looked for a little beyond it.
    let beyond =
        if survey.lost() > 0 || outdated { i64::try_from(survey.committed).unwrap_or(0) * MESSAGES_IN_A_PAGE } else { 0 };
    ends::raise_to_listed(&mut old, &mut fresh, &every, beyond)?;
    let mut met = rescue::from_the_table(&mut old, &mut fresh)?;
    ends::raise_to_kept(&mut old, &mut fresh, path, &every)?;
    rescue::from_the_index(&mut old, &mut fresh, &every, &mut met)?;
    ends::raise_to_kept(&mut old, &mut fresh, path, &every)?;
    let damaged_copy = exchange::damaged_copy(path, stamp);
    let mut report = Repaired { kept: met.kept, lost: Vec::new(), rows_lost: false, damaged_copy };
    note_holes(&mut old, &mut fresh, &every, &met, &mut report)?;
    copy_groups(&mut old, &mut fresh, path, &every, &mut report)?;
    note_strangers(&every, &met, &mut report);
    if outdated {
        report.rows_lost = true;
        report
            .lost
            .push("the write-ahead log, which is of an earlier time: what stood in the one that belongs here".to_owned());
    } else if survey.lost() > 0 {
        note_cut_log(&survey, &mut report);
    } else if let Ok(Some(identity)) = old.run(schema::identity) {
        // Where the end may be lost, offsets of this log may be given a second time: then it is another log to its readers.
        fresh.run(|connection| schema::identify(connection, identity))?;
    }
    Ok(report)
}

/// Messages of partitions that are not in the list: sound, and nobody reads them.
fn note_strangers(every: &[Log], met: &Met, report: &mut Repaired) {
    let strangers = met.sound.iter().filter(|(log, _)| !every.iter().any(|known| known.id == **log));
    let count: u64 = strangers.map(|(_, count)| count).sum();
    if count > 0 {
        report.rows_lost = true;
        report.lost.push(format!("{count} messages of partitions that are not in the list of partitions any more"));
    }
}

/// Says what cannot be told message by message: what stood last in the pages that are gone.
fn note_cut_log(survey: &Survey, report: &mut Repaired) {
    let (pages, lost) = (survey.stale_pages(), survey.lost());
    if pages > 0 {
        report.rows_lost = true;
        report.lost.push(format!(
            "{pages} pages of the write-ahead log ({lost} behind the damage): which messages, offsets of groups and ledgers stood \
             there last cannot be told beyond what is listed above"
        ));
    }
}

fn hopeless(path: &Path) -> MailboxError {
    let file = path.display();
    MailboxError::Corrupt(format!(
        "{file}: cannot be repaired: not even its list of partitions can be read. Nothing was changed. Restore the file from a \
         backup. Without one its messages are lost, but not what is in the database. To go on, move {file}, {file}-wal and \
         {file}-shm away: the next start makes a new log, and the database stays and is filled further, by the queries of the \
         configuration and `reprise search`"
    ))
}

fn copy_logs(old: &mut Database, fresh: &mut Database, names: &TopicNames) -> Result<Vec<Log>, MailboxError> {
    let damaged = || MailboxError::Corrupt("the list of partitions is damaged".to_owned());
    let rows = old.run(|connection| partitions::mended(connection, names))?.ok_or_else(damaged)?;
    // They have no checksum. Beyond these bounds they are damaged for certain, and walking through them would not end.
    let plausible =
        |(_, _, partition, low, high, _): &partitions::Row| *partition >= 0 && (0..=*high).contains(low) && *high <= MOST;
    if !rows.iter().all(plausible) {
        return Err(damaged());
    }
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

/// Notes what is missing, so that readers pass over it knowingly, and lists it.
fn note_holes(
    old: &mut Database,
    fresh: &mut Database,
    every: &[Log],
    met: &Met,
    report: &mut Repaired,
) -> Result<(), MailboxError> {
    // Of a compacted log nothing else tells what earlier repairs have given up.
    let given_up: Vec<(i64, i64, i64)> = old
        .run(|connection| Ok(holes::table.select((holes::log, holes::first, holes::last)).load(connection)?))
        .unwrap_or_default();
    for log in every {
        let given_up = given_up.iter().filter(|(of, ..)| *of == log.id).map(|(_, first, last)| (*first, *last));
        let gaps = fresh.write(|connection| {
            let ends = log::ends(connection, log.id)?;
            let found: Vec<i64> = messages::table
                .filter(messages::log.eq(log.id))
                .order(messages::offset)
                .select(messages::offset)
                .load(connection)?;
            let gaps = if is_compacted(log) { known_gaps(log, ends, &found, met) } else { all_gaps(ends, &found) };
            let gaps = joined(gaps.into_iter().chain(given_up.filter(|gap| is_gap(*gap, ends, &found))).collect());
            for (first, last) in &gaps {
                let row = (holes::log.eq(log.id), holes::first.eq(first), holes::last.eq(last));
                diesel::insert_into(holes::table).values(row).execute(connection)?;
            }
            Ok(gaps)
        })?;
        report.rows_lost |= is_compacted(log) && !gaps.is_empty();
        report.lost.extend(gaps.iter().map(|(first, last)| match first == last {
            true => format!("{}: the message of offset {first}", log.at),
            false => format!("{}: the messages from offset {first} to {last}", log.at),
        }));
    }
    note_unknown(every, met, report);
    Ok(())
}

/// Of a compacted topic messages may be missing for good reason: where its index was damaged as well, all that can be said is how
/// many there may be.
fn note_unknown(every: &[Log], met: &Met, report: &mut Repaired) {
    let unread = met.unread.len();
    let blind = every.iter().find(|log| is_compacted(log) && met.blind.contains(&log.id));
    if let (Some(log), true) = (blind, unread > 0) {
        report.rows_lost = true;
        let name = log.at.topic.default_name();
        report.lost.push(format!("{name}: up to {unread} more, whose offsets and topics cannot be read any more"));
    }
}

fn is_compacted(log: &Log) -> bool {
    log.at.topic.retention() == Retention::Compact
}

/// Every offset between the ends that is not `found`.
fn all_gaps(ends: Ends, found: &[i64]) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    let mut expected = ends.low;
    for offset in found.iter().copied().chain([ends.high]) {
        if offset > expected {
            gaps.push((expected, offset - 1));
        }
        expected = expected.max(offset + 1);
    }
    gaps
}

/// Whether this is a range between the ends with nothing `found` in it.
fn is_gap((first, last): (i64, i64), ends: Ends, found: &[i64]) -> bool {
    let next = found.partition_point(|offset| *offset < first);
    ends.low <= first && first <= last && last < ends.high && found.get(next).is_none_or(|offset| *offset > last)
}

/// Ranges that overlap or touch are one.
fn joined(mut gaps: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    gaps.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (first, last) in gaps {
        match joined.last_mut() {
            Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// What compaction cannot have removed: what the index lists, what is there and unsound, and the last message of all.
fn known_gaps(log: &Log, ends: Ends, found: &[i64], met: &Met) -> Vec<(i64, i64)> {
    let listed = met.lost.get(&log.id).into_iter().flatten().copied();
    let unsound = met.unsound.range((log.id, i64::MIN)..=(log.id, i64::MAX)).map(|(_, offset)| *offset);
    let offsets: BTreeSet<i64> = listed.chain(unsound).chain([ends.high - 1]).collect();
    let is_missing = |offset: &i64| (ends.low..ends.high).contains(offset) && found.binary_search(offset).is_err();
    offsets.into_iter().filter(is_missing).map(|offset| (offset, offset)).collect()
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
