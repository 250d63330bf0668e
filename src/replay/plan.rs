//! What to read: from the operator's words and the ends of the topics to offsets. Pure but for [`make`].

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::ReplayError;
use crate::config::Period;
use crate::mailbox::{Mailbox, MailboxError, TopicPartition, Watermarks};
use crate::records::{Topic, TopicNames};

/// The topics that lead to rows, in the order in which they are replayed.
pub const REPLAYABLE: [Topic; 5] =
    [Topic::MusicTransformed, Topic::MusicTopTracks, Topic::ArtistGenres, Topic::LastfmArtist, Topic::MusicAudioFeatures];

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first message kept.
    Beginning,
    /// At the first message appended at or after this time: microseconds since the Unix epoch.
    Since(i64),
    /// At this offset of this partition, and only there.
    Offset {
        /// The partition.
        partition: i32,
        /// The first offset.
        offset: i64,
    },
}

/// What to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The topics, of [`REPLAYABLE`].
    pub topics: Vec<Topic>,
    /// Where to begin in each.
    pub start: Start,
    /// The operator's words for this replay, by which an interrupted one is recognised.
    pub words: String,
}

/// A stretch of one partition that is still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: i32,
    /// The next offset.
    pub next: i64,
    /// One above the last offset.
    pub end: i64,
}

impl Span {
    /// The partition it lies in.
    pub fn at(&self) -> TopicPartition {
        TopicPartition { topic: self.topic, partition: self.partition }
    }

    /// Offsets left.
    pub fn left(&self) -> u64 {
        u64::try_from(self.end.saturating_sub(self.next)).unwrap_or(0)
    }
}

fn refused<T>(text: String) -> Result<T, ReplayError> {
    Err(ReplayError::Refused(text))
}

/// The topics meant by `--topic NAME`: all that lead to rows, if there is no name. Contract names and the names of this
/// deployment are understood.
///
/// # Errors
/// [`ReplayError::Refused`] for a topic that does not exist or does not lead to rows: says which do.
pub fn topics_of(name: Option<&str>, names: &TopicNames) -> Result<Vec<Topic>, ReplayError> {
    let Some(name) = name else { return Ok(REPLAYABLE.to_vec()) };
    match names.topic(name).or_else(|| Topic::from_default_name(name)) {
        Some(Topic::MusicQueries) => refused(format!(
            "{name} holds searches, not answers: replaying them would ask Spotify again and spend its quota without changing \
             the database. To search again, use `reprise search` or wait for the schedule; to fill the database from what \
             Spotify answered, replay {}",
            names.name(Topic::MusicTopTracks)
        )),
        Some(Topic::MusicDeadLetters) => refused(format!(
            "{name} holds what could not be used: see `reprise dead-letters list` and `reprise dead-letters retry`"
        )),
        Some(topic) => Ok(vec![topic]),
        None => {
            let known: Vec<&str> = REPLAYABLE.iter().map(|topic| names.name(*topic)).collect();
            refused(format!("--topic {name:?} does not exist; the topics to replay are {}", known.join(", ")))
        }
    }
}

/// The time meant by `--since`: RFC 3339, a date, or a span before `now`, such as `7d`.
///
/// # Errors
/// [`ReplayError::Refused`] for anything else, and for a time in the future.
pub fn parse_since(text: &str, now: i64) -> Result<i64, ReplayError> {
    if let Ok(period) = text.parse::<Period>() {
        return Ok(now.saturating_sub(period.as_micros()).max(0));
    }
    let instant = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z")));
    let Ok(instant) = instant else {
        return refused(format!(
            "--since {text:?}: expected a time such as 2026-05-01T12:00:00Z, a date, or a span such as 7d"
        ));
    };
    let time = instant.timestamp_micros();
    if time > now {
        return refused(format!("--since {text}: that time is in the future; it is {} now", show_time(now)));
    }
    Ok(time.max(0))
}

/// The place meant by `--from-offset P:N`.
///
/// # Errors
/// [`ReplayError::Refused`] for anything else.
pub fn parse_offset(text: &str) -> Result<Start, ReplayError> {
    let parts = text.split_once(':').and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    match parts {
        Some((partition, offset)) if partition >= 0 && offset >= 0 => Ok(Start::Offset { partition, offset }),
        _ => refused(format!("--from-offset {text:?}: expected PARTITION:OFFSET, such as 3:1200")),
    }
}

/// A time for people.
pub fn show_time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| format!("{micros} µs"), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The stretches of one topic, from its ends and, for a time, the offsets at that time.
///
/// # Errors
/// [`ReplayError::Refused`] for a partition or an offset that is not there: says what is.
pub fn spans(start: Start, marks: &[Watermarks], at_time: &[(TopicPartition, i64)]) -> Result<Vec<Span>, ReplayError> {
    if let Start::Offset { partition, offset } = start {
        let Some(found) = marks.iter().find(|marks| marks.at.partition == partition) else {
            let last = marks.len().saturating_sub(1);
            return refused(format!("--from-offset {partition}:{offset}: the partitions are 0 to {last}"));
        };
        if !(found.low..=found.high).contains(&offset) {
            let Watermarks { at, low, high } = found;
            return refused(format!("--from-offset {partition}:{offset}: {at} has offsets {low} to {high}"));
        }
    }
    let stretch = |marks: &Watermarks| {
        let next = match start {
            Start::Beginning => marks.low,
            Start::Since(_) => at_time.iter().find(|(at, _)| *at == marks.at).map_or(marks.high, |(_, offset)| *offset),
            Start::Offset { partition, offset } if partition == marks.at.partition => offset,
            Start::Offset { .. } => marks.high,
        };
        Span { topic: marks.at.topic, partition: marks.at.partition, next: next.max(marks.low), end: marks.high }
    };
    Ok(marks.iter().map(stretch).filter(|span| span.left() > 0).collect())
}

/// Looks up the ends and makes the plan: partition by partition, so that what is known of one is used for all of its topics.
pub(super) fn make(mailbox: &dyn Mailbox, request: &Request) -> Result<Vec<Span>, ReplayError> {
    let mut planned = Vec::new();
    for topic in &request.topics {
        // A topic that was never made: the operator's mistake, not a failure.
        let marks = mailbox.watermarks(*topic).map_err(|error| match error {
            MailboxError::Invalid(text) => ReplayError::Refused(text),
            other => ReplayError::Mailbox(other),
        })?;
        let at_time = match request.start {
            Start::Since(time) => mailbox.offsets_at(*topic, time)?,
            _ => Vec::new(),
        };
        planned.extend(spans(request.start, &marks, &at_time)?);
    }
    planned.sort_by_key(|span| (span.partition, REPLAYABLE.iter().position(|topic| *topic == span.topic)));
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_780_000_000_000_000;

    fn marks(topic: Topic, ends: &[(i64, i64)]) -> Vec<Watermarks> {
        let one = |(partition, (low, high)): (i32, &(i64, i64))| Watermarks {
            at: TopicPartition { topic, partition },
            low: *low,
            high: *high,
        };
        (0..).zip(ends).map(one).collect()
    }

    fn said<T: std::fmt::Debug>(outcome: Result<T, ReplayError>) -> String {
        match outcome {
            Err(ReplayError::Refused(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_topic_that_cannot_be_replayed_says_what_can() {
        let names = TopicNames::new("eu.", &std::collections::BTreeMap::new());
        assert_eq!(topics_of(Some("eu.artist_genres"), &names).ok(), Some(vec![Topic::ArtistGenres]));
        assert_eq!(topics_of(Some("artist_genres"), &names).ok(), Some(vec![Topic::ArtistGenres]));
        assert_eq!(topics_of(None, &names).map(|topics| topics.len()).ok(), Some(5));
        assert!(said(topics_of(Some("music"), &names)).contains("eu.music_transformed, eu.music_top_tracks"));
        assert!(said(topics_of(Some("music_queries"), &names)).contains("quota"));
        assert!(said(topics_of(Some("music_dead_letters"), &names)).contains("dead-letters retry"));
    }

    #[test]
    fn times_are_read_and_the_future_is_refused() {
        assert_eq!(parse_since("2h", NOW).ok(), Some(NOW - 7_200_000_000));
        assert_eq!(parse_since("1970-01-01T00:00:01.5Z", NOW).ok(), Some(1_500_000));
        assert_eq!(parse_since("1970-01-02", NOW).ok(), Some(86_400_000_000));
        assert!(said(parse_since("2099-01-01T00:00:00Z", NOW)).contains("future"));
        assert!(said(parse_since("yesterday", NOW)).contains("7d"));
    }

    #[test]
    fn an_offset_out_of_range_says_the_range() {
        let marks = marks(Topic::ArtistGenres, &[(0, 5), (10, 20)]);
        let from = |partition, offset| spans(Start::Offset { partition, offset }, &marks, &[]);
        assert!(said(from(1, 9)).contains("offsets 10 to 20"));
        assert!(said(from(1, 21)).contains("offsets 10 to 20"));
        assert!(said(from(2, 0)).contains("partitions are 0 to 1"));
        assert_eq!(from(1, 15).map(|spans| spans.iter().map(Span::left).collect::<Vec<_>>()).ok(), Some(vec![5]));
        assert_eq!(from(1, 20).ok(), Some(Vec::new()));
        for wrong in ["3", "3:", "-1:0", "0:-1", "a:b"] {
            assert!(said(parse_offset(wrong)).contains("PARTITION:OFFSET"));
        }
    }

    proptest! {
        /// Whatever the ends and the times: nothing outside the ends is read, nothing inside is left out.
        #[test]
        fn spans_lie_within_the_ends(ends in proptest::collection::vec((0..50_i64, 0..50_i64), 1..6), since in 0..120_i64) {
            let ends: Vec<(i64, i64)> = ends.into_iter().map(|(low, size)| (low, low + size)).collect();
            let marks = marks(Topic::LastfmArtist, &ends);
            let all: u64 = ends.iter().map(|(low, high)| u64::try_from(high - low).unwrap()).sum();
            let planned = spans(Start::Beginning, &marks, &[]).unwrap();
            prop_assert_eq!(planned.iter().map(Span::left).sum::<u64>(), all);
            let at_time: Vec<_> = marks.iter().map(|marks| (marks.at, since)).collect();
            for span in spans(Start::Since(0), &marks, &at_time).unwrap() {
                let found = marks.iter().find(|marks| marks.at == span.at()).unwrap();
                prop_assert!(span.next >= found.low && span.next >= since.min(found.high) && span.end == found.high);
            }
        }
    }
}
