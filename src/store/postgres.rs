//! PostgreSQL, for many loaders at once.
//!
//! **Guarantee.** A batch is applied to one state of the database (`REPEATABLE READ`); where another loader changed what it
//! writes, PostgreSQL refuses it, and it is applied again from its start. So what was decided by reading is never stale, and
//! a race costs time, never rows. A loader that goes silent in a transaction is cut off by the server. A session that may not
//! write is not kept: the next try begins a new one, which sees what the database allows by then.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::{ConnectionManager, CustomizeConnection, NopErrorHandler, Pool, PooledConnection};
use diesel::{Connection, PgConnection};

use super::backend::{Backend, BackendStore, Work};
use super::database::Database;
use super::errors::{Failure, classify_text};
use super::options::{StoreOptions, bounded, public_url, secrets, without_secrets};
use super::statement::Statement;
use super::{MigrationReport, Observation, Store, StoreError, beside, migrations};

/// How often a batch is tried before the caller is told of a conflict. The second try has no other loader beside it, so that
/// more is only needed against writers of another kind.
const TRIES: u32 = 3;

/// First statement of a batch: any number of loaders hold this at once.
const BESIDE_OTHERS: &str = "LOCK TABLE loader_progress IN ROW EXCLUSIVE MODE";

/// First statement of a batch tried again: waits for those that run, and holds up those that come. A lock of the transaction,
/// so that a loader that goes silent loses it; and of a table, because LOCK TABLE, unlike a SELECT of an advisory lock, does
/// not yet fix what the transaction sees.
const ALONE: &str = "LOCK TABLE loader_progress IN SHARE ROW EXCLUSIVE MODE";

/// First statement of a reader: waits for a rebuild that is just being put in place, before what the transaction sees is fixed.
/// PostgreSQL shows tables that were emptied by TRUNCATE as empty to whoever's view is older than that.
const BEFORE_READING: &str = "LOCK TABLE loader_progress IN ACCESS SHARE MODE";

/// The advisory lock of migrations: any number that no other application uses.
const MIGRATION_LOCK: i64 = 0x7265_7072_6973_0001;

/// How long to wait for another process to finish its migrations.
const MIGRATION_WAIT: Duration = Duration::from_secs(600);

/// A store in a PostgreSQL database.
pub(super) struct Postgres {
    place: String,
    options: StoreOptions,
    /// The schema to work in, if it is not the one that the URL leads to.
    schema: Option<String>,
    secrets: Vec<String>,
    pool: Pool<ConnectionManager<PgConnection>>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Settings of each connection.
#[derive(Debug)]
struct Settings(StoreOptions, Option<String>);

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for Settings {
    fn on_acquire(&self, connection: &mut PgConnection) -> Result<(), diesel::r2d2::Error> {
        settle(connection, &self.0, self.1.as_deref()).map_err(diesel::r2d2::Error::QueryError)
    }
}

fn settle(connection: &mut PgConnection, options: &StoreOptions, schema: Option<&str>) -> diesel::QueryResult<()> {
    let mut settings = vec![
        ("application_name", options.application_name.clone()),
        ("statement_timeout", options.statement_timeout.as_millis().to_string()),
        ("lock_timeout", options.lock_timeout.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", options.idle_in_transaction_timeout.as_millis().to_string()),
        ("timezone", "UTC".to_owned()),
        ("client_min_messages", "warning".to_owned()),
    ];
    settings.extend(schema.map(|schema| ("search_path", schema.to_owned())));
    for (name, value) in settings {
        connection.rows(Statement::new("SELECT set_config(?, ?, false)").text(name).text(value))?;
    }
    // Errors are told apart by their English text. Needs a superuser or a grant: without, the server's own language stays.
    let _ = connection.batch_execute("SET lc_messages = 'C'");
    Ok(())
}

/// Opens the store; connects when first used, so that a database that is down is waited for and not a failure to start.
pub(super) fn open(options: &StoreOptions) -> impl Store + 'static {
    open_in(options, None)
}

fn open_in(options: &StoreOptions, schema: Option<String>) -> BackendStore<Postgres> {
    let pool = Pool::builder()
        .max_size(options.pool_size.max(1))
        .min_idle(Some(0))
        .connection_timeout(options.connect_timeout)
        // Whoever needs a connection is told, and the watch tells the operator: once, not each attempt of the pool.
        .error_handler(Box::new(NopErrorHandler))
        .connection_customizer(Box::new(Settings(options.clone(), schema.clone())))
        .build_unchecked(ConnectionManager::new(bounded(&options.url, options.connect_timeout)));
    let place = public_url(&options.url) + &schema.as_ref().map_or_else(String::new, |schema| format!(" schema {schema}"));
    BackendStore::new(Postgres { place, secrets: secrets(&options.url), options: options.clone(), schema, pool })
}

impl Postgres {
    fn connection(&self) -> Result<PooledConnection<ConnectionManager<PgConnection>>, StoreError> {
        self.pool.get().map_err(|error| self.refused(&error.to_string()))
    }

    /// The schema that a rebuild fills, quoted.
    fn schema_beside(&self) -> Result<String, StoreError> {
        let mut connection = self.connection()?;
        let text = "SELECT CAST(quote_ident(current_schema() || '_reprise_rebuild') AS TEXT)";
        let rows = connection.rows(Statement::new(text)).map_err(|error| self.failed(error.into()))?;
        let name = rows.first().and_then(|row| row.text(0)).map(str::to_owned);
        name.ok_or_else(|| StoreError::Setup(format!("{}: the search_path leads to no schema", self.place)))
    }

    fn batch(&self, text: &str) -> Result<(), StoreError> {
        self.connection()?.batch_execute(text).map_err(|error| self.failed(error.into()))
    }

    /// An error of connecting.
    fn refused(&self, message: &str) -> StoreError {
        let message = without_secrets(message, &self.secrets).replace('\n', " ");
        classify_text(&message, format!("{}: {message}", self.place))
    }

    fn failed(&self, failure: Failure) -> StoreError {
        failure.into_store_error(&self.place)
    }

    /// An error of writing on `connection`.
    fn not_written(&self, connection: &mut PgConnection, failure: Failure) -> StoreError {
        if failure.is_read_only() {
            // The pool closes what it takes for broken, instead of lending it again for half an hour.
            AnsiTransactionManager::transaction_manager_status_mut(connection).set_in_error();
        }
        self.failed(failure)
    }

    /// One try, under the table lock `first`.
    fn attempt(&self, connection: &mut PgConnection, first: &str, work: Work<'_>) -> Result<(), Failure> {
        connection.build_transaction().repeatable_read().run(|connection| {
            connection.batch_execute(first)?;
            work(connection)
        })
    }
}

impl Backend for Postgres {
    fn describe(&self) -> String {
        self.place.clone()
    }

    fn migrate(&self) -> Result<MigrationReport, StoreError> {
        // A connection of its own: the lock ends with it, whatever happens.
        let url = bounded(&self.options.url, self.options.connect_timeout);
        let mut connection = PgConnection::establish(&url).map_err(|error| self.refused(&error.to_string()))?;
        let options = StoreOptions {
            statement_timeout: Duration::ZERO,
            lock_timeout: MIGRATION_WAIT,
            application_name: format!("{} migrate", self.options.application_name),
            ..self.options.clone()
        };
        let mut run = || {
            settle(&mut connection, &options, self.schema.as_deref())?;
            // The cast makes a text of what the function answers: nothing.
            connection.rows(Statement::new("SELECT CAST(pg_advisory_lock(?) AS TEXT)").int(MIGRATION_LOCK))?;
            migrations::run(&mut connection, migrations::POSTGRES)
        };
        run().map_err(|failure| self.failed(failure))
    }

    fn read(&self, work: Work<'_>) -> Result<(), StoreError> {
        let mut connection = self.connection()?;
        connection
            .build_transaction()
            .repeatable_read()
            .read_only()
            .run(|connection| {
                // A dump of a large database takes as long as it takes.
                connection.batch_execute(&format!("SET LOCAL statement_timeout = 0; {BEFORE_READING}"))?;
                work(connection)
            })
            .map_err(|failure| self.failed(failure))
    }

    fn write(&self, work: Work<'_>) -> Result<(), StoreError> {
        let mut connection = self.connection()?;
        let mut result = self.attempt(&mut connection, BESIDE_OTHERS, work);
        for _ in 1..TRIES {
            match &result {
                Err(failure) if failure.is_conflict() => result = self.attempt(&mut connection, ALONE, work),
                _ => break,
            }
        }
        result.map_err(|failure| self.not_written(&mut connection, failure))
    }

    fn write_through(&self, work: Work<'_>) -> Result<(), StoreError> {
        let mut connection = self.connection()?;
        let result = connection.build_transaction().read_committed().run(|connection| work(connection));
        result.map_err(|failure| self.not_written(&mut connection, failure))
    }

    fn beside(&self) -> Result<Arc<dyn Store>, StoreError> {
        let schema = self.schema_beside()?;
        self.batch(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))?;
        Ok(Arc::new(open_in(&self.options, Some(schema))))
    }

    fn lacking_beside(&self, limit: usize) -> Result<Vec<Observation>, StoreError> {
        let schema = self.schema_beside()?;
        let mut connection = self.connection()?;
        connection
            .build_transaction()
            .read_only()
            .repeatable_read()
            .run(|connection| {
                connection.batch_execute(&format!("SET LOCAL statement_timeout = 0; {BEFORE_READING}"))?;
                beside::lacking(connection, &schema, limit)
            })
            .map_err(|failure| self.failed(failure))
    }

    fn adopt(&self) -> Result<(), StoreError> {
        let schema = self.schema_beside()?;
        let mut connection = self.connection()?;
        connection
            .build_transaction()
            .read_committed()
            .run(|connection| {
                // Waits for the batches that run, and holds up those that come. The rows take as long as they take.
                connection
                    .batch_execute("SET LOCAL statement_timeout = 0; LOCK TABLE loader_progress IN ACCESS EXCLUSIVE MODE")?;
                beside::adopt(connection, &schema)
            })
            .map_err(|failure| self.failed(failure))
    }

    fn discard_beside(&self) -> Result<(), StoreError> {
        let schema = self.schema_beside()?;
        self.batch(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))
    }
}
