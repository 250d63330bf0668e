//! The version of the last record under each key, for the partitions owned.
//!
//! **Guarantee.** What is answered is what is published: read from the topic when the partition is assigned, moved on after each
//! publication that succeeded. A transaction that the partition's owner before left open is waited for. What a replay appends
//! from another process is noticed within [`FRESH`]: whoever publishes an older record under the same key within that time
//! would still hide it from a rebuild.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::reader::{Reader, settle};
use crate::mailbox::{MailboxError, Outgoing, TopicPartition};
use crate::records::{Topic, Version};

/// For how long a look at the end of a partition holds: asking the broker costs a millisecond or two.
const FRESH: Duration = Duration::from_millis(500);

/// For how long heads are read at a time: whoever waits for them has to show signs of life.
const STINT: Duration = Duration::from_secs(5);

/// What heads are read with: one client that sees what is committed, and one that sees where the partition really ends.
pub(super) struct HeadReader {
    pub(super) committed: Reader,
    pub(super) uncommitted: Reader,
}

/// See the module. Keys are kept as 64-bit hashes: at ten million keys the chance of any collision is one in 300,000.
#[derive(Default)]
pub(super) struct Heads {
    topics: Vec<Topic>,
    stint: Duration,
    hasher: RandomState,
    loaded: BTreeMap<TopicPartition, Loaded>,
    /// Not read up to `expected` yet.
    loading: BTreeMap<TopicPartition, Loaded>,
}

struct Loaded {
    versions: HashMap<u64, Version>,
    /// Everything before this offset is in `versions`.
    read: i64,
    /// Where the partition ends if nobody but this session has appended since.
    expected: i64,
    /// Something was published since the last look: the marker of its transaction may still be on its way.
    published: bool,
    /// `None`: somebody else may have owned the partition since.
    looked: Option<Instant>,
}

impl HeadReader {
    /// The ends of a partition, as soon as everything in it is committed or undone.
    fn settled_ends(&self, at: TopicPartition) -> Result<(i64, i64), MailboxError> {
        let (_, written) = self.uncommitted.ends(at)?;
        settle(at, written, || self.committed.ends(at))
    }
}

impl Heads {
    pub(super) fn of(topics: &[Topic]) -> Heads {
        Heads { topics: topics.to_vec(), stint: STINT, ..Heads::default() }
    }

    pub(super) fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// Reads what is missing for these partition numbers, for [`STINT`] at most, and forgets all others. Answers whether all is read.
    pub(super) fn own(&mut self, partitions: &[i32], reader: &HeadReader) -> Result<bool, MailboxError> {
        self.loaded.retain(|at, _| partitions.contains(&at.partition));
        self.loading.retain(|at, _| partitions.contains(&at.partition));
        let deadline = Instant::now() + self.stint;
        for topic in self.topics.clone() {
            for partition in partitions {
                let at = TopicPartition { topic, partition: *partition };
                if !self.loaded.contains_key(&at) && !self.read(at, deadline, reader)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// These may have another owner from now on.
    pub(super) fn doubt(&mut self, at: TopicPartition) {
        for (_, loaded) in self.loaded.iter_mut().filter(|(known, _)| known.partition == at.partition) {
            loaded.looked = None;
        }
        self.loading.retain(|known, _| known.partition != at.partition);
    }

    /// Forgets everything: what was published last is not known.
    pub(super) fn forget(&mut self) {
        self.loaded.clear();
        self.loading.clear();
    }

    /// Reads a partition on; answers whether it was read to its end before the deadline.
    fn read(&mut self, at: TopicPartition, deadline: Instant, reader: &HeadReader) -> Result<bool, MailboxError> {
        let mut loading = match self.loading.remove(&at) {
            Some(begun) => begun,
            None => {
                let (low, end) = reader.settled_ends(at)?;
                Loaded { versions: HashMap::new(), read: low, expected: end, published: false, looked: None }
            }
        };
        let outcome = self.read_on(at, &mut loading, deadline, reader);
        let is_done = matches!(outcome, Ok(true));
        if is_done { &mut self.loaded } else { &mut self.loading }.insert(at, loading);
        outcome
    }

    fn read_on(
        &self,
        at: TopicPartition,
        loaded: &mut Loaded,
        deadline: Instant,
        reader: &HeadReader,
    ) -> Result<bool, MailboxError> {
        let (from, end) = (loaded.read, loaded.expected);
        let mut in_time = true;
        reader.committed.scan(at, from, end, &mut |message| {
            self.follow(&mut loaded.versions, &message.key, message.version);
            loaded.read = message.offset + 1;
            in_time = Instant::now() < deadline;
            in_time
        })?;
        if in_time {
            loaded.read = end;
            loaded.looked = Some(Instant::now());
        }
        Ok(in_time)
    }

    /// Reads what somebody else has appended since the last look.
    pub(super) fn catch_up(&mut self, at: TopicPartition, reader: &HeadReader) -> Result<(), MailboxError> {
        let Some(mut loaded) = self.loaded.remove(&at) else { return Ok(()) };
        let is_fresh = loaded.looked.is_some_and(|looked| looked.elapsed() < FRESH);
        let outcome = if is_fresh { Ok(()) } else { self.look(at, &mut loaded, reader) };
        // After an error what was read so far holds, and the next look begins where this one did.
        self.loaded.insert(at, loaded);
        outcome
    }

    fn look(&self, at: TopicPartition, loaded: &mut Loaded, reader: &HeadReader) -> Result<(), MailboxError> {
        let (_, end) = reader.committed.ends(at)?;
        if end > loaded.expected || (end < loaded.expected && !loaded.published) {
            reader.committed.scan(at, loaded.read, end, &mut |message| {
                self.follow(&mut loaded.versions, &message.key, message.version);
                true
            })?;
            loaded.expected = end;
        }
        if end == loaded.expected {
            loaded.read = end;
        }
        loaded.published = false;
        loaded.looked = Some(Instant::now());
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mailbox::{KafkaMailbox, KafkaOptions, Mailbox as _, SessionSpec};
    use crate::records::{TopicNames, now_micros};

    /// `REPRISE_TEST_KAFKA=HOST:PORT` names the broker; without it this does nothing.
    #[test]
    fn heads_that_take_many_stints_to_read_are_the_same() {
        let Some(brokers) = std::env::var("REPRISE_TEST_KAFKA").ok().filter(|brokers| !brokers.is_empty()) else { return };
        let prefix = format!("heads{}.", now_micros());
        let options = KafkaOptions {
            brokers,
            properties: BTreeMap::new(),
            names: TopicNames::new(&prefix, &BTreeMap::new()),
            prefix: prefix.clone(),
            replication: None,
            logger: slog::Logger::root(slog::Discard, slog::o!()),
        };
        let mailbox = KafkaMailbox::open(options.clone()).unwrap();
        mailbox.create_topics(2).unwrap();
        let topic = Topic::MusicTransformed;
        let record = |number: i64| Outgoing {
            at: TopicPartition { topic, partition: i32::from(number % 3 == 0) },
            key: format!("key {}", number % 7),
            payload: b"{}".to_vec(),
            version: Some(Version { observed_at: number, tiebreak: 0 }),
        };
        let spec = SessionSpec {
            group: "writer".to_owned(),
            topics: Vec::new(),
            heads: Vec::new(),
            instance: "test".to_owned(),
            transactional: false,
            retains: true,
        };
        mailbox.open(&spec).unwrap().publish(&(0..30).map(record).collect::<Vec<_>>(), &[]).unwrap();
        let options = Arc::new(options);
        let (committed, uncommitted) = (Reader::open(&options).unwrap(), Reader::open_uncommitted(&options).unwrap());
        let reader = HeadReader { committed, uncommitted };
        let keys: Vec<String> = (0..7).map(|number| format!("key {number}")).collect();
        let at = |partition| TopicPartition { topic, partition };
        let mut whole = Heads::of(&[topic]);
        assert!(whole.own(&[0, 1], &reader).unwrap());
        // A message a stint.
        let mut hasty = Heads { stint: Duration::ZERO, ..Heads::of(&[topic]) };
        let stints = (0..).find(|_| hasty.own(&[0, 1], &reader).unwrap());
        assert_eq!(stints, Some(30), "each message once, and then the end");
        for partition in [0, 1] {
            assert_eq!(hasty.find(at(partition), &keys), whole.find(at(partition), &keys));
            assert!(whole.find(at(partition), &keys).is_some_and(|heads| heads.iter().all(Option::is_some)));
        }
    }
}
