//! The scheduler against a topic in memory, killed at the worst moments.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::mailbox::{Committed, Session, SessionSpec, TopicReport, Watermarks};

/// `music_queries` with two partitions, of which every second offset is a transaction mark, as in Kafka.
#[derive(Debug, Default)]
struct Queries {
    messages: Mutex<HashMap<i32, Vec<Message>>>,
    finished: HashMap<i32, i64>,
}

impl Queries {
    fn append(&self, requests: Vec<SearchRequest>) {
        for record in outgoing(requests, "run", 2).unwrap() {
            let mut messages = self.messages.lock().unwrap();
            let partition = messages.entry(record.at.partition).or_default();
            let offset = i64::try_from(partition.len()).unwrap() * 2;
            let (at, key, payload) = (record.at, record.key, record.payload);
            partition.push(Message { at, offset, key, payload, appended_at: now_micros(), version: record.version });
        }
    }

    fn ids(&self) -> Vec<String> {
        self.messages.lock().unwrap().values().flatten().map(|message| message.key.clone()).collect()
    }

    fn partition(&self, partition: i32) -> Vec<Message> {
        self.messages.lock().unwrap().get(&partition).cloned().unwrap_or_default()
    }
}

fn place(partition: i32) -> TopicPartition {
    TopicPartition { topic: Topic::MusicQueries, partition }
}

impl Mailbox for Queries {
    fn describe(&self) -> String {
        String::new()
    }
    fn create_topics(&self, _: i32) -> Result<Vec<TopicReport>, MailboxError> {
        Ok(Vec::new())
    }
    fn partitions(&self) -> Result<i32, MailboxError> {
        Ok(2)
    }
    fn open(&self, _: &SessionSpec) -> Result<Box<dyn Session>, MailboxError> {
        Err(MailboxError::Unavailable("no sessions here".into()))
    }
    fn watermarks(&self, _: Topic) -> Result<Vec<Watermarks>, MailboxError> {
        let high = |partition| i64::try_from(self.partition(partition).len()).unwrap() * 2;
        Ok((0..2).map(|partition| Watermarks { at: place(partition), low: 0, high: high(partition) }).collect())
    }
    fn committed(&self, _: &str, _: &[Topic]) -> Result<Vec<Committed>, MailboxError> {
        let committed = |(partition, next): (&i32, &i64)| Committed {
            at: place(*partition),
            next_offset: *next,
            ledger: Default::default(),
        };
        Ok(self.finished.iter().map(committed).collect())
    }
    fn read(&self, at: TopicPartition, from: i64, max: usize) -> Result<Vec<Message>, MailboxError> {
        Ok(self.partition(at.partition).into_iter().filter(|message| message.offset >= from).take(max).collect())
    }
    fn offsets_at(&self, _: Topic, time: i64) -> Result<Vec<(TopicPartition, i64)>, MailboxError> {
        let offset = |partition| {
            let messages = self.partition(partition);
            messages.iter().find(|message| message.appended_at >= time).map_or(messages.len() as i64 * 2, |found| found.offset)
        };
        Ok((0..2).map(|partition| (place(partition), offset(partition))).collect())
    }
}

fn queries(every: &str) -> Vec<QueryOptions> {
    let query = |q: &str| QueryOptions { q: q.into(), every: every.parse().unwrap(), ..QueryOptions::default() };
    vec![query("love"), query("hate")]
}

fn open(path: &Path, every: &str, topic: &Queries) -> Scheduler {
    let options = SchedulerOptions { jitter: Period::seconds(0) };
    let mut scheduler = Scheduler::open(path, queries(every), &options).unwrap();
    scheduler.recover(topic).unwrap();
    scheduler
}

async fn tick(scheduler: &mut Scheduler, topic: &Queries) -> Result<usize, StageError> {
    let unfinished = async || unfinished_requests(topic, "reprise.tracks").map_err(|error| StageError::Failed(error.into()));
    let publish = async |requests| {
        topic.append(requests);
        Ok(())
    };
    scheduler.tick(unfinished, publish).await
}

#[tokio::test]
async fn each_query_is_published_once_and_again_when_it_is_due_and_finished() {
    let (folder, mut topic) = (tempfile::tempdir().unwrap(), Queries::default());
    let mut scheduler = open(&folder.path().join("schedule.json"), "1s", &topic);
    assert_eq!(tick(&mut scheduler, &topic).await.unwrap(), 2);
    assert_eq!(tick(&mut scheduler, &topic).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(tick(&mut scheduler, &topic).await.unwrap(), 0, "both are still worked on");
    topic.finished = HashMap::from([(0, 100), (1, 100)]);
    assert_eq!(tick(&mut scheduler, &topic).await.unwrap(), 2);
    assert_eq!(topic.ids().into_iter().collect::<BTreeSet<_>>().len(), 4);
}

#[tokio::test]
async fn a_kill_between_publishing_and_writing_the_diary_doubles_nothing() {
    let (folder, topic) = (tempfile::tempdir().unwrap(), Queries::default());
    let path = folder.path().join("schedule.json");
    let mut scheduler = open(&path, "6h", &topic);
    assert_eq!(tick(&mut scheduler, &topic).await.unwrap(), 2);
    fs::remove_file(&path).unwrap();
    assert_eq!(tick(&mut open(&path, "6h", &topic), &topic).await.unwrap(), 0);
    assert_eq!(topic.ids().len(), 2);
}

#[tokio::test]
async fn a_kill_before_publishing_loses_nothing() {
    let (folder, topic) = (tempfile::tempdir().unwrap(), Queries::default());
    let path = folder.path().join("schedule.json");
    let mut scheduler = open(&path, "6h", &topic);
    let refused = scheduler
        .tick(async || Ok(BTreeSet::new()), async |_| Err(StageError::wait("mailbox: away", Duration::from_secs(1))))
        .await;
    assert!(matches!(refused, Err(StageError::Wait(_))));
    assert_eq!(tick(&mut scheduler, &topic).await.unwrap(), 2, "the same process tries again");
    assert_eq!(tick(&mut open(&path, "6h", &topic), &topic).await.unwrap(), 0);
}

#[tokio::test]
async fn the_diary_remembers_what_the_topic_no_longer_keeps() {
    let (folder, topic) = (tempfile::tempdir().unwrap(), Queries::default());
    let path = folder.path().join("schedule.json");
    tick(&mut open(&path, "30d", &topic), &topic).await.unwrap();
    let emptied = Queries::default();
    assert_eq!(tick(&mut open(&path, "30d", &emptied), &emptied).await.unwrap(), 0);
}

#[test]
fn a_damaged_diary_counts_as_none_and_an_unreadable_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schedule.json");
    fs::write(&path, b"{\"written_at\": 17").unwrap();
    let options = SchedulerOptions::default();
    assert!(Scheduler::open(&path, queries("6h"), &options).is_ok());
    let error = Scheduler::open(folder.path(), queries("6h"), &options).unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error:#}");
}

#[test]
fn unusable_queries_are_refused_by_position() {
    let problem = |change: fn(&mut Vec<QueryOptions>)| {
        let mut queries = queries("6h");
        change(&mut queries);
        queries_problem(&queries).unwrap_or_default()
    };
    assert!(problem(|queries| queries[1].q = " ".into()).contains("queries[1].q"));
    assert!(problem(|queries| queries[0].max_tracks = 1_001).contains("queries[0].max_tracks is 1001"));
    assert!(problem(|queries| queries[1].market = Some("usa".into())).contains("queries[1].market"));
    assert!(problem(|queries| queries[1].q = "love".into()).contains("queries[1] repeats queries[0]"));
    assert_eq!(problem(|_| {}), "");
}

#[test]
fn queries_are_read_from_the_configuration_with_defaults() {
    let read = |text: &str| toml::from_str::<QueryOptions>(text);
    let query = read("q = \"love\"\nevery = \"0 4 * * 1\"").unwrap();
    assert_eq!((query.max_tracks, query.every.to_string().as_str()), (200, "0 4 * * 1"));
    assert!(read("q = \"love\"\nevery = \"often\"").unwrap_err().to_string().contains("\"6h\""));
    assert!(read("q = \"love\"\nlimit = 5").unwrap_err().to_string().contains("limit"));
}
