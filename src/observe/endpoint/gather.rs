//! Asks the mailbox and the database, on a thread of its own, so that no request ever waits for them.
//!
//! Handlers answer from the last [`Gathered`]. While the broker or the database is away, the thread waits for it and the
//! figures grow old; `gathered_at` says how old, and `problems` why. One that does not even refuse to answer holds the thread
//! up: that is seen from the outside, by the [`Silence`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use serde::Serialize;

use super::EndpointSources;
use super::flow::{Position, TopicView, set_rates, topic_views};
use super::latest::{DeadLetterView, LetterNews, Names, RecordView, letter_news, record_view};
use super::silence::{Question, Silence};
use crate::mailbox::{Ledger, MailboxError, Message, TopicPartition, Watermarks};
use crate::observe::log;
use crate::records::{Topic, now_micros};
use crate::store::Claim;
use crate::supervision::KillSwitch;

/// The stage whose offsets and ledger live in the database: its commits to the mailbox are advisory.
const LOADER: &str = "load";

/// Between two looks, at least: shorter is livelier, longer asks less of broker and database.
const PAUSE_MIN: Duration = Duration::from_millis(1000);

/// A look that takes long is followed by a pause this many times as long: at most a tenth of the time is spent asking.
const PAUSE_FACTOR: u32 = 9;

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How soon the thread notices that nobody needs it any more.
const NAP: Duration = Duration::from_millis(100);

/// Dead letters and records kept to be looked at.
const LETTERS_KEPT: usize = 200;
const RECORDS_KEPT: usize = 40;

/// Messages read from a partition at a time, and partitions read for records at a time: bounds on one look.
const LETTERS_READ: i64 = 50;
const RECORDS_READ: i64 = 8;
const PARTITIONS_READ: usize = 3;

/// What was found out last.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Gathered {
    /// When, microseconds since the Unix epoch; 0 for never.
    pub gathered_at: i64,
    /// Every topic with its readers.
    pub topics: Vec<TopicView>,
    /// Rows by table.
    pub rows: BTreeMap<String, i64>,
    /// The newest dead letters, newest first. Not part of the live stream: payloads every second would be too much.
    #[serde(skip)]
    pub dead_letters: Vec<DeadLetterView>,
    /// The newest transformed records, newest first.
    pub records: Vec<RecordView>,
    /// Why the mailbox could not be asked.
    pub mailbox_problem: Option<String>,
    /// Why the database could not be asked.
    pub store_problem: Option<String>,
}

impl Gathered {
    /// What could not be asked, for people.
    pub fn problems(&self) -> Vec<String> {
        let told = |what: &str, problem: &Option<String>| problem.as_ref().map(|problem| format!("{what}: {problem}"));
        [told("mailbox", &self.mailbox_problem), told("database", &self.store_problem)].into_iter().flatten().collect()
    }
}

/// The last findings, shared between the thread that gathers and everybody who answers.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    gathered: Arc<RwLock<Arc<Gathered>>>,
    silence: Silence,
}

impl Findings {
    /// As they are now.
    pub fn now(&self) -> Arc<Gathered> {
        let gathered = Arc::clone(&self.gathered.read());
        let Some((question, since)) = self.silence.lasting() else { return gathered };
        let mut told = Gathered::clone(&gathered);
        let problem = Some(format!("no answer for {} s", since.as_secs()));
        match question {
            Question::Topics => told.mailbox_problem = problem,
            Question::Ledger | Question::Rows => told.store_problem = problem,
        }
        Arc::new(told)
    }
}

/// Starts gathering, until the switch is thrown.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(sources: &EndpointSources, findings: &Findings, kill: &KillSwitch) -> std::io::Result<()> {
    let gatherer = Gatherer {
        sources: sources.clone(),
        findings: findings.clone(),
        read_to: BTreeMap::new(),
        names: Names::default(),
        last: None,
    };
    let kill = kill.clone();
    let gather = move || {
        log::actor::this_thread_serves("endpoint");
        gatherer.run(&kill);
    };
    thread::Builder::new().name("endpoint-gather".to_owned()).spawn(gather).map(drop)
}

/// What the loader's ledger says.
type Claims = Vec<(Claim, Ledger)>;

struct Gatherer {
    sources: EndpointSources,
    findings: Findings,
    /// Up to where each partition was read for looking at.
    read_to: BTreeMap<TopicPartition, i64>,
    names: Names,
    last: Option<(Instant, Vec<TopicView>)>,
}

impl Gatherer {
    fn run(mut self, kill: &KillSwitch) {
        while !kill.is_killed() {
            let started = Instant::now();
            let gathered = self.gather();
            // Readiness waits for the end of a problem: it must not be found out late because the problem took long.
            let factor = if gathered.problems().is_empty() { PAUSE_FACTOR } else { 0 };
            *self.findings.gathered.write() = Arc::new(gathered);
            let pause = started.elapsed().saturating_mul(factor).clamp(PAUSE_MIN, PAUSE_MAX);
            let asleep = Instant::now();
            while asleep.elapsed() < pause && !kill.is_killed() {
                thread::sleep(NAP);
            }
        }
    }

    fn gather(&mut self) -> Gathered {
        let (store, silence) = (Arc::clone(&self.sources.store), self.findings.silence.clone());
        let mut gathered = Gathered::clone(&self.findings.now());
        // The quicker question first: it tells sooner that there is no answer.
        let ledger = silence.over(Question::Ledger, || store.ledger());
        match silence.over(Question::Rows, || store.row_counts()) {
            Ok(rows) => (gathered.rows, gathered.store_problem) = (rows, None),
            Err(error) => gathered.store_problem = Some(error.to_string()),
        }
        match silence.over(Question::Topics, || self.ask_mailbox(&mut gathered, ledger.ok())) {
            Ok(()) => gathered.mailbox_problem = None,
            Err(error) => gathered.mailbox_problem = Some(error.to_string()),
        }
        gathered.gathered_at = now_micros();
        gathered
    }

    fn ask_mailbox(&mut self, gathered: &mut Gathered, ledger: Option<Claims>) -> Result<(), MailboxError> {
        let mut marks = BTreeMap::new();
        for topic in Topic::ALL {
            marks.insert(topic, self.sources.mailbox.watermarks(topic)?);
        }
        let asked = Instant::now();
        let mut topics = topic_views(&self.sources.groups, &marks, &self.positions(ledger)?);
        if let Some((earlier, views)) = &self.last {
            set_rates(&mut topics, views, asked.duration_since(*earlier).as_secs_f64());
        }
        self.last = Some((asked, topics.clone()));
        gathered.topics = topics;
        self.look_at_letters(&marks, gathered)?;
        self.look_at_records(&marks, gathered)
    }

    fn positions(&self, mut ledger: Option<Claims>) -> Result<BTreeMap<String, Vec<Position>>, MailboxError> {
        let mut positions = BTreeMap::new();
        for group in &self.sources.groups {
            // A database that is away has been reported already; the advisory commits are the next best answer.
            let loaded = if group.stage == LOADER { ledger.take() } else { None };
            let of_group: Vec<Position> = match loaded {
                Some(claims) => claims
                    .into_iter()
                    .map(|(claim, ledger)| Position { at: claim.at, next_offset: claim.next_offset, ledger })
                    .collect(),
                None => (self.sources.mailbox.committed(&group.group, &group.topics)?.into_iter())
                    .map(|made| Position { at: made.at, next_offset: Some(made.next_offset), ledger: made.ledger })
                    .collect(),
            };
            positions.insert(group.group.clone(), of_group);
        }
        Ok(positions)
    }

    fn look_at_letters(
        &mut self,
        marks: &BTreeMap<Topic, Vec<Watermarks>>,
        gathered: &mut Gathered,
    ) -> Result<(), MailboxError> {
        let all = marks.get(&Topic::MusicDeadLetters).map_or(&[][..], Vec::as_slice);
        for message in self.news(all, LETTERS_READ, all.len())? {
            // A mark follows its letter in the same partition.
            match letter_news(&message) {
                Some(LetterNews::GivenUp(view)) => gathered.dead_letters.push(*view),
                Some(LetterNews::Settled(id)) => gathered.dead_letters.retain(|letter| letter.id != id),
                None => {}
            }
        }
        gathered.dead_letters.sort_by_key(|letter| std::cmp::Reverse(letter.at));
        gathered.dead_letters.truncate(LETTERS_KEPT);
        Ok(())
    }

    fn look_at_records(
        &mut self,
        marks: &BTreeMap<Topic, Vec<Watermarks>>,
        gathered: &mut Gathered,
    ) -> Result<(), MailboxError> {
        let all = marks.get(&Topic::MusicTransformed).map_or(&[][..], Vec::as_slice);
        for message in self.news(all, RECORDS_READ, PARTITIONS_READ)? {
            let Some(mut view) = record_view(&message) else { continue };
            self.names.settle(&mut view);
            gathered.records.push(view);
        }
        gathered.records.sort_by_key(|record| std::cmp::Reverse(record.at));
        gathered.records.truncate(RECORDS_KEPT);
        Ok(())
    }

    /// The last `most` messages of up to `partitions` partitions that grew since they were read, longest unread first.
    fn news(&mut self, marks: &[Watermarks], most: i64, partitions: usize) -> Result<Vec<Message>, MailboxError> {
        let read_to = |mark: &Watermarks| self.read_to.get(&mark.at).copied().unwrap_or(0);
        // A topic made anew starts over below what was read.
        let mut grown: Vec<(&Watermarks, i64)> = marks.iter().map(|mark| (mark, read_to(mark))).collect();
        grown.retain(|(mark, read)| mark.high != *read);
        grown.sort_by_key(|(mark, read)| std::cmp::Reverse(mark.high.saturating_sub(*read)));
        let mut messages = Vec::new();
        for (mark, read) in grown.into_iter().take(partitions) {
            let unread = if read <= mark.high { read } else { 0 };
            let from = unread.max(mark.high.saturating_sub(most)).max(mark.low);
            if from < mark.high {
                messages.extend(self.sources.mailbox.read(mark.at, from, usize::try_from(most).unwrap_or(0))?);
            }
            self.read_to.insert(mark.at, mark.high);
        }
        Ok(messages)
    }
}
