//! The DSP worker pool: an actor that owns a bounded queue and its threads.
//!
//! **Guarantee.** Each job gets exactly one answer: the analysis, why there is none, that it panicked, or that it took too long.
//! A panic costs one job, never a thread for good; a thread that does not come back is left behind and replaced.
//! Back-pressure is explicit: a job needs a permit, which travels with it.
//!
//! A bare `SyncArbiter` would lose a thread with each panic and bound nothing. [`PoolActor`] is supervised like any stage;
//! [`Pool`] is the handle that outlives its incarnations.

mod actor;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use parking_lot::RwLock;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::dsp::{Analysis, AnalyzeError, Analyzer, Limits};

pub use actor::PoolActor;

/// What a worker thread runs. One an incarnation of a worker, so that a panic cannot leave broken state behind.
pub type Engine = Box<dyn FnMut(Vec<u8>, Option<&str>, &Limits) -> Result<Analysis, AnalyzeError> + Send>;

/// Makes engines.
pub type EngineFactory = Arc<dyn Fn() -> Engine + Send + Sync>;

/// The real engine.
pub fn analyzer_engine() -> EngineFactory {
    Arc::new(|| {
        let mut analyzer = Analyzer::new();
        Box::new(move |clip, hint, limits| analyzer.analyze_bytes(clip, hint, limits))
    })
}

/// How a pool is set up.
#[derive(Clone)]
pub struct PoolOptions {
    /// Threads.
    pub workers: usize,
    /// Jobs that may wait beside those being worked on. More hides latency of downloads, fewer holds less memory.
    pub queue: usize,
    /// A job that takes longer is given up; a thread that does not react to that within as long again is left behind.
    pub deadline: Duration,
    /// What the threads run.
    pub engine: EngineFactory,
}

impl fmt::Debug for PoolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolOptions")
            .field("workers", &self.workers)
            .field("queue", &self.queue)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Why a job has no analysis.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PoolError {
    /// The clip is of no use.
    #[error(transparent)]
    Unusable(#[from] AnalyzeError),
    /// The engine panicked on it.
    #[error("the analysis panicked: {0}")]
    Panicked(String),
    /// It took too long.
    #[error("the analysis took longer than {:.1} s", .0.as_secs_f64())]
    Deadline(Duration),
    /// The pool restarted while it had the job: ask again.
    #[error("the worker pool is restarting")]
    Restarting,
}

type Reply = oneshot::Sender<Result<Analysis, PoolError>>;

struct Job {
    clip: Vec<u8>,
    hint: Option<String>,
    /// Freed when the job is over, however it ends; before the asker hears of it.
    permit: OwnedSemaphorePermit,
    reply: Reply,
}

/// The handle to the pool: stays valid while its actor comes and goes. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    /// The queue of the incarnation that serves.
    jobs: Arc<RwLock<Option<Sender<Job>>>>,
    permits: Arc<Semaphore>,
    capacity: usize,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("in_flight", &self.in_flight()).finish()
    }
}

impl Pool {
    /// A handle for a pool of this size; it answers [`PoolError::Restarting`] until an actor serves it.
    pub fn new(options: &PoolOptions) -> Pool {
        let capacity = options.workers + options.queue;
        Pool { jobs: Arc::default(), permits: Arc::new(Semaphore::new(capacity)), capacity }
    }

    /// Jobs accepted and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.capacity.saturating_sub(self.permits.available_permits())
    }

    /// Waits for a free place, then for the analysis of `clip`. `hint` is a file extension or MIME type.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub async fn analyze(&self, clip: Vec<u8>, hint: Option<String>) -> Result<Analysis, PoolError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| PoolError::Restarting)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { clip, hint, permit, reply };
        {
            // Under the lock: an incarnation that ends empties its queue afterwards.
            let jobs = self.jobs.read();
            // The channel holds as many jobs as there are permits: sending never blocks.
            jobs.as_ref().ok_or(PoolError::Restarting)?.try_send(job).map_err(|_| PoolError::Restarting)?;
        }
        answer.await.unwrap_or(Err(PoolError::Restarting))
    }
}
