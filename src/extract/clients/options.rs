//! What can be configured about Last.fm, the preview providers and MusicBrainz.

use serde::{Deserialize, Serialize};

use crate::config::Secret;

/// `[lastfm]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LastfmOptions {
    /// API key, from <https://www.last.fm/api/account/create>. Without one the listeners stage is not started.
    pub api_key: Secret,
    /// Where the API answers; `?method=...` is appended.
    pub api_url: String,
    /// Calls a second, all processes behind one address together. Last.fm suspends keys that go on above 5.
    pub calls_per_second: u32,
    /// Calls under way at once. More only helps where answers take longer than a second.
    pub max_concurrent: usize,
}

impl Default for LastfmOptions {
    fn default() -> Self {
        LastfmOptions {
            api_key: Secret::default(),
            api_url: "https://ws.audioscrobbler.com/2.0/".to_owned(),
            calls_per_second: 5,
            max_concurrent: 5,
        }
    }
}

/// Where a preview clip may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// The `preview_url` of the track record. Apps made since November 2024 get none.
    Spotify,
    /// The public embed page of the track. Off by default: it is a web page and not an API, it changes without notice, and
    /// Spotify's developer terms allow neither scraping it nor keeping what it plays.
    SpotifyEmbed,
    /// Deezer, by ISRC, then by search. No key; for personal, non-commercial use.
    Deezer,
    /// The iTunes search. No key; previews are meant to promote store content.
    Itunes,
}

impl ProviderKind {
    /// As in the configuration, in records and as metric label.
    pub const fn name(self) -> &'static str {
        match self {
            ProviderKind::Spotify => "spotify",
            ProviderKind::SpotifyEmbed => "spotify_embed",
            ProviderKind::Deezer => "deezer",
            ProviderKind::Itunes => "itunes",
        }
    }
}

/// `[previews]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreviewOptions {
    /// Asked in this order; the next one only when the one before has no usable clip for certain.
    pub providers: Vec<ProviderKind>,
    /// Where Spotify's embed pages are; `/track/{id}` is appended.
    pub spotify_embed_url: String,
    /// Where Deezer's API answers; `/track/isrc:{ISRC}` and `/search` are appended.
    pub deezer_url: String,
    /// Where the iTunes search answers; `/search` is appended.
    pub itunes_url: String,
    /// Store front the iTunes search looks at: ISO 3166-1 alpha-2.
    pub itunes_country: String,
    /// Hosts clips may be downloaded from: a name, or `*.` and a domain for all names below it; ports do not matter. Private
    /// addresses are refused even when listed. A loopback host must be listed, or be where a provider's own URL points to.
    pub allowed_hosts: Vec<String>,
    /// Bytes a clip may have. A 30-second preview has about 0.5 MB.
    pub clip_bytes_max: usize,
    /// Clips downloaded at once.
    pub downloads_at_once: usize,
    /// Calls of Deezer in any 5 seconds. Its own limit is 50 by address.
    pub deezer_calls_per_5s: u32,
    /// Calls of the iTunes search in any minute. Its own limit is about 20 by address.
    pub itunes_calls_per_minute: u32,
    /// Embed pages in any minute.
    pub spotify_embed_calls_per_minute: u32,
}

/// Where the providers' clips really are.
const CLIP_HOSTS: [&str; 5] =
    ["p.scdn.co", "*.dzcdn.net", "audio-ssl.itunes.apple.com", "audio.itunes.apple.com", "*.mzstatic.com"];

impl Default for PreviewOptions {
    fn default() -> Self {
        PreviewOptions {
            providers: vec![ProviderKind::Deezer, ProviderKind::Itunes],
            spotify_embed_url: "https://open.spotify.com/embed".to_owned(),
            deezer_url: "https://api.deezer.com".to_owned(),
            itunes_url: "https://itunes.apple.com".to_owned(),
            itunes_country: "US".to_owned(),
            allowed_hosts: CLIP_HOSTS.iter().map(|host| (*host).to_owned()).collect(),
            clip_bytes_max: 5_000_000,
            downloads_at_once: 4,
            deezer_calls_per_5s: 50,
            itunes_calls_per_minute: 20,
            spotify_embed_calls_per_minute: 30,
        }
    }
}

/// `[musicbrainz]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MusicBrainzOptions {
    /// Ask MusicBrainz by ISRC for the MBID of a track that Last.fm gives none for. Off by default: one call a second
    /// makes it the slowest source by far.
    pub enabled: bool,
    /// Where the API answers; `/isrc/{ISRC}` is appended.
    pub api_url: String,
}

impl Default for MusicBrainzOptions {
    fn default() -> Self {
        MusicBrainzOptions { enabled: false, api_url: "https://musicbrainz.org/ws/2".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_never_shows() {
        let options = LastfmOptions { api_key: Secret::new("0123456789abcdef"), ..LastfmOptions::default() };
        let shown = format!("{options:?} {}", serde_json::to_string(&options).unwrap_or_default());
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }

    #[test]
    fn the_embed_page_is_off_by_default() {
        let providers = PreviewOptions::default().providers;
        assert_eq!(providers, [ProviderKind::Deezer, ProviderKind::Itunes]);
    }

    #[test]
    fn a_provider_is_written_as_its_name() {
        for kind in [ProviderKind::Spotify, ProviderKind::SpotifyEmbed, ProviderKind::Deezer, ProviderKind::Itunes] {
            assert_eq!(serde_json::to_value(kind).ok(), Some(serde_json::Value::from(kind.name())));
        }
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let found = serde_json::from_str::<PreviewOptions>(r#"{"provider": ["deezer"]}"#);
        assert!(found.is_err_and(|error| error.to_string().contains("provider")));
    }
}
