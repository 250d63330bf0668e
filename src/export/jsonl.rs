//! JSON Lines (<https://jsonlines.org>): one object a row, columns in their order, unknown as `null`, times as RFC 3339.

use std::io::{self, BufWriter, Write};

use serde::Serializer;
use serde::ser::SerializeMap;

use super::RowWriter;
use super::file::Sink;
use super::format::rfc3339;
use crate::store::relations::{Relation, Value};

pub(super) struct Writer {
    relation: &'static Relation,
    sink: BufWriter<Sink>,
}

impl Writer {
    pub(super) fn start(relation: &'static Relation, sink: BufWriter<Sink>) -> Writer {
        Writer { relation, sink }
    }
}

impl RowWriter for Writer {
    fn row(&mut self, row: &[Value]) -> io::Result<()> {
        let mut json = serde_json::Serializer::new(&mut self.sink);
        let mut object = json.serialize_map(Some(row.len()))?;
        for (column, value) in self.relation.columns.iter().zip(row) {
            match value {
                Value::Time(micros) => object.serialize_entry(column.name, &rfc3339(*micros))?,
                value => object.serialize_entry(column.name, value)?,
            }
        }
        object.end()?;
        self.sink.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
