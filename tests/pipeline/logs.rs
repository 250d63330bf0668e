//! What a run logs: every line says which actor and which run it is about, none says a secret, and the levels change while
//! it runs.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use reprise::sandbox::{CLIENT_ID, CLIENT_SECRET, LASTFM_API_KEY, SandboxOptions};
use serde_json::{Value, json};

use crate::client;
use crate::process::{PATIENCE, Reprise, Settings, free_port, get, holds_within};
use crate::scene::{SMALL, Scene};

const FAULTY: SandboxOptions = SandboxOptions { fault_rate: 0.2, ..SMALL };
const TOKEN: &str = "operators-token-8c1f";
const PASSWORD: &str = "databases-password-51c7";

/// A run with everything logged that can be.
fn logged(format: &str) -> String {
    let scene = Scene::new(FAULTY, 12);
    let settings = scene.settings("logged").with("log.format", format).with("log.level", "trace");
    let settings = settings.with("observe.listen", format!("127.0.0.1:{}", free_port()));
    let ended = settings.run(&["run", "--once"]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    ended.log
}

#[test]
fn every_line_for_machines_is_json_with_time_level_module_actor_and_run() {
    let log = logged("json");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    for line in &lines {
        for key in ["ts", "level", "msg", "module", "actor", "run_id"] {
            assert!(line[key].as_str().is_some_and(|text| !text.is_empty()), "no {key}: {line}");
        }
        assert_eq!(line["run_id"], lines[0]["run_id"], "{line}");
    }
    let all = |key: &str| lines.iter().filter_map(|line| line[key].as_str()).collect::<BTreeSet<_>>();
    let actors = all("actor");
    for actor in ["setup", "audio", "listeners", "endpoint", "main"] {
        assert!(actors.contains(actor), "nothing of {actor}: {actors:?}");
    }
    let modules = all("module");
    assert!(modules.iter().any(|module| module.starts_with("actix_server")), "libraries are heard: {modules:?}");
    assert!(lines.iter().any(|line| line["msg"] == "The tables were migrated."));
}

#[test]
fn every_line_for_people_has_time_level_actor_and_run() {
    let log = logged("text");
    assert!(log.lines().count() > 20, "{log}");
    for line in log.lines() {
        let (time, rest) = line.split_at_checked("Nov 22 15:24:01.123 ".len()).unwrap_or_else(|| panic!("{line:?}"));
        assert!(chrono::NaiveDateTime::parse_from_str(&format!("2026 {time}"), "%Y %b %d %H:%M:%S%.3f ").is_ok(), "{line:?}");
        assert!(["CRIT ", "ERRO ", "WARN ", "INFO ", "DEBG ", "TRCE "].iter().any(|level| rest.starts_with(level)), "{line:?}");
        assert!(rest.contains(" actor: ") && rest.contains(", run_id: "), "{line:?}");
    }
}

/// Everything that an operator, a scraper or a browser can get out of a running instance.
fn everything_told(port: u16) -> String {
    let paths = ["/", "/metrics", "/readyz", "/api/actors", "/api/topics", "/api/dead-letters", "/api/records", "/api/summary"];
    let told: Vec<String> = paths.iter().filter_map(|path| get(port, path)).map(|(_, body)| body).collect();
    assert_eq!(told.len(), paths.len());
    told.join("\n")
}

/// What must not be found: the secrets as they are, and as they go over the wire.
fn secrets() -> Vec<String> {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    [CLIENT_SECRET, LASTFM_API_KEY, TOKEN, PASSWORD, &pair, "Bearer ey"].map(str::to_owned).to_vec()
}

fn tells_no_secret(settings: &Settings, port: u16, until: impl Fn(&Reprise) -> bool) {
    let settings = settings
        .clone()
        .with("log.level", "trace")
        .with("observe.listen", format!("127.0.0.1:{port}"))
        .with("observe.token", TOKEN);
    let running = settings.start(&["run"]);
    assert!(holds_within(PATIENCE, || get(port, "/livez").is_some() && until(&running)), "{}", running.log());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(client::post(address, "/api/log", "wrong", &json!({"levels": "debug"})).status, 401);
    assert_eq!(client::post(address, "/api/log", TOKEN, &json!({"levels": "trace"})).status, 200);
    let told = everything_told(port);
    let status = settings.run(&["status", "--json"]);
    let doctor = settings.run(&["doctor"]);
    running.signal("TERM");
    let ended = running.end(PATIENCE);
    let outputs =
        [("the log", ended.log), ("the endpoint", told), ("status", status.answer), ("doctor", doctor.answer + &doctor.log)];
    for (what, text) in outputs {
        assert!(!text.is_empty(), "{what} says something");
        for secret in secrets() {
            let line = text.lines().find(|line| line.contains(&secret));
            assert!(line.is_none(), "{what} tells {secret}: {line:?}");
        }
    }
}

#[test]
fn no_secret_is_told_while_all_goes_well_or_some_of_it_fails() {
    let scene = Scene::new(FAULTY, 12);
    let (settings, port) = (scene.settings("well"), free_port());
    let all_there = || get(port, "/api/summary").is_some_and(|(_, body)| body.contains("\"songs\":12"));
    tells_no_secret(&settings, port, |_| all_there());
}

#[test]
fn no_secret_is_told_while_the_database_is_away() {
    let scene = Scene::new(SMALL, 12);
    let away = format!("postgres://reprise:{PASSWORD}@127.0.0.1:{}/reprise?connect_timeout=2", free_port());
    let (settings, port) = (scene.settings("away").with("database.url", away), free_port());
    tells_no_secret(&settings, port, |running| running.log().contains("The database cannot be used; waiting for it."));
}

#[test]
fn no_secret_is_told_while_credentials_are_refused() {
    let scene = Scene::new(SMALL, 12);
    let (settings, port) = (scene.settings("refused").with("spotify.client_id", "nobody"), free_port());
    tells_no_secret(&settings, port, |_| get(port, "/readyz").is_some_and(|(_, body)| body.contains("\"tracks\"")));
}

#[test]
fn the_levels_change_while_it_runs() {
    let scene = Scene::new(SMALL, 12);
    let port = free_port();
    let settings = scene.settings("levels").with("log.level", "error").with("observe.token", TOKEN);
    let running = settings.with("observe.listen", format!("127.0.0.1:{port}")).start(&["run"]);
    let ready = || get(port, "/readyz").is_some_and(|(status, _)| status == 200);
    assert!(holds_within(PATIENCE, ready), "{}", running.log());
    assert_eq!(running.log(), "", "nothing failed");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let louder = json!({"levels": "error,reprise::observe=info"});
    assert_eq!(client::post(address, "/api/log", TOKEN, &louder).status, 200);
    let heard = || running.log().contains("An operator changed the levels of the log.");
    assert!(holds_within(Duration::from_secs(10), heard), "{}", running.log());
}
