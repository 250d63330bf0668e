//! Which messages have to end as dead letters, known from how they were made and from nothing that the stages say.

use std::collections::BTreeSet;

use reprise::mailbox::{Mailbox, MailboxError};
use reprise::records::Topic;
use reprise::service::StageName;

use crate::saboteur::is_poison;

/// Ids of dead letters, `stage/topic/partition/offset`.
#[derive(Debug, Default)]
pub struct Doomed {
    ids: BTreeSet<String>,
}

impl Doomed {
    /// Looks through all topics. To be called before anything is compacted: what is gone cannot be looked at.
    pub fn look(&mut self, mailbox: &dyn Mailbox) -> Result<(), MailboxError> {
        for topic in Topic::ALL {
            for ends in mailbox.watermarks(topic)? {
                for message in mailbox.read(ends.at, ends.low, usize::MAX >> 1)? {
                    let readers = StageName::FLOW.into_iter().filter(|stage| stage.topics().contains(&topic));
                    let victims = readers.filter(|stage| is_doomed(&message.key, stage.name()));
                    let name = topic.default_name();
                    let id = |stage: StageName| format!("{}/{name}/{}/{}", stage.name(), ends.at.partition, message.offset);
                    self.ids.extend(victims.map(id));
                }
            }
        }
        Ok(())
    }

    /// What has been found.
    pub fn ids(&self) -> &BTreeSet<String> {
        &self.ids
    }
}

/// No stage can read it, the database refuses it, or it kills this stage.
fn is_doomed(key: &str, stage: &str) -> bool {
    key.starts_with("bad-") || key.starts_with("song/refused-") || is_poison(key, stage)
}
