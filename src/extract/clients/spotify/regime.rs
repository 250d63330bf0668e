//! What this account may do, found out by trying and remembered.

use crate::config::Period;
use crate::extract::clients::http::Http;
use crate::records::now_micros;

/// The largest page of accounts with extended quota, and of all others since February 2026.
const LARGE_PAGE: u32 = 50;
pub(super) const SMALL_PAGE: u32 = 10;

/// What was learnt is tried again after this: accounts do get extended quota.
const BELIEVED: Period = Period::days(1);

/// The notes of one account in the park book.
#[derive(Debug, Clone)]
pub(super) struct Regime {
    http: Http,
    page_key: String,
    batch_key: String,
}

impl Regime {
    pub(super) fn new(http: &Http, account: &str) -> Regime {
        Regime { http: http.clone(), page_key: format!("{account}/page_size"), batch_key: format!("{account}/batch") }
    }

    /// The largest page to ask for.
    pub(super) fn page_size(&self) -> u32 {
        if self.noted(&self.page_key) { SMALL_PAGE } else { LARGE_PAGE }
    }

    /// A page of `limit` can still be made smaller.
    pub(super) fn can_shrink(limit: u32) -> bool {
        limit > SMALL_PAGE
    }

    /// Large pages were refused.
    pub(super) fn refuse_large_pages(&self) {
        self.learn(&self.page_key, "pages of 10 only");
    }

    /// Batch look-ups may work.
    pub(super) fn allows_batches(&self) -> bool {
        !self.noted(&self.batch_key)
    }

    /// Batch look-ups were refused.
    pub(super) fn refuse_batches(&self) {
        self.learn(&self.batch_key, "single look-ups only");
    }

    fn noted(&self, key: &str) -> bool {
        let oldest = now_micros().saturating_sub(BELIEVED.as_micros());
        self.http.parks().note(key, oldest).is_some()
    }

    fn learn(&self, key: &str, what: &str) {
        slog::info!(self.http.logger(), "spotify: this app gets {what}");
        if let Err(error) = self.http.parks().learn(key, what, now_micros()) {
            slog::warn!(self.http.logger(), "spotify: this will be found out again after a restart: {error}");
        }
    }
}
