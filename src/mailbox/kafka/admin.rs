//! Making topics, and telling what exists otherwise than wanted.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::reader::Reader;
use super::{KafkaOptions, REACH, config, faults};
use crate::mailbox::{MAX_DEAD_LETTER_BYTES, MailboxError, TopicReport};
use crate::records::{Retention, Topic};

/// How long new topics may take to be known to every broker.
const VISIBLE: Duration = Duration::from_secs(20);

/// The settings that a topic should have.
fn settings(topic: Topic) -> Vec<(&'static str, String)> {
    let mut wanted = match topic.retention() {
        Retention::Delete(age) => vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", age.as_millis().to_string())],
        Retention::Compact => vec![
            ("cleanup.policy", "compact".to_owned()),
            // Compacted when a third is superseded, at the latest after a day: the log is what a rebuild has to read.
            ("min.cleanable.dirty.ratio", "0.33".to_owned()),
            ("max.compaction.lag.ms", "86400000".to_owned()),
        ],
    };
    if topic == Topic::MusicDeadLetters {
        wanted.push(("max.message.bytes", (MAX_DEAD_LETTER_BYTES + 100_000).to_string()));
    }
    wanted
}

/// Makes the missing topics and compares the others with what is wanted.
pub(super) fn create_topics(
    options: &KafkaOptions,
    reader: &Reader,
    partitions: i32,
) -> Result<Vec<TopicReport>, MailboxError> {
    let mut existing = HashMap::new();
    for topic in Topic::ALL {
        if let Some(count) = reader.find(topic)? {
            existing.insert(topic, count);
        }
    }
    let admin: AdminClient<DefaultClientContext> =
        config::admin(options).create().map_err(|error| faults::explain(options, "opening an admin client", &error))?;
    let missing: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| !existing.contains_key(topic)).collect();
    create(options, &admin, reader, &missing, partitions)?;
    wait_until_visible(reader, &missing, partitions)?;
    let described = describe(options, &admin, &existing);
    let report = |topic: Topic| {
        let count = existing.get(&topic).copied();
        let warnings = count.map(|count| differences(options, &described, topic, count, partitions));
        TopicReport {
            topic: options.names.name(topic).to_owned(),
            created: count.is_none(),
            partitions: count.unwrap_or(partitions),
            warnings: warnings.unwrap_or_default(),
        }
    };
    Ok(Topic::ALL.into_iter().map(report).collect())
}

fn create(
    options: &KafkaOptions,
    admin: &AdminClient<DefaultClientContext>,
    reader: &Reader,
    missing: &[Topic],
    partitions: i32,
) -> Result<(), MailboxError> {
    if missing.is_empty() {
        return Ok(());
    }
    let brokers = i32::try_from(reader.brokers()?).unwrap_or(1);
    let replicas = options.replication.unwrap_or(brokers.clamp(1, 3));
    let wanted: Vec<(Topic, Vec<(&str, String)>)> = missing.iter().map(|topic| (*topic, settings(*topic))).collect();
    let new: Vec<NewTopic<'_>> = wanted
        .iter()
        .map(|(topic, settings)| {
            let plain = NewTopic::new(options.names.name(*topic), partitions, TopicReplication::Fixed(replicas));
            settings.iter().fold(plain, |new, (key, value)| new.set(key, value))
        })
        .collect();
    let patience = AdminOptions::new().request_timeout(Some(REACH)).operation_timeout(Some(REACH));
    let doing = "making topics";
    let results = block_on(admin.create_topics(&new, &patience))
        .ok_or_else(|| MailboxError::Unavailable(format!("kafka at {}: {doing}: no answer in time", options.brokers)))?
        .map_err(|error| faults::explain(options, doing, &error))?;
    for result in results {
        match result {
            // Another instance was quicker.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(faults::from_code(options, doing, code, &format!("{name}: {code}"))),
        }
    }
    Ok(())
}

fn wait_until_visible(reader: &Reader, made: &[Topic], partitions: i32) -> Result<(), MailboxError> {
    let deadline = Instant::now() + VISIBLE;
    for topic in made {
        while !matches!(reader.find(*topic), Ok(Some(count)) if count >= partitions) {
            if Instant::now() >= deadline {
                let text = format!("{} was made, but is not visible after {VISIBLE:?}", topic.default_name());
                return Err(MailboxError::Unavailable(text));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// The settings of each topic by name, as far as the cluster tells.
type Described = HashMap<String, HashMap<String, String>>;

fn describe(options: &KafkaOptions, admin: &AdminClient<DefaultClientContext>, existing: &HashMap<Topic, i32>) -> Described {
    let resources: Vec<ResourceSpecifier<'_>> =
        existing.keys().map(|topic| ResourceSpecifier::Topic(options.names.name(*topic))).collect();
    if resources.is_empty() {
        return Described::new();
    }
    let patience = AdminOptions::new().request_timeout(Some(REACH));
    let Some(Ok(answer)) = block_on(admin.describe_configs(&resources, &patience)) else {
        // A cluster may forbid the question: the topics work all the same.
        slog::info!(options.logger, "The settings of the topics could not be read.");
        return Described::new();
    };
    let mut described = Described::new();
    for resource in answer.into_iter().flatten() {
        let OwnedResourceSpecifier::Topic(name) = resource.specifier else { continue };
        let settings = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
        described.insert(name, settings.collect());
    }
    described
}

/// What differs from what is wanted, and what to do about it.
fn differences(options: &KafkaOptions, described: &Described, topic: Topic, count: i32, wanted: i32) -> Vec<String> {
    let name = options.names.name(topic);
    let mut warnings = Vec::new();
    if count != wanted {
        warnings.push(format!(
            "{name} has {count} partitions, not {wanted}: the number cannot change, because records of one artist would lose \
             their order; set kafka.partitions = {count}"
        ));
    }
    let Some(known) = described.get(name) else { return warnings };
    // The rest is tuning, and up to the operator.
    for (key, value) in settings(topic).into_iter().filter(|(key, _)| matches!(*key, "cleanup.policy" | "retention.ms")) {
        let found = known.get(key).map_or("unknown", String::as_str);
        if found != value {
            warnings.push(format!(
                "{name} has {key} = {found}, not {value}: set it with kafka-configs.sh --alter --topic {name} \
                 --add-config {key}={value}"
            ));
        }
    }
    warnings
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for librdkafka's answer on this thread; `None` if it does not come. The admin client has futures only, and a
/// runtime must not be entered here: the caller may be inside one.
fn block_on<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let deadline = Instant::now() + REACH * 2;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
        let left = deadline.checked_duration_since(Instant::now())?;
        std::thread::park_timeout(left);
    }
}
