//! The instances: two to four `reprise run`, each with a data directory of its own.

use std::time::Duration;

use crate::process::{Reprise, Settings};

/// Instances at least and at most.
pub const FEWEST: usize = 2;
pub const MOST: usize = 4;

/// Longer than the default grace period of every actor of an instance in turn.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// An instance: its place, and the process that is there now.
pub struct Member {
    pub name: String,
    settings: Settings,
    process: Reprise,
    pub frozen: bool,
}

/// See the module.
pub struct Fleet {
    base: Settings,
    pub members: Vec<Member>,
    /// Stopped members' places are used again, as a cluster does.
    free: Vec<(String, Settings)>,
    made: usize,
    /// What ended without having been killed, with the end of its log.
    pub surprises: Vec<String>,
}

impl Fleet {
    pub fn new(base: Settings) -> Fleet {
        let mut fleet = Fleet { base, members: Vec::new(), free: Vec::new(), made: 0, surprises: Vec::new() };
        while fleet.members.len() < FEWEST {
            fleet.add();
        }
        fleet
    }

    /// One more.
    pub fn add(&mut self) -> String {
        let (name, settings) = self.free.pop().unwrap_or_else(|| {
            self.made += 1;
            let name = format!("instance {}", self.made);
            let data = self.base.folder().join(&name).join("data");
            let place = Settings { folder: self.base.folder().join(&name), ..self.base.clone() };
            (name, place.with("data_dir", data.display()))
        });
        let process = settings.start(&["run"]);
        self.members.push(Member { name: name.clone(), settings, process, frozen: false });
        name
    }

    /// `kill -9`, and a fresh one in its place.
    pub fn kill(&mut self, index: usize) -> String {
        let member = &mut self.members[index];
        let fresh = |settings: &Settings| settings.start(&["run"]);
        member.process.kill_now();
        member.process = fresh(&member.settings);
        member.frozen = false;
        member.name.clone()
    }

    /// Stands still, or goes on.
    pub fn freeze(&mut self, name: &str, frozen: bool) {
        // It may have been killed or stopped meanwhile.
        for member in self.members.iter_mut().filter(|member| member.name == name && member.frozen != frozen) {
            member.process.signal(if frozen { "STOP" } else { "CONT" });
            member.frozen = frozen;
        }
    }

    /// A kind stop of one; it must end well.
    pub fn stop(&mut self, index: usize) -> String {
        let member = self.members.remove(index);
        if member.frozen {
            member.process.signal("CONT");
        }
        member.process.signal("TERM");
        let ended = member.process.end(STOP_LIMIT);
        if ended.code != Some(0) {
            self.surprises.push(format!("{} ended with {:?} when stopped: {}", member.name, ended.code, tail(&ended.log)));
        }
        self.free.push((member.name.clone(), member.settings));
        member.name
    }

    /// Replaces what has ended by itself, as the system that keeps services running would.
    pub fn look_after(&mut self) {
        for member in &mut self.members {
            if let Some(ended) = member.process.ended() {
                self.surprises.push(format!("{} ended by itself with {:?}: {}", member.name, ended.code, tail(&ended.log)));
                member.process = member.settings.start(&["run"]);
                member.frozen = false;
            }
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.trim_end().lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
