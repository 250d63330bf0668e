//! Opening what the configuration names.

use std::sync::Arc;

use anyhow::Context as _;

use crate::config::{Config, MailboxKind};
use crate::mailbox::kafka::{KafkaMailbox, KafkaOptions};
use crate::mailbox::{EmbeddedMailbox, EmbeddedOptions, Mailbox};
use crate::store::{Store, StoreOptions};

/// The configured mailbox. Kafka is not contacted yet.
///
/// # Errors
/// When the embedded log cannot be opened, or librdkafka refuses a property.
pub fn open_mailbox(config: &Config) -> anyhow::Result<Arc<dyn Mailbox>> {
    match config.mailbox.kind {
        MailboxKind::Embedded => {
            let options = EmbeddedOptions { dir: config.data_dir.clone(), names: config.topic_names() };
            std::fs::create_dir_all(&config.data_dir)
                .with_context(|| format!("data_dir {} cannot be made", config.data_dir.display()))?;
            Ok(Arc::new(EmbeddedMailbox::open(options)?))
        }
        MailboxKind::Kafka => {
            let options = KafkaOptions {
                brokers: config.kafka.brokers.clone(),
                properties: config.kafka.properties.clone(),
                names: config.topic_names(),
                prefix: config.topics.prefix.clone(),
                replication: config.kafka.replication,
                logger: slog_scope::logger(),
            };
            Ok(Arc::new(KafkaMailbox::open(options)?))
        }
    }
}

/// The configured database. Not contacted yet.
///
/// # Errors
/// When the URL is of no kind we know, or names what cannot be opened.
pub fn open_store(config: &Config, application: &str) -> anyhow::Result<Arc<dyn Store>> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("data_dir {} cannot be made", config.data_dir.display()))?;
    let mut options = StoreOptions::new(config.database_url().expose());
    options.pool_size = config.load.connections;
    options.application_name = application.to_owned();
    Ok(crate::store::open(&options)?)
}
