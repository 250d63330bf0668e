//! librdkafka's mock broker: the Kafka path without a server, and brokers that go away and come back.
//!
//! It knows groups, commits and transactions, but stores no offsets of transactions, fences nobody and makes no topics: those
//! promises are tried on a real Kafka only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use reprise::mailbox::{KafkaMailbox, KafkaOptions, Mailbox, MailboxError, SessionSpec};
use reprise::records::Topic;

use crate::kafka::{deployment, options};
use crate::promises::keeps;
use crate::rig::{PARTITIONS, Rig, all, at, copy, done, fill, joined, reader, record, take, texts, writer};

const IN: Topic = Topic::MusicTopTracks;
const OUT: Topic = Topic::ArtistGenres;

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    for topic in Topic::ALL {
        cluster.create_topic(topic.default_name(), PARTITIONS, 1).unwrap();
    }
    cluster
}

fn rig() -> Option<Rig> {
    let cluster = cluster();
    let open = move || Arc::new(KafkaMailbox::open(options(&cluster.bootstrap_servers(), "")).unwrap()) as Arc<dyn Mailbox>;
    Some(Rig { open: Box::new(open), topics_exist: true })
}

keeps! { rig();
    a_message_arrives_as_it_was_sent,
    a_seek_reads_from_there,
    messages_of_a_partition_come_in_order,
    heads_follow_the_last_record_of_a_key,
    heads_notice_what_somebody_else_appends,
    groups_do_not_disturb_each_other,
    a_session_without_transactions_commits_too,
    a_waiting_poll_wakes_for_a_message,
}

fn is_unavailable<T>(outcome: Result<T, MailboxError>, brokers: &str) {
    match outcome {
        Err(MailboxError::Unavailable(text)) => assert!(text.contains(brokers), "{text}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a broker that is away answered"),
    }
}

#[test]
fn a_broker_that_is_nowhere_is_named_soon() {
    let brokers = "127.0.0.1:9";
    let mailbox = (deployment(brokers.to_owned(), String::new()).open)();
    let began = Instant::now();
    is_unavailable(mailbox.partitions(), brokers);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    is_unavailable(mailbox.open(&writer()), brokers);
}

#[test]
fn a_session_outlives_an_outage() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mailbox = KafkaMailbox::open(options(&brokers, "")).unwrap();
    fill(&mailbox, at(IN, 0), 4);
    let spec = SessionSpec { transactional: false, ..reader("g", IN) };
    let mut session = mailbox.open(&spec).unwrap();
    joined(&mut *session);
    take(&mut *session, 2);
    cluster.broker_down(1).unwrap();
    let began = Instant::now();
    is_unavailable(session.publish(&[record(at(OUT, 0), "a", "lost")], &[done(at(IN, 0), 2, 2)]), &brokers);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    is_unavailable(session.rewind(), &brokers);
    cluster.broker_up(1).unwrap();
    copy(&mailbox, &spec, session, OUT, 4);
    let committed = mailbox.committed("g", &[IN]).unwrap();
    assert_eq!(committed.first().map(|found| (found.next_offset, found.ledger.consumed)), Some((4, 4)));
    let mut copied = texts(&all(&mailbox, at(OUT, 0)));
    // Without transactions: at least once.
    copied.sort();
    copied.dedup();
    assert_eq!(copied, ["0", "1", "2", "3"]);
}

#[test]
fn a_wrong_property_is_named() {
    for (key, value) in [("no.such.property", "1"), ("socket.timeout.ms", "soon")] {
        let plain = options("127.0.0.1:9", "");
        let properties = [(key.to_owned(), value.to_owned())].into();
        let refused = KafkaMailbox::open(KafkaOptions { properties, ..plain }).unwrap_err();
        assert!(matches!(&refused, MailboxError::Invalid(text) if text.contains(key)), "{refused:?}");
    }
}
