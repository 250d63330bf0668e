//! An asynchronous handle to a stage's blocking mailbox session, which lives on a thread of its own.
//!
//! The thread keeps the session alive (group membership, rebalance callbacks) while the stage's task works on a batch, and
//! closes it when the handle is dropped or the kill switch is thrown: a hung stage cannot hold on to its partitions, and
//! nothing it publishes takes effect. The simulation uses the same handle around a session on its own thread.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::mailbox::{Mailbox, MailboxError, Outgoing, Polled, Progress, Session, SessionSpec, TopicPartition};
use crate::observe::log;
use crate::records::Version;
use crate::supervision::KillSwitch;

use super::processor::StageError;

/// How often an idle session is kept alive: well below any broker's heartbeat and poll limits.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait before trying again what was unavailable.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(1);

type Open = dyn Session + 'static;

type Request = Box<dyn for<'a> FnOnce(Result<&'a mut Open, MailboxError>) -> Option<MailboxError> + Send>;

/// See the module.
pub struct Port {
    inner: Inner,
}

enum Inner {
    Thread(Sender<Request>),
    Inline(RefCell<Box<dyn Session>>),
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").finish_non_exhaustive()
    }
}

impl Port {
    /// A port to a session on its own thread, opened there when first used, and again after it was unavailable.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn open(stage: &str, mailbox: Arc<dyn Mailbox>, spec: SessionSpec, kill: KillSwitch) -> anyhow::Result<Port> {
        let (sender, requests) = channel();
        let (name, served) = (format!("mailbox-{stage}"), stage.to_owned());
        thread::Builder::new().name(name).spawn(move || {
            log::actor::this_thread_serves(&served);
            serve(&*mailbox, &spec, &kill, &requests);
        })?;
        Ok(Port { inner: Inner::Thread(sender) })
    }

    /// A port to a session that is used on the caller's thread: for the simulation, which has only one.
    pub fn inline(session: Box<dyn Session>) -> Port {
        Port { inner: Inner::Inline(RefCell::new(session)) }
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Open) -> Result<T, MailboxError> + Send + 'static,
    ) -> Result<T, StageError> {
        let sender = match &self.inner {
            Inner::Inline(session) => return work(&mut **session.borrow_mut()).map_err(StageError::from),
            Inner::Thread(sender) => sender,
        };
        let (reply, answer) = oneshot::channel();
        let request: Request = Box::new(move |session| {
            let result = session.and_then(work);
            let broken = result.as_ref().err().and_then(needs_reopening);
            // The asker may have been killed meanwhile: then nobody needs the answer.
            let _ = reply.send(result);
            broken
        });
        let gone = || StageError::Failed(anyhow::anyhow!("the mailbox thread is gone"));
        sender.send(request).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(StageError::from)
    }

    /// As [`Session::poll`].
    ///
    /// # Errors
    /// As the session's, in the stage's terms.
    pub async fn poll(&self, max: usize, wait: Duration) -> Result<Polled, StageError> {
        self.ask(move |session| session.poll(max, wait)).await
    }

    /// As [`Session::seek`].
    ///
    /// # Errors
    /// As the session's, in the stage's terms.
    pub async fn seek(&self, at: TopicPartition, next_offset: i64) -> Result<(), StageError> {
        self.ask(move |session| session.seek(at, next_offset)).await
    }

    /// As [`Session::publish`].
    ///
    /// # Errors
    /// As the session's, in the stage's terms.
    pub async fn publish(&self, records: Vec<Outgoing>, progress: Vec<Progress>) -> Result<(), StageError> {
        self.ask(move |session| session.publish(&records, &progress)).await
    }

    /// As [`Session::rewind`].
    ///
    /// # Errors
    /// As the session's, in the stage's terms.
    pub async fn rewind(&self) -> Result<(), StageError> {
        self.ask(|session| session.rewind()).await
    }

    /// As [`Session::heads`].
    ///
    /// # Errors
    /// As the session's, in the stage's terms.
    pub async fn heads(&self, at: TopicPartition, keys: Vec<String>) -> Result<Vec<Option<Version>>, StageError> {
        self.ask(move |session| session.heads(at, &keys)).await
    }

    /// As [`Session::lag`].
    ///
    /// # Errors
    /// As the session's, in the stage's terms.
    pub async fn lag(&self) -> Result<Vec<(TopicPartition, u64)>, StageError> {
        self.ask(|session| Ok(session.lag())).await
    }
}

/// Errors after which a session is of no use. The error is kept as text: the asker gets the original.
fn needs_reopening(error: &MailboxError) -> Option<MailboxError> {
    match error {
        MailboxError::Fenced(text) => Some(MailboxError::Fenced(text.clone())),
        MailboxError::Failed(text) => Some(MailboxError::Failed(text.clone())),
        MailboxError::Unavailable(_) | MailboxError::Revoked(_) | MailboxError::Corrupt(_) | MailboxError::Invalid(_) => None,
    }
}

fn serve(mailbox: &dyn Mailbox, spec: &SessionSpec, kill: &KillSwitch, requests: &Receiver<Request>) {
    let mut session: Option<Box<dyn Session>> = None;
    while !kill.is_killed() {
        let request = match requests.recv_timeout(IDLE_INTERVAL) {
            Ok(request) => request,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(Err(error)) = session.as_mut().map(|open| open.idle()) {
                    // The next request meets the same error and reports it to somebody who can act on it.
                    slog_scope::debug!("An idle mailbox session has trouble."; "group" => &spec.group, "error" => %error);
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if kill.is_killed() {
            break;
        }
        let opened: Result<&mut Open, MailboxError> = match session {
            Some(ref mut open) => Ok(&mut **open),
            None => mailbox.open(spec).map(|open| &mut **session.insert(open)),
        };
        if request(opened).is_some() {
            session = None;
        }
    }
}

impl From<MailboxError> for StageError {
    fn from(error: MailboxError) -> StageError {
        match error {
            MailboxError::Unavailable(text) => StageError::wait(format!("mailbox: {text}"), UNAVAILABLE_PAUSE),
            MailboxError::Revoked(text) => StageError::Revoked(text),
            MailboxError::Corrupt(text) | MailboxError::Invalid(text) => StageError::Stop(text),
            error @ (MailboxError::Fenced(_) | MailboxError::Failed(_)) => StageError::Failed(error.into()),
        }
    }
}
