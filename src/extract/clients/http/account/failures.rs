//! Requests that keep failing: is it the request, or the server?
//!
//! A server that is down is waited for, however long; one request that the server can never answer must not hold up its
//! partition. What tells them apart is whether others are answered meanwhile. Where there are no others, because the stage
//! waits for this one, a request that was answered before is asked once more: a second opinion.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::extract::clients::http::request::ApiRequest;

/// What one account has answered and what not.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Requests the server settled, in whatever way.
    served: u64,
    failing: HashMap<u64, Failing>,
    /// The last request settled, by endpoint and host.
    settled: HashMap<(&'static str, String), ApiRequest>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    rounds: u32,
    since: Instant,
    served_then: u64,
}

/// A request that failed once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed {
    /// Whole calls in which it failed so far.
    pub(super) rounds: u32,
    /// For how long.
    pub(super) lasting: Duration,
    /// The account answered others meanwhile.
    pub(super) others_served: bool,
}

/// More failing requests, or hosts, than this at once are not worth telling apart.
const MOST: usize = 1_000;

impl Failures {
    /// The server settled this request.
    pub(super) fn settled(&mut self, request: &ApiRequest) {
        self.served += 1;
        self.failing.remove(&fingerprint(request));
        make_room(&mut self.settled);
        self.settled.insert(kind(request), request.clone());
    }

    /// A whole call failed.
    pub(super) fn failed(&mut self, request: &ApiRequest) -> Failed {
        make_room(&mut self.failing);
        let fresh = Failing { rounds: 0, since: Instant::now(), served_then: self.served };
        let seen = self.failing.entry(fingerprint(request)).or_insert(fresh);
        seen.rounds += 1;
        Failed { rounds: seen.rounds, lasting: seen.since.elapsed(), others_served: self.served > seen.served_then }
    }

    /// Whole calls in which this request failed so far.
    pub(super) fn rounds(&self, request: &ApiRequest) -> u32 {
        self.failing.get(&fingerprint(request)).map_or(0, |seen| seen.rounds)
    }

    /// Nobody asks for this request any more.
    pub(super) fn forget(&mut self, request: &ApiRequest) {
        self.failing.remove(&fingerprint(request));
    }

    /// Whom to ask for a second opinion on a request that failed in so many calls with nobody else asking.
    pub(super) fn second_opinion(&self, request: &ApiRequest, rounds: u32) -> Option<ApiRequest> {
        let seen = self.failing.get(&fingerprint(request))?;
        let due = seen.rounds >= rounds && self.served == seen.served_then;
        self.settled.get(&kind(request)).filter(|_| due).cloned()
    }

    /// The second opinion: the server does answer.
    pub(super) fn server_lives(&mut self) {
        self.served += 1;
    }
}

fn make_room<K, V>(known: &mut HashMap<K, V>) {
    if known.len() > MOST {
        known.clear();
    }
}

fn kind(request: &ApiRequest) -> (&'static str, String) {
    (request.endpoint, request.url.host_str().unwrap_or_default().to_owned())
}

/// Tells requests apart without keeping their secrets.
fn fingerprint(request: &ApiRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    (request.endpoint, request.identity.as_deref().unwrap_or(request.url.as_str())).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> ApiRequest {
        ApiRequest::get("artist", url::Url::parse(url).expect("a URL"))
    }

    #[test]
    fn others_served_meanwhile_put_the_blame_on_the_request() {
        let (bad, good) = (request("http://api/bad"), request("http://api/good"));
        let mut failures = Failures::default();
        failures.settled(&good);
        assert!(!failures.failed(&bad).others_served, "before is not meanwhile");
        failures.settled(&good);
        let failed = failures.failed(&bad);
        assert_eq!((failed.rounds, failed.others_served), (2, true));
        failures.settled(&bad);
        assert_eq!(failures.failed(&bad).rounds, 1, "counted from the start after an answer");
    }

    #[test]
    fn a_second_opinion_is_asked_of_the_same_endpoint_and_host_once_it_is_due() {
        let (bad, good) = (request("http://api/bad"), request("http://api/good"));
        let mut failures = Failures::default();
        failures.failed(&bad);
        assert!(failures.second_opinion(&bad, 1).is_none(), "nobody to ask");
        failures.settled(&request("http://elsewhere/good"));
        failures.settled(&ApiRequest { endpoint: "search", ..good.clone() });
        failures.forget(&bad);
        failures.failed(&bad);
        assert!(failures.second_opinion(&bad, 1).is_none(), "they know nothing of it");
        failures.settled(&good);
        failures.forget(&bad);
        failures.failed(&bad);
        assert!(failures.second_opinion(&bad, 2).is_none(), "too early");
        assert_eq!(failures.second_opinion(&bad, 1).map(|asked| asked.url), Some(good.url.clone()));
        failures.server_lives();
        assert!(failures.second_opinion(&bad, 1).is_none(), "one is enough");
        assert!(failures.failed(&bad).others_served);
    }

    #[test]
    fn a_link_that_is_signed_anew_each_time_is_one_request() {
        let signed = |signature: &str| request(&format!("http://cdn/clip?sig={signature}")).known_as("deezer:track:1");
        let mut failures = Failures::default();
        failures.failed(&signed("a"));
        assert_eq!(failures.failed(&signed("b")).rounds, 2);
    }
}
