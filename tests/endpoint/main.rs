//! The endpoint as others see it: the real actor, supervised, on a free port, over real sockets.

mod client;
mod fakes;
mod metrics;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use client::{Answer, ask, eventually, get, listen, post, try_ask};
use fakes::{Stage, groups};
use reprise::config::Secret;
use reprise::mailbox::TopicPartition;
use reprise::observe::endpoint::budgets::{Budget, Window};
use reprise::observe::endpoint::{AddressSlot, Endpoint, EndpointOptions, EndpointSources, factory};
use reprise::observe::log::LevelFilter;
use reprise::records::{DeadLetter, DeadReason, Envelope, Topic, now_micros};
use reprise::supervision::{ChildSpec, Control, Exit, Tree};

const TOKEN: &str = "a-token";

/// A whole service made of fakes, with the real endpoint in its tree.
struct Service {
    stage: Stage,
    slot: AddressSlot,
    address: SocketAddr,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stage.board.control("root", Control::Drain);
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn start(token: &str) -> Service {
    let service = launch(any_port(), token);
    eventually("ready", || get(service.address, "/readyz").status == 200);
    service
}

fn launch(listen: SocketAddr, token: &str) -> Service {
    let stage = Stage::new();
    let slot = launch_in(&stage, listen, token);
    eventually("listening", || slot.get().is_some());
    let address = slot.get().expect("it listens");
    Service { stage, slot, address }
}

fn launch_in(stage: &Stage, listen: SocketAddr, token: &str) -> AddressSlot {
    let sources = EndpointSources {
        board: stage.board.clone(),
        metrics: stage.metrics.clone(),
        mailbox: stage.mailbox.clone(),
        store: stage.store.clone(),
        groups: groups(),
        run_id: "test".to_owned(),
    };
    let deezer = Budget { api: "deezer", windows: vec![Window { calls: 50, per_s: 5.0, used: 12 }], closed: None };
    let options = EndpointOptions { listen, token: Secret::new(token) };
    let endpoint = Endpoint::new(options, sources).showing(Arc::new(move || vec![deezer.clone()]));
    let slot = endpoint.address();
    let spec = stage.tree(vec![ChildSpec::worker("endpoint", factory(endpoint))]);
    let board = stage.board.clone();
    thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let mut tree = Tree::start(spec, &board);
            tree.ended().await
        })
    });
    slot
}

fn order(service: &Service, path: &str) -> Answer {
    ask(service.address, "POST", path, &[&format!("Authorization: Bearer {TOKEN}")])
}

fn actor(service: &Service, name: &str) -> serde_json::Value {
    let answer = get(service.address, "/api/actors").json();
    let actors = answer["actors"].as_array().expect("a list").clone();
    actors.into_iter().find(|actor| actor["name"] == name).unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[test]
fn every_route_answers_with_its_type() {
    let service = start(TOKEN);
    for (path, kind) in [
        ("/", "text/html"),
        ("/assets/style.css", "text/css"),
        ("/assets/main.js", "text/javascript"),
        ("/metrics", "application/openmetrics-text; version=1.0.0"),
        ("/livez", "application/json"),
        ("/readyz", "application/json"),
        ("/api/actors", "application/json"),
        ("/api/topics", "application/json"),
        ("/api/dead-letters", "application/json"),
        ("/api/records", "application/json"),
        ("/api/summary", "application/json"),
    ] {
        let answer = get(service.address, path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.headers["content-type"].starts_with(kind), "{path}: {:?}", answer.headers);
        assert_eq!(ask(service.address, "HEAD", path, &[]).status, 200, "{path} for HEAD");
        assert_eq!(ask(service.address, "DELETE", path, &[]).status, 405, "{path} for DELETE");
    }
    let missing = get(service.address, "/api/nothing");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("/api/actors"), "a wrong path is told the right ones: {}", missing.body);
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let service = start("");
    let page = get(service.address, "/").body;
    let mut files: Vec<String> = vec![page.clone()];
    for name in ["style.css", "main.js", "dom.js", "format.js", "tree.js", "panels.js", "controls.js"] {
        files.push(get(service.address, &format!("/assets/{name}")).body);
    }
    for text in &files {
        let foreign = text.replace("http://www.w3.org/", "");
        assert!(!foreign.contains("http://") && !foreign.contains("https://"), "a foreign address in the page");
        assert!(!text.contains("innerHTML") && !text.contains("insertAdjacentHTML"), "text must stay text");
    }
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="), "the policy forbids inline");
}

#[test]
fn every_answer_carries_the_security_headers() {
    let service = start(TOKEN);
    for path in ["/", "/metrics", "/api/actors", "/nowhere"] {
        let headers = get(service.address, path).headers;
        let policy = &headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert!(!headers.keys().any(|name| name.starts_with("access-control")), "{path}: other origins have no business here");
    }
}

#[test]
fn a_foreign_host_name_is_refused() {
    let service = start(TOKEN);
    assert_eq!(ask(service.address, "GET", "/api/actors", &["Host: evil.example:9464"]).status, 403);
    assert_eq!(ask(service.address, "GET", "/api/actors", &["Host: localhost:1"]).status, 200);
}

#[test]
fn controls_need_the_token() {
    let service = start(TOKEN);
    let path = "/api/actors/tracks/restart";
    let missing = ask(service.address, "POST", path, &[]);
    assert_eq!((missing.status, missing.headers["www-authenticate"].as_str()), (401, "Bearer realm=\"reprise\""));
    assert_eq!(ask(service.address, "POST", path, &["Authorization: Bearer wrong"]).status, 401);
    assert_eq!(ask(service.address, "POST", path, &["Authorization: Basic YTpi"]).status, 401);
    assert_eq!(actor(&service, "tracks")["restarts"], 0);
    assert_eq!(order(&service, path).status, 202);
    eventually("a second life", || actor(&service, "tracks")["generation"] == 2);
    assert_eq!(actor(&service, "tracks")["exits"][0]["kind"], "operator");
}

#[test]
fn without_a_configured_token_controls_are_off() {
    let service = start("");
    for headers in [&[][..], &["Authorization: Bearer "], &["Authorization: Bearer x"]] {
        let answer = ask(service.address, "POST", "/api/actors/tracks/restart", headers);
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("observe.token"), "{}", answer.body);
    }
}

#[test]
fn wrong_orders_are_told_what_is_right() {
    let service = start(TOKEN);
    let unknown = order(&service, "/api/actors/nobody/restart");
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["known"].as_array().expect("names").iter().any(|name| name == "tracks"));
    assert_eq!(order(&service, "/api/actors/tracks/dance").status, 404);
    assert_eq!(order(&service, "/api/actors/root/restart").status, 409, "the root has nobody to start it again");
}

#[test]
fn pause_and_resume_show() {
    let service = start(TOKEN);
    assert_eq!(order(&service, "/api/actors/audio/pause").status, 202);
    eventually("paused", || actor(&service, "audio")["state"] == "paused");
    assert_eq!(get(service.address, "/readyz").status, 200, "an operator's pause is no fault");
    assert_eq!(order(&service, "/api/actors/audio/resume").status, 202);
    eventually("running", || actor(&service, "audio")["state"] == "running");
}

#[test]
fn readiness_says_what_is_missing_and_why() {
    let service = start(TOKEN);
    let unready = |what: &str| {
        let answer = get(service.address, "/readyz");
        let list = answer.json()["not_ready"].clone();
        let found = list.as_array().expect("a list").iter().find(|item| item["what"] == what).cloned();
        (answer.status, found.map(|item| item["why"].as_str().unwrap_or_default().to_owned()).unwrap_or_default())
    };
    let tracks = service.stage.puppet("tracks");
    tracks.wait(Some("spotify: rate limit"), None);
    eventually("waiting", || actor(&service, "tracks")["state"] == "waiting");
    assert_eq!(unready("tracks").0, 200, "a rate limit is nobody's fault");
    tracks.wait(Some("mailbox: no broker"), None);
    eventually("not ready", || unready("tracks") == (503, "mailbox: no broker".to_owned()));
    tracks.wait(None, None);
    eventually("ready again", || unready("tracks").0 == 200);
    service.stage.store.break_with(Some("connection refused"));
    eventually("no database", || unready("database") == (503, "connection refused".to_owned()));
    service.stage.store.break_with(None);
    service.stage.mailbox.break_with(Some("brokers down"));
    eventually("no mailbox", || unready("mailbox") == (503, "brokers down".to_owned()));
    service.stage.mailbox.break_with(None);
    eventually("ready again", || unready("mailbox").0 == 200);
    service.stage.puppet("audio").fail(Exit::Stopped("no such codec".to_owned()));
    eventually("failed", || unready("audio").1.contains("no such codec"));
    assert_eq!(get(service.address, "/livez").status, 200, "one failed actor is no reason to kill the process");
    let answers = get(service.address, "/api/actors").json()["answers"].clone();
    assert_eq!(answers["healthy"]["text"], "No: audio failed");
    assert!(answers["failed"]["detail"].as_str().expect("a reason").contains("no such codec"));
}

#[test]
fn topics_show_lag_and_ledger_by_group() {
    let service = start(TOKEN);
    let at = TopicPartition { topic: Topic::MusicTopTracks, partition: 4 };
    for _ in 0..10 {
        service.stage.mailbox.push(at, String::new(), b"{}".to_vec(), None);
    }
    service.stage.mailbox.work_off("reprise.audio", at, 7);
    let group = |stage: &str| {
        let topics = get(service.address, "/api/topics").json()["topics"].clone();
        let topic = topics.as_array()?.iter().find(|topic| topic["topic"] == "music_top_tracks")?.clone();
        topic["groups"].as_array()?.iter().find(|group| group["stage"] == stage).cloned()
    };
    eventually("the lag shows", || group("audio").is_some_and(|audio| audio["lag"] == 3));
    let audio = group("audio").expect("a reader");
    assert_eq!((&audio["ledger"]["consumed"], &audio["balanced"]), (&7.into(), &true.into()));
    assert_eq!(audio["partitions"][4], serde_json::json!({"partition": 4, "committed": 7, "lag": 3}));
    assert_eq!(group("artists").expect("a reader")["lag"], 10, "never committed: everything waits");
    assert_eq!(actor(&service, "audio")["lag"], 3);
}

fn letter(payload: &[u8]) -> DeadLetter {
    DeadLetter {
        stage: "audio".into(),
        reason: DeadReason::new("undecodable", "no JSON"),
        origin_topic: "music_top_tracks".into(),
        origin_partition: 1,
        origin_offset: 3,
        origin_time: now_micros(),
        origin_key: "key".into(),
        payload_base64: DeadLetter::encode_payload(payload),
    }
}

#[test]
fn a_dead_letter_can_be_looked_into() {
    let service = start(TOKEN);
    service.stage.mailbox.append(2, letter(b"<script>"));
    let first = || get(service.address, "/api/dead-letters?limit=1").json()["dead_letters"][0].clone();
    eventually("it shows", || first()["payload"] == "<script>");
    assert_eq!((&first()["reason"], &first()["origin"]), (&"undecodable".into(), &"music_top_tracks/1/3".into()));
    assert_eq!(get(service.address, "/api/dead-letters?limit=x").status, 400);
}

#[test]
fn a_dead_letter_that_was_retried_is_not_shown_any_more() {
    let service = start(TOKEN);
    let letter = letter(b"x");
    let shown = || get(service.address, "/api/dead-letters").json()["dead_letters"].as_array().map_or(0, Vec::len);
    service.stage.mailbox.append(2, letter.clone());
    eventually("it shows", || shown() == 1);
    let mut marked = serde_json::to_value(Envelope::new(now_micros(), "test", letter)).expect("encodes");
    marked["mark"] = serde_json::json!({"state": "purged", "at": now_micros()});
    let at = TopicPartition { topic: Topic::MusicDeadLetters, partition: 2 };
    service.stage.mailbox.push(at, String::new(), marked.to_string().into_bytes(), None);
    eventually("it is gone", || shown() == 0);
}

#[test]
fn the_levels_of_the_log_change_for_whoever_has_the_token() {
    let service = start(TOKEN);
    let _guard = reprise::observe::log::install(false, LevelFilter::parse("error").expect("valid"), "test", Vec::new());
    let levels = || get(service.address, "/api/log").json()["levels"].clone();
    assert_eq!(levels(), "error");
    let wanted = serde_json::json!({"levels": "warn,reprise::load=debug"});
    assert_eq!(post(service.address, "/api/log", "wrong", &wanted).status, 401);
    let wrong = post(service.address, "/api/log", TOKEN, &serde_json::json!({"levels": "loud"}));
    assert!(wrong.status == 400 && wrong.body.contains("loud"), "{wrong:?}");
    assert_eq!(post(service.address, "/api/log", TOKEN, &serde_json::json!({"level": "warn"})).status, 400);
    assert_eq!(levels(), "error", "nothing of it took effect");
    assert_eq!(post(service.address, "/api/log", TOKEN, &wanted).status, 200);
    assert_eq!(levels(), "warn,reprise::load=debug");
}

#[test]
fn an_api_shows_its_limits_before_it_is_asked() {
    let service = start(TOKEN);
    let apis = get(service.address, "/api/summary").json()["apis"].clone();
    assert_eq!(apis[0]["api"], "deezer");
    assert_eq!(apis[0]["windows"], serde_json::json!([{"calls": 50, "per_s": 5.0, "used": 12}]));
}

#[test]
fn the_stream_tells_a_change_at_once() {
    let service = start(TOKEN);
    let crash = service.stage.puppet("load").clone();
    let heard = listen(service.address, "/api/events", |heard| {
        if heard.contains("event: snapshot") && !heard.contains("event: change") {
            crash.crash();
        }
        // A quick restart may be over between two looks: then the new incarnation is the change.
        heard.contains("event: change\ndata: {\"name\":\"load\"")
    });
    assert!(heard.contains("text/event-stream"), "{heard}");
}

#[test]
fn it_goes_on_answering_while_actors_crash() {
    let service = start(TOKEN);
    for round in 0..30 {
        for name in ["tracks", "audio", "load"] {
            service.stage.puppet(name).crash();
        }
        assert_eq!(get(service.address, "/metrics").status, 200, "round {round}");
        assert_eq!(get(service.address, "/api/actors").status, 200, "round {round}");
        thread::sleep(Duration::from_millis(10));
    }
    eventually("restarts are counted", || {
        let text = get(service.address, "/metrics").body;
        text.contains("reprise_actor_restarts_total{actor=\"audio\",reason=\"panic\"}")
    });
}

#[test]
fn its_own_restart_keeps_the_port() {
    let service = start(TOKEN);
    let alive_in = |generation: u64| {
        // What the dying server was answering is cut; a moment later the next life answers on the same port.
        let lives = || service.stage.board.actor("endpoint").is_some_and(|report| report.generation == generation);
        let answers = || try_ask(service.address, "GET", "/livez", &[]).is_ok_and(|answer| answer.status == 200);
        lives() && answers()
    };
    for round in 1..=3 {
        assert_eq!(order(&service, "/api/actors/endpoint/restart").status, 202, "round {round}");
        eventually("the next life answers", || alive_in(round + 1));
    }
    assert_eq!(service.slot.get(), Some(service.address));
}

#[test]
fn an_occupied_port_is_named_and_taken_once_it_is_free() {
    let occupied = TcpListener::bind(any_port()).expect("a free port");
    let address = occupied.local_addr().expect("bound");
    let stage = Stage::new();
    let slot = launch_in(&stage, address, TOKEN);
    let reason = || stage.board.actor("endpoint").and_then(|report| report.reason).unwrap_or_default();
    eventually("it says so", || reason().contains(&address.to_string()) && reason().contains("observe.listen"));
    assert_eq!(slot.get(), None);
    drop(occupied);
    eventually("it listens", || slot.get() == Some(address));
}

#[test]
fn the_summary_counts_rows() {
    let service = start(TOKEN);
    service.stage.store.add_rows("songs", 12);
    eventually("rows show", || get(service.address, "/api/summary").json()["rows"]["songs"] == 12);
}

/// Opens a connection, says `words`, and hears the first of an answer if one is due.
fn hold(address: SocketAddr, words: &str, answered: bool) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the endpoint listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out can be set");
    stream.write_all(words.as_bytes()).expect("it listens to the words");
    if answered {
        stream.read_exact(&mut [0; 12]).expect("an answer");
    }
    stream
}

#[test]
fn idle_clients_and_those_that_stop_in_mid_request_hold_nobody_up() {
    let service = start("");
    let (whole, half) = ("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "GET /livez HTTP/1.1\r\nHos");
    let times: Vec<Duration> = (0..3)
        .map(|_| {
            // More than there are places, were they kept.
            let mut held: Vec<TcpStream> = (0..600).map(|_| hold(service.address, whole, true)).collect();
            held.extend((0..300).map(|_| hold(service.address, half, false)));
            let asked = Instant::now();
            assert_eq!(get(service.address, "/livez").status, 200);
            asked.elapsed()
        })
        .collect();
    // Where idle connections keep their places, it takes as long as they are kept; where half a request does, its time-out: each
    // time. A busy machine may hold up one of them.
    assert!(times.iter().any(|time| *time < Duration::from_secs(2)), "{times:?}");
}

#[test]
fn a_database_that_does_not_even_refuse_to_answer_is_not_ready() {
    let service = start("");
    let (frozen, deadline) = (service.stage.store.freeze(), Instant::now() + Duration::from_secs(60));
    let told = loop {
        let answer = get(service.address, "/readyz");
        if answer.status == 503 {
            break answer.json();
        }
        assert!(Instant::now() < deadline, "ready, though the database gives no answer");
        thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(told["not_ready"][0]["what"], "database", "{told}");
    assert!(told["not_ready"][0]["why"].as_str().is_some_and(|why| why.starts_with("no answer for ")), "{told}");
    let health = &get(service.address, "/api/actors").json()["answers"]["healthy"];
    assert!(health["tone"] == "warn" && health["detail"].as_str().is_some_and(|why| why.contains("no answer")), "{health}");
    assert_eq!(get(service.address, "/livez").status, 200, "it is not this process that has to be restarted");
    drop(frozen);
    eventually("ready again", || get(service.address, "/readyz").status == 200);
}
