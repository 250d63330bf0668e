//! The formats, and what each makes of a value.

use std::io::{self, BufWriter};

use chrono::{DateTime, SecondsFormat};

use super::file::Sink;
use super::{RowWriter, csv, jsonl, parquet};
use crate::store::relations::Relation;

/// What the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated values by RFC 4180, with a header; unknown is empty, lists are JSON
    Csv,
    /// Apache Parquet, Snappy-compressed: types and lists are kept
    Parquet,
    /// One JSON object a line
    Jsonl,
}

impl Format {
    /// How its files' names end.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Parquet => "parquet",
            Format::Jsonl => "jsonl",
        }
    }

    /// As Frictionless Data and HTTP call it.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Jsonl => "application/x-ndjson",
        }
    }

    pub(super) fn writer(self, relation: &'static Relation, sink: BufWriter<Sink>) -> io::Result<Box<dyn RowWriter>> {
        Ok(match self {
            Format::Csv => Box::new(csv::Writer::start(relation, sink)?),
            Format::Parquet => Box::new(parquet::Writer::start(relation, sink)?),
            Format::Jsonl => Box::new(jsonl::Writer::start(relation, sink)),
        })
    }
}

/// A time as RFC 3339, in UTC: `2026-11-22T18:39:16.123456Z`.
pub(super) fn rfc3339(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
