//! Ranges, and values that must go together.

use super::{Config, ConfigError};
use crate::extract::options::queries_problem;

/// Refuses what cannot work.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    for (key, value) in [
        ("matching.artist_threshold", config.matching.artist_threshold),
        ("matching.track_threshold", config.matching.track_threshold),
    ] {
        require((0.7..=0.9).contains(&value), key, &value.to_string(), "0.7 to 0.9")?;
    }
    let mode = config.matching.mode.as_str();
    require(matches!(mode, "composite" | "reference"), "matching.mode", mode, "\"composite\" or \"reference\"")?;
    let partitions = config.kafka.partitions;
    require((1..=1000).contains(&partitions), "kafka.partitions", &partitions.to_string(), "1 to 1000")?;
    let replication = config.kafka.replication.unwrap_or(1);
    require((1..=10).contains(&replication), "kafka.replication", &replication.to_string(), "1 to 10")?;
    let batch = config.load.batch_max;
    require((1..=5000).contains(&batch), "load.batch_max", &batch.to_string(), "1 to 5000")?;
    let connections = config.load.connections;
    require((2..=100).contains(&connections), "load.connections", &connections.to_string(), "2 to 100")?;
    let workers = config.audio.workers;
    require(workers <= 256, "audio.workers", &workers.to_string(), "0 (one a core) to 256")?;
    let poison = config.supervision.poison_after;
    require(poison >= 1, "supervision.poison_after", &poison.to_string(), "1 or more")?;
    check_urls(config)?;
    if let Some(problem) = queries_problem(&config.queries) {
        return Err(ConfigError::Queries(problem));
    }
    let level = crate::observe::log::LevelFilter::parse(&config.log.level);
    level.map(drop).map_err(|problem| value("log.level", &config.log.level, &problem))
}

fn check_urls(config: &Config) -> Result<(), ConfigError> {
    for (key, url) in [
        ("spotify.api_url", &config.spotify.api_url),
        ("spotify.accounts_url", &config.spotify.accounts_url),
        ("lastfm.api_url", &config.lastfm.api_url),
        ("previews.deezer_url", &config.previews.deezer_url),
        ("previews.itunes_url", &config.previews.itunes_url),
        ("previews.spotify_embed_url", &config.previews.spotify_embed_url),
    ] {
        let parsed = url::Url::parse(url).ok().filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
        require(parsed.is_some(), key, &format!("{url:?}"), "an http or https address")?;
    }
    let url = &config.database.url;
    let scheme = url.expose().split(':').next().unwrap_or_default();
    let known = url.is_empty() || matches!(scheme, "sqlite" | "postgres" | "postgresql");
    require(known, "database.url", &format!("a URL that starts with {scheme:?}"), "sqlite:PATH or postgres://...")?;
    let listen = &config.observe.listen;
    let valid = listen.is_empty() || listen.parse::<std::net::SocketAddr>().is_ok();
    require(valid, "observe.listen", listen, "an address such as 127.0.0.1:9464, or \"\" for none")
}

fn require(valid: bool, key: &str, found: &str, expected: &str) -> Result<(), ConfigError> {
    if valid { Ok(()) } else { Err(value(key, found, expected)) }
}

fn value(key: &str, found: &str, expected: &str) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), found: found.to_owned(), expected: expected.to_owned() }
}
