//! The access token: fetched once however many callers need it, early, and again when the API refuses it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use crate::config::Secret;
use crate::extract::clients::http::{Account, Answer, ApiError, ApiRequest};
use crate::supervision::Pulse;

use super::judge::{Ask, judge};

/// A token is replaced this long before it ends, so that it does not end on the way; shorter lives, a quarter before.
const EARLY: Duration = Duration::from_secs(60);

/// The life of a token whose answer does not say.
const UNSAID_LIFE: Duration = Duration::from_secs(3600);

/// An access token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// `Bearer ...`.
    pub(super) header: Secret,
    /// Tells tokens apart without comparing secrets.
    serial: u64,
    refresh_at: Instant,
}

/// The keeper of the current token, shared by all clones of a client.
#[derive(Debug, Clone)]
pub(super) struct TokenKeeper {
    account: Account,
    request: ApiRequest,
    /// Locked while a token is fetched: whoever comes meanwhile waits for that one.
    current: Arc<Mutex<Current>>,
}

#[derive(Debug, Default)]
struct Current {
    token: Option<Token>,
    fetched: u64,
}

impl TokenKeeper {
    pub(super) fn new(account: Account, url: Url, client_id: &str, client_secret: &Secret) -> TokenKeeper {
        let credentials = STANDARD.encode(format!("{client_id}:{}", client_secret.expose()));
        let form = vec![("grant_type", Secret::new("client_credentials"))];
        let request =
            ApiRequest::post_form("token", url, form).header("authorization", Secret::new(format!("Basic {credentials}")));
        TokenKeeper { account, request, current: Arc::default() }
    }

    /// A token that is good for a while.
    pub(super) async fn get(&self, pulse: &Pulse) -> Result<Token, ApiError> {
        let mut current = self.lock(pulse).await;
        if let Some(token) = current.token.as_ref().filter(|token| token.refresh_at > Instant::now()) {
            return Ok(token.clone());
        }
        let asked = Instant::now();
        let answer = self.account.call(&self.request, &|answer: &Answer| judge(Ask::Token, answer), pulse).await?;
        let (header, life) = read(&answer).ok_or_else(|| ApiError::Rejected("spotify: the token cannot be read".to_owned()))?;
        current.fetched += 1;
        let token = Token { header, serial: current.fetched, refresh_at: asked + life.saturating_sub(EARLY.min(life / 4)) };
        current.token = Some(token.clone());
        Ok(token)
    }

    async fn lock(&self, pulse: &Pulse) -> MutexGuard<'_, Current> {
        if let Ok(current) = self.current.try_lock() {
            return current;
        }
        let _waiting = pulse.waiting("spotify: waiting for a token", None);
        self.current.lock().await
    }

    /// Forgets `refused`, unless it was replaced already.
    pub(super) async fn refuse(&self, refused: &Token) {
        let mut current = self.current.lock().await;
        if current.token.as_ref().is_some_and(|token| token.serial == refused.serial) {
            current.token = None;
        }
    }
}

/// The header made of an answer's token, and how long it lives.
fn read(answer: &Answer) -> Option<(Secret, Duration)> {
    let body = answer.json()?;
    let token = body.get("access_token").and_then(Value::as_str)?;
    let seconds = body.get("expires_in").and_then(Value::as_f64);
    let life = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(UNSAID_LIFE);
    Some((Secret::new(format!("Bearer {token}")), life.min(24 * UNSAID_LIFE)))
}
