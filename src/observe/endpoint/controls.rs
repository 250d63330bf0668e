//! What changes something, for whoever has the token: `POST /api/actors/{name}/{order}` restarts, pauses and resumes,
//! `POST /api/log` sets the levels of the log.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::guard::{Refusal, authorize};
use super::server::Served;
use crate::observe::log::LevelFilter;
use crate::observe::log::levels::in_force;
use crate::supervision::{ActorReport, Board, Control};

/// A wrong token costs the asker this long, and us nothing.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_millis(500);

/// What can be asked of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Kill it; its supervisor starts a fresh incarnation.
    Restart,
    /// Let it finish what it has in hand, and take no more.
    Pause,
    /// Let it take work again.
    Resume,
}

impl Order {
    fn parse(text: &str) -> Option<Order> {
        match text {
            "restart" => Some(Order::Restart),
            "pause" => Some(Order::Pause),
            "resume" => Some(Order::Resume),
            _ => None,
        }
    }
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was passed on.
    Done,
    /// Nobody of that name; who there is.
    Unknown(Vec<String>),
    /// It cannot be done now, or ever: why.
    Refused(String),
}

/// All handlers of this file.
pub fn configure(config: &mut web::ServiceConfig) {
    config.route("/api/actors/{name}/{order}", web::post().to(control));
    config.service(web::resource("/api/log").route(web::get().to(log_levels)).route(web::post().to(set_log_levels)));
}

async fn control(request: HttpRequest, path: web::Path<(String, String)>, served: web::Data<Served>) -> HttpResponse {
    let (name, order) = path.into_inner();
    let Some(order) = Order::parse(&order) else {
        let hint = "POST /api/actors/{name}/restart, /pause or /resume";
        return HttpResponse::NotFound().json(json!({"error": "no such order", "hint": hint}));
    };
    if let Err(refused) = permit(&request, &served, &format!("{order:?} of {name}")).await {
        return refused;
    }
    let outcome = carry_out(&served.endpoint.sources.board, &name, order);
    slog_scope::info!("An operator's control."; "control" => ?order, "of" => &name, "outcome" => ?outcome);
    match outcome {
        Outcome::Done => HttpResponse::Accepted().json(json!({"actor": name, "accepted": true})),
        Outcome::Unknown(known) => {
            HttpResponse::NotFound().json(json!({"error": format!("there is no actor {name:?}"), "known": known}))
        }
        Outcome::Refused(why) => HttpResponse::Conflict().json(json!({"error": why})),
    }
}

/// Lets whoever brings the token pass; everybody else gets the answer to give them.
async fn permit(request: &HttpRequest, served: &Served, control: &str) -> Result<(), HttpResponse> {
    let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let Err(refusal) = authorize(&served.endpoint.options.token, header) else { return Ok(()) };
    let peer = request.peer_addr().map(|peer| peer.to_string());
    slog_scope::warn!("A control was refused."; "control" => control, "peer" => peer, "reason" => ?refusal);
    Err(refused(refusal).await)
}

/// What `POST /api/log` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Levels {
    levels: String,
}

/// `GET /api/log`: from which level on events are logged, by module.
async fn log_levels() -> HttpResponse {
    match in_force() {
        Some(levels) => HttpResponse::Ok().json(json!({"levels": levels.text()})),
        None => HttpResponse::NotFound().json(json!({"error": "this process does not log"})),
    }
}

/// `POST /api/log`: other levels from now on, until this process ends.
async fn set_log_levels(request: HttpRequest, body: web::Bytes, served: web::Data<Served>) -> HttpResponse {
    if let Err(refused) = permit(&request, &served, "log levels").await {
        return refused;
    }
    let asked = serde_json::from_slice::<Levels>(&body).map_err(|error| error.to_string());
    let filter = asked.and_then(|asked| LevelFilter::parse(&asked.levels));
    match (filter, in_force()) {
        (Ok(filter), Some(levels)) => {
            levels.set(filter);
            slog_scope::info!("An operator changed the levels of the log."; "levels" => levels.text());
            HttpResponse::Ok().json(json!({"levels": levels.text()}))
        }
        (Err(problem), _) => {
            let hint = json!({"levels": "info,reprise::mailbox=debug"});
            HttpResponse::BadRequest().json(json!({"error": problem, "example": hint}))
        }
        (Ok(_), None) => HttpResponse::Conflict().json(json!({"error": "this process does not log"})),
    }
}

async fn refused(refusal: Refusal) -> HttpResponse {
    let (status, error) = match refusal {
        Refusal::NoToken => (
            StatusCode::FORBIDDEN,
            "controls are off: no token is configured; set observe.token (REPRISE__OBSERVE__TOKEN) and start again",
        ),
        Refusal::Missing => (StatusCode::UNAUTHORIZED, "send the configured token: Authorization: Bearer TOKEN"),
        Refusal::Wrong => {
            tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
            (StatusCode::UNAUTHORIZED, "this is not the configured token (observe.token)")
        }
    };
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"reprise\""));
    }
    response.json(json!({"error": error}))
}

/// Passes the order on.
pub fn carry_out(board: &Board, name: &str, order: Order) -> Outcome {
    let Some(actor) = board.actor(name) else {
        return Outcome::Unknown(board.report().into_iter().map(|report| report.name).collect());
    };
    match order {
        Order::Restart => restart(board, &actor),
        Order::Pause | Order::Resume if !actor.pausable => Outcome::Refused(format!(
            "{name} takes no work of its own, so there is nothing to pause: pause a stage, or a group of them"
        )),
        Order::Pause | Order::Resume => {
            let control = if order == Order::Pause { Control::Pause } else { Control::Resume };
            if board.control(name, control) {
                return Outcome::Done;
            }
            Outcome::Refused(format!("{name} is {}: the order is noted and takes effect when it runs again", actor.state))
        }
    }
}

fn restart(board: &Board, actor: &ActorReport) -> Outcome {
    if !actor.path.contains('/') {
        let why = "the root cannot be restarted from within: stop the process, and let systemd or Kubernetes start it again";
        return Outcome::Refused(why.to_owned());
    }
    if board.restart(&actor.name) {
        return Outcome::Done;
    }
    let parent = actor.path.rsplit('/').nth(1).unwrap_or("its supervisor");
    Outcome::Refused(match actor.state {
        "starting" | "restarting" => format!("{} is {} already", actor.name, actor.state),
        state => format!("{} is {state} and nobody waits to start it again; restart {parent}, its supervisor", actor.name),
    })
}
