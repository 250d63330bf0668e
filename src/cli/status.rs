//! `reprise status`: the supervision tree of a running instance, once or live.

use std::io::{IsTerminal, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Go on until interrupted, a look every second
    #[arg(long)]
    watch: bool,
    /// Where the instance answers [default: http:// and observe.listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// What is asked.
const PATH: &str = "/api/actors";

/// Limits on an instance that does not answer, or not what was asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_MAX: u64 = 8 * 1024 * 1024;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// The command. `listen` is `observe.listen`, or the address an instance is known to answer at.
///
/// # Errors
/// When nothing answers, or something else than an instance.
pub fn run(args: &StatusArgs, json: bool, listen: &str) -> anyhow::Result<ExitCode> {
    let url = Url::parse(&args.url.clone().unwrap_or_else(|| format!("http://{listen}")))
        .with_context(|| format!("--url: found {:?}, expected such as http://127.0.0.1:9464", args.url))?;
    let paint = Paint { on: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() };
    loop {
        let shown = look(&url).and_then(|answer| {
            if json {
                return Ok(format!("{answer}\n"));
            }
            let status: Status = serde_json::from_value(answer).context("the answer is not an instance's; wrong --url?")?;
            Ok(tree(&status, &paint))
        });
        let mut out = std::io::stdout().lock();
        match shown {
            Ok(text) if args.watch && paint.on => write!(out, "\x1b[H\x1b[2J{text}")?,
            Ok(text) => write!(out, "{text}")?,
            // A watched instance may be between two lives; whoever watches wants to see the second one too.
            Err(error) if args.watch => {
                eprintln!("reprise: {error:#}");
            }
            Err(error) => return Err(error),
        }
        out.flush()?;
        drop(out);
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(LOOK);
    }
}

fn look(url: &Url) -> anyhow::Result<Value> {
    let body = get(url, PATH).with_context(|| {
        let hint = "is `reprise run` running, and is this its observe.listen? --url asks elsewhere";
        format!("no instance answers at {url} ({hint})")
    })?;
    serde_json::from_slice(&body).with_context(|| format!("{url} answers, but not as an instance of reprise does"))
}

/// One GET over plain HTTP/1.1, with limits. The instance is on this machine or behind a tunnel to it.
fn get(url: &Url, path: &str) -> anyhow::Result<Vec<u8>> {
    if url.scheme() != "http" {
        bail!("found {}://, expected http://", url.scheme());
    }
    let named = url.host_str().context("the URL names no host")?;
    // An address that means "all of mine" is no name of anybody.
    let host = if matches!(named, "0.0.0.0" | "[::]") { "localhost" } else { named };
    let mut stream = connect(url)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let port = url.port_or_known_default().unwrap_or(80);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: application/json\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).context("the answer broke off")?;
    body_of(&answer)
}

fn connect(url: &Url) -> anyhow::Result<TcpStream> {
    let mut problem = None;
    for address in url.socket_addrs(|| None)?.into_iter().map(reachable) {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => problem = Some(error),
        }
    }
    Err(problem.map_or_else(|| anyhow::anyhow!("the host has no address"), anyhow::Error::from))
}

/// An instance that listens on all addresses is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    ("localhost", address.port()).to_socket_addrs().ok().and_then(|mut found| found.next()).unwrap_or(address)
}

/// The body of an answer that says 200.
fn body_of(answer: &[u8]) -> anyhow::Result<Vec<u8>> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("this is no HTTP answer")?;
    let (head, body) = answer.split_at(end);
    let head = String::from_utf8_lossy(head);
    let status = head.lines().next().unwrap_or_default();
    if status.split_whitespace().nth(1) != Some("200") {
        bail!("it answers {status:?}");
    }
    Ok(body.get(4..).unwrap_or_default().to_vec())
}

/// What an instance says of itself, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Status {
    at: i64,
    run_id: String,
    version: String,
    started_at: i64,
    answers: Answers,
    actors: Vec<Actor>,
}

#[derive(Debug, Deserialize)]
struct Answers {
    doing: Answer,
    healthy: Answer,
    waiting: Answer,
    failed: Answer,
}

#[derive(Debug, Deserialize)]
struct Answer {
    tone: String,
    text: String,
    detail: Option<String>,
    at: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    name: String,
    depth: usize,
    state: String,
    reason: Option<String>,
    until: Option<i64>,
    restarts: u64,
    lag: Option<u64>,
    throughput: Option<Throughput>,
}

#[derive(Debug, Deserialize)]
struct Throughput {
    per_second: f64,
}

/// Colours, where somebody sees them.
struct Paint {
    on: bool,
}

impl Paint {
    fn tone(&self, tone: &str, text: &str) -> String {
        let color = match tone {
            "good" => "32",
            "busy" => "34",
            "warn" => "33",
            "bad" => "31",
            "faint" => "2",
            "strong" => "1",
            _ => return text.to_owned(),
        };
        if self.on { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn tone_of(state: &str) -> &'static str {
    match state {
        "running" => "good",
        "waiting" | "paused" => "warn",
        "starting" => "busy",
        "restarting" | "failed" => "bad",
        _ => "faint",
    }
}

/// The answers, then one line an actor.
fn tree(status: &Status, paint: &Paint) -> String {
    let up = span(status.at.saturating_sub(status.started_at));
    let mut text = format!("reprise {}, run {}, up {up}\n\n", plain(&status.version), plain(&status.run_id));
    let answers = &status.answers;
    for (asked, answer) in
        [("doing", &answers.doing), ("healthy", &answers.healthy), ("waits", &answers.waiting), ("failed", &answers.failed)]
    {
        let when = answer.at.map(|at| format!(" {} ago", span(status.at.saturating_sub(at)))).unwrap_or_default();
        let detail = answer.detail.as_deref().map(|detail| format!(": {}", plain(detail))).unwrap_or_default();
        let said = paint.tone(&answer.tone, &plain(&answer.text));
        text.push_str(&format!("  {:<8} {said}{}\n", asked, paint.tone("faint", &format!("{when}{detail}"))));
    }
    let widest = status.actors.iter().map(|actor| actor.depth * 2 + actor.name.chars().count()).max().unwrap_or(0);
    let head = format!("\n  {:<widest$}  {:<10} {:>8} {:>8} {:>8}\n", "actor", "state", "/s", "waiting", "restarts");
    text.push_str(&paint.tone("faint", &head));
    for actor in &status.actors {
        text.push_str(&line(actor, status.at, widest, paint));
    }
    text
}

fn line(actor: &Actor, now: i64, widest: usize, paint: &Paint) -> String {
    let name = format!("{}{}", "  ".repeat(actor.depth), plain(&actor.name));
    // Padded before it is painted: escape sequences have no width.
    let state = paint.tone(tone_of(&actor.state), &format!("{:<10}", plain(&actor.state)));
    let rate = actor.throughput.as_ref().map(|throughput| format!("{:.1}", throughput.per_second)).unwrap_or_default();
    let lag = actor.lag.map(|lag| lag.to_string()).unwrap_or_default();
    let restarts = if actor.restarts == 0 { String::new() } else { actor.restarts.to_string() };
    let left = actor.until.filter(|until| *until > now).map(|until| format!("{} more", span(until - now)));
    let why: Vec<String> = actor.reason.as_deref().map(plain).into_iter().chain(left).collect();
    let line = format!("  {name:<widest$}  {state} {rate:>8} {lag:>8} {restarts:>8}  {}", why.join(", "));
    format!("{}\n", line.trim_end())
}

/// Without control characters: reasons quote what servers said, and a terminal obeys what it is sent.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A time in its largest fitting unit.
fn span(micros: i64) -> String {
    let seconds = micros.max(0) / 1_000_000;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let answer = |text: &str| serde_json::json!({"tone": "good", "text": text, "detail": null, "at": null});
        serde_json::from_value(serde_json::json!({
            "at": 100_000_000, "run_id": "r1", "version": "1", "started_at": 40_000_000,
            "answers": {"doing": answer("Idle"), "healthy": answer("Yes"), "waiting": answer("Nothing"), "failed": answer("\u{1b}[31mred")},
            "actors": [
                {"name": "root", "depth": 0, "state": "running", "reason": null, "until": null, "restarts": 0, "lag": null, "throughput": null},
                {"name": "tracks", "depth": 1, "state": "waiting", "reason": "spotify: rate limit", "until": 112_000_000, "restarts": 3,
                 "lag": 17, "throughput": {"per_second": 2.0}},
            ],
        }))
        .expect("the shape of /api/actors")
    }

    #[test]
    fn one_line_tells_state_reason_time_left_lag_and_restarts() {
        let text = tree(&status(), &Paint { on: false });
        let line = text.lines().find(|line| line.contains("tracks")).expect("a line");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..5], ["tracks", "waiting", "2.0", "17", "3"]);
        assert!(line.ends_with("spotify: rate limit, 12 s more"), "{line}");
        assert!(!text.contains('\u{1b}'), "neither colours nor what a server sent: {text}");
        assert!(tree(&status(), &Paint { on: true }).contains("\u{1b}[33mwaiting"));
    }

    #[test]
    fn only_an_http_200_has_a_body() {
        assert_eq!(body_of(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}").expect("a body"), b"{}");
        assert!(body_of(b"HTTP/1.1 403 Forbidden\r\n\r\n{}").is_err());
        assert!(body_of(b"SSH-2.0-OpenSSH").is_err());
    }

    #[test]
    fn silence_is_told_with_what_to_do() {
        let args = StatusArgs { watch: false, url: None };
        let error = run(&args, false, "127.0.0.1:1").expect_err("nobody listens on port 1");
        assert!(format!("{error:#}").contains("reprise run"), "{error:#}");
    }
}
