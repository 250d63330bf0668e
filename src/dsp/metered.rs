//! A source that gives no more than it may, and remembers why it gave no more.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use parking_lot::Mutex;
use symphonia::core::io::MediaSource;

/// Counts what is read, so that neither a lying header nor a huge file of noise costs more than the limit.
pub(super) struct Metered {
    pub inner: Box<dyn MediaSource>,
    pub left: u64,
    /// Set once it could not give what was wanted. Demuxers take any failure for the end of a file that was cut off.
    pub failure: Arc<Mutex<Option<Failure>>>,
}

/// Why a source gave no more.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// It gave as much as it may.
    Exhausted,
    /// What the file system said.
    Unreadable(String),
}

impl Metered {
    fn note<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        outcome.inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failure.lock().get_or_insert_with(|| Failure::Unreadable(error.to_string()));
            }
        })
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !buffer.is_empty() {
            *self.failure.lock() = Some(Failure::Exhausted);
            return Err(io::Error::other("read limit reached"));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.inner.read(&mut buffer[..most]);
        let got = self.note(got)?;
        self.left -= got as u64;
        Ok(got)
    }
}

impl Seek for Metered {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}

impl MediaSource for Metered {
    fn is_seekable(&self) -> bool {
        self.inner.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.inner.byte_len()
    }
}
