//! Messages that are not what they should be: buried with their reason, or kept less the field that is wrong.

use std::time::Duration;

use reprise::mailbox::{EmbeddedMailbox, EmbeddedOptions, Mailbox, Outgoing, SessionSpec, TopicPartition};
use reprise::records::{DeadLetter, SCHEMA_VERSION, Topic, TopicNames, now_micros, parse};
use serde_json::{Value, json};

use crate::process::Settings;
use crate::scene::{SMALL, Scene, lines};

/// The embedded topics of a data directory that nobody runs on.
fn mailbox(settings: &Settings) -> EmbeddedMailbox {
    let dir = settings.get("data_dir").expect("a data directory").into();
    EmbeddedMailbox::open(EmbeddedOptions { dir, names: TopicNames::default() }).expect("the topics open")
}

/// Puts these bytes into a topic, past every check.
pub fn append(mailbox: &dyn Mailbox, topic: Topic, payloads: &[&[u8]]) {
    mailbox.create_topics(6).expect("topics");
    let record = |payload: &&[u8]| Outgoing {
        at: TopicPartition { topic, partition: 0 },
        key: "odd".to_owned(),
        payload: payload.to_vec(),
        version: None,
    };
    let records: Vec<Outgoing> = payloads.iter().map(record).collect();
    let spec = SessionSpec {
        group: "test".to_owned(),
        topics: Vec::new(),
        heads: Vec::new(),
        instance: "test".to_owned(),
        transactional: false,
        retains: true,
    };
    mailbox.open(&spec).and_then(|mut session| session.publish(&records, &[])).expect("appended");
}

fn dead_letters(mailbox: &EmbeddedMailbox) -> Vec<DeadLetter> {
    let read = |partition| mailbox.read(TopicPartition { topic: Topic::MusicDeadLetters, partition }, 0, 1_000);
    let messages = (0..6).flat_map(|partition| read(partition).expect("dead letters"));
    messages.map(|message| parse::<DeadLetter>(&message.payload).expect("a dead letter").record.body).collect()
}

fn track() -> Value {
    json!({
        "id": "0000000000000000000odd", "name": "Odd One", "artists": [{"id": "000000000000000000band", "name": "The Odds"}],
        "album": null, "duration_ms": 999_999_999, "explicit": true, "is_playable": true, "popularity": 1_000,
        "track_number": 7, "isrc": "no isrc", "preview_url": null,
    })
}

fn enveloped(mut body: Value) -> Vec<u8> {
    body["schema_version"] = json!(SCHEMA_VERSION);
    body["observed_at"] = json!(now_micros());
    body["run_id"] = json!("test");
    body.to_string().into_bytes()
}

#[test]
fn what_is_no_json_is_buried_by_each_stage_that_reads_it_and_the_rest_goes_on() {
    let scene = Scene::new(SMALL, 20);
    let settings = scene.settings("odd");
    let mailbox = mailbox(&settings);
    let cut = enveloped(track());
    let bad: [&[u8]; 3] = [b"\x00\xff no text at all", b"{\"schema_version\": 1", &cut[..cut.len() / 2]];
    for topic in Topic::ALL.into_iter().filter(|topic| *topic != Topic::MusicDeadLetters) {
        append(&mailbox, topic, &bad);
    }
    let summary = settings.answer(&["run", "--once", "--json"]);
    assert_eq!(summary["rows"]["songs"], 20, "{summary}");
    // Each of the six topics once for each group that reads it; music_top_tracks has four.
    assert_eq!(summary["dead_letters"], 3 * 9, "{summary}");
    let letters = dead_letters(&mailbox);
    assert_eq!(letters.len(), 3 * 9);
    for letter in &letters {
        let original = letter.payload().expect("the original bytes");
        assert!(bad.contains(&original.as_slice()), "{letter:?}");
        assert!(!letter.reason.kind.is_empty() && !letter.reason.detail.is_empty(), "{letter:?}");
    }
    let audit = settings.answer(&["audit", "--json"]);
    assert_eq!(audit["balanced"], true, "{audit}");
}

#[test]
fn a_field_out_of_range_becomes_null_and_the_rest_of_the_record_is_kept() {
    let scene = Scene::new(SMALL, 10);
    let settings = scene.settings("odd");
    let mut odd = track();
    append(&mailbox(&settings), Topic::MusicTopTracks, &[&enveloped(odd.clone())]);
    let nameless = {
        odd["name"] = json!(" ");
        odd["id"] = json!("00000000000000nameless");
        enveloped(odd)
    };
    append(&mailbox(&settings), Topic::MusicTopTracks, &[&nameless]);
    let summary = settings.answer(&["run", "--once", "--json"]);
    assert_eq!(summary["rows"]["songs"], 11, "{summary}");
    let sql = "SELECT json_array(song_name, duration_ms, popularity, isrc, track_number, is_explicit) AS value \
               FROM songs WHERE song_id = '0000000000000000000odd'";
    let data_dir = scene.place("odd/data");
    assert_eq!(lines(&data_dir, sql), ["[\"Odd One\",null,null,null,7,1]"]);
    // A required field is another matter: all four readers bury the record that has no name.
    let nameless = dead_letters(&mailbox(&settings));
    assert!(!nameless.is_empty() && nameless.iter().all(|letter| letter.reason.detail.contains("name")), "{nameless:?}");
    assert_eq!(summary["dead_letters"], nameless.len(), "{summary}");
}

#[test]
fn a_search_request_that_asks_for_too_much_is_buried_and_the_others_are_served() {
    let scene = Scene::new(SMALL, 10);
    let settings = scene.settings("odd");
    let greedy = json!({"request_id": "test/1", "q": "genre:folk", "max_tracks": 5_000});
    append(&mailbox(&settings), Topic::MusicQueries, &[&enveloped(greedy)]);
    let ended = settings.start(&["run", "--once", "--json"]).end(Duration::from_secs(120));
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let summary = ended.json();
    assert_eq!((&summary["rows"]["songs"], &summary["dead_letters"]), (&json!(10), &json!(1)), "{summary}");
    let letters = dead_letters(&mailbox(&settings));
    assert!(
        letters.iter().all(|letter| letter.stage == "tracks" && letter.reason.detail.contains("max_tracks")),
        "{letters:?}"
    );
}
