//! Applying what is already there writes no row, by the databases' own count.

use std::time::{Duration, Instant};

use crate::changes::{advance, artist, change, one_of_each, partition};
use crate::place::{self, Place, dump};

const ENTITIES: [&str; 7] = ["artists", "albums", "songs", "song_audio_features", "genres", "artist_genres", "source_misses"];

/// What PostgreSQL itself counted. A connection reports its counts at the latest when it ends.
fn counted(place: &Place) -> i64 {
    place
        .number(
            "SELECT CAST(sum(n_tup_ins + n_tup_upd + n_tup_del) AS BIGINT) AS value FROM pg_stat_user_tables \
             WHERE schemaname = current_schema() AND relname NOT IN ('loader_progress', '__diesel_schema_migrations')",
        )
        .unwrap_or_default()
}

/// The count once it does not move any more.
fn settled(place: &Place, at_least: i64) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut last = counted(place);
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = counted(place);
        if (now == last && now >= at_least) || Instant::now() > deadline {
            return now;
        }
        last = now;
    }
}

#[test]
fn a_replay_writes_no_row_by_postgresqls_count() {
    let Some(place) = place::postgres() else { return };
    place.store().apply(&one_of_each(), &[]).expect("records");
    let before = settled(&place, 9);
    assert!(before >= 9, "PostgreSQL counted only {before} writes of the first load");
    let store = place.open();
    let claim = store.claim(&[partition(0)]).expect("a claim")[0];
    store.apply(&one_of_each(), &[advance(&claim, 8, 8)]).expect("a replay");
    store.apply(&one_of_each(), &[]).expect("another");
    drop(store);
    assert_eq!(settled(&place, before), before, "the replay wrote rows");
    place.open().apply(&[change(99, artist("a1", "News"))], &[]).expect("news");
    assert_eq!(settled(&place, before + 1), before + 1, "the count does not count");
}

#[test]
fn a_replay_without_advance_leaves_the_sqlite_file_alone() {
    use diesel::{RunQueryDsl, sql_query};
    #[derive(diesel::QueryableByName)]
    struct Seen {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        data_version: i64,
    }
    let place = place::sqlite();
    let store = place.store();
    store.apply(&one_of_each(), &[]).expect("records");
    // SQLite tells a connection by `data_version` whether any other one committed a write.
    let mut watcher = place.sqlite_connection();
    let mut seen = || sql_query("PRAGMA data_version").get_result::<Seen>(&mut watcher).expect("a version").data_version;
    let before = seen();
    store.apply(&one_of_each(), &[]).expect("a replay");
    assert_eq!(seen(), before, "the replay wrote");
    store.apply(&[change(99, artist("a1", "News"))], &[]).expect("news");
    assert_ne!(seen(), before, "the watcher does not see writes");
}

#[test]
fn a_replay_with_advance_writes_progress_only() {
    let place = place::sqlite();
    let store = place.store();
    store.apply(&one_of_each(), &[]).expect("records");
    place.run("CREATE TABLE writes (what TEXT)");
    for table in ENTITIES {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            place.run(&format!(
                "CREATE TRIGGER {table}_{event} AFTER {event} ON {table} BEGIN INSERT INTO writes VALUES ('{event} {table}'); END"
            ));
        }
    }
    let claim = store.claim(&[partition(0)]).expect("a claim")[0];
    let applied = store.apply(&one_of_each(), &[advance(&claim, 8, 8)]).expect("a replay");
    assert_eq!(place.text("SELECT group_concat(what) AS value FROM writes"), None);
    assert!(applied.won.iter().all(|won| !won));
    assert_eq!(applied.effects.values().map(|effect| effect.unchanged).sum::<u64>(), 8);
    assert_eq!(store.ledger().expect("a ledger")[0].1.superseded, 8);
    store.apply(&[change(99, artist("a1", "News"))], &[]).expect("news");
    assert_eq!(place.text("SELECT group_concat(what) AS value FROM writes").as_deref(), Some("UPDATE artists"));
}

#[test]
fn updated_at_moves_with_the_row_and_only_then() {
    for place in place::all() {
        let store = place.store();
        store.apply(&one_of_each(), &[]).expect("records");
        for (table, column) in [("artists", "updated_at"), ("songs", "updated_at"), ("song_audio_features", "analysis_date")] {
            place.run(&format!("UPDATE {table} SET {column} = '2001-01-01 00:00:00'"));
        }
        let old = |table: &str, column: &str| {
            let sql = format!("SELECT count(*) AS value FROM {table} WHERE {column} = '2001-01-01 00:00:00'");
            place.number(&sql).unwrap_or_default()
        };
        let before = dump(store.as_ref());
        store.apply(&one_of_each(), &[]).expect("a replay");
        assert_eq!((old("artists", "updated_at"), old("songs", "updated_at")), (1, 1));
        assert_eq!(old("song_audio_features", "analysis_date"), 1);
        // The same content, observed later: the version moves, and updated_at with it.
        let again: Vec<_> = one_of_each().into_iter().map(|one| change(one.version.observed_at + 100, one.row)).collect();
        store.apply(&again, &[]).expect("a refresh");
        assert_eq!((old("artists", "updated_at"), old("songs", "updated_at")), (0, 0));
        assert_eq!(old("song_audio_features", "analysis_date"), 0);
        assert_eq!(before, dump(store.as_ref()));
    }
}
