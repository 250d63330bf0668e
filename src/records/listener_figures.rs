//! `lastfm_artist`: Last.fm's figures of one artist or one track, or why there are none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::{Nuller, RecordError, Validate, canonical_names, require_id};
use super::{Record, Topic};

/// How well what came back matches what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatchNote {
    /// 0 to 1.
    pub score: f64,
    /// `exact`, `high` or `low`.
    pub quality: String,
    /// Why, for people.
    pub reasons: Vec<String>,
    /// Distance to the second-best candidate, where there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
}

/// Artist figures: `artist.getInfo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArtistFigures {
    /// Name as Last.fm writes it, after its autocorrection.
    pub name: String,
    /// MusicBrainz id.
    pub mbid: Option<String>,
    /// On tour at the moment.
    pub on_tour: Option<bool>,
    /// All-time listeners, 0 or more.
    pub listeners: Option<i64>,
    /// All-time plays, 0 or more.
    pub playcount: Option<i64>,
    /// Top tags, sorted, lower case: genres where Spotify gives none.
    pub tags: Vec<String>,
    /// Asked name against answered name.
    pub matched: MatchNote,
}

/// Track figures: `track.getInfo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrackFigures {
    /// Title as Last.fm writes it, after its autocorrection.
    pub name: String,
    /// MusicBrainz recording id.
    pub mbid: Option<String>,
    /// All-time listeners, 0 or more.
    pub listeners: Option<i64>,
    /// All-time plays, 0 or more.
    pub playcount: Option<i64>,
    /// Asked artist and title against the answered ones.
    pub matched: MatchNote,
}

/// What the source had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureOutcome<T> {
    /// The figures.
    Found(T),
    /// Nothing usable, a normal outcome: `not_found`, `ghost`, `placeholder`, `no_match`, and for
    /// an artist `rejected`. Asked again after `refresh_after`.
    Missing {
        /// A closed set, see above.
        reason: String,
    },
}

/// Who or what was asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "subject", rename_all = "snake_case")]
pub enum Subject {
    /// An artist.
    Artist {
        /// What Last.fm had.
        figures: FigureOutcome<ArtistFigures>,
    },
    /// A track.
    Track {
        /// Spotify id of the track.
        song_id: String,
        /// What Last.fm had.
        figures: FigureOutcome<TrackFigures>,
    },
}

/// One answer of Last.fm. Artist and track are separate records, so that each is asked for only when it is stale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListenerFigures {
    /// Spotify id of the primary artist.
    pub artist_id: String,
    /// Who or what was asked about.
    #[serde(flatten)]
    pub subject: Subject,
}

const COUNT_MAX: i64 = 1 << 53;

impl Validate for ListenerFigures {
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError> {
        require_id(Topic::LastfmArtist, "artist_id", &self.artist_id)?;
        let mut nuller = Nuller::default();
        match &mut self.subject {
            Subject::Artist { figures: FigureOutcome::Found(figures) } => {
                nuller.keep("listeners", &mut figures.listeners, |count| (0..=COUNT_MAX).contains(count));
                nuller.keep("playcount", &mut figures.playcount, |count| (0..=COUNT_MAX).contains(count));
                nuller.keep("mbid", &mut figures.mbid, |id| is_mbid(id));
                canonical_names(&mut figures.tags);
            }
            Subject::Track { song_id, figures } => {
                require_id(Topic::LastfmArtist, "song_id", song_id)?;
                if let FigureOutcome::Found(figures) = figures {
                    nuller.keep("listeners", &mut figures.listeners, |count| (0..=i64::from(i32::MAX)).contains(count));
                    nuller.keep("playcount", &mut figures.playcount, |count| (0..=COUNT_MAX).contains(count));
                    nuller.keep("mbid", &mut figures.mbid, |id| is_mbid(id));
                }
            }
            Subject::Artist { figures: FigureOutcome::Missing { .. } } => {}
        }
        Ok(nuller.finish())
    }
}

/// A MusicBrainz id: a UUID with its dashes.
fn is_mbid(id: &str) -> bool {
    id.len() == 36
        && id.char_indices().all(|(at, c)| if matches!(at, 8 | 13 | 18 | 23) { c == '-' } else { c.is_ascii_hexdigit() })
}

impl Record for ListenerFigures {
    const TOPIC: Topic = Topic::LastfmArtist;

    fn key(&self) -> String {
        match &self.subject {
            Subject::Artist { .. } => format!("artist/{}", self.artist_id),
            Subject::Track { song_id, .. } => format!("song/{song_id}"),
        }
    }

    fn partition_key(&self) -> &str {
        &self.artist_id
    }
}
