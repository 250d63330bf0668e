//! Comma-separated values (RFC 4180), UTF-8, with a header.
//!
//! Unknown is an empty field; rows hold no empty texts, since validation makes those unknown. Lists are JSON texts. Texts are
//! written as they are: a spreadsheet that takes `=...` for a formula is to be told that the column is text.

use std::borrow::Cow;
use std::io::{self, BufWriter};

use super::RowWriter;
use super::file::Sink;
use super::format::rfc3339;
use crate::store::relations::{Relation, Value};

pub(super) struct Writer(csv::Writer<BufWriter<Sink>>);

impl Writer {
    pub(super) fn start(relation: &Relation, sink: BufWriter<Sink>) -> io::Result<Writer> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(sink);
        writer.write_record(relation.columns.iter().map(|column| column.name))?;
        Ok(Writer(writer))
    }
}

impl RowWriter for Writer {
    fn row(&mut self, row: &[Value]) -> io::Result<()> {
        for value in row {
            self.0.write_field(field(value)?.as_bytes())?;
        }
        // The empty record ends the line.
        Ok(self.0.write_record(None::<&[u8]>)?)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn field(value: &Value) -> io::Result<Cow<'_, str>> {
    Ok(match value {
        Value::Null => Cow::Borrowed(""),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Int(value) => Cow::Owned(value.to_string()),
        // The shortest text that reads back to the same bits.
        Value::Real(value) => Cow::Owned(value.to_string()),
        Value::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Value::Time(micros) => Cow::Owned(rfc3339(*micros)),
        Value::Texts(_) | Value::Reals(_) => Cow::Owned(serde_json::to_string(value)?),
    })
}
