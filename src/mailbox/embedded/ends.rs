//! Where the partitions of a damaged log end.
//!
//! **Guarantee.** No offset is below the end of its partition that a message, the index or a group bears witness to: it will not be
//! given a second time. The list of partitions may be older than what it describes.

use std::path::Path;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::database::{Database, Fault};
use super::group;
use super::log::{self, Log};
use super::schema::{logs, messages, subscriptions};
use crate::mailbox::MailboxError;

/// Raises the ends to what the index of `old` lists, at most `beyond` further: an entry of the index has no checksum.
pub(super) fn raise_to_listed(
    old: &mut Database,
    fresh: &mut Database,
    every: &[Log],
    beyond: i64,
) -> Result<(), MailboxError> {
    for log in every.iter().filter(|_| beyond > 0) {
        let end = fresh.read(|connection| log::ends(connection, log.id))?.high.saturating_add(beyond);
        let listed = old.run(|connection| last_offset(connection, *log, end)).unwrap_or(None);
        fresh.write(|connection| raise(connection, *log, listed))?;
    }
    Ok(())
}

/// Raises the ends to what was kept, and to what groups have read. Both have their checksums.
pub(super) fn raise_to_kept(old: &mut Database, fresh: &mut Database, path: &Path, every: &[Log]) -> Result<(), MailboxError> {
    for log in every {
        let readers = subscriptions::table.filter(subscriptions::log.eq(log.id)).select(subscriptions::consumer);
        let readers: Vec<String> = old.run(|connection| Ok(readers.load(connection)?)).unwrap_or_default();
        let read = readers.iter().filter_map(|reader| {
            let committed = old.run(|connection| group::committed(connection, path, reader, *log)).ok().flatten()?;
            Some(committed.next_offset - 1)
        });
        let read = read.max();
        fresh.write(|connection| {
            let kept = last_offset(connection, *log, i64::MAX)?;
            raise(connection, *log, kept.max(read))
        })?;
    }
    Ok(())
}

/// The last offset below `end` that the index lists.
fn last_offset(connection: &mut SqliteConnection, log: Log, end: i64) -> Result<Option<i64>, Fault> {
    let offsets = messages::table.filter(messages::log.eq(log.id)).filter(messages::offset.lt(end));
    Ok(offsets.order(messages::offset.desc()).select(messages::offset).first(connection).optional()?)
}

fn raise(connection: &mut SqliteConnection, log: Log, last: Option<i64>) -> Result<(), Fault> {
    if let Some(last) = last {
        let below = logs::table.filter(logs::log.eq(log.id)).filter(logs::high.le(last));
        diesel::update(below).set(logs::high.eq(last.saturating_add(1))).execute(connection)?;
    }
    Ok(())
}
