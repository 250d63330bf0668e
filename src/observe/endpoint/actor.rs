//! The endpoint's actor: binds, serves, watches its server, and stops it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use super::server::Server;
use super::{Endpoint, gather};
use crate::records::now_micros;
use crate::supervision::{Control, Exit, Launch};

/// How long an occupied port is waited for before the incarnation fails. Together with the supervisor's backoff this keeps the
/// restarts well below its intensity: an occupied port must not bring the pipeline down.
const BIND_PATIENCE: Duration = Duration::from_secs(15);

/// Between two tries to bind.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// How often the server is looked after.
const WATCH: Duration = Duration::from_millis(500);

/// A worker whose loop has not turned for this long is stuck: the pulse stops, and the supervisor's hang limit counts.
const STUCK: Duration = Duration::from_secs(5);

/// One incarnation of the endpoint.
#[derive(Debug)]
pub struct EndpointActor {
    endpoint: Endpoint,
    launch: Launch,
    server: Option<Server>,
}

/// Makes incarnations: `ChildSpec::worker("endpoint", factory(endpoint))`.
pub fn factory(endpoint: Endpoint) -> impl Fn(Launch) -> anyhow::Result<EndpointActor> + Send + Sync + 'static {
    move |launch| Ok(EndpointActor { endpoint: endpoint.clone(), launch, server: None })
}

impl EndpointActor {
    fn end(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        self.launch.exit.set(exit);
        ctx.stop();
    }

    fn watch(&mut self, ctx: &mut Context<Self>) {
        let Some(server) = &self.server else { return };
        if server.is_over() {
            self.end(Exit::Failed("the HTTP server ended by itself".to_owned()), ctx);
        } else if server.stuck_for() < STUCK {
            self.launch.pulse.alive();
        }
    }
}

impl Actor for EndpointActor {
    type Context = Context<EndpointActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Err(error) = gather::start(&self.endpoint.sources, &self.endpoint.findings, &self.launch.kill) {
            return self.end(Exit::Failed(format!("no thread to ask mailbox and database: {error}")), ctx);
        }
        let start = start(self.endpoint.clone(), self.launch.clone());
        ctx.spawn(start.into_actor(self).map(|started, actor, ctx| match started {
            Ok(server) => actor.server = Some(server),
            Err(exit) => actor.end(exit, ctx),
        }));
        ctx.run_interval(WATCH, |actor, ctx| actor.watch(ctx));
    }
}

impl Handler<Control> for EndpointActor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            // An operator who pauses everything wants to see that it is paused.
            Control::Pause | Control::Resume => {}
            Control::Drain => match self.server.take() {
                Some(server) => {
                    let stopped = async move { server.stop().await };
                    ctx.spawn(stopped.into_actor(self).map(|(), actor, ctx| actor.end(Exit::Normal, ctx)));
                }
                None => self.end(Exit::Normal, ctx),
            },
            Control::Crash => panic!("crash injected into {}", self.launch.name),
        }
    }
}

async fn start(endpoint: Endpoint, launch: Launch) -> Result<Server, Exit> {
    let listener = bind(&endpoint, &launch).await?;
    let address = listener.local_addr().map_err(|error| Exit::Failed(format!("no address: {error}")))?;
    let server = Server::start(endpoint.clone(), listener).await.map_err(|error| Exit::Failed(format!("{error:#}")))?;
    endpoint.address.set(address);
    slog_scope::info!("The endpoint answers."; "actor" => &launch.name, "url" => format!("http://{address}/"));
    Ok(server)
}

/// The socket, bound by the first incarnation that can and shared by all that follow.
async fn bind(endpoint: &Endpoint, launch: &Launch) -> Result<TcpListener, Exit> {
    let patience = Instant::now() + BIND_PATIENCE;
    let listen = endpoint.options.listen;
    let mut warned = false;
    loop {
        let error = match socket(endpoint) {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        let reason = bind_problem(listen, &error);
        if error.kind() == ErrorKind::PermissionDenied {
            return Err(Exit::Stopped(reason));
        }
        if Instant::now() >= patience {
            return Err(Exit::Failed(reason));
        }
        if !warned {
            slog_scope::warn!("The endpoint cannot listen yet."; "actor" => &launch.name, "reason" => &reason);
            warned = true;
        }
        let until = now_micros().saturating_add(i64::try_from(BIND_PAUSE.as_micros()).unwrap_or(0));
        let _waiting = launch.pulse.waiting(reason, Some(until));
        tokio::time::sleep(BIND_PAUSE).await;
    }
}

fn socket(endpoint: &Endpoint) -> std::io::Result<TcpListener> {
    let mut socket = endpoint.socket.lock();
    match &*socket {
        Some(bound) => bound.try_clone(),
        None => socket.insert(TcpListener::bind(endpoint.options.listen)?).try_clone(),
    }
}

/// What is wrong with the address, and what to do about it.
fn bind_problem(listen: SocketAddr, error: &std::io::Error) -> String {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => {
            "another process listens there: stop it, or choose another port (observe.listen, port 0 for any)"
        }
        ErrorKind::AddrNotAvailable => "this machine has no such address: choose another one (observe.listen)",
        ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one (observe.listen)",
        _ => "choose another address (observe.listen)",
    };
    format!("cannot listen on {listen} ({error}): {hint}")
}
