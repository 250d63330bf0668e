//! Questions to somebody who may never answer, such as a database whose host hangs.
//!
//! **Guarantee.** Such a silence is a wait that says for whom, not a hang: it kills no actor and counts as no failure. It is
//! bounded: the question is given up and asked again, by then perhaps on a connection that works. The thread that asked stays
//! behind until its answer comes or its connection breaks; what it still does must be harmless, as the store's epochs make it.

use std::time::Duration;

use super::processor::StageError;
use crate::observe::log;
use crate::supervision::Pulse;

/// What takes longer is shown as a wait. Transactions take milliseconds, large ones on slow disks seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// After this the question is given up: as long as the longest statement may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs `work`, which asks `whom` and blocks for the answer, on a thread of its own.
///
/// # Errors
/// [`StageError::Wait`] when there is no answer for too long, [`StageError::Failed`] when `work` panics.
pub async fn ask<T: Send + 'static>(
    pulse: &Pulse,
    whom: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StageError> {
    ask_within(pulse, whom, (PATIENCE, LIMIT), work).await
}

async fn ask_within<T: Send + 'static>(
    pulse: &Pulse,
    whom: &str,
    (patience, limit): (Duration, Duration),
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StageError> {
    let since = chrono::Utc::now().format("%H:%M:%S");
    let _waiting = pulse.waiting_after(patience, format!("{whom}: no answer since {since} UTC"));
    match tokio::time::timeout(limit, log::actor::spawn_blocking(work)).await {
        Ok(answer) => answer.map_err(|error| StageError::Failed(error.into())),
        Err(_) => {
            let reason = format!("{whom}: no answer in {} s; asking again", limit.as_secs());
            Err(StageError::wait(reason, PAUSE))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_silence_is_a_wait_that_says_for_whom_and_ends_in_another_try() {
        let pulse = Pulse::new();
        let (answer, never) = mpsc::channel::<()>();
        let limits = (Duration::from_millis(20), Duration::from_millis(500));
        let asking = ask_within(&pulse, "database", limits, move || never.recv());
        let looking = async {
            for _ in 0..400 {
                if let Some(wait) = pulse.current_wait() {
                    return Some(wait.reason);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            None
        };
        let (outcome, shown) = futures::join!(asking, looking);
        assert!(shown.is_some_and(|reason| reason.starts_with("database: no answer since ")));
        let Err(StageError::Wait(wait)) = outcome else { panic!("{outcome:?}") };
        assert!(wait.reason.starts_with("database: no answer in "), "{}", wait.reason);
        assert_eq!(pulse.current_wait(), None, "the question is given up");
        drop(answer);
    }

    #[tokio::test]
    async fn an_answer_is_handed_on_and_a_panic_is_a_failure() {
        let pulse = Pulse::new();
        assert!(matches!(ask(&pulse, "database", || 7).await, Ok(7)));
        let panicked = ask(&pulse, "database", || panic!("on purpose")).await;
        assert!(matches!(panicked, Err::<(), _>(StageError::Failed(_))), "{panicked:?}");
    }
}
