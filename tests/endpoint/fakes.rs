//! Stand-ins for what the endpoint tells about: a mailbox and a store made of plain memory, and actors on strings.

#![allow(dead_code, reason = "shared by the tests and the preview, which use different parts")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use parking_lot::Mutex;
use reprise::mailbox::{
    Committed, Ledger, Mailbox, MailboxError, Message, Outgoing, Session, SessionSpec, TopicPartition, TopicReport, Watermarks,
};
use reprise::observe::Metrics;
use reprise::observe::endpoint::GroupView;
use reprise::records::{Envelope, Record, Topic, Version, now_micros};
use reprise::store::{
    Advance, Applied, Change, Claim, Finding, Known, KnownKey, MigrationReport, Store, StoreError, Summary, TABLES,
};
use reprise::supervision::{Board, ChildSpec, Control, Exit, Launch, SupervisorSpec, WaitGuard};

pub const PARTITIONS: i32 = 6;

/// Messages kept of each partition.
const KEPT: usize = 100;

/// The consumer groups of a whole deployment.
pub fn groups() -> Vec<GroupView> {
    let of = |stage: &str, topics: &[Topic]| GroupView {
        stage: stage.to_owned(),
        group: format!("reprise.{stage}"),
        topics: topics.to_vec(),
    };
    vec![
        of("tracks", &[Topic::MusicQueries]),
        of("artists", &[Topic::MusicTopTracks]),
        of("listeners", &[Topic::MusicTopTracks]),
        of("audio", &[Topic::MusicTopTracks]),
        of("transform", &[Topic::MusicTopTracks, Topic::ArtistGenres, Topic::LastfmArtist, Topic::MusicAudioFeatures]),
        of("load", &[Topic::MusicTransformed]),
    ]
}

#[derive(Debug, Default)]
struct Log {
    high: i64,
    messages: VecDeque<Message>,
}

#[derive(Debug, Default)]
struct Logs {
    logs: BTreeMap<TopicPartition, Log>,
    committed: BTreeMap<String, BTreeMap<TopicPartition, (i64, Ledger)>>,
    problem: Option<String>,
}

/// A mailbox that only remembers.
#[derive(Debug, Default)]
pub struct FakeMailbox(Mutex<Logs>);

impl FakeMailbox {
    /// Appends a record to a partition.
    pub fn append<T: Record>(&self, partition: i32, body: T) {
        let envelope = Envelope::new(now_micros(), "fake-run", body);
        let outgoing = Outgoing::record(&envelope, partition, 0).expect("our records encode");
        self.push(outgoing.at, outgoing.key, outgoing.payload, outgoing.version);
    }

    /// Appends any bytes.
    pub fn push(&self, at: TopicPartition, key: String, payload: Vec<u8>, version: Option<Version>) {
        let mut logs = self.0.lock();
        let log = logs.logs.entry(at).or_default();
        if log.messages.len() == KEPT {
            log.messages.pop_front();
        }
        let message = Message { at, offset: log.high, key, payload, appended_at: now_micros(), version };
        log.messages.push_back(message);
        log.high += 1;
    }

    /// How many messages wait for `group` in a partition.
    pub fn lag(&self, group: &str, at: TopicPartition) -> i64 {
        let logs = self.0.lock();
        let done = logs.committed.get(group).and_then(|of| of.get(&at)).map_or(0, |(next, _)| *next);
        logs.logs.get(&at).map_or(0, |log| log.high) - done
    }

    /// Works off up to `most` messages of a partition, all with one ending; answers how many.
    pub fn work_off(&self, group: &str, at: TopicPartition, most: i64) -> i64 {
        let mut logs = self.0.lock();
        let high = logs.logs.get(&at).map_or(0, |log| log.high);
        let (next, ledger) = logs.committed.entry(group.to_owned()).or_default().entry(at).or_default();
        let done = most.min(high - *next).max(0);
        *next += done;
        let count = u64::try_from(done).unwrap_or(0);
        ledger.add(&Ledger { consumed: count, emitted: count, produced: count, ..Ledger::default() });
        done
    }

    /// From now on every question is answered with this problem.
    pub fn break_with(&self, problem: Option<&str>) {
        self.0.lock().problem = problem.map(str::to_owned);
    }

    fn check(&self) -> Result<(), MailboxError> {
        self.0.lock().problem.as_ref().map_or(Ok(()), |problem| Err(MailboxError::Unavailable(problem.clone())))
    }

    fn claims(&self, group: &str) -> Vec<Committed> {
        let logs = self.0.lock();
        let of_group = logs.committed.get(group).into_iter().flatten();
        of_group.map(|(at, (next_offset, ledger))| Committed { at: *at, next_offset: *next_offset, ledger: *ledger }).collect()
    }
}

impl Mailbox for FakeMailbox {
    fn describe(&self) -> String {
        "fake".to_owned()
    }

    fn create_topics(&self, _partitions: i32) -> Result<Vec<TopicReport>, MailboxError> {
        Ok(Vec::new())
    }

    fn partitions(&self) -> Result<i32, MailboxError> {
        Ok(PARTITIONS)
    }

    fn open(&self, _spec: &SessionSpec) -> Result<Box<dyn Session>, MailboxError> {
        Err(MailboxError::Invalid("the fake has no sessions".to_owned()))
    }

    fn watermarks(&self, topic: Topic) -> Result<Vec<Watermarks>, MailboxError> {
        self.check()?;
        let logs = self.0.lock();
        let of = |partition| {
            let at = TopicPartition { topic, partition };
            Watermarks { at, low: 0, high: logs.logs.get(&at).map_or(0, |log| log.high) }
        };
        Ok((0..PARTITIONS).map(of).collect())
    }

    fn committed(&self, group: &str, topics: &[Topic]) -> Result<Vec<Committed>, MailboxError> {
        self.check()?;
        Ok(self.claims(group).into_iter().filter(|made| topics.contains(&made.at.topic)).collect())
    }

    fn read(&self, at: TopicPartition, from: i64, max: usize) -> Result<Vec<Message>, MailboxError> {
        self.check()?;
        let logs = self.0.lock();
        let all = logs.logs.get(&at).into_iter().flat_map(|log| &log.messages);
        Ok(all.filter(|message| message.offset >= from).take(max).cloned().collect())
    }

    fn offsets_at(&self, _topic: Topic, _time: i64) -> Result<Vec<(TopicPartition, i64)>, MailboxError> {
        Ok(Vec::new())
    }
}

/// A store that only counts. Its ledger is the loader group's of the mailbox.
#[derive(Debug)]
pub struct FakeStore {
    mailbox: Arc<FakeMailbox>,
    rows: Mutex<BTreeMap<String, i64>>,
    problem: Mutex<Option<String>>,
}

impl FakeStore {
    pub fn new(mailbox: &Arc<FakeMailbox>) -> FakeStore {
        let rows = TABLES.map(|table| (table.to_owned(), 0)).into();
        FakeStore { mailbox: Arc::clone(mailbox), rows: Mutex::new(rows), problem: Mutex::default() }
    }

    pub fn add_rows(&self, table: &str, count: i64) {
        *self.rows.lock().entry(table.to_owned()).or_default() += count;
    }

    pub fn break_with(&self, problem: Option<&str>) {
        *self.problem.lock() = problem.map(str::to_owned);
    }

    /// Until this is dropped, whoever asks for rows gets no answer at all.
    pub fn freeze(&self) -> impl Drop + '_ {
        self.rows.lock()
    }

    fn check(&self) -> Result<(), StoreError> {
        self.problem.lock().as_ref().map_or(Ok(()), |problem| Err(StoreError::Unavailable(problem.clone())))
    }
}

impl Store for FakeStore {
    fn describe(&self) -> String {
        "fake".to_owned()
    }

    fn migrate(&self) -> Result<MigrationReport, StoreError> {
        Ok(MigrationReport { applied: Vec::new(), present: 0 })
    }

    fn claim(&self, _partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        Ok(Vec::new())
    }

    fn apply(&self, _changes: &[Change], _advances: &[Advance]) -> Result<Applied, StoreError> {
        Ok(Applied::default())
    }

    fn known(&self, _keys: &[KnownKey]) -> Result<BTreeMap<KnownKey, Known>, StoreError> {
        Ok(BTreeMap::new())
    }

    fn ledger(&self) -> Result<Vec<(Claim, Ledger)>, StoreError> {
        self.check()?;
        let claims = self.mailbox.claims("reprise.load").into_iter();
        Ok(claims.map(|made| (Claim { at: made.at, epoch: 1, next_offset: Some(made.next_offset) }, made.ledger)).collect())
    }

    fn row_counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        self.check()?;
        Ok(self.rows.lock().clone())
    }

    fn digest(&self) -> Result<String, StoreError> {
        Ok(String::new())
    }

    fn dump(&self, _line: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        Ok(())
    }

    fn check(&self) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }

    fn summary(&self) -> Result<Summary, StoreError> {
        Ok(Summary::default())
    }
}

/// What a puppet is made to do.
#[derive(Debug, Default)]
struct Strings {
    wait: Option<(String, Option<i64>)>,
    fail: Option<Exit>,
    crash: bool,
}

/// Holds a puppet's strings, over all its incarnations.
#[derive(Debug, Clone, Default)]
pub struct Puppeteer(Arc<Mutex<Strings>>);

impl Puppeteer {
    /// Declares a wait, or ends it.
    pub fn wait(&self, reason: Option<&str>, until: Option<i64>) {
        self.0.lock().wait = reason.map(|reason| (reason.to_owned(), until));
    }

    /// Ends the incarnation with this.
    pub fn fail(&self, exit: Exit) {
        self.0.lock().fail = Some(exit);
    }

    /// Makes the incarnation panic.
    pub fn crash(&self) {
        self.0.lock().crash = true;
    }

    /// The puppet as a child of a supervisor.
    pub fn child(&self, name: &str) -> ChildSpec {
        let strings = self.clone();
        ChildSpec::worker(name, move |launch| Ok(Puppet { strings: strings.clone(), launch, waiting: None, paused: false }))
    }
}

/// How often a puppet feels its strings.
const FEEL: Duration = Duration::from_millis(20);

/// An actor that does what its puppeteer says.
#[derive(Debug)]
pub struct Puppet {
    strings: Puppeteer,
    launch: Launch,
    waiting: Option<((String, Option<i64>), WaitGuard)>,
    paused: bool,
}

impl Puppet {
    fn feel(&mut self, ctx: &mut Context<Self>) {
        let (wait, fail, crash) = {
            let mut strings = self.strings.0.lock();
            (strings.wait.clone(), strings.fail.take(), std::mem::take(&mut strings.crash))
        };
        assert!(!crash, "the strings were torn");
        if let Some(exit) = fail {
            self.launch.exit.set(exit);
            return ctx.stop();
        }
        let wait = if self.paused { Some(("paused by the operator".to_owned(), None)) } else { wait };
        if self.waiting.as_ref().map(|(wait, _)| wait) != wait.as_ref() {
            self.waiting = wait.map(|wait| (wait.clone(), self.launch.pulse.waiting(wait.0, wait.1)));
        }
        self.launch.pulse.beat();
    }
}

impl Actor for Puppet {
    type Context = Context<Puppet>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(FEEL, |puppet, ctx| puppet.feel(ctx));
    }
}

impl Handler<Control> for Puppet {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Pause => self.paused = true,
            Control::Resume => self.paused = false,
            Control::Drain => ctx.stop(),
            Control::Crash => panic!("crash injected into {}", self.launch.name),
        }
    }
}

/// Everything an endpoint tells about, made of fakes.
#[derive(Debug)]
pub struct Stage {
    pub metrics: Metrics,
    pub board: Board,
    pub mailbox: Arc<FakeMailbox>,
    pub store: Arc<FakeStore>,
    pub puppets: BTreeMap<&'static str, Puppeteer>,
}

const WORKERS: [&str; 7] = ["tracks", "artists", "listeners", "audio", "dsp", "transform", "load"];

impl Stage {
    pub fn new() -> Stage {
        let metrics = Metrics::new();
        let mailbox = Arc::new(FakeMailbox::default());
        Stage {
            board: Board::new(metrics.clone()),
            metrics,
            store: Arc::new(FakeStore::new(&mailbox)),
            mailbox,
            puppets: WORKERS.map(|name| (name, Puppeteer::default())).into(),
        }
    }

    /// A tree like the real one, with puppets in it and `more` beside them.
    pub fn tree(&self, more: Vec<ChildSpec>) -> SupervisorSpec {
        let child = |name: &str| self.puppets.get(name).map_or_else(Puppeteer::default, Clone::clone).child(name);
        let group = |name: &str, children: Vec<ChildSpec>| ChildSpec::supervisor(SupervisorSpec::new(name, children));
        let groups = vec![
            group("observe", more),
            group("loading", vec![child("load")]),
            group("transforming", vec![child("transform")]),
            group("analysis", vec![child("dsp"), child("audio")]),
            group("extract", vec![child("listeners"), child("artists"), child("tracks")]),
        ];
        SupervisorSpec::new("root", groups)
    }

    pub fn puppet(&self, name: &str) -> &Puppeteer {
        self.puppets.get(name).expect("a worker of this name")
    }
}
