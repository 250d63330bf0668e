//! A worker thread: takes jobs, guards against their panics, and can be given up while it is stuck in one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::{EngineFactory, Job, PoolError, Reply};
use crate::dsp::{Analysis, Limits};
use crate::observe::log;
use crate::supervision::launch::panic_message;

/// How often an idle thread looks whether it is still wanted.
const IDLE: Duration = Duration::from_millis(100);

/// A thread, and what it has in hand.
#[derive(Debug)]
pub(super) struct Worker {
    thread: JoinHandle<()>,
    desk: Arc<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    in_hand: Mutex<Option<InHand>>,
    unwanted: Arc<AtomicBool>,
}

#[derive(Debug)]
struct InHand {
    since: Instant,
    reply: Reply,
    /// Here and not with the thread: one that never comes back must not keep its place, or the pool would run out of places
    /// before it ran out of patience.
    permit: OwnedSemaphorePermit,
}

impl InHand {
    /// The place is free by the time the asker hears.
    fn answer(self, answer: Result<Analysis, PoolError>) {
        drop(self.permit);
        // The asker may be gone.
        let _ = self.reply.send(answer);
    }
}

impl Worker {
    pub(super) fn start(
        number: usize,
        jobs: Receiver<Job>,
        engine: EngineFactory,
        deadline: Duration,
    ) -> std::io::Result<Worker> {
        let desk = Arc::new(Desk::default());
        let mine = Arc::clone(&desk);
        let thread = thread::Builder::new().name(format!("dsp-{number}")).spawn(move || {
            log::actor::this_thread_serves("dsp");
            mine.work(&jobs, &engine, deadline);
        })?;
        Ok(Worker { thread, desk })
    }

    /// The thread ended without being asked to.
    pub(super) fn is_dead(&self) -> bool {
        self.thread.is_finished()
    }

    /// For how long it has had its job.
    pub(super) fn busy_for(&self) -> Option<Duration> {
        self.desk.in_hand.lock().as_ref().map(|in_hand| in_hand.since.elapsed())
    }

    /// Gives the thread up: answers its job for it, and lets it end if it ever comes back.
    pub(super) fn abandon(&self, why: PoolError) {
        self.desk.unwanted.store(true, Ordering::SeqCst);
        if let Some(in_hand) = self.desk.in_hand.lock().take() {
            in_hand.answer(Err(why));
        }
    }
}

impl Desk {
    fn work(&self, jobs: &Receiver<Job>, factory: &EngineFactory, deadline: Duration) {
        let mut engine = factory();
        while !self.unwanted.load(Ordering::SeqCst) {
            let job = match jobs.recv_timeout(IDLE) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let Job { clip, hint, reply, permit } = job;
            let since = Instant::now();
            *self.in_hand.lock() = Some(InHand { since, reply, permit });
            if self.unwanted.load(Ordering::SeqCst) {
                // Whoever gave the thread up may have looked just before.
                *self.in_hand.lock() = None;
                return;
            }
            let limits =
                Limits { deadline: Some(since + deadline), cancelled: Some(Arc::clone(&self.unwanted)), ..Limits::default() };
            let result = catch_unwind(AssertUnwindSafe(|| engine(clip, hint.as_deref(), &limits)));
            let answer = match result {
                Ok(Err(error)) if error.kind() == "cancelled" => Err(PoolError::Deadline(deadline)),
                Ok(result) => result.map_err(PoolError::from),
                Err(payload) => {
                    engine = factory();
                    Err(PoolError::Panicked(panic_message(&*payload)))
                }
            };
            if let Some(in_hand) = self.in_hand.lock().take() {
                in_hand.answer(answer);
            }
        }
    }
}
