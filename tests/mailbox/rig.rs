//! What the promises are tried on, and short words for what they do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reprise::mailbox::{Ledger, Mailbox, Message, Outgoing, Polled, Progress, Session, SessionSpec, TopicPartition};
use reprise::records::{Topic, Version};

pub const PARTITIONS: i32 = 3;
/// Longer than any sound mailbox needs, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A mailbox that can be opened again and again over the same durable data.
pub struct Rig {
    pub open: Box<dyn Fn() -> Arc<dyn Mailbox>>,
}

impl Rig {
    /// The mailbox with its topics made.
    pub fn ready(&self) -> Arc<dyn Mailbox> {
        let mailbox = (self.open)();
        mailbox.create_topics(PARTITIONS).unwrap();
        mailbox
    }
}

pub fn at(topic: Topic, partition: i32) -> TopicPartition {
    TopicPartition { topic, partition }
}

/// A transactional reader of `topic`, as the stages are.
pub fn reader(group: &str, topic: Topic) -> SessionSpec {
    SessionSpec {
        group: group.to_owned(),
        topics: vec![topic],
        heads: Vec::new(),
        instance: "test-0".to_owned(),
        transactional: true,
    }
}

/// A session that only publishes.
pub fn writer() -> SessionSpec {
    SessionSpec {
        group: "writer".to_owned(),
        topics: Vec::new(),
        heads: Vec::new(),
        instance: "test-writer".to_owned(),
        transactional: false,
    }
}

pub fn record(at: TopicPartition, key: &str, payload: impl ToString) -> Outgoing {
    Outgoing { at, key: key.to_owned(), payload: payload.to_string().into_bytes(), version: None }
}

pub fn versioned(at: TopicPartition, key: &str, observed_at: i64) -> Outgoing {
    Outgoing { version: Some(version(observed_at)), ..record(at, key, observed_at) }
}

pub fn version(observed_at: i64) -> Version {
    Version { observed_at, tiebreak: 7 }
}

/// Appends `count` messages `0`, `1`, ... to one partition.
pub fn fill(mailbox: &dyn Mailbox, at: TopicPartition, count: usize) {
    let records: Vec<Outgoing> = (0..count).map(|number| record(at, &format!("key {number}"), number)).collect();
    mailbox.open(&writer()).unwrap().publish(&records, &[]).unwrap();
}

/// `count` messages finished: all emitted.
pub fn done(at: TopicPartition, next_offset: i64, count: u64) -> Progress {
    Progress { at, next_offset, counts: Ledger { consumed: count, emitted: count, produced: count, ..Ledger::default() } }
}

/// Polls until the session owns something; no message may come before.
pub fn joined(session: &mut dyn Session) -> Vec<TopicPartition> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let polled = session.poll(10, Duration::from_millis(100)).unwrap();
        assert!(polled.messages.is_empty(), "messages before their partitions were announced: {polled:?}");
        if !polled.assigned.is_empty() {
            let mut assigned = polled.assigned;
            assigned.sort();
            return assigned;
        }
    }
    panic!("the session was assigned nothing in {PATIENCE:?}");
}

/// Polls until there are `count` messages.
pub fn take(session: &mut dyn Session, count: usize) -> Vec<Message> {
    let deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while found.len() < count && Instant::now() < deadline {
        let Polled { messages, revoked, .. } = session.poll(count - found.len(), Duration::from_millis(200)).unwrap();
        assert!(revoked.is_empty(), "lost {revoked:?}");
        found.extend(messages);
    }
    assert_eq!(found.len(), count, "messages in {PATIENCE:?}");
    found
}

/// Nothing comes for a while.
pub fn quiet(session: &mut dyn Session) {
    let deadline = Instant::now() + Duration::from_millis(600);
    while Instant::now() < deadline {
        let messages = session.poll(10, Duration::from_millis(200)).unwrap().messages;
        assert!(messages.is_empty(), "unexpected: {messages:?}");
    }
}

pub fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.payload.clone()).unwrap()).collect()
}

/// Everything in a partition that `read_committed` readers may see.
pub fn all(mailbox: &dyn Mailbox, at: TopicPartition) -> Vec<Message> {
    let marks = mailbox.watermarks(at.topic).unwrap();
    let low = marks.iter().find(|marks| marks.at == at).unwrap().low;
    mailbox.read(at, low, 10_000).unwrap()
}
