//! A broker and a database of this program's own, to be killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::process::{Settings, signal};

/// How a script says that a service cannot be had here.
const UNAVAILABLE: i32 = 3;

/// One server, managed by its script.
pub struct Server {
    pub name: &'static str,
    script: PathBuf,
    dir: PathBuf,
    pid_file: &'static str,
    /// `host:port` or URL.
    pub address: String,
    starting: Option<Child>,
    up: bool,
}

/// Both.
pub struct Servers {
    pub broker: Server,
    pub database: Server,
}

impl Servers {
    /// Starts both; `None`, having said why, if one cannot be had here.
    pub fn start(dir: &Path) -> Option<Servers> {
        let broker = Server::start("broker", "kafka.sh", "kafka.pid", dir)?;
        let database = Server::start("database", "postgres.sh", "postgres.pid", dir)?;
        Some(Servers { broker, database })
    }

    /// These settings with topics and tables on these servers.
    pub fn used_by(&self, settings: Settings) -> Settings {
        settings
            .with("mailbox.kind", "kafka")
            .with("kafka.brokers", &self.broker.address)
            .with("database.url", &self.database.address)
            .with("load.connections", 4)
    }
}

impl Server {
    fn start(name: &'static str, script: &str, pid_file: &'static str, dir: &Path) -> Option<Server> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services").join(script);
        let dir = dir.join(name);
        let started = Command::new(&script).arg("start").arg(&dir).stderr(Stdio::inherit()).output().expect("the script runs");
        if started.status.code() == Some(UNAVAILABLE) {
            println!("NOT RUN: no {name} is to be had here, see above");
            return None;
        }
        assert!(started.status.success(), "the {name} did not start");
        let address = String::from_utf8_lossy(&started.stdout).trim().to_owned();
        Some(Server { name, script, dir, pid_file, address, starting: None, up: true })
    }

    /// Whether it runs, as far as this program has a hand in it.
    pub fn is_up(&mut self) -> bool {
        if let Some(starting) = &mut self.starting
            && let Some(status) = starting.try_wait().expect("the script can be asked")
        {
            assert!(status.success(), "the {} did not start again", self.name);
            (self.starting, self.up) = (None, true);
        }
        self.up
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        signal(self.process(), "KILL");
        self.up = false;
    }

    /// Starts it again, beside everything else.
    pub fn revive(&mut self) {
        let mut command = Command::new(&self.script);
        command.arg("start").arg(&self.dir).stdout(Stdio::null()).stderr(Stdio::null());
        self.starting = Some(command.spawn().expect("the script runs"));
    }

    /// `STOP` or `CONT`, to it and to the processes it has started.
    pub fn signal(&self, name: &str) {
        let process = self.process();
        signal(process, name);
        let listed = Command::new("ps").args(["-o", "pid=", "--ppid", &process.to_string()]).output().expect("ps");
        let children = String::from_utf8_lossy(&listed.stdout).into_owned();
        children.split_whitespace().filter_map(|child| child.parse().ok()).for_each(|child| signal(child, name));
    }

    fn process(&self) -> u32 {
        let text = std::fs::read_to_string(self.dir.join(self.pid_file)).expect("a pid file");
        text.trim().parse().expect("a process id")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(starting) = &mut self.starting {
            // The script ends by itself within a minute; stopping what half runs would leave it behind.
            let _ = starting.wait();
        }
        // Nothing more to be done if it fails: the script has said why.
        let _ = Command::new(&self.script).arg("stop").arg(&self.dir).stdout(Stdio::null()).status();
    }
}
