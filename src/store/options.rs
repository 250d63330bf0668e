//! Where the database is, and how it is spoken to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::StoreError;

/// How to open a store.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://user:password@host:port/database`.
    pub url: String,
    /// Most connections held at once.
    pub pool_size: u32,
    /// What the database shows about who is connected (PostgreSQL only).
    pub application_name: String,
    /// How long to wait for a connection before the database counts as unavailable.
    pub connect_timeout: Duration,
    /// The longest a statement may take (PostgreSQL only). Too short breaks large batches on slow disks, too long hides a hang.
    pub statement_timeout: Duration,
    /// The longest wait for a lock: for another loader's row on PostgreSQL, for the one writer on SQLite.
    pub lock_timeout: Duration,
    /// After how long PostgreSQL ends a transaction whose client went silent: a stopped loader holds up its successor for
    /// at most this long.
    pub idle_in_transaction_timeout: Duration,
}

impl StoreOptions {
    /// The usual settings for `url`.
    pub fn new(url: impl Into<String>) -> StoreOptions {
        StoreOptions {
            url: url.into(),
            pool_size: 4,
            application_name: "reprise".to_owned(),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("url", &public_url(&self.url))
            .field("pool_size", &self.pool_size)
            .field("application_name", &self.application_name)
            .finish_non_exhaustive()
    }
}

/// Which database a URL means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Sqlite(PathBuf),
    Postgres,
}

/// # Errors
/// [`StoreError::Setup`] for anything but the two kinds, without showing what may be a password.
pub(super) fn target(url: &str) -> Result<Target, StoreError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains(":memory:") || path.contains('\0') {
            let problem = format!("sqlite:{path}: expected sqlite:PATH with the path of a file");
            return Err(StoreError::Setup(problem));
        }
        return Ok(Target::Sqlite(PathBuf::from(path)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return url::Url::parse(url)
            .map(|_| Target::Postgres)
            .map_err(|error| StoreError::Setup(format!("the PostgreSQL URL cannot be read: {error}")));
    }
    let scheme: String = url.chars().take_while(|c| c.is_ascii_alphanumeric()).take(20).collect();
    Err(StoreError::Setup(format!(
        "a store URL is sqlite:PATH or postgres://HOST/DATABASE, found one that starts with {scheme:?}"
    )))
}

/// Settings of the driver by which a connection to a host that is gone breaks within a minute. Of its own accord a system would
/// take two hours to notice, and the driver waits for an answer to connecting for ever.
fn bounds(connect_timeout: Duration) -> [(&'static str, u128); 5] {
    [
        // Whole seconds; less than two are taken for two.
        ("connect_timeout", connect_timeout.as_secs().max(2).into()),
        ("keepalives_idle", 20),
        ("keepalives_interval", 10),
        ("keepalives_count", 3),
        ("tcp_user_timeout", Duration::from_secs(30).as_millis()),
    ]
}

/// The PostgreSQL URL `url` with these bounds, apart from those that it sets itself.
pub(super) fn bounded(url: &str, connect_timeout: Duration) -> String {
    let Ok(parsed) = url::Url::parse(url) else { return url.to_owned() };
    let mut bounded = url.to_owned();
    let mut sign = if parsed.query().is_some() { '&' } else { '?' };
    for (name, value) in bounds(connect_timeout) {
        if !parsed.query_pairs().any(|(set, _)| set == name) {
            bounded.push_str(&format!("{sign}{name}={value}"));
            sign = '&';
        }
    }
    bounded
}

/// A URL to show: host, port and database only.
pub(super) fn public_url(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    match url::Url::parse(url) {
        Ok(parsed) => {
            let host = parsed.host_str().unwrap_or("localhost");
            let port = parsed.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("postgres://{host}{port}{}", parsed.path())
        }
        Err(_) => "a store URL that cannot be read".to_owned(),
    }
}

/// The secrets of a URL, as they may come back in an error of the driver.
pub fn secrets(url: &str) -> Vec<String> {
    if url.is_empty() || url.starts_with("sqlite:") {
        return Vec::new();
    }
    let Ok(parsed) = url::Url::parse(url) else { return vec![url.to_owned()] };
    let mut secrets: Vec<String> = parsed.password().map(str::to_owned).into_iter().collect();
    if let Some(encoded) = parsed.password() {
        secrets.extend(url::form_urlencoded::parse(encoded.replace('+', "%2B").as_bytes()).map(|(name, _)| name.into_owned()));
    }
    let passwords = parsed.query_pairs().filter(|(name, _)| name.contains("password"));
    secrets.extend(passwords.map(|(_, value)| value.into_owned()));
    secrets.push(url.to_owned());
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// `text` without any of `secrets`.
pub(super) fn without_secrets(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url = "postgres://me:s3cr%20et@db.example:5433/music?password=other&sslmode=require";
        assert_eq!(public_url(url), "postgres://db.example:5433/music");
        assert!(!format!("{:?}", StoreOptions::new(url)).contains("s3cr"));
        let said = "refused s3cr et and s3cr%20et and other";
        assert_eq!(without_secrets(said, &secrets(url)), "refused *** and *** and ***");
    }

    #[test]
    fn connections_are_bounded_unless_the_url_says_otherwise() {
        let bounded = |url| bounded(url, Duration::from_secs(5));
        let plain = bounded("postgres://db/music");
        assert!(plain.starts_with("postgres://db/music?connect_timeout=5&keepalives_idle="), "{plain}");
        let set = bounded("postgres://db/music?connect_timeout=60&sslmode=require");
        assert!(set.starts_with("postgres://db/music?connect_timeout=60&sslmode=require&keepalives_idle="), "{set}");
        assert_eq!(set.matches("connect_timeout").count(), 1);
    }

    #[test]
    fn a_url_of_another_kind_is_refused_without_repeating_it() {
        for url in ["mysql://root:hunter2@host/db", "music.db", "", "sqlite:", "sqlite::memory:", "postgres://[bad:hunter2"] {
            match target(url) {
                Err(StoreError::Setup(problem)) => assert!(!problem.contains("hunter2"), "{problem}"),
                other => panic!("{url}: {other:?}"),
            }
        }
        assert_eq!(target("sqlite:///var/lib/music.db").ok(), Some(Target::Sqlite(PathBuf::from("/var/lib/music.db"))));
        assert_eq!(target("sqlite:data/music.db").ok(), Some(Target::Sqlite(PathBuf::from("data/music.db"))));
    }
}
