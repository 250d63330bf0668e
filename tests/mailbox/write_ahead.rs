//! Damage to the write-ahead log of the embedded log, which SQLite takes for its end; and kills in the middle of a repair.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use reprise::mailbox::embedded::{Repaired, repair};
use reprise::mailbox::{EmbeddedMailbox, Mailbox, MailboxError};
use reprise::records::{Topic, TopicNames};

use crate::damaged::{IN, PAGE, corrupt, file, mixed, named, places};
use crate::embedded::{open, options};
use crate::rig::{all, at, done, fill, joined, reader, take};

const WAL: &str = "mailbox.db-wal";
const INDEX: &str = "mailbox.db-shm";
/// Header of a frame, and its page.
const FRAME: usize = 24 + PAGE;

/// The three files as a kill leaves them: while the log is open.
fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["mailbox.db", WAL, INDEX] {
        if dir.join(name).exists() {
            fs::copy(dir.join(name), copy.path().join(name)).unwrap();
        }
    }
    copy
}

/// A log of which a good part stands in the write-ahead log alone, as a kill leaves it.
fn written_ahead() -> tempfile::TempDir {
    let dir = mixed();
    let mailbox = open(dir.path());
    for _ in 0..12 {
        fill(&mailbox, at(IN, 0), 20);
        fill(&mailbox, at(Topic::MusicTransformed, 1), 3);
    }
    let mut session = mailbox.open(&reader("load", Topic::MusicTransformed)).unwrap();
    session.publish(&[], &[done(at(Topic::MusicTransformed, 0), 70, 0)]).unwrap();
    killed(dir.path())
}

fn length(dir: &Path, name: &str) -> u64 {
    fs::metadata(dir.join(name)).unwrap().len()
}

fn overwrite(dir: &Path, from: usize, with: &[u8]) {
    let mut log = OpenOptions::new().write(true).open(dir.join(WAL)).unwrap();
    log.seek(SeekFrom::Start(from as u64)).unwrap();
    log.write_all(with).unwrap();
}

fn fixed(dir: &Path) -> Repaired {
    repair(dir, &TopicNames::default()).unwrap()
}

fn says_pages(report: &Repaired) -> bool {
    report.lost.iter().any(|line| line.contains("pages of the write-ahead log"))
}

/// Opens what `damage` has left of `whole`: refused and then repaired without silence, or complete. Answers whether refused.
fn is_noticed_or_harmless(what: &str, whole: &Path, damage: impl Fn(&Path)) -> bool {
    let before = places(&open(killed(whole).path()));
    let identity = open(killed(whole).path()).identity();
    let copy = killed(whole);
    damage(copy.path());
    let intact = fs::read(copy.path().join(WAL)).ok() == fs::read(whole.join(WAL)).ok();
    match EmbeddedMailbox::open(options(copy.path())) {
        Ok(mailbox) => {
            assert_eq!(places(&mailbox), before, "{what}: something is missing, and nothing was said");
            false
        }
        Err(MailboxError::Corrupt(text)) => {
            assert!(text.contains("write-ahead log") && text.contains("topics --repair"), "{what}: {text}");
            corrupt(EmbeddedMailbox::open(options(copy.path())));
            let report = fixed(copy.path());
            let mailbox = open(copy.path());
            mailbox.verify().unwrap_or_else(|error| panic!("{what}: {error}: {report:?}"));
            let (kept, named) = (places(&mailbox), named(&report));
            assert!(kept.is_subset(&before), "{what}: {report:?}");
            let silent = before.iter().filter(|place| !kept.contains(*place) && !named.contains(*place)).count();
            assert!(silent == 0 || says_pages(&report) && report.rows_lost, "{what}: {silent} in silence: {report:?}");
            // Offsets behind the damage may be given again: to its readers it is another log. The end of a whole one is known.
            assert_eq!(mailbox.identity() == identity, intact, "{what}");
            fill(&mailbox, at(IN, 0), 1);
            true
        }
        Err(other) => panic!("{what}: {other:?}"),
    }
}

#[test]
fn whatever_is_damaged_in_the_write_ahead_log_nothing_vanishes_in_silence() {
    let whole = written_ahead();
    let bytes = fs::read(whole.path().join(WAL)).unwrap();
    let frames = (bytes.len() - 32) / FRAME;
    assert!(frames > 30, "{frames}");
    let without_index = killed(whole.path());
    fs::remove_file(without_index.path().join(INDEX)).unwrap();
    for (kind, whole) in [("with its index", whole.path()), ("alone", without_index.path())] {
        let mut refused = 0;
        for place in (0..32).step_by(4).chain((32..bytes.len()).step_by(FRAME * 3 + 1_001)) {
            let flipped = [bytes[place] ^ 1];
            let what = format!("{kind}, a bit at {place} of {}", bytes.len());
            refused += usize::from(is_noticed_or_harmless(&what, whole, |dir| overwrite(dir, place, &flipped)));
        }
        assert!(refused > 10, "{kind}: {refused}");
        for (from, to) in [(0, 32), (0, bytes.len()), (FRAME, 3 * FRAME), (bytes.len() / 2, bytes.len() / 2 + PAGE)] {
            // Zeros from end to end are no log any more: only its index knows of it.
            let knows = kind == "with its index" || to < bytes.len();
            if knows {
                let what = format!("{kind}, zeros from {from} to {to}");
                assert!(is_noticed_or_harmless(&what, whole, |dir| overwrite(dir, from, &vec![0; to - from])), "{what}");
            }
        }
    }
    for keep in [0, 10, 32, 32 + FRAME, bytes.len() / 2, bytes.len() - FRAME, bytes.len() - 1] {
        let cut = |dir: &Path| OpenOptions::new().write(true).open(dir.join(WAL)).unwrap().set_len(keep as u64).unwrap();
        assert!(is_noticed_or_harmless(&format!("cut to {keep}"), whole.path(), cut), "{keep}");
    }
    assert!(is_noticed_or_harmless("removed", whole.path(), |dir| fs::remove_file(dir.join(WAL)).unwrap()));
    assert!(is_noticed_or_harmless("the file is empty", whole.path(), |dir| fs::write(file(dir), b"").unwrap()));
}

#[test]
fn what_was_committed_behind_the_damage_is_kept() {
    let whole = written_ahead();
    let before = places(&open(killed(whole.path()).path()));
    let copy = killed(whole.path());
    // The first frame: with SQLite alone everything would be gone.
    overwrite(copy.path(), 32 + 24 + 2_000, b"damaged");
    corrupt(EmbeddedMailbox::open(options(copy.path())));
    let report = fixed(copy.path());
    let kept = places(&open(copy.path()));
    assert!(kept.len() * 100 >= before.len() * 95, "{} of {}: {report:?}", kept.len(), before.len());
}

#[test]
fn a_write_that_a_kill_cut_short_is_no_damage() {
    let dir = mixed();
    let mailbox = open(dir.path());
    fill(&mailbox, at(IN, 0), 5);
    let before = places(&mailbox);
    let committed = length(dir.path(), WAL);
    // A transaction that outgrows the cache is in the log before it is committed.
    let mut writer = SqliteConnection::establish(file(dir.path()).to_str().unwrap()).unwrap();
    let rows = "WITH RECURSIVE n (i) AS (SELECT 500000 UNION ALL SELECT i + 1 FROM n WHERE i < 503000)
                INSERT INTO messages (log, offset, key, payload, appended_at, checksum)
                SELECT 1, i, x'00', zeroblob(200), 0, 0 FROM n";
    writer.batch_execute(&format!("PRAGMA cache_size = 10; BEGIN IMMEDIATE; {rows}")).unwrap();
    assert!(length(dir.path(), WAL) > committed + 20 * FRAME as u64);
    for index in [true, false] {
        let copy = killed(dir.path());
        if !index {
            fs::remove_file(copy.path().join(INDEX)).unwrap();
        }
        assert_eq!(places(&open(copy.path())), before);
    }
}

#[test]
fn a_commit_that_a_power_cut_tore_was_never_confirmed_and_is_no_damage() {
    let dir = mixed();
    let mailbox = open(dir.path());
    fill(&mailbox, at(IN, 0), 5);
    let (before, index) = (places(&mailbox), fs::read(dir.path().join(INDEX)).unwrap());
    let committed = usize::try_from(length(dir.path(), WAL)).unwrap();
    fill(&mailbox, at(IN, 0), 100);
    let copy = killed(dir.path());
    // The index says what was confirmed; of the frames behind that the disk got the last, and not the first.
    fs::write(copy.path().join(INDEX), index).unwrap();
    overwrite(copy.path(), committed, &[0; FRAME]);
    assert_eq!(places(&open(copy.path())), before);
}

/// Takes the last step of the exchange back, and with it as many of the steps before as `parts` says.
fn interrupted(dir: &Path, report: &Repaired, parts: &[&str]) {
    let stamp = report.damaged_copy.to_str().unwrap().rsplit_once("damaged-").unwrap().1;
    fs::rename(file(dir), dir.join(format!("mailbox.db.repaired-{stamp}"))).unwrap();
    for part in parts {
        let damaged = format!("{}{part}", report.damaged_copy.display());
        fs::rename(damaged, dir.join(format!("mailbox.db{part}"))).unwrap();
    }
}

#[test]
fn a_repair_that_was_killed_on_its_way_is_brought_to_its_end() {
    let whole = written_ahead();
    for parts in [&["", "-shm", "-wal"][..], &["", "-shm"], &[""], &[]] {
        for opens in [true, false] {
            let copy = killed(whole.path());
            overwrite(copy.path(), 5 * FRAME, b"damaged");
            let report = fixed(copy.path());
            let kept = places(&open(copy.path()));
            let damaged = fs::read(&report.damaged_copy).unwrap();
            interrupted(copy.path(), &report, parts);
            if !opens {
                assert_eq!(fixed(copy.path()), report, "what was lost is told all the same");
            }
            let mailbox = open(copy.path());
            assert_eq!(places(&mailbox), kept, "{parts:?}");
            mailbox.verify().unwrap();
            assert_eq!(fs::read(&report.damaged_copy).unwrap(), damaged);
            let left = fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert!(!left.into_iter().any(|name| name.contains("repaired-")), "{parts:?}");
        }
    }
}

#[test]
fn a_second_repair_remembers_what_the_first_has_given_up() {
    let dir = mixed();
    let victim =
        *all(&open(dir.path()), at(Topic::MusicTransformed, 1)).iter().map(|message| message.offset).nth(5).get_or_insert(0);
    {
        let mut writer = SqliteConnection::establish(file(dir.path()).to_str().unwrap()).unwrap();
        let log = "(SELECT log FROM logs WHERE topic = 'music_transformed' AND partition = 1)";
        let spoil = format!("UPDATE messages SET checksum = checksum + 1 WHERE log = {log} AND offset = {victim}");
        writer.batch_execute(&spoil).unwrap();
    }
    let place = ("music_transformed/1".to_owned(), victim);
    for round in 1..=3 {
        let report = fixed(dir.path());
        assert!(named(&report).contains(&place) && report.rows_lost, "repair {round}: {report:?}");
        let mailbox = open(dir.path());
        let mut session = mailbox.open(&reader("another", IN)).unwrap();
        joined(&mut *session);
        assert!(!take(&mut *session, 1).is_empty());
    }
}

#[test]
fn a_write_ahead_log_of_an_earlier_time_is_refused() {
    let dir = mixed();
    let mailbox = open(dir.path());
    fill(&mailbox, at(IN, 0), 40);
    let earlier = fs::read(dir.path().join(WAL)).unwrap();
    drop(mailbox);
    let mailbox = open(dir.path());
    fill(&mailbox, at(IN, 0), 400);
    let place = file(dir.path());
    let mut other = SqliteConnection::establish(place.to_str().unwrap()).unwrap();
    other.batch_execute("PRAGMA wal_checkpoint(RESTART)").unwrap();
    fill(&mailbox, at(IN, 0), 4);
    let whole = killed(dir.path());
    let before = places(&open(killed(whole.path()).path()));
    for index in [true, false] {
        let copy = killed(whole.path());
        fs::write(copy.path().join(WAL), &earlier).unwrap();
        if !index {
            fs::remove_file(copy.path().join(INDEX)).unwrap();
        }
        let text = corrupt(EmbeddedMailbox::open(options(copy.path())));
        assert!(text.contains("of an earlier time"), "{text}");
        let report = fixed(copy.path());
        let kept = places(&open(copy.path()));
        assert!(kept.is_subset(&before) && before.len() - kept.len() <= 4, "{}: {report:?}", kept.len());
        assert!(report.rows_lost && report.lost.iter().any(|line| line.contains("earlier time")), "{report:?}");
    }
}

#[test]
fn a_damaged_beginning_hides_nothing_of_what_follows() {
    let whole = written_ahead();
    fs::remove_file(whole.path().join(INDEX)).unwrap();
    let zeroed = |dir: &Path| overwrite(dir, 0, &[0; 64]);
    assert!(is_noticed_or_harmless("header and first frame", whole.path(), zeroed));
    // The bit that tells the byte order of the checksums.
    let (before, copy) = (places(&open(killed(whole.path()).path())), killed(whole.path()));
    let magic = fs::read(copy.path().join(WAL)).unwrap()[3];
    overwrite(copy.path(), 3, &[magic ^ 1]);
    corrupt(EmbeddedMailbox::open(options(copy.path())));
    fixed(copy.path());
    assert_eq!(places(&open(copy.path())), before);
}

#[test]
fn a_log_whose_making_was_killed_has_nothing_to_repair() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = SqliteConnection::establish(file(dir.path()).to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA journal_mode = WAL").unwrap();
    let copy = killed(dir.path());
    assert_eq!(length(copy.path(), "mailbox.db"), PAGE as u64);
    let report = fixed(copy.path());
    assert_eq!((report.kept, report.lost.len()), (0, 0), "{report:?}");
    open(copy.path());
}
