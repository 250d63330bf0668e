//! The tracks and artists stages lose nothing, ask nothing twice, and go on where they stopped.

mod spotify_fake;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reprise::config::Period;
use reprise::extract::clients::http::ParkBook;
use reprise::extract::clients::spotify::Spotify;
use reprise::extract::{Artists, Freshness, Tracks};
use reprise::mailbox::{Ledger, MailboxError, Message, Outgoing, Polled, Progress, Session, TopicPartition};
use reprise::observe::Metrics;
use reprise::observe::metrics::OutcomeLabel;
use reprise::records::{
    ArtistProfile, ArtistRef, Envelope, SearchRequest, TopTrack, Topic, Version, now_micros, parse, partition_of,
};
use reprise::stage::{Ending, Port, Processed, Processor, StageError, StepContext};
use reprise::store::*;
use reprise::supervision::Pulse;
use spotify_fake::{Fake, Habits, quick};

const PARTITIONS: i32 = 6;

/// A session that only knows heads.
struct Heads(HashMap<String, Version>);

impl Session for Heads {
    fn poll(&mut self, _: usize, _: Duration) -> Result<Polled, MailboxError> {
        Ok(Polled::default())
    }
    fn idle(&mut self) -> Result<(), MailboxError> {
        Ok(())
    }
    fn seek(&mut self, _: TopicPartition, _: i64) -> Result<(), MailboxError> {
        Ok(())
    }
    fn publish(&mut self, _: &[Outgoing], _: &[Progress]) -> Result<(), MailboxError> {
        Ok(())
    }
    fn rewind(&mut self) -> Result<(), MailboxError> {
        Ok(())
    }
    fn heads(&mut self, _: TopicPartition, keys: &[String]) -> Result<Vec<Option<Version>>, MailboxError> {
        Ok(keys.iter().map(|key| self.0.get(key).copied()).collect())
    }
    fn lag(&self) -> Vec<(TopicPartition, u64)> {
        Vec::new()
    }
}

/// A database that only knows when artists were heard of; `None`: it is away.
#[derive(Debug)]
struct Knowledge(Option<HashMap<String, i64>>);

impl Store for Knowledge {
    fn known(&self, keys: &[KnownKey]) -> Result<BTreeMap<KnownKey, Known>, StoreError> {
        let Some(known) = &self.0 else { return Err(StoreError::Unavailable("connection refused".into())) };
        let find = |key: &KnownKey| {
            let observed_at = *known.get(&key.id)?;
            Some((key.clone(), Known { observed_at, features_version: 0 }))
        };
        Ok(keys.iter().filter_map(find).collect())
    }
    fn describe(&self) -> String {
        String::new()
    }
    fn migrate(&self) -> Result<MigrationReport, StoreError> {
        unreachable!()
    }
    fn claim(&self, _: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        unreachable!()
    }
    fn apply(&self, _: &[Change], _: &[Advance]) -> Result<Applied, StoreError> {
        unreachable!()
    }
    fn ledger(&self) -> Result<Vec<(Claim, Ledger)>, StoreError> {
        unreachable!()
    }
    fn row_counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        unreachable!()
    }
    fn digest(&self) -> Result<String, StoreError> {
        unreachable!()
    }
    fn dump(&self, _: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        unreachable!()
    }
    fn check(&self) -> Result<Vec<Finding>, StoreError> {
        unreachable!()
    }
    fn summary(&self) -> Result<Summary, StoreError> {
        unreachable!()
    }
}

async fn step(processor: &mut dyn Processor, heads: Heads, batch: &[Message]) -> Result<Processed, StageError> {
    let (pulse, port) = (Pulse::new(), Port::inline(Box::new(heads)));
    let context = StepContext { pulse: &pulse, port: &port, run_id: "run", partitions: PARTITIONS };
    processor.process(batch, &context).await
}

fn no_heads() -> Heads {
    Heads(HashMap::new())
}

fn message(outgoing: &Outgoing, offset: i64) -> Message {
    let (at, key, payload) = (outgoing.at, outgoing.key.clone(), outgoing.payload.clone());
    Message { at, offset, key, payload, appended_at: now_micros(), version: outgoing.version }
}

fn query(max_tracks: u32) -> Message {
    let request = SearchRequest { request_id: "r1".into(), q: "love".into(), market: None, max_tracks, cursor: None };
    message(&Outgoing::record(&Envelope::new(now_micros(), "cli", request), 2, 0).unwrap(), 0)
}

fn track_by(artist: &str, number: i64) -> Message {
    let track = TopTrack {
        id: format!("t{number}"),
        name: "Track".into(),
        artists: vec![ArtistRef { id: artist.into(), name: "Artist".into() }],
        album: None,
        duration_ms: None,
        explicit: None,
        is_playable: None,
        popularity: None,
        track_number: None,
        isrc: None,
        preview_url: None,
    };
    let partition = partition_of(artist, PARTITIONS);
    message(&Outgoing::record(&Envelope::new(now_micros(), "cli", track), partition, 0).unwrap(), number)
}

fn artists(spotify: Spotify, known: Option<HashMap<String, i64>>) -> Artists {
    Artists::new(spotify, Freshness::new(Arc::new(Knowledge(known)), Period::days(1)))
}

fn outcomes(processed: &Processed) -> Vec<&str> {
    let outcome = |ending: &'_ Ending| match ending {
        Ending::Emitted(_) => "emitted",
        Ending::Superseded(reason) => reason,
        Ending::Dead(_) | Ending::Buried(_) => "dead",
    };
    processed.endings.iter().map(outcome).collect()
}

/// Runs a whole search; each page by a new stage, as if the process had been killed between any two.
async fn search(fake: &Fake, max_tracks: u32) -> Vec<Outgoing> {
    let (mut pending, mut found) = (vec![query(max_tracks)], Vec::new());
    let book = ParkBook::in_memory();
    while let Some(request) = pending.pop() {
        let mut stage = Tracks::new(fake.client(book.clone()));
        let processed = step(&mut stage, no_heads(), &[request]).await.unwrap();
        let Some(Ending::Emitted(records)) = processed.endings.into_iter().next() else { break };
        let (rest, tracks): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.at.topic == Topic::MusicQueries);
        assert!(rest.iter().all(|record| record.at.partition == 2 && record.key == "r1"));
        pending.extend(rest.iter().map(|record| message(record, 1)));
        found.extend(tracks);
    }
    found
}

#[tokio::test]
async fn a_search_goes_on_where_it_was_killed_and_gives_each_track_once() {
    for habits in [Habits::default(), Habits::restricted()] {
        let fake = Fake::start(Habits { overlap: true, total: 95, ..habits }).await;
        let found = search(&fake, 60).await;
        let keys: BTreeSet<&str> = found.iter().map(|record| record.key.as_str()).collect();
        assert_eq!((found.len(), keys.len()), (60, 60));
        for record in &found {
            let track = parse::<TopTrack>(&record.payload).unwrap().record;
            assert_eq!(track.run_id, "run");
            let artist = track.body.primary_artist().unwrap();
            assert_eq!(record.at.partition, partition_of(&artist.id, PARTITIONS));
        }
    }
}

#[tokio::test]
async fn a_search_takes_no_call_more_than_its_pages() {
    let fake = Fake::start(Habits::restricted()).await;
    assert_eq!(search(&fake, 100).await.len(), 100);
    assert_eq!(fake.calls("/v1/search").await.len(), 10 + 1, "ten pages and one refused page size");
    let fake = Fake::start(Habits { total: 23, ..Habits::default() }).await;
    assert_eq!(search(&fake, 200).await.len(), 23);
    assert_eq!(fake.calls("/v1/search").await.len(), 1);
}

#[tokio::test]
async fn the_wall_at_a_thousand_ends_a_search() {
    let fake = Fake::start(Habits { total: 4_000, ..Habits::default() }).await;
    assert_eq!(search(&fake, 1_000).await.len(), 1_000);
    assert_eq!(fake.calls("/v1/search").await.len(), 20);
}

#[tokio::test]
async fn a_search_without_results_ends_quietly() {
    let fake = Fake::start(Habits { total: 0, ..Habits::default() }).await;
    let processed = step(&mut Tracks::new(fake.client(ParkBook::in_memory())), no_heads(), &[query(10)]).await.unwrap();
    assert_eq!(outcomes(&processed), ["no_new_tracks"]);
}

#[tokio::test]
async fn a_query_that_cannot_be_read_or_makes_no_sense_is_given_up_with_its_reason() {
    let refused = r#"{"error":{"status":400,"message":"No search query"}}"#;
    let fake = Fake::start(Habits { first_answers: vec![(400, refused, None)], ..Habits::default() }).await;
    let mut stage = Tracks::new(fake.client(ParkBook::in_memory()));
    let broken = Message { payload: b"{\"q\":".to_vec(), ..query(1) };
    let processed = step(&mut stage, no_heads(), &[broken, query(10)]).await.unwrap();
    let kinds: Vec<&str> = processed
        .endings
        .iter()
        .map(|ending| if let Ending::Dead(reason) = ending { reason.kind.as_str() } else { "not dead" })
        .collect();
    assert_eq!(kinds, ["undecodable", "rejected"]);
}

#[tokio::test]
async fn a_quota_makes_the_tracks_stage_wait_with_the_query_unfinished() {
    let fake =
        Fake::start(Habits { first_answers: vec![(429, "Too many requests", Some("80000"))], ..Habits::default() }).await;
    let processed = step(&mut Tracks::new(fake.client(ParkBook::in_memory())), no_heads(), &[query(10)]).await.unwrap();
    assert!(processed.endings.is_empty());
    let wait = processed.wait.expect("a wait");
    assert!(wait.reason.contains("spotify"), "{wait:?}");
    let end = Duration::from_secs(80_000);
    assert!(wait.pause <= end && wait.pause > end - Duration::from_secs(60), "{wait:?}: to the end that the server named");
}

#[tokio::test]
async fn refused_credentials_stop_the_stage_and_not_the_message() {
    let refused = vec![(400, r#"{"error":"invalid_client"}"#)];
    let fake = Fake::start(Habits { first_token_answers: refused, ..Habits::default() }).await;
    let outcome = step(&mut Tracks::new(fake.client(ParkBook::in_memory())), no_heads(), &[query(10)]).await;
    assert!(matches!(outcome, Err(StageError::Stop(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_artist_is_asked_for_once_in_a_batch_and_carried_by_its_first_track() {
    for (habits, calls) in [(Habits::default(), 1), (Habits::restricted(), 1 + 3)] {
        let fake = Fake::start(habits).await;
        let batch: Vec<Message> =
            ["a1", "a2", "a1", "gone", "a1", "gone"].iter().zip(0..).map(|(id, n)| track_by(id, n)).collect();
        let mut stage = artists(fake.client(ParkBook::in_memory()), Some(HashMap::new()));
        let processed = step(&mut stage, no_heads(), &batch).await.unwrap();
        assert_eq!(outcomes(&processed), ["emitted", "emitted", "duplicate", "emitted", "duplicate", "duplicate"]);
        assert_eq!(processed.wait, None);
        assert_eq!(fake.paths("/v1/artists").await.len(), calls);
        let Some(Ending::Emitted(records)) = processed.endings.first() else { panic!("no record") };
        let profile = parse::<ArtistProfile>(&records[0].payload).unwrap().record;
        assert_eq!((profile.body.artist_id.as_str(), records[0].at.partition), ("a1", batch[0].at.partition));
        assert_eq!(profile.body.genres, None, "unknown and not empty");
        let Some(Ending::Emitted(records)) = processed.endings.get(3) else { panic!("no record") };
        let gone = parse::<ArtistProfile>(&records[0].payload).unwrap().record;
        assert_eq!(gone.body.missing.as_deref(), Some("not_found"), "that there is none is remembered like a profile");
        let heads = Heads(HashMap::from([("gone".to_owned(), Version { observed_at: gone.observed_at, tiebreak: 0 })]));
        let again = step(&mut stage, heads, &[track_by("gone", 9)]).await.unwrap();
        assert_eq!(outcomes(&again), ["fresh"]);
        assert_eq!(fake.paths("/v1/artists").await.len(), calls, "not asked for again");
    }
}

#[tokio::test]
async fn artists_known_to_the_topic_or_the_database_are_not_asked_for_until_they_are_stale() {
    let fake = Fake::start(Habits::restricted()).await;
    let old = now_micros() - 2 * 86_400_000_000;
    let heads = Heads(HashMap::from([("a1".to_owned(), Version { observed_at: now_micros(), tiebreak: 0 })]));
    let known = HashMap::from([("a2".to_owned(), now_micros()), ("a3".to_owned(), old)]);
    let batch = [track_by("a1", 0), track_by("a2", 1), track_by("a3", 2)];
    let processed = step(&mut artists(fake.client(ParkBook::in_memory()), Some(known)), heads, &batch).await.unwrap();
    assert_eq!(outcomes(&processed), ["fresh", "fresh", "emitted"]);
    assert_eq!(fake.paths("/v1/artists").await, ["/v1/artists/a3"]);
}

#[tokio::test]
async fn a_database_that_is_away_makes_the_stage_wait_and_asks_nobody() {
    let fake = Fake::start(Habits::default()).await;
    let outcome = step(&mut artists(fake.client(ParkBook::in_memory()), None), no_heads(), &[track_by("a1", 0)]).await;
    assert!(matches!(&outcome, Err(StageError::Wait(wait)) if wait.reason.contains("database")), "{outcome:?}");
    assert!(fake.paths("/v1").await.is_empty());
}

#[tokio::test]
async fn a_throttle_in_the_middle_finishes_what_came_before_it() {
    let forbidden = r#"{"error":{"status":403,"message":"Forbidden"}}"#;
    let a1 = r#"{"id":"a1","name":"Artist a1"}"#;
    let first_answers = vec![(403, forbidden, None), (200, a1, None), (429, "Too many requests", Some("3600"))];
    let fake = Fake::start(Habits { first_answers, ..Habits::default() }).await;
    let batch = [track_by("a1", 0), track_by("a1", 1), track_by("a2", 2), track_by("a1", 3)];
    let processed =
        step(&mut artists(fake.client(ParkBook::in_memory()), Some(HashMap::new())), no_heads(), &batch).await.unwrap();
    assert_eq!(outcomes(&processed), ["emitted", "duplicate"]);
    assert!(processed.wait.is_some_and(|wait| wait.reason.contains("rate limit")));
}

#[tokio::test]
async fn single_look_ups_are_published_in_small_steps() {
    let fake = Fake::start(Habits::restricted()).await;
    let batch: Vec<Message> = (0..25).map(|number| track_by(&format!("a{number}"), number)).collect();
    let mut stage = artists(fake.client(ParkBook::in_memory()), Some(HashMap::new()));
    let (mut rest, mut steps) = (batch.as_slice(), 0);
    while !rest.is_empty() {
        let processed = step(&mut stage, no_heads(), rest).await.unwrap();
        assert!(processed.wait.is_none_or(|wait| wait.pause.is_zero()));
        rest = &rest[processed.endings.len()..];
        steps += 1;
    }
    assert_eq!(steps, 3);
    assert_eq!(fake.paths("/v1/artists/").await.len(), 25);
}

#[tokio::test]
async fn tracks_that_cannot_be_read_and_ids_that_are_refused_do_not_hold_up_the_others() {
    let fake = Fake::start(Habits::default()).await;
    let broken = Message { payload: b"[]".to_vec(), ..track_by("a1", 0) };
    let batch = [broken, track_by("bad1", 1), track_by("a2", 2)];
    let processed =
        step(&mut artists(fake.client(ParkBook::in_memory()), Some(HashMap::new())), no_heads(), &batch).await.unwrap();
    assert_eq!(outcomes(&processed), ["dead", "dead", "emitted"]);
}

#[tokio::test]
async fn fields_out_of_range_become_null_and_are_counted_at_the_stage_that_met_them() {
    let page = r#"{"tracks": {"items": [{"id": "t1", "name": "Day", "duration_ms": 46800000, "popularity": 900,
                   "artists": [{"id": "a1", "name": "A"}]}], "next": null, "total": 1}}"#;
    let profile = r#"{"id": "a1", "name": "A", "popularity": -5}"#;
    let batch = r#"{"artists": [{"id": "a1", "name": "A", "popularity": -5}]}"#;
    let answers = vec![(200, page, None), (200, profile, None), (200, batch, None)];
    let fake = Fake::start(Habits { first_answers: answers, ..Habits::default() }).await;
    let (metrics, pulse) = (Metrics::new(), Pulse::new());
    let client = fake.counting_client(ParkBook::in_memory(), quick(), metrics.clone());
    let found = client.search("day", None, 0, 10, &pulse).await.unwrap().page;
    assert_eq!((found.tracks[0].duration_ms, found.tracks[0].popularity), (None, None));
    assert_eq!(client.artist("a1", &pulse).await.unwrap().popularity, None);
    let both = client.artists(&["a1".to_owned()], &pulse).await.unwrap().unwrap();
    assert_eq!(both["a1"].as_ref().map(|profile| profile.popularity), Some(None));
    let nulled = |stage| metrics.records.get_or_create(&OutcomeLabel::new(stage, "nulled_field")).get();
    assert_eq!((nulled("tracks"), nulled("artists")), (2, 2));
}
