//! Rows a second of a merge, beside a plain upsert row by row on the same database in the same run: read the ratios.
//!
//! SQLite always, PostgreSQL where `REPRISE_TEST_POSTGRES=postgres://...` is set. `cargo bench --bench store`.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::upsert::excluded;
use reprise::mailbox::TopicPartition;
use reprise::records::{ArtistNameRow, Row, SongRow, Topic, Version};
use reprise::store::schema::songs;
use reprise::store::{Change, Store, open_store};

/// Records a measurement: large enough that one batch of 5000 is not all of it.
const RECORDS: usize = 10_000;

/// Records of the plain upsert: it is slow.
const PLAIN_RECORDS: usize = 2_000;

/// Rows a transaction of the plain upsert, as many as a usual batch.
const PLAIN_TRANSACTION: usize = 500;

type Failure = Box<dyn std::error::Error>;

fn song(number: usize, title: &str) -> SongRow {
    // Keys scattered over the index, as hashes are.
    let id = format!("{:016x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    SongRow {
        song_id: id,
        song_name: format!("{title} {number}"),
        artist_id: format!("artist{:05}", number / 10),
        album_id: None,
        duration_ms: Some(200_000),
        duration_seconds: Some(200),
        duration_minutes: Some(3.333),
        release_date: Some("1997-05-21".into()),
        release_date_precision: Some("day".into()),
        is_explicit: Some(false),
        popularity: Some(50),
        track_number: Some(1),
        is_playable: Some(true),
        isrc: Some(format!("GBAYE{number:07}")),
    }
}

fn change(at: i64, row: Row) -> Change {
    let version = Version { observed_at: at, tiebreak: 0 };
    Change { at: TopicPartition { topic: Topic::MusicTransformed, partition: 0 }, row, version }
}

fn merged(store: &dyn Store, at: i64, title: &str, batch: usize) -> Result<Duration, Failure> {
    let changes: Vec<Change> = (0..RECORDS).map(|number| change(at, Row::Song(song(number, title)))).collect();
    let start = Instant::now();
    for part in changes.chunks(batch) {
        store.apply(part, &[])?;
    }
    Ok(start.elapsed())
}

/// One typed Diesel upsert a row: what a loader without stage and merge would do.
macro_rules! plain {
    ($connection:expr, $at:expr, $title:expr) => {{
        let connection = $connection;
        let rows: Vec<SongRow> = (0..PLAIN_RECORDS).map(|number| song(number, $title)).collect();
        let start = Instant::now();
        for part in rows.chunks(PLAIN_TRANSACTION) {
            connection.transaction(|connection| {
                for row in part {
                    diesel::insert_into(songs::table)
                        .values((
                            songs::song_id.eq(&row.song_id),
                            songs::song_name.eq(&row.song_name),
                            songs::artist_id.eq(&row.artist_id),
                            songs::duration_ms.eq(row.duration_ms),
                            songs::duration_seconds.eq(row.duration_seconds),
                            songs::duration_minutes.eq(row.duration_minutes),
                            songs::release_date.eq(&row.release_date),
                            songs::release_date_precision.eq(&row.release_date_precision),
                            songs::is_explicit.eq(row.is_explicit),
                            songs::popularity.eq(row.popularity),
                            songs::track_number.eq(row.track_number),
                            songs::is_playable.eq(row.is_playable),
                            songs::isrc.eq(&row.isrc),
                            songs::track_observed_at.eq($at),
                        ))
                        .on_conflict(songs::song_id)
                        .do_update()
                        .set((
                            songs::song_name.eq(excluded(songs::song_name)),
                            songs::artist_id.eq(excluded(songs::artist_id)),
                            songs::duration_ms.eq(excluded(songs::duration_ms)),
                            songs::duration_seconds.eq(excluded(songs::duration_seconds)),
                            songs::duration_minutes.eq(excluded(songs::duration_minutes)),
                            songs::release_date.eq(excluded(songs::release_date)),
                            songs::popularity.eq(excluded(songs::popularity)),
                            songs::isrc.eq(excluded(songs::isrc)),
                            songs::track_observed_at.eq(excluded(songs::track_observed_at)),
                        ))
                        .execute(connection)?;
                }
                diesel::QueryResult::Ok(())
            })?;
        }
        start.elapsed()
    }};
}

#[expect(clippy::cast_precision_loss, reason = "rates for a person")]
fn rate(records: usize, took: Duration) -> f64 {
    records as f64 / took.as_secs_f64()
}

/// The database emptied but for the artists, so that only songs are measured.
fn prepare(connection: &mut impl SimpleConnection, store: &dyn Store) -> Result<(), Failure> {
    connection.batch_execute("DELETE FROM songs")?;
    let names: Vec<Change> = (0..=RECORDS / 10)
        .map(|number| {
            let artist_id = format!("artist{number:05}");
            change(1, Row::ArtistName(ArtistNameRow { artist_name: artist_id.clone(), artist_id }))
        })
        .collect();
    store.apply(&names, &[])?;
    Ok(())
}

macro_rules! measure {
    ($name:expr, $url:expr, $connection:expr) => {{
        let store = open_store($url)?;
        store.migrate()?;
        let mut connection = $connection;
        prepare(&mut connection, store.as_ref())?;
        let insert = rate(PLAIN_RECORDS, plain!(&mut connection, 1_i64, "plain"));
        let update = rate(PLAIN_RECORDS, plain!(&mut connection, 2_i64, "again"));
        println!("{:<10} {:>7}  {insert:>9.0}        {update:>9.0}", $name, "plain");
        for batch in [50, 500, 1_000, 5_000] {
            prepare(&mut connection, store.as_ref())?;
            let merge_insert = rate(RECORDS, merged(store.as_ref(), 1, "merge", batch)?);
            let merge_update = rate(RECORDS, merged(store.as_ref(), 2, "again", batch)?);
            let replay = rate(RECORDS, merged(store.as_ref(), 2, "again", batch)?);
            println!(
                "{:<10} {batch:>7}  {merge_insert:>9.0} {:>5.1}x  {merge_update:>9.0} {:>5.1}x  {replay:>9.0} {:>5.1}x",
                $name,
                merge_insert / insert,
                merge_update / update,
                replay / update
            );
        }
    }};
}

fn main() -> Result<(), Failure> {
    println!(
        "{:<10} {:>7}  {:>9} {:>6}  {:>9} {:>6}  {:>9} {:>6}",
        "rows/s", "batch", "insert", "", "update", "", "replay", ""
    );
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bench.db").display().to_string();
    let url = format!("sqlite:{path}");
    measure!("sqlite", &url, {
        let mut connection = SqliteConnection::establish(&path)?;
        connection.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA synchronous = NORMAL")?;
        connection
    });
    match std::env::var("REPRISE_TEST_POSTGRES") {
        Ok(server) => {
            let schema = format!("reprise_bench_{}", std::process::id());
            let mut admin = PgConnection::establish(&server)?;
            admin.batch_execute(&format!("CREATE SCHEMA {schema}"))?;
            let sign = if server.contains('?') { '&' } else { '?' };
            let url = format!("{server}{sign}options=-csearch_path%3D{schema}");
            let outcome = (|| -> Result<(), Failure> {
                measure!("postgres", &url, PgConnection::establish(&url)?);
                Ok(())
            })();
            admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE"))?;
            outcome?;
        }
        Err(_) => println!("postgres: not measured, REPRISE_TEST_POSTGRES is not set"),
    }
    Ok(())
}
