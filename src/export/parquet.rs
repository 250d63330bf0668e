//! Apache Parquet (<https://parquet.apache.org/docs/file-format/>): texts, 64-bit integers, doubles, booleans, timestamps in
//! microseconds UTC, and lists; every column is optional, null is unknown.

use std::io::{self, BufWriter, Write as _};
use std::mem::take;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::RowWriter;
use super::file::Sink;
use crate::store::relations::{Column, ColumnKind, Relation, Value};

/// Rows held back for one row group: a few ten megabytes of the widest relation.
const GROUP_ROWS: usize = 20_000;

pub(super) struct Writer {
    file: SerializedFileWriter<BufWriter<Sink>>,
    columns: Vec<Held>,
    rows: usize,
}

impl Writer {
    pub(super) fn start(relation: &Relation, sink: BufWriter<Sink>) -> io::Result<Writer> {
        let schema = Arc::new(parse_message_type(&message_type(relation))?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("reprise version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = SerializedFileWriter::new(sink, schema, Arc::new(properties))?;
        Ok(Writer { file, columns: relation.columns.iter().map(Held::new).collect(), rows: 0 })
    }

    fn write_group(&mut self) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for held in &mut self.columns {
            if let Some(mut column) = group.next_column()? {
                held.write(&mut column)?;
                column.close()?;
            }
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl RowWriter for Writer {
    fn row(&mut self, row: &[Value]) -> io::Result<()> {
        for (held, value) in self.columns.iter_mut().zip(row) {
            held.push(value);
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.file.finish()?;
        self.file.inner_mut().flush()
    }
}

/// The schema in Parquet's own words.
fn message_type(relation: &Relation) -> String {
    let fields: Vec<String> = relation.columns.iter().map(field).collect();
    format!("message {} {{ {} }}", relation.name, fields.join(" "))
}

fn field(column: &Column) -> String {
    let name = column.name;
    let list = |element: &str| format!("OPTIONAL group {name} (LIST) {{ REPEATED group list {{ REQUIRED {element}; }} }}");
    match column.kind {
        ColumnKind::Text => format!("OPTIONAL BYTE_ARRAY {name} (STRING);"),
        ColumnKind::Int => format!("OPTIONAL INT64 {name};"),
        ColumnKind::Real => format!("OPTIONAL DOUBLE {name};"),
        ColumnKind::Bool => format!("OPTIONAL BOOLEAN {name};"),
        ColumnKind::Time => format!("OPTIONAL INT64 {name} (TIMESTAMP(MICROS,true));"),
        ColumnKind::Texts => list("BYTE_ARRAY element (STRING)"),
        ColumnKind::Reals => list("DOUBLE element"),
    }
}

/// The values of a column that wait for their row group, with the levels that say which are there.
struct Held {
    values: Values,
    /// 0: unknown. Of a list, 1: empty, and 2: an element; else 1: a value.
    definition: Vec<i16>,
    /// Of a list: 0 begins a row, 1 goes on in it.
    repetition: Option<Vec<i16>>,
}

enum Values {
    Texts(Vec<ByteArray>),
    Ints(Vec<i64>),
    Reals(Vec<f64>),
    Bools(Vec<bool>),
}

impl Held {
    fn new(column: &Column) -> Held {
        let (values, list) = match column.kind {
            ColumnKind::Text => (Values::Texts(Vec::new()), false),
            ColumnKind::Int | ColumnKind::Time => (Values::Ints(Vec::new()), false),
            ColumnKind::Real => (Values::Reals(Vec::new()), false),
            ColumnKind::Bool => (Values::Bools(Vec::new()), false),
            ColumnKind::Texts => (Values::Texts(Vec::new()), true),
            ColumnKind::Reals => (Values::Reals(Vec::new()), true),
        };
        Held { values, definition: Vec::new(), repetition: list.then(Vec::new) }
    }

    fn push(&mut self, value: &Value) {
        let there = match (&mut self.values, value) {
            (Values::Texts(held), Value::Text(text)) => {
                held.push(text.as_str().into());
                true
            }
            (Values::Ints(held), Value::Int(value) | Value::Time(value)) => {
                held.push(*value);
                true
            }
            (Values::Reals(held), Value::Real(value)) => {
                held.push(*value);
                true
            }
            (Values::Bools(held), Value::Bool(value)) => {
                held.push(*value);
                true
            }
            (Values::Texts(held), Value::Texts(texts)) => {
                held.extend(texts.iter().map(|text| ByteArray::from(text.as_str())));
                return self.list(texts.len());
            }
            (Values::Reals(held), Value::Reals(numbers)) => {
                held.extend(numbers);
                return self.list(numbers.len());
            }
            _ => false,
        };
        self.definition.push(i16::from(there));
        if let Some(repetition) = &mut self.repetition {
            repetition.push(0);
        }
    }

    /// The levels of a list of `length` elements.
    fn list(&mut self, length: usize) {
        self.definition.extend(std::iter::repeat_n(if length == 0 { 1 } else { 2 }, length.max(1)));
        if let Some(repetition) = &mut self.repetition {
            repetition.push(0);
            repetition.extend(std::iter::repeat_n(1, length.saturating_sub(1)));
        }
    }

    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let definition = take(&mut self.definition);
        let repetition = self.repetition.as_mut().map(take);
        let (definition, repetition) = (Some(definition.as_slice()), repetition.as_deref());
        match &mut self.values {
            Values::Texts(held) => column.typed::<ByteArrayType>().write_batch(&take(held), definition, repetition)?,
            Values::Ints(held) => column.typed::<Int64Type>().write_batch(&take(held), definition, repetition)?,
            Values::Reals(held) => column.typed::<DoubleType>().write_batch(&take(held), definition, repetition)?,
            Values::Bools(held) => column.typed::<BoolType>().write_batch(&take(held), definition, repetition)?,
        };
        Ok(())
    }
}
