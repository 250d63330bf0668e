//! Is what is known still fresh? Asked before every API call, so that no quota is burnt twice.
//!
//! **Guarantee.** A source that answered for a key within `refresh_after` is not asked again, across restarts and `kill -9`:
//! the newest version already *appended* to the stage's output topic counts ([`Port::heads`](crate::stage::Port::heads),
//! exact, because it is read after the fence of the last transaction), and for keys the topic no longer keeps, what the
//! database was told. A database that cannot be reached makes the stage wait; it never makes it guess.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Period;
use crate::mailbox::TopicPartition;
use crate::records::{Version, now_micros};
use crate::stage::{StageError, StepContext, patience};
use crate::store::{Known, KnownKey, Store, StoreError};

/// Before the database is asked again that was not available.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// One key to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its key in the output topic.
    pub head: String,
    /// Its key in the database.
    pub known: KnownKey,
    /// The oldest acceptable version of the analysis (audio); `None` where there is no such thing.
    pub least_version: Option<i32>,
}

impl Question {
    /// A question about something without versions.
    pub fn new(head: impl Into<String>, known: KnownKey) -> Question {
        Question { head: head.into(), known, least_version: None }
    }
}

/// The judge of freshness, shared by the stages that ask APIs.
#[derive(Debug, Clone)]
pub struct Freshness {
    store: Arc<dyn Store>,
    refresh_after: Period,
}

impl Freshness {
    /// Answers older than `refresh_after` are not fresh.
    pub fn new(store: Arc<dyn Store>, refresh_after: Period) -> Freshness {
        Freshness { store, refresh_after }
    }

    /// For each question: is what is known fresh? `at` is the partition of the output topic that the answers would go to.
    ///
    /// # Errors
    /// As the mailbox's and the store's, in the stage's terms; a database that is away is a wait.
    pub async fn fresh(
        &self,
        context: &StepContext<'_>,
        at: TopicPartition,
        questions: &[Question],
    ) -> Result<Vec<bool>, StageError> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let keys = questions.iter().map(|question| question.head.clone()).collect();
        let heads = context.port.heads(at, keys).await?;
        let head = |position: usize| heads.get(position).copied().flatten();
        let open = questions.iter().enumerate().filter(|(position, question)| needs_store(question, head(*position)));
        let known = self.known(open.map(|(_, question)| question.known.clone()).collect(), context).await?;
        let now = now_micros();
        let answer = |(position, question): (usize, &Question)| {
            is_fresh(question, head(position), known.get(&question.known).copied(), self.refresh_after, now)
        };
        Ok(questions.iter().enumerate().map(answer).collect())
    }

    async fn known(
        &self,
        keys: Vec<KnownKey>,
        context: &StepContext<'_>,
    ) -> Result<std::collections::BTreeMap<KnownKey, Known>, StageError> {
        if keys.is_empty() {
            return Ok(std::collections::BTreeMap::new());
        }
        let store = Arc::clone(&self.store);
        patience::ask(context.pulse, "database", move || store.known(&keys)).await?.map_err(stage_error)
    }
}

/// The topic tells the time of the last answer but not the version of the analysis.
fn needs_store(question: &Question, head: Option<Version>) -> bool {
    head.is_none() || question.least_version.is_some()
}

/// Pure: is it fresh, by what topic and database say?
fn is_fresh(question: &Question, head: Option<Version>, known: Option<Known>, refresh_after: Period, now: i64) -> bool {
    let head_at = head.map(|version| version.observed_at);
    let Some(observed_at) = head_at.or(known.map(|known| known.observed_at)) else { return false };
    if observed_at.saturating_add(refresh_after.as_micros()) <= now {
        return false;
    }
    // An analysis of an older version is stale at any age, unless a newer one is already on its way to the database.
    let outdated = |known: Known| {
        let superseded = head_at.is_some_and(|at| at > known.observed_at);
        question.least_version.is_some_and(|least| known.features_version < least) && !superseded
    };
    !known.is_some_and(outdated)
}

fn stage_error(error: StoreError) -> StageError {
    match error {
        StoreError::Unavailable(reason) => StageError::wait(format!("database: {reason}"), STORE_PAUSE),
        StoreError::Setup(advice) => StageError::Stop(advice),
        other => StageError::Failed(anyhow::Error::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KnownSource;
    use proptest::prelude::*;

    const DAY: Period = Period::days(1);
    const NOW: i64 = 100 * 86_400_000_000;

    fn question(least_version: Option<i32>) -> Question {
        let known = KnownKey { source: KnownSource::SongAudio, id: "t1".into() };
        Question { head: "t1".into(), known, least_version }
    }

    fn head(hours_ago: i64) -> Option<Version> {
        Some(Version { observed_at: NOW - hours_ago * 3_600_000_000, tiebreak: 0 })
    }

    fn known(hours_ago: i64, features_version: i32) -> Option<Known> {
        Some(Known { observed_at: NOW - hours_ago * 3_600_000_000, features_version })
    }

    fn fresh(least: Option<i32>, head: Option<Version>, known: Option<Known>) -> bool {
        is_fresh(&question(least), head, known, DAY, NOW)
    }

    #[test]
    fn an_answer_is_fresh_until_refresh_after_and_not_longer() {
        assert!(fresh(None, head(23), None));
        assert!(!fresh(None, head(24), None));
        assert!(fresh(None, None, known(23, 0)));
        assert!(!fresh(None, None, known(24, 0)));
        assert!(!fresh(None, None, None), "never asked");
    }

    #[test]
    fn the_topic_is_believed_before_the_database_which_lags_behind() {
        assert!(fresh(None, head(1), known(48, 0)));
    }

    #[test]
    fn an_outdated_analysis_is_done_again_once() {
        assert!(!fresh(Some(2), head(1), known(1, 1)), "stored with the old version");
        assert!(fresh(Some(2), head(1), known(5, 1)), "done again, not stored yet");
        assert!(fresh(Some(2), head(1), None), "on its way");
        assert!(fresh(Some(2), head(1), known(1, 2)));
    }

    #[test]
    fn a_database_that_is_away_is_a_wait_and_a_wrong_one_stops() {
        assert!(matches!(stage_error(StoreError::Unavailable("refused".into())), StageError::Wait(_)));
        assert!(matches!(stage_error(StoreError::Setup("no such role".into())), StageError::Stop(_)));
        assert!(matches!(stage_error(StoreError::Data("odd".into())), StageError::Failed(_)));
    }

    proptest! {
        #[test]
        fn no_time_however_odd_overflows(head in any::<i64>(), seen in any::<i64>(), now in any::<i64>()) {
            let version = Version { observed_at: head, tiebreak: 0 };
            let known = Known { observed_at: seen, features_version: 1 };
            let _ = is_fresh(&question(Some(2)), Some(version), Some(known), DAY, now);
        }
    }
}
