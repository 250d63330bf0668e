//! Damage to the file of the embedded log: found, named, and repaired as far as it goes.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reprise::mailbox::embedded::{Repaired, repair};
use reprise::mailbox::{EmbeddedMailbox, Mailbox, MailboxError};
use reprise::records::{Topic, TopicNames, now_micros};

use crate::embedded::{filled, open, options};
use crate::rig::{PARTITIONS, all, at, done, fill, joined, reader, record, take, writer};

pub const IN: Topic = Topic::MusicTopTracks;
const ROWS: Topic = Topic::MusicTransformed;
pub const PAGE: usize = 4_096;

pub fn file(dir: &Path) -> PathBuf {
    dir.join("mailbox.db")
}

/// Flips a bit in every occurrence of `needle` in the file; answers how many there were.
fn flip(dir: &Path, needle: &[u8]) -> usize {
    let bytes = fs::read(file(dir)).unwrap();
    let places: Vec<usize> = bytes.windows(needle.len()).enumerate().filter(|(_, w)| *w == needle).map(|(i, _)| i).collect();
    let mut handle = OpenOptions::new().write(true).open(file(dir)).unwrap();
    for place in &places {
        handle.seek(SeekFrom::Start(*place as u64)).unwrap();
        handle.write_all(&[needle[0] ^ 1]).unwrap();
    }
    places.len()
}

pub fn corrupt<T>(outcome: Result<T, MailboxError>) -> String {
    match outcome {
        Err(MailboxError::Corrupt(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("damage was not noticed"),
    }
}

#[test]
fn a_flipped_bit_is_found_named_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mailbox = open(dir.path());
        mailbox.create_topics(PARTITIONS).unwrap();
        let payload = |number: i32| record(at(IN, 0), &format!("key {number}"), format!("payload of message <{number}>"));
        mailbox.open(&writer()).unwrap().publish(&(0..5).map(payload).collect::<Vec<_>>(), &[]).unwrap();
        let mut session = mailbox.open(&reader("g", IN)).unwrap();
        session.publish(&[], &[done(at(IN, 0), 1, 1)]).unwrap();
    }
    assert_eq!(flip(dir.path(), b"payload of message <2>"), 1);
    {
        let mailbox = open(dir.path());
        let mut session = mailbox.open(&reader("g", IN)).unwrap();
        joined(&mut *session);
        // What stands before the damage is delivered; the damage is not passed over, however often one asks.
        assert_eq!(take(&mut *session, 1)[0].offset, 1);
        for _ in 0..2 {
            let text = corrupt(session.poll(10, Duration::ZERO));
            for part in ["mailbox.db", "music_top_tracks/0", "offset 2", "topics --repair"] {
                assert!(text.contains(part), "{text}");
            }
            assert!(!text.contains("--rebuild"), "what the log has lost may be in the database alone: {text}");
        }
        corrupt(mailbox.verify());
        // Not while somebody has it open.
        assert!(matches!(repair(dir.path(), &TopicNames::default()), Err(MailboxError::Unavailable(_))));
    }
    let report = repair(dir.path(), &TopicNames::default()).unwrap();
    assert_eq!((report.kept, report.lost.len()), (4, 1), "{report:?}");
    assert!(report.lost[0].contains("music_top_tracks/0") && report.lost[0].contains("offset 2"), "{report:?}");
    assert!(report.damaged_copy.exists() && !report.rows_lost);
    let mailbox = open(dir.path());
    mailbox.verify().unwrap();
    let committed = mailbox.committed("g", &[IN]).unwrap();
    assert_eq!(committed.first().map(|one| (one.next_offset, one.ledger.consumed)), Some((1, 1)));
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    assert_eq!(take(&mut *session, 3).iter().map(|message| message.offset).collect::<Vec<_>>(), [1, 3, 4]);
    fill(&mailbox, at(IN, 0), 1);
    assert_eq!(take(&mut *session, 1)[0].offset, 5);
}

#[test]
fn a_flipped_bit_in_a_compacted_topic_is_listed_too() {
    let topic = Topic::MusicTransformed;
    let dir = tempfile::tempdir().unwrap();
    {
        let mailbox = open(dir.path());
        mailbox.create_topics(PARTITIONS).unwrap();
        let payload = |number: i32| record(at(topic, 0), &format!("key {number}"), format!("payload of message <{number}>"));
        mailbox.open(&writer()).unwrap().publish(&(0..5).map(payload).collect::<Vec<_>>(), &[]).unwrap();
    }
    // One in the middle, which compaction might have taken as well, and the last one, which it would not.
    assert_eq!((flip(dir.path(), b"payload of message <2>"), flip(dir.path(), b"payload of message <4>")), (1, 1));
    let report = repair(dir.path(), &TopicNames::default()).unwrap();
    assert_eq!((report.kept, report.lost.len()), (3, 2), "{report:?}");
    for offset in ["offset 2", "offset 4"] {
        let told = report.lost.iter().filter(|lost| lost.contains("music_transformed/0") && lost.contains(offset));
        assert_eq!(told.count(), 1, "{offset}: {report:?}");
    }
    open(dir.path()).verify().unwrap();
}

#[test]
fn a_truncated_file_is_refused() {
    let dir = filled(2_000);
    let whole = fs::metadata(file(dir.path())).unwrap().len();
    for keep in [whole - 1, whole / 2, 5_000, 50] {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(file(dir.path()), file(copy.path())).unwrap();
        OpenOptions::new().write(true).open(file(copy.path())).unwrap().set_len(keep).unwrap();
        let text = corrupt(EmbeddedMailbox::open(options(copy.path())));
        assert!(text.contains("mailbox.db"), "{text}");
    }
}

#[test]
fn a_file_that_was_emptied_is_refused_and_one_that_a_kill_left_empty_or_that_was_moved_away_is_made() {
    let dir = filled(20);
    OpenOptions::new().write(true).open(file(dir.path())).unwrap().set_len(0).unwrap();
    for _ in 0..2 {
        let text = corrupt(EmbeddedMailbox::open(options(dir.path())));
        assert!(["mailbox.db", "0 bytes", "topics --repair"].iter().all(|part| text.contains(part)), "{text}");
        let text = corrupt(repair(dir.path(), &TopicNames::default()));
        assert!(["cannot be repaired", "move", "a new log"].iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(fs::metadata(file(dir.path())).unwrap().len(), 0);
    }
    fs::rename(file(dir.path()), dir.path().join("moved")).unwrap();
    drop(open(dir.path()));
    // As a kill leaves it right after the file was made.
    let dir = tempfile::tempdir().unwrap();
    fs::write(file(dir.path()), "").unwrap();
    drop(open(dir.path()));
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(file(dir.path()), "this is no database, but it is long enough to look like one at first sight: ".repeat(20))
        .unwrap();
    corrupt(EmbeddedMailbox::open(options(dir.path())));
}

/// Topic, partition and offset of a message.
pub type Place = (String, i64);

/// A log with a compacted topic, of which compaction took every other message, and with one that has all of its messages.
pub fn mixed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mailbox = open(dir.path());
    mailbox.create_topics(PARTITIONS).unwrap();
    let text = "some text ".repeat(40);
    let key = |number: i32| format!("key {}", if number % 2 == 0 { 0 } else { number });
    for number in 0..150 {
        let both = [record(at(ROWS, number % 2), &key(number), &text), record(at(IN, 0), &key(number), &text)];
        mailbox.open(&writer()).unwrap().publish(&both, &[]).unwrap();
    }
    let mut session = mailbox.open(&reader("load", ROWS)).unwrap();
    session.publish(&[], &[done(at(ROWS, 0), 75, 75), done(at(ROWS, 1), 75, 75)]).unwrap();
    assert!(mailbox.maintain(now_micros()).unwrap() > 50);
    drop((session, mailbox));
    dir
}

pub fn places(mailbox: &dyn Mailbox) -> BTreeSet<Place> {
    let partitions = [at(ROWS, 0), at(ROWS, 1), at(IN, 0)];
    let of = |at| all(mailbox, at).into_iter().map(|message| (message.at.to_string(), message.offset));
    partitions.into_iter().flat_map(of).collect()
}

/// What the lines of a report name.
pub fn named(report: &Repaired) -> BTreeSet<Place> {
    let mut named = BTreeSet::new();
    for line in report.lost.iter().filter(|line| line.contains("offset ") && !line.contains("group")) {
        let (at, rest) = line.split_once(": ").unwrap();
        let numbers: Vec<i64> = rest.split(' ').filter_map(|word| word.parse().ok()).collect();
        let (first, last) = (numbers[0], *numbers.last().unwrap());
        named.extend((first..=last).map(|offset| (at.to_owned(), offset)));
    }
    named
}

/// A copy of the log in `dir` with these bytes.
fn copy_with(bytes: &[u8]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::write(file(copy.path()), bytes).unwrap();
    copy
}

#[test]
fn whatever_page_is_damaged_every_message_is_kept_or_named() {
    let dir = mixed();
    let before = places(&open(dir.path()));
    let bytes = fs::read(file(dir.path())).unwrap();
    let (mut lossy, mut hopeless) = (0, 0);
    for page in 0..bytes.len() / PAGE {
        for place in [page * PAGE, page * PAGE + PAGE / 2] {
            let mut damaged = bytes.clone();
            damaged[place..place + 8].copy_from_slice(b"XXXXXXXX");
            let copy = copy_with(&damaged);
            let report = match repair(copy.path(), &TopicNames::default()) {
                Ok(report) => report,
                // The page with the list of partitions.
                Err(error) => {
                    assert!(error.to_string().contains("cannot be repaired"), "byte {place}: {error}");
                    hopeless += 1;
                    continue;
                }
            };
            let mailbox = open(copy.path());
            mailbox.verify().unwrap();
            let (kept, named) = (places(&mailbox), named(&report));
            assert_eq!(kept.len() as u64, report.kept, "byte {place}");
            let silent: Vec<&Place> = before.iter().filter(|place| !kept.contains(*place) && !named.contains(*place)).collect();
            assert!(silent.is_empty(), "byte {place}: {silent:?} are gone without a word: {report:?}");
            let rows = before.difference(&kept).any(|(at, _)| at.starts_with(ROWS.default_name()));
            assert!(!rows || report.rows_lost, "byte {place}: {report:?}");
            lossy += u32::from(rows);
        }
    }
    assert!(lossy > 10 && hopeless <= 2, "{lossy} {hopeless}");
}

#[test]
fn a_file_without_its_first_page_is_repaired_without_a_loss() {
    let dir = mixed();
    let before = places(&open(dir.path()));
    let bytes = fs::read(file(dir.path())).unwrap();
    for filler in [0, b'x'] {
        let mut damaged = bytes.clone();
        damaged[..PAGE].fill(filler);
        let copy = copy_with(&damaged);
        corrupt(EmbeddedMailbox::open(options(copy.path())));
        let report = repair(copy.path(), &TopicNames::default()).unwrap();
        assert!(report.lost.is_empty() && !report.rows_lost, "{report:?}");
        let mailbox = open(copy.path());
        assert_eq!(places(&mailbox), before);
        assert_eq!(mailbox.committed("load", &[ROWS]).unwrap().len(), 2);
        assert_eq!(fs::read(report.damaged_copy).unwrap(), damaged, "the damaged file is kept as it was");
    }
}

#[test]
fn a_file_that_is_cut_off_is_repaired_as_far_as_it_goes() {
    let dir = mixed();
    let before = places(&open(dir.path()));
    let bytes = fs::read(file(dir.path())).unwrap();
    let whole = bytes.len();
    for keep in [whole - 100, whole - PAGE, whole - 3 * PAGE - 1, whole / 2] {
        let copy = copy_with(&bytes[..keep]);
        corrupt(EmbeddedMailbox::open(options(copy.path())));
        let report = repair(copy.path(), &TopicNames::default()).unwrap();
        let mailbox = open(copy.path());
        mailbox.verify().unwrap();
        let (kept, named) = (places(&mailbox), named(&report));
        assert!(kept.len() > before.len() / 4 && kept.len() < before.len(), "{keep}: {report:?}");
        let silent: Vec<&Place> = before.iter().filter(|place| !kept.contains(*place) && !named.contains(*place)).collect();
        // Of a compacted topic the index may be cut off, too: then they are counted.
        assert!(silent.iter().all(|(at, _)| at.starts_with(ROWS.default_name())), "{keep}: {silent:?}");
        let counted =
            report.lost.iter().filter_map(|line| line.split_once("up to ")?.1.split(' ').next()?.parse::<usize>().ok());
        assert!(counted.sum::<usize>() >= silent.len(), "{keep}: {silent:?}: {report:?}");
        assert!(silent.is_empty() || report.rows_lost, "{keep}: {report:?}");
    }
}

#[test]
fn what_stands_in_the_write_ahead_log_alone_is_repaired_too() {
    let dir = tempfile::tempdir().unwrap();
    let mailbox = open(dir.path());
    mailbox.create_topics(PARTITIONS).unwrap();
    fill(&mailbox, at(IN, 0), 50);
    for keep in [0, PAGE] {
        let bytes = fs::read(file(dir.path())).unwrap();
        let copy = copy_with(&bytes[..keep.min(bytes.len())]);
        // As a kill leaves it: the mailbox is still open.
        fs::copy(dir.path().join("mailbox.db-wal"), copy.path().join("mailbox.db-wal")).unwrap();
        let report = repair(copy.path(), &TopicNames::default()).unwrap();
        assert_eq!((report.kept, report.lost.len()), (50, 0), "{keep}: {report:?}");
        assert_eq!(all(&open(copy.path()), at(IN, 0)).len(), 50);
    }
}

#[test]
fn what_cannot_be_repaired_is_left_alone_and_not_sent_to_the_repair_again() {
    let dir = filled(100);
    let bytes = fs::read(file(dir.path())).unwrap();
    let without_partitions = [&bytes[..PAGE], &[0; PAGE], &bytes[2 * PAGE..]].concat();
    let cases: [&[u8]; 4] = [&bytes[..50], &bytes[..PAGE], &without_partitions, &b"this is no database ".repeat(1_000)];
    for damaged in cases {
        let copy = copy_with(damaged);
        let text = corrupt(repair(copy.path(), &TopicNames::default()));
        assert!(["mailbox.db", "cannot be repaired", "backup", "a new log"].iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains("topics --repair"), "{text}");
        assert_eq!(fs::read(file(copy.path())).unwrap(), damaged);
        let left: Vec<_> = fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
    }
    let nothing = tempfile::tempdir().unwrap();
    let refused = repair(nothing.path(), &TopicNames::default());
    assert!(matches!(refused, Err(MailboxError::Invalid(_))), "{refused:?}");
    assert!(!file(nothing.path()).exists());
}

#[test]
fn a_bit_in_the_list_of_partitions_costs_no_message() {
    let dir = mixed();
    let before = places(&open(dir.path()));
    let bytes = fs::read(file(dir.path())).unwrap();
    let (mut repaired, mut hopeless) = (0, 0);
    // The page of the table begins with the second; that of its index is the third.
    for (number, place) in (PAGE..3 * PAGE).step_by(11).enumerate() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (number % 8);
        let copy = copy_with(&damaged);
        match EmbeddedMailbox::open(options(copy.path())) {
            Ok(mailbox) if mailbox.verify().is_ok() => assert_eq!(places(&mailbox), before, "{place}"),
            opened => {
                drop(opened);
                match repair(copy.path(), &TopicNames::default()) {
                    Err(MailboxError::Corrupt(_)) => hopeless += 1,
                    report => {
                        let (report, mailbox) = (report.unwrap(), open(copy.path()));
                        mailbox.verify().unwrap_or_else(|error| panic!("{place}: {error}: {report:?}"));
                        assert_eq!(places(&mailbox), before, "{place}: {report:?}");
                        assert_eq!(mailbox.partitions().unwrap(), PARTITIONS, "{place}");
                        repaired += 1;
                    }
                }
            }
        }
    }
    assert!(repaired > 20, "{repaired} repaired, {hopeless} hopeless");
}
