//! Reading the sources and laying them over each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use toml::{Table, Value};

use super::{Config, check};

/// Prefix of environment names.
const ENV_PREFIX: &str = "REPRISE__";

/// Why the configuration cannot be used. Names the key, what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("configuration file {path}: {problem}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        problem: String,
    },
    /// A file says something wrong.
    #[error("configuration file {path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// Line, key, found and expected.
        problem: String,
    },
    /// A variable says something wrong.
    #[error("environment variable {name} ({key}): {problem}")]
    Environment {
        /// The variable.
        name: String,
        /// The key it stands for.
        key: String,
        /// Found and expected.
        problem: String,
    },
    /// A value is out of range, or two do not go together.
    #[error("{key}: found {found}, expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// An entry of `queries` is wrong: which, what it says, what was expected.
    #[error("{0}")]
    Queries(String),
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config FILE`; by default `./reprise.toml` if it exists.
    pub file: Option<PathBuf>,
    /// Variables, `.env` already below the process's own.
    pub environment: BTreeMap<String, String>,
}

impl Sources {
    /// The given file, the process's environment, and `.env` of the working directory below it.
    pub fn of_process(file: Option<PathBuf>) -> Sources {
        let mut environment = BTreeMap::new();
        if let Ok(variables) = dotenvy::from_path_iter(Path::new(".env")) {
            environment.extend(variables.flatten());
        }
        // Names and values that are no UTF-8 cannot be ours.
        environment.extend(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Sources { file, environment }
    }
}

/// Reads, overlays and checks.
///
/// # Errors
/// See [`ConfigError`].
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut table = read_file(sources.file.as_deref())?;
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    for (name, value) in sources.environment.iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)) {
        overlay(&mut table, &defaults, name, value)?;
    }
    let config = Config::deserialize(Value::Table(table)).map_err(|error| ConfigError::File {
        path: sources.file.as_deref().map_or("reprise.toml".to_owned(), |path| path.display().to_string()),
        problem: error.to_string(),
    })?;
    check::check(&config)?;
    Ok(config)
}

fn read_file(named: Option<&Path>) -> Result<Table, ConfigError> {
    let default = Path::new("reprise.toml");
    let path = named.unwrap_or(default);
    let shown = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(Table::new()),
        Err(error) => return Err(ConfigError::Unreadable { path: shown, problem: error.to_string() }),
    };
    // Once as the real thing, for errors with line and key; once as a table, for the overlay.
    let wrong = |error: toml::de::Error| ConfigError::File { path: shown.clone(), problem: error.to_string() };
    toml::from_str::<Config>(&text).map_err(wrong)?;
    toml::from_str::<Table>(&text).map_err(wrong)
}

fn overlay(table: &mut Table, defaults: &Table, name: &str, text: &str) -> Result<(), ConfigError> {
    let path: Vec<String> = name[ENV_PREFIX.len()..].split("__").map(str::to_lowercase).collect();
    let value = typed(defaults, &path, text);
    insert(table, &path, value);
    Config::deserialize(Value::Table(table.clone())).map(drop).map_err(|error| ConfigError::Environment {
        name: name.to_owned(),
        key: path.join("."),
        problem: error.message().to_owned(),
    })
}

/// Text stays text where the key holds text; elsewhere it is read as TOML.
fn typed(defaults: &Table, path: &[String], text: &str) -> Value {
    let mut default = None;
    let mut level = Some(defaults);
    for key in path {
        default = level.and_then(|table| table.get(key));
        level = default.and_then(Value::as_table);
    }
    match default {
        Some(Value::String(_)) | None => Value::String(text.to_owned()),
        Some(_) => format!("value = {text}")
            .parse::<Table>()
            .ok()
            .and_then(|mut parsed| parsed.remove("value"))
            .unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return;
    }
    let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
    if !inner.is_table() {
        *inner = Value::Table(Table::new());
    }
    if let Some(inner) = inner.as_table_mut() {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let empty = tempfile::NamedTempFile::new().expect("a temporary file");
        load(&Sources { file: Some(empty.path().to_path_buf()), environment })
    }

    #[test]
    fn an_environment_variable_stands_over_the_default() {
        let config = with(&[("REPRISE__SPOTIFY__CLIENT_ID", "12345"), ("REPRISE__KAFKA__PARTITIONS", "12")]).expect("valid");
        assert_eq!(config.spotify.client_id, "12345");
        assert_eq!(config.kafka.partitions, 12);
    }

    #[test]
    fn librdkafka_properties_pass_through() {
        let config = with(&[("REPRISE__KAFKA__PROPERTIES__LINGER.MS", "7")]).expect("valid");
        assert_eq!(config.kafka.properties.get("linger.ms").map(String::as_str), Some("7"));
    }

    #[test]
    fn an_unknown_variable_is_named_with_its_key() {
        let message = with(&[("REPRISE__SPOTIFY__CLIENTID", "x")]).expect_err("unknown key").to_string();
        assert!(message.contains("REPRISE__SPOTIFY__CLIENTID") && message.contains("spotify.clientid"), "{message}");
    }

    #[test]
    fn a_wrong_value_says_key_found_and_expected() {
        let message = with(&[("REPRISE__MATCHING__ARTIST_THRESHOLD", "1.5")]).expect_err("out of range").to_string();
        assert!(
            message.contains("matching.artist_threshold") && message.contains("1.5") && message.contains("0.9"),
            "{message}"
        );
    }

    #[test]
    fn a_secret_in_the_configuration_never_shows() {
        let config = with(&[
            ("REPRISE__SPOTIFY__CLIENT_SECRET", "hunter2"),
            ("REPRISE__DATABASE__URL", "postgres://me:hunter2@localhost/music"),
            ("REPRISE__KAFKA__PROPERTIES__SASL.PASSWORD", "hunter2"),
            ("REPRISE__OBSERVE__TOKEN", "hunter2"),
            ("REPRISE__LASTFM__API_KEY", "hunter2"),
        ])
        .expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }

    #[test]
    fn the_example_file_explains_every_key_and_states_its_default() {
        let text = include_str!("../../reprise.example.toml");
        let example: Table = toml::from_str(text).expect("valid TOML");
        let defaults = Table::try_from(Config::default()).expect("a table");
        assert_eq!(paths("", &example), paths("", &defaults), "keys of the example and keys there are");
        assert_eq!(toml::from_str::<Config>(text).expect("a valid configuration"), Config::default());
        for optional in ["instance", "replication", "aliases"] {
            assert!(text.contains(&format!("# {optional} = ")), "{optional} has no default and stands as a comment");
        }
    }

    fn paths(prefix: &str, table: &Table) -> Vec<String> {
        table
            .iter()
            .flat_map(|(key, value)| match value {
                Value::Table(inner) if !inner.is_empty() => paths(&format!("{prefix}{key}."), inner),
                _ => vec![format!("{prefix}{key}")],
            })
            .collect()
    }
}
