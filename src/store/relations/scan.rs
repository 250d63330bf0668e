//! Reads a relation row by row.

use std::ops::ControlFlow;

use super::{Column, ColumnKind, Relation, Source, Value};
use crate::store::StoreError;
use crate::store::database::{Database, Dialect};
use crate::store::errors::Failure;
use crate::store::statement::{Cell, Statement};

/// Rows until `visit` breaks. Has to run in a transaction that sees one state of the database.
pub(in crate::store) fn scan(
    db: &mut dyn Database,
    relations: &[&'static Relation],
    visit: &mut dyn FnMut(&'static Relation, &[Value]) -> ControlFlow<()>,
) -> Result<(), Failure> {
    for relation in relations {
        let statement = Statement::new(select(relation, db.dialect()));
        let mut row = Vec::with_capacity(relation.columns.len());
        let mut broken = false;
        let outcome = db.each_row(statement, &mut |cells| {
            row.clear();
            for (index, column) in relation.columns.iter().enumerate() {
                row.push(value(relation, column, cells.get(index))?);
            }
            broken = visit(relation, &row).is_break();
            // An error is how a query is left early; this one is not told to anybody.
            if broken { Err(StoreError::Data("left early".to_owned()).into()) } else { Ok(()) }
        });
        if broken {
            return Ok(());
        }
        outcome?;
    }
    Ok(())
}

fn select(relation: &Relation, dialect: Dialect) -> String {
    let columns: Vec<String> = relation.columns.iter().map(|column| expression(column, dialect)).collect();
    let order: Vec<String> = relation
        .key
        .iter()
        .filter_map(|key| relation.columns.iter().find(|column| column.name == *key))
        .map(|column| match column.kind {
            ColumnKind::Text => expression(column, dialect) + dialect.byte_order(),
            _ => expression(column, dialect),
        })
        .collect();
    format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), relation.from, order.join(", "))
}

fn expression(column: &Column, dialect: Dialect) -> String {
    match column.source {
        Source::Itself => column.name.to_owned(),
        Source::Expression(expression) => expression.to_owned(),
        Source::Timestamp(column) => dialect.microseconds(column),
        Source::GenresOf(artist) => dialect.json_list(
            "g.genre_name",
            &format!("artist_genres ag JOIN genres g ON g.genre_id = ag.genre_id WHERE ag.artist_id = {artist}"),
        ),
    }
}

/// The value in its column's type; refuses what the column cannot hold, which only a foreign hand can have written there.
#[expect(clippy::cast_precision_loss, reason = "a whole number in a column of reals was a double before")]
fn value(relation: &Relation, column: &Column, cell: &Cell) -> Result<Value, Failure> {
    Ok(match (column.kind, cell) {
        (_, Cell::Null) => Value::Null,
        (ColumnKind::Text, Cell::Text(text)) => Value::Text(text.clone()),
        (ColumnKind::Int, Cell::Int(value)) => Value::Int(*value),
        (ColumnKind::Time, Cell::Int(value)) => Value::Time(*value),
        (ColumnKind::Bool, Cell::Int(value)) => Value::Bool(*value != 0),
        (ColumnKind::Bool, Cell::Bool(value)) => Value::Bool(*value),
        // Minus zero equals zero in both databases, and only one of them keeps its sign.
        (ColumnKind::Real, Cell::Real(value)) if value.is_finite() => Value::Real(value + 0.0),
        (ColumnKind::Real, Cell::Int(value)) => Value::Real(*value as f64),
        (ColumnKind::Texts, Cell::Text(json)) => {
            serde_json::from_str(json).map(Value::Texts).map_err(|_| bad(relation, column, cell))?
        }
        (ColumnKind::Reals, Cell::Text(json)) => {
            serde_json::from_str(json).map(Value::Reals).map_err(|_| bad(relation, column, cell))?
        }
        _ => return Err(bad(relation, column, cell)),
    })
}

fn bad(relation: &Relation, column: &Column, cell: &Cell) -> Failure {
    let (table, name, kind) = (relation.name, column.name, column.kind);
    StoreError::Data(format!("{table}.{name}: {cell:?} where {kind:?} is expected: somebody else wrote it")).into()
}
