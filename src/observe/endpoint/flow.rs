//! Topics and how far each consumer group has come in them. Pure: offsets in, views out.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::mailbox::{Ledger, TopicPartition, Watermarks};
use crate::records::Topic;

/// A consumer group of this deployment and what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The stage, which is also its actor's name.
    pub stage: String,
    /// The consumer group, such as `reprise.tracks`.
    pub group: String,
    /// What it reads.
    pub topics: Vec<Topic>,
}

/// Where a group stands in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub at: TopicPartition,
    /// The next offset to read; `None` when nothing was ever committed.
    pub next_offset: Option<i64>,
    /// What became of the messages so far.
    pub ledger: Ledger,
}

/// A topic with its readers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicView {
    /// Contract name.
    pub topic: &'static str,
    /// Who writes to it.
    pub from: &'static [&'static str],
    /// Messages kept, by offsets (a compacted topic keeps fewer).
    pub messages: u64,
    /// Messages ever appended, by offsets.
    pub appended: u64,
    /// Messages appended a second, lately.
    pub per_second: f64,
    /// By partition.
    pub partitions: Vec<PartitionView>,
    /// Who reads it.
    pub groups: Vec<GroupFlow>,
}

/// The ends of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionView {
    /// From 0.
    pub partition: i32,
    /// The first offset kept.
    pub low: i64,
    /// One above the last offset.
    pub high: i64,
}

/// A group's place in a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupFlow {
    /// The stage.
    pub stage: String,
    /// The consumer group.
    pub group: String,
    /// Messages waiting, over all partitions.
    pub lag: u64,
    /// What became of the messages so far, over all partitions.
    pub ledger: Ledger,
    /// Every message taken ended in exactly one way.
    pub balanced: bool,
    /// By partition.
    pub partitions: Vec<GroupPartition>,
}

/// A group's place in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupPartition {
    /// From 0.
    pub partition: i32,
    /// The next offset to read; `null` when nothing was ever committed.
    pub committed: Option<i64>,
    /// Messages waiting.
    pub lag: u64,
}

/// Who writes to a topic, in people's words.
pub const fn writers(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::MusicQueries => &["scheduler", "search"],
        Topic::MusicTopTracks => &["tracks"],
        Topic::ArtistGenres => &["artists"],
        Topic::LastfmArtist => &["listeners"],
        Topic::MusicAudioFeatures => &["audio"],
        Topic::MusicTransformed => &["transform"],
        Topic::MusicDeadLetters => &["any stage"],
    }
}

/// The topics in the order of the flow. `positions` are by group.
pub fn topic_views(
    groups: &[GroupView],
    watermarks: &BTreeMap<Topic, Vec<Watermarks>>,
    positions: &BTreeMap<String, Vec<Position>>,
) -> Vec<TopicView> {
    watermarks
        .iter()
        .map(|(topic, marks)| {
            let readers = groups.iter().filter(|group| group.topics.contains(topic));
            TopicView {
                topic: topic.default_name(),
                from: writers(*topic),
                messages: marks.iter().map(|mark| above(mark.low, mark.high)).sum(),
                appended: marks.iter().map(|mark| above(0, mark.high)).sum(),
                per_second: 0.0,
                partitions: marks
                    .iter()
                    .map(|mark| PartitionView { partition: mark.at.partition, low: mark.low, high: mark.high })
                    .collect(),
                groups: readers
                    .map(|group| group_flow(group, marks, positions.get(&group.group).map_or(&[], Vec::as_slice)))
                    .collect(),
            }
        })
        .collect()
}

fn group_flow(group: &GroupView, marks: &[Watermarks], positions: &[Position]) -> GroupFlow {
    let mut ledger = Ledger::default();
    let mut balanced = true;
    let mut partitions = Vec::new();
    for mark in marks {
        let position = positions.iter().find(|position| position.at == mark.at);
        if let Some(position) = position {
            ledger.add(&position.ledger);
            balanced &= position.ledger.is_balanced();
        }
        let committed = position.and_then(|position| position.next_offset);
        // What retention deleted unread is not waiting any more.
        let from = committed.unwrap_or(mark.low).max(mark.low);
        partitions.push(GroupPartition { partition: mark.at.partition, committed, lag: above(from, mark.high) });
    }
    let lag = partitions.iter().map(|partition| partition.lag).sum();
    GroupFlow { stage: group.stage.clone(), group: group.group.clone(), lag, ledger, balanced, partitions }
}

/// How far `high` is above `low`; a commit beyond the end (the topic was made anew) is no negative lag.
fn above(low: i64, high: i64) -> u64 {
    u64::try_from(high.saturating_sub(low)).unwrap_or(0)
}

/// Fills in how many messages a second were appended since `earlier`, `seconds` ago.
pub fn set_rates(views: &mut [TopicView], earlier: &[TopicView], seconds: f64) {
    for view in views {
        let before = earlier.iter().find(|before| before.topic == view.topic);
        if let Some(before) = before.filter(|_| seconds > 0.0) {
            let grown = view.appended.saturating_sub(before.appended);
            // Precision beyond 2^53 messages is nobody's concern.
            view.per_second = grown as f64 / seconds;
        }
    }
}

/// Messages waiting for a stage in all that it reads; `None` for what is no stage.
pub fn lag_of(views: &[TopicView], stage: &str) -> Option<u64> {
    let mut flows = views.iter().flat_map(|view| &view.groups).filter(|flow| flow.stage == stage).peekable();
    flows.peek()?;
    Some(flows.map(|flow| flow.lag).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: TopicPartition = TopicPartition { topic: Topic::MusicTopTracks, partition: 0 };

    fn views(low: i64, high: i64, committed: Option<i64>) -> Vec<TopicView> {
        let group = GroupView { stage: "audio".into(), group: "g".into(), topics: vec![Topic::MusicTopTracks] };
        let position = Position { at: AT, next_offset: committed, ledger: Ledger::default() };
        topic_views(
            &[group],
            &BTreeMap::from([(Topic::MusicTopTracks, vec![Watermarks { at: AT, low, high }])]),
            &BTreeMap::from([("g".to_owned(), vec![position])]),
        )
    }

    #[test]
    fn lag_counts_from_the_commit_or_from_the_first_message_kept() {
        assert_eq!(lag_of(&views(0, 10, Some(4)), "audio"), Some(6));
        assert_eq!(lag_of(&views(0, 10, None), "audio"), Some(10));
        assert_eq!(lag_of(&views(7, 10, Some(4)), "audio"), Some(3), "deleted messages do not wait");
        assert_eq!(lag_of(&views(0, 10, Some(99)), "audio"), Some(0), "a topic made anew");
        assert_eq!(lag_of(&views(0, 10, Some(4)), "tracks"), None);
    }

    #[test]
    fn rates_come_from_what_was_appended() {
        let mut now = views(0, 30, None);
        set_rates(&mut now, &views(0, 10, None), 2.0);
        assert!((now[0].per_second - 10.0).abs() < 1e-9);
    }

    #[test]
    fn an_unbalanced_ledger_shows() {
        let group = GroupView { stage: "audio".into(), group: "g".into(), topics: vec![Topic::MusicTopTracks] };
        let ledger = Ledger { consumed: 3, emitted: 1, ..Ledger::default() };
        let flow =
            group_flow(&group, &[Watermarks { at: AT, low: 0, high: 3 }], &[Position { at: AT, next_offset: Some(3), ledger }]);
        assert!(!flow.balanced);
        assert_eq!(flow.ledger.consumed, 3);
    }
}
