//! librdkafka's mock broker: the Kafka path without a server, and brokers that go away and come back.
//!
//! It knows groups, commits and transactions, but stores no offsets of transactions, fences nobody and makes no topics: those
//! promises are tried on a real Kafka only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
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
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
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

/// What a broker answers of a topic that it has not heard of, or not yet.
const UNKNOWN: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;

#[test]
fn a_leader_that_does_not_know_its_partition_yet_is_waited_for() {
    let cluster = cluster();
    let mailbox = KafkaMailbox::open(options(&cluster.bootstrap_servers(), "")).unwrap();
    fill(&mailbox, at(IN, 0), 4);
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &[UNKNOWN; 9]);
    let high = |mailbox: &KafkaMailbox| mailbox.watermarks(IN).unwrap().first().map(|marks| marks.high);
    assert_eq!(high(&mailbox), Some(4));
    // For longer than brokers take: still an outage, as the topic exists.
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &[UNKNOWN; 2_000]);
    is_unavailable(mailbox.watermarks(IN), &cluster.bootstrap_servers());
    let spec = SessionSpec { transactional: false, ..reader("g", IN) };
    let mut session = mailbox.open(&spec).unwrap();
    let outage = (0..200).find_map(|_| session.poll(1, Duration::from_millis(100)).err());
    is_unavailable::<()>(Err(outage.unwrap()), &cluster.bootstrap_servers());
    cluster.clear_request_errors(RDKafkaApiKey::ListOffsets);
    assert_eq!(high(&mailbox), Some(4));
    copy(&mailbox, &spec, session, OUT, 4);
    assert_eq!(texts(&all(&mailbox, at(OUT, 0))), ["0", "1", "2", "3"]);
}

#[test]
fn a_topic_that_a_broker_does_not_know_yet_is_waited_for() {
    let cluster = cluster();
    let mailbox = KafkaMailbox::open(options(&cluster.bootstrap_servers(), "")).unwrap();
    assert_eq!(mailbox.partitions().unwrap(), PARTITIONS);
    cluster.topic_error(IN.default_name(), UNKNOWN).unwrap();
    let refused = mailbox.partitions();
    assert!(matches!(&refused, Err(MailboxError::Invalid(text)) if text.contains(IN.default_name())), "{refused:?}");
    let asking = std::thread::spawn(move || mailbox.partitions());
    // How long it takes to be known, not a wait for anything.
    std::thread::sleep(Duration::from_millis(700));
    cluster.topic_error(IN.default_name(), RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    assert_eq!(asking.join().unwrap().unwrap(), PARTITIONS);
}
