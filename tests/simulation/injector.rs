//! The outside world: new searches, raw records out of order, repetitions, and everything that no stage can use.

use std::sync::Arc;

use reprise::mailbox::{Mailbox, MailboxError, Message, Outgoing, Session, SessionSpec, TopicPartition};
use reprise::records::{Envelope, Row, SearchRequest, TRANSFORM_REVISION, Topic, Transformed};

use crate::catalogue::{PARTITIONS, World, placed};
use crate::chance::Chance;
use crate::store::refused_song;

/// Topics that extractors and transformer read.
pub const RAW: [Topic; 4] = [Topic::MusicTopTracks, Topic::ArtistGenres, Topic::LastfmArtist, Topic::MusicAudioFeatures];

const STAGES: [&str; 5] = ["artists", "listeners", "audio", "transform", "load"];

/// Appends without being a stage.
pub struct Injector {
    session: Box<dyn Session>,
    mailbox: Arc<dyn Mailbox>,
    world: World,
    chance: Chance,
    count: usize,
}

impl Injector {
    /// The injector of `seed`.
    pub fn new(mailbox: &Arc<dyn Mailbox>, world: &World, seed: u64) -> Result<Injector, MailboxError> {
        let spec = SessionSpec {
            group: "simulation.injector".to_owned(),
            topics: Vec::new(),
            heads: Vec::new(),
            instance: "simulation".to_owned(),
            transactional: false,
            retains: true,
        };
        let session = mailbox.open(&spec)?;
        let (mailbox, world) = (Arc::clone(mailbox), World::clone(world));
        Ok(Injector { session, mailbox, world, chance: Chance::new(seed, 3), count: 0 })
    }

    /// A new search for so many tracks.
    pub fn search(&mut self, max_tracks: u32) -> Result<(), MailboxError> {
        self.count += 1;
        let request_id = format!("search{}", self.count);
        let body = SearchRequest { request_id, q: "q".to_owned(), market: None, max_tracks, cursor: None };
        self.append(vec![placed(&Envelope::new(1, "simulation", body))])
    }

    /// Something happens outside. Answers what.
    pub fn disturb(&mut self) -> Result<&'static str, MailboxError> {
        let kind = self.chance.below(100);
        match kind {
            0..40 => self.say_something().map(|()| "a raw record"),
            40..70 => self.repeat().map(|()| "a repetition"),
            70..80 => self.search(2).map(|()| "a search"),
            80..90 => self.spoil().map(|()| "a record that cannot be read"),
            90..94 => self.refuse().map(|()| "a row that the database refuses"),
            _ => self.poison().map(|()| "poison"),
        }
    }

    fn append(&mut self, records: Vec<Outgoing>) -> Result<(), MailboxError> {
        let mut world = self.world.borrow_mut();
        records.iter().for_each(|record| world.count_injected(record.at.topic));
        self.session.publish(&records, &[])
    }

    fn say_something(&mut self) -> Result<(), MailboxError> {
        let mut record = self.world.borrow_mut().anything();
        // Now and then on a partition that is not its own: the database must not mind.
        if self.chance.percent(10) {
            record.at.partition = self.partition();
        }
        self.append(vec![record])
    }

    fn partition(&mut self) -> i32 {
        i32::try_from(self.chance.below(PARTITIONS as usize)).unwrap_or(0)
    }

    /// Appends again what was appended before: the beginning of a topic, or something in the middle of it.
    fn repeat(&mut self) -> Result<(), MailboxError> {
        let topic = *self.chance.pick(&RAW);
        let at = TopicPartition { topic, partition: self.partition() };
        let high = self.mailbox.watermarks(topic)?.into_iter().find(|ends| ends.at == at).map_or(0, |ends| ends.high);
        let from = if self.chance.percent(50) { 0 } else { self.chance.below(usize::try_from(high).unwrap_or(0)) };
        let messages = self.mailbox.read(at, i64::try_from(from).unwrap_or(0), 1 + self.chance.below(4))?;
        self.append(messages.into_iter().map(again).collect())
    }

    /// A record that its readers cannot use, for one of four reasons.
    fn spoil(&mut self) -> Result<(), MailboxError> {
        self.count += 1;
        let topics = [Topic::MusicQueries, Topic::MusicTransformed].into_iter().chain(RAW).collect::<Vec<_>>();
        let at = TopicPartition { topic: *self.chance.pick(&topics), partition: self.partition() };
        let payload: &[u8] = match self.chance.below(4) {
            0 => b"\xff\xfe not even text",
            1 => b"{\"schema_version\":1,\"observed_at\":5,\"run_id\":\"x\"",
            2 => b"{\"schema_version\":1,\"observed_at\":5,\"run_id\":\"x\"}",
            _ => b"{\"schema_version\":99,\"observed_at\":5,\"run_id\":\"x\",\"id\":\"\"}",
        };
        let key = format!("bad-{}", self.count);
        self.append(vec![Outgoing { at, key, payload: payload.to_vec(), version: None }])
    }

    /// A row that passes every check but those of the database.
    fn refuse(&mut self) -> Result<(), MailboxError> {
        self.count += 1;
        let row = Row::Song(refused_song(self.count));
        let artist_id = format!("refused-artist-{}", self.count);
        let body = Transformed { revision: TRANSFORM_REVISION, artist_id, row };
        let envelope = Envelope::new(5, "simulation", body);
        let record = Outgoing::record(&envelope, self.partition(), TRANSFORM_REVISION).expect("our records can be written");
        self.append(vec![record])
    }

    /// A track that kills one of the stages whenever it meets it (or a row made of it).
    fn poison(&mut self) -> Result<(), MailboxError> {
        self.count += 1;
        let id = format!("poison-{}-{}", self.chance.pick(&STAGES), self.count);
        let song = self.chance.below(4);
        let envelope = self.world.borrow_mut().track_named(&id, song);
        self.append(vec![placed(&envelope)])
    }

    /// Every raw record once more, in another order across partitions.
    pub fn repeat_everything(&mut self) -> Result<(), MailboxError> {
        for topic in RAW {
            let mut logs = self.mailbox.watermarks(topic)?;
            if self.chance.percent(50) {
                logs.reverse();
            }
            for ends in logs {
                let messages = self.mailbox.read(ends.at, ends.low, usize::MAX >> 1)?;
                let good = messages.into_iter().filter(|message| !message.key.starts_with("bad-"));
                self.append(good.filter(|message| !message.key.contains("poison-")).map(again).collect())?;
            }
        }
        Ok(())
    }
}

fn again(message: Message) -> Outgoing {
    Outgoing { at: message.at, key: message.key, payload: message.payload, version: message.version }
}
