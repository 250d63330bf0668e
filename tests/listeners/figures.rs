//! The listeners stage.

use std::sync::Arc;

use reprise::extract::clients::musicbrainz::MusicBrainz;
use reprise::extract::{Listeners, MusicBrainzOptions};
use reprise::matching::Matcher;
use reprise::observe::Metrics;
use reprise::records::{FigureOutcome, ListenerFigures, Subject, TopTrack, parse};
use reprise::stage::{Ending, Processed, StageError};
use reprise::store::{KnownKey, KnownSource};

use crate::lastfm::client;
use crate::rig::{Reply, Server, World, http, message, messages, track};

fn stage(world: &World, server: &Server) -> Listeners {
    Listeners::new(client(&server.url), None, Arc::new(Matcher::default()), world.freshness(), Metrics::new())
}

/// Knows every artist and track by the name it is asked for, without its escapes.
fn echo(path: &str) -> Reply {
    let value = |name: &str| {
        let found = url::form_urlencoded::parse(path.split('?').nth(1).unwrap_or_default().as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned());
        serde_json::to_string(&found.unwrap_or_default()).expect("JSON")
    };
    let (artist, title) = (value("artist"), value("track"));
    if path.contains("track.getInfo") {
        let body = format!(
            r#"{{"track":{{"name":{title},"duration":"1000","listeners":"10","playcount":"20","artist":{{"name":{artist}}}}}}}"#
        );
        return Reply::json(200, &body);
    }
    let stats = r#"{"listeners":"100","playcount":"200"}"#;
    Reply::json(200, &format!(r#"{{"artist":{{"name":{artist},"stats":{stats},"tags":{{"tag":{{"name":"Rock"}}}}}}}}"#))
}

fn records(processed: &Processed) -> Vec<ListenerFigures> {
    let emitted = processed.endings.iter().filter_map(|ending| match ending {
        Ending::Emitted(records) => Some(records),
        _ => None,
    });
    emitted.flatten().map(|record| parse::<ListenerFigures>(&record.payload).expect("a record").record.body).collect()
}

fn told(ending: &Ending) -> String {
    match ending {
        Ending::Emitted(records) => records.iter().map(|record| record.key.as_str()).collect::<Vec<_>>().join("+"),
        Ending::Superseded(reason) => (*reason).to_owned(),
        Ending::Dead(reason) | Ending::Buried(reason) => format!("dead: {}", reason.kind),
    }
}

fn reason(figures: &ListenerFigures) -> String {
    match &figures.subject {
        Subject::Artist { figures: FigureOutcome::Missing { reason } } => format!("artist {reason}"),
        Subject::Track { figures: FigureOutcome::Missing { reason }, .. } => format!("track {reason}"),
        Subject::Artist { .. } => "artist found".to_owned(),
        Subject::Track { .. } => "track found".to_owned(),
    }
}

fn three() -> Vec<TopTrack> {
    vec![track("s1", "One", "a1", "Queen"), track("s2", "Two", "a1", "Queen"), track("s3", "Three", "a2", "AC/DC")]
}

#[tokio::test]
async fn each_artist_and_each_track_is_asked_for_once() {
    let server = Server::start(|path, _| echo(path)).await;
    let world = World::default();
    let processed = world.process(&mut stage(&world, &server), &messages(&three())).await.expect("a result");
    let endings: Vec<String> = processed.endings.iter().map(told).collect();
    assert_eq!(endings, ["artist/a1+song/s1", "song/s2", "artist/a2+song/s3"]);
    assert_eq!((server.count("artist.getInfo"), server.count("track.getInfo")), (2, 3));
    assert!(records(&processed).iter().all(|record| reason(record).ends_with("found")));
    let emitted = processed.endings.iter().filter_map(|ending| match ending {
        Ending::Emitted(records) => Some(records),
        _ => None,
    });
    assert!(emitted.flatten().all(|record| record.at.partition == 2 && record.version.is_some()), "in the message's partition");
}

#[tokio::test]
async fn what_is_fresh_is_not_asked_for_again() {
    let server = Server::start(|path, _| echo(path)).await;
    let world = World::default();
    let batch = messages(&three());
    let processed = world.process(&mut stage(&world, &server), &batch).await.expect("a result");
    for ending in &processed.endings {
        if let Ending::Emitted(records) = ending {
            world.append(records);
        }
    }
    let calls = server.calls().len();
    let again = world.process(&mut stage(&world, &server), &batch).await.expect("a result");
    assert!(again.endings.iter().all(|ending| *ending == Ending::Superseded("fresh")), "{again:?}");
    assert_eq!(server.calls().len(), calls, "a restarted process asks nothing");

    let other = World::default();
    other.knows(KnownKey { source: KnownSource::ArtistListeners, id: "a1".to_owned() }, 0);
    let processed = other.process(&mut stage(&other, &server), &batch[..1]).await.expect("a result");
    assert_eq!(processed.endings.iter().map(told).collect::<Vec<_>>(), ["song/s1"], "the database knows the artist");
}

#[tokio::test]
async fn ghosts_placeholders_strangers_and_unknown_names_are_recorded_as_such() {
    let ghost = r#"{"track":{"name":"One","duration":"0","listeners":"2","playcount":"4","artist":{"name":"Queen"},"toptags":{"tag":[]}}}"#;
    let stranger =
        r#"{"artist":{"name":"Motörhead","stats":{"listeners":"100","playcount":"1"},"tags":{"tag":[{"name":"x"}]}}}"#;
    let unknown = r#"{"artist":{"name":"[unknown]","mbid":"x","stats":{"listeners":"3000000","playcount":"1"}}}"#;
    for (artist, expected) in
        [(stranger, "artist no_match"), (unknown, "artist placeholder"), (r#"{"error":6,"message":"x"}"#, "artist not_found")]
    {
        let server =
            Server::start(move |path, _| Reply::json(200, if path.contains("artist.getInfo") { artist } else { ghost })).await;
        let world = World::default();
        let batch = messages(&three()[..1]);
        let processed = world.process(&mut stage(&world, &server), &batch).await.expect("a result");
        let reasons: Vec<String> = records(&processed).iter().map(reason).collect();
        assert_eq!(reasons, [expected, "track ghost"]);
        assert_eq!(server.calls().len(), 2, "a miss is final: one call each");
    }
}

#[tokio::test]
async fn a_rate_limit_finishes_the_prefix_and_asks_nothing_twice() {
    let limited = Reply::new(429, "retry-after: 1\r\n", br#"{"error":29,"message":"Rate limit exceeded"}"#);
    let server = Server::start(move |path, nth| if nth == 3 { limited.clone() } else { echo(path) }).await;
    let world = World::default();
    let mut stage = stage(&world, &server);
    let tracks: Vec<TopTrack> = (0..9).map(|n| track(&format!("s{n}"), "Song", &format!("a{n}"), "Queen")).collect();
    let mut left = messages(&tracks);
    let mut emitted = Vec::new();
    let mut rounds = 0;
    while !left.is_empty() {
        let processed = world.process(&mut stage, &left).await.expect("a wait is no failure");
        assert_eq!(processed.wait.is_some(), processed.endings.len() < left.len());
        for ending in &processed.endings {
            let Ending::Emitted(records) = ending else { panic!("{ending:?}") };
            world.append(records);
            emitted.extend(records.iter().map(|record| record.key.clone()));
        }
        left.drain(..processed.endings.len());
        if let Some(wait) = processed.wait {
            assert!(wait.reason.contains("lastfm"), "{wait:?}");
            tokio::time::sleep(wait.pause).await;
        }
        rounds += 1;
        assert!(rounds < 9, "it goes on");
    }
    emitted.sort();
    let mut expected: Vec<String> = (0..9).flat_map(|n| [format!("artist/a{n}"), format!("song/s{n}")]).collect();
    expected.sort();
    assert_eq!(emitted, expected, "each record once");
    assert_eq!(server.calls().len(), 19, "18 answers and the refusal");
}

#[tokio::test]
async fn a_suspended_key_stops_the_stage() {
    let server = Server::start(|_, _| Reply::json(403, r#"{"error":26,"message":"API Key Suspended"}"#)).await;
    let world = World::default();
    let stopped = world.process(&mut stage(&world, &server), &messages(&three())).await;
    assert!(matches!(&stopped, Err(StageError::Stop(reason)) if reason.contains("Suspended")), "{stopped:?}");
}

#[tokio::test]
async fn a_message_that_is_no_track_is_dead_and_holds_up_nobody() {
    let server = Server::start(|path, _| echo(path)).await;
    let world = World::default();
    let mut batch = messages(&three()[..1]);
    batch.insert(0, message(7, b"no JSON".to_vec()));
    batch.push(message(8, br#"{"schema_version":1,"observed_at":1,"run_id":"x","id":"","name":"x","artists":[]}"#.to_vec()));
    let processed = world.process(&mut stage(&world, &server), &batch).await.expect("a result");
    let endings: Vec<String> = processed.endings.iter().map(told).collect();
    assert_eq!(endings.first().map(String::as_str), Some("dead: undecodable"));
    assert_eq!(endings.get(1).map(String::as_str), Some("artist/a1+song/s1"));
    assert!(endings.get(2).is_some_and(|ending| ending.starts_with("dead: ")), "{endings:?}");
}

#[tokio::test]
async fn musicbrainz_fills_an_mbid_that_lastfm_does_not_give() {
    let server = Server::start(|path, _| {
        let body = r#"{"isrc":"GBUM71029604","recordings":[{"id":"b1a9c0e9-d987-4042-ae91-78d6a3267d69","title":"x"}]}"#;
        if path.starts_with("/ws/2/isrc/GBUM71029604") { Reply::json(200, body) } else { echo(path) }
    })
    .await;
    let options = MusicBrainzOptions { enabled: true, api_url: format!("{}/ws/2", server.url) };
    let musicbrainz = MusicBrainz::new(&http(), &options).expect("a client");
    let world = World::default();
    let matcher = Arc::new(Matcher::default());
    let mut stage = Listeners::new(client(&server.url), musicbrainz, matcher, world.freshness(), Metrics::new());
    let with_isrc = TopTrack { isrc: Some("GBUM71029604".to_owned()), ..track("s1", "One", "a1", "Queen") };
    let processed = world.process(&mut stage, &messages(&[with_isrc])).await.expect("a result");
    let mbid = records(&processed).into_iter().find_map(|record| match record.subject {
        Subject::Track { figures: FigureOutcome::Found(figures), .. } => figures.mbid,
        _ => None,
    });
    assert_eq!(mbid.as_deref(), Some("b1a9c0e9-d987-4042-ae91-78d6a3267d69"));
}

#[tokio::test]
async fn while_musicbrainz_is_waited_for_lastfm_is_not_asked_again() {
    let down = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let seen = Arc::clone(&down);
    let server = Server::start(move |path, _| {
        let body = r#"{"isrc":"GBUM71029604","recordings":[{"id":"b1a9c0e9-d987-4042-ae91-78d6a3267d69","title":"x"}]}"#;
        match path {
            path if !path.starts_with("/ws/2/isrc/") => echo(path),
            _ if seen.load(std::sync::atomic::Ordering::SeqCst) => Reply::html(500),
            _ => Reply::json(200, body),
        }
    })
    .await;
    let options = MusicBrainzOptions { enabled: true, api_url: format!("{}/ws/2", server.url) };
    let musicbrainz = MusicBrainz::new(&http(), &options).expect("a client");
    let (world, matcher) = (World::default(), Arc::new(Matcher::default()));
    let mut stage = Listeners::new(client(&server.url), musicbrainz, matcher, world.freshness(), Metrics::new());
    let with_isrc = TopTrack { isrc: Some("GBUM71029604".to_owned()), ..track("s1", "One", "a1", "Queen") };
    let batch = messages(&[with_isrc]);
    for _ in 0..3 {
        let processed = world.process(&mut stage, &batch).await.expect("a wait is no failure");
        assert!(processed.endings.is_empty() && processed.wait.is_some(), "{processed:?}");
    }
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    let mut processed = world.process(&mut stage, &batch).await.expect("a result");
    // MusicBrainz takes one call a second.
    while processed.endings.is_empty() {
        processed = world.process(&mut stage, &batch).await.expect("a result");
    }
    assert_eq!(records(&processed).len(), 2);
    assert_eq!((server.count("track.getInfo"), server.count("artist.getInfo")), (1, 1), "{:?}", server.calls());
}

#[tokio::test]
async fn an_artist_that_lastfm_can_never_answer_takes_no_song_down_with_it() {
    let server = Server::start(|path, _| {
        let refused = path.contains("artist.getInfo") && path.contains("Cursed");
        if refused { Reply::json(200, r#"{"error":7,"message":"Invalid resource specified"}"#) } else { echo(path) }
    })
    .await;
    let world = World::default();
    let mut stage = stage(&world, &server);
    let tracks = [track("s1", "One", "a1", "Cursed"), track("s2", "Two", "a1", "Cursed"), track("s3", "Three", "a2", "Queen")];
    let processed = world.process(&mut stage, &messages(&tracks)).await.expect("a result");
    let found = records(&processed);
    let songs: Vec<&str> = found
        .iter()
        .filter_map(|record| match &record.subject {
            Subject::Track { song_id, figures: FigureOutcome::Found(_) } => Some(song_id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(songs, ["s1", "s2", "s3"]);
    let refused = |record: &&ListenerFigures| matches!(&record.subject, Subject::Artist { figures: FigureOutcome::Missing { reason } } if reason == "rejected");
    assert_eq!(found.iter().filter(refused).count(), 1);
    assert_eq!(server.calls().iter().filter(|call| call.contains("artist.getInfo") && call.contains("Cursed")).count(), 1);
}
