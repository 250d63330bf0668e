//! What was fetched and waits for the caller. Bounded: whoever fills it pauses fetching while it is high.

use std::collections::VecDeque;

use crate::mailbox::{Message, TopicPartition};

/// Fetching pauses when this much waits for the caller, and resumes at a quarter: pausing throws away what librdkafka has
/// fetched ahead, so it must not flutter.
const MOST: usize = 2_000;
/// The same in bytes.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Backlog {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn push(&mut self, message: Message) {
        self.bytes += message.payload.len();
        self.messages.push_back(message);
    }

    /// Up to `max`, oldest first.
    pub(super) fn take(&mut self, max: usize) -> Vec<Message> {
        let messages: Vec<Message> = self.messages.drain(..max.min(self.messages.len())).collect();
        self.bytes = self.bytes.saturating_sub(bytes(&messages));
        messages
    }

    /// Forgets the messages of which `keep` says no.
    pub(super) fn retain(&mut self, keep: impl Fn(TopicPartition) -> bool) {
        self.messages.retain(|message| keep(message.at));
        self.bytes = bytes(&self.messages);
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Something of this partition waits.
    pub(super) fn holds(&self, at: TopicPartition) -> bool {
        self.messages.iter().any(|message| message.at == at)
    }

    /// Fetching should pause.
    pub(super) fn is_high(&self) -> bool {
        self.len() > MOST || self.bytes > MOST_BYTES
    }

    /// Fetching should go on.
    pub(super) fn is_low(&self) -> bool {
        self.len() < MOST / 4 && self.bytes < MOST_BYTES / 4
    }
}

fn bytes<'m>(messages: impl IntoIterator<Item = &'m Message>) -> usize {
    messages.into_iter().map(|message| message.payload.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Topic;
    use proptest::prelude::*;

    fn message((partition, size): (i32, usize)) -> Message {
        let at = TopicPartition { topic: Topic::MusicQueries, partition };
        Message { at, offset: 0, key: String::new(), payload: vec![0; size], appended_at: 0, version: None }
    }

    proptest! {
        /// Whatever comes, goes and is forgotten: empty is empty, in bytes too.
        #[test]
        fn what_was_taken_or_forgotten_does_not_count(
            pushed in prop::collection::vec((0..3_i32, 0..100_usize), 0..50), taken in 0..60_usize, forgotten in 0..3_i32,
        ) {
            let mut backlog = Backlog::default();
            pushed.iter().copied().map(message).for_each(|message| backlog.push(message));
            let out = backlog.take(taken);
            prop_assert_eq!(out.len(), taken.min(pushed.len()));
            backlog.retain(|at| at.partition != forgotten);
            let left: Vec<(i32, usize)> = pushed.iter().skip(taken).copied().filter(|(partition, _)| *partition != forgotten).collect();
            prop_assert_eq!(backlog.bytes, left.iter().map(|(_, size)| size).sum::<usize>());
            prop_assert_eq!(backlog.len(), left.len());
            let at = TopicPartition { topic: Topic::MusicQueries, partition: forgotten };
            prop_assert!(!backlog.holds(at) && backlog.is_low() && !backlog.is_high());
        }
    }
}
