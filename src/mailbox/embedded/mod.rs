//! The embedded mailbox: an append-only log in SQLite, at `<dir>/mailbox.db`.
//!
//! **Guarantee.** As every mailbox (see [`crate::mailbox`]); a publication is one SQLite transaction, synced to disk. Opening a
//! session for a group takes the group over: the session before it publishes nothing more. All partitions belong to the
//! one session of a group. Damage is reported with the place, never passed over in silence.
//!
//! Meant for one running process ([`InstanceLock`](crate::mailbox::InstanceLock)) with any number of operator's commands beside it.

mod damage;
mod database;
mod ends;
mod exchange;
mod group;
mod log;
mod news;
mod partitions;
mod repair;
mod rescue;
mod schema;
mod session;
mod source;
mod upkeep;
mod wal;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::prelude::*;
use parking_lot::Mutex;

use self::database::{Database, Fault};
use self::log::Log;
use self::news::News;
use self::session::EmbeddedSession;
use self::upkeep::Upkeep;
use super::{Committed, Mailbox, MailboxError, Message, Session, SessionSpec, TopicPartition, TopicReport, Watermarks};
use crate::records::{Topic, TopicNames};

pub use self::repair::{Repaired, repair};

/// Where the log is and what its topics are called.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Folder of `mailbox.db`; made if missing.
    pub dir: PathBuf,
    /// Names of the topics.
    pub names: TopicNames,
}

/// See the module.
pub struct EmbeddedMailbox {
    shared: Arc<Shared>,
    database: Mutex<Database>,
}

/// What the mailbox and its sessions have in common.
pub(in crate::mailbox) struct Shared {
    path: PathBuf,
    identity: i32,
    max_bytes: Option<u64>,
    names: TopicNames,
    /// Writers of this process queue up here: fairer and quicker than SQLite's own waiting.
    writer: Mutex<()>,
    news: News,
    upkeep: Upkeep,
    catalog: Mutex<BTreeMap<TopicPartition, Log>>,
    /// Tells other processes that the file is in use.
    _presence: damage::Presence,
}

impl EmbeddedMailbox {
    /// Opens the log, creating it if there is none. After an unclean end the file is checked first.
    ///
    /// # Errors
    /// [`MailboxError::Corrupt`] when it is damaged, [`MailboxError::Unavailable`] when it cannot be read and written.
    pub fn open(options: EmbeddedOptions) -> Result<EmbeddedMailbox, MailboxError> {
        Self::open_bounded(options, None)
    }

    /// As [`EmbeddedMailbox::open`], with a limit to the size of the log: beyond it publishing is
    /// [`MailboxError::Unavailable`] until retention has made room.
    ///
    /// # Errors
    /// As [`EmbeddedMailbox::open`].
    pub fn open_bounded(options: EmbeddedOptions, max_bytes: Option<u64>) -> Result<EmbeddedMailbox, MailboxError> {
        let EmbeddedOptions { dir, names } = options;
        std::fs::create_dir_all(&dir)
            .map_err(|error| MailboxError::Unavailable(format!("{}: cannot be made: {error}", dir.display())))?;
        let path = dir.join("mailbox.db");
        let damage::Opened { presence, database, identity } = damage::open_checked(&path, &names, max_bytes)?;
        let shared = Shared {
            path,
            identity,
            max_bytes,
            names,
            writer: Mutex::default(),
            news: News::default(),
            upkeep: Upkeep::default(),
            catalog: Mutex::default(),
            _presence: presence,
        };
        Ok(EmbeddedMailbox { shared: Arc::new(shared), database: Mutex::new(database) })
    }

    /// Deletes what the topics' retention allows at `now` (microseconds since the Unix epoch) and answers how many messages.
    /// Sessions do this by themselves, a little at a time.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn maintain(&self, now: i64) -> Result<u64, MailboxError> {
        let mut database = self.database.lock();
        let mut deleted = 0_u64;
        loop {
            match u64::try_from(upkeep::step(&self.shared, &mut database, now)?).unwrap_or(0) {
                0 => return Ok(deleted),
                some => deleted += some,
            }
        }
    }

    /// Forgets a group for good, so that retention no longer waits for it: for groups that lived only for one replay.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn forget_group(&self, group: &str) -> Result<(), MailboxError> {
        let _writer = self.shared.writer.lock();
        self.database.lock().write(|connection| group::forget(connection, group))
    }

    /// Checks the whole file, every message included: for `doctor`. Takes as long as reading it all.
    ///
    /// # Errors
    /// [`MailboxError::Corrupt`] with the first damage found.
    pub fn verify(&self) -> Result<(), MailboxError> {
        damage::verify(&self.shared, &mut self.database.lock())
    }
}

impl Shared {
    fn connect(&self) -> Result<Database, MailboxError> {
        Database::open(&self.path, self.max_bytes)
    }

    /// The log of one partition.
    fn log(&self, database: &mut Database, at: TopicPartition) -> Result<Log, MailboxError> {
        if let Some(log) = self.catalog.lock().get(&at) {
            return Ok(*log);
        }
        let known = self.logs_of(database, &[at.topic])?;
        known.iter().find(|log| log.at == at).copied().ok_or_else(|| {
            let name = self.names.name(at.topic);
            MailboxError::Invalid(format!("topic {name} has partitions 0 to {}, not {}", known.len() - 1, at.partition))
        })
    }

    /// The logs of `topics`; each must exist.
    fn logs_of(&self, database: &mut Database, topics: &[Topic]) -> Result<Vec<Log>, MailboxError> {
        let every = self.every_log(database)?;
        if let Some(missing) = topics.iter().find(|topic| !every.iter().any(|log| log.at.topic == **topic)) {
            let name = self.names.name(*missing);
            return Err(MailboxError::Invalid(format!("topic {name} does not exist: make it with `reprise topics`")));
        }
        Ok(every.into_iter().filter(|log| topics.contains(&log.at.topic)).collect())
    }

    /// Every log of this deployment's topics.
    fn every_log(&self, database: &mut Database) -> Result<Vec<Log>, MailboxError> {
        let every = database.read(|connection| log::every(connection, &self.names))?;
        self.catalog.lock().extend(every.iter().map(|log| (log.at, *log)));
        Ok(every)
    }

    /// Where the file is: for messages.
    fn path(&self) -> &Path {
        &self.path
    }
}

impl Mailbox for EmbeddedMailbox {
    fn describe(&self) -> String {
        format!("embedded, {}", self.shared.path.display())
    }

    fn identity(&self) -> Option<String> {
        Some(format!("embedded {:08x}", self.shared.identity))
    }

    fn create_topics(&self, partitions: i32) -> Result<Vec<TopicReport>, MailboxError> {
        if partitions < 1 {
            return Err(MailboxError::Invalid(format!("a topic needs at least 1 partition, not {partitions}")));
        }
        let mut database = self.database.lock();
        let _writer = self.shared.writer.lock();
        database.write(|connection| {
            Topic::ALL.into_iter().map(|topic| create_topic(connection, self.shared.names.name(topic), partitions)).collect()
        })
    }

    fn partitions(&self) -> Result<i32, MailboxError> {
        let every = self.shared.logs_of(&mut self.database.lock(), &Topic::ALL)?;
        let count = |topic: Topic| every.iter().filter(|log| log.at.topic == topic).count();
        let counts: Vec<usize> = Topic::ALL.into_iter().map(count).collect();
        match (counts.iter().min(), counts.iter().max()) {
            (Some(least), Some(most)) if least == most => Ok(i32::try_from(*least).unwrap_or(i32::MAX)),
            _ => Err(MailboxError::Invalid(format!("the topics differ in their number of partitions: {counts:?}"))),
        }
    }

    fn open(&self, spec: &SessionSpec) -> Result<Box<dyn Session>, MailboxError> {
        Ok(Box::new(EmbeddedSession::open(&self.shared, spec)?))
    }

    fn watermarks(&self, topic: Topic) -> Result<Vec<Watermarks>, MailboxError> {
        let mut database = self.database.lock();
        let logs = self.shared.logs_of(&mut database, &[topic])?;
        database.read(|connection| {
            let one = |log: &Log| {
                let ends = log::ends(connection, log.id)?;
                Ok(Watermarks { at: log.at, low: ends.low, high: ends.high })
            };
            logs.iter().map(one).collect()
        })
    }

    fn committed(&self, group: &str, topics: &[Topic]) -> Result<Vec<Committed>, MailboxError> {
        let mut database = self.database.lock();
        let logs = self.shared.logs_of(&mut database, topics)?;
        let path = self.shared.path();
        database.read(|connection| {
            let found = logs.iter().map(|log| group::committed(connection, path, group, *log));
            found.filter_map(Result::transpose).collect()
        })
    }

    fn read(&self, at: TopicPartition, from: i64, max: usize) -> Result<Vec<Message>, MailboxError> {
        let mut database = self.database.lock();
        let log = self.shared.log(&mut database, at)?;
        database.read(|connection| {
            let ends = log::ends(connection, log.id)?;
            if !(ends.low..=ends.high).contains(&from) {
                let text = format!("{at} has offsets {} to {}: cannot read from {from}", ends.low, ends.high);
                return Err(Fault::Mailbox(MailboxError::Invalid(text)));
            }
            if from == ends.high || max == 0 {
                return Ok(Vec::new());
            }
            log::read_on(connection, self.shared.path(), log, from, ends, max)
        })
    }

    fn offsets_at(&self, topic: Topic, time: i64) -> Result<Vec<(TopicPartition, i64)>, MailboxError> {
        let mut database = self.database.lock();
        let logs = self.shared.logs_of(&mut database, &[topic])?;
        database.read(|connection| logs.iter().map(|log| Ok((log.at, log::offset_at(connection, *log, time)?))).collect())
    }
}

impl fmt::Debug for EmbeddedMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedMailbox").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

fn create_topic(connection: &mut SqliteConnection, name: &str, wanted: i32) -> Result<TopicReport, Fault> {
    use self::schema::logs;
    let existing: i64 = logs::table.filter(logs::topic.eq(name)).count().get_result(connection)?;
    if existing > 0 {
        let partitions = i32::try_from(existing).unwrap_or(i32::MAX);
        let warning = format!(
            "{name} has {partitions} partitions, not {wanted}: the number cannot change, because records of one artist \
             would lose their order; set kafka.partitions = {partitions}"
        );
        let warnings = if partitions == wanted { Vec::new() } else { vec![warning] };
        return Ok(TopicReport { topic: name.to_owned(), created: false, partitions, warnings });
    }
    for partition in 0..wanted {
        let row =
            (logs::topic.eq(name), logs::partition.eq(partition), logs::low.eq(0), logs::high.eq(0), logs::appended_at.eq(0));
        diesel::insert_into(logs::table).values(row).execute(connection)?;
    }
    Ok(TopicReport { topic: name.to_owned(), created: true, partitions: wanted, warnings: Vec::new() })
}
