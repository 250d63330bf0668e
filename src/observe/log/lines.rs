//! Where lines leave the process: whole, and without secrets.
//!
//! Secrets are kept from logs by their type ([`crate::config::Secret`]). This is the second net, for what comes back from
//! outside: a server that quotes a key, a driver that quotes an address.

use std::io::{self, Write};

/// Shorter secrets are left alone: they would black out half of every line, and be found out by that.
const SHORTEST: usize = 6;

/// Collects what is written into lines and passes each on in one piece.
pub(super) struct Lines<W> {
    out: W,
    line: Vec<u8>,
    secrets: Vec<String>,
}

impl<W: Write> Lines<W> {
    /// Lines to `out`, in which `secrets` show as `***`.
    pub(super) fn new(out: W, secrets: Vec<String>) -> Lines<W> {
        let mut spelt: Vec<String> = secrets.iter().flat_map(|secret| [secret.clone(), in_json(secret)]).collect();
        spelt.retain(|secret| secret.len() >= SHORTEST);
        // A secret may be part of another one.
        spelt.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        spelt.dedup();
        Lines { out, line: Vec::new(), secrets: spelt }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        if self.secrets.iter().all(|secret| !text.contains(secret.as_str())) {
            return self.out.write_all(&line);
        }
        let told = self.secrets.iter().fold(text.into_owned(), |text, secret| text.replace(secret, "***"));
        self.out.write_all(told.as_bytes())
    }
}

/// As JSON spells it, without the quotes.
fn in_json(secret: &str) -> String {
    let quoted = serde_json::to_string(secret).unwrap_or_default();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.pass_on()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_show_as_stars_however_the_line_was_put_together() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, vec!["hunter2hunter2".into(), "say \"friend\"".into(), "abc".into()]);
        for piece in ["key hunter2", "hunter2 refused\n{\"say \\", "\"friend\\\"\": 1} abc\nnot yet hunter2"] {
            lines.write_all(piece.as_bytes()).expect("memory takes it");
        }
        assert_eq!(String::from_utf8_lossy(&out), "key *** refused\n{\"***\": 1} abc\n");
    }
}
