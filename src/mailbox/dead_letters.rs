//! The operator's view of `music_dead_letters`: what is there, what was retried, what was put away.
//!
//! **Guarantee.** A dead letter is retried once, whoever asks and how often: the record goes back to its topic and the mark on
//! the letter is set in one transaction, and of all processes that retry only the newest publishes.
//!
//! A mark is the same letter appended again under the same key, with a `mark` beside its fields: durable where the letters are
//! and for as long as they are, seen by every process, and harmless to readers that know nothing of marks, because letters are
//! distinct by their id anyway. The last mark of an id counts. The same letter given up once more is no news: its mark stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Mailbox, MailboxError, Message, Outgoing, Session, SessionSpec, TopicPartition, Watermarks, check_record};
use crate::records::{
    ArtistProfile, AudioFeatures, DeadLetter, Envelope, ListenerFigures, Record, RecordError, SearchRequest, TopTrack, Topic,
    Transformed, Validate, Version, now_micros, parse, partition_of,
};

/// Letters read at a time.
const READ: usize = 1_000;
/// Most bytes of letters in one transaction.
const BATCH_BYTES: usize = 4_000_000;

/// What was done about a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What.
    pub state: State,
    /// When it was first done: microseconds since the Unix epoch.
    pub at: i64,
}

/// See [`Mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing: never stands in a mark.
    Pending,
    /// The record was appended to its topic again.
    Retried,
    /// Put away: not listed any more.
    Purged,
}

/// A letter as it stands in the topic: with or without a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Marked {
    #[serde(flatten)]
    letter: DeadLetter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Mark>,
}

impl Validate for Marked {
    fn validate(&mut self) -> Result<Vec<&'static str>, RecordError> {
        self.letter.validate()
    }
}

impl Record for Marked {
    const TOPIC: Topic = Topic::MusicDeadLetters;

    fn key(&self) -> String {
        self.letter.id()
    }

    fn partition_key(&self) -> &str {
        self.letter.partition_key()
    }
}

/// A dead letter and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The letter.
    pub letter: DeadLetter,
    /// When the stage gave up: microseconds since the Unix epoch.
    pub given_up_at: i64,
    /// What was done.
    pub mark: Option<Mark>,
}

impl Entry {
    /// What was done about it.
    pub fn state(&self) -> State {
        self.mark.as_ref().map_or(State::Pending, |mark| mark.state)
    }
}

/// All letters, distinct by id.
#[derive(Debug, Clone, Default)]
pub struct Letters {
    /// By id.
    pub entries: BTreeMap<String, Entry>,
    /// Records of the topic that are no dead letters.
    pub unreadable: u64,
}

impl Letters {
    /// Adds what stands next in its partition.
    pub fn add(&mut self, message: &Message) {
        let Ok(parsed) = parse::<Marked>(&message.payload) else {
            self.unreadable += 1;
            return;
        };
        let Envelope { observed_at, body: Marked { letter, mark }, .. } = parsed.record;
        let entry = self.entries.entry(letter.id()).or_insert(Entry { letter, given_up_at: observed_at, mark: None });
        if mark.is_some() {
            entry.mark = mark;
        }
    }

    /// Reads everything that is kept.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn read(mailbox: &dyn Mailbox) -> Result<Letters, MailboxError> {
        Letters::between(mailbox, &mailbox.watermarks(Topic::MusicDeadLetters)?)
    }

    fn between(mailbox: &dyn Mailbox, every: &[Watermarks]) -> Result<Letters, MailboxError> {
        let mut letters = Letters::default();
        for ends in every {
            let mut next = ends.low;
            while next < ends.high {
                let messages = mailbox.read(ends.at, next, READ)?;
                let Some(last) = messages.last() else { break };
                next = last.offset + 1;
                messages.iter().for_each(|message| letters.add(message));
            }
        }
        Ok(letters)
    }

    /// Newest first.
    pub fn newest_first(self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.entries.into_values().collect();
        entries.sort_by(|one, other| {
            other.given_up_at.cmp(&one.given_up_at).then_with(|| one.letter.id().cmp(&other.letter.id()))
        });
        entries
    }
}

/// What became of a letter that was to be retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Retried {
    /// The record stands at the end of its topic again.
    Appended,
    /// A newer record about the same thing was transformed since: appending this one would put it over the newer one.
    Superseded,
    /// It cannot go back, and was left as it is.
    Impossible {
        /// Why.
        why: String,
    },
}

/// The right to mark letters: of all holders only the newest can.
pub struct Desk {
    mailbox: Arc<dyn Mailbox>,
    session: Box<dyn Session>,
    run_id: String,
    partitions: i32,
    /// As they stood when the desk was taken: nobody else has changed them since, or this desk publishes nothing.
    pub letters: Letters,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

impl Desk {
    /// Takes the desk from whoever has it, then reads the letters.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn take(mailbox: &Arc<dyn Mailbox>, run_id: &str) -> Result<Desk, MailboxError> {
        let session = mailbox.open(&SessionSpec {
            group: "reprise.dead-letters".to_owned(),
            topics: Vec::new(),
            heads: Vec::new(),
            // One name for all: that is what fences the one before.
            instance: "operator".to_owned(),
            transactional: true,
            retains: true,
        })?;
        let partitions = mailbox.partitions()?;
        // Behind a transaction that a stage has left open, what the holder before has marked is not seen yet.
        let settled = |partition| mailbox.settled(TopicPartition { topic: Topic::MusicDeadLetters, partition });
        let every = (0..partitions).map(settled).collect::<Result<Vec<Watermarks>, MailboxError>>()?;
        let letters = Letters::between(&**mailbox, &every)?;
        Ok(Desk { mailbox: Arc::clone(mailbox), session, run_id: run_id.to_owned(), partitions, letters })
    }

    /// Appends the original records of these letters to their topics again, and marks the letters.
    ///
    /// # Errors
    /// See [`MailboxError`]. What was published before the error stays, and is marked.
    pub fn retry(&mut self, ids: &BTreeSet<String>) -> Result<Vec<(String, Retried)>, MailboxError> {
        let mut outcomes = Vec::with_capacity(ids.len());
        let mut records = Vec::new();
        let mut gone_back = BTreeSet::new();
        for entry in self.chosen(ids) {
            // Between the look whether something newer is there and the append nothing else may take its time.
            let ordered = entry.letter.origin_topic == Topic::MusicTransformed.default_name();
            if ordered {
                self.publish(&mut records, 0)?;
            }
            let outcome = match self.retried(&entry)? {
                Ok((record, mark)) => {
                    let outcome = if record.is_some() { Retried::Appended } else { Retried::Superseded };
                    // Two stages may have given up the same message: one record is news for both.
                    records.extend(record.filter(|record| gone_back.insert((record.at, entry.letter.origin_offset))));
                    records.push(mark);
                    outcome
                }
                Err(why) => Retried::Impossible { why },
            };
            outcomes.push((entry.letter.id(), outcome));
            self.publish(&mut records, if ordered { 0 } else { BATCH_BYTES })?;
        }
        self.publish(&mut records, 0)?;
        Ok(outcomes)
    }

    /// Puts these letters away.
    ///
    /// # Errors
    /// See [`MailboxError`]. What was published before the error stays.
    pub fn purge(&mut self, ids: &BTreeSet<String>) -> Result<(), MailboxError> {
        let mut records = Vec::new();
        for entry in self.chosen(ids) {
            records.push(self.mark(&entry, State::Purged)?);
            self.publish(&mut records, BATCH_BYTES)?;
        }
        self.publish(&mut records, 0)
    }

    /// In the order in which their records first stood in their topics.
    fn chosen(&self, ids: &BTreeSet<String>) -> Vec<Entry> {
        let mut chosen: Vec<Entry> = ids.iter().filter_map(|id| self.letters.entries.get(id).cloned()).collect();
        let place = |entry: &Entry| {
            let letter = &entry.letter;
            (letter.origin_topic.clone(), letter.origin_partition, letter.origin_offset, letter.stage.clone())
        };
        chosen.sort_by_key(place);
        chosen
    }

    fn publish(&mut self, records: &mut Vec<Outgoing>, from_bytes: usize) -> Result<(), MailboxError> {
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        if !records.is_empty() && bytes >= from_bytes {
            self.session.publish(records, &[])?;
            records.clear();
        }
        Ok(())
    }

    fn mark(&self, entry: &Entry, state: State) -> Result<Outgoing, MailboxError> {
        // The first time counts: it is what a second attempt is told.
        let known = entry.mark.as_ref().filter(|mark| mark.state == state);
        let mark = Mark { state, at: known.map_or_else(now_micros, |mark| mark.at) };
        let partition = partition_of(&entry.letter.id(), self.partitions);
        let marked = Marked { letter: entry.letter.clone(), mark: Some(mark) };
        let envelope = Envelope::new(entry.given_up_at, &self.run_id, marked);
        Outgoing::record(&envelope, partition, 0).map_err(|error| MailboxError::Invalid(error.to_string()))
    }

    /// What a retry of this letter appends: the original record, if it must go, and the mark; or why it cannot. What no topic
    /// takes is found out here: in a transaction it would take the other letters down with it.
    fn retried(&self, entry: &Entry) -> Result<Result<(Option<Outgoing>, Outgoing), String>, MailboxError> {
        let record = match self.back(&entry.letter)? {
            Ok(record) => record,
            Err(why) => return Ok(Err(why)),
        };
        let both = self.mark(entry, State::Retried).map(|mark| (record, mark));
        let checked = both.and_then(|(record, mark)| {
            record.iter().chain([&mark]).try_for_each(check_record)?;
            Ok((record, mark))
        });
        Ok(checked.map_err(|error| error.to_string()))
    }

    /// The original record on its way back; `None` when it must not go, or why it cannot.
    fn back(&self, letter: &DeadLetter) -> Result<Result<Option<Outgoing>, String>, MailboxError> {
        let Some(topic) = Topic::from_default_name(&letter.origin_topic) else {
            return Ok(Err(format!("this build knows no topic {}", letter.origin_topic)));
        };
        if !(0..self.partitions).contains(&letter.origin_partition) {
            let last = self.partitions - 1;
            return Ok(Err(format!("it comes from partition {}; there are 0 to {last}", letter.origin_partition)));
        }
        let payload = match letter.payload() {
            Ok(payload) => payload,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let at = TopicPartition { topic, partition: letter.origin_partition };
        let version = version_of(topic, &payload);
        if topic == Topic::MusicTransformed {
            let Some(version) = version else {
                // Its place in the order of its key is not known: appended blindly it could hide a newer record for good.
                return Ok(Err("this build cannot read it either".to_owned()));
            };
            if self.newest_since(at, letter)? > Some(version) {
                return Ok(Ok(None));
            }
        }
        Ok(Ok(Some(Outgoing { at, key: letter.origin_key.clone(), payload, version })))
    }

    /// The newest version under the letter's key that was appended after it.
    fn newest_since(&self, at: TopicPartition, letter: &DeadLetter) -> Result<Option<Version>, MailboxError> {
        let (mut next, mut newest) = (letter.origin_offset, None);
        loop {
            // Where it ends now: more may have come while it was read.
            let ends = self.mailbox.settled(at)?;
            next = next.max(ends.low);
            if next >= ends.high {
                return Ok(newest);
            }
            while next < ends.high {
                let messages = self.mailbox.read(at, next, READ)?;
                next = messages.last().map_or(ends.high, |last| last.offset + 1);
                let same = messages.iter().filter(|message| message.key == letter.origin_key);
                newest = same.map(|message| message.version).max().flatten().max(newest);
            }
        }
    }
}

/// The version that the writer of a record gave it; `None` when it cannot be read.
fn version_of(topic: Topic, payload: &[u8]) -> Option<Version> {
    fn raw<T: Record>(payload: &[u8]) -> Option<Version> {
        parse::<T>(payload).ok()?.record.version(0).ok()
    }
    match topic {
        Topic::MusicQueries => raw::<SearchRequest>(payload),
        Topic::MusicTopTracks => raw::<TopTrack>(payload),
        Topic::ArtistGenres => raw::<ArtistProfile>(payload),
        Topic::LastfmArtist => raw::<ListenerFigures>(payload),
        Topic::MusicAudioFeatures => raw::<AudioFeatures>(payload),
        Topic::MusicTransformed => {
            let envelope = parse::<Transformed>(payload).ok()?.record;
            envelope.version(envelope.body.revision).ok()
        }
        Topic::MusicDeadLetters => None,
    }
}
