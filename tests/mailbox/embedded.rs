//! The embedded log: the common promises, and what only files can suffer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use reprise::mailbox::{
    EmbeddedMailbox, EmbeddedOptions, InstanceLock, InstanceSlot, Mailbox, MailboxError, Outgoing, SessionSpec, instance_name,
};
use reprise::records::{Topic, TopicNames, now_micros};

use crate::promises::keeps;
use crate::rig::{
    PARTITIONS, Rig, all, at, done, fill, joined, quiet, reader, record, take, texts, version, versioned, writer,
};

const IN: Topic = Topic::MusicTopTracks;
const OUT: Topic = Topic::ArtistGenres;
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

pub fn options(dir: &Path) -> EmbeddedOptions {
    EmbeddedOptions { dir: dir.to_owned(), names: TopicNames::default() }
}

pub fn open(dir: &Path) -> EmbeddedMailbox {
    EmbeddedMailbox::open(options(dir)).unwrap()
}

fn rig() -> Option<Rig> {
    let dir = tempfile::tempdir().unwrap();
    Some(Rig { open: Box::new(move || Arc::new(open(dir.path())) as Arc<dyn Mailbox>), topics_exist: false })
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

/// A folder with topics and `count` messages in partition 0, closed cleanly.
pub fn filled(count: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mailbox = open(dir.path());
    mailbox.create_topics(PARTITIONS).unwrap();
    fill(&mailbox, at(IN, 0), count);
    dir
}

#[test]
fn a_full_disk_is_waited_out() {
    let dir = filled(10);
    let mailbox = EmbeddedMailbox::open_bounded(options(dir.path()), Some(400_000)).unwrap();
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    take(&mut *session, 10);
    let large = Outgoing { payload: vec![b'x'; 300_000], ..record(at(OUT, 0), "large", "") };
    let full = loop {
        if let Err(error) = session.publish(std::slice::from_ref(&large), &[done(at(IN, 0), 10, 10)]) {
            break error;
        }
        assert!(all(&mailbox, at(OUT, 0)).len() < 10, "the limit was not kept");
    };
    assert!(matches!(&full, MailboxError::Unavailable(text) if text.contains("full")), "{full:?}");
    // The session lives on: what fits is published.
    session.rewind().unwrap();
    session.publish(&[], &[done(at(IN, 0), 10, 0)]).unwrap();
    mailbox.verify().unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("not-a-folder");
    fs::write(&blocked, "").unwrap();
    let refused = EmbeddedMailbox::open(options(&blocked)).unwrap_err();
    assert!(matches!(&refused, MailboxError::Unavailable(text) if text.contains("not-a-folder")), "{refused:?}");
    let read_only = dir.path().join("read-only");
    fs::create_dir(&read_only).unwrap();
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(read_only.join("probe"), "").is_ok() {
        // Root may write everywhere.
        return;
    }
    let refused = EmbeddedMailbox::open(options(&read_only)).unwrap_err();
    assert!(matches!(&refused, MailboxError::Unavailable(text) if text.contains("read-only")), "{refused:?}");
}

#[test]
fn retention_waits_for_every_group() {
    let dir = filled(10);
    let mailbox = open(dir.path());
    let later = now_micros() + 8 * DAY_MICROS;
    let mut slow = mailbox.open(&reader("slow", IN)).unwrap();
    let mut quick = mailbox.open(&reader("quick", IN)).unwrap();
    joined(&mut *slow);
    quick.publish(&[], &[done(at(IN, 0), 10, 10)]).unwrap();
    assert_eq!(mailbox.maintain(later).unwrap(), 0, "a group has not begun");
    slow.publish(&[], &[done(at(IN, 0), 4, 4)]).unwrap();
    assert_eq!(mailbox.maintain(now_micros()).unwrap(), 0, "nothing is old yet");
    assert_eq!(mailbox.maintain(later).unwrap(), 4);
    assert_eq!(mailbox.watermarks(IN).unwrap().first().map(|marks| (marks.low, marks.high)), Some((4, 10)));
    assert!(matches!(mailbox.read(at(IN, 0), 3, 1), Err(MailboxError::Invalid(_))));
    slow.rewind().unwrap();
    assert_eq!(take(&mut *slow, 6)[0].offset, 4);
    mailbox.forget_group("slow").unwrap();
    assert_eq!(mailbox.maintain(later).unwrap(), 6);
    // Offsets are never given twice.
    fill(&mailbox, at(IN, 0), 1);
    assert_eq!(all(&mailbox, at(IN, 0)).first().map(|message| message.offset), Some(10));
    mailbox.verify().unwrap();
}

#[test]
fn retention_does_not_wait_for_a_group_that_retains_nothing() {
    let dir = filled(10);
    let mailbox = open(dir.path());
    let later = now_micros() + 8 * DAY_MICROS;
    // As it was registered by a version that did retain.
    drop(mailbox.open(&reader("passer-by", IN)).unwrap());
    assert_eq!(mailbox.maintain(later).unwrap(), 0);
    let mut passer_by = mailbox.open(&SessionSpec { retains: false, ..reader("passer-by", IN) }).unwrap();
    joined(&mut *passer_by);
    assert_eq!(take(&mut *passer_by, 4)[0].offset, 0);
    passer_by.publish(&[], &[done(at(IN, 0), 4, 4)]).unwrap();
    assert_eq!(mailbox.maintain(later).unwrap(), 10);
    mailbox.verify().unwrap();
}

#[test]
fn compaction_keeps_the_last_of_each_key() {
    let rows = Topic::MusicTransformed;
    let dir = tempfile::tempdir().unwrap();
    let mailbox = open(dir.path());
    mailbox.create_topics(PARTITIONS).unwrap();
    let records = [("a", 1), ("b", 1), ("a", 3), ("a", 2)].map(|(key, time)| versioned(at(rows, 0), key, time));
    mailbox.open(&writer()).unwrap().publish(&records, &[]).unwrap();
    let mut session = mailbox.open(&reader("load", rows)).unwrap();
    assert_eq!(mailbox.maintain(now_micros() + 900 * DAY_MICROS).unwrap(), 0, "nothing is consumed yet");
    session.publish(&[], &[done(at(rows, 0), 4, 4)]).unwrap();
    assert_eq!(mailbox.maintain(now_micros()).unwrap(), 2);
    let kept: Vec<_> = all(&mailbox, at(rows, 0)).into_iter().map(|found| (found.offset, found.key, found.version)).collect();
    assert_eq!(kept, [(1, "b".to_owned(), Some(version(1))), (3, "a".to_owned(), Some(version(2)))]);
    session.seek(at(rows, 0), 0).unwrap();
    joined(&mut *session);
    assert_eq!(take(&mut *session, 2).len(), 2);
    mailbox.verify().unwrap();
    let keyless = mailbox.open(&writer()).unwrap().publish(&[record(at(rows, 0), "", "x")], &[]);
    assert!(matches!(keyless, Err(MailboxError::Invalid(_))), "{keyless:?}");
}

#[test]
fn another_process_is_noticed_soon() {
    let dir = filled(0);
    let reading = open(dir.path());
    // A mailbox of its own shares nothing with the first but the file, as another process would.
    let writing = open(dir.path());
    let mut session = reading.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    quiet(&mut *session);
    let began = Instant::now();
    fill(&writing, at(IN, 0), 1);
    assert_eq!(session.poll(10, Duration::from_secs(60)).unwrap().messages.len(), 1);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn one_process_runs_and_the_other_is_told_who() {
    let dir = tempfile::tempdir().unwrap();
    let first = InstanceLock::acquire(dir.path()).unwrap();
    let refused = InstanceLock::acquire(dir.path()).unwrap_err().to_string();
    assert!(refused.contains(&std::process::id().to_string()) && refused.contains("data_dir"), "{refused}");
    drop(first);
    InstanceLock::acquire(dir.path()).unwrap();
}

#[test]
fn the_lowest_free_number_is_taken_again() {
    let dir = tempfile::tempdir().unwrap();
    let zero = InstanceSlot::acquire(dir.path()).unwrap();
    let one = InstanceSlot::acquire(dir.path()).unwrap();
    assert_eq!((zero.number(), one.number()), (0, 1));
    let name = instance_name(dir.path(), &zero);
    assert!(name.ends_with("-0") && name != instance_name(dir.path(), &one), "{name}");
    drop(zero);
    let again = InstanceSlot::acquire(dir.path()).unwrap();
    assert_eq!(instance_name(dir.path(), &again), name);
}

/// Set for the child process of a test: the folder to publish to.
const CHILD: &str = "REPRISE_TEST_EMBEDDED_CHILD";

/// Not a test: what a child process does, which a test kills.
#[test]
fn child_that_publishes_for_ever() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let mailbox = open(Path::new(&dir));
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    let committed = mailbox.committed("g", &[IN]).unwrap();
    let first = committed.first().map_or(0, |one| one.next_offset);
    for next in first..1_000_000 {
        let both = [record(at(IN, 0), "in", next), record(at(OUT, 0), "out", next)];
        session.publish(&both, &[done(at(IN, 0), next + 1, 1)]).unwrap();
        println!("confirmed {next}");
    }
}

#[test]
fn a_kill_loses_nothing_confirmed_and_tears_nothing() {
    use std::io::{BufRead, BufReader};
    let dir = filled(0);
    let mut confirmed = -1;
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "embedded::child_that_publishes_for_ever", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            let Some(number) = line.rsplit("confirmed ").next().and_then(|number| number.parse::<i64>().ok()) else { continue };
            confirmed = number;
            seen += 1;
            if seen == 20 + round * 7 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let mailbox = open(dir.path());
        mailbox.verify().unwrap();
        let count = all(&mailbox, at(IN, 0)).len() as i64;
        assert!(count > confirmed, "{count} messages, {confirmed} was confirmed");
        assert_eq!(texts(&all(&mailbox, at(OUT, 0))), (0..count).map(|n| n.to_string()).collect::<Vec<_>>());
        let committed = mailbox.committed("g", &[IN]).unwrap();
        assert_eq!(committed.first().map(|one| (one.next_offset, one.ledger.consumed)), Some((count, count as u64)));
    }
}

/// What may happen to a mailbox and its one reader.
#[derive(Debug, Clone)]
enum Step {
    Append { partition: i32, count: usize },
    Poll { max: usize },
    Commit { partition: i32 },
    Rewind,
    Reopen,
    Maintain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..PARTITIONS, 1..8_usize).prop_map(|(partition, count)| Step::Append { partition, count }),
        4 => (1..6_usize).prop_map(|max| Step::Poll { max }),
        3 => (0..PARTITIONS).prop_map(|partition| Step::Commit { partition }),
        1 => Just(Step::Rewind),
        1 => Just(Step::Reopen),
        1 => Just(Step::Maintain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, each partition is delivered in order and without gaps from the committed offset on, and nothing that
    /// was committed comes again.
    #[test]
    fn delivery_follows_the_committed_offset(steps in prop::collection::vec(step(), 1..60)) {
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm).unwrap() } else { tempfile::tempdir().unwrap() };
        let mut mailbox = open(dir.path());
        mailbox.create_topics(PARTITIONS).unwrap();
        let mut session = mailbox.open(&reader("g", IN)).unwrap();
        joined(&mut *session);
        let mut appended = [0_i64; PARTITIONS as usize];
        let mut position = [0_i64; PARTITIONS as usize];
        let mut committed = [0_i64; PARTITIONS as usize];
        for step in steps {
            match step {
                Step::Append { partition, count } => {
                    fill(&mailbox, at(IN, partition), count);
                    appended[partition as usize] += count as i64;
                }
                Step::Poll { max } => {
                    let messages = session.poll(max, Duration::ZERO).unwrap().messages;
                    let waiting: i64 = appended.iter().zip(&position).map(|(end, next)| end - next).sum();
                    prop_assert!(messages.len() <= max && (messages.is_empty() == (waiting == 0)));
                    for message in messages {
                        let next = &mut position[message.at.partition as usize];
                        prop_assert_eq!(message.offset, *next);
                        *next += 1;
                    }
                }
                Step::Commit { partition } => {
                    let index = partition as usize;
                    let count = u64::try_from(position[index] - committed[index]).unwrap();
                    session.publish(&[], &[done(at(IN, partition), position[index], count)]).unwrap();
                    committed[index] = position[index];
                }
                Step::Rewind => {
                    session.rewind().unwrap();
                    position = committed;
                }
                Step::Reopen => {
                    drop(session);
                    drop(mailbox);
                    mailbox = open(dir.path());
                    session = mailbox.open(&reader("g", IN)).unwrap();
                    joined(&mut *session);
                    position = committed;
                }
                Step::Maintain => {
                    mailbox.maintain(now_micros() + 8 * DAY_MICROS).unwrap();
                }
            }
            let lag: u64 = session.lag().iter().map(|(_, lag)| lag).sum();
            let waiting: i64 = appended.iter().zip(&position).map(|(end, next)| end - next).sum();
            prop_assert_eq!(lag, waiting as u64);
        }
        for one in mailbox.committed("g", &[IN]).unwrap() {
            prop_assert_eq!(one.next_offset, committed[one.at.partition as usize]);
            prop_assert_eq!(one.ledger.consumed, one.next_offset as u64);
        }
        mailbox.verify().unwrap();
    }
}
