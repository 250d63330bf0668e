//! The scheduler: puts the configured queries into `music_queries` when they are due.
//!
//! **Guarantee.** A run is published once: not twice at the same time, not again while the last request of the same query is
//! worked on, once after a downtime however long, and neither lost nor doubled by a `kill -9`.
//!
//! Mechanism: a run's request id is made of the query's hash and the time it was due. The last due times stand in a small file,
//! which is written *after* the request is published; between the two the topic itself is the record, and
//! [`Scheduler::recover`] reads what was published since the file was written. [`due`] is pure; the rest is a thin shell.

mod every;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::config::Period;
use crate::mailbox::{Mailbox, MailboxError, Message, Outgoing, TopicPartition};
use crate::records::{Envelope, Record as _, RecordError, SearchRequest, Topic, now_micros, partition_of};
use crate::stage::StageError;

use super::options::{QueryOptions, SchedulerOptions, queries_problem};

pub use every::{CronText, Every};
pub use plan::{Runs, due, once};

/// How often to look: often enough for intervals of seconds, seldom enough to cost nothing.
pub const TICK: Duration = Duration::from_secs(1);

/// Messages read at once when catching up with the topic.
const READ_MESSAGES: usize = 500;

/// How far the broker's clock may be behind ours.
const CLOCK_SLACK: Period = Period::seconds(3_600);

/// See the module.
#[derive(Debug, Clone)]
pub struct Scheduler {
    path: PathBuf,
    queries: Vec<QueryOptions>,
    jitter: Period,
    diary: Diary,
}

/// What stands in the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Diary {
    /// When it was written, microseconds since the Unix epoch.
    written_at: i64,
    #[serde(flatten)]
    runs: Runs,
}

impl Scheduler {
    /// A scheduler whose diary is at `path`, such as `DATA_DIR/schedule.json`. A damaged diary counts as none: what was
    /// published is in the topic.
    ///
    /// # Errors
    /// When the queries are unusable, or the diary is there but cannot be read.
    pub fn open(path: &Path, queries: Vec<QueryOptions>, options: &SchedulerOptions) -> anyhow::Result<Scheduler> {
        if let Some(problem) = queries_problem(&queries) {
            anyhow::bail!(problem);
        }
        let diary = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Diary::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Scheduler { path: path.to_owned(), queries, jitter: options.jitter, diary })
    }

    /// Catches up with what was published since the diary was written. Blocks; call it before the first tick of a process and
    /// of each incarnation of the actor.
    ///
    /// # Errors
    /// As the mailbox's.
    pub fn recover(&mut self, mailbox: &dyn Mailbox) -> Result<(), MailboxError> {
        let since = self.diary.written_at.saturating_sub(CLOCK_SLACK.as_micros()).max(0);
        for (at, from) in mailbox.offsets_at(Topic::MusicQueries, since)? {
            // A predecessor may be about to commit.
            let high = mailbox.settled(at)?.high;
            read_all(mailbox, at, from, high, |message| self.diary.runs.observe(&message.key))?;
        }
        self.diary.runs.adopt(now_micros(), &self.queries);
        Ok(())
    }

    /// Publishes what is due, if anything: asks `unfinished` which requests are still worked on (see [`unfinished_requests`])
    /// only then. Answers how many requests were published.
    ///
    /// # Errors
    /// As `unfinished` and `publish`; or when the diary cannot be written: the runs are published then, and
    /// [`Scheduler::recover`] finds them.
    pub async fn tick(
        &mut self,
        unfinished: impl AsyncFnOnce() -> Result<BTreeSet<String>, StageError>,
        publish: impl AsyncFnOnce(Vec<SearchRequest>) -> Result<(), StageError>,
    ) -> Result<usize, StageError> {
        let now = now_micros();
        if self.due(now, &BTreeSet::new()).is_empty() {
            return Ok(0);
        }
        let requests = self.due(now, &unfinished().await?);
        if requests.is_empty() {
            return Ok(0);
        }
        let ids: Vec<String> = requests.iter().map(|request| request.request_id.clone()).collect();
        publish(requests).await?;
        ids.iter().for_each(|id| self.diary.runs.observe(id));
        self.diary.written_at = now;
        self.save().with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(ids.len())
    }

    fn due(&self, now: i64, unfinished: &BTreeSet<String>) -> Vec<SearchRequest> {
        due(now, &self.diary.runs, &self.queries, self.jitter, unfinished)
    }

    /// Beside the file, then renamed: a reader finds the old diary or the new one.
    fn save(&self) -> std::io::Result<()> {
        let beside = self.path.with_added_extension("new");
        let mut file = fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(&self.diary)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }
}

/// The ids of all requests in `music_queries` that `group` (such as `reprise.tracks`) has not finished. Blocks.
///
/// # Errors
/// As the mailbox's.
pub fn unfinished_requests(mailbox: &dyn Mailbox, group: &str) -> Result<BTreeSet<String>, MailboxError> {
    let committed = mailbox.committed(group, &[Topic::MusicQueries])?;
    let mut unfinished = BTreeSet::new();
    for marks in mailbox.watermarks(Topic::MusicQueries)? {
        let next = committed.iter().find(|done| done.at == marks.at).map_or(marks.low, |done| done.next_offset);
        read_all(mailbox, marks.at, next.max(marks.low), marks.high, |message| {
            unfinished.insert(message.key.clone());
        })?;
    }
    Ok(unfinished)
}

/// Search requests as messages for `music_queries`, for the scheduler and the command line alike.
///
/// # Errors
/// As [`Outgoing::record`].
pub fn outgoing(requests: Vec<SearchRequest>, run_id: &str, partitions: i32) -> Result<Vec<Outgoing>, RecordError> {
    let at = now_micros();
    let message = |request: SearchRequest| {
        let partition = partition_of(request.partition_key(), partitions);
        Outgoing::record(&Envelope::new(at, run_id, request), partition, 0)
    };
    requests.into_iter().map(message).collect()
}

/// Offsets may have holes (transaction marks): an empty read ends it as well as the high watermark.
fn read_all(
    mailbox: &dyn Mailbox,
    at: TopicPartition,
    mut from: i64,
    high: i64,
    mut each: impl FnMut(&Message),
) -> Result<(), MailboxError> {
    while from < high {
        let messages = mailbox.read(at, from, READ_MESSAGES)?;
        let Some(last) = messages.last() else { break };
        from = last.offset + 1;
        messages.iter().for_each(&mut each);
    }
    Ok(())
}
