//! The APIs: what was asked of them, how they answered, and what is waited for. Pure: samples and reports in, views out.

use std::collections::BTreeMap;

use serde::Serialize;

use super::samples::Sample;
use crate::supervision::ActorReport;

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

/// Every API that was asked or waited for.
pub fn api_views(samples: &[Sample], reports: &[ActorReport]) -> Vec<ApiView> {
    let mut views: BTreeMap<String, ApiView> = BTreeMap::new();
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
