//! Preview clips: where the audio stage gets 30 seconds of a track from.
//!
//! **Guarantee.** A link is resolved right before it is used and never leaves this room: links expire, and only the provider's
//! track id is durable. Only a definite "no" (`no_preview`, `no_match`) lets the next provider be asked; trouble that passes is
//! waited for, so that faults do not change from where a clip comes.
//!
//! [`deezer`], [`itunes`] and [`embed`] read answers, [`candidate`] picks the right one, [`hosts`] says where clips may come from,
//! [`sniff`] what was downloaded: all pure. The client here puts them together on the HTTP core.

pub mod candidate;
pub mod deezer;
pub mod embed;
pub mod hosts;
pub mod itunes;
pub mod sniff;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::address;
use super::http::{Account, AccountSpec, Answer, ApiError, ApiRequest, Hosts, Http, RateWindow, Verdict};
use super::options::{PreviewOptions, ProviderKind};
use crate::config::Secret;
use crate::matching::Matcher;
use crate::observe::Metrics;
use crate::observe::metrics::MatchLabel;
use crate::records::{MatchNote, TopTrack};
use crate::supervision::Pulse;

use candidate::{Candidate, Choice};
use embed::EmbedPage;

/// The embed page refuses clients that do not look like a browser.
const EMBED_USER_AGENT: &str = concat!("Mozilla/5.0 (compatible; reprise/", env!("CARGO_PKG_VERSION"), ")");

/// A clip that can be downloaded now, and for some minutes.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Who has it.
    pub provider: ProviderKind,
    /// Where to get it again, such as `deezer:track:3135556`.
    pub clip_ref: String,
    /// How well the provider's track matches, where it was found by search.
    pub matched: Option<MatchNote>,
    /// Signed and short-lived: not for records and logs.
    link: String,
}

/// What asking a provider for a clip brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// A clip.
    Clip(Preview),
    /// Certainly none: `no_preview` or `no_match`.
    Missing(&'static str),
}

/// What a download brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Download {
    /// Bytes that may be audio, and what kind they seem to be.
    Clip(Vec<u8>, sniff::Kind),
    /// A page or nothing in place of a clip.
    NotAudio,
    /// The link has expired, or the clip is gone.
    Gone,
    /// Larger than allowed.
    TooLarge,
    /// The link, or where it was redirected to, is not allowed: which rule it breaks.
    Refused(String),
}

/// The providers, in their order. Cheap to clone; clones share accounts and so limits.
#[derive(Debug, Clone)]
pub struct Previews {
    order: Vec<ProviderKind>,
    deezer: (Account, Url),
    itunes: (Account, Url),
    embed: (Account, Url),
    clips: Account,
    hosts: Hosts,
    clip_bytes_max: u64,
    country: String,
    matcher: Arc<Matcher>,
    metrics: Metrics,
}

impl Previews {
    /// The providers as configured.
    ///
    /// # Errors
    /// When a configured address is no URL, or no provider is configured.
    pub fn new(http: &Http, options: &PreviewOptions, matcher: Arc<Matcher>) -> anyhow::Result<Previews> {
        anyhow::ensure!(
            !options.providers.is_empty(),
            "previews.providers is empty, expected at least one of deezer, itunes, spotify"
        );
        let minute = Duration::from_secs(60);
        let account = |api: &'static str, calls: u32, per: Duration, max_concurrent: usize| {
            let windows = vec![RateWindow::new(calls.max(1), per)];
            http.account(AccountSpec { api, name: api.to_owned(), windows, max_concurrent })
        };
        let mut order = options.providers.clone();
        let mut seen = std::collections::BTreeSet::new();
        order.retain(|kind| seen.insert(*kind));
        let clips = AccountSpec {
            api: "clips",
            name: "clips".to_owned(),
            windows: Vec::new(),
            max_concurrent: options.downloads_at_once.max(1),
        };
        Ok(Previews {
            order,
            deezer: (
                account("deezer", options.deezer_calls_per_5s, Duration::from_secs(5), 8),
                address::configured("previews.deezer_url", &options.deezer_url)?,
            ),
            itunes: (
                account("itunes", options.itunes_calls_per_minute, minute, 2),
                address::configured("previews.itunes_url", &options.itunes_url)?,
            ),
            embed: (
                account("spotify_embed", options.spotify_embed_calls_per_minute, minute, 1),
                address::configured("previews.spotify_embed_url", &options.spotify_embed_url)?,
            ),
            clips: http.account(clips),
            hosts: hosts::clip_hosts(options),
            clip_bytes_max: u64::try_from(options.clip_bytes_max).unwrap_or(u64::MAX),
            country: options.itunes_country.clone(),
            matcher,
            metrics: http.metrics().clone(),
        })
    }

    /// Who is asked, in this order.
    pub fn order(&self) -> &[ProviderKind] {
        &self.order
    }

    /// Asks one provider for a clip of the track.
    ///
    /// # Errors
    /// See [`ApiError`]; a miss is no error.
    pub async fn resolve(&self, provider: ProviderKind, track: &TopTrack, pulse: &Pulse) -> Result<Resolved, ApiError> {
        match provider {
            ProviderKind::Spotify => Ok(listed_preview(track)),
            ProviderKind::SpotifyEmbed => self.ask_embed(track, pulse).await,
            ProviderKind::Deezer => self.ask_deezer(track, pulse).await,
            ProviderKind::Itunes => self.ask_itunes(track, pulse).await,
        }
    }

    /// Downloads a clip.
    ///
    /// # Errors
    /// See [`ApiError`]; whatever is wrong with this one clip is no error.
    pub async fn download(&self, preview: &Preview, pulse: &Pulse) -> Result<Download, ApiError> {
        let url = match hosts::check(&self.hosts, &preview.link) {
            Ok(url) => url,
            Err(rule) => return Ok(Download::Refused(rule)),
        };
        let request = ApiRequest::get("clip", url)
            .known_as(&preview.clip_ref)
            .hosts(self.hosts.clone())
            .max_bytes(self.clip_bytes_max, Verdict::Missing(TOO_LARGE.to_owned()));
        match self.clips.call(&request, &|answer: &Answer| clip_verdict(answer.status, answer.retry_after), pulse).await {
            Ok(answer) => Ok(match sniff::kind(&answer.body) {
                sniff::Kind::Text | sniff::Kind::Empty => Download::NotAudio,
                kind => Download::Clip(answer.body, kind),
            }),
            Err(ApiError::Missing { reason }) if reason == TOO_LARGE => Ok(Download::TooLarge),
            Err(ApiError::Missing { .. }) => Ok(Download::Gone),
            Err(ApiError::Rejected(rule)) => Ok(Download::Refused(rule)),
            Err(error) => Err(error),
        }
    }

    async fn ask_deezer(&self, track: &TopTrack, pulse: &Pulse) -> Result<Resolved, ApiError> {
        let (account, base) = &self.deezer;
        let preview = |found: Candidate, matched| preview(ProviderKind::Deezer, "deezer:track:", found, matched);
        if let Some(isrc) = &track.isrc {
            let found = ask(account, "track", deezer::isrc_url(base, isrc), deezer::track, pulse).await?;
            // The right recording by its own word; where it has no clip, a search may find the same recording elsewhere.
            let same = |found: &Candidate| found.isrc.as_ref().is_none_or(|known| known.eq_ignore_ascii_case(isrc));
            if let Some(clip) = found.filter(same).and_then(|found| preview(found, None)) {
                return Ok(Resolved::Clip(clip));
            }
        }
        let url = deezer::search_url(base, &candidate::search_terms(track));
        let candidates = ask(account, "search", url, deezer::search, pulse).await?.unwrap_or_default();
        Ok(self.pick(track, candidates, preview))
    }

    async fn ask_itunes(&self, track: &TopTrack, pulse: &Pulse) -> Result<Resolved, ApiError> {
        let (account, base) = &self.itunes;
        let url = itunes::search_url(base, &candidate::search_terms(track), &self.country);
        let candidates = ask(account, "search", url, itunes::search, pulse).await?.unwrap_or_default();
        Ok(self.pick(track, candidates, |found, matched| preview(ProviderKind::Itunes, "itunes:track:", found, matched)))
    }

    fn pick(
        &self,
        track: &TopTrack,
        candidates: Vec<Candidate>,
        preview: impl Fn(Candidate, Option<MatchNote>) -> Option<Preview>,
    ) -> Resolved {
        let scored = |outcome: &str, score| {
            self.metrics.match_score.get_or_create(&MatchLabel::new("preview", outcome)).observe(score);
        };
        match candidate::choose(&self.matcher, track, candidates) {
            Choice::Found(found, matched) => {
                scored("accepted", matched.score);
                preview(*found, Some(matched)).map_or(Resolved::Missing("no_preview"), Resolved::Clip)
            }
            Choice::Unlike(score) => {
                scored("rejected", score);
                Resolved::Missing("no_match")
            }
            Choice::NoClip => Resolved::Missing("no_preview"),
        }
    }

    async fn ask_embed(&self, track: &TopTrack, pulse: &Pulse) -> Result<Resolved, ApiError> {
        let (account, base) = &self.embed;
        let request = ApiRequest::get("embed", address::below(base, &["track", &track.id]))
            .header("user-agent", Secret::new(EMBED_USER_AGENT))
            .header("accept", Secret::new("text/html,application/xhtml+xml"));
        match account
            .call(&request, &|answer: &Answer| embed::verdict(answer.status, answer.retry_after, &answer.body), pulse)
            .await
        {
            Ok(answer) => Ok(match embed::read(&answer.body) {
                EmbedPage::Link(link) => spotify_clip(ProviderKind::SpotifyEmbed, track, &link),
                _ => Resolved::Missing("no_preview"),
            }),
            Err(ApiError::Missing { .. }) => Ok(Resolved::Missing("no_preview")),
            Err(error) => Err(error),
        }
    }
}

/// Verdict reason for clips above the limit.
const TOO_LARGE: &str = "too_large";

/// How long to leave clip servers alone when they throttle without saying for how long: they rarely mean more.
const THROTTLE_PAUSE: Duration = Duration::from_secs(5);

/// Clip servers answer 403 for expired signatures, and any other refusal of one link is about that link.
fn clip_verdict(status: u16, retry_after: Option<Duration>) -> Verdict {
    match status {
        200..=299 => Verdict::Accept,
        408 | 425 | 500..=599 => Verdict::Retry(format!("status {status}")),
        429 => Verdict::throttled("rate limit", retry_after, THROTTLE_PAUSE),
        _ => Verdict::Missing("gone".to_owned()),
    }
}

/// Reads an answer's status, `Retry-After` and body: what was asked for, or what the answer means instead.
type Read<T> = fn(u16, Option<Duration>, &[u8]) -> Result<T, Verdict>;

/// Asks a JSON API. `read` both judges the answer and reads it.
async fn ask<T>(
    account: &Account,
    endpoint: &'static str,
    url: Url,
    read: Read<T>,
    pulse: &Pulse,
) -> Result<Option<T>, ApiError> {
    let judge = |answer: &Answer| read(answer.status, answer.retry_after, &answer.body).err().unwrap_or(Verdict::Accept);
    match account.call(&ApiRequest::get(endpoint, url), &judge, pulse).await {
        Ok(answer) => Ok(read(answer.status, answer.retry_after, &answer.body).ok()),
        Err(ApiError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn preview(provider: ProviderKind, prefix: &str, found: Candidate, matched: Option<MatchNote>) -> Option<Preview> {
    Some(Preview { provider, clip_ref: format!("{prefix}{}", found.id), matched, link: found.link? })
}

fn spotify_clip(provider: ProviderKind, track: &TopTrack, link: &str) -> Resolved {
    let clip_ref = format!("spotify:track:{}", track.id);
    Resolved::Clip(Preview { provider, clip_ref, matched: None, link: link.to_owned() })
}

/// The link in the track's own record.
fn listed_preview(track: &TopTrack) -> Resolved {
    let link = track.preview_url.as_deref().map(str::trim).filter(|link| !link.is_empty());
    link.map_or(Resolved::Missing("no_preview"), |link| spotify_clip(ProviderKind::Spotify, track, link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_link_is_gone_and_a_broken_server_is_not() {
        for status in [400, 401, 403, 404, 410, 451] {
            assert!(matches!(clip_verdict(status, None), Verdict::Missing(_)), "{status}");
        }
        for status in [408, 500, 502, 503, 504] {
            assert!(matches!(clip_verdict(status, None), Verdict::Retry(_)), "{status}");
        }
        assert!(matches!(clip_verdict(429, None), Verdict::WaitLonger { .. }));
        assert_eq!(clip_verdict(200, None), Verdict::Accept);
    }

    #[test]
    fn a_blank_preview_url_is_none() {
        let track = TopTrack { preview_url: Some(" ".to_owned()), ..candidate::tests::track("a", "b") };
        assert_eq!(listed_preview(&track), Resolved::Missing("no_preview"));
    }
}
