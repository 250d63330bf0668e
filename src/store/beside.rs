//! Putting a database that was built beside the live one in its place.
//!
//! **Guarantee.** One transaction: our readers see the old rows or the new ones, and a loader finds its place changed together with
//! them. The tables themselves stay: views and grants of others go on working. That is why rows are moved and not tables (or
//! files) renamed; it costs the time of writing them once more, under a lock.
//!
//! On PostgreSQL, foreign keys of others that refer to these tables stand in the way, and are named: it empties no such table at
//! once, and one row after the other could take rows of others along.

use super::database::{Database, Dialect};
use super::errors::Failure;
use super::statement::Statement;
use super::{Observation, merge, progress};

/// Everything that is rebuilt, parents before children.
const REBUILT: [&str; 9] = [
    "artists",
    "albums",
    "songs",
    "song_audio_features",
    "genres",
    "artist_genres",
    "source_misses",
    "loader_progress",
    "mailbox_identity",
];

/// Replaces what is here by what is in `schema`: a schema of PostgreSQL, or an attached file of SQLite.
pub(super) fn adopt(db: &mut dyn Database, schema: &str) -> Result<(), Failure> {
    let held = progress::ledger(db)?;
    empty(db)?;
    for table in REBUILT {
        let columns = columns(db, table)?;
        db.execute(Statement::new(format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {schema}.{table}")))?;
    }
    for (claim, _) in held {
        let text = "UPDATE loader_progress SET epoch = epoch + ? WHERE topic = ? AND \"partition\" = ?";
        let statement = Statement::new(text).int(claim.epoch + 1).text(claim.at.topic.default_name());
        db.execute(statement.int(i64::from(claim.at.partition)))?;
    }
    if db.dialect() == Dialect::Postgres {
        // The ids came with the rows: the next new genre must not meet one of them.
        let text = "SELECT setval(pg_get_serial_sequence('genres', 'genre_id'), \
                    COALESCE((SELECT max(genre_id) FROM genres), 0) + 1, false)";
        db.rows(Statement::new(text))?;
    }
    Ok(())
}

/// What is here and was observed later than what is in `schema`, in the order of the keys, at most `limit`.
pub(super) fn lacking(db: &mut dyn Database, schema: &str, limit: usize) -> Result<Vec<Observation>, Failure> {
    let mut lacking = Vec::new();
    for (table, key, source, [observed_at, tiebreak]) in merge::observations() {
        let left = limit - lacking.len();
        let shown = key.iter().map(|part| format!("here.{part}")).collect::<Vec<_>>().join(" || '/' || ");
        let same = key.iter().map(|part| format!("there.{part} = here.{part}")).collect::<Vec<_>>().join(" AND ");
        let text = format!(
            "SELECT {shown}, here.{observed_at}, here.{tiebreak} FROM {table} here LEFT JOIN {schema}.{table} there ON {same} \
             WHERE here.{observed_at} IS NOT NULL AND (there.{observed_at} IS NULL \
             OR (here.{observed_at}, here.{tiebreak}) > (there.{observed_at}, there.{tiebreak})) ORDER BY 1 LIMIT {left}"
        );
        lacking.extend(db.rows(Statement::new(text))?.iter().map(|row| {
            let (observed_at, tiebreak) = (row.count(1), row.count(2));
            Observation { table, key: row.key(0), source, observed_at, tiebreak }
        }));
    }
    Ok(lacking)
}

fn empty(db: &mut dyn Database) -> Result<(), Failure> {
    match db.dialect() {
        Dialect::Postgres => drop(db.execute(Statement::new(format!("TRUNCATE {}", REBUILT.join(", "))))?),
        Dialect::Sqlite => {
            for table in REBUILT.iter().rev() {
                db.execute(Statement::new(format!("DELETE FROM {table}")))?;
            }
        }
    }
    Ok(())
}

/// The columns by name: two databases migrated at different times may have them in another order.
fn columns(db: &mut dyn Database, table: &str) -> Result<String, Failure> {
    let text = match db.dialect() {
        Dialect::Postgres => {
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position"
        }
        Dialect::Sqlite => "SELECT name FROM pragma_table_info(?)",
    };
    let rows = db.rows(Statement::new(text).text(table))?;
    Ok(rows.iter().map(|row| format!("\"{}\"", row.key(0))).collect::<Vec<_>>().join(", "))
}
