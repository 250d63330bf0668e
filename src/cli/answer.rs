//! Standard output: answers only, and no panic when nobody reads them any more.

use std::fmt;
use std::io::{self, Write as _};

/// As `println!`, which panics on a closed pipe.
macro_rules! answer {
    ($($part:tt)*) => { crate::cli::answer::line(format_args!($($part)*)) };
}

/// Writes a line. `reprise ... | head` is no failure: the reader has what it wants, and the process ends. An answer that
/// cannot be written, on a full disk for instance, is a failure.
pub(super) fn line(text: fmt::Arguments<'_>) {
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("reprise: the answer cannot be written: {error}");
            std::process::exit(1);
        }
    }
}
