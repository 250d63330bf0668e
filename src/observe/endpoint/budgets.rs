//! The APIs: what was asked of them, how they answered, and what is waited for. Pure: samples and reports in, views out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::samples::Sample;
use crate::supervision::ActorReport;

/// What an account of an API may still send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// The API's name.
    pub api: &'static str,
    /// Its own rate limits, all of which hold.
    pub windows: Vec<Window>,
    /// Why nothing is sent now, if the server or its silence forbids it.
    pub closed: Option<Closed>,
}

/// A rolling window: at most `calls` in any `per_s` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Window {
    /// Calls allowed.
    pub calls: u32,
    /// In so many seconds.
    pub per_s: f64,
    /// Calls in it now.
    pub used: u32,
}

/// Why nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// `retry_after` (the server said how long), `quota` (it did not, or long), or `breaker` (it does not answer).
    pub kind: &'static str,
    /// In words.
    pub reason: String,
    /// Until when, microseconds since the Unix epoch.
    pub until: i64,
}

/// Where the budgets are asked for: on every snapshot, so it must not block.
pub type BudgetSource = Arc<dyn Fn() -> Vec<Budget> + Send + Sync>;

/// An API as this process sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ApiView {
    /// Its name.
    pub api: String,
    /// Requests by status of the answer.
    pub requests: BTreeMap<String, u64>,
    /// Seconds waited by reason: `limiter`, `retry_after`, `quota`, `backoff`, `breaker`.
    pub waited_s: BTreeMap<String, f64>,
    /// Who waits for it now.
    pub waiting: Vec<ApiWait>,
    /// Its own rate limits and how full they are.
    pub windows: Vec<Window>,
    /// Why nothing is sent now.
    pub closed: Option<Closed>,
}

/// An actor that waits for an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiWait {
    /// The actor.
    pub actor: String,
    /// Why, without the API's name.
    pub reason: String,
    /// When it tries again, microseconds since the Unix epoch.
    pub until: Option<i64>,
}

/// Every API that was asked or waited for, or has a budget.
pub fn api_views(samples: &[Sample], reports: &[ActorReport], budgets: Vec<Budget>) -> Vec<ApiView> {
    let mut views: BTreeMap<String, ApiView> = BTreeMap::new();
    for budget in budgets {
        let view = view(&mut views, budget.api);
        view.windows.extend(budget.windows);
        view.closed = view.closed.take().or(budget.closed);
    }
    for sample in samples {
        let api = sample.label("api");
        match sample.name.as_str() {
            "reprise_api_requests_total" => {
                let counted = if sample.value > 0.0 { sample.value as u64 } else { 0 };
                view(&mut views, api).requests.insert(sample.label("status").to_owned(), counted);
            }
            "reprise_api_wait_seconds_total" => {
                view(&mut views, api).waited_s.insert(sample.label("reason").to_owned(), sample.value);
            }
            _ => {}
        }
    }
    for report in reports.iter().filter(|report| report.state == "waiting") {
        // Waits for an API begin with its name; see the HTTP client.
        let named = report.reason.as_deref().and_then(|reason| reason.split_once(": "));
        if let Some((view, reason)) = named.and_then(|(api, reason)| Some((views.get_mut(api)?, reason))) {
            view.waiting.push(ApiWait { actor: report.name.clone(), reason: reason.to_owned(), until: report.until });
        }
    }
    views.into_values().collect()
}

fn view<'a>(views: &'a mut BTreeMap<String, ApiView>, api: &str) -> &'a mut ApiView {
    views.entry(api.to_owned()).or_insert_with(|| ApiView { api: api.to_owned(), ..ApiView::default() })
}

#[cfg(test)]
mod tests {
    use super::super::readiness::tests::report;
    use super::*;

    #[test]
    fn an_api_shows_its_budget_before_it_was_asked_and_who_waits_for_it() {
        let windows = vec![Window { calls: 50, per_s: 5.0, used: 12 }];
        let closed = Closed { kind: "quota", reason: "quota of the day".to_owned(), until: 7 };
        let budgets = vec![Budget { api: "deezer", windows: windows.clone(), closed: Some(closed.clone()) }];
        let waits = report("root/audio", "waiting", Some("deezer: quota of the day"));
        let views = api_views(&[], &[waits], budgets);
        let [deezer] = views.as_slice() else { panic!("{views:?}") };
        assert_eq!((&deezer.windows, deezer.closed.as_ref()), (&windows, Some(&closed)));
        assert_eq!(
            deezer.waiting.first().map(|wait| (wait.actor.as_str(), wait.reason.as_str())),
            Some(("audio", "quota of the day"))
        );
    }
}
