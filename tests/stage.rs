//! Promises of a stage's steps that no real mailbox can be made to test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use reprise::mailbox::{MailboxError, Message, Outgoing, Polled, Progress, Session, TopicPartition};
use reprise::observe::Metrics;
use reprise::records::{Topic, Version};
use reprise::stage::{PoisonBook, Port, Processed, Processor, StageError, StepContext, Stepper, StepperSpec, Subscription};
use reprise::supervision::Pulse;

const AT: TopicPartition = TopicPartition { topic: Topic::MusicTransformed, partition: 0 };

/// Assigns a partition and takes it away again before anybody could place it; the next poll tells.
struct TakenAway {
    polls: Arc<AtomicUsize>,
}

impl Session for TakenAway {
    fn poll(&mut self, _max: usize, _wait: Duration) -> Result<Polled, MailboxError> {
        Ok(match self.polls.fetch_add(1, Ordering::SeqCst) {
            0 => Polled { assigned: vec![AT], ..Polled::default() },
            1 => Polled { revoked: vec![AT], ..Polled::default() },
            _ => Polled::default(),
        })
    }

    fn idle(&mut self) -> Result<(), MailboxError> {
        Ok(())
    }

    fn seek(&mut self, at: TopicPartition, _next_offset: i64) -> Result<(), MailboxError> {
        Err(MailboxError::Revoked(at.to_string()))
    }

    fn publish(&mut self, _records: &[Outgoing], progress: &[Progress]) -> Result<(), MailboxError> {
        assert!(progress.is_empty(), "the place of a partition that is somebody else's");
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), MailboxError> {
        Ok(())
    }

    fn heads(&mut self, _at: TopicPartition, _keys: &[String]) -> Result<Vec<Option<Version>>, MailboxError> {
        Ok(Vec::new())
    }

    fn lag(&self) -> Vec<(TopicPartition, u64)> {
        Vec::new()
    }
}

/// Knows its place, as the loader does, and notes how often it is asked.
struct Placed {
    asked: Arc<AtomicUsize>,
}

impl Processor for Placed {
    fn subscription(&self) -> Subscription {
        Subscription { topics: vec![AT.topic], heads: Vec::new(), batch_max: 10, transactional: false }
    }

    fn assigned<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        _context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Vec<(TopicPartition, i64)>, StageError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(partitions.iter().map(|at| (*at, 5)).collect()) })
    }

    fn process<'a>(
        &'a mut self,
        _batch: &'a [Message],
        _context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(async { Ok(Processed::default()) })
    }
}

#[tokio::test]
async fn a_partition_that_is_taken_away_before_it_is_placed_holds_nobody_up() {
    let (polls, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let port = Port::inline(Box::new(TakenAway { polls: Arc::clone(&polls) }));
    let spec = StepperSpec {
        stage: "load".to_owned(),
        group: "reprise.load".to_owned(),
        run_id: "test".to_owned(),
        partitions: 1,
        poll_wait: Duration::ZERO,
        metrics: Metrics::new(),
    };
    let processor = Box::new(Placed { asked: Arc::clone(&asked) });
    let mut stepper = Stepper::new(spec, processor, port, Pulse::new(), PoisonBook::new(3));
    for _ in 0..4 {
        stepper.step().await.expect("nothing fails");
    }
    // Each time that it is asked, the loader takes the partition from whoever works on it.
    assert_eq!((polls.load(Ordering::SeqCst), asked.load(Ordering::SeqCst)), (4, 1));
}
