//! A bar for each stage on a terminal, a plain line now and then elsewhere; and a line for each restart.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use actix_rt::task::JoinHandle;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::oneshot;

use crate::service::progress::{Standing, standing};
use crate::service::{Service, StageName};

/// Between two looks.
const ROUND: Duration = Duration::from_millis(150);

/// Between two plain lines.
const PLAIN: Duration = Duration::from_secs(5);

/// The display at work.
pub(super) struct Bars {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Bars {
    /// Shows the last state and ends.
    pub(super) async fn finish(self) {
        // A display that ended by itself needs no stopping.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Shows the stages' progress until finished.
pub(super) fn show(service: Service) -> Bars {
    let (stop, mut stopped) = oneshot::channel();
    let task = actix_rt::spawn(async move {
        let mut display = Display::new(service.stages());
        loop {
            let over = tokio::time::timeout(ROUND, &mut stopped).await.is_ok();
            display.restarts(&service);
            display.standings(look(&service).await, over);
            if over {
                return display.end();
            }
        }
    });
    Bars { stop, task }
}

async fn look(service: &Service) -> Vec<(StageName, Standing)> {
    let (mailbox, stages) = (std::sync::Arc::clone(&service.mailbox), service.stages());
    let work = move || stages.into_iter().filter_map(|stage| Some((stage, standing(&*mailbox, stage).ok()?))).collect();
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

struct Display {
    multi: Option<MultiProgress>,
    bars: BTreeMap<StageName, ProgressBar>,
    seen: BTreeMap<String, usize>,
    last_plain: Instant,
}

impl Display {
    fn new(stages: Vec<StageName>) -> Display {
        let multi = std::io::stderr().is_terminal().then(MultiProgress::new);
        let style = ProgressStyle::with_template("{prefix:>10} {bar:32.cyan/dim} {pos:>5}/{len:<5} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
        let mut bars = BTreeMap::new();
        if let Some(multi) = &multi {
            for stage in stages {
                let bar = multi.add(ProgressBar::new(0)).with_style(style.clone()).with_prefix(stage.name());
                bars.insert(stage, bar);
            }
        }
        Display { multi, bars, seen: BTreeMap::new(), last_plain: Instant::now() }
    }

    fn restarts(&mut self, service: &Service) {
        for report in service.board.report() {
            let seen = self.seen.entry(report.name.clone()).or_default();
            for exit in report.exits.iter().skip(*seen).filter(|exit| exit.kind != "normal") {
                self.line(&format!("{:>10}  {}; its supervisor starts a fresh one", report.name, exit.reason));
            }
            self.seen.insert(report.name, report.exits.len());
        }
    }

    fn line(&self, text: &str) {
        match &self.multi {
            Some(multi) => drop(multi.println(text)),
            None => eprintln!("{text}"),
        }
    }

    fn standings(&mut self, standings: Vec<(StageName, Standing)>, over: bool) {
        if self.multi.is_none() {
            if over || self.last_plain.elapsed() >= PLAIN {
                self.last_plain = Instant::now();
                let parts: Vec<String> = standings.iter().map(|(stage, at)| plain(*stage, at)).collect();
                eprintln!("{}", parts.join("  "));
            }
            return;
        }
        for (stage, at) in standings {
            if let Some(bar) = self.bars.get(&stage) {
                bar.set_length(at.ledger.consumed + at.waiting);
                bar.set_position(at.ledger.consumed);
                bar.set_message(format!("{} new, {} known", at.ledger.emitted, at.ledger.superseded));
            }
        }
    }

    fn end(&self) {
        for bar in self.bars.values() {
            bar.abandon();
        }
    }
}

fn plain(stage: StageName, at: &Standing) -> String {
    format!("{} {}/{}", stage.name(), at.ledger.consumed, at.ledger.consumed + at.waiting)
}
