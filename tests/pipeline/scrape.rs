//! Scrapes `/metrics` again and again, as a Prometheus in a hurry would, and remembers how long it took.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use reprise::observe::endpoint::samples::{Sample, samples};

use crate::client::get;

/// Between two scrapes: the endpoint sleeps in between, as it does in life, and has to be woken.
const PAUSE: Duration = Duration::from_millis(20);

/// One scrape, to be asked for figures.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    /// As it came.
    pub text: String,
    samples: Vec<Sample>,
}

impl Scrape {
    /// Scrapes once.
    pub fn take(address: SocketAddr) -> Scrape {
        let answer = get(address, "/metrics");
        assert_eq!(answer.status, 200, "{}", answer.body);
        Scrape { samples: samples(&answer.body), text: answer.body }
    }

    /// Samples of this name with these labels, and perhaps more.
    pub fn of<'a>(&'a self, name: &'a str, labels: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = &'a Sample> {
        let fits = |sample: &Sample| labels.iter().all(|(label, value)| sample.label(label) == *value);
        self.samples.iter().filter(move |sample| sample.name == name && fits(sample))
    }

    /// Their sum; 0 for none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|sample| sample.value).sum()
    }

    /// The sum of what counts whole things.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.sum(name, labels).round() as u64
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.samples.len()
    }

    /// Counters by name and labels.
    fn counters(&self) -> BTreeMap<String, f64> {
        let counts = |sample: &&Sample| sample.name.ends_with("_total") || sample.name.ends_with("_count");
        self.samples
            .iter()
            .filter(counts)
            .map(|sample| (format!("{} {:?}", sample.name, sample.labels), sample.value))
            .collect()
    }
}

/// Scrapes until it is stopped.
pub struct Scraper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Scraped>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Scraped {
    /// How long each scrape took, shortest first.
    pub times: Vec<Duration>,
    /// Most series at once.
    pub series_max: usize,
    /// Counters that went backwards, which no counter may while its process lives.
    pub backwards: Vec<String>,
}

impl Scraper {
    /// Starts scraping.
    pub fn start(address: SocketAddr) -> Scraper {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut scraped, mut before) = (Scraped::default(), BTreeMap::new());
            while !stopped.load(Ordering::Relaxed) {
                let started = Instant::now();
                let scrape = Scrape::take(address);
                scraped.times.push(started.elapsed());
                scraped.series_max = scraped.series_max.max(scrape.series());
                let now = scrape.counters();
                let fell = |(name, was): (&String, &f64)| now.get(name).is_none_or(|is| is < was).then(|| name.clone());
                scraped.backwards.extend(before.iter().filter_map(fell));
                before = now;
                thread::sleep(PAUSE);
            }
            scraped.times.sort_unstable();
            scraped
        });
        Scraper { stop, thread }
    }

    /// Ends it.
    pub fn stop(self) -> Scraped {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every scrape was answered")
    }
}

impl Scraped {
    /// The time that this share of the scrapes did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let place = (self.times.len() as f64 * share) as usize;
        self.times.get(place.min(self.times.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// In a line.
    pub fn told(&self) -> String {
        let ms = |share| self.quantile(share).as_secs_f64() * 1e3;
        format!("{} scrapes: median {:.1} ms, p99 {:.1} ms, longest {:.1} ms", self.times.len(), ms(0.5), ms(0.99), ms(1.0))
    }
}
