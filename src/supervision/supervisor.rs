//! The supervisor: an actor that starts, watches, restarts and stops its children.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, SpawnHandle, StreamHandler};
use actix_rt::Arbiter;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::launch::{Birth, Control, Exit, KillSwitch, Launch, Report, Running, retire};
use super::pulse::Pulse;
use super::spec::{ChildSpec, Intensity, Restart, SupervisorSpec};
use crate::records::now_micros;

/// How often signs of life are looked at: an eighth of the shortest hang limit, within these bounds.
const TICK_MIN: Duration = Duration::from_millis(20);
const TICK_MAX: Duration = Duration::from_secs(1);

/// A supervisor that comes to look this many ticks late stood still itself, with the whole process as a rule (stopped by a
/// signal, a frozen container, a suspended machine): what its children did not say meanwhile tells nothing about them.
const TICKS_LATE: u32 = 5;

/// Restarts in a row without progress that end the patience however slowly they come, as a multiple of the intensity's: a child
/// that hangs, or that takes long to fail, never fails often within its time.
const IN_A_ROW: u32 = 2;

/// A supervisor that lived this long before it escalated has been of use.
const OF_USE: Duration = Duration::from_secs(3_600);

/// Dead incarnations' threads that still block, of one child: more than this and only a new process can help.
const ABANDONED_MAX: u32 = 4;

/// See the module. Nested supervisors are children like any other.
#[derive(Debug)]
pub struct Supervisor {
    spec: SupervisorSpec,
    launch: Launch,
    path: String,
    slots: Vec<Slot>,
    reports: Option<UnboundedReceiver<Report>>,
    reporter: UnboundedSender<Report>,
    recent: VecDeque<Instant>,
    looked: Instant,
    stopping: Option<Stopping>,
    rng: SmallRng,
}

#[derive(Debug)]
struct Slot {
    spec: ChildSpec,
    generation: u64,
    attempt: u32,
    /// Lives in a row that were of no use.
    in_vain: u32,
    life: Option<Life>,
    restart: Option<SpawnHandle>,
}

struct Life {
    arbiter: Arbiter,
    running: Option<Running>,
    pulse: Pulse,
    kill: KillSwitch,
    born: Instant,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").field("born", &self.born).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Stopping {
    exit: Exit,
    deadline: Option<(usize, Instant)>,
}

/// Start the child of this index, if it is still generation `after`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct StartChild {
    child: usize,
    after: u64,
}

impl Supervisor {
    /// A supervisor that starts its children when it starts itself.
    pub fn new(spec: SupervisorSpec, launch: Launch) -> Supervisor {
        let (reporter, reports) = unbounded_channel();
        let path = launch.board.actor(&launch.name).map_or_else(|| launch.name.clone(), |report| report.path);
        let slots = spec.children.iter().cloned().map(Slot::new).collect();
        Supervisor {
            spec,
            launch,
            path,
            slots,
            reports: Some(reports),
            reporter,
            recent: VecDeque::new(),
            looked: Instant::now(),
            stopping: None,
            rng: SmallRng::from_os_rng(),
        }
    }

    fn start_child(&mut self, child: usize) {
        let Some(slot) = self.slots.get_mut(child) else { return };
        slot.generation += 1;
        slot.restart = None;
        let launch = Launch {
            name: slot.spec.name.clone(),
            generation: slot.generation,
            pulse: Pulse::new(),
            exit: super::ExitSlot::default(),
            kill: KillSwitch::default(),
            board: self.launch.board.clone(),
        };
        let path = format!("{}/{}", self.path, slot.spec.name);
        self.launch.board.starting(&slot.spec, &path, slot.generation, &launch.pulse);
        let (pulse, kill) = (launch.pulse.clone(), launch.kill.clone());
        let arbiter = (slot.spec.spawn)(Birth { child, launch, reports: self.reporter.clone() });
        slot.life = Some(Life { arbiter, running: None, pulse, kill, born: Instant::now() });
    }

    fn child_started(&mut self, child: usize, generation: u64, running: Running) {
        let Some(slot) = self.slots.get_mut(child) else { return };
        let Some(life) = slot.life.as_mut().filter(|_| slot.generation == generation) else {
            // It was given up while it started: nothing of it may go on.
            running.abort.abort();
            return;
        };
        self.launch.board.running(&slot.spec.name, running.control.clone(), running.abort.clone());
        life.running = Some(running);
    }

    fn child_ended(&mut self, child: usize, generation: u64, exit: Exit, ctx: &mut Context<Self>) {
        let Some(slot) = self.slots.get_mut(child).filter(|slot| slot.generation == generation) else { return };
        let Some(life) = slot.life.take() else { return };
        life.kill.kill();
        let progressed = !slot.spec.is_supervisor && life.pulse.beats() > 0;
        // What it hung for was no life.
        let lived = life.born.elapsed().saturating_sub(if let Exit::Hung(age) = &exit { *age } else { Duration::ZERO });
        let name = slot.spec.name.clone();
        retire(&name, life.arbiter, &self.launch.board);
        self.launch.board.ended(&name, &exit);
        if self.stopping.is_some() {
            self.launch.board.given_up(&name, &exit);
            self.stop_next(ctx);
            return;
        }
        let restart = match (slot.spec.restart, &exit) {
            (Restart::Temporary, _) | (_, Exit::Stopped(_)) | (Restart::Transient, Exit::Normal) => false,
            (Restart::Permanent | Restart::Transient, _) => true,
        };
        if !restart {
            self.launch.board.settled(&name, &exit);
            match &exit {
                Exit::Stopped(_) => {
                    slog_scope::error!("An actor gave up; nothing restarts it but you."; "actor" => &name, "reason" => %exit);
                }
                _ => slog_scope::info!("An actor ended."; "actor" => &name, "reason" => %exit),
            }
            return;
        }
        self.restart_child(child, &exit, progressed, lived, ctx);
    }

    fn restart_child(&mut self, child: usize, exit: &Exit, progressed: bool, lived: Duration, ctx: &mut Context<Self>) {
        let too_many = self.too_many(exit, progressed);
        let Intensity { restarts, .. } = self.spec.intensity;
        let reset_after = self.spec.backoff.reset_after;
        let Some(slot) = self.slots.get_mut(child) else { return };
        let of_use = progressed || lived >= if slot.spec.is_supervisor { reset_after.max(OF_USE) } else { reset_after };
        if progressed || lived >= reset_after {
            slot.attempt = 0;
        }
        match exit {
            _ if of_use => slot.in_vain = 0,
            Exit::Killed => {}
            _ => slot.in_vain = slot.in_vain.saturating_add(1),
        }
        let in_a_row = restarts.saturating_mul(IN_A_ROW);
        let too_many =
            too_many.or_else(|| (slot.in_vain > in_a_row).then(|| format!("more than {in_a_row} restarts in a row")));
        if let Some(too_many) = too_many {
            let name = slot.spec.name.clone();
            self.launch.board.given_up(&name, exit);
            let why = format!("{}: child {name} {exit}; {too_many} without progress", self.path);
            self.give_up(Exit::Escalated(why), ctx);
            return;
        }
        let delay = self.spec.backoff.delay(slot.attempt, &mut self.rng);
        let at = now_micros().saturating_add(i64::try_from(delay.as_micros()).unwrap_or(0));
        slog_scope::warn!("An actor is restarted."; "actor" => &slot.spec.name, "reason" => %exit,
            "attempt" => slot.attempt + 1, "delay_ms" => u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self.launch.board.restarting(&slot.spec.name, slot.attempt, at, exit);
        slot.attempt = slot.attempt.saturating_add(1);
        let after = slot.generation;
        slot.restart = Some(ctx.notify_later(StartChild { child, after }, delay));
    }

    /// Counts the restart, unless the child made progress or an operator asked for it, and tells if it is one too many.
    fn too_many(&mut self, exit: &Exit, progressed: bool) -> Option<String> {
        if progressed || *exit == Exit::Killed {
            return None;
        }
        let now = Instant::now();
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|at| now.duration_since(*at) > self.spec.intensity.within) {
            self.recent.pop_front();
        }
        let Intensity { restarts, within } = self.spec.intensity;
        let many = self.recent.len() > usize::try_from(restarts).unwrap_or(usize::MAX);
        many.then(|| format!("more than {restarts} restarts within {} s", within.as_secs_f64()))
    }

    fn watch(&mut self, ctx: &mut Context<Self>) {
        self.launch.pulse.alive();
        let late = self.looked.elapsed();
        self.looked = Instant::now();
        if late > self.tick() * TICKS_LATE {
            for life in self.slots.iter().filter_map(|slot| slot.life.as_ref()) {
                life.pulse.alive();
            }
            if let Some((_, deadline)) = self.stopping.as_mut().and_then(|stopping| stopping.deadline.as_mut()) {
                *deadline += late;
            }
        }
        let mut hung = Vec::new();
        for (child, slot) in self.slots.iter().enumerate() {
            let Some(life) = &slot.life else { continue };
            let age = life.pulse.age();
            if age > slot.spec.hang_after {
                hung.push((child, slot.generation, age));
            }
        }
        for (child, generation, age) in hung {
            self.kill(child);
            self.child_ended(child, generation, Exit::Hung(age), ctx);
            let name = self.slots.get(child).map_or("", |slot| slot.spec.name.as_str());
            let abandoned = self.launch.board.actor(name).map_or(0, |report| report.abandoned_threads);
            if abandoned > ABANDONED_MAX && self.stopping.is_none() {
                let why =
                    format!("{}: child {name} hung again and again; {abandoned} of its threads cannot be ended", self.path);
                self.give_up(Exit::Escalated(why), ctx);
            }
        }
        self.enforce_grace(ctx);
    }

    fn kill(&mut self, child: usize) {
        if let Some(life) = self.slots.get(child).and_then(|slot| slot.life.as_ref()) {
            life.kill.kill();
            if let Some(running) = &life.running {
                running.abort.abort();
            }
        }
    }

    fn give_up(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        if self.stopping.is_none() {
            slog_scope::error!("A supervisor gives up."; "supervisor" => &self.path, "reason" => %exit);
            self.stopping = Some(Stopping { exit, deadline: None });
            self.stop_next(ctx);
        }
    }

    /// Drains the last child that still lives; when none does, ends the supervisor.
    fn stop_next(&mut self, ctx: &mut Context<Self>) {
        for slot in &mut self.slots {
            if let Some(restart) = slot.restart.take() {
                ctx.cancel_future(restart);
            }
        }
        let last = self.slots.iter().rposition(|slot| slot.life.is_some());
        let Some(stopping) = &mut self.stopping else { return };
        let Some(child) = last else {
            self.launch.exit.set(stopping.exit.clone());
            ctx.stop();
            return;
        };
        let Some(slot) = self.slots.get(child) else { return };
        stopping.deadline = Some((child, Instant::now() + slot.spec.grace));
        if let Some(running) = slot.life.as_ref().and_then(|life| life.running.as_ref()) {
            running.control.do_send(Control::Drain);
        }
    }

    /// A child that outlives its grace is killed; if its thread blocks, it is left behind.
    fn enforce_grace(&mut self, ctx: &mut Context<Self>) {
        let Some((child, deadline)) = self.stopping.as_ref().and_then(|stopping| stopping.deadline) else { return };
        if Instant::now() < deadline {
            return;
        }
        self.kill(child);
        let generation = self.slots.get(child).map_or(0, |slot| slot.generation);
        self.child_ended(child, generation, Exit::Killed, ctx);
    }

    fn tick(&self) -> Duration {
        let shortest = self.spec.children.iter().map(|child| child.hang_after).min().unwrap_or(TICK_MAX);
        (shortest / 8).clamp(TICK_MIN, TICK_MAX)
    }
}

impl Slot {
    fn new(spec: ChildSpec) -> Slot {
        Slot { spec, generation: 0, attempt: 0, in_vain: 0, life: None, restart: None }
    }
}

impl Actor for Supervisor {
    type Context = Context<Supervisor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(reports) = self.reports.take() {
            ctx.add_stream(futures::stream::unfold(reports, |mut reports| async move {
                reports.recv().await.map(|report| (report, reports))
            }));
        }
        for child in 0..self.slots.len() {
            self.start_child(child);
        }
        ctx.run_interval(self.tick(), |supervisor, ctx| supervisor.watch(ctx));
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        // Reached with children alive only when the supervisor itself was killed: they must not outlive it.
        for slot in &mut self.slots {
            if let Some(life) = slot.life.take() {
                life.kill.kill();
                if let Some(running) = &life.running {
                    running.abort.abort();
                }
                retire(&slot.spec.name, life.arbiter, &self.launch.board);
                self.launch.board.ended(&slot.spec.name, &Exit::Killed);
            }
        }
    }
}

impl StreamHandler<Report> for Supervisor {
    fn handle(&mut self, report: Report, ctx: &mut Self::Context) {
        match report {
            Report::Started { child, generation, running } => {
                self.child_started(child, generation, running);
                if self.stopping.is_some() {
                    self.stop_next(ctx);
                }
            }
            Report::Ended { child, generation, exit } => self.child_ended(child, generation, exit, ctx),
        }
    }
}

impl Handler<StartChild> for Supervisor {
    type Result = ();

    fn handle(&mut self, start: StartChild, _ctx: &mut Self::Context) {
        let current = self.slots.get(start.child).is_some_and(|slot| slot.generation == start.after && slot.life.is_none());
        if current && self.stopping.is_none() {
            self.start_child(start.child);
        }
    }
}

impl Handler<Control> for Supervisor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Drain => {
                if self.stopping.is_none() {
                    self.stopping = Some(Stopping { exit: Exit::Normal, deadline: None });
                    self.stop_next(ctx);
                }
            }
            Control::Pause | Control::Resume => {
                for running in self.slots.iter().filter_map(|slot| slot.life.as_ref()?.running.as_ref()) {
                    running.control.do_send(control);
                }
            }
            Control::Crash => panic!("crash injected into supervisor {}", self.path),
        }
    }
}
