//! A store whose writes go wrong as the fault plan says; the real one does the work.

use std::collections::BTreeMap;
use std::sync::Arc;

use reprise::mailbox::{Ledger, TopicPartition};
use reprise::records::{Row, SongRow, Topic, Version};
use reprise::store::{Advance, Applied, Change, Claim, Finding, Known, KnownKey, MigrationReport, Store, StoreError, Summary};

use crate::broken::{Broken, Mistake};
use crate::faults::{Fault, Faults, die};

/// See the module.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Faults,
    broken: Option<Broken>,
    mistake: Mistake,
}

fn away() -> StoreError {
    StoreError::Unavailable("the simulated database is away".to_owned())
}

impl FaultyStore {
    /// `inner` with faults and possibly a mistake.
    pub fn new(inner: Arc<dyn Store>, faults: &Faults, broken: Option<Broken>) -> FaultyStore {
        FaultyStore { inner, faults: faults.clone(), broken, mistake: Mistake::default() }
    }

    /// Store calls run on a thread of their own, where a panic ends that thread only: the actor is marked, and dies when the
    /// call comes back.
    fn die_with_actor(&self) -> StoreError {
        self.faults.doom();
        away()
    }

    fn write(&self, changes: &[Change], advances: &[Advance]) -> Result<Applied, StoreError> {
        match self.broken {
            Some(Broken::NoGuard) => self.inner.apply(&self.mistake.by_arrival(changes), advances),
            Some(Broken::ForgetStub) => {
                self.mistake.parents_there(changes)?;
                let applied = self.inner.apply(changes, advances)?;
                self.mistake.written(changes);
                Ok(applied)
            }
            _ => self.inner.apply(changes, advances),
        }
    }

    /// The last row of the batch is refused by the database after the others were merged: nothing of it may stay.
    fn tear(&self, changes: &[Change], advances: &[Advance]) -> StoreError {
        let mut torn = changes[..self.faults.below(changes.len() + 1)].to_vec();
        torn.push(refused(torn.len()));
        if self.inner.apply(&torn, advances).is_ok() {
            self.faults.violated("the database took a row that its constraints forbid".to_owned());
        }
        self.die_with_actor()
    }
}

/// A row that no database of ours takes: the popularity is out of range.
fn refused(number: usize) -> Change {
    let at = TopicPartition { topic: Topic::MusicTransformed, partition: 0 };
    Change { at, row: Row::Song(refused_song(number)), version: Version { observed_at: i64::MAX, tiebreak: 0 } }
}

/// See [`refused`].
pub fn refused_song(number: usize) -> SongRow {
    SongRow {
        song_id: format!("refused-{number}"),
        song_name: "Refused".to_owned(),
        artist_id: format!("refused-artist-{number}"),
        album_id: None,
        duration_ms: None,
        duration_seconds: None,
        duration_minutes: None,
        release_date: None,
        release_date_precision: None,
        is_explicit: None,
        popularity: Some(5_000),
        track_number: None,
        is_playable: None,
        isrc: None,
    }
}

impl Store for FaultyStore {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn migrate(&self) -> Result<MigrationReport, StoreError> {
        self.inner.migrate()
    }

    fn claim(&self, partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        match self.faults.choose("store claim", &[Fault::Away, Fault::Unheard, Fault::DieAfter, Fault::ThreadDies]) {
            None => self.inner.claim(partitions),
            Some(Fault::Unheard) => self.inner.claim(partitions).and_then(|_| Err(away())),
            Some(Fault::DieAfter) => self.inner.claim(partitions).and_then(|_| Err(self.die_with_actor())),
            Some(Fault::ThreadDies) => die(),
            Some(_) => Err(away()),
        }
    }

    fn apply(&self, changes: &[Change], advances: &[Advance]) -> Result<Applied, StoreError> {
        let possible =
            [Fault::Away, Fault::DieBefore, Fault::DieAfter, Fault::Torn, Fault::Unheard, Fault::ThreadDies, Fault::Revoked];
        let Some(fault) = self.faults.choose("store apply", &possible) else { return self.write(changes, advances) };
        match fault {
            Fault::DieBefore => Err(self.die_with_actor()),
            Fault::DieAfter => {
                self.write(changes, advances)?;
                Err(self.die_with_actor())
            }
            Fault::Torn => Err(self.tear(changes, advances)),
            Fault::Unheard => {
                self.write(changes, advances)?;
                Err(away())
            }
            Fault::ThreadDies => {
                if self.faults.below(2) == 0 {
                    self.write(changes, advances)?;
                }
                die()
            }
            Fault::Revoked => Err(StoreError::Fenced("simulated".to_owned())),
            _ => Err(away()),
        }
    }

    fn known(&self, keys: &[KnownKey]) -> Result<BTreeMap<KnownKey, Known>, StoreError> {
        self.inner.known(keys)
    }

    fn ledger(&self) -> Result<Vec<(Claim, Ledger)>, StoreError> {
        self.inner.ledger()
    }

    fn row_counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        self.inner.row_counts()
    }

    fn digest(&self) -> Result<String, StoreError> {
        self.inner.digest()
    }

    fn dump(&self, line: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        self.inner.dump(line)
    }

    fn check(&self) -> Result<Vec<Finding>, StoreError> {
        self.inner.check()
    }

    fn summary(&self) -> Result<Summary, StoreError> {
        self.inner.summary()
    }
}
