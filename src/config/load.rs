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
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] or [`ConfigError::File`] if there is a `.env` that cannot be read or understood.
    pub fn of_process(file: Option<PathBuf>) -> Result<Sources, ConfigError> {
        let mut environment = read_dotenv(Path::new(".env"))?;
        // Names and values that are no UTF-8 cannot be ours.
        environment.extend(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Ok(Sources { file, environment })
    }
}

/// The variables of a `.env` file; none if there is no such file.
fn read_dotenv(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let shown = path.display().to_string();
    let unreadable = |problem: String| ConfigError::Unreadable { path: shown.clone(), problem };
    if path.is_dir() {
        // What Docker makes of a mounted file that is not there.
        return Err(unreadable("it is a directory; expected a file of NAME=value lines, or nothing".to_owned()));
    }
    let variables = match dotenvy::from_path_iter(path) {
        Ok(variables) => variables,
        Err(error) if error.not_found() => return Ok(BTreeMap::new()),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let mut found = BTreeMap::new();
    for variable in variables {
        let (name, value) = variable.map_err(|error| match error {
            dotenvy::Error::LineParse(part, _) => {
                let problem = format!(
                    "{} is no NAME=value: a value with spaces, quotes or # needs quotes around it, and a quote its end",
                    dotenv_line(path, &part)
                );
                ConfigError::File { path: shown.clone(), problem }
            }
            error => unreadable(error.to_string()),
        })?;
        found.insert(name, value);
    }
    Ok(found)
}

/// Which line of a `.env` file it is, by the part that could not be understood. Its name only: the rest may be a secret.
fn dotenv_line(path: &Path, part: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let part = part.lines().next().unwrap_or_default().trim();
    let holds = |line: &str| {
        line.trim() == part || line.split_once('=').is_some_and(|(_, value)| !part.is_empty() && value.trim().starts_with(part))
    };
    match text.lines().enumerate().find(|(_, line)| holds(line)) {
        Some((number, line)) => match line.split_once('=') {
            Some((name, _)) => format!("line {} ({})", number + 1, name.trim()),
            None => format!("line {}", number + 1),
        },
        None => "a line".to_owned(),
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
        problem: error.message().to_owned(),
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
    let wrong = |error: toml::de::Error| ConfigError::File { path: shown.clone(), problem: place_and_problem(&text, &error) };
    toml::from_str::<Config>(&text).map_err(wrong)?;
    toml::from_str::<Table>(&text).map_err(wrong)
}

/// Line, key and what is wrong there. Not the line itself, as toml would show it: it may hold a secret.
fn place_and_problem(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return error.message().to_owned() };
    let line = before.matches('\n').count() + 1;
    let key = text.lines().nth(line - 1).and_then(|line| line.split_once('=')).map_or("", |(key, _)| key.trim());
    let is_key =
        !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    let place = if is_key { format!("line {line} ({key})") } else { format!("line {line}") };
    format!("{place}: {}", error.message())
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
    fn a_secret_in_a_mistake_never_shows() {
        for wrong in [
            "[spotify]\nclient_secert = \"hunter2\"",
            "[spotify]\nclient_secret = hunter2",
            "[spotify]\nclient_secret = [\"hunter2\"]",
            "[spotify]\nclient_secret = {hunter2 = 1}",
            "[spotify]\nclient_secret = \"hunter2",
            "[spotify]\nclient_secret = \"hunter2\"\nclient_secret = \"hunter2\"",
            "[lastfm]\napi_key = 7172737475",
            "[lastfm]\napi_key = 71727374.75",
        ] {
            let file = tempfile::NamedTempFile::new().expect("a temporary file");
            std::fs::write(file.path(), wrong).expect("written");
            let sources = Sources { file: Some(file.path().to_path_buf()), environment: BTreeMap::new() };
            let message = load(&sources).expect_err("wrong").to_string();
            assert!(!message.contains("hunter2") && !message.contains("71727374"), "{message}");
            assert!(message.contains("line 2") || message.contains("line 3"), "{message}");
        }
    }

    #[test]
    fn a_dotenv_file_that_cannot_be_understood_is_named_and_not_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let read = |text: &str| {
            let file = folder.path().join("dotenv");
            std::fs::write(&file, text).expect("written");
            read_dotenv(&file)
        };
        assert_eq!(read("A=1\n# a comment\nB='2 3'\n").expect("valid").len(), 2);
        for wrong in ["REPRISE__SPOTIFY__CLIENT_SECRET=hunter2 hunter2", "A=1\nREPRISE__SPOTIFY__CLIENT_SECRET=\"hunter2\nB=2"]
        {
            let message = read(wrong).expect_err("wrong").to_string();
            assert!(message.contains("CLIENT_SECRET") && !message.contains("hunter2"), "{message}");
        }
        assert!(read_dotenv(folder.path()).expect_err("a directory").to_string().contains("directory"));
        assert!(read_dotenv(&folder.path().join("none")).expect("no file is no error").is_empty());
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
