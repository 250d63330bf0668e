//! The artists stage: the profile of each track's primary artist, asked for once.
//!
//! **Guarantee.** An artist whose profile was appended to `artist_genres` within `refresh_after` is not asked for again, and
//! within a batch each artist is asked for once, however many of its tracks are there. That Spotify does not know an artist is
//! appended too, so that a restart does not ask again.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::future::LocalBoxFuture;

use crate::mailbox::{Message, Outgoing, TopicPartition};
use crate::records::{ArtistProfile, DeadReason, Envelope, TopTrack, Topic, now_micros, parse};
use crate::stage::{Ending, Processed, Processor, StageError, StepContext, Subscription, Wait};
use crate::store::{KnownKey, KnownSource};

use super::clients::http::ApiError;
use super::clients::spotify::{MAX_BATCH, Spotify};
use super::freshness::{Freshness, Question};

/// Single look-ups done before the batch's finished part is published: what is published is not asked for again after a
/// `kill -9`. More: fewer transactions; fewer: less to ask for again.
const LOOKUPS_PER_STEP: usize = 10;

/// See the module.
#[derive(Debug)]
pub struct Artists {
    spotify: Spotify,
    freshness: Freshness,
}

/// What a message asks for.
#[derive(Debug, Clone, PartialEq)]
enum Need {
    /// It cannot be read.
    Dead(DeadReason),
    /// The profile of this artist, whom a track calls so.
    Artist { id: String, name: String },
}

/// What was found out about an artist.
#[derive(Debug, Clone, PartialEq)]
enum Finding {
    Fresh,
    Unknown { observed_at: i64 },
    Refused(DeadReason),
    Profile { profile: ArtistProfile, observed_at: i64 },
}

impl Artists {
    /// The stage on this client.
    pub fn new(spotify: Spotify, freshness: Freshness) -> Artists {
        Artists { spotify, freshness }
    }

    async fn work(&mut self, batch: &[Message], context: &StepContext<'_>) -> Result<Processed, StageError> {
        let needs: Vec<Need> = batch.iter().map(need).collect();
        let mut findings = self.known(batch, &needs, context).await?;
        let wanted = distinct_artists(&needs).into_iter().filter(|id| !findings.contains_key(id)).collect::<Vec<_>>();
        let wait = match self.look_up(&wanted, &mut findings, context).await {
            Ok(wait) => wait,
            Err(StageError::Wait(wait)) => Some(wait),
            Err(error) => return Err(error),
        };
        let endings = finish(batch, &needs, findings, context.run_id);
        let complete = endings.len() == batch.len();
        Ok(Processed { endings, wait: wait.filter(|_| !complete) })
    }

    /// What needs no call, partition by partition.
    async fn known(
        &mut self,
        batch: &[Message],
        needs: &[Need],
        context: &StepContext<'_>,
    ) -> Result<HashMap<String, Finding>, StageError> {
        let mut findings = HashMap::new();
        let mut asked: BTreeMap<i32, Vec<Question>> = BTreeMap::new();
        let mut seen = HashSet::new();
        for (message, need) in batch.iter().zip(needs) {
            let Need::Artist { id, .. } = need else { continue };
            if !seen.insert(id) {
                continue;
            }
            let known = KnownKey { source: KnownSource::ArtistProfile, id: id.clone() };
            asked.entry(message.at.partition).or_default().push(Question::new(id.clone(), known));
        }
        for (partition, questions) in asked {
            let at = TopicPartition { topic: Topic::ArtistGenres, partition };
            let fresh = self.freshness.fresh(context, at, &questions).await?;
            let answered = questions.into_iter().zip(fresh).filter(|(_, fresh)| *fresh);
            findings.extend(answered.map(|(question, _)| (question.known.id, Finding::Fresh)));
        }
        Ok(findings)
    }

    /// Asks Spotify, in order, at once where the account may. Findings made before a wait are kept.
    async fn look_up(
        &mut self,
        wanted: &[String],
        findings: &mut HashMap<String, Finding>,
        context: &StepContext<'_>,
    ) -> Result<Option<Wait>, StageError> {
        if wanted.len() > 1 && self.spotify.allows_batches() {
            for chunk in wanted.chunks(MAX_BATCH) {
                self.look_up_together(chunk, findings, context).await?;
            }
        }
        let single: Vec<&String> = wanted.iter().filter(|id| !findings.contains_key(*id)).collect();
        for id in single.iter().take(LOOKUPS_PER_STEP) {
            let finding = match self.spotify.artist(id, context.pulse).await {
                Ok(profile) => Finding::Profile { profile, observed_at: now_micros() },
                Err(ApiError::Missing { .. }) => Finding::Unknown { observed_at: now_micros() },
                Err(ApiError::Rejected(detail)) => Finding::Refused(DeadReason::new("rejected", detail)),
                Err(error) => return Err(error.into()),
            };
            findings.insert((*id).clone(), finding);
            context.pulse.alive();
        }
        let rest = single.len() > LOOKUPS_PER_STEP;
        Ok(rest.then(|| Wait {
            reason: "spotify: publishing the profiles found so far".to_owned(),
            pause: std::time::Duration::ZERO,
        }))
    }

    async fn look_up_together(
        &mut self,
        ids: &[String],
        findings: &mut HashMap<String, Finding>,
        context: &StepContext<'_>,
    ) -> Result<(), StageError> {
        // A refused batch says nothing about its artists: they are looked up one by one.
        let answered = match self.spotify.artists(ids, context.pulse).await {
            Ok(answered) => answered.unwrap_or_default(),
            Err(ApiError::Rejected(_) | ApiError::Missing { .. }) => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        let observed_at = now_micros();
        for (id, profile) in answered {
            let finding = match profile {
                Some(profile) => Finding::Profile { profile, observed_at },
                None => Finding::Unknown { observed_at },
            };
            findings.insert(id, finding);
        }
        context.pulse.alive();
        Ok(())
    }
}

impl Processor for Artists {
    fn subscription(&self) -> Subscription {
        Subscription {
            topics: vec![Topic::MusicTopTracks],
            heads: vec![Topic::ArtistGenres],
            batch_max: MAX_BATCH,
            transactional: true,
        }
    }

    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(self.work(batch, context))
    }
}

fn need(message: &Message) -> Need {
    match parse::<TopTrack>(&message.payload) {
        Ok(parsed) => match parsed.record.body.primary_artist() {
            Some(artist) => Need::Artist { id: artist.id.clone(), name: artist.name.clone() },
            None => Need::Dead(DeadReason::new("required_field", "the track has no artist")),
        },
        Err(error) => Need::Dead(DeadReason::from(&error)),
    }
}

/// In the order of the messages that need them first.
fn distinct_artists(needs: &[Need]) -> Vec<String> {
    let mut seen = HashSet::new();
    let artist = |need: &Need| match need {
        Need::Artist { id, .. } => Some(id.clone()),
        Need::Dead(_) => None,
    };
    needs.iter().filter_map(artist).filter(|id| seen.insert(id.clone())).collect()
}

/// Pure: how the messages end, up to the first whose artist was not found out about. The first message that needs an artist
/// carries its profile, on its own partition.
fn finish(batch: &[Message], needs: &[Need], mut findings: HashMap<String, Finding>, run_id: &str) -> Vec<Ending> {
    let mut endings = Vec::with_capacity(batch.len());
    let mut told: HashMap<&str, &'static str> = HashMap::new();
    for (message, need) in batch.iter().zip(needs) {
        let (id, name) = match need {
            Need::Dead(reason) => {
                endings.push(Ending::Dead(reason.clone()));
                continue;
            }
            Need::Artist { id, name } => (id, name),
        };
        if let Some(reason) = told.get(id.as_str()) {
            endings.push(Ending::Superseded(reason));
            continue;
        }
        let emitted = |profile, observed_at| match Outgoing::record(
            &Envelope::new(observed_at, run_id, profile),
            message.at.partition,
            0,
        ) {
            Ok(record) => Ending::Emitted(vec![record]),
            Err(error) => Ending::Dead(DeadReason::from(&error)),
        };
        let ending = match findings.remove(id) {
            None => break,
            Some(Finding::Fresh) => Ending::Superseded("fresh"),
            Some(Finding::Refused(reason)) => Ending::Dead(reason),
            Some(Finding::Unknown { observed_at }) => emitted(ArtistProfile::missing(id, name, "not_found"), observed_at),
            Some(Finding::Profile { profile, observed_at }) => emitted(profile, observed_at),
        };
        let repeated = if let Ending::Superseded(reason) = &ending { *reason } else { "duplicate" };
        told.insert(id, repeated);
        endings.push(ending);
    }
    endings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(offset: i64) -> Message {
        let at = TopicPartition { topic: Topic::MusicTopTracks, partition: 3 };
        Message { at, offset, key: String::new(), payload: Vec::new(), appended_at: 0, version: None }
    }

    fn profile(id: &str) -> Finding {
        let profile = ArtistProfile { missing: None, ..ArtistProfile::missing(id, "N", "") };
        Finding::Profile { profile, observed_at: 1 }
    }

    fn needs(ids: &[&str]) -> (Vec<Message>, Vec<Need>) {
        (
            ids.iter().zip(0..).map(|(_, offset)| message(offset)).collect(),
            ids.iter().map(|id| Need::Artist { id: (*id).into(), name: "N".into() }).collect(),
        )
    }

    fn outcome(ending: &Ending) -> &str {
        match ending {
            Ending::Emitted(records) => &records[0].key,
            Ending::Superseded(reason) => reason,
            Ending::Dead(reason) | Ending::Buried(reason) => &reason.kind,
        }
    }

    #[test]
    fn the_first_message_carries_the_profile_and_the_others_are_duplicates() {
        let (batch, needs) = needs(&["a", "b", "a", "c", "b", "d"]);
        let findings = HashMap::from([
            ("a".to_owned(), profile("a")),
            ("b".to_owned(), Finding::Fresh),
            ("c".to_owned(), Finding::Unknown { observed_at: 7 }),
            ("d".to_owned(), Finding::Refused(DeadReason::new("rejected", "invalid id"))),
        ]);
        let endings = finish(&batch, &needs, findings, "run");
        assert_eq!(endings.iter().map(outcome).collect::<Vec<_>>(), ["a", "fresh", "duplicate", "c", "fresh", "rejected"]);
        let told = |ending: &Ending| matches!(ending, Ending::Emitted(records) if records[0].payload.windows(9).any(|part| part == b"not_found"));
        assert!(told(&endings[3]) && !told(&endings[0]), "that there is no profile is a record too");
        assert!(matches!(&endings[0], Ending::Emitted(records) if records[0].at.partition == 3));
    }

    #[test]
    fn a_wait_in_the_middle_finishes_the_messages_before_it_only() {
        let (batch, needs) = needs(&["a", "a", "b", "a"]);
        let findings = HashMap::from([("a".to_owned(), profile("a"))]);
        let endings = finish(&batch, &needs, findings, "run");
        assert_eq!(endings.iter().map(outcome).collect::<Vec<_>>(), ["a", "duplicate"]);
    }

    #[test]
    fn a_track_that_cannot_be_read_is_given_up_and_the_next_one_served() {
        let (batch, mut needs) = needs(&["x", "a"]);
        needs[0] = need(&batch[0]);
        let endings = finish(&batch, &needs, HashMap::from([("a".to_owned(), profile("a"))]), "run");
        assert_eq!(endings.iter().map(outcome).collect::<Vec<_>>(), ["undecodable", "a"]);
    }
}
