//! A connection to the log's file, and what SQLite's complaints mean.
//!
//! **Guarantee.** What a write transaction confirms is on disk (write-ahead log, synced at each commit). Every failure is
//! told apart: damage is [`MailboxError::Corrupt`], anything that may pass by itself (full disk, lock, missing permission) is
//! [`MailboxError::Unavailable`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::result::Error as SqlError;
use diesel::sqlite::SqliteConnection;
use diesel::{Connection, QueryableByName, RunQueryDsl, sql_query, sql_types};

use crate::mailbox::MailboxError;
use crate::sqlite;

/// How long SQLite waits for another process's write. Longer hides a stuck process, shorter fails under a busy one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of a connection: each stage has one, and the process must stay small.
const CACHE_KIB: u32 = 1_024;
/// The write-ahead log is cut back to this after a checkpoint.
const WAL_LIMIT_BYTES: u32 = 16 * 1024 * 1024;

/// What may go wrong inside a transaction, before the file's name is added.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(SqlError),
    Mailbox(MailboxError),
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Fault {
        Fault::Sql(error)
    }
}

impl From<MailboxError> for Fault {
    fn from(error: MailboxError) -> Fault {
        Fault::Mailbox(error)
    }
}

/// One connection; opened again by itself after a failure that may have left it in the middle of something.
pub(super) struct Database {
    path: PathBuf,
    max_bytes: Option<u64>,
    connection: Option<SqliteConnection>,
}

impl Database {
    /// Opens the file, creating it if `create`.
    pub(super) fn open(path: &Path, max_bytes: Option<u64>) -> Result<Database, MailboxError> {
        let mut database = Database { path: path.to_owned(), max_bytes, connection: None };
        database.connected()?;
        Ok(database)
    }

    /// Runs `work` on one consistent snapshot.
    pub(super) fn read<T>(&mut self, work: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>) -> Result<T, MailboxError> {
        let mut cause = None;
        let path = self.path.clone();
        let outcome = self.run(|connection| connection.transaction(|connection| noting(&path, &mut cause, work(connection))));
        outcome.map_err(|error| cause.unwrap_or(error))
    }

    /// Runs `work` and makes it durable, or undoes it.
    pub(super) fn write<T>(&mut self, work: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>) -> Result<T, MailboxError> {
        let mut cause = None;
        let path = self.path.clone();
        let outcome =
            self.run(|connection| connection.immediate_transaction(|connection| noting(&path, &mut cause, work(connection))));
        outcome.map_err(|error| cause.unwrap_or(error))
    }

    /// Runs `work` outside any transaction.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>) -> Result<T, MailboxError> {
        match work(self.connected()?) {
            Ok(value) => Ok(value),
            Err(Fault::Mailbox(error)) => Err(error),
            Err(Fault::Sql(error)) => {
                // A transaction that could not be rolled back leaves the connection useless: begin afresh.
                self.connection = None;
                Err(explain(&self.path, &error))
            }
        }
    }

    /// A number that changes when another connection has written.
    pub(super) fn data_version(&mut self) -> Result<i64, MailboxError> {
        self.run(|connection| Ok(sql_query("PRAGMA data_version").get_result::<DataVersion>(connection)?.data_version))
    }

    fn connected(&mut self) -> Result<&mut SqliteConnection, MailboxError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.path, self.max_bytes)?,
        };
        Ok(self.connection.insert(connection))
    }
}

/// Keeps what went wrong inside a transaction: on a full disk SQLite rolls back by itself, and the failure of the second
/// rollback would hide the first cause.
fn noting<T>(path: &Path, cause: &mut Option<MailboxError>, outcome: Result<T, Fault>) -> Result<T, Fault> {
    if let Err(Fault::Sql(error)) = &outcome {
        *cause = Some(explain(path, error));
    }
    outcome
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

#[derive(QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = sql_types::BigInt)]
    data_version: i64,
}

#[derive(QueryableByName)]
struct PageSize {
    #[diesel(sql_type = sql_types::BigInt)]
    page_size: i64,
}

fn connect(path: &Path, max_bytes: Option<u64>) -> Result<SqliteConnection, MailboxError> {
    let Some(name) = path.to_str() else {
        return Err(MailboxError::Invalid(format!("{}: the path of the mailbox must be valid UTF-8", path.display())));
    };
    let mut connection = SqliteConnection::establish(name)
        .map_err(|error| MailboxError::Unavailable(format!("{}: cannot be opened: {error}", path.display())))?;
    let settings = format!(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -{CACHE_KIB}; PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}; \
         PRAGMA cell_size_check = ON;"
    );
    sqlite::begin(&mut connection, BUSY_TIMEOUT)
        .and_then(|()| connection.batch_execute(&settings))
        .map_err(|error| explain(path, &error))?;
    if let Some(max_bytes) = max_bytes {
        let page_size = sql_query("PRAGMA page_size")
            .get_result::<PageSize>(&mut connection)
            .map_err(|error| explain(path, &error))?
            .page_size
            .max(1);
        let pages = i64::try_from(max_bytes).unwrap_or(i64::MAX) / page_size;
        connection
            .batch_execute(&format!("PRAGMA max_page_count = {}", pages.max(1)))
            .map_err(|error| explain(path, &error))?;
    }
    Ok(connection)
}

/// What a failure of SQLite means for the caller, and what a person can do about it.
pub(super) fn explain(path: &Path, error: &SqlError) -> MailboxError {
    let file = path.display();
    let text = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["malformed", "not a database", "corrupt"]) || matches!(error, SqlError::DeserializationError(_)) {
        damaged(path, &text)
    } else if says(&["disk is full"]) {
        MailboxError::Unavailable(format!(
            "{file}: the disk is full or the log has reached its limit: free some space ({text})"
        ))
    } else if says(&["readonly", "read-only"]) {
        MailboxError::Unavailable(format!(
            "{file}: cannot be written: give this user write permission on the file and its folder ({text})"
        ))
    } else if says(&["locked", "busy"]) {
        MailboxError::Unavailable(format!("{file}: another process has kept it locked for {BUSY_TIMEOUT:?} ({text})"))
    } else if says(&["unable to open", "disk I/O"]) {
        MailboxError::Unavailable(format!("{file}: cannot be read or written: check the disk and the permissions ({text})"))
    } else {
        MailboxError::Failed(format!("{file}: {text}"))
    }
}

/// The one text about damage: what, where, and what to do. It advises no rebuild: what the log has lost may be in the database
/// alone.
pub(super) fn damaged(path: &Path, finding: &str) -> MailboxError {
    let file = path.display();
    MailboxError::Corrupt(format!(
        "{file}: damaged: {finding}. Stop reprise and keep a copy of the file and of {file}-wal and {file}-shm; then restore all \
         that the backup has of the three, without the others, or run `reprise topics --repair`: what is readable is kept, what \
         is lost is listed, and how to go on is said"
    ))
}
