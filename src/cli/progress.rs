//! How far a long command is, on standard error: a bar on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two plain lines.
const PLAIN: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// `exported`, and `rows`.
    words: (&'static str, &'static str),
    total: u64,
    done: u64,
    last_plain: Instant,
}

impl Progress {
    /// Of so many `unit`, none `verb` yet.
    pub(super) fn new(verb: &'static str, unit: &'static str, total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:40.cyan/dim} {percent:>3}% {per_sec} {eta} left");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"))
        });
        Progress { bar, words: (verb, unit), total, done: 0, last_plain: Instant::now() }
    }

    /// There are so many, and an earlier run did some of them: the time left is told by the others.
    pub(super) fn resume(&mut self, total: u64, done: u64) {
        (self.total, self.done) = (total, done);
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.reset_eta();
        }
    }

    pub(super) fn advance(&mut self, more: u64) {
        self.done += more;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.last_plain.elapsed() >= PLAIN => {
                self.last_plain = Instant::now();
                eprintln!("{} {} of {} {}", self.words.0, self.done, self.total, self.words.1);
            }
            None => {}
        }
    }

    /// A line above the bar.
    pub(super) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
