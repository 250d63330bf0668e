//! Databases of a test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use reprise::store::{Store, StoreOptions};

/// An empty database, dropped with this.
pub struct Place {
    pub name: &'static str,
    pub url: String,
    /// Database and schema to drop it from.
    schema: Option<(String, String)>,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((url, schema)) = &self.schema
            && let Ok(mut connection) = PgConnection::establish(url)
        {
            let _ = connection.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"));
        }
    }
}

/// The server that `REPRISE_TEST_POSTGRES` names.
pub fn server() -> Option<String> {
    std::env::var("REPRISE_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

pub fn sqlite() -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("music.db").display());
    Place { name: "sqlite", url, schema: None, _folder: Some(folder) }
}

pub fn postgres() -> Option<Place> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = server()?;
    let schema = format!("reprise_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::establish(&server).expect("REPRISE_TEST_POSTGRES is reachable");
    connection.batch_execute(&format!("CREATE SCHEMA {schema}")).expect("a schema can be made");
    let sign = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{sign}options=-csearch_path%3D{schema}");
    Some(Place { name: "postgres", url, schema: Some((server, schema)), _folder: None })
}

/// One empty database of each kind there is.
pub fn all() -> Vec<Place> {
    [Some(sqlite()), postgres()].into_iter().flatten().collect()
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Nullable<BigInt>)]
    value: Option<i64>,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

impl Place {
    /// A store here, migrated.
    pub fn store(&self) -> std::sync::Arc<dyn Store> {
        let store = self.open();
        store.migrate().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        store
    }

    pub fn open(&self) -> std::sync::Arc<dyn Store> {
        reprise::store::open(&StoreOptions::new(self.url.as_str())).expect("the URL is right")
    }

    /// The schema of its own, on PostgreSQL.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_ref().map(|(_, schema)| schema.as_str())
    }

    pub fn is_sqlite(&self) -> bool {
        self.schema.is_none()
    }

    pub fn sqlite_connection(&self) -> SqliteConnection {
        SqliteConnection::establish(self.url.trim_start_matches("sqlite:")).expect("the file opens")
    }

    pub fn postgres_connection(&self) -> PgConnection {
        PgConnection::establish(&self.url).expect("the server answers")
    }

    /// Runs SQL behind the store's back.
    pub fn run(&self, sql: &str) {
        let result = if self.is_sqlite() {
            self.sqlite_connection().batch_execute(sql)
        } else {
            self.postgres_connection().batch_execute(sql)
        };
        result.unwrap_or_else(|error| panic!("{}: {sql}: {error}", self.name));
    }

    /// The column `value` of the only row.
    pub fn number(&self, sql: &str) -> Option<i64> {
        let rows: Vec<Number> = if self.is_sqlite() {
            sql_query(sql).load(&mut self.sqlite_connection()).expect(sql)
        } else {
            sql_query(sql).load(&mut self.postgres_connection()).expect(sql)
        };
        rows.first().and_then(|row| row.value)
    }

    /// The column `value` of the only row.
    pub fn text(&self, sql: &str) -> Option<String> {
        let rows: Vec<Word> = if self.is_sqlite() {
            sql_query(sql).load(&mut self.sqlite_connection()).expect(sql)
        } else {
            sql_query(sql).load(&mut self.postgres_connection()).expect(sql)
        };
        rows.into_iter().next().and_then(|row| row.value)
    }
}

/// The whole canonical dump.
pub fn dump(store: &dyn Store) -> String {
    let mut text = String::new();
    store
        .dump(&mut |line| {
            text.push_str(line);
            text.push('\n');
        })
        .expect("a dump");
    text
}
