//! Lines for people: `Nov 22 15:24:01.123 WARN An actor is restarted. attempt: 1, actor: audio, run_id: 20261122T152400-41c3`.
//!
//! One event is one line whatever it quotes: control characters are shown, not obeyed.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;

use slog::{Drain, KV, Key, Level, OwnedKVList, Record, Serializer};

/// Writes events as lines of text.
pub(super) struct Text<W> {
    out: RefCell<W>,
    color: bool,
}

impl<W: Write> Text<W> {
    pub(super) fn new(out: W, color: bool) -> Text<W> {
        Text { out: RefCell::new(out), color }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl<W: Write> Drain for Text<W> {
    type Ok = ();
    type Err = std::io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> std::io::Result<()> {
        let time = chrono::Utc::now().format("%b %d %H:%M:%S%.3f");
        let (name, code) = level(record.level());
        let message = on_one_line(&record.msg().to_string());
        let (mut own, mut shared) = (Pairs::default(), Pairs::default());
        record.kv().serialize(record, &mut own).and_then(|()| values.serialize(record, &mut shared))?;
        // slog hands over an event's values last first.
        let pairs = own.0.into_iter().rev().chain(shared.0);
        let pairs: Vec<String> = pairs.map(|(key, value)| format!("{}: {value}", self.paint("2", &key))).collect();
        let line = format!("{time} {} {} {}\n", self.paint(code, name), self.paint("1", &message), pairs.join(", "));
        let mut out = self.out.borrow_mut();
        out.write_all(line.as_bytes())?;
        out.flush()
    }
}

/// Four letters, so that messages stand below each other, and a colour.
fn level(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Critical => ("CRIT", "35"),
        Level::Error => ("ERRO", "31"),
        Level::Warning => ("WARN", "33"),
        Level::Info => ("INFO", "32"),
        Level::Debug => ("DEBG", "36"),
        Level::Trace => ("TRCE", "34"),
    }
}

/// Keys and values.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.push((key.to_string(), on_one_line(&value.to_string())));
        Ok(())
    }
}

fn on_one_line(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().flat_map(|char| if char.is_control() { char.escape_default().collect() } else { vec![char] }).collect()
}

#[cfg(test)]
mod tests {
    use slog::{Logger, o};

    use super::*;

    #[test]
    fn one_event_is_one_line_whatever_it_quotes() {
        let (sender, lines) = std::sync::mpsc::channel();
        struct Sent(std::sync::mpsc::Sender<String>);
        impl Write for Sent {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let drain = std::sync::Mutex::new(Text::new(Sent(sender), false)).fuse();
        let logger = Logger::root(drain, o!("run_id" => "r1"));
        slog::warn!(logger, "left != right\n  left: 1"; "said" => "\u{1b}[2Jgone\r\nINFO all is well", "times" => 2);
        let line = lines.recv().expect("a line");
        let (_, after_time) = line.split_at("Nov 22 15:24:01.123 ".len());
        let expected = "WARN left != right\\n  left: 1 said: \\u{1b}[2Jgone\\r\\nINFO all is well, times: 2, run_id: r1\n";
        assert_eq!(after_time, expected);
    }
}
