//! `music_queries`: one search request, or the rest of one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::{RecordError, Validate};
use super::{Record, Topic};

/// Most distinct tracks one search can give: Spotify answers no offset from 1000 on.
const MAX_TRACKS_LIMIT: u32 = 1000;

/// Ask Spotify for tracks. After each page the tracks stage sends itself the same request with a further
/// [`SearchCursor`], in the transaction that emits the page's tracks: progress within a query is a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchRequest {
    /// Names the request through all its pages, such as `schedule/3/1766000000000000` or `cli/…`. Unique.
    pub request_id: String,
    /// The search text, Spotify's field filters included (`artist:`, `year:1990-1999`, ...).
    pub q: String,
    /// ISO 3166-1 alpha-2 market, if not the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<String>,
    /// How many distinct tracks to emit, 1 to 1000.
    pub max_tracks: u32,
    /// Where the search stands; absent for a new request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<SearchCursor>,
}

/// How far a search has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchCursor {
    /// Offset of the next page.
    pub offset: u32,
    /// Ids of the tracks emitted so far, in order: pages overlap, and only distinct tracks count.
    pub seen: Vec<String>,
}

impl Validate for SearchRequest {
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError> {
        if self.q.trim().is_empty() {
            return Err(RecordError::required(Topic::MusicQueries, "q", &self.q, "a search text"));
        }
        super::validate::require_id(Topic::MusicQueries, "request_id", &self.request_id)?;
        if self.max_tracks == 0 || self.max_tracks > MAX_TRACKS_LIMIT {
            let found = self.max_tracks.to_string();
            return Err(RecordError::required(Topic::MusicQueries, "max_tracks", &found, "1 to 1000"));
        }
        Ok(Vec::new())
    }
}

impl Record for SearchRequest {
    const TOPIC: Topic = Topic::MusicQueries;

    fn key(&self) -> String {
        self.request_id.clone()
    }

    fn partition_key(&self) -> &str {
        &self.request_id
    }
}
