//! A deployment of a test's own: topics, database, and the program itself run on both.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use reprise::mailbox::{
    EmbeddedMailbox, EmbeddedOptions, KafkaMailbox, KafkaOptions, Mailbox, Outgoing, SessionSpec, TopicPartition,
};
use reprise::records::{Topic, TopicNames, now_micros, partition_of};
use reprise::store::Store;
use serde_json::{Value, json};

pub const PARTITIONS: i32 = 3;
/// Longer than anything takes, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// See the module. Dropping it removes what it made.
pub struct Rig {
    pub name: &'static str,
    pub dir: tempfile::TempDir,
    pub database: String,
    env: Vec<(String, String)>,
    kafka: Option<(String, String)>,
    schema: Option<(String, String)>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some((url, schema)) = &self.schema
            && let Ok(mut connection) = PgConnection::establish(url)
        {
            let _ = connection.batch_execute(&format!(
                "DROP SCHEMA IF EXISTS {schema} CASCADE; DROP SCHEMA IF EXISTS {schema}_reprise_rebuild CASCADE"
            ));
        }
    }
}

/// Embedded topics and SQLite always; where the environment names servers, those too.
pub fn rigs() -> Vec<Rig> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (kafka, postgres) = (given("REPRISE_TEST_KAFKA"), given("REPRISE_TEST_POSTGRES"));
    let mut rigs = vec![rig("embedded", None, None)];
    if kafka.is_some() || postgres.is_some() {
        rigs.push(rig("servers", kafka, postgres));
    }
    rigs
}

pub fn embedded() -> Rig {
    rig("embedded", None, None)
}

fn rig(name: &'static str, kafka: Option<String>, postgres: Option<String>) -> Rig {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let own = format!("{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let dir = tempfile::tempdir().unwrap();
    let schema = postgres.map(|server| (server, format!("reprise_replay_{own}")));
    let database = match &schema {
        None => format!("sqlite:{}", dir.path().join("reprise.db").display()),
        Some((server, schema)) => {
            let mut connection = PgConnection::establish(server).expect("REPRISE_TEST_POSTGRES is reachable");
            connection.batch_execute(&format!("CREATE SCHEMA {schema}")).unwrap();
            format!("{server}{}options=-csearch_path%3D{schema}", if server.contains('?') { '&' } else { '?' })
        }
    };
    let kafka = kafka.map(|brokers| (brokers, format!("r{}-{own}.", now_micros())));
    let mut env = vec![
        ("REPRISE__DATA_DIR".to_owned(), dir.path().display().to_string()),
        ("REPRISE__DATABASE__URL".to_owned(), database.clone()),
        ("REPRISE__KAFKA__PARTITIONS".to_owned(), PARTITIONS.to_string()),
        ("REPRISE__OBSERVE__LISTEN".to_owned(), String::new()),
    ];
    if let Some((brokers, prefix)) = &kafka {
        env.push(("REPRISE__MAILBOX__KIND".to_owned(), "kafka".to_owned()));
        env.push(("REPRISE__KAFKA__BROKERS".to_owned(), brokers.clone()));
        env.push(("REPRISE__TOPICS__PREFIX".to_owned(), prefix.clone()));
    }
    let rig = Rig { name, dir, database, env, kafka, schema };
    rig.mailbox().create_topics(PARTITIONS).unwrap();
    rig.store().migrate().unwrap();
    rig
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

impl Rig {
    pub fn mailbox(&self) -> Arc<dyn Mailbox> {
        match &self.kafka {
            None => Arc::new(
                EmbeddedMailbox::open(EmbeddedOptions { dir: self.dir.path().to_owned(), names: TopicNames::default() })
                    .unwrap(),
            ),
            Some((brokers, prefix)) => Arc::new(
                KafkaMailbox::open(KafkaOptions {
                    brokers: brokers.clone(),
                    properties: Default::default(),
                    names: TopicNames::new(prefix, &Default::default()),
                    prefix: prefix.clone(),
                    replication: None,
                    logger: slog::Logger::root(slog::Discard, slog::o!()),
                })
                .unwrap(),
            ),
        }
    }

    pub fn store(&self) -> Arc<dyn Store> {
        reprise::store::open_store(&self.database).unwrap()
    }

    pub fn is_embedded(&self) -> bool {
        self.kafka.is_none()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reprise"));
        command.args(args).envs(self.env.iter().cloned()).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub fn reprise(&self, args: &[&str], extra: &[(&str, &str)]) -> Output {
        self.command(args).envs(extra.iter().copied()).output().unwrap()
    }

    /// The JSON answer of a command that succeeds.
    pub fn answer(&self, args: &[&str]) -> Value {
        self.answer_with(args, &[])
    }

    pub fn answer_with(&self, args: &[&str], extra: &[(&str, &str)]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        let output = self.reprise(&all, extra);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{} {args:?}: {:?}\n{out}\n{err}", self.name, output.status);
        serde_json::from_str(out.trim()).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
    }

    /// What a command that is refused says.
    pub fn refusal(&self, args: &[&str], code: i32) -> String {
        let output = self.reprise(args, &[]);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{} {args:?}\n{out}\n{err}", self.name);
        assert_eq!(out, "", "a refusal answers nothing");
        err
    }

    /// Transforms and loads what is there.
    pub fn work_off(&self) {
        self.answer(&["run", "--once", "--only", "transform,load"]);
    }

    /// A service that transforms and loads until it is dropped.
    pub fn service(&self) -> Service {
        let log = std::fs::File::create(self.dir.path().join("service.log")).unwrap();
        let child = self.command(&["run", "--only", "transform,load"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Service(child)
    }

    pub fn publish(&self, records: &[Outgoing]) {
        let spec = SessionSpec {
            group: "reprise.test".to_owned(),
            topics: Vec::new(),
            heads: Vec::new(),
            instance: "test".to_owned(),
            transactional: false,
            retains: true,
        };
        self.mailbox().open(&spec).unwrap().publish(records, &[]).unwrap();
    }

    pub fn dump(&self) -> String {
        let mut text = String::new();
        self.store().dump(&mut |line| text.extend([line, "\n"])).unwrap();
        text
    }

    pub fn digest(&self) -> String {
        self.store().digest().unwrap()
    }

    /// Waits until the database says what `music_transformed` says.
    pub fn settle(&self) {
        wait("the loader to catch up", || {
            let audit = self.audit();
            audit["stages"]["transform"]["waiting"] == 0 && audit["stages"]["load"]["waiting"] == 0 && self.loaded_all()
        });
    }

    fn loaded_all(&self) -> bool {
        let places = self.store().ledger().unwrap();
        self.mailbox().watermarks(Topic::MusicTransformed).unwrap().iter().all(|ends| {
            ends.high == ends.low
                || places
                    .iter()
                    .any(|(claim, _)| claim.at == ends.at && claim.next_offset.is_some_and(|next| next >= ends.high))
        })
    }

    pub fn audit(&self) -> Value {
        let output = self.reprise(&["audit", "--json"], &[]);
        serde_json::from_str(texts(&output).0.trim()).unwrap_or_else(|error| panic!("{error}: {:?}", texts(&output)))
    }

    pub fn assert_sound(&self) {
        let audit = self.answer(&["audit"]);
        assert_eq!(audit["balanced"], true, "{audit}");
    }

    /// The digest of a rebuild into a new SQLite file: what `music_transformed` alone says.
    pub fn rebuilt_elsewhere(&self) -> String {
        let path = self.dir.path().join(format!("elsewhere-{}.db", now_micros()));
        let url = format!("sqlite:{}", path.display());
        let answer = self.answer_with(&["replay", "--rebuild"], &[("REPRISE__DATABASE__URL", &url)]);
        answer["digest"].as_str().unwrap().to_owned()
    }

    /// Runs SQL behind everybody's back.
    pub fn sql(&self, text: &str) {
        match &self.schema {
            None => self.sqlite().batch_execute(text).unwrap(),
            Some(_) => PgConnection::establish(&self.database).unwrap().batch_execute(text).unwrap(),
        }
    }

    pub fn sqlite(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(self.database.trim_start_matches("sqlite:")).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
        connection
    }

    pub fn is_sqlite(&self) -> bool {
        self.schema.is_none()
    }

    /// What PostgreSQL counted as written, once it does not move any more.
    pub fn written(&self) -> i64 {
        let mut connection = PgConnection::establish(&self.database).unwrap();
        let mut count = || {
            let text = "SELECT CAST(sum(n_tup_ins + n_tup_upd + n_tup_del) AS BIGINT) AS value FROM pg_stat_user_tables \
                        WHERE schemaname = current_schema() AND relname <> '__diesel_schema_migrations'";
            sql_query(text).get_result::<Number>(&mut connection).unwrap().value
        };
        let mut last = count();
        loop {
            std::thread::sleep(Duration::from_millis(1_500));
            let now = count();
            if now == last {
                return now;
            }
            last = now;
        }
    }

    pub fn number(&self, text: &str) -> i64 {
        match &self.schema {
            None => sql_query(text).get_result::<Number>(&mut self.sqlite()).unwrap().value,
            Some(_) => {
                sql_query(text).get_result::<Number>(&mut PgConnection::establish(&self.database).unwrap()).unwrap().value
            }
        }
    }

    /// Whether a rebuild stands beside the live database that has got somewhere. Looks only where it is: looking makes it.
    pub fn has_rebuilt_a_part(&self) -> bool {
        let there = match &self.schema {
            None => self.dir.path().join("reprise.db.rebuild").exists(),
            Some((_, schema)) => {
                let text = "SELECT count(*) AS value FROM information_schema.tables WHERE table_name = 'loader_progress'";
                self.number(&format!("{text} AND table_schema = '{schema}_reprise_rebuild'")) == 1
            }
        };
        let places = || self.store().beside().and_then(|beside| beside.ledger());
        there && places().is_ok_and(|places| places.iter().any(|(claim, _)| claim.next_offset.is_some()))
    }

    /// Checkpoint files of interrupted replays.
    pub fn checkpoints(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("replay-")).collect()
    }
}

pub fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

pub fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !until() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A running `reprise run`, ended in order when dropped.
pub struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// A raw record of `topic`, of this primary artist.
pub fn raw(topic: Topic, artist: &str, key: &str, observed_at: i64, body: Value) -> Outgoing {
    let mut payload = json!({"schema_version": 1, "observed_at": observed_at, "run_id": "test"});
    payload.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let at = TopicPartition { topic, partition: partition_of(artist, PARTITIONS) };
    Outgoing { at, key: key.to_owned(), payload: payload.to_string().into_bytes(), version: None }
}

/// Three records a track: itself, its artist's profile and its artist's Last.fm figures, matched with `score`.
pub fn tracks(numbers: std::ops::Range<i64>, observed_at: i64, score: f64) -> Vec<Outgoing> {
    let one = |number: i64| {
        let artist = format!("artist{}", number % 7);
        let song = format!("song{number}");
        let track = json!({
            "id": song, "name": format!("Title {number} at {observed_at}"), "duration_ms": 200_000 + number,
            "artists": [{"id": artist, "name": format!("Artist {artist}")}],
            "album": {"id": format!("album{}", number % 5), "title": "An Album", "album_type": "album", "total_tracks": 9,
                      "release_date": "1997", "release_date_precision": "year",
                      "artist": {"id": artist, "name": format!("Artist {artist}")}},
        });
        let profile = json!({"artist_id": artist, "name": format!("Artist {artist}"), "popularity": number % 100,
                             "followers": number, "genres": ["rock", format!("genre {}", number % 3)]});
        let figures = json!({"artist_id": artist, "subject": "artist", "figures": {"found": {
            "name": format!("Artist {artist}"), "mbid": null, "on_tour": false, "listeners": 100 + number,
            "playcount": 1_000 + number, "tags": ["rock"], "matched": {"score": score, "quality": "high", "reasons": []}}}});
        let at = observed_at + number;
        [
            raw(Topic::MusicTopTracks, &artist, &song, at, track),
            raw(Topic::ArtistGenres, &artist, &artist, at, profile),
            raw(Topic::LastfmArtist, &artist, &artist, at, figures),
        ]
    };
    numbers.flat_map(one).collect()
}
