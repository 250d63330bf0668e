//! Plain HTTP/1.1 for the tests: one request a connection.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends a request with these further header lines.
pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &[&str]) -> Answer {
    try_ask(address, method, path, headers).expect("the endpoint listens, answers and closes")
}

/// The same, for moments in which the endpoint may be restarting: what it is answering then is cut.
pub fn try_ask(address: SocketAddr, method: &str, path: &str, headers: &[&str]) -> std::io::Result<Answer> {
    send(address, method, path, headers, "")
}

fn send(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let host =
        if headers.iter().any(|line| line.starts_with("Host:")) { String::new() } else { format!("Host: {address}\r\n") };
    let more: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    write!(stream, "{method} {path} HTTP/1.1\r\n{host}{more}Connection: close\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(parse(&String::from_utf8_lossy(&answer)))
}

/// Sends a JSON body.
pub fn post(address: SocketAddr, path: &str, token: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let headers = [format!("Authorization: Bearer {token}"), format!("Content-Length: {}", body.len())];
    send(address, "POST", path, &headers.each_ref().map(String::as_str), &body).expect("the endpoint answers")
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[])
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).expect("a status");
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: body.to_owned() }
}

/// What an answer that does not end says until enough was heard.
pub fn listen(address: SocketAddr, path: &str, until: impl Fn(&str) -> bool) -> String {
    let mut stream = TcpStream::connect(address).expect("the endpoint listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a time-out can be set");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("the request is sent");
    let (mut heard, mut chunk) = (String::new(), [0_u8; 4096]);
    let deadline = Instant::now() + TIMEOUT;
    while !until(&heard) {
        assert!(Instant::now() < deadline, "not heard in time");
        let read = stream.read(&mut chunk).expect("the stream goes on");
        assert_ne!(read, 0, "the stream ended after {heard}");
        heard.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    heard
}

/// Waits until the condition holds.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
