//! Whether the offsets in a database still mean something in a mailbox, which may have been made anew, or put back to an earlier
//! state from a backup, since they were written.

use crate::mailbox::{Ledger, Mailbox, MailboxError, TopicPartition};
use crate::records::Topic;
use crate::store::Claim;

/// The partitions whose place in a database (`places`, read before) lies beyond their end in `mailbox`: it was once further than it
/// is. To be told to [`crate::store::Store::recognise`], before anything is appended: later the ends would not tell.
///
/// # Errors
/// As the mailbox's.
pub fn beyond_the_end(mailbox: &dyn Mailbox, places: &[(Claim, Ledger)]) -> Result<Vec<TopicPartition>, MailboxError> {
    let ends = mailbox.watermarks(Topic::MusicTransformed)?;
    let end = |at| ends.iter().find(|ends| ends.at == at).map_or(0, |ends| ends.high);
    let reached = places.iter().filter_map(|(claim, _)| Some((claim.at, claim.next_offset?)));
    Ok(reached.filter(|(at, next)| *next > end(*at)).map(|(at, _)| at).collect())
}
