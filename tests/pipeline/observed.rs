//! What `/metrics` says of a run under load and faults is what topics, database and APIs say themselves, counted anew.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reprise::mailbox::dead_letters::Letters;
use reprise::mailbox::{Ledger, Mailbox, TopicPartition, Watermarks};
use reprise::observe::endpoint::samples::Sample;
use reprise::records::{AudioFeatures, ClipOutcome, FigureOutcome, ListenerFigures, Record, Subject, Topic, parse};
use reprise::sandbox::{SandboxOptions, Wish};
use reprise::service::{StageName, open_mailbox, open_store, progress};
use reprise::store::{Store, TABLES};

use crate::backends::Servers;
use crate::bad_messages::append;
use crate::client::{ask, get};
use crate::process::{PATIENCE, Reprise, Settings, free_port, holds_within};
use crate::scene::{SMALL, Scene};
use crate::scrape::{Scrape, Scraper};

const TOKEN: &str = "observers-token";
const TRACKS: usize = 240;

/// Every metric of the contract, with its type and whether it is in seconds.
const CONTRACT: [(&str, &str, bool); 14] = [
    ("actor_up", "gauge", false),
    ("actor_restarts", "counter", false),
    ("actor_heartbeat_age", "gauge", true),
    ("actor_mailbox_depth", "gauge", false),
    ("actor_busy", "counter", true),
    ("records", "counter", false),
    ("batch", "histogram", true),
    ("consumer_lag", "gauge", false),
    ("dead_letters", "counter", false),
    ("api_requests", "counter", false),
    ("api_wait", "counter", true),
    ("rows", "counter", false),
    ("match_score", "histogram", false),
    ("clip", "histogram", true),
];

/// The budget of 50 ms is measured by `cargo bench --bench endpoint`: a machine that tests are run on is shared. What this finds is
/// a scrape that waits for a database or a broker.
const SCRAPE_P99_MAX: Duration = Duration::from_secs(2);

/// The sandbox hears of a request that a killed actor did not live to count: at most what it had under way.
const UNDER_WAY_MAX: u64 = 32;

struct Run {
    address: SocketAddr,
    mailbox: Arc<dyn Mailbox>,
    store: Arc<dyn Store>,
    process: Reprise,
    /// What the searches lead to, by the sandbox's own account.
    songs: u64,
    artists_killed: u64,
}

impl Run {
    fn start(scene: &Scene, settings: &Settings) -> Run {
        let port = free_port();
        let settings = settings.clone().with("observe.listen", format!("127.0.0.1:{port}")).with("observe.token", TOKEN);
        let config = settings.config();
        let (mailbox, store) = (open_mailbox(&config).expect("topics"), open_store(&config, "test").expect("tables"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let process = settings.start(&["run"]);
        let listens = || crate::process::get(port, "/livez").is_some();
        assert!(holds_within(PATIENCE, listens), "{}", process.log());
        let truth = scene.sandbox.truth(&Wish::new(scene.searches.clone(), &scene.sandbox.switches()));
        let songs = truth.tables.get("songs").map_or(0, Vec::len) as u64;
        assert!(songs > 200, "{songs} songs are enough to be busy with");
        Run { address, mailbox, store, process, songs, artists_killed: 0 }
    }

    fn order(&self, actor: &str, order: &str) -> u16 {
        let token = format!("Authorization: Bearer {TOKEN}");
        ask(self.address, "POST", &format!("/api/actors/{actor}/{order}"), &[&token]).status
    }

    fn ledger(&self, stage: StageName) -> Ledger {
        if stage != StageName::Load {
            return progress::standing(&*self.mailbox, stage).expect("a standing").ledger;
        }
        let mut ledger = Ledger::default();
        for (_, counts) in self.store.ledger().expect("a ledger") {
            ledger.add(&counts);
        }
        ledger
    }

    /// By partition, what the stage's group has not finished: messages, and offsets. Kafka's markers of transactions take
    /// offsets and are no messages; nobody can tell how many there are without reading.
    fn backlog(&self, stage: StageName) -> BTreeMap<TopicPartition, (i64, i64)> {
        let topics = stage.topics();
        let committed = self.mailbox.committed(&stage.group(), &topics).expect("commits");
        let next = |at| committed.iter().find(|made| made.at == at).map(|made| made.next_offset);
        let marks = topics.iter().flat_map(|topic| self.mailbox.watermarks(*topic).expect("watermarks"));
        let of = |mark: Watermarks| {
            let from = next(mark.at).unwrap_or(mark.low).max(mark.low);
            let offsets = mark.high - from;
            let most = usize::try_from(offsets).expect("no group is ahead of its topic");
            let messages = self.mailbox.read(mark.at, from, most).expect("messages").len();
            (mark.at, (i64::try_from(messages).expect("a count"), offsets))
        };
        marks.map(of).collect()
    }

    fn drained(&self, stages: &[StageName]) -> bool {
        let enough = progress::appended(&*self.mailbox, Topic::MusicTopTracks).is_ok_and(|count| count >= self.songs);
        enough && progress::is_drained(&*self.mailbox, stages).unwrap_or(false)
    }

    fn await_drained(&self, stages: &[StageName]) {
        assert!(holds_within(PATIENCE, || self.drained(stages)), "{}", self.process.log());
    }

    /// Every record of a topic.
    fn records<T: Record>(&self) -> Vec<T> {
        let marks = self.mailbox.watermarks(T::TOPIC).expect("watermarks");
        let messages = marks.iter().flat_map(|mark| {
            let most = usize::try_from(mark.high - mark.low).expect("a count");
            self.mailbox.read(mark.at, mark.low, most).expect("messages")
        });
        messages.filter_map(|message| parse::<T>(&message.payload).ok()).map(|parsed| parsed.record.body).collect()
    }
}

/// One message in each topic that no stage can read.
fn append_rubbish(mailbox: &dyn Mailbox) {
    for topic in Topic::ALL.into_iter().filter(|topic| *topic != Topic::MusicDeadLetters) {
        append(mailbox, topic, &[b"no JSON"]);
    }
}

const BUT_AUDIO: [StageName; 5] =
    [StageName::Tracks, StageName::Artists, StageName::Listeners, StageName::Transform, StageName::Load];

/// Kafka's last transaction ends with a marker, which a group that stands before it cannot tell from a message.
const MARKER: i64 = 1;

/// Everything but the clips first, then the clips: the backlog of a paused stage is counted in between.
fn play(run: &mut Run) {
    let emitted = |stage| Scrape::take(run.address).count("reprise_records_total", &[("stage", stage), ("outcome", "emitted")]);
    // Once it has begun: before, it owns no partitions whose backlog it could tell.
    assert!(holds_within(PATIENCE, || emitted("audio") >= 1), "{}", run.process.log());
    assert_eq!(run.order("audio", "pause"), 202);
    assert!(holds_within(PATIENCE, || emitted("artists") >= 5), "{}", run.process.log());
    assert_eq!(run.order("artists", "restart"), 202);
    run.artists_killed += 1;
    run.await_drained(&BUT_AUDIO);
    let backlog = run.backlog(StageName::Audio);
    assert!(backlog.values().map(|(messages, _)| messages).sum::<i64>() > 50, "{backlog:?}\n{}", run.process.log());
    let told = || {
        let scrape = Scrape::take(run.address);
        let of = |at: &TopicPartition| {
            let partition = at.partition.to_string();
            let labels = [("topic", at.topic.default_name()), ("partition", partition.as_str()), ("group", "reprise.audio")];
            scrape.of("reprise_consumer_lag", &labels).next().map(|sample| sample.value as i64)
        };
        backlog
            .iter()
            .all(|(at, (messages, offsets))| of(at).is_some_and(|told| (*messages..=offsets + MARKER).contains(&told)))
    };
    let lags =
        || Scrape::take(run.address).text.lines().filter(|line| line.contains("reprise.audio")).collect::<Vec<_>>().join("\n");
    assert!(holds_within(Duration::from_secs(10), told), "the backlog of a paused stage is {backlog:?}, told:\n{}", lags());
    assert_eq!(run.order("audio", "resume"), 202);
    run.await_drained(&StageName::FLOW);
}

/// The stages' counters against the ledgers that were committed with the offsets.
fn recount_records(run: &Run, scrape: &Scrape) {
    for stage in StageName::FLOW {
        let ledger = run.ledger(stage);
        let told = |outcome| scrape.count("reprise_records_total", &[("stage", stage.name()), ("outcome", outcome)]);
        let counted = (told("emitted"), told("superseded"), told("dead_lettered"));
        let kept = (ledger.emitted, ledger.superseded, ledger.dead_lettered);
        assert!(ledger.consumed > 0 && ledger.is_balanced(), "{stage:?}: {ledger:?}");
        if stage == StageName::Artists {
            // It was killed on the way: what it had just committed may be missing here, but nothing may be too much.
            assert!(counted.0 <= kept.0 && counted.1 <= kept.1 && counted.0 + counted.1 + 200 >= kept.0 + kept.1);
        } else {
            assert_eq!(counted, kept, "{stage:?}");
        }
    }
    let mut letters: BTreeMap<(String, String), u64> = BTreeMap::new();
    for entry in Letters::read(&*run.mailbox).expect("dead letters").entries.into_values() {
        *letters.entry((entry.letter.stage, entry.letter.reason.kind)).or_default() += 1;
    }
    assert_eq!(letters.values().sum::<u64>(), 9, "each rubbish once for each of its readers: {letters:?}");
    for ((stage, reason), count) in &letters {
        let told = scrape.count("reprise_dead_letters_total", &[("stage", stage), ("reason", reason)]);
        assert_eq!(told, *count, "dead letters of {stage} for {reason}");
    }
    assert_eq!(scrape.count("reprise_dead_letters_total", &[]), 9);
}

fn recount_lag(run: &Run, scrape: &Scrape) {
    let mut partitions = 0;
    for stage in StageName::FLOW {
        for at in run.backlog(stage).into_keys() {
            let partition = at.partition.to_string();
            let group = stage.group();
            let labels = [("topic", at.topic.default_name()), ("partition", partition.as_str()), ("group", group.as_str())];
            let told: Vec<f64> = scrape.of("reprise_consumer_lag", &labels).map(|sample| sample.value).collect();
            assert_eq!(told, [0.0], "all is worked off: {stage:?} {at}");
            partitions += 1;
        }
    }
    assert_eq!((partitions, scrape.of("reprise_consumer_lag", &[]).count()), (54, 54), "nine readings of six partitions");
}

/// Into an empty database, what was inserted is what is there.
fn recount_rows(run: &Run, scrape: &Scrape) {
    let rows = run.store.row_counts().expect("row counts");
    for table in TABLES {
        let told = scrape.count("reprise_rows_total", &[("table", table), ("effect", "inserted")]);
        assert_eq!(i64::try_from(told).ok(), rows.get(table).copied(), "rows of {table}");
    }
    assert_eq!(u64::try_from(rows["songs"]).ok(), Some(run.songs));
}

/// What was asked, against what the APIs heard.
fn recount_requests(scene: &Scene, scrape: &Scrape) {
    let calls = scene.sandbox.calls();
    let heard = |api: &str| calls.by_api.get(api).map_or(0, |calls| calls.calls);
    for (api, heard) in [
        ("spotify", heard("spotify") + heard("accounts")),
        ("lastfm", heard("lastfm")),
        ("deezer", heard("deezer")),
        ("itunes", heard("itunes")),
        ("clips", heard("clips")),
    ] {
        let told = scrape.count("reprise_api_requests_total", &[("api", api)]);
        // A request that got no answer may have been heard or not.
        let answered = |sample: &&Sample| sample.label("status").parse::<u16>().is_ok();
        let answered: f64 =
            scrape.of("reprise_api_requests_total", &[("api", api)]).filter(answered).map(|sample| sample.value).sum();
        let lost = if api == "spotify" { UNDER_WAY_MAX } else { 0 };
        let fits = answered as u64 <= heard && heard <= told + lost;
        assert!(heard > 0 && fits, "{api}: {told} counted, {answered} of them answered, {heard} heard");
    }
    let fault = |kind: &str| calls.faults.get(kind).copied().unwrap_or(0);
    // The APIs' own words for "try again" come with one of these statuses or with a 200.
    let perhaps = fault("try_again");
    let (mut told, mut given) = (0, 0);
    for (status, kind) in [("500", "server_error"), ("502", "bad_gateway"), ("503", "unavailable")] {
        let counted = scrape.count("reprise_api_requests_total", &[("status", status)]);
        (told, given) = (told + counted, given + fault(kind));
        assert!(
            fault(kind) > 0 && counted + UNDER_WAY_MAX >= fault(kind),
            "{status}: {counted} counted, {kind} {}",
            fault(kind)
        );
    }
    assert!(told <= given + perhaps, "{told} server errors counted, {given} given and {perhaps} perhaps");
    let waited = scrape.sum("reprise_api_wait_seconds_total", &[("reason", "backoff")]);
    assert!(waited > 0.0, "what failed is tried again after a pause");
}

/// Comparisons and clips against the records they led to.
fn recount_figures(run: &Run, scrape: &Scrape) {
    let (mut found, mut refused) = (BTreeMap::from([("artist", 0), ("track", 0)]), BTreeMap::new());
    for record in run.records::<ListenerFigures>() {
        let (subject, reason) = match &record.subject {
            Subject::Artist { figures } => ("artist", missing(figures)),
            Subject::Track { figures, .. } => ("track", missing(figures)),
        };
        match reason {
            None => *found.entry(subject).or_default() += 1,
            Some("no_match") => *refused.entry(subject).or_default() += 1,
            Some(_) => {}
        }
    }
    for subject in ["artist", "track"] {
        let told = |outcome| scrape.count("reprise_match_score_count", &[("subject", subject), ("outcome", outcome)]);
        assert_eq!(told("accepted"), found[subject], "{subject}");
        assert_eq!(told("rejected"), refused.get(subject).copied().unwrap_or(0), "{subject}");
    }
    let clips = run.records::<AudioFeatures>();
    let analyzed = clips.iter().filter(|record| matches!(record.clip, ClipOutcome::Analyzed { .. })).count() as u64;
    let step = |step| scrape.count("reprise_clip_seconds_count", &[("step", step)]);
    assert!(analyzed > 100 && step("analyze") >= analyzed, "{analyzed} records, {} analyses", step("analyze"));
    assert!(step("download") >= step("analyze"), "{} downloads", step("download"));
    assert!(step("resolve") >= clips.len() as u64, "{} look-ups for {} songs", step("resolve"), clips.len());
}

fn missing<T>(figures: &FigureOutcome<T>) -> Option<&str> {
    match figures {
        FigureOutcome::Found(_) => None,
        FigureOutcome::Missing { reason } => Some(reason),
    }
}

fn recount_actors(run: &Run, scrape: &Scrape) {
    let answer = get(run.address, "/api/actors").json();
    let actors = answer["actors"].as_array().expect("actors");
    assert!(actors.len() >= 15, "{answer}");
    for actor in actors {
        let name = actor["name"].as_str().expect("a name");
        let up = actor["state"] == "running" || actor["state"] == "waiting";
        assert_eq!(scrape.sum("reprise_actor_up", &[("actor", name)]), f64::from(u8::from(up)), "{actor}");
        let ages: Vec<f64> =
            scrape.of("reprise_actor_heartbeat_age_seconds", &[("actor", name)]).map(|age| age.value).collect();
        assert!(matches!(ages.as_slice(), [age] if (0.0..60.0).contains(age)), "{name}: {ages:?}");
        let restarts = scrape.count("reprise_actor_restarts_total", &[("actor", name)]);
        assert_eq!(Some(restarts), actor["restarts"].as_u64(), "{name}");
    }
    let killed = scrape.count("reprise_actor_restarts_total", &[("actor", "artists"), ("reason", "operator")]);
    assert_eq!((killed, scrape.count("reprise_actor_restarts_total", &[])), (run.artists_killed, run.artists_killed));
    for stage in StageName::FLOW.map(StageName::name) {
        let (busy, batches) = (scrape.sum("reprise_actor_busy_seconds_total", &[("actor", stage)]), [("stage", stage)]);
        let (sum, count) =
            (scrape.sum("reprise_batch_seconds_sum", &batches), scrape.count("reprise_batch_seconds_count", &batches));
        assert!(count > 0 && busy > 0.0 && (busy - sum).abs() < 1e-6, "{stage}: {count} batches, {sum} s, busy {busy} s");
        assert_eq!(scrape.sum("reprise_actor_mailbox_depth", &[("actor", stage)]), 0.0, "{stage} has nothing in hand");
    }
    assert_eq!(scrape.of("reprise_actor_mailbox_depth", &[("actor", "dsp")]).count(), 1);
}

fn contract(scrape: &Scrape) {
    for (name, kind, in_seconds) in CONTRACT {
        let name = format!("reprise_{name}{}", if in_seconds { "_seconds" } else { "" });
        let once = |line: &str| scrape.text.lines().filter(|told| told.starts_with(line)).count() == 1;
        assert!(once(&format!("# HELP {name} ")) && once(&format!("# TYPE {name} {kind}")), "{name}");
        assert!(!in_seconds || once(&format!("# UNIT {name} seconds")), "{name}");
        let samples = scrape.text.lines().any(|line| line.starts_with(&name));
        assert!(samples, "{name} has samples");
    }
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(scrape.sum("reprise_build_info", &version), 1.0);
}

fn what_is_told_is_true(scene: &Scene, settings: &Settings) {
    append_rubbish(&*open_mailbox(&settings.config()).expect("topics"));
    let mut run = Run::start(scene, settings);
    let scraper = Scraper::start(run.address);
    play(&mut run);
    let scraped = scraper.stop();
    eprintln!("under load: {}; at most {} series", scraped.told(), scraped.series_max);
    // The last batch is counted a moment after it is committed, and the lag measured while there is nothing to do.
    let settled = || Scrape::take(run.address).sum("reprise_consumer_lag", &[]) == 0.0 && counted(&run);
    assert!(holds_within(Duration::from_secs(30), settled), "{}", Scrape::take(run.address).text);
    let scrape = Scrape::take(run.address);
    contract(&scrape);
    recount_records(&run, &scrape);
    recount_lag(&run, &scrape);
    recount_rows(&run, &scrape);
    recount_requests(scene, &scrape);
    recount_figures(&run, &scrape);
    recount_actors(&run, &scrape);
    assert_eq!(scraped.backwards, Vec::<String>::new(), "counters only grow");
    assert!(scraped.series_max < 500, "{} series", scraped.series_max);
    assert!(scraped.quantile(0.99) < SCRAPE_P99_MAX, "{}", scraped.told());
    run.process.signal("TERM");
    assert_eq!(run.process.end(PATIENCE).code, Some(0));
}

fn counted(run: &Run) -> bool {
    let scrape = Scrape::take(run.address);
    let loaded = run.ledger(StageName::Load).consumed;
    ["emitted", "superseded", "dead_lettered"]
        .iter()
        .map(|outcome| scrape.count("reprise_records_total", &[("stage", "load"), ("outcome", outcome)]))
        .sum::<u64>()
        == loaded
}

const FAULTY: SandboxOptions = SandboxOptions { fault_rate: 0.1, artists: 600, tracks: 4_000, ..SMALL };

#[test]
fn metrics_are_what_topics_database_and_apis_say() {
    let scene = Scene::new(FAULTY, TRACKS);
    what_is_told_is_true(&scene, &scene.settings("observed"));
}

#[test]
fn metrics_are_what_kafka_postgresql_and_apis_say() {
    let Some(servers) = Servers::named("metrics_are_what_kafka_postgresql_and_apis_say") else { return };
    let scene = Scene::new(FAULTY, TRACKS);
    what_is_told_is_true(&scene, &servers.used_by(scene.settings("observed")));
}
