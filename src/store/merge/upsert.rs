//! The merge text: one statement a table, the same on both databases but for how rows come in.
//!
//! **Guarantee.** A source's columns change only when its staged version is greater than the row's, whatever else the
//! statement carries; a row where nothing is greater is not written. This holds in the database itself, also against a
//! writer that came between reading and merging.

use super::super::database::Dialect;
use super::super::statement::{Bind, Cell, Kind, Statement};
use super::stage::StagedRow;
use super::tables::{Derived, Source, Table};

/// Rows a statement on PostgreSQL: UNNEST takes any number with one parameter a column; beyond a few thousand a statement
/// only holds its locks and its memory longer.
const POSTGRES_ROWS: usize = 5_000;

/// Rows a statement on SQLite, the largest that fits first. More saves little per row; a fixed few sizes keep the prepared
/// statements few.
const SQLITE_ROWS: [usize; 3] = [64, 8, 1];

/// Rows on their way into a statement: named columns with their values by row.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) columns: Vec<(&'static str, Kind)>,
    pub(super) cells: Vec<Vec<Cell>>,
}

impl Rows {
    /// Statements of `text`, which reads the rows from a table `stage`, each with a part of the rows, in order.
    /// Also how many rows each has.
    pub(super) fn statements(&self, dialect: Dialect, text: &str) -> Vec<(Statement, usize)> {
        let mut rest = self.cells.as_slice();
        let mut statements = Vec::new();
        while !rest.is_empty() {
            let size = match dialect {
                Dialect::Postgres => POSTGRES_ROWS.min(rest.len()),
                Dialect::Sqlite => SQLITE_ROWS.into_iter().find(|size| *size <= rest.len()).unwrap_or(1),
            };
            let (part, after) = rest.split_at(size);
            statements.push((self.statement(dialect, text, part), size));
            rest = after;
        }
        statements
    }

    fn statement(&self, dialect: Dialect, text: &str, part: &[Vec<Cell>]) -> Statement {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let source = match dialect {
            Dialect::Postgres => {
                let arrays: Vec<String> =
                    self.columns.iter().map(|(_, kind)| format!("?::{}", Dialect::array_of(*kind))).collect();
                format!("SELECT * FROM UNNEST({})", arrays.join(", "))
            }
            Dialect::Sqlite => {
                let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
                format!("VALUES {}", vec![row; part.len()].join(", "))
            }
        };
        let mut statement = Statement::new(format!("WITH stage ({}) AS ({source}) {text}", names.join(", "))).cached();
        match dialect {
            Dialect::Postgres => {
                for (column, (_, kind)) in self.columns.iter().enumerate() {
                    statement.push(array(*kind, part.iter().map(|row| row.get(column))));
                }
            }
            Dialect::Sqlite => {
                for row in part {
                    for ((_, kind), cell) in self.columns.iter().zip(row) {
                        statement.push(scalar(*kind, Some(cell)));
                    }
                }
            }
        }
        statement
    }
}

fn text_of(cell: Option<&Cell>) -> Option<String> {
    match cell {
        Some(Cell::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn int_of(cell: Option<&Cell>) -> Option<i64> {
    match cell {
        Some(Cell::Int(value)) => Some(*value),
        _ => None,
    }
}

fn real_of(cell: Option<&Cell>) -> Option<f64> {
    match cell {
        Some(Cell::Real(value)) => Some(*value),
        _ => None,
    }
}

fn bool_of(cell: Option<&Cell>) -> Option<bool> {
    match cell {
        Some(Cell::Bool(value)) => Some(*value),
        _ => None,
    }
}

fn scalar(kind: Kind, cell: Option<&Cell>) -> Bind {
    match kind {
        Kind::Text => Bind::Text(text_of(cell)),
        Kind::Int => Bind::Int(int_of(cell)),
        Kind::Real => Bind::Real(real_of(cell)),
        Kind::Bool => Bind::Bool(bool_of(cell)),
    }
}

fn array<'c>(kind: Kind, cells: impl Iterator<Item = Option<&'c Cell>>) -> Bind {
    match kind {
        Kind::Text => Bind::Texts(cells.map(text_of).collect()),
        Kind::Int => Bind::Ints(cells.map(int_of).collect()),
        Kind::Real => Bind::Reals(cells.map(real_of).collect()),
        Kind::Bool => Bind::Bools(cells.map(bool_of).collect()),
    }
}

/// A staged row as the values of [`Table::staged_columns`].
pub(super) fn staged_cells(table: &Table, key: &[String], row: &StagedRow) -> Vec<Cell> {
    let mut cells: Vec<Cell> = key.iter().map(|part| Cell::Text(part.clone())).collect();
    let id = key.get(table.lookup).map_or("", String::as_str);
    for (position, source) in table.sources.iter().enumerate() {
        match row.sources.get(position).and_then(Option::as_ref) {
            Some(staged) => {
                cells.extend(staged.cells.iter().cloned());
                cells.extend([Cell::Int(staged.version.observed_at), Cell::Int(staged.version.tiebreak)]);
            }
            None => {
                cells.extend(source.columns.iter().map(|column| column.absent.cell(id)));
                cells.extend([Cell::Null, Cell::Null]);
            }
        }
    }
    cells
}

/// Inserts or updates the rows of `stage`.
pub(super) fn merge_text(table: &Table) -> String {
    let staged: Vec<&str> = table.staged_columns().into_iter().map(|(name, _)| name).collect();
    let fresh = |name: &str| format!("stage.{name}");
    let merged = |name: &str| merged_value(table, name);
    let mut columns = staged.clone();
    let mut values: Vec<String> = staged.iter().map(|name| fresh(name)).collect();
    let mut sets: Vec<String> = Vec::new();
    for source in table.sources {
        let names = source.columns.iter().map(|column| column.name).chain([source.observed_at, source.tiebreak]);
        sets.extend(names.map(|name| format!("{name} = {}", merged(name))));
    }
    for derived in table.derived {
        columns.push(derived.name);
        values.push(derived.value(&staged, &fresh));
        sets.push(format!("{} = {}", derived.name, derived.value(&staged, &merged)));
    }
    sets.push(format!("{} = CURRENT_TIMESTAMP", table.touched));
    let newer: Vec<String> = table.sources.iter().map(|source| newer(table, source)).collect();
    // `WHERE TRUE`: SQLite would read ON CONFLICT as a join condition otherwise.
    format!(
        "INSERT INTO {name} ({columns}) SELECT {values} FROM stage WHERE TRUE ON CONFLICT ({key}) DO UPDATE SET {sets} WHERE {newer}",
        name = table.name,
        columns = columns.join(", "),
        values = values.join(", "),
        key = table.key.join(", "),
        sets = sets.join(", "),
        newer = newer.join(" OR "),
    )
}

/// The staged version of `source` is there and greater than the row's.
fn newer(table: &Table, source: &Source) -> String {
    let (name, at, tie) = (table.name, source.observed_at, source.tiebreak);
    format!(
        "(excluded.{at} IS NOT NULL AND ({name}.{at} IS NULL OR (excluded.{at}, excluded.{tie}) > ({name}.{at}, {name}.{tie})))"
    )
}

/// What a column says after the merge.
fn merged_value(table: &Table, column: &str) -> String {
    let has = |source: &&Source| {
        [source.observed_at, source.tiebreak].contains(&column) || source.columns.iter().any(|known| known.name == column)
    };
    match table.sources.iter().find(has) {
        Some(source) => {
            format!("CASE WHEN {} THEN excluded.{column} ELSE {}.{column} END", newer(table, source), table.name)
        }
        None => format!("{}.{column}", table.name),
    }
}

impl Derived {
    /// The rule with each `{column}` replaced by `value(column)`.
    fn value(&self, columns: &[&str], value: &dyn Fn(&str) -> String) -> String {
        let mut text = self.rule.to_owned();
        for column in columns {
            let place = format!("{{{column}}}");
            if text.contains(&place) {
                text = text.replace(&place, &format!("({})", value(column)));
            }
        }
        text
    }
}

/// A stub shows the contract's defaults: asserted here, next to where they are written.
#[cfg(test)]
mod tests {
    use super::super::tables::{Absent, TABLES};
    use super::*;

    #[test]
    fn every_parameter_has_a_column_and_every_rule_is_filled_in() {
        for table in &TABLES {
            let text = merge_text(table);
            assert!(!text.contains('{') && !text.contains('?'), "{text}");
            let cells = staged_cells(table, &vec!["id".to_owned(); table.key.len()], &StagedRow::default());
            assert_eq!(cells.len(), table.staged_columns().len(), "{}", table.name);
        }
    }

    #[test]
    fn what_no_source_said_shows_the_default_of_the_contract() {
        assert_eq!(Absent::False.cell("id"), Cell::Bool(false));
        assert_eq!(Absent::Zero.cell("id"), Cell::Int(0));
        assert_eq!(Absent::Key.cell("id"), Cell::Text("id".to_owned()));
    }
}
