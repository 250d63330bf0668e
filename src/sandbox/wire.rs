//! What comes in and what goes out, without a web framework: the stand-ins are functions from one to the other.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

/// A call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// Path, percent-encoded as it came.
    pub path: String,
    /// Query, as it came.
    pub query: String,
    /// Headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// A `GET` of a path, with its query behind `?`.
    pub fn get(target: &str) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request { method: "GET".to_owned(), path: path.to_owned(), query: query.to_owned(), ..Request::default() }
    }

    /// With a header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Request {
        self.headers.insert(name.to_lowercase(), value.to_owned());
        self
    }

    /// A header, empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query, decoded once.
    pub fn param(&self, name: &str) -> Option<String> {
        param(&self.query, name)
    }
}

/// A parameter of a form or query, decoded once.
pub fn param(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// Form decoding: `+` is a space, `%XX` a byte. A broken escape stays as it is, as Last.fm has it.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', tail),
            },
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Percent-encodes everything that is not unreserved.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// `Content-Type`; empty: none is sent.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Body,
}

/// A body, and how it is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// At once.
    Bytes(Vec<u8>),
    /// At once, shared.
    Shared(Arc<Vec<u8>>),
    /// Half of it, under a `Content-Length` for all of it; then the connection ends.
    Cut(Vec<u8>),
    /// All of it, in pieces, over this many milliseconds.
    Drip(Vec<u8>, u64),
    /// This many bytes of nothing in particular.
    Flood(u64),
}

impl Body {
    /// The bytes that a patient client gets; none of a flood.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Body::Bytes(bytes) | Body::Drip(bytes, _) => bytes,
            Body::Shared(bytes) => bytes,
            Body::Cut(bytes) => &bytes[..bytes.len() / 2],
            Body::Flood(_) => &[],
        }
    }

    /// All of the bytes, for another way to send them.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Body::Bytes(bytes) | Body::Drip(bytes, _) | Body::Cut(bytes) => bytes,
            Body::Shared(bytes) => bytes.to_vec(),
            Body::Flood(_) => Vec::new(),
        }
    }
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Reply {
        Reply::text(status, "application/json; charset=utf-8", body.to_string())
    }

    /// An answer of this type.
    pub fn text(status: u16, content_type: &str, body: impl Into<String>) -> Reply {
        let body = Body::Bytes(body.into().into_bytes());
        Reply { status, content_type: content_type.to_owned(), headers: Vec::new(), body }
    }

    /// With a header more.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// The body as JSON; `Null` when it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(self.body.bytes()).unwrap_or(Value::Null)
    }
}
