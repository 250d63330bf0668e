//! The calls of the last minutes, kept beside the park book: a process that is killed and started again must not fill a
//! window that its predecessor has already filled.
//!
//! One short line a call, appended without waiting for the disk: it survives the process, which is what `kill -9` takes away.
//! After a power cut the server's window has passed before the machine is up.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;

/// Calls older than this are in no window: the longest one is a minute.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The file is rewritten with what is still remembered above this size.
const MAX_BYTES: u64 = 1024 * 1024;

/// The file of calls; without a path nothing is kept.
#[derive(Debug)]
pub(super) struct CallFile {
    path: Option<PathBuf>,
    open: Mutex<Option<Appending>>,
    /// By account, from before this process: microseconds since the Unix epoch.
    before: HashMap<String, Vec<i64>>,
}

#[derive(Debug)]
struct Appending {
    file: File,
    bytes: u64,
}

impl CallFile {
    /// Reads what a predecessor wrote. What cannot be read is as good as nothing.
    pub(super) fn open(path: Option<PathBuf>, now: i64) -> CallFile {
        let recent = path.as_deref().map(|path| read(path, now)).unwrap_or_default();
        let open = path.as_deref().and_then(|path| rewrite(path, &recent).ok());
        let mut before: HashMap<String, Vec<i64>> = HashMap::new();
        for (at, account) in recent {
            before.entry(account).or_default().push(at);
        }
        CallFile { path, open: Mutex::new(open), before }
    }

    /// How long ago the account's calls before this process were made.
    pub(super) fn ages(&self, account: &str, now: i64) -> Vec<Duration> {
        let age = |at: &i64| Duration::from_micros(u64::try_from(now.saturating_sub(*at)).unwrap_or(0));
        self.before.get(account).map(|calls| calls.iter().map(age).collect()).unwrap_or_default()
    }

    /// Notes a call.
    ///
    /// # Errors
    /// When it cannot be written: the limits then hold within this process only.
    pub(super) fn note(&self, account: &str, at: i64) -> std::io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut open = self.open.lock();
        if open.as_ref().is_none_or(|appending| appending.bytes > MAX_BYTES) {
            *open = Some(rewrite(path, &read(path, at))?);
        }
        let Some(appending) = open.as_mut() else { return Ok(()) };
        let line = format!("{at} {account}\n");
        appending.file.write_all(line.as_bytes())?;
        appending.bytes += line.len() as u64;
        Ok(())
    }
}

/// The calls still remembered, oldest first. A line cut by the kill is passed over.
fn read(path: &Path, now: i64) -> Vec<(i64, String)> {
    let text = fs::read(path).unwrap_or_default();
    let oldest = now.saturating_sub(i64::try_from(REMEMBERED.as_micros()).unwrap_or(i64::MAX));
    let call = |line: &str| {
        let (at, account) = line.split_once(' ')?;
        let at: i64 = at.parse().ok()?;
        (at >= oldest && at <= now).then(|| (at, account.to_owned()))
    };
    String::from_utf8_lossy(&text).lines().filter_map(call).collect()
}

fn rewrite(path: &Path, calls: &[(i64, String)]) -> std::io::Result<Appending> {
    let text: String = calls.iter().map(|(at, account)| format!("{at} {account}\n")).collect();
    fs::write(path, &text)?;
    let file = OpenOptions::new().append(true).open(path)?;
    Ok(Appending { file, bytes: text.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_792_584_000_000_000;

    #[test]
    fn a_successor_knows_the_calls_of_the_last_minutes() {
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path().join("calls"));
        let file = CallFile::open(path.clone(), NOW);
        file.note("spotify/1", NOW - 700_000_000).unwrap();
        file.note("spotify/1", NOW).unwrap();
        file.note("deezer", NOW + 1_000_000).unwrap();
        drop(file);
        let file = CallFile::open(path, NOW + 2_000_000);
        assert_eq!(file.ages("spotify/1", NOW + 2_000_000), [Duration::from_secs(2)]);
        assert_eq!(file.ages("deezer", NOW + 2_000_000), [Duration::from_secs(1)]);
        assert!(file.ages("itunes", NOW).is_empty());
    }

    #[test]
    fn a_damaged_file_costs_only_its_damaged_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls");
        fs::write(&path, format!("{NOW} a\n\u{0}\u{1}\nx y\n{NOW} b\n17925")).unwrap();
        let file = CallFile::open(Some(path), NOW);
        assert_eq!((file.ages("a", NOW).len(), file.ages("b", NOW).len()), (1, 1));
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls");
        let file = CallFile::open(Some(path.clone()), NOW);
        for call in 0..60_000 {
            file.note("spotify/0123456789ab", NOW + call * 1_000_000).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() <= MAX_BYTES + 100);
    }
}
