//! The promises, each a function of a [`Rig`]. Instantiated by the files beside this one.

use std::time::{Duration, Instant};

use reprise::mailbox::{Ledger, MAX_RECORD_BYTES, MailboxError, Outgoing, SessionSpec};
use reprise::records::{Topic, now_micros};

use crate::rig::{
    PARTITIONS, PATIENCE, Rig, all, at, done, fill, joined, quiet, reader, record, shows, take, texts, version, versioned,
    writer,
};

const IN: Topic = Topic::MusicTopTracks;
const OUT: Topic = Topic::ArtistGenres;

/// Runs promises, each as a test of its own, on the rig that an expression makes.
macro_rules! keeps {
    ($rig:expr; $($promise:ident),+ $(,)?) => {
        $(#[test]
        fn $promise() {
            if let Some(rig) = $rig {
                crate::promises::$promise(&rig);
            }
        })+
    };
}
pub(crate) use keeps;

pub fn what_is_confirmed_survives_reopening(rig: &Rig) {
    {
        let mailbox = rig.ready();
        let mut session = mailbox.open(&reader("g", IN)).unwrap();
        fill(&*mailbox, at(IN, 1), 5);
        joined(&mut *session);
        take(&mut *session, 5);
        session.publish(&[record(at(OUT, 1), "a", "out")], &[done(at(IN, 1), 3, 3)]).unwrap();
    }
    let mailbox = (rig.open)();
    shows(&*mailbox, at(IN, 1), &["0", "1", "2", "3", "4"]);
    shows(&*mailbox, at(OUT, 1), &["out"]);
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    assert_eq!(texts(&take(&mut *session, 2)), ["3", "4"]);
    quiet(&mut *session);
}

pub fn a_message_arrives_as_it_was_sent(rig: &Rig) {
    let mailbox = rig.ready();
    let before = now_micros();
    let bytes = Outgoing { payload: (0..=255).collect(), ..versioned(at(IN, 2), "kéy ✓", -5) };
    let empty = Outgoing { payload: Vec::new(), ..record(at(IN, 2), "", "") };
    let large = Outgoing { payload: vec![b'x'; MAX_RECORD_BYTES - 100], ..record(at(IN, 2), "large", "") };
    let sent = [bytes, empty, large];
    mailbox.open(&writer()).unwrap().publish(&sent, &[]).unwrap();
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    for received in [take(&mut *session, 3), all(&*mailbox, at(IN, 2))] {
        for (sent, received) in sent.iter().zip(&received) {
            assert_eq!((sent.at, &sent.key, &sent.payload), (received.at, &received.key, &received.payload));
            assert_eq!(sent.version, received.version);
            // Kafka's clock counts milliseconds.
            assert!((before - 1_000..=now_micros() + 1_000).contains(&received.appended_at), "{}", received.appended_at);
        }
    }
}

pub fn consume_produce_and_commit_are_one(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 4);
    {
        let mut session = mailbox.open(&reader("g", IN)).unwrap();
        joined(&mut *session);
        take(&mut *session, 4);
        // Dropped with its work unpublished, as by a crash.
    }
    assert_eq!(mailbox.committed("g", &[IN]).unwrap(), []);
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    assert_eq!(take(&mut *session, 4).len(), 4);
    // One record that cannot be appended: nothing of the publication may be seen.
    let impossible = [record(at(OUT, 0), "a", "x"), record(at(OUT, PARTITIONS), "b", "y")];
    let refused = session.publish(&impossible, &[done(at(IN, 0), 4, 4)]).unwrap_err();
    assert!(matches!(refused, MailboxError::Invalid(_)), "{refused:?}");
    assert_eq!(all(&*mailbox, at(OUT, 0)), []);
    assert_eq!(mailbox.committed("g", &[IN]).unwrap(), []);
    session.rewind().unwrap();
    take(&mut *session, 4);
    session.publish(&[record(at(OUT, 0), "a", "x")], &[done(at(IN, 0), 4, 4)]).unwrap();
    shows(&*mailbox, at(OUT, 0), &["x"]);
    assert_eq!(mailbox.committed("g", &[IN]).unwrap().first().map(|found| found.next_offset), Some(4));
}

pub fn only_the_newer_of_two_sessions_publishes(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 2);
    let mut older = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *older);
    take(&mut *older, 2);
    let mut newer = (rig.open)().open(&reader("g", IN)).unwrap();
    joined(&mut *newer);
    take(&mut *newer, 2);
    let refused = older.publish(&[record(at(OUT, 0), "a", "zombie")], &[done(at(IN, 0), 2, 2)]).unwrap_err();
    assert!(matches!(refused, MailboxError::Fenced(_) | MailboxError::Revoked(_)), "{refused:?}");
    newer.publish(&[record(at(OUT, 0), "a", "newer")], &[done(at(IN, 0), 2, 2)]).unwrap();
    shows(&*mailbox, at(OUT, 0), &["newer"]);
    let committed = mailbox.committed("g", &[IN]).unwrap();
    assert_eq!(committed.first().map(|found| found.ledger.consumed), Some(2));
}

pub fn a_rewind_reads_again_what_is_not_committed(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 6);
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    take(&mut *session, 4);
    session.publish(&[], &[done(at(IN, 0), 2, 2)]).unwrap();
    session.rewind().unwrap();
    assert_eq!(texts(&take(&mut *session, 4)), ["2", "3", "4", "5"]);
    session.rewind().unwrap();
    session.rewind().unwrap();
    assert_eq!(texts(&take(&mut *session, 1)), ["2"]);
}

pub fn a_seek_reads_from_there(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 6);
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    session.seek(at(IN, 0), 4).unwrap();
    assert_eq!(texts(&take(&mut *session, 2)), ["4", "5"]);
    session.seek(at(IN, 0), 1).unwrap();
    assert_eq!(texts(&take(&mut *session, 5)), ["1", "2", "3", "4", "5"]);
    session.seek(at(IN, 0), 6).unwrap();
    quiet(&mut *session);
    for outside in [7, -1, i64::MAX] {
        let refused = session.seek(at(IN, 0), outside).unwrap_err();
        assert!(matches!(refused, MailboxError::Invalid(_)), "{refused:?}");
    }
    let refused = session.seek(at(OUT, 0), 0).unwrap_err();
    assert!(matches!(refused, MailboxError::Revoked(_)), "{refused:?}");
}

pub fn messages_of_a_partition_come_in_order(rig: &Rig) {
    let mailbox = rig.ready();
    for partition in 0..PARTITIONS {
        fill(&*mailbox, at(IN, partition), 300);
    }
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    assert_eq!(joined(&mut *session), (0..PARTITIONS).map(|partition| at(IN, partition)).collect::<Vec<_>>());
    let found = take(&mut *session, 900);
    for partition in 0..PARTITIONS {
        let offsets = found.iter().filter(|message| message.at.partition == partition).map(|message| message.offset);
        assert!(offsets.eq(0..300));
    }
}

pub fn heads_follow_the_last_record_of_a_key(rig: &Rig) {
    let spec = SessionSpec { heads: vec![OUT], ..reader("g", IN) };
    let keys: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    {
        let mailbox = rig.ready();
        fill(&*mailbox, at(IN, 0), 2);
        mailbox.open(&writer()).unwrap().publish(&[versioned(at(OUT, 0), "a", 1), versioned(at(OUT, 1), "b", 1)], &[]).unwrap();
        let mut session = mailbox.open(&spec).unwrap();
        joined(&mut *session);
        assert_eq!(session.heads(at(OUT, 0), &keys).unwrap(), [Some(version(1)), None, None]);
        take(&mut *session, 1);
        // The last record counts, not the newest: an older observation may follow a newer one.
        let records = [versioned(at(OUT, 0), "b", 9), versioned(at(OUT, 0), "a", 5), versioned(at(OUT, 0), "b", 3)];
        session.publish(&records, &[done(at(IN, 0), 1, 1)]).unwrap();
        assert_eq!(session.heads(at(OUT, 0), &keys).unwrap(), [Some(version(5)), Some(version(3)), None]);
        // What could not be published does not count.
        let failed = [versioned(at(OUT, 0), "c", 9), versioned(at(OUT, PARTITIONS), "c", 9)];
        assert!(session.publish(&failed, &[]).is_err());
        session.rewind().unwrap();
        assert_eq!(session.heads(at(OUT, 0), &keys).unwrap(), [Some(version(5)), Some(version(3)), None]);
        let refused = session.heads(at(IN, 0), &keys).unwrap_err();
        assert!(matches!(refused, MailboxError::Invalid(_)), "{refused:?}");
    }
    let mut session = (rig.open)().open(&spec).unwrap();
    joined(&mut *session);
    assert_eq!(session.heads(at(OUT, 0), &keys).unwrap(), [Some(version(5)), Some(version(3)), None]);
    assert_eq!(session.heads(at(OUT, 1), &keys).unwrap(), [None, Some(version(1)), None]);
    assert_eq!(session.heads(at(OUT, 2), &keys).unwrap(), [None, None, None]);
}

pub fn heads_notice_what_somebody_else_appends(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 40);
    let mut session = mailbox.open(&SessionSpec { heads: vec![OUT], ..reader("g", IN) }).unwrap();
    joined(&mut *session);
    let mut other = mailbox.open(&writer()).unwrap();
    let keys = ["ours".to_owned(), "theirs".to_owned()];
    for round in 1..=6 {
        // Ours before and after theirs: what we append ourselves must not hide what came between.
        let progress = |part: i64| [done(at(IN, 0), 2 * (round - 1) + part, 1)];
        take(&mut *session, 1);
        session.publish(&[versioned(at(OUT, 0), "ours", 10 * round)], &progress(1)).unwrap();
        if round % 2 == 0 {
            other.publish(&[versioned(at(OUT, 0), "theirs", round), versioned(at(OUT, 1), "theirs", 1)], &[]).unwrap();
        }
        take(&mut *session, 1);
        session.publish(&[versioned(at(OUT, 0), "ours", 10 * round + 1)], &progress(2)).unwrap();
        let theirs = Some(round - round % 2).filter(|round| *round > 0).map(version);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heads = session.heads(at(OUT, 0), &keys).unwrap();
            assert_eq!(heads[0], Some(version(10 * round + 1)), "ours are known at once");
            if heads[1] == theirs {
                break;
            }
            assert!(Instant::now() < deadline, "round {round}: {heads:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub fn the_ledger_adds_up_and_survives(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 10);
    let mut expected = Ledger::default();
    for round in 0..3 {
        let mut session = (rig.open)().open(&reader("g", IN)).unwrap();
        joined(&mut *session);
        for step in 0..2_i64 {
            let counts = Ledger { consumed: 1, emitted: 0, superseded: 1, dead_lettered: 0, produced: 7 };
            let mut progress = done(at(IN, 0), round * 2 + step + 1, 0);
            progress.counts = counts;
            session.publish(&[], &[progress]).unwrap();
            expected.add(&counts);
        }
    }
    let committed = (rig.open)().committed("g", &[IN, OUT]).unwrap();
    let [only] = committed.as_slice() else { panic!("{committed:?}") };
    assert_eq!((only.at, only.next_offset, only.ledger), (at(IN, 0), 6, expected));
    assert!(only.ledger.is_balanced());
}

pub fn groups_do_not_disturb_each_other(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 3);
    let mut one = mailbox.open(&reader("one", IN)).unwrap();
    let mut two = mailbox.open(&reader("two", IN)).unwrap();
    joined(&mut *one);
    joined(&mut *two);
    assert_eq!(texts(&take(&mut *one, 3)), texts(&take(&mut *two, 3)));
    one.publish(&[], &[done(at(IN, 0), 3, 3)]).unwrap();
    two.rewind().unwrap();
    assert_eq!(take(&mut *two, 3).len(), 3);
    assert_eq!(mailbox.committed("two", &[IN]).unwrap(), []);
}

pub fn a_session_without_transactions_commits_too(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 2), 4);
    let spec = SessionSpec { transactional: false, ..reader("g", IN) };
    {
        let mut session = mailbox.open(&spec).unwrap();
        joined(&mut *session);
        take(&mut *session, 4);
        session.publish(&[record(at(OUT, 2), "a", "b")], &[done(at(IN, 2), 3, 3)]).unwrap();
        session.publish(&[], &[]).unwrap();
    }
    shows(&*mailbox, at(OUT, 2), &["b"]);
    let committed = mailbox.committed("g", &[IN]).unwrap();
    assert_eq!(committed.first().map(|found| (found.next_offset, found.ledger.consumed)), Some((3, 3)));
    let mut session = mailbox.open(&spec).unwrap();
    joined(&mut *session);
    assert_eq!(texts(&take(&mut *session, 1)), ["3"]);
}

pub fn lag_is_what_waits(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 5);
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    take(&mut *session, 3);
    let deadline = Instant::now() + Duration::from_secs(10);
    // Kafka learns of the end from its next fetch.
    loop {
        session.idle().unwrap();
        let mut lag = session.lag();
        lag.sort();
        if lag == [(at(IN, 0), 2), (at(IN, 1), 0), (at(IN, 2), 0)] {
            break;
        }
        assert!(Instant::now() < deadline, "{lag:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    take(&mut *session, 2);
    assert!(session.lag().iter().all(|(_, lag)| *lag == 0), "{:?}", session.lag());
}

pub fn an_offset_is_found_by_its_time(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 3);
    std::thread::sleep(Duration::from_millis(20));
    let between = now_micros();
    std::thread::sleep(Duration::from_millis(20));
    fill(&*mailbox, at(IN, 0), 3);
    let find = |time: i64| {
        let mut found = mailbox.offsets_at(IN, time).unwrap();
        found.sort();
        found.into_iter().map(|(_, offset)| offset).collect::<Vec<_>>()
    };
    assert_eq!(find(0), [0, 0, 0]);
    assert_eq!(find(between), [3, 0, 0]);
    assert_eq!(find(now_micros() + 60_000_000), [6, 0, 0]);
}

pub fn reading_out_of_range_is_refused(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 3);
    assert_eq!(texts(&mailbox.read(at(IN, 0), 1, 1).unwrap()), ["1"]);
    assert_eq!(texts(&mailbox.read(at(IN, 0), 1, 100).unwrap()), ["1", "2"]);
    assert_eq!(mailbox.read(at(IN, 0), 3, 10).unwrap(), []);
    for (place, from) in [(at(IN, 0), 4), (at(IN, 0), -1), (at(IN, PARTITIONS), 0)] {
        let refused = mailbox.read(place, from, 10).unwrap_err();
        assert!(matches!(refused, MailboxError::Invalid(_)), "{refused:?}");
    }
    let marks = mailbox.watermarks(IN).unwrap();
    assert_eq!(marks.iter().map(|marks| (marks.low, marks.high)).collect::<Vec<_>>(), [(0, 3), (0, 0), (0, 0)]);
}

pub fn topics_that_do_not_exist_are_named(rig: &Rig) {
    let mailbox = (rig.open)();
    let name = |error: MailboxError| match error {
        MailboxError::Invalid(text) => text,
        other => panic!("{other:?}"),
    };
    assert!(name(mailbox.partitions().unwrap_err()).contains("music_"));
    assert!(name(mailbox.open(&reader("g", IN)).err().unwrap()).contains("music_"));
    assert!(name(mailbox.watermarks(IN).unwrap_err()).contains("music_top_tracks"));
    assert!(name(mailbox.read(at(IN, 0), 0, 1).unwrap_err()).contains("music_top_tracks"));
    assert!(name(mailbox.offsets_at(IN, 0).unwrap_err()).contains("music_top_tracks"));
}

pub fn topics_are_made_once(rig: &Rig) {
    let mailbox = (rig.open)();
    let made = mailbox.create_topics(PARTITIONS).unwrap();
    assert_eq!(made.len(), Topic::ALL.len());
    assert!(made.iter().all(|topic| topic.created && topic.partitions == PARTITIONS && topic.warnings.is_empty()), "{made:?}");
    assert_eq!(mailbox.partitions().unwrap(), PARTITIONS);
    let again = mailbox.create_topics(PARTITIONS).unwrap();
    assert!(again.iter().all(|topic| !topic.created && topic.warnings.is_empty()), "{again:?}");
    let other = mailbox.create_topics(PARTITIONS + 1).unwrap();
    assert!(other.iter().all(|topic| topic.partitions == PARTITIONS && topic.warnings.len() == 1), "{other:?}");
    assert!(mailbox.create_topics(0).is_err());
}

pub fn a_record_too_large_is_refused(rig: &Rig) {
    let mailbox = rig.ready();
    let large = Outgoing { payload: vec![0; MAX_RECORD_BYTES], ..record(at(IN, 0), "large", "") };
    let refused = mailbox.open(&writer()).unwrap().publish(&[record(at(IN, 0), "a", "b"), large.clone()], &[]).unwrap_err();
    assert!(matches!(&refused, MailboxError::Invalid(text) if text.contains("large")), "{refused:?}");
    // A dead letter quotes the whole record.
    let quoted = Outgoing { at: at(Topic::MusicDeadLetters, 0), payload: vec![b'A'; MAX_RECORD_BYTES * 2], ..large };
    mailbox.open(&writer()).unwrap().publish(&[quoted], &[]).unwrap();
}

pub fn progress_on_a_foreign_partition_is_refused(rig: &Rig) {
    let mailbox = rig.ready();
    fill(&*mailbox, at(IN, 0), 1);
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    let refused = session.publish(&[record(at(OUT, 0), "a", "b")], &[done(at(OUT, 0), 1, 1)]).unwrap_err();
    assert!(matches!(refused, MailboxError::Revoked(_)), "{refused:?}");
    assert_eq!(all(&*mailbox, at(OUT, 0)), []);
}

pub fn a_waiting_poll_wakes_for_a_message(rig: &Rig) {
    let mailbox = rig.ready();
    let mut session = mailbox.open(&reader("g", IN)).unwrap();
    joined(&mut *session);
    // The first fetch of a fresh assignment takes longer.
    fill(&*mailbox, at(IN, 0), 1);
    take(&mut *session, 1);
    let sender = (rig.open)();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            fill(&*sender, at(IN, 0), 1);
        });
        let began = Instant::now();
        let polled = session.poll(10, Duration::from_secs(20)).unwrap();
        assert_eq!(polled.messages.len(), 1);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    });
}
