//! What the two databases do alike, and the few words in which their SQL differs.

use diesel::connection::DefaultLoadingMode;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::{PgConnection, QueryResult, RunQueryDsl, SqliteConnection};

use super::errors::Failure;
use super::statement::{Cells, Kind, Statement};

/// Which words the SQL uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

impl Dialect {
    /// `column` is among the keys of one [`super::statement::Bind::Keys`].
    pub(super) fn member(self, column: &str) -> String {
        match self {
            Dialect::Postgres => format!("{column} = ANY(?)"),
            Dialect::Sqlite => format!("{column} IN (SELECT value FROM json_each(?))"),
        }
    }

    /// Ends a SELECT whose rows nobody else may change until the transaction ends. SQLite has one writer at a time anyway.
    pub(super) fn for_update(self) -> &'static str {
        match self {
            Dialect::Postgres => " FOR UPDATE",
            Dialect::Sqlite => "",
        }
    }

    /// Sorts text by its bytes, whatever the locale of the database.
    pub(super) fn byte_order(self) -> &'static str {
        match self {
            Dialect::Postgres => " COLLATE \"C\"",
            Dialect::Sqlite => " COLLATE BINARY",
        }
    }

    /// The whole number below a positive number.
    pub(super) fn floor(self, expression: &str) -> String {
        match self {
            Dialect::Postgres => format!("CAST(floor({expression}) AS BIGINT)"),
            Dialect::Sqlite => format!("CAST({expression} AS INTEGER)"),
        }
    }

    /// A TIMESTAMP in UTC as microseconds since the Unix epoch.
    pub(super) fn microseconds(self, column: &str) -> String {
        match self {
            Dialect::Postgres => format!("CAST(extract(epoch FROM {column}) * 1000000 AS BIGINT)"),
            Dialect::Sqlite => format!("CAST(round(unixepoch({column}, 'subsec') * 1000) AS INTEGER) * 1000"),
        }
    }

    /// The texts `name` of the rows of `from`, in byte order, as a JSON list: `[]` where there are none.
    pub(super) fn json_list(self, name: &str, from: &str) -> String {
        let listed = format!("SELECT {name} AS item FROM {from} ORDER BY {name}{}", self.byte_order());
        match self {
            Dialect::Postgres => format!("(SELECT CAST(COALESCE(json_agg(item), '[]') AS TEXT) FROM ({listed}) listed)"),
            Dialect::Sqlite => format!("(SELECT json_group_array(item) FROM ({listed}))"),
        }
    }

    /// The type of a PostgreSQL array of values of this kind.
    pub(super) fn array_of(kind: Kind) -> &'static str {
        match kind {
            Kind::Text => "text[]",
            Kind::Int => "bigint[]",
            Kind::Real => "float8[]",
            Kind::Bool => "bool[]",
        }
    }
}

/// A connection, inside a transaction.
pub(super) trait Database {
    fn dialect(&self) -> Dialect;

    /// How many rows were written.
    fn execute(&mut self, statement: Statement) -> QueryResult<usize>;

    fn rows(&mut self, statement: Statement) -> QueryResult<Vec<Cells>>;

    /// Row by row, without holding all of them in memory.
    fn each_row(&mut self, statement: Statement, visit: &mut dyn FnMut(&Cells) -> Result<(), Failure>) -> Result<(), Failure>;
}

impl Database for PgConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(&mut self, statement: Statement) -> QueryResult<usize> {
        RunQueryDsl::execute(statement, self)
    }

    fn rows(&mut self, statement: Statement) -> QueryResult<Vec<Cells>> {
        statement.load(self)
    }

    fn each_row(&mut self, statement: Statement, visit: &mut dyn FnMut(&Cells) -> Result<(), Failure>) -> Result<(), Failure> {
        for row in statement.load_iter::<Cells, PgRowByRowLoadingMode>(self)? {
            visit(&row?)?;
        }
        Ok(())
    }
}

impl Database for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn execute(&mut self, statement: Statement) -> QueryResult<usize> {
        RunQueryDsl::execute(statement, self)
    }

    fn rows(&mut self, statement: Statement) -> QueryResult<Vec<Cells>> {
        statement.load(self)
    }

    fn each_row(&mut self, statement: Statement, visit: &mut dyn FnMut(&Cells) -> Result<(), Failure>) -> Result<(), Failure> {
        for row in statement.load_iter::<Cells, DefaultLoadingMode>(self)? {
            visit(&row?)?;
        }
        Ok(())
    }
}
