//! Which files are meant: named ones as they are, folders by what is in them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Extensions taken in folders. Files that are named are analysed whatever they are called.
pub(super) const EXTENSIONS: [&str; 10] = ["aac", "flac", "m4a", "m4b", "mp3", "mp4", "oga", "ogg", "wav", "wave"];

/// A file to analyse, or a path that cannot be followed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub path: PathBuf,
    /// Why there is nothing to open, when that is known already.
    pub problem: Option<String>,
}

/// The files under `paths`: arguments in their order, each folder's content sorted by name. A file is listed once.
pub(super) fn find(paths: &[PathBuf]) -> Vec<Found> {
    let mut walk = Walk::default();
    for path in paths {
        walk.visit(path, true);
    }
    walk.found
}

#[derive(Default)]
struct Walk {
    found: Vec<Found>,
    /// Folders entered and files listed, by their real path: a link back up ends here, and nothing is counted twice.
    seen: HashSet<PathBuf>,
}

impl Walk {
    fn visit(&mut self, path: &Path, named: bool) {
        // Follows links, so that a library of links is as good as a library of files.
        match fs::metadata(path) {
            Err(error) if named => self.problem(path, error.to_string()),
            // A dangling link inside a folder is reported only if it looks like music; what cannot be looked at could be a folder
            // full of it.
            Err(error) if is_audio(path) || !is_link(path) => self.problem(path, error.to_string()),
            Err(_) => {}
            Ok(metadata) if metadata.is_dir() => self.enter(path),
            Ok(metadata) if metadata.is_file() => {
                if (named || is_audio(path)) && self.is_new(path) {
                    self.found.push(Found { path: path.to_owned(), problem: None });
                }
            }
            // Opening a pipe or a device could wait for ever.
            Ok(_) if named => self.problem(path, "neither a file nor a folder".to_owned()),
            Ok(_) => {}
        }
    }

    fn enter(&mut self, folder: &Path) {
        if !self.is_new(folder) {
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.problem(folder, format!("cannot list this folder: {error}")),
        };
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => paths.push(entry.path()),
                Err(error) => self.problem(folder, format!("cannot list all of this folder: {error}")),
            }
        }
        paths.sort();
        for path in paths {
            self.visit(&path, false);
        }
    }

    fn is_new(&mut self, path: &Path) -> bool {
        self.seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
    }

    fn problem(&mut self, path: &Path, problem: String) {
        self.found.push(Found { path: path.to_owned(), problem: Some(problem) });
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

fn is_audio(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[Found], root: &Path) -> Vec<String> {
        let name = |found: &Found| found.path.strip_prefix(root).unwrap_or(&found.path).display().to_string();
        found.iter().map(name).collect()
    }

    #[test]
    fn lists_audio_files_of_folders_in_order_and_named_files_always() -> std::io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir(root.path().join("b"))?;
        for name in ["c.mp3", "b/z.FLAC", "b/a.wav", "a.txt", "d.ogg"] {
            fs::write(root.path().join(name), b"")?;
        }
        let found = find(&[root.path().to_owned(), root.path().join("a.txt"), root.path().join("c.mp3")]);
        assert_eq!(names(&found, root.path()), ["b/a.wav", "b/z.FLAC", "c.mp3", "d.ogg", "a.txt"]);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_contains_itself_ends() -> std::io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::write(root.path().join("a.mp3"), b"")?;
        std::os::unix::fs::symlink(root.path(), root.path().join("loop"))?;
        std::os::unix::fs::symlink(root.path().join("nowhere"), root.path().join("dangling.mp3"))?;
        let found = find(&[root.path().to_owned()]);
        assert_eq!(names(&found, root.path()), ["a.mp3", "dangling.mp3"]);
        assert!(found[1].problem.is_some());
        Ok(())
    }

    #[test]
    fn a_missing_path_is_a_failed_file() {
        let found = find(&[PathBuf::from("/no/such/file.mp3")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].problem.is_some());
    }
}
