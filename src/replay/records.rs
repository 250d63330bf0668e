//! From a message to what it changes: pure.

use super::ReplayError;
use crate::load::change_of;
use crate::mailbox::{MailboxError, Message, Outgoing, TopicPartition};
use crate::records::{Envelope, TRANSFORM_REVISION, Topic, Transformed};
use crate::store::Change;
use crate::transform::{Judge, rows_of};

/// What a message leads to.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// In the database; `None` when the message cannot be read.
    pub(super) changes: Option<Vec<Change>>,
    /// The same as records of `music_transformed`; empty for a message that comes from there.
    pub(super) records: Vec<Outgoing>,
}

impl Item {
    /// Reads a message of any topic that leads to rows.
    pub(super) fn of(message: &Message, judge: Judge, run_id: &str) -> Result<Item, ReplayError> {
        if message.at.topic == Topic::MusicTransformed {
            return Ok(Item { changes: change_of(message).ok().map(|change| vec![change]), records: Vec::new() });
        }
        let Ok(raw) = rows_of(message.at.topic, &message.payload, judge) else { return Ok(Item::default()) };
        // Rows stay on the partition number of the record they came from.
        let at = TopicPartition { topic: Topic::MusicTransformed, partition: message.at.partition };
        let mut item = Item { changes: Some(Vec::new()), records: Vec::new() };
        for row in raw.rows {
            let body = Transformed { revision: TRANSFORM_REVISION, artist_id: raw.artist_id.clone(), row: row.clone() };
            let envelope = Envelope::new(raw.observed_at, run_id, body);
            let impossible = |error: crate::records::RecordError| MailboxError::Invalid(error.to_string());
            let record = Outgoing::record(&envelope, at.partition, TRANSFORM_REVISION).map_err(impossible)?;
            if let (Some(version), Some(changes)) = (record.version, item.changes.as_mut()) {
                changes.push(Change { at, row, version });
                item.records.push(record);
            }
        }
        Ok(item)
    }
}
