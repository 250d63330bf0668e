//! A mailbox session whose calls go wrong as the fault plan says.
//!
//! The real session does the work; this one decides whether, when and how much of it. It also takes partitions away and gives
//! them back, which the embedded mailbox itself never does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reprise::mailbox::{Ledger, Mailbox, MailboxError, Outgoing, Polled, Progress, Session, SessionSpec, TopicPartition};
use reprise::records::Version;

use crate::broken::Broken;
use crate::faults::{Fault, Faults, die};

/// See the module.
pub struct FaultySession {
    inner: Box<dyn Session>,
    mailbox: Arc<dyn Mailbox>,
    spec: SessionSpec,
    faults: Faults,
    broken: Option<Broken>,
    owned: BTreeSet<TopicPartition>,
    lost: BTreeSet<TopicPartition>,
    /// Of those, what the next poll has yet to tell.
    untold: Vec<TopicPartition>,
}

fn away() -> MailboxError {
    MailboxError::Unavailable("the simulated broker is away".to_owned())
}

impl FaultySession {
    /// Opens a session of `mailbox`, or fails to.
    pub fn open(
        mailbox: &Arc<dyn Mailbox>,
        spec: &SessionSpec,
        faults: &Faults,
        broken: Option<Broken>,
    ) -> Result<FaultySession, MailboxError> {
        if faults.choose(&format!("{} open", spec.group), &[Fault::Away]).is_some() {
            return Err(away());
        }
        let (inner, mailbox) = (mailbox.open(spec)?, Arc::clone(mailbox));
        let (faults, spec) = (faults.clone(), spec.clone());
        Ok(FaultySession {
            inner,
            mailbox,
            spec,
            faults,
            broken,
            owned: BTreeSet::new(),
            lost: BTreeSet::new(),
            untold: Vec::new(),
        })
    }

    fn choose(&self, call: &str, faults: &[Fault]) -> Option<Fault> {
        self.faults.choose(&format!("{} {call}", self.spec.group), faults)
    }

    /// Takes a partition away: another session might work on it now.
    fn revoke(&mut self) -> Polled {
        let left: Vec<TopicPartition> = self.owned.difference(&self.lost).copied().collect();
        let Some(at) = left.get(self.faults.below(left.len())).copied() else { return Polled::default() };
        self.lost.insert(at);
        Polled { revoked: vec![at], ..Polled::default() }
    }

    /// Gives back what was taken away. Reading goes on where the group stands.
    fn give_back(&mut self) -> Result<Polled, MailboxError> {
        let committed = self.mailbox.committed(&self.spec.group, &self.spec.topics)?;
        for at in std::mem::take(&mut self.lost) {
            let next = committed.iter().find(|place| place.at == at).map_or(0, |place| place.next_offset);
            self.inner.seek(at, next)?;
            self.lost.remove(&at);
            self.owned.insert(at);
        }
        Ok(Polled { assigned: self.owned.iter().copied().collect(), ..Polled::default() })
    }

    /// Half of the publication is written when the process dies: all of it has to be undone.
    fn tear(&mut self, records: &[Outgoing], progress: &[Progress]) -> ! {
        let half = &records[..self.faults.below(records.len() + 1)];
        // An offset beyond the end is refused inside the transaction, after the records were written in it.
        let beyond = |at: &TopicPartition| Progress { at: *at, next_offset: i64::MAX, counts: Ledger::default() };
        let steps: Vec<Progress> = progress.iter().copied().chain(self.owned.first().map(beyond)).collect();
        if self.inner.publish(half, &steps).is_ok() && !self.owned.is_empty() {
            self.faults.violated(format!("{}: an offset beyond the end was committed", self.spec.group));
        }
        die()
    }

    fn publish_faulty(&mut self, fault: Fault, records: &[Outgoing], progress: &[Progress]) -> Result<(), MailboxError> {
        match fault {
            Fault::DieBefore => die(),
            Fault::DieAfter => {
                let _fenced = self.inner.publish(records, progress);
                die()
            }
            Fault::Torn => self.tear(records, progress),
            Fault::Unheard => {
                self.inner.publish(records, progress)?;
                Err(away())
            }
            Fault::Fails => {
                self.inner.publish(records, progress)?;
                Err(MailboxError::Failed("the simulated broker broke the connection after the commit".to_owned()))
            }
            Fault::CommitLost => self.inner.publish(records, &[]),
            // Without transactions some records may stay behind.
            Fault::Partly => {
                self.inner.publish(&records[..self.faults.below(records.len() + 1)], &[])?;
                Err(away())
            }
            Fault::Revoked => Err(MailboxError::Revoked("simulated".to_owned())),
            _ => Err(away()),
        }
    }
}

impl Session for FaultySession {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, MailboxError> {
        if !self.untold.is_empty() {
            return Ok(Polled { revoked: std::mem::take(&mut self.untold), ..Polled::default() });
        }
        if !self.lost.is_empty() && (!self.faults.are_on() || self.faults.below(3) == 0) {
            return self.give_back();
        }
        match self.choose("poll", &[Fault::Away, Fault::Delay, Fault::Revoked, Fault::DieBefore]) {
            Some(Fault::Delay) => return Ok(Polled::default()),
            Some(Fault::Revoked) => return Ok(self.revoke()),
            Some(Fault::DieBefore) => die(),
            Some(_) => return Err(away()),
            None => {}
        }
        // Batches of every size; large ones once healed, so that the rest is quickly done.
        let max = if self.faults.are_on() { 1 + self.faults.below(max) } else { max };
        let mut polled = self.inner.poll(max, wait)?;
        self.owned.extend(&polled.assigned);
        polled.messages.retain(|message| !self.lost.contains(&message.at));
        Ok(polled)
    }

    fn idle(&mut self) -> Result<(), MailboxError> {
        self.inner.idle()
    }

    fn seek(&mut self, at: TopicPartition, next_offset: i64) -> Result<(), MailboxError> {
        if self.lost.contains(&at) {
            return Err(MailboxError::Revoked(at.to_string()));
        }
        match self.choose("seek", &[Fault::Away, Fault::DieBefore, Fault::Revoked]) {
            Some(Fault::DieBefore) => die(),
            // Taken away between two polls.
            Some(Fault::Revoked) => {
                self.lost.insert(at);
                self.untold.push(at);
                Err(MailboxError::Revoked(at.to_string()))
            }
            Some(_) => Err(away()),
            None => self.inner.seek(at, next_offset),
        }
    }

    fn publish(&mut self, records: &[Outgoing], progress: &[Progress]) -> Result<(), MailboxError> {
        if let Some(step) = progress.iter().find(|step| self.lost.contains(&step.at)) {
            return Err(MailboxError::Revoked(step.at.to_string()));
        }
        let mut possible =
            vec![Fault::Away, Fault::DieBefore, Fault::DieAfter, Fault::Torn, Fault::Unheard, Fault::Fails, Fault::Revoked];
        if !self.spec.transactional {
            possible.extend([Fault::CommitLost, Fault::CommitLost, Fault::Partly]);
        }
        match self.choose("publish", &possible) {
            Some(fault) => self.publish_faulty(fault, records, progress),
            None => self.inner.publish(records, progress),
        }
    }

    fn rewind(&mut self) -> Result<(), MailboxError> {
        match self.choose("rewind", &[Fault::Away, Fault::DieBefore]) {
            Some(Fault::DieBefore) => die(),
            Some(_) => Err(away()),
            None => self.inner.rewind(),
        }
    }

    fn heads(&mut self, at: TopicPartition, keys: &[String]) -> Result<Vec<Option<Version>>, MailboxError> {
        if self.broken == Some(Broken::NoGuardInTransformer) {
            return Ok(vec![None; keys.len()]);
        }
        match self.choose("heads", &[Fault::Away, Fault::DieBefore]) {
            Some(Fault::DieBefore) => die(),
            Some(_) => Err(away()),
            None => self.inner.heads(at, keys),
        }
    }

    fn lag(&self) -> Vec<(TopicPartition, u64)> {
        self.inner.lag()
    }
}
