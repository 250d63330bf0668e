//! A sandbox and a folder: where most of these tests play.

use std::path::Path;

use reprise::sandbox::{Sandbox, SandboxOptions, Search};
use tempfile::TempDir;

use crate::process::Settings;

/// See the module.
pub struct Scene {
    pub sandbox: Sandbox,
    pub searches: Vec<Search>,
    folder: TempDir,
}

/// Small enough to be searched in a moment, large enough for every oddity of the catalogue.
pub const SMALL: SandboxOptions = SandboxOptions {
    port: 0,
    seed: 11,
    fault_rate: 0.0,
    regime: reprise::sandbox::Regime::Restricted,
    artists: 200,
    tracks: 900,
    quota_after: None,
    retry_after_s: 1,
    token_life_s: 3600,
    latency_ms: 0,
    dead_clips: 0.0,
    enforce_limits: false,
};

impl Scene {
    /// Two searches of together `tracks` tracks.
    pub fn new(options: SandboxOptions, tracks: usize) -> Scene {
        let half = tracks / 2;
        let searches = [("genre:jazz", half), ("genre:rock", tracks - half)];
        Scene {
            sandbox: Sandbox::start(options).expect("a sandbox"),
            searches: searches.map(|(q, max_tracks)| Search { q: q.to_owned(), max_tracks }).to_vec(),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A folder of this name.
    pub fn place(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The embedded service on the sandbox, in a folder of this name.
    pub fn settings(&self, name: &str) -> Settings {
        Settings::new(&self.place(name)).at(&self.sandbox).searching(&self.searches)
    }
}

/// Lines of `sql` on the embedded database of a data directory, each the column `value`.
pub fn lines(data_dir: &Path, sql: &str) -> Vec<String> {
    lines_of(&data_dir.join("reprise.db"), sql)
}

/// Lines of `sql` on an SQLite file, each the column `value`.
pub fn lines_of(file: &Path, sql: &str) -> Vec<String> {
    use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query, sql_types::Text};
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let mut connection = SqliteConnection::establish(&file.to_string_lossy()).expect("the database opens");
    let rows: Vec<Line> = sql_query(sql).load(&mut connection).unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|line| line.value).collect()
}
