//! `reprise sandbox`: the stand-in APIs on their own.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use crate::sandbox::{CLIENT_ID, CLIENT_SECRET, LASTFM_API_KEY, Regime, Sandbox, SandboxOptions, SandboxUrls};

/// Serve stand-ins for Spotify, Last.fm, Deezer, iTunes and MusicBrainz on loopback.
#[derive(Debug, Clone, clap::Args)]
pub struct SandboxArgs {
    /// Port on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 8089)]
    pub port: u16,
    /// Share of calls that fail, 0 to 1, all passing kinds mixed.
    #[arg(long, default_value_t = 0.0, value_name = "RATE", value_parser = share)]
    pub faults: f64,
    /// The catalogue, the answers and the faults follow from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What the Spotify account may do.
    #[arg(long, value_enum, default_value_t = Regime::Restricted)]
    pub regime: Regime,
    /// Artists in the catalogue.
    #[arg(long, default_value_t = 2_000)]
    pub artists: usize,
    /// Tracks in the catalogue.
    #[arg(long, default_value_t = 10_000)]
    pub tracks: usize,
    /// Spotify calls until the quota is used up.
    #[arg(long, value_name = "CALLS")]
    pub quota_after: Option<u64>,
    /// Retry-After of passing 429s, seconds.
    #[arg(long, default_value_t = 1, value_name = "SECONDS")]
    pub retry_after: u64,
    /// Life of a Spotify token, seconds.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    pub token_life: u64,
    /// Added to every answer, milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    pub latency: u64,
    /// Share of clips whose link is dead, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub dead_clips: f64,
    /// Refuse what goes over each API's real rate limit.
    #[arg(long)]
    pub limits: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

impl SandboxArgs {
    /// The options of the sandbox.
    pub fn options(&self) -> SandboxOptions {
        SandboxOptions {
            port: self.port,
            seed: self.seed,
            fault_rate: self.faults,
            regime: self.regime,
            artists: self.artists,
            tracks: self.tracks,
            quota_after: self.quota_after,
            retry_after_s: self.retry_after,
            token_life_s: self.token_life,
            latency_ms: self.latency,
            dead_clips: self.dead_clips,
            enforce_limits: self.limits,
        }
    }
}

/// Serves until Ctrl-C or SIGTERM. Prints what to put into the configuration.
///
/// # Errors
/// When the port is taken or signals cannot be heard.
pub fn run(args: &SandboxArgs, json: bool) -> anyhow::Result<ExitCode> {
    let sandbox = Sandbox::start(args.options())?;
    let (urls, base) = (sandbox.urls(), sandbox.base_url());
    let text = if json { as_json(&urls, &base) } else { as_toml(&urls, &base) };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("sandbox: cannot write to standard output")?;
    drop(out);
    wait_for_signal()?;
    sandbox.stop();
    Ok(ExitCode::SUCCESS)
}

fn wait_for_signal() -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).context("sandbox: SIGTERM")?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.context("sandbox: Ctrl-C")?,
            _ = term.recv() => {}
        }
        Ok(())
    })
}

/// The configuration that points `reprise run` at a sandbox.
fn as_toml(urls: &SandboxUrls, base: &str) -> String {
    format!(
        "# The sandbox listens on {base}. Put this into reprise.toml; see {base}/__control, /__calls and /__truth.\n\
         [spotify]\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\napi_url = \"{}\"\naccounts_url = \"{}\"\n\n\
         [lastfm]\napi_key = \"{LASTFM_API_KEY}\"\napi_url = \"{}\"\n\n\
         [previews]\nspotify_embed_url = \"{}\"\ndeezer_url = \"{}\"\nitunes_url = \"{}\"\nallowed_hosts = [\"127.0.0.1\"]\n\n\
         [musicbrainz]\napi_url = \"{}\"\n",
        urls.api_url,
        urls.accounts_url,
        urls.lastfm_url,
        urls.spotify_embed_url,
        urls.deezer_url,
        urls.itunes_url,
        urls.musicbrainz_url,
    )
}

fn as_json(urls: &SandboxUrls, base: &str) -> String {
    json!({
        "base_url": base,
        "spotify": {
            "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "api_url": urls.api_url, "accounts_url": urls.accounts_url,
        },
        "lastfm": {"api_key": LASTFM_API_KEY, "api_url": urls.lastfm_url},
        "previews": {
            "spotify_embed_url": urls.spotify_embed_url, "deezer_url": urls.deezer_url, "itunes_url": urls.itunes_url,
            "allowed_hosts": ["127.0.0.1"],
        },
        "musicbrainz_url": urls.musicbrainz_url,
    })
    .to_string()
}
