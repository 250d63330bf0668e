//! SQL text with typed parameters, run by Diesel on either back end.
//!
//! **Guarantee.** Values never become part of the text. A [`Statement`] marked [`Statement::cached`] is prepared once a
//! connection: Diesel's own `sql_query` and batch inserts are parsed anew each time, which costs more than small merges.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::row::{Field, NamedRow, Row};
use diesel::sql_types::{Array, BigInt, Bool, Double, Float, Integer, Nullable, Text, Untyped};
use diesel::sqlite::{Sqlite, SqliteType};

/// One value, read or to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Text(String),
    /// Integers of any width; booleans read from either database are 0 or 1.
    Int(i64),
    Real(f64),
    Bool(bool),
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Real,
    Bool,
}

/// A parameter.
#[derive(Debug, Clone)]
pub(super) enum Bind {
    Text(Option<String>),
    Int(Option<i64>),
    Real(Option<f64>),
    Bool(Option<bool>),
    /// A set of keys: an array on PostgreSQL, JSON on SQLite. Goes with [`super::database::Dialect::member`].
    Keys(Vec<String>),
    /// Columns of rows, for UNNEST: PostgreSQL only.
    Texts(Vec<Option<String>>),
    Ints(Vec<Option<i64>>),
    Reals(Vec<Option<f64>>),
    Bools(Vec<Option<bool>>),
}

/// SQL with `?` for each parameter.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    sql: String,
    binds: Vec<Bind>,
    /// The keys of a [`Bind::Keys`] as SQLite takes them.
    keys_json: Vec<String>,
    cached: bool,
}

impl Statement {
    pub(super) fn new(sql: impl Into<String>) -> Statement {
        Statement { sql: sql.into(), binds: Vec::new(), keys_json: Vec::new(), cached: false }
    }

    /// Keeps the prepared statement for the life of the connection: only for texts of which there are few.
    pub(super) fn cached(mut self) -> Statement {
        self.cached = true;
        self
    }

    pub(super) fn bind(mut self, bind: Bind) -> Statement {
        self.push(bind);
        self
    }

    pub(super) fn push(&mut self, bind: Bind) {
        if let Bind::Keys(keys) = &bind {
            self.keys_json.push(serde_json::Value::from(keys.clone()).to_string());
        }
        self.binds.push(bind);
    }

    pub(super) fn text(self, value: impl Into<String>) -> Statement {
        self.bind(Bind::Text(Some(value.into())))
    }

    pub(super) fn int(self, value: i64) -> Statement {
        self.bind(Bind::Int(Some(value)))
    }

    pub(super) fn keys<'k>(self, keys: impl IntoIterator<Item = &'k str>) -> Statement {
        self.bind(Bind::Keys(keys.into_iter().map(str::to_owned).collect()))
    }

    /// The pieces of text between parameters: always one more than there are parameters, or the statement is refused.
    fn pieces(&self) -> QueryResult<Vec<&str>> {
        let pieces: Vec<&str> = self.sql.split('?').collect();
        if pieces.len() == self.binds.len() + 1 {
            return Ok(pieces);
        }
        let problem = format!("{} parameters for {} places in: {}", self.binds.len(), pieces.len() - 1, self.sql);
        Err(diesel::result::Error::QueryBuilderError(problem.into()))
    }
}

impl QueryId for Statement {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement {
    type SqlType = Untyped;
}

impl<Conn> diesel::RunQueryDsl<Conn> for Statement {}

impl QueryFragment<Pg> for Statement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if !self.cached {
            out.unsafe_to_cache_prepared();
        }
        let mut binds = self.binds.iter();
        for (place, piece) in self.pieces()?.into_iter().enumerate() {
            if place > 0 {
                match binds.next() {
                    Some(Bind::Text(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                    Some(Bind::Int(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                    Some(Bind::Real(value)) => out.push_bind_param::<Nullable<Double>, _>(value)?,
                    Some(Bind::Bool(value)) => out.push_bind_param::<Nullable<Bool>, _>(value)?,
                    Some(Bind::Keys(keys)) => out.push_bind_param::<Array<Text>, _>(keys)?,
                    Some(Bind::Texts(values)) => out.push_bind_param::<Array<Nullable<Text>>, _>(values)?,
                    Some(Bind::Ints(values)) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(values)?,
                    Some(Bind::Reals(values)) => out.push_bind_param::<Array<Nullable<Double>>, _>(values)?,
                    Some(Bind::Bools(values)) => out.push_bind_param::<Array<Nullable<Bool>>, _>(values)?,
                    None => {}
                }
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Statement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        if !self.cached {
            out.unsafe_to_cache_prepared();
        }
        let mut binds = self.binds.iter();
        let mut keys = self.keys_json.iter();
        for (place, piece) in self.pieces()?.into_iter().enumerate() {
            if place > 0 {
                match binds.next() {
                    Some(Bind::Text(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                    Some(Bind::Int(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                    Some(Bind::Real(value)) => out.push_bind_param::<Nullable<Double>, _>(value)?,
                    Some(Bind::Bool(value)) => out.push_bind_param::<Nullable<Bool>, _>(value)?,
                    Some(Bind::Keys(_)) => {
                        if let Some(json) = keys.next() {
                            out.push_bind_param::<Text, _>(json)?;
                        }
                    }
                    Some(Bind::Texts(_) | Bind::Ints(_) | Bind::Reals(_) | Bind::Bools(_)) => {
                        return Err(diesel::result::Error::QueryBuilderError("SQLite has no arrays".into()));
                    }
                    None => {}
                }
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

/// One row read, by position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells(Vec<Cell>);

impl Cells {
    pub(super) fn get(&self, index: usize) -> &Cell {
        self.0.get(index).unwrap_or(&Cell::Null)
    }

    pub(super) fn text(&self, index: usize) -> Option<&str> {
        match self.get(index) {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// For columns that are never NULL.
    pub(super) fn key(&self, index: usize) -> String {
        self.text(index).unwrap_or_default().to_owned()
    }

    pub(super) fn int(&self, index: usize) -> Option<i64> {
        match self.get(index) {
            Cell::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// For sums and counts.
    pub(super) fn count(&self, index: usize) -> i64 {
        self.int(index).unwrap_or_default()
    }

    fn build<'a, DB: Backend, R: NamedRow<'a, DB>>(
        row: &R,
        decode: impl Fn(<DB as Backend>::RawValue<'_>) -> deserialize::Result<Cell>,
    ) -> deserialize::Result<Cells> {
        (0..row.field_count())
            .map(|index| match Row::get(row, index) {
                None => Ok(Cell::Null),
                Some(field) => field.value().map_or(Ok(Cell::Null), &decode),
            })
            .collect::<deserialize::Result<Vec<Cell>>>()
            .map(Cells)
    }
}

impl QueryableByName<Pg> for Cells {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Cells> {
        // Object ids of PostgreSQL's built-in types: fixed for ever.
        Cells::build(row, |value| match value.get_oid().get() {
            16 => <bool as FromSql<Bool, Pg>>::from_sql(value).map(|value| Cell::Int(i64::from(value))),
            20 => <i64 as FromSql<BigInt, Pg>>::from_sql(value).map(Cell::Int),
            23 => <i32 as FromSql<Integer, Pg>>::from_sql(value).map(|value| Cell::Int(i64::from(value))),
            25 | 19 | 1043 => <String as FromSql<Text, Pg>>::from_sql(value).map(Cell::Text),
            700 => <f32 as FromSql<Float, Pg>>::from_sql(value).map(|value| Cell::Real(f64::from(value))),
            701 => <f64 as FromSql<Double, Pg>>::from_sql(value).map(Cell::Real),
            oid => Err(format!("a column of a type that is not read here (oid {oid})").into()),
        })
    }
}

impl QueryableByName<Sqlite> for Cells {
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> deserialize::Result<Cells> {
        Cells::build(row, |value| match value.value_type() {
            Some(SqliteType::Text) => <String as FromSql<Text, Sqlite>>::from_sql(value).map(Cell::Text),
            Some(SqliteType::Float | SqliteType::Double) => <f64 as FromSql<Double, Sqlite>>::from_sql(value).map(Cell::Real),
            Some(SqliteType::Integer | SqliteType::SmallInt | SqliteType::Long) => {
                <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(Cell::Int)
            }
            Some(SqliteType::Binary) => Err("a blob, where none is stored".into()),
            None => Ok(Cell::Null),
        })
    }
}
