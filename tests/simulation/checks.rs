//! What must hold once everything is worked off, whatever went wrong before.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use reprise::mailbox::{Ledger, Mailbox, Message};
use reprise::records::{DeadLetter, SearchRequest, TopTrack, Topic, parse};
use reprise::service::StageName;
use reprise::store::Store;
use serde_json::Value;

use crate::catalogue::Catalogue;
use crate::chance::Chance;
use crate::expected::Doomed;
use crate::model::Model;
use crate::pipeline::{Pipeline, loadable};
use crate::saboteur::is_poison;
use crate::site::Place;

/// The database holds what the set of raw records says, and is sound in itself.
pub fn converged(mailbox: &dyn Mailbox, place: &Place) -> anyhow::Result<()> {
    let parse_line = |line: &String| {
        let (table, row) = line.split_once(' ').context("a line of the dump is a table and a row")?;
        Ok((table.to_owned(), serde_json::from_str::<Value>(row)?))
    };
    let found: Vec<(String, Value)> = place.dump()?.iter().map(parse_line).collect::<anyhow::Result<_>>()?;
    let wanted = Model::of(mailbox)?.rows();
    for (found, wanted) in found.iter().zip(&wanted) {
        ensure!(
            found.0 == wanted.0 && found.1 == wanted.1,
            "convergence: the database says\n  {found:?}\nthe oracle\n  {wanted:?}"
        );
    }
    ensure!(found.len() == wanted.len(), "convergence: {} rows, the oracle has {}", found.len(), wanted.len());
    let faults: Vec<_> = place.store.check()?.into_iter().filter(|finding| !finding.information).collect();
    ensure!(faults.is_empty(), "the database is not sound: {faults:?}");
    Ok(())
}

/// Applying everything again, in any order and in batches of any size, writes nothing at all.
pub fn quiet_replay(mailbox: &dyn Mailbox, place: &mut Place, chance: &mut Chance) -> anyhow::Result<()> {
    let mut changes = loadable(mailbox)?;
    for last in (1..changes.len()).rev() {
        changes.swap(last, chance.below(last + 1));
    }
    let before = place.writes()?;
    let size = 1 + chance.below(40);
    for part in changes.chunks(size) {
        let applied = place.store.apply(part, &[])?;
        ensure!(!applied.won.contains(&true), "quiet replay: a change that was there won again");
    }
    ensure!(place.writes()? == before, "quiet replay: something was written");
    Ok(())
}

/// Every message was taken exactly once by every stage that reads its topic, and ended in exactly one way; what a stage says
/// it produced is what stands in the topics.
pub fn books_balance(pipeline: &Pipeline<'_>) -> anyhow::Result<()> {
    let (mailbox, store, doomed) = (&*pipeline.mailbox, &*pipeline.site.main.store, &pipeline.doomed);
    let mut dead: BTreeMap<&str, u64> = BTreeMap::new();
    for id in doomed.ids() {
        *dead.entry(id.split('/').next().unwrap_or_default()).or_default() += 1;
    }
    let mut produced: BTreeMap<StageName, u64> = BTreeMap::new();
    for stage in StageName::FLOW {
        let mut total = Ledger::default();
        let ledgers = ledgers(mailbox, store, stage)?;
        for topic in stage.topics() {
            for ends in mailbox.watermarks(topic)? {
                let ledger = ledgers.get(&(topic, ends.at.partition)).copied().unwrap_or_default();
                ensure!(ledger.is_balanced(), "ledger: {} of {} is not balanced: {ledger:?}", stage.name(), ends.at);
                let skipped = pipeline.skipped.get(&ends.at.partition).filter(|_| stage == StageName::Load);
                let high = u64::try_from(ends.high)? - skipped.copied().unwrap_or_default();
                ensure!(ledger.consumed == high, "ledger: {} took {} of {high} in {}", stage.name(), ledger.consumed, ends.at);
                total.add(&ledger);
            }
        }
        let expected = dead.get(stage.name()).copied().unwrap_or_default();
        let counted = total.dead_lettered;
        ensure!(counted == expected, "ledger: {} counted {counted} dead letters of {expected}", stage.name());
        produced.insert(stage, total.produced);
    }
    appended(mailbox, &pipeline.around.world.borrow(), &produced)
}

type Ledgers = BTreeMap<(Topic, i32), Ledger>;

/// The loader's books are in the database, the others' in the mailbox.
fn ledgers(mailbox: &dyn Mailbox, store: &dyn Store, stage: StageName) -> anyhow::Result<Ledgers> {
    if stage == StageName::Load {
        let ledgers = store.ledger()?.into_iter();
        return Ok(ledgers.map(|(claim, ledger)| ((claim.at.topic, claim.at.partition), ledger)).collect());
    }
    let committed = mailbox.committed(&stage.group(), &stage.topics())?.into_iter();
    Ok(committed.map(|place| ((place.at.topic, place.at.partition), place.ledger)).collect())
}

fn appended(mailbox: &dyn Mailbox, world: &Catalogue, produced: &BTreeMap<StageName, u64>) -> anyhow::Result<()> {
    let outputs: [(StageName, &[Topic]); 5] = [
        (StageName::Tracks, &[Topic::MusicQueries, Topic::MusicTopTracks]),
        (StageName::Artists, &[Topic::ArtistGenres]),
        (StageName::Listeners, &[Topic::LastfmArtist]),
        (StageName::Audio, &[Topic::MusicAudioFeatures]),
        (StageName::Transform, &[Topic::MusicTransformed]),
    ];
    for (stage, topics) in outputs {
        let (mut stand, mut injected) = (0, 0);
        for topic in topics {
            stand += mailbox.watermarks(*topic)?.iter().map(|ends| ends.high).sum::<i64>();
            injected += world.injected(*topic);
        }
        let said = produced.get(&stage).copied().unwrap_or_default();
        let stand = u64::try_from(stand)?;
        ensure!(stand == injected + said, "atomicity: {} says {said} records, {} stand there", stage.name(), stand - injected);
    }
    Ok(())
}

/// Exactly what cannot be used is among the dead letters, each once by its id.
pub fn dead_letters(mailbox: &dyn Mailbox, doomed: &Doomed) -> anyhow::Result<()> {
    let mut found = BTreeSet::new();
    for message in all(mailbox, Topic::MusicDeadLetters)? {
        let letter = parse::<DeadLetter>(&message.payload)?.record.body;
        let id = letter.id();
        ensure!(
            doomed.ids().contains(&id),
            "dead letters: {id} was given up: {}: {}",
            letter.reason.kind,
            letter.reason.detail
        );
        // The loader's are published before its own transaction: at least once, one by id.
        ensure!(found.insert(id.clone()) || letter.stage == "load", "dead letters: {id} is there twice");
    }
    match doomed.ids().difference(&found).next() {
        Some(missing) => anyhow::bail!("dead letters: {missing} is missing"),
        None => Ok(()),
    }
}

/// Every search found its tracks, and every track was asked about.
pub fn extracted(mailbox: &dyn Mailbox, songs: usize) -> anyhow::Result<()> {
    let tracks = all(mailbox, Topic::MusicTopTracks)?;
    let ids: BTreeSet<&str> = tracks.iter().map(|message| message.key.as_str()).collect();
    for message in all(mailbox, Topic::MusicQueries)?.iter().filter(|message| !message.key.starts_with("bad-")) {
        let request = parse::<SearchRequest>(&message.payload)?.record.body;
        let missing =
            (0..request.max_tracks as usize).map(|song| format!("song{}", song % songs)).find(|id| !ids.contains(&**id));
        ensure!(missing.is_none(), "extraction: {} did not find {missing:?}", message.key);
    }
    let answers = [
        (StageName::Artists, newest(mailbox, Topic::ArtistGenres)?),
        (StageName::Listeners, newest(mailbox, Topic::LastfmArtist)?),
        (StageName::Audio, newest(mailbox, Topic::MusicAudioFeatures)?),
    ];
    for message in tracks.iter().filter(|message| !message.key.starts_with("bad-")) {
        let track = parse::<TopTrack>(&message.payload)?.record;
        let artist = track.body.primary_artist().map_or("", |artist| artist.id.as_str());
        for (stage, newest) in answers.iter().filter(|(stage, _)| !is_poison(&message.key, stage.name())) {
            let questions = match stage {
                StageName::Artists => vec![artist.to_owned()],
                StageName::Listeners => vec![format!("artist/{artist}"), format!("song/{}", message.key)],
                _ => vec![message.key.clone()],
            };
            for question in questions {
                let asked = newest.get(&question).is_some_and(|observed_at| *observed_at >= track.observed_at);
                ensure!(asked, "extraction: {} never asked about {question} since {}", stage.name(), track.observed_at);
            }
        }
    }
    Ok(())
}

/// When each key of a raw topic was last observed.
fn newest(mailbox: &dyn Mailbox, topic: Topic) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    for message in all(mailbox, topic)? {
        if let Some(version) = message.version {
            let held = newest.entry(message.key).or_insert(version.observed_at);
            *held = version.observed_at.max(*held);
        }
    }
    Ok(newest)
}

fn all(mailbox: &dyn Mailbox, topic: Topic) -> anyhow::Result<Vec<Message>> {
    let mut messages = Vec::new();
    for ends in mailbox.watermarks(topic)? {
        messages.extend(mailbox.read(ends.at, ends.low, usize::MAX >> 1)?);
    }
    Ok(messages)
}

/// The database built from the compacted topic is the same, and its loader took each message that was left exactly once.
pub fn rebuilt(mailbox: &dyn Mailbox, main: &Place, rebuilt: &Place) -> anyhow::Result<()> {
    for (left, right) in rebuilt.dump()?.iter().zip(main.dump()?.iter()) {
        ensure!(left == right, "rebuild: it says\n  {left}\nthe first database\n  {right}");
    }
    ensure!(rebuilt.store.digest()? == main.store.digest()?, "rebuild: rows are missing");
    let mut total = Ledger::default();
    rebuilt.store.ledger()?.iter().for_each(|(_, ledger)| total.add(ledger));
    let left = u64::try_from(all(mailbox, Topic::MusicTransformed)?.len())?;
    ensure!(total.is_balanced() && total.consumed == left, "rebuild: took {} of {left} messages", total.consumed);
    Ok(())
}
