//! The fault plan: which effect goes wrong, when and how, all decided by the seed; and the record of what happened.
//!
//! Every adapter asks [`Faults::choose`] before it does something real. After [`Faults::heal`] nothing goes wrong any more.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::chance::Chance;

/// The payload of every injected panic: tells it from a real one.
#[derive(Debug)]
pub struct Crash;

/// What may go wrong at an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Refused for the moment: the effect does not take place.
    Away,
    /// Nothing comes, though there may be something.
    Delay,
    /// Ownership is lost.
    Revoked,
    /// The actor dies before the effect.
    DieBefore,
    /// The actor dies after the effect.
    DieAfter,
    /// The effect takes place and is reported as failed.
    Unheard,
    /// The actor dies in the middle: a part of the effect was written and has to be taken back.
    Torn,
    /// The commit of the offset is dropped, the rest of the effect takes place.
    CommitLost,
    /// The thread that writes dies before or after the effect; the actor lives.
    ThreadDies,
    /// An error that ends the actor.
    Fails,
    /// The actor stops before the effect for longer than its supervisor waits, and comes back as a zombie.
    FreezeBefore,
    /// The same after the effect.
    FreezeAfter,
    /// Only the first part of the batch is finished.
    Partly,
}

impl Fault {
    /// The actor does not survive it.
    fn is_lethal(self) -> bool {
        use Fault::{DieAfter, DieBefore, Fails, FreezeAfter, FreezeBefore, Torn};
        matches!(self, DieBefore | DieAfter | Torn | Fails | FreezeBefore | FreezeAfter)
    }
}

#[derive(Debug)]
struct State {
    chance: Chance,
    percent: u32,
    doomed: bool,
    sheltered: bool,
    trace: DefaultHasher,
    events: Option<Vec<String>>,
    injected: BTreeMap<Fault, u64>,
    violations: Vec<String>,
}

/// The plan of one run, shared by everything in it.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<State>>);

impl Faults {
    /// The plan of `seed`: about `percent` of all effects go wrong. `verbose` keeps the events for printing.
    pub fn new(seed: u64, percent: u32, verbose: bool) -> Faults {
        Faults(Arc::new(Mutex::new(State {
            chance: Chance::new(seed, 1),
            percent,
            doomed: false,
            sheltered: false,
            trace: DefaultHasher::new(),
            events: verbose.then(Vec::new),
            injected: BTreeMap::new(),
            violations: Vec::new(),
        })))
    }

    /// Which of `faults` happens now, if any.
    pub fn choose(&self, place: &str, faults: &[Fault]) -> Option<Fault> {
        let mut state = self.0.lock();
        let percent = state.percent;
        if faults.is_empty() || !state.chance.percent(percent) {
            return None;
        }
        let fault = *state.chance.pick(faults);
        if state.sheltered && fault.is_lethal() {
            return None;
        }
        *state.injected.entry(fault).or_default() += 1;
        drop(state);
        self.note(|| format!("{place}: {fault:?}"));
        Some(fault)
    }

    /// A decision within a fault, such as where to cut a batch.
    pub fn below(&self, limit: usize) -> usize {
        self.0.lock().chance.below(limit)
    }

    /// No faults from now on.
    pub fn heal(&self) {
        self.0.lock().percent = 0;
        self.note(|| "healed".to_owned());
    }

    /// Faults are still possible.
    pub fn are_on(&self) -> bool {
        self.0.lock().percent > 0
    }

    /// Until the step ends, nothing that kills happens: one more death and the stage would take what is in hand for poison.
    pub fn shelter(&self, sheltered: bool) {
        self.0.lock().sheltered = sheltered;
    }

    /// The actor that is stepping has to die after this step: for effects on other threads, where a panic would not reach it.
    pub fn doom(&self) {
        self.0.lock().doomed = true;
    }

    /// Whether the actor that stepped has to die.
    pub fn take_doom(&self) -> bool {
        std::mem::take(&mut self.0.lock().doomed)
    }

    /// Notes an event: part of the trace that a replay of the seed has to repeat.
    pub fn note(&self, event: impl FnOnce() -> String) {
        let event = event();
        let mut state = self.0.lock();
        event.hash(&mut state.trace);
        if let Some(events) = &mut state.events {
            events.push(event);
        }
    }

    /// Something that must never happen has happened.
    pub fn violated(&self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.0.lock().violations.push(what);
    }

    /// The first violation noted.
    pub fn violation(&self) -> Option<String> {
        self.0.lock().violations.first().cloned()
    }

    /// A digest of everything that happened.
    pub fn trace(&self) -> u64 {
        self.0.lock().trace.finish()
    }

    /// The events, if they were kept.
    pub fn events(&self) -> Vec<String> {
        self.0.lock().events.clone().unwrap_or_default()
    }

    /// How often each fault happened.
    pub fn injected(&self) -> BTreeMap<Fault, u64> {
        self.0.lock().injected.clone()
    }
}

/// Dies as a process does: by unwinding with a payload that the scheduler knows.
pub fn die() -> ! {
    std::panic::panic_any(Crash)
}
