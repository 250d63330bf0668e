//! What is asked, with everything secret kept from showing.

use std::fmt;

use url::Url;

use crate::config::Secret;

use super::answer::Verdict;
use super::destination::Hosts;

/// The verb. The APIs are only read; the one POST fetches a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Send a form.
    Post,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// One request, sent as often as it takes. `Debug` and [`ApiRequest::describe`] show no credential.
#[derive(Clone)]
pub struct ApiRequest {
    /// For logs: `search`, `artist`, ... From a closed set.
    pub endpoint: &'static str,
    /// The verb.
    pub method: Method,
    /// Where, query included.
    pub url: Url,
    /// What is asked for, where the address is another one each time: signed links.
    pub identity: Option<String>,
    /// Further headers, lower case names. All values count as secret: they are never shown.
    pub headers: Vec<(&'static str, Secret)>,
    /// Body of a POST, sent as `application/x-www-form-urlencoded`.
    pub form: Vec<(&'static str, Secret)>,
    /// The answer is cut off above this; see `oversize`.
    pub max_bytes: u64,
    /// What an answer above `max_bytes` means. By default a fault of the server, worth another try.
    pub oversize: Verdict,
    /// Where the request, and any redirect, may lead.
    pub hosts: Hosts,
}

/// Answers of the APIs are JSON documents of a few hundred kilobytes at most (50 tracks with their markets).
const DEFAULT_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Query parameters that may appear in logs. All others are shown as `***`: signatures and keys have many names.
const SHOWN_PARAMETERS: [&str; 24] = [
    "q",
    "type",
    "market",
    "limit",
    "offset",
    "ids",
    "method",
    "artist",
    "track",
    "mbid",
    "autocorrect",
    "format",
    "term",
    "media",
    "entity",
    "country",
    "index",
    "strict",
    "order",
    "fmt",
    "inc",
    "id",
    "isrc",
    "attribute",
];

impl ApiRequest {
    /// A GET to the host of `url` itself, without redirects.
    pub fn get(endpoint: &'static str, url: Url) -> ApiRequest {
        ApiRequest {
            endpoint,
            method: Method::Get,
            url,
            identity: None,
            headers: Vec::new(),
            form: Vec::new(),
            max_bytes: DEFAULT_MAX_BYTES,
            oversize: Verdict::Retry("too_large".to_owned()),
            hosts: Hosts::Configured,
        }
    }

    /// A POST of a form to the host of `url` itself, without redirects.
    pub fn post_form(endpoint: &'static str, url: Url, form: Vec<(&'static str, Secret)>) -> ApiRequest {
        ApiRequest { method: Method::Post, form, ..ApiRequest::get(endpoint, url) }
    }

    /// With a further header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: Secret) -> ApiRequest {
        self.headers.push((name, value));
        self
    }

    /// Of something that is found under another address each time.
    #[must_use]
    pub fn known_as(mut self, identity: impl Into<String>) -> ApiRequest {
        self.identity = Some(identity.into());
        self
    }

    /// With another limit on the answer, and what it means to pass it.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u64, oversize: Verdict) -> ApiRequest {
        self.max_bytes = max_bytes;
        self.oversize = oversize;
        self
    }

    /// With an allow list of hosts, for addresses that came from an API and not from the operator.
    #[must_use]
    pub fn hosts(mut self, hosts: Hosts) -> ApiRequest {
        self.hosts = hosts;
        self
    }

    /// `GET https://host/path?q=text&api_key=***`, for people.
    pub fn describe(&self) -> String {
        format!("{} {}", self.method.name(), shown_url(&self.url))
    }
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest")
            .field("endpoint", &self.endpoint)
            .field("request", &self.describe())
            .finish_non_exhaustive()
    }
}

/// A URL without user information, fragment or the values of parameters that are not known to be harmless.
pub(super) fn shown_url(url: &Url) -> String {
    let mut shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or("?"));
    if let Some(port) = url.port() {
        shown.push_str(&format!(":{port}"));
    }
    shown.push_str(url.path());
    for (position, (name, value)) in url.query_pairs().enumerate() {
        let harmless = SHOWN_PARAMETERS.contains(&name.as_ref());
        shown.push(if position == 0 { '?' } else { '&' });
        shown.push_str(&format!("{name}={}", if harmless { value.as_ref() } else { "***" }));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_signatures_and_tokens_are_never_shown() {
        let secrets = ["k3y", "s1gned", "t0ken", "us3r", "p4ss"];
        let url = Url::parse("https://us3r:p4ss@example.org:8443/a?q=love&api_key=k3y&hdnea=s1gned").unwrap();
        let request = ApiRequest::post_form("token", url, vec![("grant_type", Secret::new("t0ken"))])
            .header("authorization", Secret::new("t0ken"));
        let shown = format!("{request:?} {}", request.describe());
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
        assert!(shown.contains("POST https://example.org:8443/a?q=love&api_key=***&hdnea=***"), "{shown}");
    }
}
