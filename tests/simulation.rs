//! Deterministic simulation: the real stages over the real embedded mailbox and SQLite store, under a seeded scheduler that
//! breaks things at every effect, then heals them and compares with an oracle.
//!
//! `cargo test --test simulation` runs 1,000 seeds and shows that deliberately broken builds are caught;
//! `-- --seeds N` runs more, `-- --first S` begins elsewhere, `-- --seed S` replays one seed and prints what happened.

#[path = "simulation/actor.rs"]
mod actor;
#[path = "simulation/broken.rs"]
mod broken;
#[path = "simulation/catalogue.rs"]
mod catalogue;
#[path = "simulation/chance.rs"]
mod chance;
#[path = "simulation/checks.rs"]
mod checks;
#[path = "simulation/expected.rs"]
mod expected;
#[path = "simulation/extractors.rs"]
mod extractors;
#[path = "simulation/faults.rs"]
mod faults;
#[path = "simulation/injector.rs"]
mod injector;
#[path = "simulation/model.rs"]
mod model;
#[path = "simulation/pipeline.rs"]
mod pipeline;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/saboteur.rs"]
mod saboteur;
#[path = "simulation/session.rs"]
mod session;
#[path = "simulation/site.rs"]
mod site;
#[path = "simulation/store.rs"]
mod store;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use parking_lot::Mutex;

use crate::broken::Broken;
use crate::faults::{Crash, Fault};
use crate::site::Site;

/// Seeds within which each broken build has to be caught.
const CAUGHT_WITHIN: u64 = 100;

/// Arguments. Those of the usual test harness are taken and ignored.
#[derive(Debug, Parser)]
#[command(about = "Deterministic simulation of the pipeline")]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Replay this seed only and print what happens
    #[arg(long)]
    seed: Option<u64>,
    /// Threads, each with its own seeds; by default one a processor
    #[arg(long)]
    jobs: Option<usize>,
    /// Skip the broken builds
    #[arg(long)]
    only_sound: bool,
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    ignored: Vec<String>,
}

/// What several seeds came to.
#[derive(Default)]
struct Tally {
    injected: BTreeMap<Fault, u64>,
    failures: BTreeMap<u64, String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    silence_injected_panics();
    match simulate(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulation: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(seed) = arguments.seed {
        return replay(seed);
    }
    replays_exactly(arguments.first)?;
    if !arguments.only_sound {
        for broken in Broken::ALL {
            let (seed, violation) = first_catch(broken)?;
            println!("simulation: {broken:?} is caught by seed {seed}: {}", violation.lines().next().unwrap_or_default());
        }
    }
    sound(arguments)
}

/// Injected panics are not worth a line each; all others are printed as usual.
fn silence_injected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<Crash>() {
            usual(panic);
        }
    }));
}

fn replay(seed: u64) -> anyhow::Result<()> {
    let outcome = run::run(&mut Site::new()?, seed, None, true);
    for event in &outcome.events {
        println!("{event}");
    }
    println!("simulation: seed {seed}, {} events, trace {:016x}", outcome.events.len(), outcome.trace);
    outcome.result.with_context(|| format!("seed {seed}"))
}

/// The same seed twice: everything that happens is the same.
fn replays_exactly(first: u64) -> anyhow::Result<()> {
    let mut site = Site::new()?;
    for seed in first..first + 5 {
        let traces = [(); 2].map(|()| run::run(&mut site, seed, None, false).trace);
        ensure!(traces[0] == traces[1], "seed {seed} does not replay: traces {traces:016x?}");
    }
    Ok(())
}

/// The first seed that finds fault with a broken build.
fn first_catch(broken: Broken) -> anyhow::Result<(u64, String)> {
    let mut site = Site::new()?;
    let mut violation =
        |seed| run::run(&mut site, seed, Some(broken), false).result.err().map(|error| (seed, error.to_string()));
    let caught = (0..CAUGHT_WITHIN).find_map(&mut violation);
    caught.with_context(|| format!("the broken build {broken:?} passed {CAUGHT_WITHIN} seeds: the simulation proves nothing"))
}

/// The build as it is: no seed may find fault with it.
fn sound(arguments: &Arguments) -> anyhow::Result<()> {
    let jobs = arguments.jobs.or_else(|| thread::available_parallelism().ok().map(usize::from)).unwrap_or(1).max(1);
    let (next, failed) = (AtomicU64::new(arguments.first), AtomicBool::new(false));
    let (end, tally, started) = (arguments.first.saturating_add(arguments.seeds), Mutex::new(Tally::default()), Instant::now());
    let work = || -> anyhow::Result<()> {
        let mut site = Site::new()?;
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let outcome = run::run(&mut site, seed, None, false);
            let mut tally = tally.lock();
            outcome.injected.iter().for_each(|(fault, count)| *tally.injected.entry(*fault).or_default() += count);
            if let Err(error) = outcome.result {
                tally.failures.insert(seed, format!("{error:#}"));
                failed.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect::<anyhow::Result<Vec<()>>>()
    })?;
    report(arguments, &tally.into_inner(), started.elapsed().as_secs_f64(), jobs)
}

fn report(arguments: &Arguments, tally: &Tally, seconds: f64, jobs: usize) -> anyhow::Result<()> {
    if let Some((seed, failure)) = tally.failures.first_key_value() {
        bail!("seed {seed}: {failure}\nreplay it with: cargo test --test simulation -- --seed {seed}");
    }
    let faults: Vec<String> = tally.injected.iter().map(|(fault, count)| format!("{fault:?} {count}")).collect();
    println!("simulation: faults injected: {}", faults.join(", "));
    let rate = arguments.seeds as f64 / seconds.max(1e-9);
    println!("simulation: {} seeds without a violation in {seconds:.1} s ({rate:.0}/s, {jobs} jobs)", arguments.seeds);
    Ok(())
}
