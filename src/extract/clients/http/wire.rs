//! One attempt at one request: connect, send, read within time and size. The only file that touches the HTTP library.
//!
//! All of it runs on a runtime of its own. Actors and their arbiters come and go; a pooled connection whose background task
//! lived on an actor's runtime would die with the actor and fail the next actor's request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response};
use tokio::runtime::Runtime;
use url::Url;

use crate::extract::options::HttpOptions;

use super::answer::{Answer, retry_after};
use super::destination::{Hosts, is_loopback, is_private};
use super::request::{ApiRequest, Method};

/// Why an attempt brought no complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// No answer, or not all of it, in time.
    Timeout,
    /// No connection.
    Connect,
    /// The connection broke, or what came was no HTTP.
    Body,
    /// The answer is larger than the request allows.
    TooLarge,
    /// Redirected again and again.
    RedirectLoop,
    /// The address, or one it was redirected to, is not allowed: which rule it breaks.
    Forbidden(String),
    /// The request cannot be written: which part is wrong.
    Unsendable(String),
}

impl Fault {
    /// Metric label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Fault::Timeout => "timeout",
            Fault::Connect => "connect",
            Fault::Body => "body",
            Fault::TooLarge => "too_large",
            Fault::RedirectLoop => "redirect_loop",
            Fault::Forbidden(_) => "forbidden",
            Fault::Unsendable(_) => "unsendable",
        }
    }
}

/// Most redirects followed within an allow list.
const MAX_REDIRECTS: u32 = 5;

/// Idle connections are closed before the servers do, which would fail the next request on them.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The runtime and its connection pools.
pub(super) struct Wire {
    /// `None` only while dropping.
    runtime: Option<Runtime>,
    clients: Clients,
    total_timeout: Duration,
}

#[derive(Clone)]
struct Clients {
    /// For addresses the operator configured.
    open: Client,
    /// For addresses from strangers: names must not resolve into the private network.
    guarded: Client,
    /// For this machine: without proxy and certificates.
    local: Client,
}

impl Wire {
    /// Starts the runtime. The second value is a warning for the log: without CA certificates only plain http works.
    pub(super) fn new(options: &HttpOptions) -> anyhow::Result<(Wire, Option<String>)> {
        // Fails when another part of the process chose a provider before: just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("reprise-http").enable_all().build()?;
        let builder = || base_client(options);
        let without_tls = || builder().tls_certs_only([]);
        let (clients, warning) = match (builder().build(), builder().dns_resolver(Arc::new(PublicNames)).build()) {
            (Ok(open), Ok(guarded)) => (Clients { open, guarded, local: without_tls().no_proxy().build()? }, None),
            (Err(error), _) | (_, Err(error)) => {
                let open = without_tls().build()?;
                let guarded = without_tls().dns_resolver(Arc::new(PublicNames)).build()?;
                let local = without_tls().no_proxy().build()?;
                let warning = format!("https will not work: {} (install ca-certificates)", root_cause(&error));
                (Clients { open, guarded, local }, Some(warning))
            }
        };
        Ok((Wire { runtime: Some(runtime), clients, total_timeout: options.total_timeout.0 }, warning))
    }

    /// One attempt. Dropping the future ends it.
    pub(super) async fn attempt(&self, request: &ApiRequest) -> Result<Answer, Fault> {
        let Some(runtime) = &self.runtime else { return Err(Fault::Connect) };
        let (clients, request, limit) = (self.clients.clone(), request.clone(), self.total_timeout);
        let task = runtime.spawn(async move {
            tokio::time::timeout(limit, exchange(&clients, &request)).await.unwrap_or(Err(Fault::Timeout))
        });
        let mut task = AbortOnDrop(task);
        (&mut task.0).await.unwrap_or(Err(Fault::Body))
    }
}

impl Drop for Wire {
    /// In the background: waiting here would panic when the last handle is dropped inside an asynchronous context.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// A stage that is stopped in the middle of a request must not leave it running.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn base_client(options: &HttpOptions) -> ClientBuilder {
    Client::builder()
        .user_agent(options.user_agent.clone())
        .connect_timeout(options.connect_timeout.0)
        .read_timeout(options.read_timeout.0)
        .pool_idle_timeout(POOL_IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
}

/// Sends, and follows redirects within the request's allow list.
async fn exchange(clients: &Clients, request: &ApiRequest) -> Result<Answer, Fault> {
    let mut url = request.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        request.hosts.permit(&url).map_err(Fault::Forbidden)?;
        let response = send(clients, request, &url).await?;
        match next_hop(request, &url, &response) {
            Some(next) => url = next,
            None => return read(request, response).await,
        }
    }
    Err(Fault::RedirectLoop)
}

async fn send(clients: &Clients, request: &ApiRequest, url: &Url) -> Result<Response, Fault> {
    let client = match (&request.hosts, url.host()) {
        (_, Some(host)) if is_loopback(&host) => &clients.local,
        (Hosts::Configured, _) => &clients.open,
        (Hosts::Listed(_), _) => &clients.guarded,
    };
    let same_host = url.host() == request.url.host();
    let builder = match request.method {
        Method::Get => client.get(url.clone()),
        Method::Post => client.post(url.clone()).body(form_body(request)),
    };
    // Headers may carry credentials: they do not follow a redirect to another host.
    let headers = if same_host { headers(request)? } else { HeaderMap::new() };
    builder.headers(headers).send().await.map_err(|error| fault(&error))
}

fn form_body(request: &ApiRequest) -> String {
    let fields = request.form.iter().map(|(name, value)| (*name, value.expose()));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn headers(request: &ApiRequest) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    if request.method == Method::Post {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    }
    for (name, value) in &request.headers {
        let wrong = || Fault::Unsendable(format!("header {name} has a value that cannot be sent"));
        let header = HeaderName::try_from(*name).map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Where a redirect leads, if redirects are followed at all.
fn next_hop(request: &ApiRequest, url: &Url, response: &Response) -> Option<Url> {
    let followed = matches!(request.hosts, Hosts::Listed(_)) && request.method == Method::Get;
    let redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    location.filter(|_| followed && redirect).and_then(|location| url.join(location).ok())
}

/// Reads the body, no further than allowed.
async fn read(request: &ApiRequest, mut response: Response) -> Result<Answer, Fault> {
    let status = response.status().as_u16();
    let text = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let content_type = text(CONTENT_TYPE);
    let retry_after = text(RETRY_AFTER).and_then(|value| retry_after(&value, Utc::now()));
    if response.content_length().is_some_and(|announced| announced > request.max_bytes) {
        return Err(Fault::TooLarge);
    }
    let limit = usize::try_from(request.max_bytes).unwrap_or(usize::MAX);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(Fault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, content_type, retry_after, body })
}

fn fault(error: &reqwest::Error) -> Fault {
    if error.is_timeout() {
        Fault::Timeout
    } else if error.is_connect() {
        Fault::Connect
    } else {
        Fault::Body
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Resolves names, and hides every address that is not public.
#[derive(Debug)]
struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| !is_private(address.ip())).collect();
            if public.is_empty() {
                return Err("the name leads into the private network".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_into_the_private_network_resolves_to_nothing() {
        let name = "localhost".parse::<Name>().ok().unwrap();
        let refused = PublicNames.resolve(name).await.err().unwrap();
        assert!(refused.to_string().contains("private network"), "{refused}");
    }
}
