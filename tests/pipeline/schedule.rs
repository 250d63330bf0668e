//! The scheduler in a process that is killed: each run is published once, and nobody has to keep a message for it.

use reprise::mailbox::Mailbox;
use reprise::records::{SearchRequest, Topic, parse};
use reprise::service::open_mailbox;

use crate::backends::Servers;
use crate::client::ask;
use crate::process::{PATIENCE, Settings, holds_within};
use crate::scene::{SMALL, Scene};

const EVERY_MICROS: i64 = 1_000_000;

fn often(settings: Settings) -> Settings {
    settings.with("queries", r#"[{q = "genre:jazz", max_tracks = 3, every = "1s"}]"#).with("scheduler.jitter", "0s")
}

/// When each run was due, microseconds since the Unix epoch, in order.
fn runs(mailbox: &dyn Mailbox) -> Vec<i64> {
    let mut runs = Vec::new();
    // Before the topics are made there are none.
    for ends in mailbox.watermarks(Topic::MusicQueries).unwrap_or_default() {
        for message in mailbox.read(ends.at, ends.low, 1_000).expect("what is there can be read") {
            let request = parse::<SearchRequest>(&message.payload).expect("a request").record.body;
            let due = request.request_id.rsplit('/').next().and_then(|due| due.parse::<i64>().ok());
            if let (Some(due), None) = (due, request.cursor) {
                runs.push(due);
            }
        }
    }
    runs.sort_unstable();
    runs
}

fn published_once(settings: &Settings) {
    let settings = &often(settings.clone());
    let mailbox = open_mailbox(&settings.config()).expect("a mailbox");
    for lives in 1..=3 {
        let running = settings.start(&["run"]);
        let seen = |count: usize| holds_within(PATIENCE, || runs(&*mailbox).len() >= count);
        assert!(seen(2 * lives), "{}", running.log());
        running.kill();
    }
    let runs = runs(&*mailbox);
    assert!(runs.windows(2).all(|pair| pair[1] - pair[0] >= EVERY_MICROS), "a run was published twice: {runs:?}");
    // What passed by is behind it: all but what was published when it was killed.
    let ends = mailbox.watermarks(Topic::MusicQueries).expect("the ends");
    let committed = mailbox.committed("reprise.scheduler", &[Topic::MusicQueries]).expect("its offsets");
    let end: i64 = ends.iter().map(|ends| ends.high).sum();
    let passed: i64 = committed.iter().map(|one| one.next_offset).sum();
    assert!(passed > 0 && passed <= end, "{passed} of {end}");
    for one in committed {
        assert!(one.ledger.is_balanced(), "{one:?}");
    }
}

#[test]
fn a_killed_scheduler_publishes_each_run_once() {
    let scene = Scene::new(SMALL, 10);
    published_once(&scene.settings("embedded"));
    if let Some(servers) = Servers::named("a_killed_scheduler_publishes_each_run_once") {
        published_once(&servers.used_by(scene.settings("servers")));
    }
}

#[test]
fn a_paused_scheduler_publishes_nothing_until_it_is_resumed() {
    let scene = Scene::new(SMALL, 10);
    let settings = often(scene.settings("paused"));
    let port = crate::process::free_port();
    let settings = settings.with("observe.listen", format!("127.0.0.1:{port}")).with("observe.token", "secret");
    let running = settings.start(&["run"]);
    let address = format!("127.0.0.1:{port}").parse().expect("an address");
    let order = |actor: &str, order: &str| {
        ask(address, "POST", &format!("/api/actors/{actor}/{order}"), &["Authorization: Bearer secret"])
    };
    let mailbox = open_mailbox(&settings.config()).expect("a mailbox");
    let count = || runs(&*mailbox).len();
    assert!(holds_within(PATIENCE, || count() >= 1), "{}", running.log());
    assert_eq!(order("scheduler", "pause").status, 202);
    let state = || {
        let status: serde_json::Value = crate::process::get(port, "/api/actors").map(|(_, body)| body)?.parse().ok()?;
        let actors = status["actors"].as_array()?;
        actors.iter().find(|actor| actor["name"] == "scheduler")?["state"].as_str().map(str::to_owned)
    };
    assert!(holds_within(PATIENCE, || state().as_deref() == Some("paused")), "{:?}\n{}", state(), running.log());
    let before = count();
    assert!(!holds_within(std::time::Duration::from_secs(4), || count() > before), "a paused scheduler published");
    assert_eq!(order("scheduler", "resume").status, 202);
    assert!(holds_within(PATIENCE, || count() > before), "{}", running.log());
    // What takes no work of its own says so.
    let refused = order("dsp", "pause");
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.body.contains("pause a stage"), "{}", refused.body);
}
