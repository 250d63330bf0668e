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
    last: HashMap<String, Version>,
}

impl Heads {
    /// Reads the whole partition.
    pub(super) fn read(mailbox: &dyn Mailbox, at: TopicPartition) -> Result<Heads, ReplayError> {
        let mut heads: HashMap<String, Version> = HashMap::new();
        let marks = mailbox.watermarks(at.topic)?;
        let Some(ends) = marks.iter().find(|marks| marks.at == at) else { return Ok(Heads { at, last: heads }) };
        let mut next = ends.low;
        while next < ends.high {
            let messages = mailbox.read(at, next, CHUNK)?;
            let Some(last) = messages.last() else { break };
            next = last.offset + 1;
            for message in messages {
                let version = message.version.or_else(|| change_of(&message).ok().map(|change| change.version));
                match version {
                    Some(version) => drop(heads.insert(message.key, version)),
                    None => drop(heads.remove(&message.key)),
                }
            }
        }
        Ok(Heads { at, last: heads })
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
