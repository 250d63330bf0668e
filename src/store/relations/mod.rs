//! The six tables and the flat view of them, row by row, for whoever reads the database as a whole: exports, reports.
//!
//! **Guarantee.** [`super::Store::scan`] sees one state of the database, gives rows in the byte order of their keys, and holds
//! one row at a time: memory does not grow with the database. The same content gives the same values on both back ends.

mod columns;
mod scan;

use serde::Serialize;

pub use columns::{RELATIONS, TRACKS};
pub(super) use scan::scan;

/// A table, or the flat view, as a reader outside sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Relation {
    /// `artists`, ..., or `tracks` for the flat view: one row a song with its artist, album, genres and audio features.
    pub name: &'static str,
    /// What a row is.
    pub meaning: &'static str,
    /// In the order of the values of a row.
    pub columns: &'static [Column],
    /// The columns that no two rows share.
    pub key: &'static [&'static str],
    /// Column, and the table whose key it holds.
    pub references: &'static [(&'static str, &'static str)],
    from: &'static str,
}

impl Relation {
    /// Where the column called `name` stands in a row.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// A column of a [`Relation`].
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as in the table.
    pub name: &'static str,
    /// What its values are; each may be [`Value::Null`]: not known.
    pub kind: ColumnKind,
    /// Meaning and unit.
    pub meaning: &'static str,
    source: Source,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// [`Value::Text`].
    Text,
    /// [`Value::Int`].
    Int,
    /// [`Value::Real`].
    Real,
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Time`].
    Time,
    /// [`Value::Texts`].
    Texts,
    /// [`Value::Reals`].
    Reals,
}

/// How a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The column of that name.
    Itself,
    /// An expression that means the same to both databases.
    Expression(&'static str),
    /// A TIMESTAMP, in UTC.
    Timestamp(&'static str),
    /// The names of the genres of the artist with this id, in byte order.
    GenresOf(&'static str),
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Not known.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number; always finite.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// Microseconds since the Unix epoch, UTC.
    Time(i64),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of numbers.
    Reals(Vec<f64>),
}

impl Value {
    /// The number, of a column of whole or other numbers.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Real(value) => Some(*value),
            _ => None,
        }
    }

    /// The text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}
