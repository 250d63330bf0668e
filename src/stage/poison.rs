//! Which messages were in hand when an actor died: outlives the actor, so that its successor can find the one that kills.
//!
//! A batch that killed the actor `poison_after` times is worked on message by message; the one that kills when it is alone
//! is poison, and its successor buries it without touching it. Whatever way the actor died counts, panic, hang or error; that an
//! operator restarted it does not.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::mailbox::{Message, TopicPartition};

type Place = (TopicPartition, i64);

/// Shared by the incarnations of one stage.
#[derive(Debug, Clone)]
pub struct PoisonBook {
    after: u32,
    pages: Arc<Mutex<Pages>>,
}

#[derive(Debug, Default)]
struct Pages {
    deaths: HashMap<Place, Deaths>,
    /// Taken last, and not let go since.
    hand: Vec<Place>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Deaths {
    /// Times it was in hand when an actor died, less the times it was let go in order.
    in_batch: u32,
    /// It was in hand alone when an actor died.
    alone: bool,
}

/// How to go about the next messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approach {
    /// Nothing speaks against taking this many together.
    Together(usize),
    /// The first message killed the actor when it was alone: bury it.
    Bury,
}

impl PoisonBook {
    /// A book that isolates after this many deaths of a batch.
    pub fn new(poison_after: u32) -> PoisonBook {
        PoisonBook { after: poison_after, pages: Arc::default() }
    }

    /// How to go about `messages`, and notes that those are in hand now. Call [`PoisonBook::let_go`] when they no longer are.
    pub fn take(&self, messages: &[Message]) -> Approach {
        let mut pages = self.pages.lock();
        let of = |message: &Message| pages.deaths.get(&place(message)).copied().unwrap_or_default();
        let Some(first) = messages.first().map(of) else { return Approach::Together(0) };
        if first.alone {
            return Approach::Bury;
        }
        let together = if first.in_batch >= self.after {
            1
        } else {
            messages.iter().position(|message| of(message).in_batch >= self.after).unwrap_or(messages.len())
        };
        let suspects = together == 1 && first.in_batch >= self.after;
        let hand: Vec<Place> = messages.iter().take(together).map(place).collect();
        for taken in &hand {
            let entry = pages.deaths.entry(*taken).or_default();
            entry.in_batch += 1;
            entry.alone = suspects;
        }
        pages.hand = hand;
        Approach::Together(together)
    }

    /// The actor lives: these are no longer in hand.
    pub fn let_go(&self, messages: &[Message]) {
        let mut pages = self.pages.lock();
        for message in messages {
            pages.deaths.remove(&place(message));
        }
        pages.hand.clear();
    }

    /// The actor was ended for no fault of what it had in hand: that it was does not count.
    pub fn forgive(&self) {
        let mut pages = self.pages.lock();
        for taken in std::mem::take(&mut pages.hand) {
            if let Some(deaths) = pages.deaths.get_mut(&taken) {
                deaths.in_batch = deaths.in_batch.saturating_sub(1);
                deaths.alone = false;
            }
        }
    }
}

fn place(message: &Message) -> Place {
    (message.at, message.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Topic;
    use proptest::prelude::*;

    fn message(offset: i64) -> Message {
        let at = TopicPartition { topic: Topic::MusicQueries, partition: 0 };
        Message { at, offset, key: String::new(), payload: Vec::new(), appended_at: 0, version: None }
    }

    proptest! {
        /// Whatever the batch size, the limit and the place of the poison: exactly the poison is buried, in few deaths.
        #[test]
        fn only_the_message_that_kills_is_buried(len in 1..60_i64, poison in 0..60_i64, size in 1..60_usize, after in 1..5_u32) {
            let poison = poison % len;
            let book = PoisonBook::new(after);
            let messages: Vec<Message> = (0..len).map(message).collect();
            let (mut next, mut deaths, mut buried) = (0_usize, 0_u32, Vec::new());
            while next < messages.len() {
                let batch = &messages[next..messages.len().min(next + size)];
                match book.take(batch) {
                    Approach::Bury => {
                        buried.push(batch[0].offset);
                        book.let_go(&batch[..1]);
                        next += 1;
                    }
                    Approach::Together(count) => {
                        let hand = &batch[..count];
                        if hand.iter().any(|m| m.offset == poison) {
                            deaths += 1; // The actor dies: nothing is let go, its successor reads the same again.
                        } else {
                            book.let_go(hand);
                            next += count;
                        }
                    }
                }
            }
            prop_assert_eq!(buried, vec![poison]);
            prop_assert!(deaths <= after + 1, "{} deaths", deaths);
        }

        /// An operator may restart the actor as often as he likes, whatever it has in hand.
        #[test]
        fn who_is_restarted_by_an_operator_buries_nothing(len in 1..20_i64, restarts in 1..20_usize, after in 1..5_u32) {
            let book = PoisonBook::new(after);
            let messages: Vec<Message> = (0..len).map(message).collect();
            for _ in 0..restarts {
                prop_assert_eq!(book.take(&messages), Approach::Together(messages.len()));
                book.forgive();
            }
        }
    }
}
