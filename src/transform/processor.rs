//! The transformer's shell: appends only rows that are newer than the last under their key.

use std::collections::HashMap;

use futures::future::LocalBoxFuture;

use super::rows::{Judge, Raw, rows_of};
use crate::mailbox::{Message, Outgoing, TopicPartition};
use crate::observe::Metrics;
use crate::records::{DeadReason, Envelope, TRANSFORM_REVISION, Topic, Transformed, Version};
use crate::stage::{Ending, Processed, Processor, StageError, StepContext, Subscription};

/// See the module.
#[derive(Debug)]
pub struct Transformer {
    judge: Judge,
    batch_max: usize,
    metrics: Metrics,
}

type Heads = HashMap<(TopicPartition, String), Option<Version>>;

impl Transformer {
    /// A transformer with these thresholds.
    pub fn new(judge: Judge, batch_max: usize, metrics: Metrics) -> Transformer {
        Transformer { judge, batch_max, metrics }
    }

    async fn transform(&mut self, batch: &[Message], context: &StepContext<'_>) -> Result<Processed, StageError> {
        let parsed: Vec<_> = batch.iter().map(|message| rows_of(message.at.topic, &message.payload, self.judge)).collect();
        let mut heads = Heads::new();
        for (message, raw) in batch.iter().zip(&parsed) {
            if let Ok(raw) = raw {
                look_up(&mut heads, output_of(message), raw, context).await?;
            }
        }
        let mut endings = Vec::with_capacity(batch.len());
        for (message, raw) in batch.iter().zip(parsed) {
            endings.push(match raw {
                Ok(raw) => {
                    self.metrics.nulled("transform", &raw.nulled);
                    emit_newer(&mut heads, output_of(message), raw, context.run_id)
                }
                Err(error) => Ending::Dead(DeadReason::from(&error)),
            });
        }
        Ok(Processed::all(endings))
    }
}

/// Rows stay on the partition number of the record they came from.
fn output_of(message: &Message) -> TopicPartition {
    TopicPartition { topic: Topic::MusicTransformed, partition: message.at.partition }
}

async fn look_up(heads: &mut Heads, at: TopicPartition, raw: &Raw, context: &StepContext<'_>) -> Result<(), StageError> {
    let keys: Vec<String> =
        raw.rows.iter().map(crate::records::Row::key).filter(|key| !heads.contains_key(&(at, key.clone()))).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let versions = context.port.heads(at, keys.clone()).await?;
    heads.extend(keys.into_iter().map(|key| (at, key)).zip(versions));
    Ok(())
}

fn emit_newer(heads: &mut Heads, at: TopicPartition, raw: Raw, run_id: &str) -> Ending {
    let record = |row| {
        let body = Transformed { revision: TRANSFORM_REVISION, artist_id: raw.artist_id.clone(), row };
        Outgoing::record(&Envelope::new(raw.observed_at, run_id, body), at.partition, TRANSFORM_REVISION)
    };
    // All or none of them: a row that no topic takes is found before the heads are moved.
    let records: Vec<Outgoing> = match raw.rows.into_iter().map(record).collect() {
        Ok(records) => records,
        Err(error) => return Ending::Dead(DeadReason::from(&error)),
    };
    let mut emitted = Vec::new();
    let mut duplicate = true;
    for record in records {
        let head = heads.entry((at, record.key.clone())).or_default();
        if record.version > *head {
            *head = record.version;
            emitted.push(record);
        } else if record.version < *head {
            duplicate = false;
        }
    }
    match (emitted.is_empty(), duplicate) {
        (false, _) => Ending::Emitted(emitted),
        (true, true) => Ending::Superseded("duplicate"),
        (true, false) => Ending::Superseded("older"),
    }
}

impl Processor for Transformer {
    fn subscription(&self) -> Subscription {
        Subscription {
            topics: vec![Topic::MusicTopTracks, Topic::ArtistGenres, Topic::LastfmArtist, Topic::MusicAudioFeatures],
            heads: vec![Topic::MusicTransformed],
            batch_max: self.batch_max,
            transactional: true,
        }
    }

    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(self.transform(batch, context))
    }
}
