//! Promises of the worker pool: each job gets exactly one answer, and no job takes a thread with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reprise::dsp::{Analysis, AnalyzeError};
use reprise::observe::Metrics;
use reprise::pool::{EngineFactory, Pool, PoolActor, PoolError, PoolOptions};
use reprise::supervision::{Board, ChildSpec, Control, SupervisorSpec, Tree};

/// An engine that does what the clip's first byte says.
fn scripted() -> EngineFactory {
    Arc::new(|| {
        Box::new(|clip, _, limits| match clip.first() {
            Some(b'p') => panic!("a broken clip"),
            Some(b'h') => loop {
                // Deaf to its deadline.
                std::thread::park_timeout(Duration::from_secs(60));
            },
            Some(b's') => loop {
                if limits.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(AnalyzeError::Cancelled("the deadline passed"));
                }
                std::thread::yield_now();
            },
            Some(b'b') => Err(AnalyzeError::Empty),
            _ => Ok(Analysis { duration_s: 1.0, ..Analysis::default() }),
        })
    })
}

/// Of the tests in which a clip takes too long.
const SHORT: Duration = Duration::from_millis(500);

/// Of all others: printing a panic's backtrace alone can take a second on a busy machine, and is no clip that takes too long.
const GENEROUS: Duration = Duration::from_secs(60);

fn with_pool<F: Future<Output = ()>>(workers: usize, deadline: Duration, test: impl FnOnce(Pool, Board) -> F) {
    let options = PoolOptions { workers, queue: 2, deadline, engine: scripted() };
    let pool = Pool::new(&options);
    let (handle, metrics) = (pool.clone(), Metrics::new());
    let board = Board::new(metrics.clone());
    let child =
        ChildSpec::worker("dsp", move |launch| PoolActor::new(options.clone(), handle.clone(), metrics.clone(), launch));
    actix_rt::System::new().block_on(async move {
        let mut spec = SupervisorSpec::new("root", vec![child]);
        spec.backoff.initial = Duration::from_millis(20);
        let _tree = Tree::start(spec, &board);
        while pool.analyze(vec![b'.'], None).await == Err(PoolError::Restarting) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        test(pool, board).await;
    });
}

#[test]
fn a_clip_that_panics_the_engine_costs_one_job_and_no_thread() {
    with_pool(1, GENEROUS, async |pool, board| {
        for _ in 0..20 {
            let panicked = pool.analyze(b"p".to_vec(), None).await;
            assert_eq!(panicked, Err(PoolError::Panicked("a broken clip".to_owned())));
            assert!(pool.analyze(b".".to_vec(), None).await.is_ok(), "the only thread still works");
        }
        assert_eq!(board.actor("dsp").map(|report| report.restarts), Some(0));
    });
}

#[test]
fn an_unusable_clip_says_why() {
    with_pool(1, GENEROUS, async |pool, _| {
        assert_eq!(pool.analyze(b"b".to_vec(), None).await, Err(PoolError::Unusable(AnalyzeError::Empty)));
    });
}

#[test]
fn a_slow_clip_is_given_up_at_its_deadline() {
    with_pool(1, SHORT, async |pool, _| {
        assert!(matches!(pool.analyze(b"s".to_vec(), None).await, Err(PoolError::Deadline(_))));
        assert!(pool.analyze(b".".to_vec(), None).await.is_ok());
    });
}

#[test]
fn a_thread_that_is_stuck_is_left_behind_and_replaced() {
    with_pool(1, SHORT, async |pool, _| {
        assert!(matches!(pool.analyze(b"h".to_vec(), None).await, Err(PoolError::Deadline(_))));
        assert!(pool.analyze(b".".to_vec(), None).await.is_ok(), "the replacement works");
    });
}

#[test]
fn threads_that_never_come_back_give_their_places_back() {
    with_pool(1, SHORT, async |pool, _| {
        // One worker and two places: more stuck threads than that.
        let stuck = (0..4).map(|_| pool.analyze(b"h".to_vec(), None));
        let answers = tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(stuck));
        let answers = answers.await.expect("nobody waits for a place that is gone");
        assert!(answers.iter().all(|answer| matches!(answer, Err(PoolError::Deadline(_)))), "{answers:?}");
        assert_eq!(pool.in_flight(), 0);
    });
}

#[test]
fn a_restart_answers_also_those_that_a_stuck_thread_keeps_waiting() {
    with_pool(1, GENEROUS, async |pool, board| {
        // One is stuck, two wait behind it.
        let clips = [b"h".to_vec(), b".".to_vec(), b".".to_vec()];
        let asked = clips.map(|clip| {
            let pool = pool.clone();
            actix_rt::spawn(async move { pool.analyze(clip, None).await })
        });
        while pool.in_flight() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(board.restart("dsp"));
        let answers = tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(asked)).await;
        for answer in answers.expect("nobody waits for a thread that nobody looks after") {
            assert_eq!(answer.expect("no panic"), Err(PoolError::Restarting));
        }
        while pool.analyze(b".".to_vec(), None).await == Err(PoolError::Restarting) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(pool.in_flight(), 0);
    });
}

#[test]
fn every_job_is_answered_while_the_actor_is_killed_again_and_again() {
    with_pool(2, GENEROUS, async |pool, board| {
        let answered = Arc::new(AtomicUsize::new(0));
        let jobs = (0..200).map(|_| {
            let (pool, answered) = (pool.clone(), Arc::clone(&answered));
            actix_rt::spawn(async move {
                // A pool that restarts says so; the asker asks again, as the audio stage does.
                while pool.analyze(b".".to_vec(), None).await == Err(PoolError::Restarting) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                answered.fetch_add(1, Ordering::SeqCst);
            })
        });
        let jobs: Vec<_> = jobs.collect();
        for round in 0..5 {
            if round % 2 == 0 {
                board.restart("dsp")
            } else {
                board.control("dsp", Control::Crash)
            };
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        for job in jobs {
            tokio::time::timeout(Duration::from_secs(20), job).await.expect("answered in time").expect("no panic");
        }
        assert_eq!(answered.load(Ordering::SeqCst), 200);
        assert_eq!(pool.in_flight(), 0, "every permit came back");
    });
}

#[test]
fn jobs_wait_for_a_free_place_instead_of_piling_up() {
    with_pool(1, SHORT, async |pool, _| {
        // One worker and two places: of ten slow jobs at most three are ever accepted at once.
        let jobs: Vec<_> = (0..10)
            .map(|_| {
                let pool = pool.clone();
                actix_rt::spawn(async move { pool.analyze(b"s".to_vec(), None).await })
            })
            .collect();
        let mut most = 0;
        while jobs.iter().any(|job| !job.is_finished()) {
            most = most.max(pool.in_flight());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!((1..=3).contains(&most), "{most} at once");
    });
}
