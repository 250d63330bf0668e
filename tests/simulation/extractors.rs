//! Stand-ins for the four extractors: the real stages' shape without their clients.
//!
//! Tracks answers page by page and sends itself the rest of a search; the others ask about each track unless the topic
//! already holds an answer that is not older than the track.

use futures::future::LocalBoxFuture;
use reprise::mailbox::{Message, Outgoing, TopicPartition};
use reprise::records::{DeadReason, Envelope, Record, SearchCursor, SearchRequest, TopTrack, Topic, Version, parse};
use reprise::service::StageName;
use reprise::stage::{Ending, Processed, Processor, StageError, StepContext, Subscription};

use crate::catalogue::World;

const BATCH: usize = 6;
const PAGE: u32 = 2;

/// See the module.
pub struct Extractor {
    stage: StageName,
    world: World,
}

impl Extractor {
    /// The stand-in for `stage`.
    pub fn new(stage: StageName, world: &World) -> Extractor {
        Extractor { stage, world: World::clone(world) }
    }

    async fn work(&mut self, batch: &[Message], context: &StepContext<'_>) -> Result<Processed, StageError> {
        let mut endings = Vec::with_capacity(batch.len());
        let mut answered: Vec<(TopicPartition, String, i64)> = Vec::new();
        for message in batch {
            endings.push(if self.stage == StageName::Tracks {
                self.search(message)
            } else {
                self.look_up(message, &mut answered, context).await?
            });
        }
        Ok(Processed::all(endings))
    }

    fn search(&mut self, message: &Message) -> Ending {
        let request = match parse::<SearchRequest>(&message.payload) {
            Ok(parsed) => parsed.record,
            Err(error) => return Ending::Dead(DeadReason::from(&error)),
        };
        let mut cursor = request.body.cursor.clone().unwrap_or(SearchCursor { offset: 0, seen: Vec::new() });
        let mut world = self.world.borrow_mut();
        let mut emitted = Vec::new();
        for song in cursor.offset..(cursor.offset + PAGE).min(request.body.max_tracks) {
            let song = song as usize % world.songs();
            cursor.seen.push(format!("song{song}"));
            emitted.push(crate::catalogue::placed(&world.track(song)));
        }
        cursor.offset += PAGE;
        if cursor.offset < request.body.max_tracks {
            let rest = SearchRequest { cursor: Some(cursor), ..request.body };
            let rest = Envelope::new(request.observed_at, "simulation", rest);
            emitted.push(Outgoing::record(&rest, message.at.partition, 0).expect("our records can be written"));
        }
        Ending::Emitted(emitted)
    }

    async fn look_up(
        &mut self,
        message: &Message,
        answered: &mut Vec<(TopicPartition, String, i64)>,
        context: &StepContext<'_>,
    ) -> Result<Ending, StageError> {
        let track = match parse::<TopTrack>(&message.payload) {
            Ok(parsed) => parsed.record,
            Err(error) => return Ok(Ending::Dead(DeadReason::from(&error))),
        };
        let at = TopicPartition { topic: self.answers_on(), partition: message.at.partition };
        let artist_id = track.body.primary_artist().map_or_else(String::new, |artist| artist.id.clone());
        let mut emitted = Vec::new();
        for question in self.questions(&track.body.id, &artist_id) {
            let held = context.port.heads(at, vec![question.clone()]).await?;
            let held = held.first().copied().flatten().map(|version: Version| version.observed_at);
            let told = answered.iter().rev().find(|(place, key, _)| (*place, key) == (at, &question)).map(|answer| answer.2);
            if held.max(told).is_some_and(|observed_at| observed_at >= track.observed_at) {
                continue;
            }
            let (record, observed_at) = self.ask(&question, &track, &artist_id, at.partition);
            answered.push((at, question, observed_at));
            emitted.push(record);
        }
        Ok(if emitted.is_empty() { Ending::Superseded("fresh") } else { Ending::Emitted(emitted) })
    }

    fn answers_on(&self) -> Topic {
        match self.stage {
            StageName::Artists => Topic::ArtistGenres,
            StageName::Listeners => Topic::LastfmArtist,
            _ => Topic::MusicAudioFeatures,
        }
    }

    /// Keys of the records that a track needs.
    fn questions(&self, song_id: &str, artist_id: &str) -> Vec<String> {
        match self.stage {
            StageName::Artists => vec![artist_id.to_owned()],
            StageName::Listeners => vec![format!("artist/{artist_id}"), format!("song/{song_id}")],
            _ => vec![song_id.to_owned()],
        }
    }

    fn ask(&self, question: &str, track: &Envelope<TopTrack>, artist_id: &str, partition: i32) -> (Outgoing, i64) {
        fn answer<T: Record>(envelope: &Envelope<T>, partition: i32) -> (Outgoing, i64) {
            (Outgoing::record(envelope, partition, 0).expect("our records can be written"), envelope.observed_at)
        }
        let (mut world, since) = (self.world.borrow_mut(), track.observed_at);
        match self.stage {
            StageName::Artists => answer(&world.profile(artist_id, since), partition),
            StageName::Listeners if question.starts_with("artist/") => {
                answer(&world.artist_figures(artist_id, since), partition)
            }
            StageName::Listeners => answer(&world.song_figures(artist_id, &track.body.id, since), partition),
            _ => answer(&world.audio(artist_id, &track.body.id, since), partition),
        }
    }
}

impl Processor for Extractor {
    fn subscription(&self) -> Subscription {
        let heads = if self.stage == StageName::Tracks { Vec::new() } else { vec![self.answers_on()] };
        Subscription { topics: self.stage.topics(), heads, batch_max: BATCH, transactional: true }
    }

    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(self.work(batch, context))
    }
}
