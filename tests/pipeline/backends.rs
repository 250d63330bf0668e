//! The same catalogue through Kafka and PostgreSQL gives the same digest as embedded.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};

use crate::process::Settings;
use crate::scene::{SMALL, Scene};

/// Kafka and PostgreSQL, with names that only one test uses.
pub struct Servers {
    kafka: String,
    postgres: String,
    name: String,
}

impl Servers {
    /// The servers that the environment names; says so if it names none.
    pub fn named(test: &str) -> Option<Servers> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (kafka, postgres) = (given("REPRISE_TEST_KAFKA"), given("REPRISE_TEST_POSTGRES"));
        let (Some(kafka), Some(postgres)) = (kafka, postgres) else {
            eprintln!("NOT RUN: {test}: REPRISE_TEST_KAFKA=HOST:PORT and REPRISE_TEST_POSTGRES=URL are not both set");
            return None;
        };
        let name = format!("pipeline_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let servers = Servers { kafka, postgres, name };
        servers.run(&format!("CREATE SCHEMA {}", servers.name));
        Some(servers)
    }

    fn run(&self, sql: &str) {
        let mut connection = PgConnection::establish(&self.postgres).expect("REPRISE_TEST_POSTGRES is reachable");
        connection.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// These settings with topics on Kafka and tables in PostgreSQL.
    pub fn used_by(&self, settings: Settings) -> Settings {
        let sign = if self.postgres.contains('?') { '&' } else { '?' };
        settings
            .with("mailbox.kind", "kafka")
            .with("kafka.brokers", &self.kafka)
            .with("topics.prefix", format!("{}.", self.name))
            .with("database.url", format!("{}{sign}options=-csearch_path%3D{}", self.postgres, self.name))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Ok(mut connection) = PgConnection::establish(&self.postgres) {
            // Best effort: the next test has another name.
            let _ = connection.batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name));
        }
    }
}

#[test]
fn kafka_and_postgresql_give_the_digest_of_the_embedded_run() {
    let Some(servers) = Servers::named("kafka_and_postgresql_give_the_digest_of_the_embedded_run") else { return };
    let scene = Scene::new(SMALL, 60);
    let embedded = scene.settings("embedded").answer(&["run", "--once", "--json"]);
    let settings = servers.used_by(scene.settings("servers"));
    let served = settings.answer(&["run", "--once", "--json"]);
    assert_eq!((&served["digest"], &served["rows"]), (&embedded["digest"], &embedded["rows"]), "{served}");
    assert_eq!(served["dead_letters"], 0, "{served}");
    let audit = settings.answer(&["audit", "--json"]);
    assert_eq!((&audit["digest"], &audit["balanced"]), (&embedded["digest"], &true.into()), "{audit}");
    assert_eq!(settings.run(&["doctor"]).code, Some(0));
}

#[test]
fn a_second_run_on_servers_changes_nothing_and_asks_for_nothing_known() {
    let Some(servers) = Servers::named("a_second_run_on_servers_changes_nothing_and_asks_for_nothing_known") else { return };
    let scene = Scene::new(SMALL, 20);
    let settings = servers.used_by(scene.settings("servers"));
    let first = settings.answer(&["run", "--once", "--json"]);
    let second = settings.answer(&["run", "--once", "--json"]);
    assert_eq!(first["digest"], second["digest"]);
    let answered = scene.sandbox.calls().answered;
    let repeats: Vec<&String> =
        answered.iter().filter(|(key, count)| **count > 1 && key.starts_with("artists/")).map(|(key, _)| key).collect();
    assert!(repeats.is_empty(), "{repeats:?}");
}
