//! Requests that keep failing: is it the request, or the server?
//!
//! A server that is down is waited for, however long; one request that the server can never answer must not hold up its
//! partition. What tells them apart is whether others of the same endpoint and host are answered meanwhile: one host of an API, or
//! one of its services, may be down alone. Where there are no others, because the stage waits for this one, a request that was
//! answered before is asked once more: a second opinion.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::extract::clients::http::request::ApiRequest;

/// What one account has answered and what not.
#[derive(Debug, Default)]
pub(super) struct Failures {
    failing: HashMap<u64, Failing>,
    settled: HashMap<Kind, Settled>,
}

/// Endpoint and host.
type Kind = (&'static str, String);

#[derive(Debug)]
struct Settled {
    /// Requests the server settled, in whatever way.
    count: u64,
    /// The last of them.
    last: ApiRequest,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    rounds: u32,
    since: Instant,
    last: Instant,
    served_then: u64,
}

/// A request that failed once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed {
    /// Whole calls in which it failed so far.
    pub(super) rounds: u32,
    /// For how long.
    pub(super) lasting: Duration,
    /// Others of the same endpoint and host were answered meanwhile.
    pub(super) others_served: bool,
}

/// More failing requests, or hosts, than this at once are not worth telling apart.
const MOST: usize = 1_000;
/// A request that was not asked for so long begins anew: its last failures tell of another time. Whoever still wants it comes back
/// within minutes.
const LAPSE: Duration = Duration::from_secs(3_600);

impl Failures {
    /// The server settled this request.
    pub(super) fn settled(&mut self, request: &ApiRequest) {
        self.failing.remove(&fingerprint(request));
        if self.settled.len() > MOST {
            // Counts that begin anew are not to be compared with older ones.
            self.settled.clear();
            self.failing.clear();
        }
        let settled = self.settled.entry(kind(request)).or_insert_with(|| Settled { count: 0, last: request.clone() });
        settled.count += 1;
        settled.last = request.clone();
    }

    fn served(&self, request: &ApiRequest) -> u64 {
        self.settled.get(&kind(request)).map_or(0, |settled| settled.count)
    }

    /// A whole call failed.
    pub(super) fn failed(&mut self, request: &ApiRequest, now: Instant) -> Failed {
        if self.failing.len() > MOST {
            self.failing.clear();
        }
        let served = self.served(request);
        let fresh = Failing { rounds: 0, since: now, last: now, served_then: served };
        let seen = self.failing.entry(fingerprint(request)).or_insert(fresh);
        if now.saturating_duration_since(seen.last) > LAPSE {
            *seen = fresh;
        }
        seen.rounds += 1;
        seen.last = now;
        let lasting = now.saturating_duration_since(seen.since);
        Failed { rounds: seen.rounds, lasting, others_served: served > seen.served_then }
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
        let due = seen.rounds >= rounds && self.served(request) == seen.served_then;
        self.settled.get(&kind(request)).filter(|_| due).map(|settled| settled.last.clone())
    }

    /// The second opinion on this request: the server does answer.
    pub(super) fn server_lives(&mut self, request: &ApiRequest) {
        if let Some(settled) = self.settled.get_mut(&kind(request)) {
            settled.count += 1;
        }
    }
}

fn kind(request: &ApiRequest) -> Kind {
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
        assert!(!failures.failed(&bad, Instant::now()).others_served, "before is not meanwhile");
        failures.settled(&good);
        let failed = failures.failed(&bad, Instant::now());
        assert_eq!((failed.rounds, failed.others_served), (2, true));
        failures.settled(&bad);
        assert_eq!(failures.failed(&bad, Instant::now()).rounds, 1, "counted from the start after an answer");
    }

    #[test]
    fn a_second_opinion_is_asked_of_the_same_endpoint_and_host_once_it_is_due() {
        let (bad, good) = (request("http://api/bad"), request("http://api/good"));
        let mut failures = Failures::default();
        failures.failed(&bad, Instant::now());
        assert!(failures.second_opinion(&bad, 1).is_none(), "nobody to ask");
        failures.settled(&request("http://elsewhere/good"));
        failures.settled(&ApiRequest { endpoint: "search", ..good.clone() });
        failures.forget(&bad);
        failures.failed(&bad, Instant::now());
        assert!(failures.second_opinion(&bad, 1).is_none(), "they know nothing of it");
        failures.settled(&good);
        failures.forget(&bad);
        failures.failed(&bad, Instant::now());
        assert!(failures.second_opinion(&bad, 2).is_none(), "too early");
        assert_eq!(failures.second_opinion(&bad, 1).map(|asked| asked.url), Some(good.url.clone()));
        failures.server_lives(&bad);
        assert!(failures.second_opinion(&bad, 1).is_none(), "one is enough");
        assert!(failures.failed(&bad, Instant::now()).others_served);
    }

    #[test]
    fn a_link_that_is_signed_anew_each_time_is_one_request() {
        let signed = |signature: &str| request(&format!("http://cdn/clip?sig={signature}")).known_as("deezer:track:1");
        let mut failures = Failures::default();
        failures.failed(&signed("a"), Instant::now());
        assert_eq!(failures.failed(&signed("b"), Instant::now()).rounds, 2);
    }

    #[test]
    fn another_host_or_endpoint_that_answers_says_nothing() {
        let bad = request("http://cdn-of-apple/clip");
        let mut failures = Failures::default();
        for _ in 0..5 {
            failures.settled(&request("http://cdn-of-deezer/clip"));
            failures.settled(&ApiRequest { endpoint: "search", ..bad.clone() });
            assert!(!failures.failed(&bad, Instant::now()).others_served);
        }
        failures.settled(&request("http://cdn-of-apple/another"));
        assert!(failures.failed(&bad, Instant::now()).others_served);
    }

    #[test]
    fn what_failed_days_ago_begins_anew() {
        let bad = request("http://api/bad");
        let mut failures = Failures::default();
        let now = Instant::now();
        failures.failed(&bad, now);
        let soon = failures.failed(&bad, now + Duration::from_secs(60));
        assert_eq!((soon.rounds, soon.lasting), (2, Duration::from_secs(60)));
        let later = failures.failed(&bad, now + Duration::from_secs(7 * 86_400));
        assert_eq!((later.rounds, later.lasting), (1, Duration::ZERO));
    }

    #[test]
    fn thousands_of_hosts_are_not_mistaken_for_each_other() {
        let mut failures = Failures::default();
        let bad = request("http://api/bad");
        failures.settled(&request("http://api/good"));
        failures.failed(&bad, Instant::now());
        for host in 0..3_000 {
            failures.settled(&request(&format!("http://host{host}/x")));
        }
        assert!(failures.settled.len() <= MOST + 1);
        assert!(!failures.failed(&bad, Instant::now()).others_served);
        failures.settled(&request("http://api/good"));
        assert!(failures.failed(&bad, Instant::now()).others_served);
    }
}
