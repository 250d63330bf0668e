//! `artist_genres`: an artist's profile.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::{Nuller, RecordError, Validate, canonical_names, require_id, require_name};
use super::{Record, Topic};

/// Spotify's profile of an artist. `None` is unknown: the account's regime does not show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtistProfile {
    /// Spotify id.
    pub artist_id: String,
    /// Name as Spotify writes it.
    pub name: String,
    /// 0 to 100.
    pub popularity: Option<i64>,
    /// 0 or more.
    pub followers: Option<i64>,
    /// Sorted, lower case, without duplicates. Empty: Spotify answered that there are none.
    pub genres: Option<Vec<String>>,
    /// Why Spotify has no profile of this artist, such as `not_found`: then all but the id is unknown, and the name is the one
    /// from the track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl ArtistProfile {
    /// What is known of an artist that Spotify does not show, for `reason`.
    pub fn missing(artist_id: &str, name: &str, reason: &str) -> ArtistProfile {
        ArtistProfile {
            artist_id: artist_id.to_owned(),
            name: name.to_owned(),
            popularity: None,
            followers: None,
            genres: None,
            missing: Some(reason.to_owned()),
        }
    }
}

impl Validate for ArtistProfile {
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError> {
        require_id(Topic::ArtistGenres, "artist_id", &self.artist_id)?;
        require_name(Topic::ArtistGenres, "name", &mut self.name)?;
        let mut nuller = Nuller::default();
        nuller.keep("popularity", &mut self.popularity, |points| (0..=100).contains(points));
        nuller.keep("followers", &mut self.followers, |count| (0..=i64::from(i32::MAX)).contains(count));
        if let Some(genres) = &mut self.genres {
            canonical_names(genres);
        }
        Ok(nuller.finish())
    }
}

impl Record for ArtistProfile {
    const TOPIC: Topic = Topic::ArtistGenres;

    fn key(&self) -> String {
        self.artist_id.clone()
    }

    fn partition_key(&self) -> &str {
        &self.artist_id
    }
}
