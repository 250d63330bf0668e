//! How far the stages have come, and whether everything is worked off.

use serde::Serialize;

use crate::mailbox::{Ledger, Mailbox, MailboxError};
use crate::records::Topic;

use super::stages::StageName;

/// A stage's standing over all its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Messages that exist for it and are not finished. On Kafka an upper bound: transaction markers count.
    pub waiting: u64,
    /// What became of those it took.
    pub ledger: Ledger,
}

/// The standing of `stage`.
///
/// # Errors
/// See [`MailboxError`].
pub fn standing(mailbox: &dyn Mailbox, stage: StageName) -> Result<Standing, MailboxError> {
    let topics = stage.topics();
    let committed = mailbox.committed(&stage.group(), &topics)?;
    let mut standing = Standing { waiting: 0, ledger: Ledger::default() };
    for topic in topics {
        for ends in mailbox.watermarks(topic)? {
            let place = committed.iter().find(|place| place.at == ends.at);
            let next = place.map_or(ends.low, |place| place.next_offset.max(ends.low));
            standing.waiting += u64::try_from(ends.high.saturating_sub(next)).unwrap_or(0);
        }
    }
    for place in committed {
        standing.ledger.add(&place.ledger);
    }
    Ok(standing)
}

/// Is everything worked off? Asked in the order of the flow, so that a yes holds for all stages together: what an
/// earlier stage has finished it has also passed on, in the same transaction.
///
/// # Errors
/// See [`MailboxError`].
pub fn is_drained(mailbox: &dyn Mailbox, stages: &[StageName]) -> Result<bool, MailboxError> {
    for stage in StageName::FLOW.into_iter().filter(|stage| stages.contains(stage)) {
        if !is_stage_drained(mailbox, stage)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_stage_drained(mailbox: &dyn Mailbox, stage: StageName) -> Result<bool, MailboxError> {
    let topics = stage.topics();
    let committed = mailbox.committed(&stage.group(), &topics)?;
    for topic in topics {
        for ends in mailbox.watermarks(topic)? {
            let place = committed.iter().find(|place| place.at == ends.at);
            let next = place.map_or(ends.low, |place| place.next_offset.max(ends.low));
            // Markers of Kafka's transactions take offsets and are no messages: only a look tells.
            if next < ends.high && !mailbox.read(ends.at, next, 1)?.is_empty() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Records in `topic` up to now. On Kafka an upper bound.
///
/// # Errors
/// See [`MailboxError`].
pub fn appended(mailbox: &dyn Mailbox, topic: Topic) -> Result<u64, MailboxError> {
    let ends = mailbox.watermarks(topic)?;
    Ok(ends.iter().map(|ends| u64::try_from(ends.high).unwrap_or(0)).sum())
}
