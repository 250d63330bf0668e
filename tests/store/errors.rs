//! What may pass by itself is waited for, what the data is to blame for says where, and what needs a person says what to do.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use reprise::records::Row;
use reprise::store::{Change, Store, StoreError, StoreOptions, open, open_store};

use crate::changes::{album, artist, change, listeners, one_of_each, partition, song};
use crate::place;

fn data(store: &dyn Store, offender: Change) -> String {
    match store.apply(&[change(1, artist("fine", "Fine")), offender], &[]) {
        Err(StoreError::Data(problem)) => problem,
        other => panic!("expected a fault of the data, found {other:?}"),
    }
}

#[test]
fn a_violated_constraint_is_named() {
    for place in place::all() {
        let store = place.store();
        let mut wrong = song("s1", "Song", "a1", None);
        if let Row::Song(row) = &mut wrong {
            row.popularity = Some(101);
        }
        assert!(data(store.as_ref(), change(1, wrong)).contains("songs_popularity_check"));
        let mut wrong = album("b1", "Album", None);
        if let Row::Album(row) = &mut wrong {
            row.album_type = Some("mixtape".into());
        }
        assert!(data(store.as_ref(), change(1, wrong)).contains("albums_album_type_check"));
        assert!(data(store.as_ref(), change(1, artist("a1", ""))).contains("artists_artist_name_check"));
        assert!(data(store.as_ref(), change(1, listeners("a1", Some(-1), &[]))).contains("artists_total_listeners_check"));
        store.apply(&one_of_each(), &[]).expect("the store still works");
    }
}

#[test]
fn what_only_one_database_could_hold_is_refused_by_both() {
    for place in place::all() {
        let store = place.store();
        let problem = data(store.as_ref(), change(1, artist("a1", "nul\0nul")));
        assert!(problem.contains("artists.track_name of a1"), "{problem}");
        let mut wrong = listeners("a1", Some(1), &[]);
        if let Row::ArtistListeners(row) = &mut wrong {
            row.plays_per_listener = Some(f64::NAN);
        }
        assert!(data(store.as_ref(), change(1, wrong)).contains("plays_per_listener"));
        assert!(data(store.as_ref(), change(1, song("s1", "Song", "", None))).contains("artists"));
    }
}

#[test]
fn a_missing_schema_says_how_to_make_it() {
    for place in place::all() {
        match place.open().apply(&one_of_each(), &[]) {
            Err(StoreError::Setup(problem)) => assert!(problem.contains("reprise migrate"), "{problem}"),
            other => panic!("{}: {other:?}", place.name),
        }
    }
}

#[test]
fn a_newer_schema_is_refused() {
    for place in place::all() {
        let store = place.store();
        place.run("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')");
        match store.migrate() {
            Err(StoreError::Setup(problem)) => assert!(problem.contains("newer reprise"), "{problem}"),
            other => panic!("{}: {other:?}", place.name),
        }
    }
}

#[test]
fn a_server_that_is_down_is_waited_for_and_no_password_is_shown() {
    let mut options = StoreOptions::new("postgres://someone:hunter2@127.0.0.1:1/music");
    options.connect_timeout = Duration::from_millis(300);
    let store = open(&options).expect("opening does not connect");
    assert_eq!(store.describe(), "postgres://127.0.0.1:1/music");
    for outcome in [store.claim(&[partition(0)]).map(|_| ()), store.migrate().map(|_| ())] {
        match outcome {
            Err(StoreError::Unavailable(problem)) => {
                assert!(problem.contains("127.0.0.1") && !problem.contains("hunter2"), "{problem}");
            }
            other => panic!("expected to wait, found {other:?}"),
        }
    }
    assert!(!format!("{store:?}").contains("hunter2"));
}

#[test]
fn what_is_no_sqlite_database_needs_a_person() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("no.db");
    std::fs::write(&file, "this is a letter, and not a short one at that: it goes on ".repeat(40)).expect("a file");
    for path in [file, folder.path().join("no/such/folder/music.db")] {
        let mut options = StoreOptions::new(format!("sqlite:{}", path.display()));
        options.connect_timeout = Duration::from_secs(3);
        match open(&options).expect("opening does not touch it").migrate() {
            Err(StoreError::Setup(problem)) => assert!(problem.contains("sqlite:"), "{problem}"),
            other => panic!("{}: {other:?}", path.display()),
        }
    }
    assert!(matches!(open_store("oracle:xe"), Err(StoreError::Setup(_))));
}

#[test]
fn a_writer_in_the_way_is_waited_for_on_sqlite() {
    let place = place::sqlite();
    place.store();
    let mut options = StoreOptions::new(place.url.as_str());
    options.lock_timeout = Duration::from_millis(100);
    let store = open(&options).expect("a store");
    let mut other = place.sqlite_connection();
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let outcome = store.apply(&one_of_each(), &[]);
    assert!(matches!(&outcome, Err(StoreError::Unavailable(problem)) if problem.contains("locked")), "{outcome:?}");
    other.batch_execute("ROLLBACK").expect("let go");
    store.apply(&one_of_each(), &[]).expect("afterwards it works");
}

#[test]
fn a_lock_that_is_held_too_long_is_waited_for_on_postgresql() {
    let Some(place) = place::postgres() else { return };
    place.store().apply(&one_of_each(), &[]).expect("records");
    let mut options = StoreOptions::new(place.url.as_str());
    options.lock_timeout = Duration::from_millis(200);
    let mut other = place.postgres_connection();
    other.batch_execute("BEGIN; SELECT 1 FROM artists FOR UPDATE").expect("the lock");
    let news = [change(99, artist("a1", "News"))];
    let by_lock = open(&options).expect("a store").apply(&news, &[]);
    assert!(matches!(&by_lock, Err(StoreError::Unavailable(problem)) if problem.contains("lock timeout")), "{by_lock:?}");
    options.lock_timeout = Duration::from_secs(10);
    options.statement_timeout = Duration::from_millis(200);
    let by_statement = open(&options).expect("a store").apply(&news, &[]);
    assert!(
        matches!(&by_statement, Err(StoreError::Unavailable(problem)) if problem.contains("statement timeout")),
        "{by_statement:?}"
    );
    other.batch_execute("ROLLBACK").expect("let go");
    open(&options).expect("a store").apply(&news, &[]).expect("afterwards it works");
}

#[test]
fn a_read_only_server_is_waited_for() {
    let Some(place) = place::postgres() else { return };
    place.store();
    let store = open_store(&format!("{}%20-cdefault_transaction_read_only%3Don", place.url)).expect("a store");
    let outcome = store.apply(&one_of_each(), &[]);
    assert!(matches!(&outcome, Err(StoreError::Unavailable(problem)) if problem.contains("read-only")), "{outcome:?}");
}

#[test]
fn a_server_that_takes_writes_again_is_written_to_at_once() {
    let Some(place) = place::postgres() else { return };
    place.store();
    // A default of a role's own, as of a whole database: each session keeps what it found when it began.
    let role = format!("{}_writer", place.schema().expect("a schema of its own"));
    place.run(&format!("CREATE ROLE {role} LOGIN SUPERUSER; ALTER ROLE {role} SET default_transaction_read_only = on"));
    let mut url = url::Url::parse(&place.url).expect("a URL");
    url.set_username(&role).expect("a user");
    let store = open_store(url.as_str()).expect("a store");
    let refused = |outcome: Result<(), StoreError>| {
        assert!(matches!(&outcome, Err(StoreError::Unavailable(problem)) if problem.contains("read-only")), "{outcome:?}");
    };
    refused(store.apply(&one_of_each(), &[]).map(|_| ()));
    refused(store.claim(&[partition(0)]).map(|_| ()));
    store.row_counts().expect("it can still be read");
    place.run(&format!("ALTER ROLE {role} RESET default_transaction_read_only"));
    // Nothing was written yet with the session that the question was asked on: it may stand in the way once.
    let applied = store.apply(&one_of_each(), &[]).or_else(|_| store.apply(&one_of_each(), &[]));
    store.claim(&[partition(0)]).expect("a claim");
    drop(store);
    place.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    applied.expect("new sessions may write");
}

#[test]
fn a_role_or_database_that_does_not_exist_needs_a_person() {
    let Some(server) = place::server() else { return };
    let mut wrong = url::Url::parse(&server).expect("a URL");
    wrong.set_path("/no_such_database");
    match open_store(wrong.as_str()).expect("opening does not connect").row_counts() {
        Err(StoreError::Setup(problem)) => assert!(problem.contains("no_such_database"), "{problem}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_that_waits_for_a_rebuild_to_be_put_in_place_sees_its_rows() {
    let Some(place) = place::postgres() else { return };
    place.store().apply(&one_of_each(), &[]).expect("records");
    let mut options = StoreOptions::new(place.url.as_str());
    options.application_name = format!("reader {}", place.url.rsplit('_').next().unwrap_or_default());
    let store = open(&options).expect("a store");
    let before = store.row_counts().expect("counts");
    assert!(before["artist_genres"] > 0, "{before:?}");
    let mut other = place.postgres_connection();
    let put_in_place = "BEGIN; LOCK TABLE loader_progress IN ACCESS EXCLUSIVE MODE; \
                        CREATE TEMP TABLE rebuilt ON COMMIT DROP AS SELECT * FROM artist_genres; \
                        TRUNCATE artist_genres; INSERT INTO artist_genres SELECT * FROM rebuilt";
    other.batch_execute(put_in_place).expect("a rebuild");
    let waits = format!(
        "SELECT count(*) AS value FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'",
        options.application_name
    );
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| store.row_counts());
        let deadline = Instant::now() + Duration::from_secs(8);
        while place.number(&waits) != Some(1) {
            assert!(Instant::now() < deadline, "nobody waits");
            std::thread::sleep(Duration::from_millis(20));
        }
        other.batch_execute("COMMIT").expect("the rebuild is in place");
        assert_eq!(reader.join().expect("no panic").expect("counts"), before);
    });
}

#[test]
fn a_connection_cut_by_the_server_is_replaced() {
    let Some(place) = place::postgres() else { return };
    place.store().apply(&one_of_each(), &[]).expect("records");
    let mut options = StoreOptions::new(place.url.as_str());
    options.application_name = format!("cut {}", place.url.len());
    options.application_name.push_str(place.url.rsplit('_').next().unwrap_or_default());
    let store = open(&options).expect("a store");
    let mut other = place.postgres_connection();
    other.batch_execute("BEGIN; SELECT 1 FROM artists FOR UPDATE").expect("the lock");
    let name = options.application_name.clone();
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| store.apply(&[change(99, artist("a1", "News"))], &[]));
        let cut = format!(
            "SELECT count(pg_terminate_backend(pid)) AS value FROM pg_stat_activity \
             WHERE application_name = '{name}' AND wait_event_type = 'Lock'"
        );
        for _ in 0..100 {
            if place.number(&cut) == Some(1) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let outcome = blocked.join().expect("no panic");
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    });
    other.batch_execute("ROLLBACK").expect("let go");
    store.apply(&[change(99, artist("a1", "News"))], &[]).expect("a new connection");
}
