//! The HTTP server: its own thread, one worker, limits on everything.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::KeepAlive;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use tokio::sync::oneshot;

use super::events::{self, Hub};
use super::{Endpoint, controls, guard, routes};
use crate::observe::log;
use crate::records::now_micros;

/// Connections at once. Prometheus needs one, a browser seven. Beyond, they queue: the bound is half of the 1024 files that a
/// process may usually open, and some 30 kB each for a request that was begun.
const CONNECTIONS_MAX: usize = 512;

/// A client that takes longer to say what it wants is not served.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection is closed after its answer. Kept for a next request, idle ones would take the places of those who ask; and a
/// new one costs a scrape every 15 seconds nothing.
const KEEP_ALIVE: KeepAlive = KeepAlive::Disabled;

/// No request needs a longer body: only the levels of the log come in one.
const BODY_MAX: usize = 1024;

/// What a graceful stop waits for answers under way, whole seconds.
const STOP_GRACE_S: u64 = 2;

/// How often the worker shows that its loop turns.
const TURN: Duration = Duration::from_millis(500);

/// What handlers are given.
#[derive(Debug, Clone)]
pub struct Served {
    /// What is told about.
    pub endpoint: Endpoint,
    /// The live stream.
    pub hub: Hub,
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    hub: Hub,
    thread: JoinHandle<std::io::Result<()>>,
    turned_at: Arc<AtomicI64>,
}

impl Server {
    /// Starts serving on a thread of its own.
    ///
    /// # Errors
    /// When thread or server cannot be started.
    pub async fn start(endpoint: Endpoint, listener: TcpListener) -> anyhow::Result<Server> {
        let hub = Hub::new();
        let turned_at = Arc::new(AtomicI64::new(now_micros()));
        let (tell, told) = oneshot::channel();
        let (served, turns) = (Served { endpoint, hub: hub.clone() }, Arc::clone(&turned_at));
        let thread = thread::Builder::new()
            .name("endpoint-http".to_owned())
            .spawn(move || {
                log::actor::this_thread_serves("endpoint");
                actix_rt::System::new().block_on(serve(served, listener, turns, tell))
            })
            .context("no thread for the HTTP server")?;
        match told.await {
            Ok(handle) => Ok(Server { handle, hub, thread, turned_at }),
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error).context("the HTTP server did not start"),
                _ => anyhow::bail!("the HTTP server's thread died while it started"),
            },
        }
    }

    /// Since when the worker's loop has not turned.
    pub fn stuck_for(&self) -> Duration {
        let since = now_micros().saturating_sub(self.turned_at.load(Ordering::Relaxed));
        Duration::from_micros(u64::try_from(since).unwrap_or(0))
    }

    /// The server ended, though nobody told it to.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops once the answers under way are given, within a short grace. The stop begins with the call, awaited or not.
    pub fn stop(&self) -> impl Future<Output = ()> + use<> {
        self.hub.close();
        self.handle.stop(true)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Reached without a stop only when the actor crashed or was killed: its server must not outlive it.
        drop(self.stop());
    }
}

async fn serve(
    served: Served,
    listener: TcpListener,
    turned_at: Arc<AtomicI64>,
    tell: oneshot::Sender<ServerHandle>,
) -> std::io::Result<()> {
    let events = actix_rt::spawn(events::run(served.endpoint.clone(), served.hub.clone()));
    let served = web::Data::new(served);
    let server = HttpServer::new(move || {
        // Made once a worker, on the worker's thread: there it shows that requests would be served.
        log::actor::this_thread_serves("endpoint");
        actix_rt::spawn(turn(Arc::clone(&turned_at)));
        App::new()
            .app_data(served.clone())
            .app_data(web::PayloadConfig::new(BODY_MAX))
            .wrap(from_fn(guard::stand))
            .configure(routes::configure)
            .configure(controls::configure)
            .default_service(web::to(routes::not_found))
    })
    .workers(1)
    .max_connections(CONNECTIONS_MAX)
    .client_request_timeout(REQUEST_TIMEOUT)
    .client_disconnect_timeout(Duration::from_secs(1))
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(STOP_GRACE_S)
    .disable_signals()
    .listen(listener)?
    .run();
    // Whoever started us may be gone already; then the switch it threw ends us soon.
    let _ = tell.send(server.handle());
    let end = server.await;
    events.abort();
    end
}

async fn turn(turned_at: Arc<AtomicI64>) {
    loop {
        turned_at.store(now_micros(), Ordering::Relaxed);
        tokio::time::sleep(TURN).await;
    }
}
