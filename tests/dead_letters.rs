//! What the operator can do about dead letters, by the program itself: on embedded topics and SQLite always, and on Kafka and
//! PostgreSQL where `REPRISE_TEST_KAFKA=HOST:PORT` or `REPRISE_TEST_POSTGRES=postgres://...` name them.

#[path = "replay/rig.rs"]
#[allow(dead_code)]
mod rig;

use std::collections::BTreeSet;

use reprise::mailbox::dead_letters::{Desk, Letters, Retried};
use reprise::mailbox::{MailboxError, Message, Outgoing, TopicPartition};
use reprise::records::{DeadReason, Topic};
use reprise::stage::step::bury;
use serde_json::Value;

use rig::{PARTITIONS, Rig, raw, rigs, texts, tracks};

/// Two records that cannot be read: text and no text.
fn broken(rig: &Rig) {
    let mut text = raw(Topic::MusicTopTracks, "artist1", "key one", 1, serde_json::json!({}));
    text.payload = b"this is no JSON".to_vec();
    let bytes = Outgoing { payload: vec![0, 159, 146, 150], key: "key two".to_owned(), ..text.clone() };
    rig.publish(&[text]);
    rig.work_off();
    rig.publish(&[bytes]);
    rig.work_off();
}

fn listed(rig: &Rig, args: &[&str]) -> Vec<Value> {
    let answer = rig.answer(&[&["dead-letters", "list"], args].concat());
    answer.as_array().unwrap().clone()
}

fn id(letter: &Value) -> String {
    letter["id"].as_str().unwrap().to_owned()
}

#[test]
fn letters_are_listed_newest_first_and_shown_whole() {
    for rig in rigs() {
        assert!(listed(&rig, &[]).is_empty());
        broken(&rig);
        let letters = listed(&rig, &[]);
        assert_eq!(letters.iter().map(|letter| &letter["origin"]["key"]).collect::<Vec<_>>(), ["key two", "key one"]);
        for letter in &letters {
            assert_eq!((&letter["stage"], &letter["reason"]), (&"transform".into(), &"undecodable".into()), "{letter}");
            assert_eq!((&letter["origin"]["topic"], &letter["state"]), (&"music_top_tracks".into(), &"pending".into()));
            assert!(letter["time"].as_str().unwrap().ends_with('Z') && letter["origin"]["offset"].is_i64(), "{letter}");
        }
        assert_eq!(listed(&rig, &["--limit", "1"]).len(), 1);
        assert_eq!(listed(&rig, &["--stage", "transform", "--reason", "undecodable"]).len(), 2);
        assert!(listed(&rig, &["--stage", "load"]).is_empty() && listed(&rig, &["--reason", "poison"]).is_empty());
        let show = |letter: &Value| rig.answer(&["dead-letters", "show", &id(letter)]);
        assert_eq!(show(&letters[0])["payload"], "009f9296");
        assert_eq!(
            (&show(&letters[1])["payload_encoding"], &show(&letters[1])["payload"]),
            (&"text".into(), &"this is no JSON".into())
        );
        assert!(rig.refusal(&["dead-letters", "show", "load/nothing/0/0"], 2).contains("list"));
        // The same letter once more, as a stage writes it that was killed before it could commit.
        let mailbox = rig.mailbox();
        for ends in mailbox.watermarks(Topic::MusicDeadLetters).unwrap() {
            let again = mailbox.read(ends.at, ends.low, 10).unwrap();
            let again = again.into_iter().map(|message| Outgoing {
                at: message.at,
                key: message.key,
                payload: message.payload,
                version: message.version,
            });
            rig.publish(&again.collect::<Vec<_>>());
        }
        assert_eq!(listed(&rig, &[]), letters);
        rig.assert_sound();
    }
}

#[test]
fn a_letter_is_retried_once_and_says_when_it_was() {
    for rig in rigs() {
        broken(&rig);
        let letters = listed(&rig, &[]);
        let first = id(&letters[1]);
        let answer = rig.answer(&["dead-letters", "retry", &first]);
        assert_eq!((&answer["retried"], &answer["letters"][0]["outcome"]), (&1.into(), &"appended".into()), "{answer}");
        let shown = rig.answer(&["dead-letters", "show", &first]);
        assert_eq!(shown["state"], "retried");
        let said = rig.refusal(&["dead-letters", "retry", &first], 2);
        assert!(said.contains(shown["state_time"].as_str().unwrap()) && said.contains("--again"), "{said}");
        // All means all that are due: one of two.
        assert_eq!(rig.answer(&["dead-letters", "retry", "--all"])["retried"], 1);
        assert_eq!(rig.answer(&["dead-letters", "retry", "--all"])["retried"], 0);
        assert_eq!(rig.answer(&["dead-letters", "retry", &first, "--again"])["retried"], 1);
        assert_eq!(rig.answer(&["dead-letters", "show", &first])["state_time"], shown["state_time"], "the first time counts");
        let originals: Vec<_> = rig
            .mailbox()
            .watermarks(Topic::MusicTopTracks)
            .unwrap()
            .iter()
            .flat_map(|ends| rig.mailbox().read(ends.at, ends.low, 100).unwrap())
            .map(|message| (message.at.partition, message.key, message.payload))
            .collect();
        assert_eq!(originals.len(), 5, "two records, three retries");
        assert_eq!(originals.iter().collect::<BTreeSet<_>>().len(), 2, "byte for byte, under their keys, in their partition");
        // Nothing was fixed: each is given up again, under a new id.
        rig.work_off();
        assert_eq!(listed(&rig, &[]).iter().filter(|letter| letter["state"] == "pending").count(), 3);
        rig.assert_sound();
    }
}

#[test]
fn a_letter_that_cannot_go_back_does_not_hold_up_the_others() {
    for rig in rigs() {
        let garbage = |partition: i32, payload: Vec<u8>| {
            let at = TopicPartition { topic: Topic::MusicTopTracks, partition };
            let message = Message { at, offset: 0, key: "key".to_owned(), payload, appended_at: 1, version: None };
            bury("transform", "test", PARTITIONS, &message, DeadReason::new("undecodable", "garbage")).unwrap()
        };
        // What other programs may append, but this one may not; its letter comes before the other one's.
        rig.publish(&[garbage(0, vec![b'x'; 1_000_000]), garbage(1, b"tiny".to_vec())]);
        let output = rig.reprise(&["dead-letters", "retry", "--all", "--json"], &[]);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{}: {out}\n{err}", rig.name);
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&answer["retried"], &answer["impossible"]), (&1.into(), &1.into()), "{answer}");
        let [long, tiny] = [&answer["letters"][0], &answer["letters"][1]];
        assert_eq!((&long["outcome"], &tiny["outcome"]), (&"impossible".into(), &"appended".into()), "{answer}");
        assert!(long["why"].as_str().unwrap().contains("950000"), "{long}");
        assert!(["1 of 2", &id(long), "purge"].iter().all(|part| err.contains(part)), "{err}");
        let states: BTreeSet<String> =
            listed(&rig, &[]).iter().map(|letter| format!("{} {}", id(letter), letter["state"])).collect();
        assert_eq!(states, BTreeSet::from([format!("{} \"pending\"", id(long)), format!("{} \"retried\"", id(tiny))]));
        // Alone it is the same; put away it is in nobody's way.
        let said = texts(&rig.reprise(&["dead-letters", "retry", "--all"], &[]));
        assert!(said.0.contains("0 put back") && said.1.contains("was not retried"), "{said:?}");
        rig.answer(&["dead-letters", "purge", &id(long)]);
        assert_eq!(rig.answer(&["dead-letters", "retry", "--all"])["impossible"], 0);
    }
}

/// The database refuses the song of this name, as if the schema were wrong.
fn refuse_bad_songs(rig: &Rig) {
    if rig.is_sqlite() {
        rig.sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON songs WHEN NEW.song_name = 'Bad' \
             BEGIN SELECT RAISE(ABORT, 'value too long'); END",
        );
    } else {
        rig.sql("ALTER TABLE songs ADD CONSTRAINT refuse CHECK (song_name <> 'Bad')");
    }
}

fn accept_bad_songs(rig: &Rig) {
    rig.sql(if rig.is_sqlite() { "DROP TRIGGER refuse" } else { "ALTER TABLE songs DROP CONSTRAINT refuse" });
}

fn song(name: &str, observed_at: i64) -> Outgoing {
    let track = serde_json::json!({"id": "song", "name": name, "artists": [{"id": "artist1", "name": "An Artist"}]});
    raw(Topic::MusicTopTracks, "artist1", "song", observed_at, track)
}

fn songs_called(rig: &Rig, name: &str) -> i64 {
    rig.number(&format!("SELECT CAST(count(*) AS BIGINT) AS value FROM songs WHERE song_name = '{name}'"))
}

#[test]
fn after_the_fix_a_retry_leads_to_the_row() {
    for rig in rigs() {
        refuse_bad_songs(&rig);
        let mut records = tracks(0..5, 1_000, 0.9);
        records.push(song("Bad", 1_000));
        rig.publish(&records);
        rig.work_off();
        let letters = listed(&rig, &[]);
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert_eq!((&letters[0]["stage"], &letters[0]["reason"]), (&"load".into(), &"constraint".into()));
        assert_eq!(songs_called(&rig, "Bad"), 0);
        accept_bad_songs(&rig);
        assert_eq!(rig.answer(&["dead-letters", "retry", "--all"])["retried"], 1);
        rig.work_off();
        assert_eq!(songs_called(&rig, "Bad"), 1, "{}", rig.name);
        assert_eq!(rig.rebuilt_elsewhere(), rig.digest());
        rig.assert_sound();
    }
}

#[test]
fn a_retry_never_puts_an_older_record_over_a_newer_one() {
    for rig in rigs() {
        refuse_bad_songs(&rig);
        rig.publish(&[song("Bad", 1_000)]);
        rig.work_off();
        rig.publish(&[song("Good", 2_000)]);
        rig.work_off();
        accept_bad_songs(&rig);
        let digest = rig.digest();
        let answer = rig.answer(&["dead-letters", "retry", "--all"]);
        assert_eq!((&answer["retried"], &answer["superseded"]), (&0.into(), &1.into()), "{answer}");
        rig.work_off();
        assert_eq!((rig.digest(), songs_called(&rig, "Good")), (digest.clone(), 1));
        assert_eq!(rig.rebuilt_elsewhere(), digest);
        rig.assert_sound();
    }
}

#[test]
fn of_two_that_retry_at_once_only_the_newer_publishes() {
    for rig in rigs() {
        broken(&rig);
        let mailbox = rig.mailbox();
        let mut older = Desk::take(&mailbox, "older").unwrap();
        let ids: BTreeSet<String> = older.letters.entries.keys().cloned().collect();
        let mut newer = Desk::take(&mailbox, "newer").unwrap();
        let refused = older.retry(&ids);
        assert!(matches!(refused, Err(MailboxError::Fenced(_))), "{refused:?}");
        let outcomes = newer.retry(&ids).unwrap();
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == Retried::Appended), "{outcomes:?}");
        drop((older, newer));
        let letters = Letters::read(&*mailbox).unwrap();
        assert!(letters.entries.values().all(|entry| entry.mark.is_some()) && letters.unreadable == 0);
        let count = |topic: Topic| -> usize {
            let ends = mailbox.watermarks(topic).unwrap();
            ends.iter().map(|ends| mailbox.read(ends.at, ends.low, 100).unwrap().len()).sum()
        };
        assert_eq!(count(Topic::MusicTopTracks), 4, "{}: two records, each put back once", rig.name);
    }
}

#[test]
fn purged_letters_are_out_of_sight_and_not_retried() {
    for rig in rigs() {
        broken(&rig);
        let letters = listed(&rig, &[]);
        assert_eq!(rig.answer(&["dead-letters", "purge", "--before", "1d"])["purged"], 0);
        assert_eq!(rig.answer(&["dead-letters", "purge", &id(&letters[0])])["purged"], 1);
        assert_eq!(listed(&rig, &[]), letters[1..]);
        assert_eq!(listed(&rig, &["--purged"]).len(), 2);
        assert!(rig.refusal(&["dead-letters", "retry", &id(&letters[0])], 2).contains("purged"));
        assert_eq!(rig.answer(&["dead-letters", "retry", "--all"])["retried"], 1);
        assert_eq!(rig.answer(&["dead-letters", "purge", "--all"])["purged"], 1);
        assert!(listed(&rig, &[]).is_empty());
        assert!(!rig.refusal(&["dead-letters", "purge"], 2).is_empty());
        assert!(rig.refusal(&["dead-letters", "purge", "--before", "2999-01-01"], 2).contains("--before"));
        rig.assert_sound();
    }
}
