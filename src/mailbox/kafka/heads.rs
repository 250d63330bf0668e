//! The version of the last record under each key, for the partitions owned.
//!
//! **Guarantee.** What is answered is what is published: read from the topic when the partition is assigned, moved on after each
//! publication that succeeded. A transaction that the partition's owner before left open is waited for.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::reader::Reader;
use crate::mailbox::{MailboxError, Outgoing, TopicPartition};
use crate::records::{Topic, Version};

/// How long to wait for open transactions: the broker undoes them before.
const SETTLED: Duration = Duration::from_secs(30);

/// What heads are read with: one client that sees what is committed, and one that sees where the partition really ends.
pub(super) struct HeadReader {
    pub(super) committed: Reader,
    pub(super) uncommitted: Reader,
}

/// See the module. Keys are kept as 64-bit hashes: at ten million keys the chance of any collision is one in 300,000.
#[derive(Default)]
pub(super) struct Heads {
    topics: Vec<Topic>,
    hasher: RandomState,
    loaded: BTreeMap<TopicPartition, HashMap<u64, Version>>,
}

impl HeadReader {
    /// The ends of a partition, as soon as everything in it is committed or undone.
    fn settled_ends(&self, at: TopicPartition) -> Result<(i64, i64), MailboxError> {
        let (_, written) = self.uncommitted.ends(at)?;
        let deadline = Instant::now() + SETTLED;
        loop {
            let (low, stable) = self.committed.ends(at)?;
            if stable >= written {
                return Ok((low, stable));
            }
            if Instant::now() >= deadline {
                return Err(MailboxError::Unavailable(format!("{at}: a transaction is open at offset {stable}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Heads {
    pub(super) fn of(topics: &[Topic]) -> Heads {
        Heads { topics: topics.to_vec(), ..Heads::default() }
    }

    pub(super) fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// Reads what is missing for these partition numbers and forgets all others.
    pub(super) fn own(&mut self, partitions: &[i32], reader: &HeadReader) -> Result<(), MailboxError> {
        self.loaded.retain(|at, _| partitions.contains(&at.partition));
        for topic in self.topics.clone() {
            for partition in partitions {
                let at = TopicPartition { topic, partition: *partition };
                if !self.loaded.contains_key(&at) {
                    let heads = self.read(at, reader)?;
                    self.loaded.insert(at, heads);
                }
            }
        }
        Ok(())
    }

    /// Forgets everything: what was published last is not known.
    pub(super) fn forget(&mut self) {
        self.loaded.clear();
    }

    fn read(&self, at: TopicPartition, reader: &HeadReader) -> Result<HashMap<u64, Version>, MailboxError> {
        let (low, end) = reader.settled_ends(at)?;
        let mut heads = HashMap::new();
        reader.committed.scan(at, low, end, &mut |message| {
            self.follow(&mut heads, &message.key, message.version);
            true
        })?;
        Ok(heads)
    }

    fn follow(&self, heads: &mut HashMap<u64, Version>, key: &str, version: Option<Version>) {
        let hash = self.hasher.hash_one(key);
        match version {
            Some(version) => heads.insert(hash, version),
            None => heads.remove(&hash),
        };
    }

    /// Moves on after these records were published.
    pub(super) fn published(&mut self, records: &[Outgoing]) {
        for record in records {
            if let Some(mut heads) = self.loaded.remove(&record.at) {
                self.follow(&mut heads, &record.key, record.version);
                self.loaded.insert(record.at, heads);
            }
        }
    }

    /// The heads of `keys`; `None` when the partition is not loaded.
    pub(super) fn find(&self, at: TopicPartition, keys: &[String]) -> Option<Vec<Option<Version>>> {
        let heads = self.loaded.get(&at)?;
        Some(keys.iter().map(|key| heads.get(&self.hasher.hash_one(key)).copied()).collect())
    }
}
