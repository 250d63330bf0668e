//! The loader's place in each partition, in the same database and transaction as the rows.
//!
//! **Guarantee.** A loader whose claim was overtaken, or that would skip or repeat offsets, changes nothing.

use super::database::Database;
use super::errors::Failure;
use super::statement::Statement;
use super::{Advance, Change, Claim, StoreError};
use crate::mailbox::{Ledger, TopicPartition};
use crate::records::Topic;

/// Takes over `partitions`: each epoch rises by one.
pub(super) fn claim(db: &mut dyn Database, partitions: &[TopicPartition]) -> Result<Vec<Claim>, Failure> {
    // In one order, so that two claims cannot wait for each other.
    let mut sorted = partitions.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let text = "INSERT INTO loader_progress (topic, \"partition\", epoch) VALUES (?, ?, 1) \
                ON CONFLICT (topic, \"partition\") DO UPDATE SET epoch = loader_progress.epoch + 1, \
                updated_at = CURRENT_TIMESTAMP RETURNING epoch, next_offset";
    let mut claims = Vec::with_capacity(sorted.len());
    for at in sorted {
        let statement = Statement::new(text).cached().text(at.topic.default_name()).int(i64::from(at.partition));
        let rows = db.rows(statement)?;
        let row = rows.first().ok_or(diesel::result::Error::NotFound)?;
        claims.push(Claim { at, epoch: row.count(0), next_offset: row.int(1) });
    }
    Ok(claims)
}

/// Notes which mailbox the offsets are of. Answers whether some were of another one, which are all where it has another identity
/// and else those `beyond` its end: these partitions begin anew, with an empty ledger. Reading again what is known changes no
/// row, because each has its version.
pub(super) fn recognise(db: &mut dyn Database, identity: &str, beyond: &[TopicPartition]) -> Result<bool, Failure> {
    let begin_anew = "UPDATE loader_progress SET next_offset = NULL, epoch = epoch + 1, consumed = 0, emitted = 0, superseded = 0, \
                      dead_lettered = 0, produced = 0, updated_at = CURRENT_TIMESTAMP";
    match identity_of(db)?.as_deref() {
        Some(known) if known == identity => {
            for at in beyond {
                let statement = Statement::new(format!("{begin_anew} WHERE topic = ? AND \"partition\" = ?"));
                db.execute(statement.text(at.topic.default_name()).int(i64::from(at.partition)))?;
            }
            Ok(!beyond.is_empty())
        }
        Some(_) => {
            db.execute(Statement::new("UPDATE mailbox_identity SET identity = ?").text(identity))?;
            db.execute(Statement::new(begin_anew))?;
            Ok(true)
        }
        // A database from before this was noted: its offsets are taken for those of the mailbox it is used with.
        None => {
            let text = "INSERT INTO mailbox_identity (one, identity) VALUES (1, ?) ON CONFLICT (one) DO NOTHING";
            db.execute(Statement::new(text).text(identity)).map(|_| Ok(false))?
        }
    }
}

/// The mailbox that the offsets are of, once it was noted.
pub(super) fn identity_of(db: &mut dyn Database) -> Result<Option<String>, Failure> {
    let rows = db.rows(Statement::new("SELECT identity FROM mailbox_identity"))?;
    Ok(rows.first().and_then(|row| row.text(0)).map(str::to_owned))
}

/// Refuses an advance whose claim was overtaken or whose offsets do not join on.
pub(super) fn check(db: &mut dyn Database, advances: &[Advance]) -> Result<(), Failure> {
    let mut sorted: Vec<&Advance> = advances.iter().collect();
    sorted.sort_unstable_by_key(|advance| advance.at);
    if let Some(twice) = sorted.windows(2).find_map(|pair| match pair {
        [one, other] if one.at == other.at => Some(one.at),
        _ => None,
    }) {
        return Err(StoreError::Fenced(format!("{twice}: advanced twice in one batch")).into());
    }
    let lock = db.dialect().for_update();
    let text = format!("SELECT epoch, next_offset FROM loader_progress WHERE topic = ? AND \"partition\" = ?{lock}");
    for advance in sorted {
        let at = advance.at;
        let statement = Statement::new(text.as_str()).cached().text(at.topic.default_name()).int(i64::from(at.partition));
        let rows = db.rows(statement)?;
        let Some(row) = rows.first() else {
            return Err(StoreError::Fenced(format!("{at}: never claimed in this database")).into());
        };
        let (epoch, next_offset) = (row.count(0), row.int(1));
        if epoch != advance.epoch {
            let problem = format!("{at}: owned by epoch {epoch} now, this writer has epoch {}", advance.epoch);
            return Err(StoreError::Fenced(problem).into());
        }
        if next_offset != advance.from || Some(advance.to) < advance.from || advance.to < 0 {
            let problem = format!(
                "{at}: the database stands at offset {}, this batch goes from {} to {}",
                offset(next_offset),
                offset(advance.from),
                advance.to
            );
            return Err(StoreError::Fenced(problem).into());
        }
    }
    Ok(())
}

fn offset(offset: Option<i64>) -> String {
    offset.map_or_else(|| "none".to_owned(), |offset| offset.to_string())
}

/// Moves the partitions on, and adds to their ledgers what became of their changes.
pub(super) fn advance(db: &mut dyn Database, changes: &[Change], won: &[bool], advances: &[Advance]) -> Result<(), Failure> {
    let text = "UPDATE loader_progress SET next_offset = ?, consumed = consumed + ?, emitted = emitted + ?, \
                superseded = superseded + ?, dead_lettered = dead_lettered + ?, produced = produced + ?, \
                updated_at = CURRENT_TIMESTAMP WHERE topic = ? AND \"partition\" = ? AND epoch = ? \
                AND next_offset IS NOT DISTINCT FROM ?";
    for advance in advances {
        let mut counts = advance.counts;
        for (_, won) in changes.iter().zip(won).filter(|(change, _)| change.at == advance.at) {
            if *won { counts.emitted += 1 } else { counts.superseded += 1 }
        }
        let mut statement = Statement::new(text).cached().int(advance.to);
        for count in [counts.consumed, counts.emitted, counts.superseded, counts.dead_lettered, counts.produced] {
            statement = statement.int(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let statement = statement
            .text(advance.at.topic.default_name())
            .int(i64::from(advance.at.partition))
            .int(advance.epoch)
            .bind(super::statement::Bind::Int(advance.from));
        if db.execute(statement)? != 1 {
            return Err(StoreError::Fenced(format!("{}: claimed by another loader meanwhile", advance.at)).into());
        }
    }
    Ok(())
}

/// Where every partition stands, and its ledger.
pub(super) fn ledger(db: &mut dyn Database) -> Result<Vec<(Claim, Ledger)>, Failure> {
    let text = "SELECT topic, \"partition\", epoch, next_offset, consumed, emitted, superseded, dead_lettered, produced \
                FROM loader_progress";
    let unsigned = |count: i64| u64::try_from(count).unwrap_or_default();
    let mut entries: Vec<(Claim, Ledger)> = db
        .rows(Statement::new(text))?
        .iter()
        .filter_map(|row| {
            let topic = Topic::from_default_name(row.text(0)?)?;
            let at = TopicPartition { topic, partition: i32::try_from(row.count(1)).ok()? };
            let ledger = Ledger {
                consumed: unsigned(row.count(4)),
                emitted: unsigned(row.count(5)),
                superseded: unsigned(row.count(6)),
                dead_lettered: unsigned(row.count(7)),
                produced: unsigned(row.count(8)),
            };
            Some((Claim { at, epoch: row.count(2), next_offset: row.int(3) }, ledger))
        })
        .collect();
    entries.sort_unstable_by_key(|(claim, _)| claim.at);
    Ok(entries)
}
