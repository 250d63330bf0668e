//! Pauses that outlive the process, and what was learnt about an account.
//!
//! **Guarantee.** A pause of hours that a server asked for is kept across any restart: the file is replaced in one rename,
//! and read at the start. Processes that share a folder change one entry each, and forget none of another's. What cannot be read is set aside, not trusted and not fatal: the worst case is one request.
//!
//! Beside parks it keeps notes, such as that an account may not use batch look-ups, so that a restart does not waste calls on
//! finding out again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// An account that must not be used for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Park {
    /// For people.
    pub reason: String,
    /// Microseconds since the Unix epoch.
    pub until: i64,
    /// The server named the pause, or it is a rate limit's that we know about; else nothing is known of it.
    pub said: bool,
    /// The pause was a long one from its beginning: a quota is used up.
    #[serde(default)]
    pub long: bool,
}

/// A pause of this length is that of a used-up quota, also where the server names it. Windows of rate limits are shorter:
/// 5 seconds at Deezer, 30 at Spotify, whose quotas are paused for in hours.
pub(super) const LONG: Duration = Duration::from_secs(600);

impl Park {
    /// The metric label of waiting for it.
    pub(super) fn label(&self) -> &'static str {
        if self.said && !self.long { "retry_after" } else { "quota" }
    }
}

/// Something learnt about an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    text: String,
    /// When it was learnt, microseconds since the Unix epoch.
    at: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Pages {
    #[serde(default)]
    parks: BTreeMap<String, Park>,
    #[serde(default)]
    notes: BTreeMap<String, Note>,
}

/// The book of parks and notes of one process, in a JSON file of its data directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ParkBook {
    path: Option<PathBuf>,
    pages: Arc<Mutex<Pages>>,
}

impl ParkBook {
    /// Opens or starts the book at `path` (such as `DATA_DIR/accounts.json`). A file that cannot be understood is moved to
    /// `path` with `.bad` appended; the second value says so, for the log.
    ///
    /// # Errors
    /// When the file is there but cannot be read: the message names it.
    pub fn open(path: &Path) -> anyhow::Result<(ParkBook, Option<String>)> {
        let book = |pages| ParkBook { path: Some(path.to_owned()), pages: Arc::new(Mutex::new(pages)) };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((book(Pages::default()), None)),
            Err(error) => anyhow::bail!("cannot read {}: {error}", path.display()),
        };
        match serde_json::from_slice(&bytes) {
            Ok(pages) => Ok((book(pages), None)),
            Err(error) => {
                let aside = path.with_added_extension("bad");
                let moved = fs::rename(path, &aside);
                let kept = moved.map_or_else(|error| format!("not kept: {error}"), |()| format!("kept as {}", aside.display()));
                let warning = format!("{} is damaged ({error}), pauses in it are forgotten; {kept}", path.display());
                Ok((book(Pages::default()), Some(warning)))
            }
        }
    }

    /// A book that forgets with the process: for tests and one-off commands.
    pub fn in_memory() -> ParkBook {
        ParkBook { path: None, pages: Arc::default() }
    }

    /// The path of a file that belongs to the book; none for a book that forgets.
    pub(super) fn beside(&self, extension: &str) -> Option<PathBuf> {
        self.path.as_ref().map(|path| path.with_added_extension(extension))
    }

    /// The park of `account`, if one was noted, over or not.
    pub fn parked(&self, account: &str) -> Option<Park> {
        self.pages.lock().parks.get(account).cloned()
    }

    /// Notes a park, unless a longer one is noted.
    ///
    /// # Errors
    /// When the file cannot be written. The park holds in this process all the same.
    pub fn park(&self, account: &str, park: &Park) -> std::io::Result<()> {
        self.change(|pages| {
            let known = pages.parks.entry(account.to_owned()).or_insert_with(|| park.clone());
            if known.until < park.until {
                *known = park.clone();
            }
        })
    }

    /// Forgets the park of `account` if it is over at `now` (microseconds since the Unix epoch).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn clear_over(&self, account: &str, now: i64) -> std::io::Result<()> {
        self.change(|pages| {
            if pages.parks.get(account).is_some_and(|park| park.until <= now) {
                pages.parks.remove(account);
            }
        })
    }

    /// What was learnt under `key` since `oldest` (microseconds since the Unix epoch).
    pub fn note(&self, key: &str, oldest: i64) -> Option<String> {
        self.pages.lock().notes.get(key).filter(|note| note.at >= oldest).map(|note| note.text.clone())
    }

    /// Notes what was learnt at `at` under `key`.
    ///
    /// # Errors
    /// When the file cannot be written. The note holds in this process all the same.
    pub fn learn(&self, key: &str, text: &str, at: i64) -> std::io::Result<()> {
        self.change(|pages| drop(pages.notes.insert(key.to_owned(), Note { text: text.to_owned(), at })))
    }

    /// Changes what is in the file now: another process of the same folder may have written since. Written beside the file and
    /// renamed: a reader finds the old book or the new one. The pages stay locked meanwhile, so that an older state cannot
    /// overtake a newer one.
    fn change(&self, change: impl Fn(&mut Pages)) -> std::io::Result<()> {
        let mut pages = self.pages.lock();
        change(&mut pages);
        let Some(path) = &self.path else { return Ok(()) };
        let _alone = alone(path);
        // A file that is damaged since is replaced by what this process knows.
        if let Some(mut written) = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Pages>(&bytes).ok()) {
            change(&mut written);
            *pages = written;
        }
        let beside = path.with_added_extension(format!("new-{}", std::process::id()));
        let mut file = fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(&*pages)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    }
}

/// For how long another process is waited for that is writing the book: one that was stopped in the middle must not stop others.
const ALONE: Duration = Duration::from_millis(500);

/// The lock of the book. Without it, which only a stopped process or an odd file system leads to, the last writer wins.
fn alone(path: &Path) -> Option<fs::File> {
    let lock = fs::File::create(path.with_added_extension("lock")).ok()?;
    let deadline = Instant::now() + ALONE;
    while lock.try_lock().is_err() {
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn park() -> Park {
        Park { reason: "spotify: quota".into(), until: 1_792_584_000_000_000, said: true, long: true }
    }

    #[test]
    fn parks_and_notes_survive_a_restart_and_end_when_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.json");
        let (book, warning) = ParkBook::open(&path).unwrap();
        assert_eq!(warning, None);
        book.park("spotify/1", &park()).unwrap();
        book.learn("spotify/1/page", "10", 1_000).unwrap();
        drop(book);
        let (book, _) = ParkBook::open(&path).unwrap();
        assert_eq!(book.parked("spotify/1"), Some(park()));
        assert_eq!(book.note("spotify/1/page", 1_000).as_deref(), Some("10"));
        assert_eq!(book.note("spotify/1/page", 1_001), None, "too old to be believed");
        book.clear_over("spotify/1", park().until - 1).unwrap();
        assert_eq!(ParkBook::open(&path).unwrap().0.parked("spotify/1"), Some(park()), "it is not over");
        book.clear_over("spotify/1", park().until).unwrap();
        assert_eq!(ParkBook::open(&path).unwrap().0.parked("spotify/1"), None);
    }

    #[test]
    fn processes_that_share_a_folder_forget_nothing_of_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.json");
        let [one, other] = [(); 2].map(|()| ParkBook::open(&path).unwrap().0);
        one.park("spotify/1", &park()).unwrap();
        other.park("deezer", &Park { until: 7, ..park() }).unwrap();
        one.learn("spotify/1/page", "10", 1_000).unwrap();
        other.park("spotify/1", &Park { until: 8, ..park() }).unwrap();
        other.clear_over("deezer", 7).unwrap();
        let (next, _) = ParkBook::open(&path).unwrap();
        assert_eq!(next.parked("spotify/1"), Some(park()), "a shorter pause does not shorten a longer one");
        assert_eq!((next.parked("deezer"), next.note("spotify/1/page", 0).as_deref()), (None, Some("10")));
        // Many at once, each with an entry of its own.
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    let (book, warning) = ParkBook::open(path).unwrap();
                    assert_eq!(warning, None);
                    for round in 0..5 {
                        book.learn(&format!("{number}/{round}"), "x", 1).unwrap();
                    }
                });
            }
        });
        let (next, _) = ParkBook::open(&path).unwrap();
        let kept = |number: i32| (0..5).all(|round| next.note(&format!("{number}/{round}"), 0).is_some());
        assert!((0..8).all(kept));
    }

    #[test]
    fn a_book_of_an_older_version_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.json");
        fs::write(&path, br#"{"parks": {"spotify": {"reason": "quota", "until": 7, "said": true}}}"#).unwrap();
        let (book, warning) = ParkBook::open(&path).unwrap();
        assert_eq!((book.parked("spotify").map(|park| park.until), warning), (Some(7), None));
    }

    #[test]
    fn a_damaged_book_is_set_aside_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.json");
        fs::write(&path, b"{\"parks\": {\"spotify").unwrap();
        let (book, warning) = ParkBook::open(&path).unwrap();
        assert!(warning.unwrap().contains("accounts.json.bad"));
        assert_eq!(book.parked("spotify"), None);
        assert!(folder.path().join("accounts.json.bad").exists());
        book.park("spotify", &park()).unwrap();
        assert!(ParkBook::open(&path).unwrap().0.parked("spotify").is_some());
    }

    #[test]
    fn a_book_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = ParkBook::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }
}
