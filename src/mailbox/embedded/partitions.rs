//! The list of partitions, which stands in the file twice: as a table, and as the index by topic and partition.
//!
//! **Guarantee.** A list that is not the same in both places, or was not made so (every topic has as many partitions as the others,
//! counted from 0), is damage, and a repair takes the one that is right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel::{QueryableByName, sql_query, sql_types};

use super::database::{Fault, damaged};
use super::schema::logs;
use crate::records::{Topic, TopicNames};

/// Number, topic, partition, low and high end, time of the last append.
pub(super) type Row = (i64, String, i32, i64, i64, i64);

/// Topic, partition and number.
type Entry = (String, i32, i64);

#[derive(QueryableByName)]
struct Listed {
    #[diesel(sql_type = sql_types::Text)]
    topic: String,
    #[diesel(sql_type = sql_types::Integer)]
    partition: i32,
    #[diesel(sql_type = sql_types::BigInt)]
    log: i64,
}

/// Refuses a damaged list.
pub(super) fn check(connection: &mut SqliteConnection, path: &Path, names: &TopicNames) -> Result<(), Fault> {
    let (table, index) = (entries(&rows(connection)?), listed(connection)?);
    if table != index {
        return Err(damaged(path, "its list of partitions and the index of that differ").into());
    }
    if !is_whole(&table, names) {
        return Err(damaged(path, "its list of partitions has gaps").into());
    }
    Ok(())
}

/// The list as the table has it, unless it is the index that is right; `None` where neither is.
pub(super) fn mended(connection: &mut SqliteConnection, names: &TopicNames) -> Result<Option<Vec<Row>>, Fault> {
    let rows = rows(connection)?;
    let (table, index) = (entries(&rows), listed(connection).unwrap_or_default());
    // Numbers are given in sequence.
    let is_counted = |list: &BTreeSet<Entry>| {
        list.iter().map(|(.., log)| *log).collect::<BTreeSet<i64>>().into_iter().eq(1..=list.len() as i64)
    };
    let is_right = |list: &BTreeSet<Entry>| !list.is_empty() && is_whole(list, names);
    if table == index || is_right(&table) && (is_counted(&table) || !is_right(&index)) {
        return Ok(is_whole(&table, names).then_some(rows));
    }
    if !is_right(&index) {
        return Ok(None);
    }
    let ends = |topic: &str, partition: i32, number: i64| {
        let by_number = rows.iter().find(|(log, ..)| *log == number);
        let found =
            by_number.or_else(|| rows.iter().find(|(_, name, place, ..)| (name.as_str(), *place) == (topic, partition)));
        found.map_or((0, 0, 0), |(.., low, high, appended_at)| (*low, *high, *appended_at))
    };
    let known = |(topic, partition, log): Entry| {
        let (low, high, appended_at) = ends(&topic, partition, log);
        (log, topic, partition, low, high, appended_at)
    };
    Ok(Some(index.into_iter().map(known).collect()))
}

fn rows(connection: &mut SqliteConnection) -> Result<Vec<Row>, Fault> {
    let columns = (logs::log, logs::topic, logs::partition, logs::low, logs::high, logs::appended_at);
    // By number: else SQLite may answer from the index.
    Ok(logs::table.select(columns).order(logs::log).load(connection)?)
}

fn entries(rows: &[Row]) -> BTreeSet<Entry> {
    rows.iter().map(|(log, topic, partition, ..)| (topic.clone(), *partition, *log)).collect()
}

fn listed(connection: &mut SqliteConnection) -> Result<BTreeSet<Entry>, Fault> {
    let query = "SELECT topic, partition, log FROM logs INDEXED BY sqlite_autoindex_logs_1 ORDER BY topic, partition";
    let found: Vec<Listed> = sql_query(query).load(connection)?;
    Ok(found.into_iter().map(|entry| (entry.topic, entry.partition, entry.log)).collect())
}

/// Topics of other deployments may be there as well, and say nothing.
fn is_whole(list: &BTreeSet<Entry>, names: &TopicNames) -> bool {
    let mut found: BTreeMap<Topic, BTreeSet<i32>> = BTreeMap::new();
    for (name, partition, _) in list {
        if let Some(topic) = names.topic(name) {
            found.entry(topic).or_default().insert(*partition);
        }
    }
    let counts: BTreeSet<usize> = found.values().map(BTreeSet::len).collect();
    counts.len() <= 1 && found.values().all(|partitions| partitions.iter().copied().eq((0..).take(partitions.len())))
}
