//! Finding damage when the log is opened, and on demand.
//!
//! **Guarantee.** A truncated file is found at every opening, an empty one too. After an unclean end (the write-ahead log was left
//! behind) that log, the structure of the file and the newest messages of each partition are checked before anything is read or
//! appended.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel::{QueryableByName, sql_query, sql_types};

use super::database::{Database, Fault, damaged};
use super::wal::Survey;
use super::{Shared, exchange, group, log, partitions, schema};
use crate::mailbox::MailboxError;
use crate::records::TopicNames;

/// Files up to this size have their whole structure checked after an unclean end: about a second. Larger ones have only their
/// newest messages checked, so that a restart stays quick; `verify` reads everything.
const CHECK_WHOLE_UP_TO_BYTES: u64 = 256 * 1024 * 1024;
/// Newest messages of each partition checked after an unclean end: what was being written when the process died.
const CHECK_NEWEST: i64 = 64;
/// What the lock's file says once there is a log.
const MADE: &[u8] = b"mailbox.db was made\n";
/// Messages read at a time when everything is checked.
const CHUNK: usize = 500;

/// A shared lock that every opener of the file holds: the first one is alone and may check or replace it. The lock's own file
/// remembers that there is a log: an empty `mailbox.db` beside it has lost what it held, and is not about to be made.
#[derive(Debug)]
pub(super) struct Presence {
    file: File,
}

impl Presence {
    /// Answers whether nobody else has the log open; others wait until [`Presence::share`].
    pub(super) fn enter(path: &Path) -> Result<(Presence, bool), MailboxError> {
        let lock_path = beside(path, ".open");
        let refused =
            |error: std::io::Error| MailboxError::Unavailable(format!("{}: cannot be locked: {error}", lock_path.display()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => Ok((Presence { file }, true)),
            Err(TryLockError::WouldBlock) => {
                file.lock_shared().map_err(refused)?;
                Ok((Presence { file }, false))
            }
            Err(TryLockError::Error(error)) => Err(refused(error)),
        }
    }

    /// Whether the file at `path` is empty and was not.
    pub(super) fn misses_a_log(&self, path: &Path) -> bool {
        size(path) == 0 && self.remembers_a_log()
    }

    fn remembers_a_log(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() > 0)
    }

    /// For whoever is alone, and before the log is made.
    fn forget(&self) -> std::io::Result<()> {
        self.file.set_len(0)
    }

    /// For whoever is alone, once the log has its tables. Not worth failing for: an emptied file would only be taken for a new one.
    fn remember(&self) {
        if !self.remembers_a_log() && (&self.file).write_all(MADE).is_err() {
            slog_scope::debug!("That there is a mailbox could not be noted.");
        }
    }

    /// Lets others in.
    pub(super) fn share(&self) -> Result<(), MailboxError> {
        self.file.lock_shared().map_err(|error| MailboxError::Unavailable(format!("the mailbox cannot be shared: {error}")))
    }
}

/// The file's path with `suffix` appended.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// An opened log.
pub(super) struct Opened {
    pub(super) presence: Presence,
    pub(super) database: Database,
    /// See [`schema::identity`].
    pub(super) identity: i32,
}

/// Opens the log, making its tables if it is new, and looks for damage if there is reason to.
pub(super) fn open_checked(path: &Path, names: &TopicNames, max_bytes: Option<u64>) -> Result<Opened, MailboxError> {
    let (presence, alone) = Presence::enter(path)?;
    let unclean = size(&beside(path, "-wal")) > 0;
    if alone {
        if let Some(repaired) = exchange::finish(path)? {
            slog_scope::warn!("A repair of the mailbox that was cut short is complete now.";
                "kept" => repaired.kept, "lost" => repaired.lost.join("; "), "damaged" => %repaired.damaged_copy.display());
        }
        // Before SQLite sees it: it takes damage for the end of the log, and removes what is behind it.
        is_taken_up(path)?;
        is_not_emptied(path, &presence)?;
        if !unclean {
            is_whole(path)?;
        }
    }
    let mut database = Database::open(path, max_bytes)?;
    let identity = database.run(schema::prepare)?;
    if alone {
        database.read(|connection| partitions::check(connection, path, names))?;
    }
    if alone && unclean {
        if size(path) <= CHECK_WHOLE_UP_TO_BYTES {
            database.run(|connection| structure(connection, path, "quick_check"))?;
        }
        database.read(|connection| newest(connection, path, names))?;
    }
    if alone {
        presence.remember();
    }
    presence.share()?;
    Ok(Opened { presence, database, identity })
}

/// Bytes of a file; 0 for one that is not there.
pub(super) fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Refuses a write-ahead log of which something committed would not be taken up.
fn is_taken_up(path: &Path) -> Result<(), MailboxError> {
    let log = beside(path, "-wal");
    let survey = Survey::of(path)?;
    let Survey { recovered, committed, .. } = survey;
    if survey.lost() > 0 {
        let finding =
            format!("its write-ahead log {} can be read up to page {recovered} of the {committed} written", log.display());
        return Err(damaged(path, &finding));
    }
    if survey.is_outdated {
        let finding =
            format!("its write-ahead log {} is of an earlier time: the one that belongs to it is gone", log.display());
        return Err(damaged(path, &finding));
    }
    // A file has its first page before anything is written to the log.
    if committed > 0 && size(path) == 0 {
        return Err(damaged(path, &format!("it is gone, and its write-ahead log {} is not", log.display())));
    }
    Ok(())
}

/// Refuses an empty file where there was a log. One that is not there at all was moved away, and is made anew.
fn is_not_emptied(path: &Path, presence: &Presence) -> Result<(), MailboxError> {
    let lock = beside(path, ".open");
    if !path.exists() {
        let refused = |error| MailboxError::Unavailable(format!("{}: cannot be written: {error}", lock.display()));
        return presence.forget().map_err(refused);
    }
    if presence.misses_a_log(path) {
        return Err(damaged(path, &format!("it is empty (0 bytes), and {} says that it was not", lock.display())));
    }
    Ok(())
}

/// Checks everything: structure, indexes, every message, every offset.
pub(super) fn verify(shared: &Shared, database: &mut Database) -> Result<(), MailboxError> {
    let path = shared.path();
    database.run(|connection| structure(connection, path, "integrity_check"))?;
    for log in shared.every_log(database)? {
        let ends = database.read(|connection| log::ends(connection, log.id))?;
        let mut from = ends.low;
        while from < ends.high {
            let messages = database.read(|connection| log::read_on(connection, path, log, from, ends, CHUNK))?;
            from = messages.last().map_or(ends.high, |message| message.offset + 1);
        }
        database.read(|connection| {
            let readers = schema::subscriptions::table.filter(schema::subscriptions::log.eq(log.id));
            let readers: Vec<String> = readers.select(schema::subscriptions::consumer).load(connection)?;
            readers.iter().try_for_each(|reader| group::committed(connection, path, reader, log).map(drop))
        })?;
    }
    Ok(())
}

/// Compares the size of the file with what its header says.
fn is_whole(path: &Path) -> Result<(), MailboxError> {
    let size = size(path);
    if size == 0 {
        return Ok(());
    }
    let Ok(Some(header)) = Header::read(path) else {
        return Err(damaged(path, "its first bytes are not those of a mailbox"));
    };
    if size < header.file_bytes() {
        return Err(damaged(path, &format!("it is cut off: {size} bytes of {}", header.file_bytes())));
    }
    Ok(())
}

/// What the first bytes of the file say about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) page_bytes: u64,
    pub(super) pages: u64,
    pub(super) layout: i32,
}

impl Header {
    /// Bytes that the file has when it is whole.
    pub(super) fn file_bytes(&self) -> u64 {
        self.pages * self.page_bytes
    }

    /// `None` when they are not those of an SQLite file.
    pub(super) fn read(path: &Path) -> std::io::Result<Option<Header>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(100).read_to_end(&mut bytes)?;
        let Ok(bytes) = <[u8; 100]>::try_from(bytes) else { return Ok(None) };
        let page_bytes = match u64::from(u16::from_be_bytes([bytes[16], bytes[17]])) {
            1 => 65_536,
            bytes => bytes,
        };
        let number = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let known = bytes.starts_with(b"SQLite format 3\0") && page_bytes.is_power_of_two() && page_bytes >= 512;
        Ok(known.then(|| Header {
            page_bytes,
            pages: u64::from(u32::from_be_bytes(number(28))),
            layout: i32::from_be_bytes(number(60)),
        }))
    }
}

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = sql_types::Text)]
    finding: String,
}

fn structure(connection: &mut SqliteConnection, path: &Path, check: &str) -> Result<(), Fault> {
    let query = format!("SELECT {check} AS finding FROM pragma_{check}");
    let findings: Vec<Finding> = sql_query(query).load(connection)?;
    match findings.into_iter().find(|found| found.finding != "ok") {
        Some(found) => Err(damaged(path, found.finding.trim()).into()),
        None => Ok(()),
    }
}

/// The newest messages of every log are there and sound.
fn newest(connection: &mut SqliteConnection, path: &Path, names: &TopicNames) -> Result<(), Fault> {
    for log in log::every(connection, names)? {
        let ends = log::ends(connection, log.id)?;
        let mut from = ends.low.max(ends.high - CHECK_NEWEST);
        while from < ends.high {
            let messages = log::read_on(connection, path, log, from, ends, CHUNK)?;
            from = messages.last().map_or(ends.high, |message| message.offset + 1);
        }
    }
    Ok(())
}
