//! SQLite: one file, no server.
//!
//! **Guarantee.** A committed batch survives the process. It survives a power cut too, or else a suffix of the batches is
//! missing as if never applied, progress included (`synchronous = NORMAL` in WAL mode): the loader reads on from where the
//! database stands, so nothing is lost.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel::{Connection, SqliteConnection};

use super::backend::{Backend, BackendStore, Work};
use super::database::Database;
use super::errors::{Failure, classify_text};
use super::options::StoreOptions;
use super::statement::Statement;
use super::{MigrationReport, Observation, Store, StoreError, beside, migrations};

/// What the rebuilt file is called while it is attached.
const BESIDE: &str = "rebuilt";

/// A store in one SQLite file.
pub(super) struct Sqlite {
    place: String,
    path: PathBuf,
    options: StoreOptions,
    pool: Pool<ConnectionManager<SqliteConnection>>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Settings of each connection.
#[derive(Debug)]
struct Settings {
    busy_timeout: Duration,
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Settings {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        crate::sqlite::begin(connection, self.busy_timeout)
            .and_then(|()| connection.batch_execute("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"))
            .map_err(diesel::r2d2::Error::QueryError)
    }
}

/// Opens the store in the file at `path`, made when missing. Touches nothing yet.
pub(super) fn open(path: PathBuf, options: &StoreOptions) -> Result<impl Store + 'static, StoreError> {
    let place = format!("sqlite:{}", path.display());
    let Some(file) = path.to_str() else {
        return Err(StoreError::Setup(format!("{place}: the path has to be UTF-8")));
    };
    let pool = Pool::builder()
        .max_size(options.pool_size.max(1))
        .min_idle(Some(0))
        .test_on_check_out(false)
        .connection_timeout(options.connect_timeout)
        .connection_customizer(Box::new(Settings { busy_timeout: options.lock_timeout }))
        .build_unchecked(ConnectionManager::new(file));
    Ok(BackendStore::new(Sqlite { place, path, options: options.clone(), pool }))
}

impl Sqlite {
    /// A connection that has the rebuilt file attached.
    fn attached(&self) -> Result<SqliteConnection, StoreError> {
        // A connection of its own: an attached file must not stay behind in the pool.
        let mut connection = SqliteConnection::establish(&self.path.to_string_lossy())
            .map_err(|error| classify_text(&error.to_string(), format!("{}: {error}", self.place)))?;
        let failed = |failure: Failure| failure.into_store_error(&self.place);
        let settings = Settings { busy_timeout: self.options.lock_timeout };
        settings.on_acquire(&mut connection).map_err(|error| StoreError::Unavailable(format!("{}: {error}", self.place)))?;
        let attach = format!("ATTACH DATABASE ? AS {BESIDE}");
        let attach = Statement::new(attach).text(self.path_beside("").to_string_lossy());
        Database::execute(&mut connection, attach).map_err(|error| failed(error.into()))?;
        Ok(connection)
    }

    /// The file that a rebuild fills.
    fn path_beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".rebuild{suffix}"));
        PathBuf::from(name)
    }

    fn connection(&self) -> Result<PooledConnection<ConnectionManager<SqliteConnection>>, StoreError> {
        self.pool.get().map_err(|error| classify_text(&error.to_string(), format!("{}: {error}", self.place)))
    }

    fn immediately<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T, Failure>) -> Result<T, StoreError> {
        // IMMEDIATE: a transaction that reads first and then wants to write cannot be refused half-way.
        self.connection()?.immediate_transaction(work).map_err(|failure| failure.into_store_error(&self.place))
    }
}

impl Backend for Sqlite {
    fn describe(&self) -> String {
        self.place.clone()
    }

    fn migrate(&self) -> Result<MigrationReport, StoreError> {
        // The write lock of the transaction is the lock of the migration.
        self.immediately(|connection| migrations::run(connection, migrations::SQLITE))
    }

    fn read(&self, work: Work<'_>) -> Result<(), StoreError> {
        let mut connection = self.connection()?;
        SqliteConnection::transaction(&mut connection, |connection| work(connection))
            .map_err(|failure| failure.into_store_error(&self.place))
    }

    fn write(&self, work: Work<'_>) -> Result<(), StoreError> {
        self.immediately(|connection| work(connection))
    }

    fn write_through(&self, work: Work<'_>) -> Result<(), StoreError> {
        self.write(work)
    }

    fn beside(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(open(self.path_beside(""), &self.options)?))
    }

    fn lacking_beside(&self, limit: usize) -> Result<Vec<Observation>, StoreError> {
        let failed = |failure: Failure| failure.into_store_error(&self.place);
        self.attached()?.transaction(|connection| beside::lacking(connection, BESIDE, limit)).map_err(failed)
    }

    fn adopt(&self) -> Result<(), StoreError> {
        let failed = |failure: Failure| failure.into_store_error(&self.place);
        self.attached()?.immediate_transaction(|connection| beside::adopt(connection, BESIDE)).map_err(failed)
    }

    fn discard_beside(&self) -> Result<(), StoreError> {
        for suffix in ["-wal", "-shm", ""] {
            let path = self.path_beside(suffix);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::Unavailable(format!("{}: cannot be removed: {error}", path.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
