//! One run: the whole pipeline under a seeded scheduler. First things break, then they are healed and everything drains.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use reprise::mailbox::{EmbeddedMailbox, Mailbox};
use reprise::records::{Topic, Transformed, parse};
use reprise::service::StageName;
use reprise::store::{Change, Store};

use crate::actor::{Actor, Stepped, Surroundings, Zombie};
use crate::broken::Broken;
use crate::catalogue::{Catalogue, World};
use crate::chance::Chance;
use crate::expected::Doomed;
use crate::faults::Faults;
use crate::injector::Injector;
use crate::saboteur::is_poison;
use crate::site::Site;
use crate::store::FaultyStore;

/// What the tables' retention is judged at: nothing here is old, only compaction deletes.
const NOW: i64 = 0;

/// Rounds of all stages within which a healed pipeline has to be drained: a stage that makes no progress is a bug too.
const DRAIN_ROUNDS: usize = 400;

/// Rounds in a row without anything to do, after which there is nothing to do.
const QUIET_ROUNDS: usize = 3;

/// See the module.
pub struct Pipeline<'s> {
    /// Files and runtime.
    pub site: &'s Site,
    /// What the actors see.
    pub around: Surroundings<'s>,
    /// The log.
    pub mailbox: Arc<EmbeddedMailbox>,
    /// Messages that have to end as dead letters.
    pub doomed: Doomed,
    /// Messages by partition that compaction removed before the loader came: a later one of their key replaces them.
    pub skipped: BTreeMap<i32, u64>,
    actors: Vec<Actor>,
    zombies: Vec<Zombie>,
    injector: Option<Injector>,
    chance: Chance,
    store: Arc<dyn Store>,
}

impl<'s> Pipeline<'s> {
    /// Everything empty and down.
    pub fn new(
        site: &'s Site,
        mailbox: Arc<EmbeddedMailbox>,
        seed: u64,
        faults: Faults,
        broken: Option<Broken>,
    ) -> anyhow::Result<Pipeline<'s>> {
        let world = World::new(Catalogue::new(seed).into());
        let topics: Arc<dyn Mailbox> = Arc::clone(&mailbox) as Arc<dyn Mailbox>;
        let injector = Some(Injector::new(&topics, &world, seed)?);
        let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&site.main.store), &faults, broken));
        let metrics = site.metrics.clone();
        let around = Surroundings { runtime: &site.runtime, mailbox: topics, faults, world, metrics, broken };
        let actors = StageName::FLOW.into_iter().map(|stage| Actor::new(stage, stage.group(), &store)).collect();
        let (zombies, doomed, chance) = (Vec::new(), Doomed::default(), Chance::new(seed, 4));
        Ok(Pipeline { site, around, mailbox, doomed, skipped: BTreeMap::new(), actors, zombies, injector, chance, store })
    }

    /// The first phase.
    pub fn suffer(&mut self) -> anyhow::Result<()> {
        let searches = 1 + self.chance.below(3);
        for _ in 0..searches {
            let tracks = 2 + u32::try_from(self.chance.below(5)).unwrap_or(0);
            self.injector()?.search(tracks)?;
        }
        for _ in 0..50 + self.chance.below(60) {
            self.happen()?;
            self.unharmed()?;
        }
        Ok(())
    }

    fn happen(&mut self) -> anyhow::Result<()> {
        match self.chance.below(100) {
            0..75 => {
                let actor = self.chance.below(self.actors.len());
                self.step(actor);
            }
            75..87 => {
                let what = self.injector()?.disturb()?;
                self.around.faults.note(|| format!("injected: {what}"));
            }
            87..92 => self.wake_a_zombie(),
            92..94 => self.compact()?,
            94..97 => self.replay_a_part()?,
            97..99 => {
                let actor = self.chance.below(self.actors.len());
                self.around.faults.note(|| format!("{} is killed", self.actors[actor].stage.name()));
                self.actors[actor].kill();
            }
            _ => self.lose_power()?,
        }
        Ok(())
    }

    fn injector(&mut self) -> anyhow::Result<&mut Injector> {
        self.injector.as_mut().context("the injector is there between power cuts")
    }

    fn unharmed(&self) -> anyhow::Result<()> {
        self.around.faults.violation().map_or(Ok(()), |what| Err(anyhow::anyhow!(what)))
    }

    /// Takes one step of one actor; answers how many messages it finished and whether it lives.
    fn step(&mut self, actor: usize) -> (usize, bool) {
        let actor = &mut self.actors[actor];
        let name = actor.stage.name();
        match actor.step(&self.around) {
            Stepped::Lives(finished) => {
                self.around.faults.note(|| format!("{name}: {finished} finished"));
                (finished, true)
            }
            Stepped::Down => {
                self.around.faults.note(|| format!("{name}: down"));
                (0, false)
            }
            Stepped::Froze(zombie) => {
                self.around.faults.note(|| format!("{name}: frozen and replaced"));
                self.zombies.push(zombie);
                (0, false)
            }
        }
    }

    fn wake_a_zombie(&mut self) {
        if self.zombies.is_empty() {
            return;
        }
        let zombie = self.zombies.swap_remove(self.chance.below(self.zombies.len()));
        self.zombies.extend(zombie.wake(&self.around));
    }

    /// Deletes what every group has finished and a later message of its key replaces.
    pub fn compact(&mut self) -> anyhow::Result<()> {
        self.doomed.look(&*self.mailbox)?;
        let before = self.unread()?;
        let deleted = self.mailbox.maintain(NOW)?;
        for (partition, left) in self.unread()? {
            let gone = before.get(&partition).copied().unwrap_or_default() - left;
            *self.skipped.entry(partition).or_default() += gone;
        }
        self.around.faults.note(|| format!("compacted: {deleted} deleted"));
        Ok(())
    }

    /// How many messages of each partition the loader has not taken yet.
    fn unread(&self) -> anyhow::Result<BTreeMap<i32, u64>> {
        let ledger = self.site.main.store.ledger()?;
        let mut unread = BTreeMap::new();
        for ends in self.mailbox.watermarks(Topic::MusicTransformed)? {
            let place = ledger.iter().find(|(claim, _)| claim.at == ends.at);
            let next = place.and_then(|(claim, _)| claim.next_offset).unwrap_or(0);
            let messages = self.mailbox.read(ends.at, ends.low, usize::MAX >> 1)?;
            let count = messages.iter().filter(|message| message.offset >= next).count();
            unread.insert(ends.at.partition, u64::try_from(count)?);
        }
        Ok(unread)
    }

    /// Applies a beginning of the transformed topic again, beside the loader, as an operator's replay does.
    fn replay_a_part(&mut self) -> anyhow::Result<()> {
        let changes = loadable(&*self.mailbox)?;
        let part = &changes[..self.chance.below(changes.len() + 1)];
        // A fault of the store ends the replay; the operator tries again some other time.
        let ended = self.store.apply_caught(part);
        self.around.faults.take_doom();
        self.around.faults.note(|| format!("a replay of {}: {ended}", part.len()));
        Ok(())
    }

    /// The process is gone, and so is all that it had in memory; another one starts on the same files.
    fn lose_power(&mut self) -> anyhow::Result<()> {
        self.around.faults.note(|| "power cut".to_owned());
        self.actors.iter_mut().for_each(Actor::forget);
        self.zombies.clear();
        self.injector = None;
        let mailbox = self.site.open_mailbox()?;
        self.mailbox = Arc::clone(&mailbox);
        self.around.mailbox = mailbox;
        self.injector =
            Some(Injector::new(&self.around.mailbox, &self.around.world, self.chance.between(0, i64::MAX).unsigned_abs())?);
        Ok(())
    }

    /// The second phase: no more faults, zombies try what they can, everything is worked off.
    pub fn recover(&mut self) -> anyhow::Result<()> {
        self.around.faults.heal();
        while !self.zombies.is_empty() {
            self.wake_a_zombie();
        }
        // Everybody starts once more: what was lost without anybody noticing is made up for at the start.
        self.actors.iter_mut().for_each(Actor::kill);
        self.drain()
    }

    /// Steps all stages in turn until they find nothing to do. One round alone does not say so: partitions may just be coming back.
    pub fn drain(&mut self) -> anyhow::Result<()> {
        let mut quiet_rounds = 0;
        for _ in 0..DRAIN_ROUNDS {
            let mut quiet = true;
            for actor in 0..self.actors.len() {
                let was_up = self.actors[actor].is_up();
                let (finished, lives) = self.step(actor);
                quiet &= was_up && lives && finished == 0;
                self.unharmed()?;
            }
            quiet_rounds = if quiet { quiet_rounds + 1 } else { 0 };
            if quiet_rounds >= QUIET_ROUNDS && reprise::service::progress::is_drained(&*self.mailbox, &StageName::FLOW)? {
                return Ok(());
            }
        }
        self.name_the_stuck()?;
        anyhow::bail!("busy after {DRAIN_ROUNDS} rounds without faults")
    }

    /// Fails with the stage that has not come to the end of its topics.
    fn name_the_stuck(&self) -> anyhow::Result<()> {
        for stage in StageName::FLOW {
            let (name, committed) = (stage.name(), self.mailbox.committed(&stage.group(), &stage.topics())?);
            for topic in stage.topics() {
                for ends in self.mailbox.watermarks(topic)? {
                    let next = committed.iter().find(|place| place.at == ends.at).map_or(0, |place| place.next_offset);
                    let (at, high) = (ends.at, ends.high);
                    ensure!(next >= high, "{name} stands at {next} of {at}, which ends at {high}, and goes no further");
                }
            }
        }
        Ok(())
    }

    /// Sends every raw record through the pipeline once more.
    pub fn repeat_everything(&mut self) -> anyhow::Result<()> {
        self.injector()?.repeat_everything()?;
        self.drain()
    }

    /// Fills the second database from what is left of the transformed topic, with a loader and a group of its own.
    pub fn rebuild(&mut self) -> anyhow::Result<()> {
        let group = "reprise.rebuild".to_owned();
        let mut loader = Actor::new(StageName::Load, group.clone(), &self.site.rebuilt.store);
        let mut idle = 0;
        for _ in 0..DRAIN_ROUNDS {
            let was_up = loader.is_up();
            let lives_idly = matches!(loader.step(&self.around), Stepped::Lives(0)) && was_up;
            self.unharmed()?;
            // The first idle step may only have announced the partitions.
            idle = if lives_idly { idle + 1 } else { 0 };
            if idle >= QUIET_ROUNDS {
                loader.kill();
                return Ok(self.mailbox.forget_group(&group)?);
            }
        }
        anyhow::bail!("not rebuilt after {DRAIN_ROUNDS} steps")
    }
}

/// Every change that stands in the transformed topic and can be loaded.
pub fn loadable(mailbox: &dyn Mailbox) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for ends in mailbox.watermarks(Topic::MusicTransformed)? {
        for message in mailbox.read(ends.at, ends.low, usize::MAX >> 1)? {
            let fit = !message.key.starts_with("song/refused-") && !is_poison(&message.key, "load");
            let Some(parsed) = parse::<Transformed>(&message.payload).ok().filter(|_| fit) else { continue };
            let envelope = parsed.record;
            let version = envelope.version(envelope.body.revision)?;
            ensure!(Some(version) == message.version, "{}/{}: the header has another version", ends.at, message.offset);
            changes.push(Change { at: message.at, row: envelope.body.row, version });
        }
    }
    Ok(changes)
}

/// A store call outside any actor.
trait ApplyCaught {
    fn apply_caught(&self, changes: &[Change]) -> &'static str;
}

impl ApplyCaught for Arc<dyn Store> {
    fn apply_caught(&self, changes: &[Change]) -> &'static str {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.apply(changes, &[]))) {
            Ok(Ok(_)) => "applied",
            Ok(Err(_)) => "refused",
            Err(_) => "died",
        }
    }
}
