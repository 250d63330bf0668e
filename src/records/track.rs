//! `music_top_tracks`: a Spotify track with its album and artists.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::{Nuller, RecordError, Validate, require_id, require_name};
use super::{Record, Topic};

/// An artist as named inside a track or an album.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtistRef {
    /// Spotify id.
    pub id: String,
    /// Name as Spotify writes it.
    pub name: String,
}

/// An album as named inside a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlbumRef {
    /// Spotify id.
    pub id: String,
    /// Title; `None` when blank, as after a takedown.
    pub title: Option<String>,
    /// `single`, `compilation` or `album`.
    pub album_type: Option<String>,
    /// 1 to 200.
    pub total_tracks: Option<i64>,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, by `release_date_precision`.
    pub release_date: Option<String>,
    /// `year`, `month` or `day`.
    pub release_date_precision: Option<String>,
    /// The album's primary artist; absent for albums without one.
    pub artist: Option<ArtistRef>,
}

/// A track as a Spotify search gave it. What the account's regime does not show is `None`: unknown, not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopTrack {
    /// Spotify id.
    pub id: String,
    /// Title.
    pub name: String,
    /// Artists in billing order; the first is the primary one.
    pub artists: Vec<ArtistRef>,
    /// The album; absent for local files.
    pub album: Option<AlbumRef>,
    /// Above 1,000 and below 10,800,000.
    pub duration_ms: Option<i64>,
    /// Marked explicit.
    pub explicit: Option<bool>,
    /// Playable in the market asked for.
    pub is_playable: Option<bool>,
    /// 0 to 100; extended quota only.
    pub popularity: Option<i64>,
    /// 1 to 100.
    pub track_number: Option<i64>,
    /// International Standard Recording Code.
    pub isrc: Option<String>,
    /// Where Spotify serves a preview, for the few apps that still get one. Resolved again before use.
    pub preview_url: Option<String>,
}

impl TopTrack {
    /// The first artist in billing order. Validation makes sure that there is one.
    pub fn primary_artist(&self) -> Option<&ArtistRef> {
        self.artists.first()
    }
}

impl Validate for TopTrack {
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError> {
        const TOPIC: Topic = Topic::MusicTopTracks;
        require_id(TOPIC, "id", &self.id)?;
        require_name(TOPIC, "name", &mut self.name)?;
        let Some(primary) = self.artists.first_mut() else {
            return Err(RecordError::required(TOPIC, "artists", "[]", "at least the primary artist"));
        };
        require_id(TOPIC, "artists[0].id", &primary.id)?;
        require_name(TOPIC, "artists[0].name", &mut primary.name)?;
        let mut nuller = Nuller::default();
        nuller.keep("duration_ms", &mut self.duration_ms, |ms| (1_001..10_800_000).contains(ms));
        nuller.keep("popularity", &mut self.popularity, |points| (0..=100).contains(points));
        nuller.keep("track_number", &mut self.track_number, |number| (1..=100).contains(number));
        nuller.keep("isrc", &mut self.isrc, |isrc| isrc.len() == 12 && isrc.chars().all(|c| c.is_ascii_alphanumeric()));
        nuller.keep("album", &mut self.album, |album| require_id(TOPIC, "album.id", &album.id).is_ok());
        if let Some(album) = &mut self.album {
            album.clean(&mut nuller);
        }
        Ok(nuller.finish())
    }
}

impl AlbumRef {
    fn clean(&mut self, nuller: &mut Nuller) {
        if let Some(title) = &mut self.title {
            title.retain(|c| c != '\0');
        }
        nuller.keep("album.title", &mut self.title, |title| !title.trim().is_empty());
        nuller
            .keep("album.album_type", &mut self.album_type, |kind| matches!(kind.as_str(), "single" | "compilation" | "album"));
        nuller.keep("album.total_tracks", &mut self.total_tracks, |count| (1..=200).contains(count));
        nuller.keep("album.release_date_precision", &mut self.release_date_precision, |precision| {
            matches!(precision.as_str(), "year" | "month" | "day")
        });
        nuller.keep("album.release_date", &mut self.release_date, |date| is_date(date));
        nuller.keep("album.artist", &mut self.artist, |artist| {
            require_id(Topic::MusicTopTracks, "album.artist.id", &artist.id).is_ok() && !artist.name.trim().is_empty()
        });
    }
}

/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD` in the calendar; `0000` marks an unknown year and is refused.
fn is_date(date: &str) -> bool {
    let parts: Vec<&str> = date.split('-').collect();
    let widths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let numbers: Option<Vec<u32>> = parts.iter().map(|part| digits(part)).collect();
    let (Some(numbers), [4] | [4, 2] | [4, 2, 2]) = (numbers, widths.as_slice()) else { return false };
    let part = |place: usize| numbers.get(place).copied().unwrap_or(1);
    part(0) > 0 && i32::try_from(part(0)).is_ok_and(|year| NaiveDate::from_ymd_opt(year, part(1), part(2)).is_some())
}

fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Record for TopTrack {
    const TOPIC: Topic = Topic::MusicTopTracks;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn partition_key(&self) -> &str {
        self.primary_artist().map_or(&self.id, |artist| &artist.id)
    }
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn a_date_is_one_of_the_calendar_or_none() {
        for date in ["1987", "1987-11", "1987-11-12", "2024-02-29", "0001"] {
            assert!(is_date(date), "{date}");
        }
        for date in
            ["", "87", "0000", "0000-01", "1987-13", "2020-13-45", "2023-02-29", "1987-11-12-01", "1987-1-2", "+987", "१९८७"]
        {
            assert!(!is_date(date), "{date}");
        }
    }
}
