//! Counts every call, and holds rolling windows against the limits.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::options::Switches;
use super::route::Route;

/// Different keys that are counted one by one; more are counted together, under `(others)`.
const KEYS_MAX: usize = 500_000;

/// How often one API was called, and how fast.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCalls {
    /// Calls received.
    pub calls: u64,
    /// First call, milliseconds since the start of the sandbox.
    pub first_ms: u64,
    /// Last call, milliseconds since the start of the sandbox.
    pub last_ms: u64,
    /// Most calls in any window of this API's limit, refused ones included.
    pub peak: usize,
}

/// What `GET /__calls` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCounts {
    /// Calls received by any service.
    pub total: u64,
    /// Calls received, by endpoint such as `spotify.artist`.
    pub by_endpoint: BTreeMap<String, u64>,
    /// How often each thing was asked for, faults and refusals included.
    pub by_key: BTreeMap<String, u64>,
    /// How often each thing was answered without a fault or refusal: 2 means that a client asked although it knew.
    pub answered: BTreeMap<String, u64>,
    /// Calls over the limit, by API, whether limits are enforced or not.
    pub over_limit: BTreeMap<String, u64>,
    /// Passing faults, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Calls and their pace, by API.
    pub by_api: BTreeMap<String, ApiCalls>,
}

/// Counts and windows.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: CallCounts,
    windows: BTreeMap<&'static str, VecDeque<u64>>,
}

impl Ledger {
    /// Counts a call that came in; `true`: it goes over the limit of its API.
    pub fn received(&mut self, route: &Route, now_ms: u64, switches: &Switches) -> bool {
        self.counts.total += 1;
        add(&mut self.counts.by_endpoint, &route.endpoint);
        route.keys.iter().for_each(|key| add(&mut self.counts.by_key, key));
        let name = route.api.name();
        let pace = self.counts.by_api.entry(name.to_owned()).or_default();
        if pace.calls == 0 {
            pace.first_ms = now_ms;
        }
        pace.calls += 1;
        pace.last_ms = now_ms;
        let Some(limit) = switches.limits.get(name) else { return false };
        let window = self.windows.entry(name).or_default();
        while window.front().is_some_and(|time| time + limit.window_ms <= now_ms) {
            window.pop_front();
        }
        window.push_back(now_ms);
        pace.peak = pace.peak.max(window.len());
        let length = limit.window_ms.saturating_sub(switches.limit_slack_ms);
        let over = window.iter().filter(|time| **time + length > now_ms).count() > limit.calls;
        if over {
            add(&mut self.counts.over_limit, name);
        }
        over
    }

    /// Counts a call that got its answer.
    pub fn answered(&mut self, route: &Route) {
        route.keys.iter().for_each(|key| add(&mut self.counts.answered, key));
    }

    /// Counts a fault.
    pub fn faulted(&mut self, kind: &str) {
        add(&mut self.counts.faults, kind);
    }

    /// The counts so far.
    pub fn counts(&self) -> CallCounts {
        self.counts.clone()
    }

    /// Starts counting anew. The windows stay: limits do not forget.
    pub fn reset(&mut self) {
        self.counts = CallCounts::default();
    }
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str) {
    if let Some(count) = counts.get_mut(key) {
        *count += 1;
    } else if counts.len() < KEYS_MAX {
        counts.insert(key.to_owned(), 1);
    } else {
        *counts.entry("(others)".to_owned()).or_default() += 1;
    }
}
