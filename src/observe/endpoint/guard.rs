//! What stands before every handler: the check of the `Host` header, and the headers that keep browsers safe.

use std::net::{IpAddr, SocketAddr};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use sha2::{Digest, Sha256};

use super::server::Served;
use crate::config::Secret;

/// Sent with every answer. No scripts, styles or connections but our own; no frames; no guessing of types.
const SECURITY_HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// The middleware around every handler.
///
/// # Errors
/// As the handler's.
pub async fn stand(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let listen = request.app_data::<web::Data<Served>>().map(|served| served.endpoint.options.listen);
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let mut response = match listen.filter(|listen| !host_is_ours(*listen, host.as_deref())) {
        Some(_) => request.into_response(HttpResponse::Forbidden().json(serde_json::json!({
            "error": "this endpoint listens on loopback and answers only to names of this machine",
            "host": host,
            "hint": "use http://127.0.0.1 or http://localhost with its port, or listen on another address (observe.listen)",
        }))),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // All answers are of the moment; only the page's own files say otherwise.
    if !headers.contains_key("cache-control") {
        headers.insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// Against DNS rebinding: a page of a foreign name that suddenly resolves to 127.0.0.1 sends that name as `Host`. Behind a
/// public address any name may be ours, and the network's own rules apply.
pub fn host_is_ours(listen: SocketAddr, host: Option<&str>) -> bool {
    if !listen.ip().is_loopback() {
        return true;
    }
    let Some(host) = host else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Why a control is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No token is configured: nobody may control.
    NoToken,
    /// The request brings none.
    Missing,
    /// The request brings another one.
    Wrong,
}

/// Whether this `Authorization` header opens the controls.
///
/// # Errors
/// Why not.
pub fn authorize(token: &Secret, header: Option<&str>) -> Result<(), Refusal> {
    if token.is_empty() {
        return Err(Refusal::NoToken);
    }
    let brought = header.and_then(|header| header.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, brought) = brought.ok_or(Refusal::Missing)?;
    if same(token.expose(), brought.trim()) { Ok(()) } else { Err(Refusal::Wrong) }
}

/// Compares digests, all bytes of them whatever the first ones say: neither content nor length of the token shows in time.
fn same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (Sha256::digest(ours), Sha256::digest(theirs));
    let difference = ours.iter().zip(theirs.iter()).fold(0_u8, |found, (a, b)| found | std::hint::black_box(a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_refused_on_loopback_only() {
        let loopback: SocketAddr = "127.0.0.1:9464".parse().expect("valid");
        for ours in ["127.0.0.1:9464", "localhost", "LOCALHOST:80", "[::1]:9464", "127.9.9.9", "x.localhost:1"] {
            assert!(host_is_ours(loopback, Some(ours)), "{ours}");
        }
        for foreign in ["evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "", "[::1"] {
            assert_eq!(host_is_ours(loopback, Some(foreign)), foreign == "[::1", "{foreign}");
        }
        assert!(!host_is_ours(loopback, None));
        assert!(host_is_ours("0.0.0.0:9464".parse().expect("valid"), Some("reprise.internal")));
    }

    #[test]
    fn only_the_token_itself_opens() {
        let token = Secret::new("s3cret");
        assert_eq!(authorize(&token, Some("Bearer s3cret")), Ok(()));
        assert_eq!(authorize(&token, Some("bearer s3cret")), Ok(()));
        for wrong in ["Bearer s3cre", "Bearer s3crets", "Bearer S3CRET", "Bearer "] {
            assert_eq!(authorize(&token, Some(wrong)), Err(Refusal::Wrong), "{wrong}");
        }
        for missing in [None, Some(""), Some("s3cret"), Some("Basic s3cret")] {
            assert_eq!(authorize(&token, missing), Err(Refusal::Missing), "{missing:?}");
        }
        assert_eq!(authorize(&Secret::default(), Some("Bearer ")), Err(Refusal::NoToken), "an empty token is no token");
    }
}
