//! The real binary as child processes: settings by environment, a data directory each, ended with the test that started it.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use reprise::config::{Config, Sources};
use reprise::sandbox::{CLIENT_ID, CLIENT_SECRET, LASTFM_API_KEY, Sandbox, Search};
use serde_json::Value;

/// Longer than any run of these tests takes, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// What a child process finds in its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the process runs.
    pub folder: PathBuf,
    /// Its environment.
    pub variables: BTreeMap<String, String>,
}

impl Settings {
    /// Everything embedded in `folder/data`, no endpoint.
    pub fn new(folder: &Path) -> Settings {
        let settings = Settings { folder: folder.to_path_buf(), variables: BTreeMap::new() };
        settings.with("data_dir", folder.join("data").display()).with("observe.listen", "")
    }

    /// With the configuration's `key` set.
    pub fn with(mut self, key: &str, value: impl ToString) -> Settings {
        self.variables.insert(format!("REPRISE__{}", key.to_uppercase().replace('.', "__")), value.to_string());
        self
    }

    /// With the sandbox in place of the world, as fast as it answers: it has no limits to respect unless told to.
    pub fn at(self, sandbox: &Sandbox) -> Settings {
        let urls = sandbox.urls();
        self.with("spotify.client_id", CLIENT_ID)
            .with("spotify.client_secret", CLIENT_SECRET)
            .with("spotify.accounts_url", urls.accounts_url)
            .with("spotify.api_url", urls.api_url)
            .with("spotify.calls_per_30s", 30_000)
            .with("lastfm.api_key", LASTFM_API_KEY)
            .with("lastfm.api_url", urls.lastfm_url)
            .with("lastfm.calls_per_second", 1_000)
            .with("previews.deezer_url", urls.deezer_url)
            .with("previews.itunes_url", urls.itunes_url)
            .with("previews.allowed_hosts", "[\"127.0.0.1\"]")
            .with("previews.deezer_calls_per_5s", 5_000)
            .with("previews.itunes_calls_per_minute", 60_000)
            .with("http.backoff_base", "20ms")
            .with("http.backoff_max", "500ms")
    }

    /// With these queries.
    pub fn searching(self, searches: &[Search]) -> Settings {
        let entry = |search: &Search| format!("{{q = {:?}, max_tracks = {}}}", search.q, search.max_tracks);
        let entries: Vec<String> = searches.iter().map(entry).collect();
        self.with("queries", format!("[{}]", entries.join(", ")))
    }

    /// Where the process runs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A setting, as given.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.variables.get(&format!("REPRISE__{}", key.to_uppercase().replace('.', "__"))).map(String::as_str)
    }

    /// What the process will make of it.
    pub fn config(&self) -> Config {
        let sources = Sources { file: None, environment: self.variables.clone() };
        reprise::config::load(&sources).expect("a valid configuration")
    }

    /// Starts `reprise` with these arguments.
    pub fn start(&self, arguments: &[&str]) -> Reprise {
        std::fs::create_dir_all(&self.folder).expect("a folder to run in");
        let number = (0..).find(|number| !self.folder.join(format!("{number}.out")).exists()).unwrap_or_default();
        let [answer, log] = ["out", "log"].map(|kind| self.folder.join(format!("{number}.{kind}")));
        let mut command = Command::new(env!("CARGO_BIN_EXE_reprise"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REPRISE__")) {
            command.env_remove(name);
        }
        // Its own folder: neither a reprise.toml nor a .env of the developer's has a say.
        let child = command
            .args(arguments)
            .envs(&self.variables)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(File::create(&answer).expect("a file for the answer"))
            .stderr(File::create(&log).expect("a file for the log"))
            .spawn()
            .expect("the binary starts");
        Reprise { child, answer, log, called: arguments.join(" ") }
    }

    /// Runs `reprise` with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end(PATIENCE)
    }

    /// Runs it to its end, which must be a good one; its answer as JSON.
    pub fn answer(&self, arguments: &[&str]) -> Value {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "reprise {}: {}", arguments.join(" "), ended.log);
        ended.json()
    }
}

/// A running `reprise`. Dropped, it is killed.
#[derive(Debug)]
pub struct Reprise {
    child: Child,
    answer: PathBuf,
    log: PathBuf,
    called: String,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: by a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub answer: String,
    /// Standard error.
    pub log: String,
}

impl Ended {
    /// The only line of standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.answer).unwrap_or_else(|error| panic!("{error}: {:?}\n{}", self.answer, self.log))
    }
}

impl Reprise {
    /// Sends a signal by name: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// As [`Reprise::kill`], for one that will be replaced.
    pub fn kill_now(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("a child can be killed");
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().expect("a child can be asked")?;
        let read = |path: &Path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (answer, log) = (read(&self.answer).expect("its answer"), read(&self.log).expect("its log"));
        Some(Ended { code: status.code(), answer, log })
    }

    /// Waits for its end.
    pub fn end(mut self, limit: Duration) -> Ended {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(ended) = self.ended() {
                return ended;
            }
            assert!(Instant::now() < deadline, "reprise {} has not ended in {limit:?}:\n{}", self.called, self.log());
            thread::sleep(LOOK);
        }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Reprise {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to exactly this process.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).stderr(Stdio::null()).status();
    assert!(sent.is_ok(), "kill: {sent:?}");
}

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until `condition` holds; answers whether it did in time.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK);
    }
}

/// A port of 127.0.0.1 that was free just now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The status and body of `GET http://127.0.0.1:PORT/PATH`; `None` if nobody answers.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}
