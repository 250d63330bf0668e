//! A real Kafka: the common promises, and what only several processes and a real group coordinator can show.
//!
//! `REPRISE_TEST_KAFKA=HOST:PORT` names the broker; without it these tests say so and do nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use reprise::mailbox::dead_letters::{Desk, Letters};
use reprise::mailbox::{KafkaMailbox, KafkaOptions, Mailbox, Message, SessionSpec};
use reprise::records::{DeadReason, Topic, TopicNames, now_micros};
use reprise::stage::step::bury;
use slog::{Drain, Logger, o};

use crate::promises::keeps;
use crate::rig::{PARTITIONS, PATIENCE, Rig, at, copy, done, fill, joined, quiet, reader, record, shows, take, texts, writer};

const IN: Topic = Topic::MusicTopTracks;
const OUT: Topic = Topic::ArtistGenres;

/// To standard error when `REPRISE_TEST_LOG` is set.
pub fn logger() -> Logger {
    if std::env::var_os("REPRISE_TEST_LOG").is_none() {
        return Logger::root(slog::Discard, o!());
    }
    let drain = std::sync::Mutex::new(slog_json::Json::default(std::io::stderr()));
    Logger::root(drain.fuse(), o!())
}

pub fn options(brokers: &str, prefix: &str) -> KafkaOptions {
    KafkaOptions {
        brokers: brokers.to_owned(),
        properties: BTreeMap::new(),
        names: TopicNames::new(prefix, &BTreeMap::new()),
        prefix: prefix.to_owned(),
        replication: None,
        logger: logger(),
    }
}

/// A deployment of its own on the broker under test; `None` when there is none.
fn rig() -> Option<Rig> {
    let (brokers, prefix) = place()?;
    Some(deployment(brokers, prefix))
}

/// The broker under test and a prefix that no other test uses.
fn place() -> Option<(String, String)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Ok(brokers) = std::env::var("REPRISE_TEST_KAFKA") else {
        eprintln!("not run: REPRISE_TEST_KAFKA names no broker");
        return None;
    };
    let prefix = format!("t{}-{}.", now_micros(), COUNT.fetch_add(1, Ordering::Relaxed));
    Some((brokers, prefix))
}

pub fn deployment(brokers: String, prefix: String) -> Rig {
    Rig {
        open: Box::new(move || Arc::new(KafkaMailbox::open(options(&brokers, &prefix)).unwrap()) as Arc<dyn Mailbox>),
        topics_exist: false,
    }
}

keeps! { rig();
    what_is_confirmed_survives_reopening,
    a_message_arrives_as_it_was_sent,
    consume_produce_and_commit_are_one,
    only_the_newer_of_two_sessions_publishes,
    a_rewind_reads_again_what_is_not_committed,
    a_seek_reads_from_there,
    messages_of_a_partition_come_in_order,
    heads_follow_the_last_record_of_a_key,
    heads_notice_what_somebody_else_appends,
    the_ledger_adds_up_and_survives,
    groups_do_not_disturb_each_other,
    a_session_without_transactions_commits_too,
    lag_is_what_waits,
    an_offset_is_found_by_its_time,
    reading_out_of_range_is_refused,
    topics_that_do_not_exist_are_named,
    topics_are_made_once,
    a_record_too_large_is_refused,
    progress_on_a_foreign_partition_is_refused,
    a_waiting_poll_wakes_for_a_message,
}

/// Set for the child process of a test: brokers, prefix and instance, comma-separated.
const CHILD: &str = "REPRISE_TEST_CHILD";

/// Not a test: what a child process does, which a test kills.
#[test]
fn child_that_joins_and_works_on() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let [brokers, prefix, instance] = place.split(',').collect::<Vec<_>>()[..] else { panic!("{place}") };
    let mailbox = (deployment(brokers.to_owned(), prefix.to_owned()).open)();
    let mut session = mailbox.open(&SessionSpec { instance: instance.to_owned(), ..reader("g", IN) }).unwrap();
    joined(&mut *session);
    println!("joined");
    loop {
        session.poll(1, Duration::from_millis(100)).ok();
    }
}

/// Starts a process that joins the group, and waits until it has.
fn member(place: &(String, String), instance: &str) -> Child {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kafka::child_that_joins_and_works_on", "--nocapture"])
        .env(CHILD, format!("{},{},{instance}", place.0, place.1))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().map_while(Result::ok).any(|line| line.ends_with("joined")), "the child did not join");
    child
}

#[test]
fn a_process_that_comes_back_takes_over_at_once() {
    let Some(place) = place() else { return };
    let mailbox = deployment(place.0.clone(), place.1.clone()).ready();
    fill(&*mailbox, at(IN, 0), 3);
    let mut child = member(&place, "test-0");
    child.kill().unwrap();
    child.wait().unwrap();
    let began = Instant::now();
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    assert_eq!(joined(&mut *session).len(), PARTITIONS as usize);
    assert_eq!(texts(&take(&mut *session, 3)), ["0", "1", "2"]);
    // Under the session timeout of ten seconds.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn instances_share_the_partitions_and_the_living_inherit_from_the_dead() {
    let Some(place) = place() else { return };
    let mailbox = deployment(place.0.clone(), place.1.clone()).ready();
    for partition in 0..PARTITIONS {
        fill(&*mailbox, at(IN, partition), 10);
    }
    let spec = SessionSpec { instance: "survivor".to_owned(), ..reader("g", IN) };
    let mut session = mailbox.open(&spec).unwrap();
    joined(&mut *session);
    let alive = AtomicBool::new(true);
    let (mut owned, mut child) = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let child = member(&place, "victim");
            alive.store(false, Ordering::Relaxed);
            child
        });
        // The member here has to take part in the rebalance.
        let mut owned: Vec<_> = (0..PARTITIONS).map(|partition| at(IN, partition)).collect();
        while alive.load(Ordering::Relaxed) {
            follow(&mut owned, session.poll(10, Duration::from_millis(100)).unwrap());
        }
        (owned, other.join().unwrap())
    });
    let deadline = Instant::now() + PATIENCE;
    while owned.len() == PARTITIONS as usize || owned.is_empty() {
        assert!(Instant::now() < deadline, "nothing was shared: {owned:?}");
        follow(&mut owned, session.poll(10, Duration::from_millis(100)).unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while owned.len() < PARTITIONS as usize {
        assert!(killed.elapsed() < PATIENCE, "nothing was inherited: {owned:?}");
        follow(&mut owned, session.poll(10, Duration::from_millis(100)).unwrap());
    }
    eprintln!("inherited {:?} after the kill", killed.elapsed());
    session.rewind().unwrap();
    copy(&*mailbox, &spec, session, OUT, 30);
    for partition in 0..PARTITIONS {
        shows(&*mailbox, at(OUT, partition), &(0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

fn follow(owned: &mut Vec<reprise::mailbox::TopicPartition>, polled: reprise::mailbox::Polled) {
    owned.retain(|at| !polled.revoked.contains(at));
    owned.extend(polled.assigned);
}

#[test]
fn what_a_dead_predecessor_left_open_is_undone() {
    let Some((brokers, prefix)) = place() else { return };
    let mailbox = deployment(brokers.clone(), prefix.clone()).ready();
    let predecessor: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("transactional.id", format!("{prefix}g.test-0"))
        .create()
        .unwrap();
    let patience = Duration::from_secs(10);
    predecessor.init_transactions(patience).unwrap();
    predecessor.begin_transaction().unwrap();
    let name = format!("{prefix}{}", OUT.default_name());
    predecessor.send(BaseRecord::<[u8], [u8]>::to(&name).partition(0).payload(b"zombie")).unwrap();
    predecessor.flush(patience).unwrap();
    fill(&*mailbox, at(IN, 0), 1);
    let began = Instant::now();
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    take(&mut *session, 1);
    session.publish(&[record(at(OUT, 0), "a", "alive")], &[done(at(IN, 0), 1, 1)]).unwrap();
    shows(&*mailbox, at(OUT, 0), &["alive"]);
    // The open transaction did not have to time out first.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(predecessor.commit_transaction(patience).is_err());
    shows(&*mailbox, at(OUT, 0), &["alive"]);
}

/// Behind a transaction that somebody else has open in the partition, what the holder of the desk before has marked is not seen.
#[test]
fn whoever_takes_the_desk_sees_what_was_marked_behind_an_open_transaction() {
    let Some((brokers, prefix)) = place() else { return };
    let mailbox = deployment(brokers.clone(), prefix.clone()).ready();
    let stage: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("transactional.id", format!("{prefix}stage"))
        .set("transaction.timeout.ms", "60000")
        .create()
        .unwrap();
    let patience = Duration::from_secs(40);
    stage.init_transactions(patience).unwrap();
    stage.begin_transaction().unwrap();
    let message = Message {
        at: at(IN, 0),
        offset: 0,
        key: "key".to_owned(),
        payload: b"garbage".to_vec(),
        appended_at: 1,
        version: None,
    };
    let letter = bury("transform", "test", PARTITIONS, &message, DeadReason::new("undecodable", "garbage")).unwrap();
    let name = format!("{prefix}{}", letter.at.topic.default_name());
    let first = BaseRecord::<[u8], [u8]>::to(&name).partition(letter.at.partition).payload(b"of the stage");
    stage.send(first).unwrap();
    stage.flush(patience).unwrap();
    // Committed, and not to be seen as long as what stands before it is open.
    mailbox
        .open(&SessionSpec { transactional: true, ..writer() })
        .unwrap()
        .publish(std::slice::from_ref(&letter), &[])
        .unwrap();
    assert!(Letters::read(&*mailbox).unwrap().entries.is_empty());
    let taken = std::thread::scope(|scope| {
        let taking = scope.spawn(|| Desk::take(&mailbox, "test").map(|desk| desk.letters.entries.len()));
        // Who does not wait has long been done by then; who does wait cannot be.
        std::thread::sleep(Duration::from_secs(3));
        assert!(!taking.is_finished(), "it did not wait for the open transaction");
        stage.abort_transaction(patience).unwrap();
        taking.join().unwrap()
    });
    assert_eq!(taken.unwrap(), 1);
}

#[test]
fn a_reader_of_transactions_reaches_the_end() {
    let Some(rig) = rig() else { return };
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 1);
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    take(&mut *session, 1);
    // Each transaction leaves a marker in both topics, which takes an offset.
    for number in 0..3 {
        session.publish(&[record(at(OUT, 0), "a", number)], &[]).unwrap();
    }
    shows(&*mailbox, at(OUT, 0), &["0", "1", "2"]);
    let marks = mailbox.watermarks(OUT).unwrap();
    assert_eq!(marks.first().map(|marks| (marks.low, marks.high)), Some((0, 5)));
    let mut next = mailbox.open(&reader("next", OUT)).unwrap();
    joined(&mut *next);
    let last = take(&mut *next, 3).last().map(|message| message.offset + 1);
    assert_eq!(last, Some(5));
    quiet(&mut *next);
    let deadline = Instant::now() + Duration::from_secs(10);
    while next.lag().iter().any(|(_, lag)| *lag > 0) || next.lag().len() < PARTITIONS as usize {
        assert!(Instant::now() < deadline, "{:?}", next.lag());
        next.poll(1, Duration::from_millis(100)).unwrap();
    }
}

#[test]
fn killing_the_broker_loses_and_doubles_nothing() {
    if place().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/kafka.sh");
    let broker = |verb: &str| {
        let done = Command::new(&script).arg(verb).arg(dir.path()).stderr(Stdio::inherit()).output().unwrap();
        assert!(done.status.success(), "{verb}: {}", done.status);
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    let rig = deployment(broker("start"), String::new());
    let mailbox = rig.ready();
    for partition in 0..PARTITIONS {
        fill(&*mailbox, at(IN, partition), 1_000);
    }
    let spec = reader("g", IN);
    let working = (rig.open)();
    let copied = |mailbox: &dyn Mailbox| {
        let committed = mailbox.committed("g", &[IN]).ok()?;
        Some(committed.iter().map(|one| one.ledger.consumed).sum::<u64>())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for share in [500, 1_500, 2_500] {
                // In the middle of the work, wherever that is.
                while copied(&*mailbox).is_none_or(|count| count < share) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                let id = std::fs::read_to_string(dir.path().join("kafka.pid")).unwrap();
                assert!(Command::new("kill").arg("-KILL").arg(id.trim()).status().unwrap().success());
                broker("start");
            }
        });
        let interruptions = copy(&*working, &spec, working.open(&spec).unwrap(), OUT, 3_000);
        assert!(interruptions > 0, "the kills were not noticed");
    });
    for partition in 0..PARTITIONS {
        shows(&*mailbox, at(OUT, partition), &(0..1_000).map(|n| n.to_string()).collect::<Vec<_>>());
    }
    let committed = mailbox.committed("g", &[IN]).unwrap();
    assert!(committed.iter().all(|one| one.next_offset == 1_000 && one.ledger.consumed == 1_000), "{committed:?}");
    broker("stop");
}
