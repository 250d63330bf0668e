//! Logs through slog: text for people, JSON for machines, one event a line on standard error.
//!
//! **Guarantee.** Every line says which actor and which run it is about, whoever logs it and on which thread. Logging never
//! waits: events that come faster than they can be written are dropped and counted. What libraries log through the `log`
//! crate goes the same way, but never in more detail than `debug`: below that they print requests, credentials included.
//!
//! [`levels`] filters by module and can be changed at run time; [`actor`] knows whose thread this is; `text` makes lines for
//! people; `lines` keeps secrets in.

pub mod actor;
pub mod levels;
mod lines;
mod text;

use std::fmt;
use std::io::IsTerminal;

use slog::{Drain, FnValue, KV, Key, Logger, OwnedKVList, Record, Serializer, o};
use slog_async::AsyncGuard;

pub use levels::{LevelFilter, LogLevels};

/// Lets through what the levels allow, and says whose it is: here, because behind the queue another thread writes.
struct Filtered<D> {
    inner: D,
    levels: LogLevels,
}

impl<D: Drain> Drain for Filtered<D> {
    type Ok = Option<D::Ok>;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<Self::Ok, Self::Err> {
        if !self.levels.allow(module(record), record.level()) {
            return Ok(None);
        }
        // A supervisor speaks about its children: then the event names the actor itself.
        if names_an_actor(record) {
            return self.inner.log(record, values).map(Some);
        }
        let values = o!(values.clone(), "actor" => actor::current());
        self.inner.log(record, &values.into()).map(Some)
    }
}

/// The module of an event; of a library's, what it calls itself.
fn module<'a>(record: &'a Record<'_>) -> &'a str {
    if record.tag().is_empty() { record.module() } else { record.tag() }
}

fn names_an_actor(record: &Record<'_>) -> bool {
    struct Looking(bool);
    impl Serializer for Looking {
        fn emit_arguments(&mut self, key: Key, _: &fmt::Arguments<'_>) -> slog::Result {
            self.0 |= key == "actor";
            Ok(())
        }
    }
    let mut looking = Looking(false);
    // It only looks: it cannot fail.
    let _ = record.kv().serialize(record, &mut looking);
    looking.0
}

/// Keeps logging alive; dropping it flushes.
pub struct LogGuard {
    /// To change levels at run time.
    pub levels: LogLevels,
    _flush: AsyncGuard,
}

impl std::fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogGuard").field("levels", &self.levels).finish_non_exhaustive()
    }
}

/// Events waiting to be written. When they come faster than they can be written they are dropped and counted, never waited for:
/// logging must not slow down the pipeline.
const QUEUE: usize = 4096;

/// Sends all logging of the process to standard error. `secrets` show as `***`, should they ever come by.
pub fn install(json: bool, filter: LevelFilter, run_id: &str, secrets: Vec<String>) -> LogGuard {
    let levels = LogLevels::new(filter);
    let out = lines::Lines::new(std::io::stderr(), secrets);
    let run = o!("run_id" => run_id.to_owned());
    let (root, flush) = if json {
        let format = slog_json::Json::new(out).add_default_keys().build().fuse();
        logger(format, &levels, o!(run, "module" => FnValue(|record| module(record).to_owned())))
    } else {
        logger(text::Text::new(out, std::io::stderr().is_terminal()).fuse(), &levels, run)
    };
    // The logger stays for good: threads that outlive the guard may still log, and a logger that is gone would panic in them.
    slog_scope::set_global_logger(root).cancel_reset();
    levels::installed(&levels);
    // A second installation in one process (tests) keeps the first bridge. Never beyond debug: see the module.
    let _ = slog_stdlog::init_with_level(log::Level::Debug);
    LogGuard { levels, _flush: flush }
}

fn logger<D>(
    format: D,
    levels: &LogLevels,
    values: slog::OwnedKV<impl slog::SendSyncRefUnwindSafeKV + 'static>,
) -> (Logger, AsyncGuard)
where
    D: Drain<Ok = (), Err = slog::Never> + Send + 'static,
{
    let (queued, flush) = slog_async::Async::new(format).chan_size(QUEUE).build_with_guard();
    // After the guard is gone nothing can be written any more: whoever still logs then is at the end of the process.
    let filtered = Filtered { inner: queued.ignore_res(), levels: levels.clone() };
    (Logger::root(filtered.ignore_res(), values), flush)
}

/// Logs every panic once, with thread and place, before supervision deals with it.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = crate::supervision::launch::panic_message(panic.payload());
        slog_scope::error!("A panic."; "thread" => thread, "place" => place, "message" => message);
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    /// Remembers the keys and values of what is logged.
    #[derive(Clone, Default)]
    struct Remembering(Arc<Mutex<Vec<String>>>);

    impl Drain for Remembering {
        type Ok = ();
        type Err = slog::Never;

        fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
            struct Line(String);
            impl Serializer for Line {
                fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
                    self.0.push_str(&format!("{key}={value} "));
                    Ok(())
                }
            }
            let mut line = Line(format!("{} ", record.msg()));
            let _ = record.kv().serialize(record, &mut line).and_then(|()| values.serialize(record, &mut line));
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
            Ok(())
        }
    }

    #[test]
    fn every_line_names_one_actor_and_the_run() {
        let remembered = Remembering::default();
        let filter = LevelFilter::parse("info").expect("valid");
        let filtered = Filtered { inner: remembered.clone(), levels: LogLevels::new(filter) };
        let root = Logger::root(filtered.ignore_res(), o!("run_id" => "r1"));
        let thread = std::thread::Builder::new().name("somebody".to_owned());
        let inside = move || {
            slog::info!(root, "by a thread");
            actor::this_thread_serves("load");
            slog::info!(root, "by an actor"; "rows" => 3);
            slog::info!(root, "about another"; "actor" => "tracks");
        };
        thread.spawn(inside).expect("a thread").join().expect("no panic");
        let lines = remembered.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(
            lines,
            [
                "by a thread actor=somebody run_id=r1 ",
                "by an actor rows=3 actor=load run_id=r1 ",
                "about another actor=tracks run_id=r1 "
            ]
        );
    }
}
