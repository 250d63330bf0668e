//! Which queries are due. Pure: no clock, no files.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Period;
use crate::extract::options::QueryOptions;
use crate::records::SearchRequest;

use super::every::Every;

/// What request ids of scheduled runs begin with.
const PREFIX: &str = "schedule";

/// The last run of each query, by the query's hash: microseconds since the Unix epoch of when it was due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    pub(super) last: BTreeMap<String, i64>,
}

impl Runs {
    /// Takes note of the queries: a cron query that is new waits for its next time, an interval starts at once.
    pub fn adopt(&mut self, now: i64, queries: &[QueryOptions]) {
        for query in queries.iter().filter(|query| matches!(query.every, Every::Cron(_))) {
            self.last.entry(query_hash(query)).or_insert(now);
        }
    }

    /// Takes note of a run by its request id, wherever that was found; other ids are passed over.
    pub fn observe(&mut self, request_id: &str) {
        if let Some((hash, due)) = run_of(request_id) {
            let last = self.last.entry(hash.to_owned()).or_insert(due);
            *last = due.max(*last);
        }
    }
}

/// The requests that are due at `now`, at most one for each query however many runs were missed. A query whose last request
/// is still worked on (`unfinished`: request ids) stays due until that one is done.
pub fn due(
    now: i64,
    runs: &Runs,
    queries: &[QueryOptions],
    jitter: Period,
    unfinished: &BTreeSet<String>,
) -> Vec<SearchRequest> {
    let busy: BTreeSet<&str> = unfinished.iter().filter_map(|id| run_of(id)).map(|(hash, _)| hash).collect();
    let request = |query: &QueryOptions| {
        let hash = query_hash(query);
        let at = due_time(now, runs.last.get(&hash).copied(), query, &hash, jitter)?;
        (!busy.contains(hash.as_str())).then(|| request(query, format!("{PREFIX}/{hash}/{at}")))
    };
    queries.iter().filter_map(request).collect()
}

/// Every query once, now: for `run --once`.
pub fn once(now: i64, queries: &[QueryOptions]) -> Vec<SearchRequest> {
    queries.iter().map(|query| request(query, format!("once/{}/{now}", query_hash(query)))).collect()
}

/// The time of the run that is due, if one is: the latest one, so that a long downtime is caught up with once.
fn due_time(now: i64, last: Option<i64>, query: &QueryOptions, hash: &str, jitter: Period) -> Option<i64> {
    let Some(last) = last else {
        // Never run: an interval starts at once. A cron query is adopted before, and waits for its time if it was not.
        return matches!(query.every, Every::Interval(_)).then_some(now);
    };
    // A clock that was set back must not silence a query for as long as it was ahead.
    let last = last.min(now);
    let first = query.every.first_after(last)?;
    let delay = delay(hash, first, jitter, &query.every);
    if first.checked_add(delay)? > now {
        return None;
    }
    query.every.latest(last, now).filter(|at| *at > last)
}

/// The same for the same run, wherever it is computed.
fn delay(hash: &str, run: i64, jitter: Period, every: &Every) -> i64 {
    let most = match every {
        Every::Interval(period) => jitter.as_micros().min(period.as_micros() / 2),
        Every::Cron(_) => jitter.as_micros(),
    };
    let digest = Sha256::digest(format!("{hash}/{run}"));
    let chance = digest.iter().take(7).fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
    chance.checked_rem(most).unwrap_or(0)
}

fn request(query: &QueryOptions, request_id: String) -> SearchRequest {
    SearchRequest { request_id, q: query.q.clone(), market: query.market.clone(), max_tracks: query.max_tracks, cursor: None }
}

/// Names a query by what it asks, so that its place in the list and its rhythm may change.
fn query_hash(query: &QueryOptions) -> String {
    let market = query.market.as_deref().unwrap_or_default();
    let digest = Sha256::digest(format!("{market}\n{}", query.q));
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The query's hash and the due time in the id of a scheduled request.
fn run_of(request_id: &str) -> Option<(&str, i64)> {
    let (hash, due) = request_id.strip_prefix(PREFIX)?.strip_prefix('/')?.split_once('/')?;
    Some((hash, due.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;
    const START: i64 = 1_763_985_600 * SECOND; // 2025-11-24T12:00:00Z
    const NO_JITTER: Period = Period::seconds(0);

    fn query(q: &str, every: &str) -> QueryOptions {
        QueryOptions { q: q.into(), every: every.parse().unwrap(), max_tracks: 200, market: None }
    }

    fn run(now: i64, runs: &mut Runs, queries: &[QueryOptions]) -> Vec<String> {
        let requests = due(now, runs, queries, NO_JITTER, &BTreeSet::new());
        requests.iter().for_each(|request| runs.observe(&request.request_id));
        requests.into_iter().map(|request| request.request_id).collect()
    }

    #[test]
    fn an_interval_starts_at_once_and_comes_again_on_time() {
        let (queries, mut runs) = ([query("love", "6h")], Runs::default());
        assert_eq!(run(START, &mut runs, &queries).len(), 1);
        assert_eq!(run(START + 6 * HOUR - 1, &mut runs, &queries).len(), 0);
        assert_eq!(run(START + 6 * HOUR, &mut runs, &queries).len(), 1);
    }

    #[test]
    fn a_downtime_is_caught_up_with_once() {
        let (queries, mut runs) = ([query("love", "1h"), query("hate", "*/5 * * * *")], Runs::default());
        runs.adopt(START, &queries);
        run(START, &mut runs, &queries);
        assert_eq!(run(START + 100 * HOUR + 7 * SECOND, &mut runs, &queries).len(), 2);
        assert_eq!(run(START + 100 * HOUR + 8 * SECOND, &mut runs, &queries).len(), 0);
        assert_eq!(run(START + 101 * HOUR, &mut runs, &queries[..1]).len(), 1, "the rhythm is kept");
    }

    #[test]
    fn a_new_cron_query_waits_for_its_time() {
        let (queries, mut runs) = ([query("love", "0 4 * * *")], Runs::default());
        runs.adopt(START, &queries);
        assert_eq!(run(START + HOUR, &mut runs, &queries).len(), 0);
        assert_eq!(run(START + 16 * HOUR, &mut runs, &queries).len(), 1);
        assert_eq!(run(START + 17 * HOUR, &mut runs, &queries).len(), 0);
    }

    #[test]
    fn a_query_whose_last_request_is_unfinished_stays_due() {
        let (queries, mut runs) = ([query("love", "1h")], Runs::default());
        let first = run(START, &mut runs, &queries);
        let unfinished: BTreeSet<String> = first.into_iter().collect();
        let at = START + 3 * HOUR;
        assert!(due(at, &runs, &queries, NO_JITTER, &unfinished).is_empty());
        assert_eq!(due(at, &runs, &queries, NO_JITTER, &BTreeSet::new()).len(), 1);
    }

    #[test]
    fn a_clock_set_back_silences_no_query_for_longer_than_its_interval() {
        let (queries, mut runs) = ([query("love", "1h")], Runs::default());
        run(START + 500 * HOUR, &mut runs, &queries);
        assert_eq!(run(START, &mut runs, &queries).len(), 0);
        let runs = Runs { last: runs.last.into_keys().map(|hash| (hash, START)).collect() };
        assert_eq!(due(START + HOUR, &runs, &queries, NO_JITTER, &BTreeSet::new()).len(), 1);
    }

    proptest! {
        #[test]
        fn no_run_is_lost_or_doubled_whenever_the_clock_is_looked_at(
            steps in prop::collection::vec(0..3 * 3_600_i64, 1..60),
            jitter in 0..7_200_u64,
        ) {
            let queries = [query("love", "1h")];
            let (mut runs, mut now, mut ids) = (Runs::default(), START, BTreeSet::new());
            for step in steps {
                now += step * SECOND;
                for request in due(now, &runs, &queries, Period::seconds(jitter), &BTreeSet::new()) {
                    prop_assert!(ids.insert(request.request_id.clone()), "twice: {}", request.request_id);
                    runs.observe(&request.request_id);
                }
                let last = runs.last.values().copied().next().unwrap_or(now);
                prop_assert!(now - last < HOUR + HOUR / 2, "overdue");
            }
        }

        #[test]
        fn a_request_id_is_the_same_wherever_it_is_computed(later in 0..HOUR, jitter in 0..60_u64) {
            let queries = [query("love", "1h")];
            let mut runs = Runs::default();
            run(START, &mut runs, &queries);
            let at = |now| due(now, &runs, &queries, Period::seconds(jitter), &BTreeSet::new());
            let (first, second) = (at(START + HOUR + 60 * SECOND), at(START + HOUR + 60 * SECOND + later.min(HOUR - 61 * SECOND)));
            prop_assert_eq!(first, second);
        }
    }
}
