//! What the embedded log and the embedded database have in common: how a connection to an SQLite file begins.
//!
//! **Guarantee.** Any number of connections, of any number of processes, may open a fresh file at the same moment; none of
//! them fails because of the others.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::result::{DatabaseErrorKind, Error, QueryResult};
use diesel::sqlite::SqliteConnection;

/// The wait between two attempts to switch: a switch takes well under a millisecond of disk time, a sync some more.
const PAUSE: Duration = Duration::from_millis(2);

/// Sets how long the connection waits for another one's lock, and switches its file to the write-ahead log.
///
/// # Errors
/// The file cannot be read or written, or somebody has kept it locked for `busy_timeout`.
pub fn begin(connection: &mut SqliteConnection, busy_timeout: Duration) -> QueryResult<()> {
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", busy_timeout.as_millis()))?;
    // The timeout does not hold for the switch: of two connections that both read the old mode and now want the file for
    // themselves SQLite refuses one at once, where waiting would be a deadlock (https://sqlite.org/c3ref/busy_handler.html).
    let deadline = Instant::now() + busy_timeout;
    loop {
        match connection.batch_execute("PRAGMA journal_mode = WAL") {
            Err(error) if is_locked(&error) && Instant::now() < deadline => std::thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

/// Diesel does not tell SQLITE_BUSY from other errors: its text does.
fn is_locked(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, information) if information.message().contains("locked"))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use diesel::{Connection, QueryableByName, RunQueryDsl, sql_query, sql_types};

    use super::*;

    const AT_ONCE: usize = 8;
    const FILES: usize = 100;
    const TIMEOUT: Duration = Duration::from_secs(30);

    #[derive(QueryableByName)]
    struct Mode {
        #[diesel(sql_type = sql_types::Text)]
        journal_mode: String,
    }

    fn mode(connection: &mut SqliteConnection) -> String {
        sql_query("PRAGMA journal_mode").get_result::<Mode>(connection).unwrap().journal_mode
    }

    #[test]
    fn connections_that_open_a_fresh_file_at_once_all_succeed() {
        let folder = tempfile::tempdir().unwrap();
        for file in 0..FILES {
            let path = folder.path().join(format!("{file}.db"));
            let (path, barrier) = (path.to_str().unwrap(), &Barrier::new(AT_ONCE));
            thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(move || {
                        let mut connection = SqliteConnection::establish(path).unwrap();
                        barrier.wait();
                        begin(&mut connection, TIMEOUT).unwrap();
                        assert_eq!(mode(&mut connection), "wal");
                        connection.batch_execute("BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS t (x); COMMIT").unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn a_file_that_stays_locked_is_an_error_after_the_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("held.db");
        let path = path.to_str().unwrap();
        let mut holder = SqliteConnection::establish(path).unwrap();
        holder.batch_execute("CREATE TABLE t (x); BEGIN EXCLUSIVE").unwrap();
        let mut connection = SqliteConnection::establish(path).unwrap();
        let error = begin(&mut connection, Duration::from_millis(50)).unwrap_err();
        assert!(is_locked(&error), "{error:?}");
        holder.batch_execute("COMMIT").unwrap();
        begin(&mut connection, TIMEOUT).unwrap();
        assert_eq!(mode(&mut connection), "wal");
    }
}
