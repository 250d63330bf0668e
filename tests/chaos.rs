//! Chaos on the real thing: `reprise run` processes on a real Kafka and PostgreSQL, against the sandbox, while instances, broker
//! and database are killed, frozen, stopped and started by a seeded plan. Then everything heals, and what is in the database must
//! be what a clean run makes of the same searches: same digest, ledger balanced, nothing buried, nothing twice.
//!
//! It starts its own servers, since it kills them. By hand:
//! `REPRISE_CHAOS_MINUTES=10 REPRISE_CHAOS_SEED=7 cargo test --test chaos -- --ignored --nocapture`
//! The logs of all processes are kept when something is wrong, or when `REPRISE_CHAOS_KEEP` is set.

mod process;

#[path = "chaos/attack.rs"]
mod attack;
#[path = "chaos/fleet.rs"]
mod fleet;
#[path = "chaos/plan.rs"]
mod plan;
#[path = "chaos/servers.rs"]
mod servers;
#[path = "chaos/stream.rs"]
mod stream;
#[path = "chaos/verdict.rs"]
mod verdict;

use std::time::{Duration, Instant};

use reprise::sandbox::{Sandbox, SandboxOptions};

use attack::Attack;
use process::Settings;

/// A number of the environment, or else `fallback`.
fn given(name: &str, fallback: f64) -> f64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(fallback)
}

fn seed() -> u64 {
    let fresh = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.as_secs());
    std::env::var("REPRISE_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fresh)
}

#[test]
#[ignore = "minutes long, starts and kills Kafka and PostgreSQL: tests/run.sh runs it"]
fn the_database_comes_out_the_same_whatever_is_killed() {
    let (minutes, seed) = (given("REPRISE_CHAOS_MINUTES", 3.0), seed());
    println!("chaos for {minutes} minutes; REPRISE_CHAOS_SEED={seed} repeats the plan");
    let folder = tempfile::tempdir().expect("a folder");
    let Some(servers) = servers::Servers::start(&folder.path().join("servers")) else { return };
    let sandbox = Sandbox::start(SandboxOptions { fault_rate: 0.02, ..SandboxOptions::default() }).expect("a sandbox");
    let settings = servers.used_by(Settings::new(&folder.path().join("run")).at(&sandbox));
    let mut attack = Attack::new(servers, settings, &sandbox, seed);
    attack.rage(Duration::from_secs_f64(minutes * 60.0));
    let healed = Instant::now();
    let evidence = attack.heal();
    println!("caught up {:.1} s after everything was healed", healed.elapsed().as_secs_f64());
    let clean = Settings::new(&folder.path().join("clean")).at(&sandbox).searching(&evidence.searches);
    let violations = verdict::judge(&evidence, &clean, &sandbox);
    println!("{}", evidence.summary());
    if std::env::var_os("REPRISE_CHAOS_KEEP").is_some() || !violations.is_empty() {
        println!("logs are kept in {}", folder.keep().display());
    }
    assert!(violations.is_empty(), "REPRISE_CHAOS_SEED={seed}:\n{}", violations.join("\n"));
}
