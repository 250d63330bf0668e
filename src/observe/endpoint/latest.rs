//! The newest dead letters and records, made fit to be looked at. Pure: messages in, views out.

use serde::Serialize;

use super::answers::grouped;
use crate::mailbox::Message;
use crate::mailbox::dead_letters::{Letters, State};
use crate::records::{DeadLetter, Row, Transformed, parse};

/// Bytes of a payload that are shown: enough to see what is wrong, too few to weigh the page down.
const PAYLOAD_SHOWN: usize = 2048;

/// A dead letter to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterView {
    /// `stage/topic/partition/offset`.
    pub id: String,
    /// The stage that gave up.
    pub stage: String,
    /// Why, from a closed set.
    pub reason: String,
    /// Why, for people.
    pub detail: String,
    /// Where it came from: topic, partition, offset.
    pub origin: String,
    /// Its key there.
    pub key: String,
    /// When it was given up, microseconds since the Unix epoch.
    pub at: i64,
    /// When it was appended where it came from, microseconds since the Unix epoch.
    pub origin_at: i64,
    /// The first bytes of its payload, as text.
    pub payload: String,
    /// Bytes of the whole payload.
    pub payload_bytes: usize,
    /// Not all of the payload is shown.
    pub truncated: bool,
}

/// What a message of the dead-letter topic tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetterNews {
    /// A message was given up.
    GivenUp(Box<DeadLetterView>),
    /// The letter of this id was retried or put away: nobody has to look at it any more.
    Settled(String),
}

/// What a message of the dead-letter topic tells; `None` if it is no dead letter.
pub fn letter_news(message: &Message) -> Option<LetterNews> {
    let mut one = Letters::default();
    one.add(message);
    let (id, entry) = one.entries.pop_first()?;
    if entry.state() != State::Pending {
        return Some(LetterNews::Settled(id));
    }
    Some(LetterNews::GivenUp(Box::new(dead_letter_view(entry.letter, message.appended_at))))
}

fn dead_letter_view(letter: DeadLetter, given_up_at: i64) -> DeadLetterView {
    let payload = letter.payload().unwrap_or_default();
    let shown = payload.get(..PAYLOAD_SHOWN).unwrap_or(&payload);
    DeadLetterView {
        id: letter.id(),
        reason: letter.reason.kind,
        detail: letter.reason.detail,
        origin: format!("{}/{}/{}", letter.origin_topic, letter.origin_partition, letter.origin_offset),
        stage: letter.stage,
        key: letter.origin_key,
        at: given_up_at,
        origin_at: letter.origin_time,
        payload: String::from_utf8_lossy(shown).into_owned(),
        payload_bytes: payload.len(),
        truncated: shown.len() < payload.len(),
    }
}

/// A transformed record to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordView {
    /// `partition/offset` in `music_transformed`.
    pub id: String,
    /// `song`, `album` or `artist`, and from which source.
    pub kind: String,
    /// Spotify id of the entity.
    pub entity_id: String,
    /// Its name, or its id where no record told one.
    pub name: String,
    /// What it says, in a few words.
    pub says: String,
    /// When the source answered, microseconds since the Unix epoch.
    pub observed_at: i64,
    /// When it was appended, microseconds since the Unix epoch.
    pub at: i64,
}

/// The view of a message of the transformed topic; `None` if it is no record.
pub fn record_view(message: &Message) -> Option<RecordView> {
    let envelope = parse::<Transformed>(&message.payload).ok()?.record;
    let (kind, name, says) = told(&envelope.body.row);
    Some(RecordView {
        id: format!("{}/{}", message.at.partition, message.offset),
        kind: kind.to_owned(),
        entity_id: envelope.body.row.entity_id().to_owned(),
        name,
        says,
        observed_at: envelope.observed_at,
        at: message.appended_at,
    })
}

fn told(row: &Row) -> (&'static str, String, String) {
    match row {
        Row::Song(song) => (
            "song",
            song.song_name.clone(),
            some(&[("popularity", number(song.popularity)), ("released", song.release_date.clone())]),
        ),
        Row::Album(album) => (
            "album",
            album.album_title.clone(),
            some(&[("type", album.album_type.clone()), ("tracks", number(album.album_total_tracks))]),
        ),
        Row::ArtistName(artist) => ("artist", artist.artist_name.clone(), "named on a track".to_owned()),
        Row::ArtistProfile(artist) => {
            let genres = artist.genres.as_ref().map(|genres| genres.iter().take(3).cloned().collect::<Vec<_>>().join(", "));
            (
                "artist profile",
                artist.artist_name.clone(),
                some(&[("followers", number(artist.artist_followers)), ("genres", genres)]),
            )
        }
        Row::ArtistListeners(artist) => (
            "artist listeners",
            artist.artist_id.clone(),
            some(&[("listeners", number(artist.total_listeners)), ("plays", number(artist.total_playcount))]),
        ),
        Row::SongListeners(song) => {
            ("song listeners", song.song_id.clone(), some(&[("listeners", number(song.song_listeners))]))
        }
        Row::SongAudio(song) => {
            let key =
                song.features.key.as_ref().map(|key| format!("{key} {}", song.features.mode.as_deref().unwrap_or_default()));
            let bpm = song.features.bpm.map(|bpm| format!("{bpm:.0} BPM"));
            let told = [bpm, key, Some(format!("clip from {}", song.provider))];
            ("song audio", song.song_id.clone(), told.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        Row::Miss(miss) => ("miss", miss.entity_id.clone(), format!("{}: {}", miss.source, miss.reason)),
    }
}

fn number(value: Option<impl Into<i64>>) -> Option<String> {
    // Counts are never negative: validation saw to it.
    value.map(|value| grouped(u64::try_from(value.into()).unwrap_or(0)))
}

/// The figures that are there.
fn some(figures: &[(&str, Option<String>)]) -> String {
    let told: Vec<String> =
        figures.iter().filter_map(|(what, value)| value.as_ref().map(|value| format!("{what} {value}"))).collect();
    told.join(", ")
}

/// Names told by the records read so far, for records that only know an id.
#[derive(Debug, Default)]
pub struct Names(std::collections::HashMap<String, String>);

/// Most names remembered: about a megabyte.
const NAMES_KEPT: usize = 10_000;

impl Names {
    /// Learns the record's name, or gives it the one known for its id.
    pub fn settle(&mut self, view: &mut RecordView) {
        if view.name == view.entity_id {
            if let Some(name) = self.0.get(&view.entity_id) {
                view.name.clone_from(name);
            }
            return;
        }
        if self.0.len() >= NAMES_KEPT {
            // Starting over is simple, and what flows by now is learnt again at once.
            self.0.clear();
        }
        self.0.insert(view.entity_id.clone(), view.name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::TopicPartition;
    use crate::records::{ArtistNameRow, DeadReason, Envelope, Record, Topic};

    fn message<T: Record>(body: T) -> Message {
        let envelope = Envelope::new(5, "run", body);
        Message {
            at: TopicPartition { topic: T::TOPIC, partition: 2 },
            offset: 7,
            key: String::new(),
            payload: envelope.to_json().expect("encodes"),
            appended_at: 6,
            version: None,
        }
    }

    fn letter(payload: &[u8]) -> DeadLetter {
        DeadLetter {
            stage: "audio".into(),
            reason: DeadReason::new("undecodable", "no JSON"),
            origin_topic: Topic::MusicTopTracks.default_name().into(),
            origin_partition: 1,
            origin_offset: 3,
            origin_time: 4,
            origin_key: "<b>key</b>".into(),
            payload_base64: DeadLetter::encode_payload(payload),
        }
    }

    fn given_up(letter: &DeadLetter) -> DeadLetterView {
        match letter_news(&message(letter.clone())) {
            Some(LetterNews::GivenUp(view)) => *view,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_letter_with_a_mark_is_settled() {
        let letter = letter(b"x");
        let mut marked = message(letter.clone());
        let mut body: serde_json::Value = serde_json::from_slice(&marked.payload).expect("JSON");
        body["mark"] = serde_json::json!({"state": "retried", "at": 9});
        marked.payload = body.to_string().into_bytes();
        assert_eq!(letter_news(&marked), Some(LetterNews::Settled(letter.id())));
    }

    #[test]
    fn a_long_payload_is_cut_and_says_so() {
        let view = given_up(&letter(&vec![b'x'; 5000]));
        assert_eq!((view.payload.len(), view.payload_bytes, view.truncated), (PAYLOAD_SHOWN, 5000, true));
        let view = given_up(&letter(&[0xff, b'a']));
        assert_eq!((view.payload.as_str(), view.truncated), ("\u{fffd}a", false));
        assert_eq!(view.origin, "music_top_tracks/1/3");
    }

    #[test]
    fn foreign_bytes_are_no_view() {
        let mut foreign = message(letter(b""));
        foreign.payload = b"not ours".to_vec();
        assert_eq!(letter_news(&foreign), None);
        assert_eq!(record_view(&foreign), None);
    }

    #[test]
    fn an_id_gets_the_name_told_before() {
        let row = ArtistNameRow { artist_id: "a1".into(), artist_name: "Nina".into() };
        let transformed = Transformed { revision: 1, artist_id: "a1".into(), row: Row::ArtistName(row) };
        let mut names = Names::default();
        let mut told = record_view(&message(transformed)).expect("a record");
        names.settle(&mut told);
        let mut later = RecordView { name: "a1".into(), ..told };
        names.settle(&mut later);
        assert_eq!(later.name, "Nina");
    }
}
