//! What is down at the start is waited for, visibly, and the work goes on when it comes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::backends::Servers;
use crate::process::{PATIENCE, Settings, free_port, get, holds_within};
use crate::scene::{SMALL, Scene, lines_of};

/// A port that refuses to answer until it is opened, and then leads to `target`.
struct Door {
    port: u16,
    target: String,
    closed: Arc<AtomicBool>,
}

impl Door {
    fn to(target: &str) -> Door {
        Door { port: free_port(), target: target.to_owned(), closed: Arc::default() }
    }

    fn open(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("the port is still free");
        let (target, closed) = (self.target.clone(), Arc::clone(&self.closed));
        thread::spawn(move || {
            for guest in listener.incoming().map_while(Result::ok) {
                if closed.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(host) = TcpStream::connect(&target) {
                    lead(&guest, &host);
                }
            }
        });
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the listener, if it listens.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn lead(guest: &TcpStream, host: &TcpStream) {
    for (from, to) in [(guest, host), (host, guest)] {
        let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
        thread::spawn(move || {
            let mut bytes = [0; 16_384];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            // One side is gone: so is the other.
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
}

/// Starts a single run, sees it wait for `what`, opens the door, and sees it through.
fn waits_for(settings: Settings, what: &str, open: impl FnOnce()) {
    let port = free_port();
    let settings = settings.with("observe.listen", format!("127.0.0.1:{port}"));
    let mut running = settings.start(&["run", "--once", "--json"]);
    let unready = || get(port, "/readyz").is_some_and(|(status, body)| status == 503 && body.contains(what));
    assert!(holds_within(Duration::from_secs(60), unready), "{:?}\n{}", get(port, "/readyz"), running.log());
    assert!(holds_within(Duration::from_secs(30), || running.log().contains(&format!("{what}: "))), "{}", running.log());
    assert!(running.ended().is_none(), "it waits: {}", running.log());
    assert!(get(port, "/livez").is_some_and(|(status, _)| status == 200), "waiting is not failing");
    open();
    let ended = running.end(PATIENCE);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let summary = ended.json();
    assert_eq!((&summary["rows"]["songs"], &summary["restarts"]), (&20.into(), &0.into()), "{summary}");
}

/// `host:port` of a URL.
fn host(url: &str) -> String {
    let rest = url.split("://").nth(1).unwrap_or(url);
    rest.rsplit('@').next().unwrap_or(rest).split('/').next().unwrap_or_default().to_owned()
}

#[test]
fn a_database_that_is_down_at_the_start_is_waited_for() {
    let Some(servers) = Servers::named("a_database_that_is_down_at_the_start_is_waited_for") else { return };
    let scene = Scene::new(SMALL, 20);
    let settings = servers.used_by(scene.settings("down"));
    let url = settings.get("database.url").expect("a database").to_owned();
    let door = Door::to(&host(&url));
    let through = url.replace(&host(&url), &format!("127.0.0.1:{}", door.port));
    waits_for(settings.with("database.url", through), "database", || door.open());
}

#[test]
fn a_broker_that_is_down_at_the_start_is_waited_for() {
    let Some(servers) = Servers::named("a_broker_that_is_down_at_the_start_is_waited_for") else { return };
    let scene = Scene::new(SMALL, 20);
    let settings = servers.used_by(scene.settings("down"));
    // The broker names its own address once it is reached: only the first step leads through the door.
    let door = Door::to(settings.get("kafka.brokers").expect("a broker"));
    waits_for(settings.with("kafka.brokers", format!("127.0.0.1:{}", door.port)), "mailbox", || door.open());
}

#[test]
fn a_disk_that_refuses_the_embedded_data_is_an_error_that_names_the_folder() {
    let scene = Scene::new(SMALL, 10);
    let blocked = scene.place("a file, not a folder");
    std::fs::write(&blocked, "in the way").expect("a file");
    let ended = scene.settings("disk").with("data_dir", blocked.display()).run(&["run", "--once"]);
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains("a file, not a folder"), "{}", ended.log);
}

fn flip_a_bit_of_the_last_message(file: &Path, topic: &str) {
    // A message that is there: pages keep old copies of what was moved, and a bit flipped in one of those hurts nobody. Its
    // first bytes alone would do for the transformed record as well, which has the same time and run.
    let chosen = format!(
        "SELECT hex(substr(payload, 1, 300)) AS value FROM messages JOIN logs USING (log) \
         WHERE topic = '{topic}' ORDER BY position DESC LIMIT 1"
    );
    let payload = lines_of(file, &chosen).pop().expect("a message");
    let mut bytes = std::fs::read(file).expect("the log");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let places: Vec<usize> = hex.match_indices(&payload).map(|(at, _)| at / 2).collect();
    assert!(!places.is_empty(), "its bytes are in the file");
    places.iter().for_each(|at| bytes[at + 9] ^= 1);
    std::fs::write(file, &bytes).expect("the log is writable");
}

#[test]
fn a_damaged_log_is_refused_repaired_by_command_and_used_again() {
    let scene = Scene::new(SMALL, 12);
    let settings = scene.settings("damaged");
    let stored = settings.answer(&["run", "--once", "--json"]);
    let file = scene.place("damaged/data/mailbox.db");
    flip_a_bit_of_the_last_message(&file, "lastfm_artist");
    let refused = settings.run(&["replay"]);
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    assert!(refused.log.contains("damaged") && refused.log.contains("reprise topics --repair"), "{}", refused.log);
    let repaired = settings.answer(&["topics", "--repair", "--json"]);
    assert_eq!(repaired["lost"].as_array().map(Vec::len), Some(1), "{repaired}");
    assert!(repaired["damaged_copy"].as_str().is_some_and(|copy| std::path::Path::new(copy).exists()), "{repaired}");
    settings.answer(&["replay", "--json"]);
    assert_eq!(
        settings.answer(&["run", "--once", "--json"])["digest"],
        stored["digest"],
        "what was lost is still in the database"
    );
}

#[test]
fn what_a_repair_loses_of_the_rows_is_said_and_made_again_from_the_raw_topics() {
    let scene = Scene::new(SMALL, 12);
    let settings = scene.settings("rows");
    let stored = settings.answer(&["run", "--once", "--json"]);
    let file = scene.place("rows/data/mailbox.db");
    flip_a_bit_of_the_last_message(&file, "music_transformed");
    let damaged = std::fs::read(&file).expect("the log");
    let repaired = settings.run(&["topics", "--repair"]);
    assert_eq!(repaired.code, Some(0), "{}", repaired.log);
    for part in ["lost: music_transformed/", "reprise replay --restart", "`reprise replay --rebuild` would", "refuses to"] {
        assert!(repaired.answer.contains(part), "{part}: {}", repaired.answer);
    }
    std::fs::write(&file, damaged).expect("the log is writable");
    assert!(settings.answer(&["topics", "--repair", "--json"])["next"].is_string());
    let refused = settings.run(&["replay", "--rebuild"]);
    assert_eq!(refused.code, Some(2), "{}", refused.log);
    assert!(refused.log.contains("lose 1 observations") && refused.log.contains("--accept-loss"), "{}", refused.log);
    assert_eq!(settings.answer(&["replay", "--restart", "--json"])["appended"], 1);
    assert_eq!(settings.answer(&["replay", "--rebuild", "--json"])["digest"], stored["digest"], "nothing is missing any more");
}
