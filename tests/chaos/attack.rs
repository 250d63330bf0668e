//! Carries the plan out, and heals afterwards.

use std::thread;
use std::time::{Duration, Instant};

use reprise::sandbox::{Sandbox, Search};
use reprise::service::{StageName, open_mailbox, progress};

use crate::fleet::{FEWEST, Fleet, MOST};
use crate::plan::{Event, Plan};
use crate::process::Settings;
use crate::servers::{Server, Servers};
use crate::stream::Stream;

/// Between two looks at everything.
const LOOK: Duration = Duration::from_millis(50);

/// Most time to catch up in after everything is healed: the backlog of the whole run included.
const CATCH_UP: Duration = Duration::from_secs(420);

/// What heals an event, and when.
type Cure = (Instant, Deed);

enum Deed {
    Thaw(String),
    ReviveBroker,
    ThawBroker,
    ReviveDatabase,
    ThawDatabase,
}

/// What happened.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub kills: usize,
    pub freezes: usize,
    pub stops: usize,
    pub additions: usize,
    pub broker_outages: usize,
    pub database_outages: usize,
    /// Servers that stood still.
    pub server_freezes: usize,
}

/// What is left when everything is healed and stopped.
pub struct Evidence {
    pub tally: Tally,
    pub searches: Vec<Search>,
    pub refused: usize,
    pub surprises: Vec<String>,
    pub drained: bool,
    /// For the questions that follow; the servers live as long as this.
    pub settings: Settings,
    pub seconds_to_catch_up: f64,
    _servers: Servers,
}

impl Evidence {
    pub fn summary(&self) -> String {
        let tally = &self.tally;
        format!(
            "{} kills, {} freezes, {} stops and {} additions of instances; {} broker and {} database outages, {} servers frozen; \
             {} searches enqueued, {} attempts refused meanwhile; {} instances ended by themselves; caught up in {:.1} s",
            tally.kills,
            tally.freezes,
            tally.stops,
            tally.additions,
            tally.broker_outages,
            tally.database_outages,
            tally.server_freezes,
            self.searches.len(),
            self.refused,
            self.surprises.len(),
            self.seconds_to_catch_up,
        )
    }
}

/// See the module.
pub struct Attack<'a> {
    servers: Servers,
    settings: Settings,
    fleet: Fleet,
    stream: Stream,
    plan: Plan,
    cures: Vec<Cure>,
    tally: Tally,
    began: Instant,
    sandbox: &'a Sandbox,
}

impl<'a> Attack<'a> {
    pub fn new(servers: Servers, settings: Settings, sandbox: &'a Sandbox, seed: u64) -> Attack<'a> {
        Attack {
            fleet: Fleet::new(settings.clone()),
            stream: Stream::new(&settings),
            servers,
            settings,
            plan: Plan::new(seed),
            cures: Vec::new(),
            tally: Tally::default(),
            began: Instant::now(),
            sandbox,
        }
    }

    /// Breaks things for this long.
    pub fn rage(&mut self, long: Duration) {
        let mut next = self.plan.next();
        let mut due = self.began + next.0;
        while self.began.elapsed() < long {
            self.tend(true);
            if Instant::now() >= due {
                self.happen(next.1);
                next = self.plan.next();
                due = Instant::now() + next.0;
            }
            thread::sleep(LOOK);
        }
    }

    /// What goes on whatever happens.
    fn tend(&mut self, more: bool) {
        let now = Instant::now();
        let (due, later): (Vec<Cure>, Vec<Cure>) = std::mem::take(&mut self.cures).into_iter().partition(|(at, _)| *at <= now);
        self.cures = later;
        for (_, deed) in due {
            self.cure(deed);
        }
        self.servers.broker.is_up();
        self.servers.database.is_up();
        self.fleet.look_after();
        self.stream.flow(more);
    }

    fn say(&self, text: &str) {
        let calls = self.sandbox.calls().total;
        println!(
            "{:7.1} s  {text} ({} searches, {calls} calls so far)",
            self.began.elapsed().as_secs_f64(),
            self.stream.enqueued.len()
        );
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::KillInstance => {
                let victim = self.plan.pick(self.fleet.members.len());
                let name = self.fleet.kill(victim);
                self.tally.kills += 1;
                self.say(&format!("kill -9 {name}"));
            }
            Event::FreezeInstance(long) => {
                let victim = self.plan.pick(self.fleet.members.len());
                let name = self.fleet.members[victim].name.clone();
                self.fleet.freeze(&name, true);
                self.tally.freezes += 1;
                self.say(&format!("freeze {name} for {long:?}"));
                self.cures.push((Instant::now() + long, Deed::Thaw(name)));
            }
            Event::Scale => self.scale(),
            Event::KillBroker(long) => self.break_server(true, true, long),
            Event::FreezeBroker(long) => self.break_server(true, false, long),
            Event::KillDatabase(long) => self.break_server(false, true, long),
            Event::FreezeDatabase(long) => self.break_server(false, false, long),
        }
    }

    fn scale(&mut self) {
        let count = self.fleet.members.len();
        if count < MOST && (count == FEWEST || self.plan.pick(2) == 0) {
            let name = self.fleet.add();
            self.tally.additions += 1;
            self.say(&format!("add {name}"));
        } else {
            let victim = self.plan.pick(count);
            let began = Instant::now();
            let name = self.fleet.stop(victim);
            self.tally.stops += 1;
            self.say(&format!("stop {name}, which took {:.1} s", began.elapsed().as_secs_f64()));
        }
    }

    fn break_server(&mut self, broker: bool, kill: bool, long: Duration) {
        let server: &mut Server = if broker { &mut self.servers.broker } else { &mut self.servers.database };
        let name = server.name;
        if !server.is_up() || self.cures.iter().any(|(_, deed)| deed.is_about(broker)) {
            self.say(&format!("the {name} is down or frozen already"));
            return;
        }
        match (kill, broker) {
            (true, true) => self.tally.broker_outages += 1,
            (true, false) => self.tally.database_outages += 1,
            (false, _) => self.tally.server_freezes += 1,
        }
        if kill {
            server.kill()
        } else {
            server.signal("STOP")
        }
        let deed = match (kill, broker) {
            (true, true) => Deed::ReviveBroker,
            (true, false) => Deed::ReviveDatabase,
            (false, true) => Deed::ThawBroker,
            (false, false) => Deed::ThawDatabase,
        };
        self.cures.push((Instant::now() + long, deed));
        self.say(&format!("{} the {name} for {long:?}", if kill { "kill -9" } else { "freeze" }));
    }

    fn cure(&mut self, deed: Deed) {
        match deed {
            Deed::Thaw(name) => {
                self.fleet.freeze(&name, false);
                self.say(&format!("{name} goes on"));
            }
            Deed::ReviveBroker => self.servers.broker.revive(),
            Deed::ThawBroker => self.servers.broker.signal("CONT"),
            Deed::ReviveDatabase => self.servers.database.revive(),
            Deed::ThawDatabase => self.servers.database.signal("CONT"),
        }
    }

    /// Lets everything come back, and waits until all is worked off.
    pub fn heal(mut self) -> Evidence {
        self.say("healing");
        for (_, deed) in std::mem::take(&mut self.cures) {
            self.cure(deed);
        }
        let began = Instant::now();
        let drained = self.catch_up(began + CATCH_UP);
        let seconds_to_catch_up = began.elapsed().as_secs_f64();
        self.say(if drained { "all is worked off" } else { "NOT worked off" });
        while !self.fleet.members.is_empty() {
            let name = self.fleet.stop(0);
            self.say(&format!("stop {name}"));
        }
        Evidence {
            tally: self.tally,
            searches: self.stream.enqueued,
            refused: self.stream.refused,
            surprises: self.fleet.surprises,
            drained,
            settings: self.settings,
            seconds_to_catch_up,
            _servers: self.servers,
        }
    }

    fn catch_up(&mut self, deadline: Instant) -> bool {
        let mailbox = open_mailbox(&self.settings.config()).expect("the mailbox opens");
        while Instant::now() < deadline {
            self.tend(false);
            let up = self.servers.broker.is_up() && self.servers.database.is_up() && self.stream.is_settled();
            if up && progress::is_drained(&*mailbox, &StageName::FLOW).unwrap_or(false) {
                return true;
            }
            thread::sleep(LOOK);
        }
        false
    }
}

impl Deed {
    fn is_about(&self, broker: bool) -> bool {
        match self {
            Deed::Thaw(_) => false,
            Deed::ReviveBroker | Deed::ThawBroker => broker,
            Deed::ReviveDatabase | Deed::ThawDatabase => !broker,
        }
    }
}
