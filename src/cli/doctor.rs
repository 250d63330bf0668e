//! `reprise doctor`: checks what `run` needs and says what to do about what is missing.

use std::process::ExitCode;

use serde::Serialize;

use super::logging;
use crate::config::Config;
use crate::service::{open_mailbox, open_store};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    /// `run` works without it, with less to store.
    optional: bool,
    detail: String,
}

pub(super) fn run(json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let _guard = logging::start(config, &logging::run_id(), Some("error"))?;
    let findings = [data_dir(config), mailbox(config), database(config), spotify(config), lastfm(config), previews(config)];
    let healthy = findings.iter().all(|finding| finding.ok || finding.optional);
    if json {
        answer!("{}", serde_json::json!({ "healthy": healthy, "findings": findings }));
    } else {
        for finding in &findings {
            let mark = if finding.ok {
                "ok  "
            } else if finding.optional {
                "note"
            } else {
                "FAIL"
            };
            answer!("{mark}  {:<10} {}", finding.what, finding.detail);
        }
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn found(what: &'static str, result: Result<String, String>) -> Finding {
    let ok = result.is_ok();
    Finding { what, ok, optional: false, detail: result.unwrap_or_else(|problem| problem) }
}

fn data_dir(config: &Config) -> Finding {
    let dir = &config.data_dir;
    let probe = dir.join(".doctor");
    let written =
        std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&probe, b"ok")).and_then(|()| std::fs::remove_file(&probe));
    found(
        "data_dir",
        written.map(|()| format!("{} can be written", dir.display())).map_err(|error| {
            format!("{} cannot be written: {error}; set data_dir to a folder of the user that runs reprise", dir.display())
        }),
    )
}

fn mailbox(config: &Config) -> Finding {
    let look = || -> anyhow::Result<String> {
        let mailbox = open_mailbox(config)?;
        let described = mailbox.describe();
        Ok(match mailbox.partitions() {
            Ok(partitions) => format!("{described}: topics with {partitions} partitions"),
            Err(crate::mailbox::MailboxError::Invalid(detail)) => {
                format!("{described}: reachable; {detail} (`reprise topics` makes them, `run` does too)")
            }
            Err(error) => return Err(error.into()),
        })
    };
    found("mailbox", look().map_err(|error| format!("{error:#}")))
}

fn database(config: &Config) -> Finding {
    let look = || -> anyhow::Result<String> {
        let store = open_store(config, "reprise doctor")?;
        let report = store.migrate()?;
        Ok(format!("{}: schema up to date ({} migrations)", store.describe(), report.present + report.applied.len()))
    };
    found("database", look().map_err(|error| format!("{error:#}")))
}

fn spotify(config: &Config) -> Finding {
    let missing = config.spotify.client_id.is_empty() || config.spotify.client_secret.is_empty();
    found(
        "spotify",
        if missing {
            Err("spotify.client_id or spotify.client_secret is empty: make an app at https://developer.spotify.com/dashboard \
                 and set REPRISE__SPOTIFY__CLIENT_ID and REPRISE__SPOTIFY__CLIENT_SECRET"
                .to_owned())
        } else {
            Ok(format!("credentials are set; {}", config.spotify.api_url))
        },
    )
}

fn lastfm(config: &Config) -> Finding {
    let result = if config.lastfm.api_key.is_empty() {
        Err("lastfm.api_key is empty: the listeners stage will not run; get a key at https://www.last.fm/api/account/create"
            .to_owned())
    } else {
        Ok(format!("key is set; {}", config.lastfm.api_url))
    };
    Finding { optional: true, ..found("lastfm", result) }
}

fn previews(config: &Config) -> Finding {
    let names: Vec<&str> = config.previews.providers.iter().map(|provider| provider.name()).collect();
    let result = if names.is_empty() {
        Err("previews.providers is empty: no audio features will be computed".to_owned())
    } else {
        Ok(format!("providers in order: {}", names.join(", ")))
    };
    Finding { optional: true, ..found("previews", result) }
}
