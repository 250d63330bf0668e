//! The handlers that only tell. Each takes what it says from memory.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::events::event;
use super::readiness::given_up;
use super::server::Served;
use crate::observe::dashboard;

/// What Prometheus expects of OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every path that tells something, for whoever asks for one that does not exist.
const PATHS: [&str; 13] = [
    "/",
    "/metrics",
    "/livez",
    "/readyz",
    "/api/actors",
    "/api/topics",
    "/api/dead-letters",
    "/api/records",
    "/api/summary",
    "/api/events",
    "/api/log",
    "POST /api/log",
    "POST /api/actors/{name}/restart|pause|resume",
];

/// All handlers of this file.
pub fn configure(config: &mut web::ServiceConfig) {
    told(config, "/", page);
    told(config, "/assets/{name}", asset);
    told(config, "/metrics", metrics);
    told(config, "/livez", livez);
    told(config, "/readyz", readyz);
    told(config, "/api/actors", actors);
    told(config, "/api/topics", topics);
    told(config, "/api/dead-letters", dead_letters);
    told(config, "/api/records", records);
    told(config, "/api/summary", summary);
    told(config, "/api/events", events);
}

/// Answers GET and HEAD.
fn told<F, Args>(config: &mut web::ServiceConfig, path: &str, handler: F)
where
    F: Handler<Args> + Copy,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    config.service(web::resource(path).route(web::get().to(handler)).route(web::head().to(handler)));
}

async fn page() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(dashboard::PAGE)
}

async fn asset(name: web::Path<String>) -> HttpResponse {
    match dashboard::asset(&name) {
        Some((kind, text)) => HttpResponse::Ok().insert_header((CONTENT_TYPE, kind)).body(text),
        None => HttpResponse::NotFound().json(json!({"error": "no such file"})),
    }
}

async fn metrics(served: web::Data<Served>) -> HttpResponse {
    // Looking at the board refreshes the ages of the heartbeats.
    drop(served.endpoint.sources.board.report());
    match served.endpoint.sources.metrics.encode() {
        Ok(text) => HttpResponse::Ok().insert_header((CONTENT_TYPE, OPENMETRICS)).body(text),
        Err(error) => HttpResponse::InternalServerError().json(json!({"error": error.to_string()})),
    }
}

async fn livez(served: web::Data<Served>) -> HttpResponse {
    match given_up(&served.endpoint.sources.board.report()) {
        None => HttpResponse::Ok().json(json!({"alive": true})),
        Some(why) => HttpResponse::ServiceUnavailable().json(json!({"alive": false, "why": why})),
    }
}

async fn readyz(served: web::Data<Served>) -> HttpResponse {
    let not_ready = served.endpoint.not_ready();
    let status = if not_ready.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).json(json!({"ready": not_ready.is_empty(), "not_ready": not_ready}))
}

async fn actors(served: web::Data<Served>) -> HttpResponse {
    let snapshot = served.endpoint.snapshot();
    HttpResponse::Ok().json(json!({
        "at": snapshot.at,
        "run_id": snapshot.run_id,
        "version": snapshot.version,
        "started_at": snapshot.started_at,
        "answers": snapshot.answers,
        "restarts": snapshot.restarts,
        "actors": snapshot.actors,
    }))
}

async fn topics(served: web::Data<Served>) -> HttpResponse {
    let found = served.endpoint.findings.now();
    HttpResponse::Ok().json(json!({
        "gathered_at": found.gathered_at,
        "problem": found.mailbox_problem,
        "topics": found.topics,
    }))
}

/// How many of the newest.
#[derive(Debug, Deserialize)]
struct Newest {
    limit: Option<usize>,
}

fn newest<T: Serialize>(kept: &[T], asked: &web::Query<Newest>, default: usize) -> serde_json::Value {
    let shown: Vec<&T> = kept.iter().take(asked.limit.unwrap_or(default)).collect();
    json!(shown)
}

async fn dead_letters(asked: web::Query<Newest>, served: web::Data<Served>) -> HttpResponse {
    let endpoint = &served.endpoint;
    let (found, snapshot) = (endpoint.findings.now(), endpoint.snapshot());
    let topic = found.topics.iter().find(|topic| topic.topic == "music_dead_letters");
    HttpResponse::Ok().json(json!({
        "gathered_at": found.gathered_at,
        "total": topic.map_or(0, |topic| topic.messages),
        "by_reason": snapshot.dead_by_reason,
        "dead_letters": newest(&found.dead_letters, &asked, 50),
    }))
}

async fn records(asked: web::Query<Newest>, served: web::Data<Served>) -> HttpResponse {
    let found = served.endpoint.findings.now();
    let records = newest(&found.records, &asked, 20);
    HttpResponse::Ok().json(json!({"gathered_at": found.gathered_at, "records": records}))
}

async fn summary(served: web::Data<Served>) -> HttpResponse {
    let endpoint = &served.endpoint;
    let snapshot = endpoint.snapshot();
    HttpResponse::Ok().json(json!({
        "at": snapshot.at,
        "run_id": snapshot.run_id,
        "version": snapshot.version,
        "started_at": snapshot.started_at,
        "uptime_s": snapshot.at.saturating_sub(snapshot.started_at) as f64 / 1e6,
        "mailbox": endpoint.sources.mailbox.describe(),
        "database": endpoint.sources.store.describe(),
        "rows": snapshot.gathered.rows,
        "gathered_at": snapshot.gathered.gathered_at,
        "problems": snapshot.gathered.problems(),
        "answers": snapshot.answers,
        "apis": snapshot.apis,
        "restarts": snapshot.restarts,
        "dead_by_reason": snapshot.dead_by_reason,
        "controls": snapshot.controls,
    }))
}

async fn events(served: web::Data<Served>) -> HttpResponse {
    match served.hub.listen(event("snapshot", &served.endpoint.snapshot())) {
        Some(stream) => HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/event-stream")).streaming(stream),
        None => HttpResponse::ServiceUnavailable().json(json!({"error": "too many listeners; close some dashboards"})),
    }
}

/// The answer to everything else.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    HttpResponse::NotFound().json(json!({"error": format!("nothing answers at {}", request.path()), "paths": PATHS}))
}
