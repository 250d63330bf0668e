//! The last version under each key of a partition of `music_transformed`, read without joining a group.
//!
//! The last and not the highest, as the transformer keeps it: compaction will leave the last one. Should a key ever have gone
//! backwards, a replay of the raw topics finds the newer row missing at the end, and appends it again.

use std::collections::HashMap;

use super::ReplayError;
use crate::load::change_of;
use crate::mailbox::{Mailbox, Outgoing, TopicPartition};
use crate::records::Version;

/// Messages read at a time.
const CHUNK: usize = 5_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Heads {
    at: TopicPartition,
    /// Everything before this offset is in `last`.
    next: i64,
    last: HashMap<String, Version>,
}

impl Heads {
    /// Of a partition of which nothing was read yet.
    pub(super) fn of(at: TopicPartition) -> Heads {
        Heads { at, next: 0, last: HashMap::new() }
    }

    /// Reads what was appended since the last look, the whole partition at first. A transformer may be at work beside the replay:
    /// its newest row must not be taken for missing. What it appends between this look and the replay's own append, milliseconds
    /// later, could still be hidden from a rebuild.
    pub(super) fn catch_up(&mut self, mailbox: &dyn Mailbox) -> Result<(), ReplayError> {
        let ends = mailbox.settled(self.at)?;
        self.next = self.next.max(ends.low);
        while self.next < ends.high {
            let messages = mailbox.read(self.at, self.next, CHUNK)?;
            // On Kafka the last offsets may be markers of transactions, which are no messages.
            self.next = messages.last().map_or(ends.high, |last| last.offset + 1);
            for message in messages {
                let version = message.version.or_else(|| change_of(&message).ok().map(|change| change.version));
                match version {
                    Some(version) => drop(self.last.insert(message.key, version)),
                    None => drop(self.last.remove(&message.key)),
                }
            }
        }
        Ok(())
    }

    /// Does this belong to `at`?
    pub(super) fn is_of(&self, at: TopicPartition) -> bool {
        self.at == at
    }

    /// Those of `records` that are newer than what is there; from now on they are what is there.
    pub(super) fn newer(&mut self, records: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut newer = Vec::new();
        for record in records {
            let held = self.last.get(&record.key).copied();
            if record.at == self.at && record.version > held {
                self.last.extend(record.version.map(|version| (record.key.clone(), version)));
                newer.push(record);
            }
        }
        newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{EmbeddedMailbox, EmbeddedOptions};
    use crate::records::{Topic, TopicNames};
    use crate::replay::run::publishes;

    const AT: TopicPartition = TopicPartition { topic: Topic::MusicTransformed, partition: 0 };

    fn row(observed_at: i64) -> Outgoing {
        let version = Some(Version { observed_at, tiebreak: 0 });
        Outgoing { at: AT, key: "artist/a".to_owned(), payload: b"{}".to_vec(), version }
    }

    #[test]
    fn what_a_transformer_appends_meanwhile_is_not_covered_by_something_older() {
        let dir = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions { dir: dir.path().to_owned(), names: TopicNames::default() };
        let mailbox = EmbeddedMailbox::open(options).unwrap();
        mailbox.create_topics(1).unwrap();
        let mut transformer = mailbox.open(&publishes("transformer")).unwrap();
        transformer.publish(&[row(3)], &[]).unwrap();
        let mut heads = Heads::of(AT);
        heads.catch_up(&mailbox).unwrap();
        assert_eq!(heads.newer(vec![row(4)]), [row(4)]);
        transformer.publish(&[row(6)], &[]).unwrap();
        heads.catch_up(&mailbox).unwrap();
        assert_eq!(heads.newer(vec![row(5), row(6)]), []);
        assert_eq!(heads.newer(vec![row(7)]), [row(7)]);
    }
}
