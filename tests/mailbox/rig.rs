//! What the promises are tried on, and short words for what they do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reprise::mailbox::{
    Ledger, Mailbox, MailboxError, Message, Outgoing, Polled, Progress, Session, SessionSpec, TopicPartition,
};
use reprise::records::{Topic, Version};

pub const PARTITIONS: i32 = 3;
/// Longer than any sound mailbox needs, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A mailbox that can be opened again and again over the same durable data.
pub struct Rig {
    pub open: Box<dyn Fn() -> Arc<dyn Mailbox>>,
    /// The topics are there already: the mock broker cannot make any.
    pub topics_exist: bool,
}

impl Rig {
    /// The mailbox with its topics made.
    pub fn ready(&self) -> Arc<dyn Mailbox> {
        let mailbox = (self.open)();
        if !self.topics_exist {
            mailbox.create_topics(PARTITIONS).unwrap();
        }
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
        retains: true,
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
        retains: true,
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
        let Polled { messages, revoked, .. } = match session.poll(count - found.len(), Duration::from_millis(200)) {
            // Waiting is not failing: the news of an outage may come after its end.
            Err(MailboxError::Unavailable(_)) => Polled::default(),
            polled => polled.unwrap(),
        };
        assert!(revoked.is_empty(), "lost {revoked:?}");
        found.extend(messages);
    }
    assert_eq!(found.len(), count, "messages in {PATIENCE:?}");
    found
}

/// A small stage: copies what comes to the same partition of `to`, until `count` messages are committed in all, whatever happens
/// on the way. Waits when the mailbox is away, drops work it no longer owns, opens a new session when fenced.
/// Answers how often it was interrupted.
pub fn copy(mailbox: &dyn Mailbox, spec: &SessionSpec, session: Box<dyn Session>, to: Topic, count: u64) -> u32 {
    let deadline = Instant::now() + PATIENCE * 4;
    let mut interruptions = 0;
    let mut session = Some(session);
    loop {
        assert!(Instant::now() < deadline, "not done in {:?}", PATIENCE * 4);
        let outcome = match &mut session {
            None => mailbox.open(spec).map(|opened| session = Some(opened)),
            Some(session) => copy_some(&mut **session, to),
        };
        match outcome {
            Ok(()) => {}
            Err(MailboxError::Unavailable(_) | MailboxError::Revoked(_)) => {
                interruptions += 1;
                while let Some(Err(MailboxError::Unavailable(_))) = session.as_mut().map(|session| session.rewind()) {
                    assert!(Instant::now() < deadline, "not back in {:?}", PATIENCE * 4);
                }
            }
            Err(MailboxError::Fenced(_) | MailboxError::Failed(_)) => {
                interruptions += 1;
                session = None;
            }
            Err(error) => panic!("{error:?}"),
        }
        let finished = mailbox.committed(&spec.group, &spec.topics);
        if finished.is_ok_and(|all| all.iter().map(|one| one.ledger.consumed).sum::<u64>() >= count) {
            return interruptions;
        }
    }
}

fn copy_some(session: &mut dyn Session, to: Topic) -> Result<(), MailboxError> {
    let messages = session.poll(50, Duration::from_millis(200))?.messages;
    let records: Vec<Outgoing> = messages
        .iter()
        .map(|message| Outgoing {
            at: at(to, message.at.partition),
            key: message.key.clone(),
            payload: message.payload.clone(),
            version: None,
        })
        .collect();
    let mut progress: Vec<Progress> = Vec::new();
    for message in &messages {
        match progress.iter_mut().find(|step| step.at == message.at) {
            Some(step) => *step = done(message.at, message.offset + 1, step.counts.consumed + 1),
            None => progress.push(done(message.at, message.offset + 1, 1)),
        }
    }
    session.publish(&records, &progress)
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

/// Waits until exactly these payloads may be seen in the partition. A Kafka transaction is durable when its commit returns, and
/// visible a few milliseconds later, when its markers are written.
pub fn shows<T: AsRef<str>>(mailbox: &dyn Mailbox, at: TopicPartition, expected: &[T]) {
    let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = texts(&all(mailbox, at));
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{at} shows {found:?}, not {expected:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything in a partition that `read_committed` readers may see.
pub fn all(mailbox: &dyn Mailbox, at: TopicPartition) -> Vec<Message> {
    let marks = mailbox.watermarks(at.topic).unwrap();
    let low = marks.iter().find(|marks| marks.at == at).unwrap().low;
    mailbox.read(at, low, 10_000).unwrap()
}
