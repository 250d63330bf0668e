//! The files on all cores; results in the order of the files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::files::Found;
use crate::dsp::{Analysis, Analyzer, Limits, Portrait};

/// An analysis and, if it was asked for, what to draw; or why there is none.
pub(super) type Outcome = Result<(Analysis, Option<Portrait>), String>;

/// Results not yet taken, per worker. Bounds memory while one slow file holds up the order.
const AHEAD: usize = 4;

/// Analyses `files` on `jobs` threads and hands the outcomes to `take` in order. Ends early when `take` fails.
pub(super) fn analyze_all(
    files: &[Found],
    jobs: usize,
    with_portrait: bool,
    mut take: impl FnMut(usize, Outcome) -> io::Result<()>,
) -> io::Result<()> {
    let jobs = jobs.min(files.len()).max(1);
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let (send, receive) = mpsc::sync_channel(jobs * AHEAD);
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (send, next, stopped) = (send.clone(), &next, &stopped);
            scope.spawn(move || {
                let mut analyzer = Analyzer::new();
                while !stopped.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(index) else { return };
                    if send.send((index, analyze(&mut analyzer, file, with_portrait))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let result = in_order(&receive, &mut take);
        stopped.store(true, Ordering::Relaxed);
        // Nobody listens from here on: a worker that waits to send wakes up with an error.
        drop(receive);
        result
    })
}

fn in_order(
    receive: &mpsc::Receiver<(usize, Outcome)>,
    take: &mut impl FnMut(usize, Outcome) -> io::Result<()>,
) -> io::Result<()> {
    let mut waiting = BTreeMap::new();
    let mut due = 0;
    for (index, outcome) in receive {
        waiting.insert(index, outcome);
        while let Some(outcome) = waiting.remove(&due) {
            take(due, outcome)?;
            due += 1;
        }
    }
    Ok(())
}

/// A panic costs this one file, and the analyser whose buffers it may have left half-written.
fn analyze(analyzer: &mut Analyzer, file: &Found, with_portrait: bool) -> Outcome {
    if let Some(problem) = &file.problem {
        return Err(problem.clone());
    }
    let source = File::open(&file.path).map_err(|error| error.to_string())?;
    let hint = file.path.extension().and_then(|extension| extension.to_str());
    let work = AssertUnwindSafe(|| {
        let analysis =
            analyzer.analyze_reader(Box::new(source), hint, &Limits::default()).map_err(|error| error.to_string())?;
        Ok((analysis, with_portrait.then(|| analyzer.portrait())))
    });
    catch_unwind(work).unwrap_or_else(|_| {
        *analyzer = Analyzer::new();
        Err("the analysis failed inside (please report this file)".to_owned())
    })
}
