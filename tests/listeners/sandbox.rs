//! Both stages against the sandbox with a fifth of all calls failing: what they find is what the sandbox says is true.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use reprise::config::Secret;
use reprise::extract::clients::lastfm::Lastfm;
use reprise::extract::clients::previews::Previews;
use reprise::extract::{AnalystError, Audio, ClipAnalyst, LastfmOptions, Listeners, PreviewOptions, ProviderKind};
use reprise::mailbox::Message;
use reprise::matching::Matcher;
use reprise::observe::Metrics;
use reprise::records::{
    AudioFeatures, ClipOutcome, Features, FigureOutcome, ListenerFigures, Record, Subject, TopTrack, parse,
};
use reprise::sandbox::truth::{Search, Truth, Wish};
use reprise::sandbox::{Sandbox, SandboxOptions};
use reprise::stage::{Ending, Processor};
use serde_json::Value;

use crate::rig::{World, http, messages, track};

/// Takes every clip for good: the bytes are compared by their hash.
struct Taster;

impl ClipAnalyst for Taster {
    fn features_version(&self) -> u32 {
        1
    }

    fn analyze(&self, _clip: Vec<u8>, _hint: Option<String>) -> LocalBoxFuture<'static, Result<Features, AnalystError>> {
        Box::pin(async { Ok(Features { duration_s: 30.0, ..Features::default() }) })
    }
}

const PROVIDERS: [ProviderKind; 2] = [ProviderKind::Deezer, ProviderKind::Itunes];

fn sandbox() -> (Sandbox, Truth) {
    let options = SandboxOptions { fault_rate: 0.2, artists: 150, tracks: 600, seed: 5, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).expect("a sandbox");
    let search = Search { q: "genre:rock".to_owned(), max_tracks: 60 };
    let mut wish = Wish::new(vec![search], &sandbox.switches());
    wish.providers = PROVIDERS.iter().map(|kind| kind.name().to_owned()).collect();
    wish.hashes = true;
    let truth = sandbox.truth(&wish);
    (sandbox, truth)
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_default().to_owned()
}

/// The tracks as Spotify would have told them.
fn tracks(truth: &Truth) -> Vec<TopTrack> {
    let names: BTreeMap<String, String> =
        truth.tables["artists"].iter().map(|row| (text(row, "artist_id"), text(row, "artist_name"))).collect();
    let song = |row: &Value| {
        let artist_id = text(row, "artist_id");
        TopTrack {
            isrc: row["isrc"].as_str().map(str::to_owned),
            duration_ms: row["duration_ms"].as_i64(),
            ..track(&text(row, "song_id"), &text(row, "song_name"), &artist_id, &names[&artist_id])
        }
    };
    truth.tables["songs"].iter().map(song).collect()
}

/// Works everything off, as the stage would, and answers the records.
async fn run<T: Record>(world: &World, processor: &mut dyn Processor, tracks: &[TopTrack]) -> Vec<T> {
    let batch = processor.subscription().batch_max;
    let mut left: Vec<Message> = messages(tracks);
    let mut found = Vec::new();
    while !left.is_empty() {
        let size = batch.min(left.len());
        let processed = world.process(processor, &left[..size]).await.expect("no failure");
        for ending in &processed.endings {
            let Ending::Emitted(records) = ending else { continue };
            world.append(records);
            found.extend(records.iter().map(|record| parse::<T>(&record.payload).expect("a record").record.body));
        }
        let dead = processed.endings.iter().find(|ending| matches!(ending, Ending::Dead(_)));
        assert!(dead.is_none(), "{dead:?}");
        left.drain(..processed.endings.len());
        if let Some(wait) = processed.wait {
            tokio::time::sleep(wait.pause).await;
        }
    }
    found
}

/// `source` misses of `entity` by id.
fn misses(truth: &Truth, entity: &str, source: &str) -> BTreeMap<String, String> {
    let wanted = truth.misses.iter().filter(|miss| miss["entity"] == entity && miss["source"] == source);
    wanted.map(|miss| (text(miss, "entity_id"), text(miss, "reason"))).collect()
}

/// Figures in one line: listeners and plays, or why there are none.
fn line<F>(figures: &FigureOutcome<F>, counts: impl Fn(&F) -> Option<i64>) -> String {
    match figures {
        FigureOutcome::Found(found) => format!("{:?}", counts(found)),
        FigureOutcome::Missing { reason } => reason.clone(),
    }
}

#[tokio::test]
async fn figures_are_those_of_the_truth_whatever_fails() {
    let (sandbox, truth) = sandbox();
    let options = LastfmOptions {
        api_key: Secret::new(reprise::sandbox::LASTFM_API_KEY),
        api_url: sandbox.urls().lastfm_url,
        calls_per_second: 500,
        ..LastfmOptions::default()
    };
    let lastfm = Lastfm::new(&http(), &options).expect("a client");
    let world = World::default();
    let mut stage = Listeners::new(lastfm, None, Arc::new(Matcher::default()), world.freshness(), Metrics::new());
    let records: Vec<ListenerFigures> = run(&world, &mut stage, &tracks(&truth)).await;

    let found: BTreeMap<String, String> = records
        .iter()
        .map(|record| match &record.subject {
            Subject::Artist { figures } => (record.key(), line(figures, |found| found.listeners)),
            Subject::Track { figures, .. } => (record.key(), line(figures, |found| found.listeners)),
        })
        .collect();
    assert_eq!(found.len(), records.len(), "each thing once");
    let mut expected = BTreeMap::new();
    for (table, id, entity, column) in
        [("artists", "artist_id", "artist", "total_listeners"), ("songs", "song_id", "song", "song_listeners")]
    {
        let missing = misses(&truth, entity, "lastfm");
        for row in truth.tables[table].iter().filter(|row| row["role"] != "album") {
            let id = text(row, id);
            let value = missing.get(&id).cloned().unwrap_or_else(|| format!("{:?}", row[column].as_i64()));
            expected.insert(format!("{entity}/{id}"), value);
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn clips_are_those_of_the_truth_whatever_fails() {
    let (sandbox, truth) = sandbox();
    let options = PreviewOptions {
        providers: PROVIDERS.to_vec(),
        deezer_url: sandbox.urls().deezer_url,
        itunes_url: sandbox.urls().itunes_url,
        deezer_calls_per_5s: 5_000,
        itunes_calls_per_minute: 50_000,
        ..PreviewOptions::default()
    };
    let previews = Previews::new(&http(), &options, Arc::new(Matcher::default())).expect("previews");
    let world = World::default();
    let mut stage = Audio::new(previews, Rc::new(Taster), world.freshness(), Metrics::new(), 8);
    let records: Vec<AudioFeatures> = run(&world, &mut stage, &tracks(&truth)).await;

    let rows: BTreeMap<String, &Value> =
        truth.tables["song_audio_features"].iter().map(|row| (text(row, "song_id"), row)).collect();
    assert_eq!(records.len(), truth.tables["songs"].len());
    assert!(rows.len() > 20 && rows.len() < records.len(), "clips and misses are both there");
    for record in &records {
        match (&record.clip, rows.get(&record.song_id)) {
            (ClipOutcome::Missing { .. }, None) => {}
            (ClipOutcome::Analyzed { provider, clip_ref, clip_sha256, .. }, Some(row)) => {
                assert_eq!((provider, clip_sha256), (&text(row, "provider"), &text(row, "clip_sha256")), "{row}");
                let refs = row["clip_refs"].as_array().expect("a list");
                assert!(refs.iter().any(|known| known == clip_ref), "{clip_ref}: {row}");
            }
            (clip, row) => panic!("{}: {clip:?} where {row:?} is true", record.song_id),
        }
    }
}
