//! A session on the embedded log: reads by position, publishes in one SQLite transaction.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::database::{Database, Fault};
use super::log::{self, Ends, Log};
use super::{Shared, group, upkeep};
use crate::mailbox::{MailboxError, Message, Outgoing, Polled, Progress, Session, SessionSpec, TopicPartition, check_record};
use crate::records::{Version, now_micros};

/// How often a waiting session looks whether another process has appended something. In this process it is told at once.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// See [`super::EmbeddedMailbox`].
pub(super) struct EmbeddedSession {
    shared: Arc<Shared>,
    spec: SessionSpec,
    /// `None` for a session that reads nothing and publishes without transactions: any number may do so at once.
    epoch: Option<i64>,
    // `lag` takes `&self`; a session belongs to one thread.
    database: RefCell<Database>,
    cursors: BTreeMap<TopicPartition, Cursor>,
    announced: bool,
    /// Where the next poll begins, so that a busy partition does not starve the others.
    turn: usize,
    data_version: i64,
}

struct Cursor {
    log: Log,
    next_offset: i64,
}

impl EmbeddedSession {
    pub(super) fn open(shared: &Arc<Shared>, spec: &SessionSpec) -> Result<EmbeddedSession, MailboxError> {
        let mut database = shared.connect()?;
        let reads = shared.logs_of(&mut database, &spec.topics)?;
        shared.logs_of(&mut database, &spec.heads)?;
        let epoch = if spec.topics.is_empty() && !spec.transactional {
            None
        } else {
            let _writer = shared.writer.lock();
            let kept = (reads.as_slice(), spec.retains);
            Some(database.write(|connection| group::claim(connection, &spec.group, &spec.instance, now_micros(), kept))?)
        };
        let cursors = reads.into_iter().map(|log| (log.at, Cursor { log, next_offset: 0 })).collect();
        let mut session = EmbeddedSession {
            shared: Arc::clone(shared),
            spec: spec.clone(),
            epoch,
            database: RefCell::new(database),
            cursors,
            announced: false,
            turn: 0,
            data_version: 0,
        };
        session.rewind()?;
        Ok(session)
    }

    fn fetch(&mut self, max: usize) -> Result<Vec<Message>, MailboxError> {
        let path = self.shared.path.clone();
        let (group, epoch) = (self.spec.group.clone(), self.epoch);
        let Self { database, cursors, turn, .. } = self;
        let (found, lost) = database.get_mut().read(|connection| {
            if let Some(epoch) = epoch {
                group::check(connection, &group, epoch)?;
            }
            let ends: BTreeMap<i64, Ends> = log::all_ends(connection)?.into_iter().collect();
            let waiting: Vec<(Log, i64, Ends)> = cursors
                .values()
                .filter_map(|cursor| ends.get(&cursor.log.id).map(|ends| (cursor.log, cursor.next_offset, *ends)))
                .filter(|(_, next_offset, ends)| *next_offset < ends.high)
                .collect();
            let mut found: Vec<Message> = Vec::new();
            let mut lost = Vec::new();
            for step in 0..waiting.len() {
                let Some(&(log, next_offset, ends)) = waiting.get((*turn + step) % waiting.len()) else { continue };
                let share = (max - found.len()).div_ceil(waiting.len() - step);
                if share == 0 {
                    break;
                }
                // What is below the low end was deleted after every group had finished it: only a replay comes this way.
                let from = next_offset.max(ends.low);
                match log::read_on(connection, &path, log, from, ends, share) {
                    Ok(messages) if messages.is_empty() => lost.push((log.at, ends.high)),
                    Ok(messages) => found.extend(messages),
                    Err(fault) if found.is_empty() => return Err(fault),
                    // Deliver what is sound; the next poll meets the damage again and says so.
                    Err(_) => break,
                }
            }
            Ok((found, lost))
        })?;
        self.turn = self.turn.wrapping_add(1);
        for message in &found {
            if let Some(cursor) = self.cursors.get_mut(&message.at) {
                cursor.next_offset = message.offset + 1;
            }
        }
        for (at, high) in lost {
            if let Some(cursor) = self.cursors.get_mut(&at) {
                cursor.next_offset = high;
            }
        }
        Ok(found)
    }

    /// Waits until something may have been appended, or until `deadline`.
    fn wait_for_news(&mut self, seen: u64, deadline: Instant) -> Result<(), MailboxError> {
        loop {
            let now = Instant::now();
            if now >= deadline || self.shared.news.wait(seen, LOOK_EVERY.min(deadline - now)) {
                return Ok(());
            }
            let version = self.database.get_mut().data_version()?;
            if version != self.data_version {
                self.data_version = version;
                return Ok(());
            }
        }
    }

    fn cursor(&mut self, at: TopicPartition) -> Result<&mut Cursor, MailboxError> {
        let group = self.spec.group.clone();
        self.cursors.get_mut(&at).ok_or_else(|| MailboxError::Revoked(format!("group {group} does not read {at}")))
    }
}

impl Session for EmbeddedSession {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, MailboxError> {
        if !self.announced {
            self.announced = true;
            return Ok(Polled { assigned: self.cursors.keys().copied().collect(), ..Polled::default() });
        }
        if max == 0 {
            return Ok(Polled::default());
        }
        upkeep::take_turn(&self.shared, self.database.get_mut())?;
        let deadline = Instant::now() + wait;
        loop {
            let seen = self.shared.news.seen();
            let messages = self.fetch(max)?;
            if !messages.is_empty() || Instant::now() >= deadline {
                return Ok(Polled { messages, ..Polled::default() });
            }
            self.wait_for_news(seen, deadline)?;
        }
    }

    fn idle(&mut self) -> Result<(), MailboxError> {
        Ok(())
    }

    fn seek(&mut self, at: TopicPartition, next_offset: i64) -> Result<(), MailboxError> {
        let log = self.cursor(at)?.log;
        let ends = self.database.get_mut().read(|connection| log::ends(connection, log.id))?;
        if !(ends.low..=ends.high).contains(&next_offset) {
            return Err(MailboxError::Invalid(format!(
                "{at} has offsets {} to {}: cannot read on from {next_offset}",
                ends.low, ends.high
            )));
        }
        self.cursor(at)?.next_offset = next_offset;
        Ok(())
    }

    fn publish(&mut self, records: &[Outgoing], progress: &[Progress]) -> Result<(), MailboxError> {
        let mut targets = Vec::with_capacity(records.len());
        for record in records {
            check_record(record)?;
            targets.push(self.shared.log(self.database.get_mut(), record.at)?.id);
        }
        let mut moves = Vec::with_capacity(progress.len());
        for step in progress {
            moves.push((self.cursor(step.at)?.log, step));
        }
        let Self { shared, spec, epoch, database, .. } = self;
        let writer = shared.writer.lock();
        database.get_mut().write(|connection| {
            if let Some(epoch) = *epoch {
                group::check(connection, &spec.group, epoch)?;
            }
            let mut touched: BTreeMap<i64, Ends> = BTreeMap::new();
            for (log, record) in targets.iter().zip(records) {
                let ends = match touched.entry(*log) {
                    std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::btree_map::Entry::Vacant(unknown) => {
                        let mut ends = log::ends(connection, *log)?;
                        // Never backwards, whatever the clock does: `offsets_at` searches by halving.
                        ends.appended_at = ends.appended_at.max(now_micros());
                        unknown.insert(ends)
                    }
                };
                log::append(connection, *log, ends.high, ends.appended_at, record)?;
                ends.high += 1;
            }
            for (log, ends) in touched {
                log::advance(connection, log, ends)?;
            }
            for (log, step) in &moves {
                let ends = log::ends(connection, log.id)?;
                if step.next_offset > ends.high || step.next_offset < 0 {
                    return Err(Fault::Mailbox(MailboxError::Invalid(format!(
                        "{} ends at offset {}: cannot commit {}",
                        log.at, ends.high, step.next_offset
                    ))));
                }
                group::commit(connection, &shared.path, &spec.group, *log, step)?;
            }
            Ok(())
        })?;
        drop(writer);
        self.shared.news.tell();
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), MailboxError> {
        let Self { shared, spec, database, cursors, .. } = self;
        database.get_mut().read(|connection| {
            for cursor in cursors.values_mut() {
                cursor.next_offset = match group::committed(connection, &shared.path, &spec.group, cursor.log)? {
                    Some(committed) => committed.next_offset,
                    None => log::ends(connection, cursor.log.id)?.low,
                };
            }
            Ok(())
        })
    }

    fn heads(&mut self, at: TopicPartition, keys: &[String]) -> Result<Vec<Option<Version>>, MailboxError> {
        if !self.spec.heads.contains(&at.topic) {
            return Err(MailboxError::Invalid(format!("the session of group {} keeps no heads of {at}", self.spec.group)));
        }
        let log = self.shared.log(self.database.get_mut(), at)?;
        let path = &self.shared.path;
        self.database.get_mut().read(|connection| keys.iter().map(|key| log::head(connection, path, log, key)).collect())
    }

    fn lag(&self) -> Vec<(TopicPartition, u64)> {
        let ends: BTreeMap<i64, Ends> = match self.database.borrow_mut().read(log::all_ends) {
            Ok(ends) => ends.into_iter().collect(),
            // The next poll meets the same failure and reports it.
            Err(_) => return Vec::new(),
        };
        let waiting = |cursor: &Cursor| {
            let ends = ends.get(&cursor.log.id)?;
            u64::try_from(ends.high - cursor.next_offset.max(ends.low)).ok()
        };
        self.cursors.iter().filter_map(|(at, cursor)| waiting(cursor).map(|lag| (*at, lag))).collect()
    }
}
