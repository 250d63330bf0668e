//! The version of the last record under each key, for the partitions owned.
//!
//! **Guarantee.** What is answered is what is published: read from the topic when the partition is assigned, moved on after each
//! publication that succeeded. A transaction that the partition's owner before left open is waited for. What a replay appends
//! from another process is noticed within [`FRESH`]: whoever publishes an older record under the same key within that time
//! would still hide it from a rebuild.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::reader::Reader;
use crate::mailbox::{MailboxError, Outgoing, TopicPartition};
use crate::records::{Topic, Version};

/// How long to wait for open transactions: the broker undoes them before.
const SETTLED: Duration = Duration::from_secs(30);
/// For how long a look at the end of a partition holds: asking the broker costs a millisecond or two.
const FRESH: Duration = Duration::from_millis(500);

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
    loaded: BTreeMap<TopicPartition, Loaded>,
}

struct Loaded {
    versions: HashMap<u64, Version>,
    /// Everything before this offset is in `versions`.
    read: i64,
    /// Where the partition ends if nobody but this session has appended since.
    expected: i64,
    /// Something was published since the last look: the marker of its transaction may still be on its way.
    published: bool,
    looked: Instant,
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

    fn read(&self, at: TopicPartition, reader: &HeadReader) -> Result<Loaded, MailboxError> {
        let (low, end) = reader.settled_ends(at)?;
        let mut versions = HashMap::new();
        self.scan(at, (low, end), &mut versions, reader)?;
        Ok(Loaded { versions, read: end, expected: end, published: false, looked: Instant::now() })
    }

    fn scan(
        &self,
        at: TopicPartition,
        (from, end): (i64, i64),
        versions: &mut HashMap<u64, Version>,
        reader: &HeadReader,
    ) -> Result<(), MailboxError> {
        reader.committed.scan(at, from, end, &mut |message| {
            self.follow(versions, &message.key, message.version);
            true
        })
    }

    /// Reads what somebody else has appended since the last look.
    pub(super) fn catch_up(&mut self, at: TopicPartition, reader: &HeadReader) -> Result<(), MailboxError> {
        let Some(mut loaded) = self.loaded.remove(&at) else { return Ok(()) };
        let outcome = if loaded.looked.elapsed() < FRESH { Ok(()) } else { self.look(at, &mut loaded, reader) };
        // After an error what was read so far holds, and the next look begins where this one did.
        self.loaded.insert(at, loaded);
        outcome
    }

    fn look(&self, at: TopicPartition, loaded: &mut Loaded, reader: &HeadReader) -> Result<(), MailboxError> {
        let (_, end) = reader.committed.ends(at)?;
        if end > loaded.expected || (end < loaded.expected && !loaded.published) {
            self.scan(at, (loaded.read, end), &mut loaded.versions, reader)?;
            loaded.expected = end;
        }
        if end == loaded.expected {
            loaded.read = end;
        }
        loaded.published = false;
        loaded.looked = Instant::now();
        Ok(())
    }

    fn follow(&self, versions: &mut HashMap<u64, Version>, key: &str, version: Option<Version>) {
        let hash = self.hasher.hash_one(key);
        match version {
            Some(version) => versions.insert(hash, version),
            None => versions.remove(&hash),
        };
    }

    /// Moves on after these records were published, in one transaction or in none.
    pub(super) fn published(&mut self, records: &[Outgoing], transaction: bool) {
        let mut markers = BTreeSet::new();
        for record in records {
            if let Some(mut loaded) = self.loaded.remove(&record.at) {
                self.follow(&mut loaded.versions, &record.key, record.version);
                // A transaction ends with a marker in each of its partitions.
                loaded.published = true;
                loaded.expected += if transaction && markers.insert(record.at) { 2 } else { 1 };
                self.loaded.insert(record.at, loaded);
            }
        }
    }

    /// The heads of `keys`; `None` when the partition is not loaded.
    pub(super) fn find(&self, at: TopicPartition, keys: &[String]) -> Option<Vec<Option<Version>>> {
        let versions = &self.loaded.get(&at)?.versions;
        Some(keys.iter().map(|key| versions.get(&self.hasher.hash_one(key)).copied()).collect())
    }
}
