//! One seed from beginning to end.

use std::collections::BTreeMap;

use crate::broken::Broken;
use crate::chance::Chance;
use crate::checks;
use crate::faults::{Fault, Faults};
use crate::pipeline::Pipeline;
use crate::site::Site;

/// What came of a seed.
pub struct Outcome {
    /// The first thing that must not be, if any.
    pub result: anyhow::Result<()>,
    /// A digest of everything that happened: the same at each replay.
    pub trace: u64,
    /// Faults by kind.
    pub injected: BTreeMap<Fault, u64>,
    /// What happened, if it was kept.
    pub events: Vec<String>,
}

/// Runs `seed`.
pub fn run(site: &mut Site, seed: u64, broken: Option<Broken>, verbose: bool) -> Outcome {
    let mut chance = Chance::new(seed, 0);
    // Some runs are nearly calm, some nearly hopeless: different bugs show.
    let percent = *chance.pick(&[3, 8, 15, 25]);
    let faults = Faults::new(seed, percent, verbose);
    let result = live(site, seed, &faults, broken, &mut chance);
    Outcome { result, trace: faults.trace(), injected: faults.injected(), events: faults.events() }
}

fn live(site: &mut Site, seed: u64, faults: &Faults, broken: Option<Broken>, chance: &mut Chance) -> anyhow::Result<()> {
    let mailbox = site.reset()?;
    let mut pipeline = Pipeline::new(site, mailbox, seed, faults.clone(), broken)?;
    pipeline.suffer()?;
    pipeline.recover()?;
    verify(&mut pipeline)?;
    if chance.percent(25) {
        pipeline.repeat_everything()?;
        verify(&mut pipeline)?;
    }
    pipeline.compact()?;
    pipeline.rebuild()?;
    let mailbox = pipeline.mailbox.clone();
    drop(pipeline);
    checks::rebuilt(&*mailbox, &site.main, &site.rebuilt)?;
    checks::quiet_replay(&*mailbox, &mut site.main, chance)
}

fn verify(pipeline: &mut Pipeline<'_>) -> anyhow::Result<()> {
    pipeline.doomed.look(&*pipeline.mailbox)?;
    let mailbox = &*pipeline.mailbox;
    checks::dead_letters(mailbox, &pipeline.doomed)?;
    checks::books_balance(pipeline)?;
    checks::extracted(mailbox, pipeline.around.world.borrow().songs())?;
    checks::converged(mailbox, &pipeline.site.main)
}
