//! The audio stage.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use reprise::extract::{AnalystError, Audio, ClipAnalyst, PreviewOptions, ProviderKind};
use reprise::observe::Metrics;
use reprise::records::{AudioFeatures, ClipOutcome, Features, TopTrack, parse};
use reprise::stage::{Ending, Processed, Wait};
use reprise::store::{KnownKey, KnownSource};

use crate::previews::{MP3, deezer_track, options, previews};
use crate::rig::{Reply, Server, World, messages, track};

/// Analyses by content: the text in a clip says how it goes.
#[derive(Debug, Default)]
struct Analyst {
    busy: Rc<Cell<usize>>,
    most_busy: Rc<Cell<usize>>,
    seen: RefCell<usize>,
}

impl ClipAnalyst for Analyst {
    fn features_version(&self) -> u32 {
        3
    }

    fn analyze(&self, clip: Vec<u8>, hint: Option<String>) -> LocalBoxFuture<'static, Result<Features, AnalystError>> {
        *self.seen.borrow_mut() += 1;
        let (busy, most) = (Rc::clone(&self.busy), Rc::clone(&self.most_busy));
        Box::pin(async move {
            busy.set(busy.get() + 1);
            most.set(most.get().max(busy.get()));
            tokio::time::sleep(Duration::from_millis(20)).await;
            busy.set(busy.get() - 1);
            let text = String::from_utf8_lossy(&clip).into_owned();
            let unusable = |reason| Err(AnalystError::Unusable { reason, detail: "x".to_owned() });
            match text {
                text if text.contains("broken") => unusable("undecodable"),
                text if text.contains("short") => unusable("too_short"),
                text if text.contains("panic") => Err(AnalystError::Panicked("index out of bounds".to_owned())),
                text if text.contains("slow") => Err(AnalystError::Deadline(Duration::from_secs(60))),
                text if text.contains("restart") => Err(AnalystError::Unavailable("restarting".to_owned())),
                _ => Ok(Features {
                    duration_s: 30.0,
                    bpm: (hint.as_deref() == Some("mp3")).then_some(120.0),
                    ..Features::default()
                }),
            }
        })
    }
}

fn stage(world: &World, options: &PreviewOptions, analyst: &Rc<Analyst>) -> Audio {
    let analyst: Rc<dyn ClipAnalyst> = Rc::clone(analyst) as Rc<dyn ClipAnalyst>;
    Audio::new(previews(options), analyst, world.freshness(), Metrics::new(), 4)
}

fn records(processed: &Processed) -> Vec<AudioFeatures> {
    let emitted = processed.endings.iter().filter_map(|ending| match ending {
        Ending::Emitted(records) => Some(records),
        _ => None,
    });
    emitted.flatten().map(|record| parse::<AudioFeatures>(&record.payload).expect("a record").record.body).collect()
}

/// Where the clip came from, or why there is none.
fn told(record: &AudioFeatures) -> &str {
    match &record.clip {
        ClipOutcome::Analyzed { clip_ref, .. } => clip_ref,
        ClipOutcome::Missing { reason, .. } => reason,
    }
}

fn with_isrc(id: &str) -> TopTrack {
    TopTrack { isrc: Some("GBUM71029604".to_owned()), ..track(id, "One Vision", "a1", "Queen") }
}

fn clip(text: &str) -> Reply {
    Reply::clip(&[MP3, text.as_bytes()].concat())
}

/// Deezer and iTunes, both with a clip: `deezer_clip` and `itunes_clip` say what is in them.
fn both(path: &str, url: &str, deezer_clip: Reply, itunes_clip: Reply) -> Reply {
    match path {
        path if path.starts_with("/deezer/") => {
            Reply::json(200, &deezer_track(7, "One Vision", "Queen", &format!("{url}/clip/deezer")))
        }
        path if path.starts_with("/itunes/") => Reply::json(
            200,
            &format!(
                r#"{{"results":[{{"trackId":9,"trackName":"One Vision","artistName":"Queen","trackTimeMillis":200000,"previewUrl":"{url}/clip/itunes"}}]}}"#
            ),
        ),
        "/clip/deezer" => deezer_clip,
        _ => itunes_clip,
    }
}

/// Starts a server that can name itself in its answers.
async fn serve(answer: impl Fn(&str, usize, &str) -> Reply + Send + Sync + 'static) -> Server {
    let own: std::sync::Arc<std::sync::OnceLock<String>> = std::sync::Arc::default();
    let known = std::sync::Arc::clone(&own);
    let server = Server::start(move |path, nth| answer(path, nth, known.get().map_or("", String::as_str))).await;
    own.set(server.url.clone()).expect("set once");
    server
}

const BOTH: [ProviderKind; 2] = [ProviderKind::Deezer, ProviderKind::Itunes];

async fn one(server: &Server, tracks: &[TopTrack]) -> (Processed, Rc<Analyst>) {
    let (world, analyst) = (World::default(), Rc::new(Analyst::default()));
    let mut stage = stage(&world, &options(&server.url, &BOTH), &analyst);
    (world.process(&mut stage, &messages(tracks)).await.expect("a result"), analyst)
}

#[tokio::test]
async fn a_clip_is_found_downloaded_and_analysed() {
    let server = serve(|path, _, url| both(path, url, clip("fine"), clip("fine"))).await;
    let (processed, _) = one(&server, &[with_isrc("s1")]).await;
    let found = records(&processed);
    let Some(ClipOutcome::Analyzed { provider, clip_ref, clip_sha256, features_version, features, matched }) =
        found.first().map(|record| &record.clip)
    else {
        panic!("{processed:?}")
    };
    assert_eq!((provider.as_str(), clip_ref.as_str(), *features_version), ("deezer", "deezer:track:7", 3));
    assert_eq!((clip_sha256.len(), features.bpm, matched), (64, Some(120.0), &None));
    assert_eq!(server.count("/itunes"), 0, "the first provider has it");
    let payload = format!("{processed:?}");
    assert!(!payload.contains("/clip/deezer"), "links are not stored");
}

#[tokio::test]
async fn a_broken_clip_sends_us_to_the_next_provider() {
    for (text, reason) in [("broken", "undecodable"), ("short", "too_short"), ("panic", "undecodable"), ("slow", "undecodable")]
    {
        let server = serve(move |path, _, url| both(path, url, clip(text), clip("fine"))).await;
        let (processed, analyst) = one(&server, &[with_isrc("s1")]).await;
        assert_eq!(records(&processed).iter().map(told).collect::<Vec<_>>(), ["itunes:track:9"], "{text}");
        assert_eq!((server.count("/clip/deezer"), *analyst.seen.borrow()), (2, 3), "{text}: looked at twice, then given up");

        let server = serve(move |path, _, url| both(path, url, clip(text), clip(text))).await;
        let (processed, _) = one(&server, &[with_isrc("s1")]).await;
        assert_eq!(records(&processed).iter().map(told).collect::<Vec<_>>(), [reason], "{text}");
    }
}

#[tokio::test]
async fn no_preview_anywhere_is_a_normal_outcome() {
    let server = serve(|path, _, _| {
        let nothing = if path.contains("/itunes") { r#"{"results":[]}"# } else { r#"{"data":[],"total":0}"# };
        Reply::json(200, if path.contains("isrc") { r#"{"error":{"code":800,"message":"no data"}}"# } else { nothing })
    })
    .await;
    let (processed, analyst) = one(&server, &[with_isrc("s1"), track("s2", "Two", "a1", "Queen")]).await;
    assert_eq!(records(&processed).iter().map(told).collect::<Vec<_>>(), ["no_preview", "no_preview"]);
    assert_eq!(*analyst.seen.borrow(), 0);
    assert_eq!(server.calls().len(), 5, "one by ISRC, two searches each");
}

#[tokio::test]
async fn an_expired_link_is_resolved_again() {
    let expired = || Reply::new(403, "", b"<Error><Code>AccessDenied</Code></Error>");
    let server =
        serve(move |path, nth, url| both(path, url, if nth < 3 { expired() } else { clip("fine") }, clip("fine"))).await;
    let (processed, _) = one(&server, &[with_isrc("s1")]).await;
    assert_eq!(records(&processed).iter().map(told).collect::<Vec<_>>(), ["deezer:track:7"]);
    assert_eq!((server.count("isrc"), server.count("/clip/deezer")), (2, 2));
}

#[tokio::test]
async fn passing_faults_do_not_change_what_is_stored() {
    let faults = [
        Reply::html(200),
        Reply::html(503),
        Reply::cut("ID3"),
        Reply::hang_up(),
        Reply::huge(1 << 40),
        clip("broken"),
        Reply::clip(b""),
    ];
    for fault in faults {
        let server =
            serve(move |path, nth, url| both(path, url, if nth == 1 { fault.clone() } else { clip("fine") }, clip("other")))
                .await;
        let (processed, _) = one(&server, &[with_isrc("s1")]).await;
        assert_eq!(records(&processed).iter().map(told).collect::<Vec<_>>(), ["deezer:track:7"]);
    }
}

#[tokio::test]
async fn a_throttled_provider_is_waited_for_and_not_passed_over() {
    let server = serve(|path, _, url| match path {
        path if path.contains("isrc:THROTTLED000") => {
            Reply::json(200, r#"{"error":{"code":4,"message":"Quota limit exceeded"}}"#)
        }
        path => both(path, url, clip("fine"), clip("fine")),
    })
    .await;
    let throttled = TopTrack { isrc: Some("THROTTLED000".to_owned()), ..with_isrc("s2") };
    let (world, analyst) = (World::default(), Rc::new(Analyst::default()));
    let mut stage = stage(&world, &options(&server.url, &BOTH), &analyst);
    let batch = messages(&[with_isrc("s1"), throttled]);
    let processed = world.process(&mut stage, &batch).await.expect("a wait is no failure");
    assert!(processed.wait.as_ref().is_some_and(|wait| wait.reason.contains("deezer")), "{processed:?}");
    assert!(processed.endings.len() < 2);
    assert_eq!(server.count("/itunes"), 0);
}

#[tokio::test]
async fn while_one_provider_is_waited_for_the_others_are_not_asked_again() {
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let seen = std::sync::Arc::clone(&down);
    let server = serve(move |path, _, url| match path {
        path if path.contains("isrc") => Reply::json(200, r#"{"error":{"code":800,"message":"no data"}}"#),
        path if path.starts_with("/deezer/") => Reply::json(200, r#"{"data":[],"total":0}"#),
        path if path.starts_with("/itunes/") && seen.load(std::sync::atomic::Ordering::SeqCst) => Reply::html(503),
        path => both(path, url, clip("fine"), clip("fine")),
    })
    .await;
    let (world, analyst) = (World::default(), Rc::new(Analyst::default()));
    let mut stage = stage(&world, &options(&server.url, &BOTH), &analyst);
    let batch = messages(&[with_isrc("s1")]);
    for _ in 0..3 {
        let processed = world.process(&mut stage, &batch).await.expect("a wait is no failure");
        assert!(processed.endings.is_empty() && processed.wait.is_some(), "{processed:?}");
    }
    assert_eq!((server.count("isrc"), server.count("/deezer/search")), (1, 1));
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    let processed = world.process(&mut stage, &batch).await.expect("a result");
    assert_eq!(records(&processed).iter().map(told).collect::<Vec<_>>(), ["itunes:track:9"]);
    assert_eq!((server.count("isrc"), server.count("/deezer/search")), (1, 1), "{:?}", server.calls());
}

#[tokio::test]
async fn a_clip_that_was_found_is_not_looked_for_again_while_the_pool_restarts() {
    let server = serve(|path, nth, url| both(path, url, clip(if nth < 4 { "restart" } else { "fine" }), clip("fine"))).await;
    let (world, analyst) = (World::default(), Rc::new(Analyst::default()));
    let mut stage = stage(&world, &options(&server.url, &BOTH), &analyst);
    let batch = messages(&[with_isrc("s1")]);
    let mut processed = world.process(&mut stage, &batch).await.expect("a wait is no failure");
    while processed.endings.is_empty() {
        processed = world.process(&mut stage, &batch).await.expect("a wait is no failure");
    }
    assert_eq!(records(&processed).iter().map(told).collect::<Vec<_>>(), ["deezer:track:7"]);
    assert_eq!(server.count("isrc"), 1, "{:?}", server.calls());
    assert!(server.count("/clip/deezer") > 1);
}

#[tokio::test]
async fn a_pool_that_restarts_is_waited_for() {
    let server = serve(|path, _, url| both(path, url, clip("restart"), clip("fine"))).await;
    let (processed, _) = one(&server, &[with_isrc("s1")]).await;
    assert!(processed.endings.is_empty());
    let wait = Wait { reason: "audio pool: restarting".to_owned(), pause: Duration::from_secs(1) };
    assert_eq!(processed.wait, Some(wait));
}

#[tokio::test]
async fn downloads_and_analyses_overlap_within_bounds() {
    let server = serve(|path, _, url| both(path, url, clip("fine"), clip("fine"))).await;
    let tracks: Vec<TopTrack> = (0..12).map(|n| with_isrc(&format!("s{n}"))).collect();
    let (processed, analyst) = one(&server, &tracks).await;
    let songs: Vec<String> = records(&processed).into_iter().map(|record| record.song_id).collect();
    assert_eq!(songs, (0..12).map(|n| format!("s{n}")).collect::<Vec<_>>(), "in order");
    assert!((2..=4).contains(&analyst.most_busy.get()), "{} at once", analyst.most_busy.get());
}

#[tokio::test]
async fn what_is_fresh_is_not_fetched_again_unless_the_analysis_is_newer() {
    let server = serve(|path, _, url| both(path, url, clip("fine"), clip("fine"))).await;
    let world = World::default();
    let key = |id: &str| KnownKey { source: KnownSource::SongAudio, id: id.to_owned() };
    world.knows(key("s1"), 3);
    world.knows(key("s2"), 2);
    let analyst = Rc::new(Analyst::default());
    let mut stage = stage(&world, &options(&server.url, &BOTH), &analyst);
    let processed = world.process(&mut stage, &messages(&[with_isrc("s1"), with_isrc("s2")])).await.expect("a result");
    assert_eq!(processed.endings.first(), Some(&Ending::Superseded("fresh")));
    assert_eq!(records(&processed).iter().map(|record| record.song_id.as_str()).collect::<Vec<_>>(), ["s2"]);
}

#[tokio::test]
async fn a_track_twice_in_a_batch_is_fetched_once() {
    let server = serve(|path, _, url| both(path, url, clip("fine"), clip("fine"))).await;
    let (processed, analyst) = one(&server, &[with_isrc("s1"), with_isrc("s1")]).await;
    assert_eq!(processed.endings.get(1), Some(&Ending::Superseded("fresh")));
    assert_eq!(*analyst.seen.borrow(), 1);
}
