//! What librdkafka's clients are told, and why.

use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::{ClientConfig, error::KafkaError};

use super::KafkaOptions;
use crate::mailbox::{MAX_DEAD_LETTER_BYTES, MailboxError, SessionSpec};

/// A record not acknowledged by then is given up and its transaction undone. Below [`TRANSACTION_MS`], so that the broker never
/// gives up first.
const DELIVERY_MS: u64 = 10_000;
/// The broker undoes a transaction left open this long: until then it blocks the readers of its partitions.
const TRANSACTION_MS: u64 = 20_000;
/// A process silent this long loses its partitions. Shorter loses them to a pause of the machine, longer delays the others.
const SESSION_MS: u64 = 10_000;
/// How often the ends of the partitions are learnt, for the lag.
const STATISTICS_MS: u64 = 1_000;

/// How long to wait for deliveries: librdkafka reports each one by then.
pub(super) const DELIVERY: Duration = Duration::from_millis(DELIVERY_MS + 2_000);

fn base(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", "reprise")
        .set("socket.keepalive.enable", "true")
        // The default goes up to ten seconds: a broker that is back should be noticed sooner.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "1000")
        .set("log.connection.close", "false");
    config
}

fn finish(mut config: ClientConfig, options: &KafkaOptions) -> ClientConfig {
    for (key, value) in &options.properties {
        config.set(key, value);
    }
    config
}

/// A member of a consumer group.
pub(super) fn consumer(options: &KafkaOptions, spec: &SessionSpec) -> ClientConfig {
    let mut config = base(options);
    config
        .set("group.id", format!("{}{}", options.prefix, spec.group))
        // A member that comes back under its name takes its partitions up at once, even after a kill -9: no other member
        // notices, nobody waits for the session to time out.
        .set("group.instance.id", &spec.instance)
        // The same partition number of every topic goes to the same member: heads and order depend on it.
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("session.timeout.ms", SESSION_MS.to_string())
        .set("heartbeat.interval.ms", "2000")
        // A stage that hangs is the watchdog's business; this is the last resort.
        .set("max.poll.interval.ms", "600000")
        // Little is fetched ahead: what is fetched is lost at every pause, seek and rebalance.
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.queue.backoff.ms", "20")
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.wait.max.ms", "200")
        .set("statistics.interval.ms", STATISTICS_MS.to_string());
    finish(config, options)
}

/// A client that reads where it is told and joins no group.
pub(super) fn reader(options: &KafkaOptions, group: &str) -> ClientConfig {
    let mut config = base(options);
    config
        .set("group.id", format!("{}{group}", options.prefix))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("queued.min.messages", "5000")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.queue.backoff.ms", "20")
        // The end of a partition should be known at once.
        .set("fetch.wait.max.ms", "10");
    finish(config, options)
}

/// A producer; `transactional_id` makes it transactional.
pub(super) fn producer(options: &KafkaOptions, transactional_id: Option<&str>) -> ClientConfig {
    let mut config = base(options);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.codec", "snappy")
        // Publications come in batches: nothing is gained by waiting for more.
        .set("linger.ms", "2")
        .set("message.max.bytes", (MAX_DEAD_LETTER_BYTES + 100_000).to_string())
        .set("message.timeout.ms", DELIVERY_MS.to_string());
    if let Some(id) = transactional_id {
        config.set("transactional.id", id).set("transaction.timeout.ms", TRANSACTION_MS.to_string());
    }
    finish(config, options)
}

/// A client for administration.
pub(super) fn admin(options: &KafkaOptions) -> ClientConfig {
    finish(base(options), options)
}

/// Refuses properties that librdkafka does not know, before anything is started.
pub(super) fn check(options: &KafkaOptions) -> Result<(), MailboxError> {
    if options.brokers.trim().is_empty() {
        return Err(MailboxError::Invalid("kafka.brokers is empty: expected host:port, comma-separated".to_owned()));
    }
    match producer(options, None).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, reason, key, value)) => {
            Err(MailboxError::Invalid(format!("kafka.properties.{key} = {value:?}: {reason}")))
        }
        Err(error) => Err(MailboxError::Invalid(format!("kafka.properties: {error}"))),
    }
}
