//! The sections of `reprise.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Period, Secret};
use crate::extract::clients::options::{LastfmOptions, MusicBrainzOptions, PreviewOptions};
use crate::extract::options::{HttpOptions, QueryOptions, SchedulerOptions, SpotifyOptions};
use crate::records::{Topic, TopicNames};

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where what must survive a restart is kept: embedded topics and database, parked accounts, instance slots.
    pub data_dir: PathBuf,
    /// Name of this process among the instances of the deployment; by default host, data directory and a free slot.
    pub instance: Option<String>,
    /// An API is not asked again for what it answered less than this ago.
    pub refresh_after: Period,
    /// Searches, and how often to repeat them.
    pub queries: Vec<QueryOptions>,
    /// How the queries are spread.
    pub scheduler: SchedulerOptions,
    /// See [`TopicsSection`].
    pub topics: TopicsSection,
    /// See [`MailboxSection`].
    pub mailbox: MailboxSection,
    /// See [`KafkaSection`].
    pub kafka: KafkaSection,
    /// See [`DatabaseSection`].
    pub database: DatabaseSection,
    /// How the one HTTP client behaves.
    pub http: HttpOptions,
    /// Spotify's Web API.
    pub spotify: SpotifyOptions,
    /// Last.fm's API.
    pub lastfm: LastfmOptions,
    /// MusicBrainz, an optional source of MBIDs.
    pub musicbrainz: MusicBrainzOptions,
    /// Where 30-second clips come from.
    pub previews: PreviewOptions,
    /// See [`MatchingSection`].
    pub matching: MatchingSection,
    /// See [`AudioSection`].
    pub audio: AudioSection,
    /// See [`LoadSection`].
    pub load: LoadSection,
    /// See [`SupervisionSection`].
    pub supervision: SupervisionSection,
    /// See [`ObserveSection`].
    pub observe: ObserveSection,
    /// See [`LogSection`].
    pub log: LogSection,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("./reprise-data"),
            instance: None,
            refresh_after: Period::days(7),
            queries: Vec::new(),
            scheduler: SchedulerOptions::default(),
            topics: TopicsSection::default(),
            mailbox: MailboxSection::default(),
            kafka: KafkaSection::default(),
            database: DatabaseSection::default(),
            http: HttpOptions::default(),
            spotify: SpotifyOptions::default(),
            lastfm: LastfmOptions::default(),
            musicbrainz: MusicBrainzOptions::default(),
            previews: PreviewOptions::default(),
            matching: MatchingSection::default(),
            audio: AudioSection::default(),
            load: LoadSection::default(),
            supervision: SupervisionSection::default(),
            observe: ObserveSection::default(),
            log: LogSection::default(),
        }
    }
}

impl Config {
    /// The database's URL: the configured one, or SQLite in the data directory.
    pub fn database_url(&self) -> Secret {
        if self.database.url.is_empty() {
            Secret::new(format!("sqlite:{}", self.data_dir.join("reprise.db").display()))
        } else {
            self.database.url.clone()
        }
    }

    /// Every secret there is, for whoever has to make sure that none shows.
    pub fn secrets(&self) -> Vec<String> {
        let named = [&self.spotify.client_secret, &self.lastfm.api_key, &self.observe.token];
        let mut secrets: Vec<String> = named.map(|secret| secret.expose().to_owned()).into();
        secrets.extend(crate::store::secrets(self.database.url.expose()));
        let kafka = self.kafka.properties.iter().filter(|(name, _)| name.contains("password") || name.contains("secret"));
        secrets.extend(kafka.map(|(_, value)| value.clone()));
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }

    /// What the topics are called here.
    pub fn topic_names(&self) -> TopicNames {
        TopicNames::new(&self.topics.prefix, &self.topics.names)
    }
}

/// `[topics]`: what the topics are called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsSection {
    /// Put before every topic's name: several deployments can share a cluster.
    pub prefix: String,
    /// Other names for single topics: `names = { artist_genres = "profiles" }`.
    pub names: BTreeMap<Topic, String>,
}

/// Which mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailboxKind {
    /// An append-only log in SQLite in `data_dir`: one process, no server.
    #[default]
    Embedded,
    /// Any cluster that speaks Kafka's protocol.
    Kafka,
}

/// `[mailbox]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailboxSection {
    /// `embedded` or `kafka`.
    pub kind: MailboxKind,
}

/// `[kafka]`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSection {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Partitions of every topic, embedded too. More: more processes can share the work; never change it afterwards.
    pub partitions: i32,
    /// Replicas of topics that are created; by default three, or as many as there are brokers.
    pub replication: Option<i32>,
    /// Passed to librdkafka as they are, last word: `"security.protocol" = "SASL_SSL"`.
    #[serde(deserialize_with = "flat_properties")]
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaSection {
    fn default() -> Self {
        KafkaSection { brokers: "127.0.0.1:9092".to_owned(), partitions: 6, replication: None, properties: BTreeMap::new() }
    }
}

impl fmt::Debug for KafkaSection {
    /// Properties may hold passwords: only their names show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSection")
            .field("brokers", &self.brokers)
            .field("partitions", &self.partitions)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// `linger.ms = 5` in TOML is a table in a table; librdkafka wants `linger.ms` and text.
fn flat_properties<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    let mut flat = BTreeMap::new();
    flatten("", &table, &mut flat).map_err(serde::de::Error::custom)?;
    Ok(flat)
}

fn flatten(prefix: &str, table: &toml::Table, flat: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in table {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, flat)?,
            toml::Value::String(text) => drop(flat.insert(name, text.clone())),
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
                drop(flat.insert(name, value.to_string()));
            }
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                return Err(format!("kafka.properties.{name}: expected text, a number or a boolean, found {value}"));
            }
        }
    }
    Ok(())
}

/// `[database]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSection {
    /// `postgres://user:password@host/database` or `sqlite:PATH`; empty: SQLite in `data_dir`.
    pub url: Secret,
}

/// `[matching]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MatchingSection {
    /// From which score on two names are one artist, 0.7 to 0.9. Lower finds more, and more wrong ones.
    pub artist_threshold: f64,
    /// From which score on two tracks are the same recording, 0.7 to 0.9.
    pub track_threshold: f64,
    /// `composite`, or `reference` for the predecessor's difflib ratio.
    pub mode: String,
    /// A TSV file of aliases consulted first: name, canonical name or artist id.
    pub aliases: Option<PathBuf>,
}

impl Default for MatchingSection {
    fn default() -> Self {
        let defaults = crate::matching::Thresholds::default();
        MatchingSection {
            artist_threshold: defaults.artist,
            track_threshold: defaults.track,
            mode: "composite".to_owned(),
            aliases: None,
        }
    }
}

/// `[audio]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioSection {
    /// Threads that analyse clips; 0: one a core.
    pub workers: usize,
    /// A clip that takes longer is given up. A 30-second clip takes about a tenth of a second.
    pub deadline: Period,
}

impl Default for AudioSection {
    fn default() -> Self {
        AudioSection { workers: 0, deadline: Period::seconds(20) }
    }
}

/// `[load]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadSection {
    /// Most records a database transaction. Larger is faster, smaller loses less work to a crash.
    pub batch_max: usize,
    /// Most connections to the database.
    pub connections: u32,
}

impl Default for LoadSection {
    fn default() -> Self {
        LoadSection { batch_max: 500, connections: 8 }
    }
}

/// `[supervision]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisionSection {
    /// An actor without a sign of life for this long, declared waits aside, is killed and restarted.
    pub hang_after: Period,
    /// How long an actor may take to finish what it has in hand when the system stops.
    pub grace: Period,
    /// Restarts without progress that a supervisor takes ...
    pub restarts: u32,
    /// ... within this time, before it gives up and escalates.
    pub within: Period,
    /// The first wait before a restart; doubles up to `backoff_max`.
    pub backoff_initial: Period,
    /// The longest wait before a restart.
    pub backoff_max: Period,
    /// A batch that killed its actor this often is worked on message by message, and the one that kills is dead-lettered.
    pub poison_after: u32,
}

impl Default for SupervisionSection {
    fn default() -> Self {
        SupervisionSection {
            hang_after: Period::seconds(60),
            grace: Period::seconds(15),
            restarts: 8,
            within: Period::seconds(60),
            backoff_initial: Period(std::time::Duration::from_millis(100)),
            backoff_max: Period::seconds(5),
            poison_after: 3,
        }
    }
}

/// `[observe]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObserveSection {
    /// Where metrics and health are served; empty: nowhere.
    pub listen: String,
    /// Bearer token of the controls; empty: controls are refused.
    pub token: Secret,
}

impl Default for ObserveSection {
    fn default() -> Self {
        ObserveSection { listen: "127.0.0.1:9464".to_owned(), token: Secret::default() }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: an object a line.
    Json,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`; also by module: `info,reprise::mailbox=debug`.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        LogSection { format: LogFormat::Text, level: "info".to_owned() }
    }
}
