//! The work: searches that keep coming while things break, each enqueued by `reprise search` until it says that it is.

use std::time::{Duration, Instant};

use reprise::sandbox::Search;

use crate::process::{Reprise, Settings};

/// A new search this often: about as much as two cores analyse, so that there is always something in hand.
const PACE: Duration = Duration::from_secs(5);

/// Distinct tracks a search.
const TRACKS: usize = 20;

/// Years of the sandbox's catalogue.
const YEARS: std::ops::Range<usize> = 1960..2024;
const GENRES: [&str; 8] = ["jazz", "rock", "electronic", "folk", "pop", "metal", "soul", "classical"];
const DECADES: [&str; 7] = ["1960-1969", "1970-1979", "1980-1989", "1990-1999", "2000-2009", "2010-2019", "2020-2029"];

/// See the module.
pub struct Stream {
    settings: Settings,
    /// Those that are enqueued for certain.
    pub enqueued: Vec<Search>,
    under_way: Option<(Search, Reprise)>,
    due: Instant,
    /// Attempts that did not get through, since the broker was away.
    pub refused: usize,
}

impl Stream {
    pub fn new(base: &Settings) -> Stream {
        let folder = base.folder().join("searches");
        let data = folder.join("data");
        let settings = Settings { folder, ..base.clone() }.with("data_dir", data.display());
        Stream { settings, enqueued: Vec::new(), under_way: None, due: Instant::now(), refused: 0 }
    }

    /// Sees to the search under way, and begins the next when it is time and `more` are wanted.
    pub fn flow(&mut self, more: bool) {
        if let Some((search, mut process)) = self.under_way.take() {
            match process.ended() {
                None => self.under_way = Some((search, process)),
                Some(ended) if ended.code == Some(0) => self.enqueued.push(search),
                Some(_) => {
                    // It may be enqueued all the same: asking twice must do no harm.
                    self.refused += 1;
                    self.under_way = Some(self.ask(search));
                }
            }
        } else if more && Instant::now() >= self.due {
            self.due = Instant::now() + PACE;
            let search = nth(self.enqueued.len());
            self.under_way = Some(self.ask(search));
        }
    }

    /// Whether nothing is under way.
    pub fn is_settled(&self) -> bool {
        self.under_way.is_none()
    }

    fn ask(&self, search: Search) -> (Search, Reprise) {
        let process = self.settings.start(&["search", "--max-tracks", &search.max_tracks.to_string(), &search.q]);
        (search, process)
    }
}

/// All different. Years first, which share no track; then genres by decade, which find some that are known.
fn nth(number: usize) -> Search {
    let q = match number.checked_sub(YEARS.len()) {
        None => format!("year:{}", YEARS.start + number),
        Some(more) => {
            format!("genre:{} year:{}", GENRES[more % GENRES.len()], DECADES[more / GENRES.len() % DECADES.len()])
        }
    };
    Search { q, max_tracks: TRACKS }
}
