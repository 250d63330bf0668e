//! Which service a call is for, and under which key it counts.

use super::wire::{Request, decode, param};

/// The services that share the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// Spotify's token service.
    Accounts,
    /// Spotify's Web API.
    Spotify,
    /// Spotify's embed pages.
    Embed,
    /// Last.fm.
    Lastfm,
    /// Deezer.
    Deezer,
    /// iTunes Search.
    Itunes,
    /// MusicBrainz.
    Musicbrainz,
    /// Clips of all providers.
    Clips,
}

/// Path prefixes; a URL key of the configuration is the base URL with one of them behind it.
const PREFIXES: [(&str, Api); 8] = [
    ("/accounts", Api::Accounts),
    ("/spotify/v1", Api::Spotify),
    ("/embed", Api::Embed),
    ("/lastfm/2.0", Api::Lastfm),
    ("/deezer", Api::Deezer),
    ("/itunes", Api::Itunes),
    ("/musicbrainz/ws/2", Api::Musicbrainz),
    ("/clips", Api::Clips),
];

impl Api {
    /// Name in switches and counts.
    pub fn name(self) -> &'static str {
        match self {
            Api::Accounts => "accounts",
            Api::Spotify => "spotify",
            Api::Embed => "embed",
            Api::Lastfm => "lastfm",
            Api::Deezer => "deezer",
            Api::Itunes => "itunes",
            Api::Musicbrainz => "musicbrainz",
            Api::Clips => "clips",
        }
    }
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The service.
    pub api: Api,
    /// What follows the prefix.
    pub path: String,
    /// Such as `spotify.artist`.
    pub endpoint: String,
    /// What is asked for, one key a thing: `artists/ID`, `search/QUERY|OFFSET|LIMIT`, `lastfm.artist/NAME`, ...
    pub keys: Vec<String>,
}

impl Route {
    /// The route of a call; `None` for a path that no service has.
    pub fn of(request: &Request) -> Option<Route> {
        let (api, path) = PREFIXES.iter().find_map(|(prefix, api)| {
            let path = request.path.strip_prefix(prefix)?;
            (path.is_empty() || path.starts_with('/')).then_some((*api, path))
        })?;
        let (what, keys) = name_of(api, path, request);
        let endpoint = format!("{}.{what}", api.name());
        Some(Route { api, path: path.to_owned(), endpoint, keys })
    }

    /// All keys as one: what a retry repeats.
    pub fn key(&self) -> String {
        self.keys.join(",")
    }
}

fn name_of(api: Api, path: &str, request: &Request) -> (&'static str, Vec<String>) {
    let asked = |name: &str| param(&request.query, name).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let one = |what: &'static str, key: String| (what, vec![key]);
    match (api, parts.as_slice()) {
        (Api::Accounts, _) => one("token", "token".to_owned()),
        (Api::Spotify, ["search"]) => {
            let text = param(&request.query, "q").or_else(|| param(&request.query, "query")).unwrap_or_default();
            one("search", format!("search/{text}|{}|{}", asked("offset"), asked("limit")))
        }
        (Api::Spotify, ["artists"]) => ("artists_batch", asked("ids").split(',').map(|id| format!("artists/{id}")).collect()),
        (Api::Spotify, ["artists", id]) => one("artist", format!("artists/{id}")),
        (Api::Spotify, ["tracks", id]) => one("track", format!("tracks/{id}")),
        (Api::Embed, ["track", id]) => one("track", format!("embed/{id}")),
        (Api::Lastfm, _) => match asked("method").to_lowercase().as_str() {
            "artist.getinfo" => one("artist", format!("lastfm.artist/{}", decode(&asked("artist")))),
            "track.getinfo" => one("track", format!("lastfm.track/{}/{}", asked("artist"), asked("track"))),
            _ => one("other", format!("lastfm.other/{}", asked("method"))),
        },
        (Api::Deezer, ["search"]) => one("search", format!("deezer.search/{}", asked("q"))),
        (Api::Deezer, ["track", id]) => match id.strip_prefix("isrc:").or_else(|| id.strip_prefix("isrc%3A")) {
            Some(isrc) => one("isrc", format!("deezer.isrc/{isrc}")),
            None => one("track", format!("deezer.track/{id}")),
        },
        (Api::Itunes, ["search"]) => one("search", format!("itunes.search/{}", asked("term"))),
        (Api::Musicbrainz, ["isrc", isrc]) => one("isrc", format!("musicbrainz.isrc/{isrc}")),
        (Api::Clips, [provider, name]) => one("clip", format!("clip/{provider}/{}", name.trim_end_matches(".flac"))),
        _ => one("other", format!("{}{path}", api.name())),
    }
}
