//! Retention and compaction of the embedded log.
//!
//! **Guarantee.** Nothing is deleted that a known group has not finished. Of a compacted topic the last message of each key
//! stays for ever. The work is done in small steps between polls, so that no stage waits long for it.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use parking_lot::Mutex;

use super::Shared;
use super::database::{Database, Fault};
use super::log::{self, Log};
use super::schema::{logs, messages, offsets, subscriptions};
use crate::mailbox::MailboxError;
use crate::records::{Retention, now_micros};

/// Most messages deleted at a time: about ten milliseconds of work.
const STEP_MESSAGES: i64 = 1_000;
/// Pause between steps while there is more to delete.
const PAUSE_BUSY: Duration = Duration::from_secs(1);
/// Pause when everything is tidy.
const PAUSE_TIDY: Duration = Duration::from_secs(60);

/// When the next step is due. One for all sessions of a mailbox.
#[derive(Debug)]
pub(super) struct Upkeep {
    due: Mutex<Instant>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Upkeep { due: Mutex::new(Instant::now() + PAUSE_BUSY) }
    }
}

/// Does one step if it is due and no other session is at it.
pub(super) fn take_turn(shared: &Shared, database: &mut Database) -> Result<(), MailboxError> {
    let Some(mut due) = shared.upkeep.due.try_lock() else { return Ok(()) };
    if Instant::now() < *due {
        return Ok(());
    }
    // Set first: a step that fails is not tried again at every poll.
    *due = Instant::now() + PAUSE_TIDY;
    if step(shared, database, now_micros())? >= STEP_MESSAGES {
        *due = Instant::now() + PAUSE_BUSY;
    }
    Ok(())
}

/// Deletes what retention allows at `now` (microseconds since the Unix epoch), at most [`STEP_MESSAGES`]; answers how many.
pub(super) fn step(shared: &Shared, database: &mut Database, now: i64) -> Result<i64, MailboxError> {
    let known = shared.every_log(database)?;
    let mut deleted = 0;
    for log in known {
        let left = STEP_MESSAGES - deleted;
        if left <= 0 {
            break;
        }
        // Look first: most of the time there is nothing to do, and a look needs no write lock.
        let doomed = database.read(|connection| doomed(connection, log, now, left))?;
        if doomed.is_empty() {
            continue;
        }
        let _writer = shared.writer.lock();
        deleted += database.write(|connection| delete(connection, log, now, left))?;
    }
    Ok(deleted)
}

/// The offsets of `log` that may go, oldest first.
fn doomed(connection: &mut SqliteConnection, log: Log, now: i64, max: i64) -> Result<Vec<i64>, Fault> {
    let floor = finished_by_all(connection, log)?;
    let old = messages::table
        .filter(messages::log.eq(log.id))
        .filter(messages::offset.lt(floor))
        .order(messages::offset)
        .limit(max)
        .select(messages::offset)
        .into_boxed();
    match log.at.topic.retention() {
        Retention::Delete(age) => {
            let before = now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
            Ok(old.filter(messages::appended_at.lt(before)).load(connection)?)
        }
        Retention::Compact => {
            let later = diesel::alias!(messages as later);
            let superseded = later
                .filter(later.field(messages::log).eq(messages::log))
                .filter(later.field(messages::key).eq(messages::key))
                .filter(later.field(messages::offset).gt(messages::offset))
                .select(later.field(messages::position));
            Ok(old.filter(diesel::dsl::exists(superseded)).load(connection)?)
        }
    }
}

fn delete(connection: &mut SqliteConnection, log: Log, now: i64, max: i64) -> Result<i64, Fault> {
    let doomed = doomed(connection, log, now, max)?;
    for offset in &doomed {
        diesel::delete(messages::table.filter(messages::log.eq(log.id)).filter(messages::offset.eq(*offset)))
            .execute(connection)?;
    }
    if let (Retention::Delete(_), Some(last)) = (log.at.topic.retention(), doomed.last()) {
        diesel::update(logs::table.filter(logs::log.eq(log.id))).set(logs::low.eq(last + 1)).execute(connection)?;
    }
    Ok(i64::try_from(doomed.len()).unwrap_or(i64::MAX))
}

/// The offset that every group reading `log` has passed; the end if nobody reads it.
fn finished_by_all(connection: &mut SqliteConnection, log: Log) -> Result<i64, Fault> {
    let ends = log::ends(connection, log.id)?;
    let readers: Vec<String> =
        subscriptions::table.filter(subscriptions::log.eq(log.id)).select(subscriptions::consumer).load(connection)?;
    let finished: Vec<(String, i64)> =
        offsets::table.filter(offsets::log.eq(log.id)).select((offsets::consumer, offsets::next_offset)).load(connection)?;
    let passed = |reader: &String| finished.iter().find(|(group, _)| group == reader).map_or(ends.low, |(_, next)| *next);
    Ok(readers.iter().map(passed).min().unwrap_or(ends.high))
}
