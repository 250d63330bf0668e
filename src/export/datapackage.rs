//! `datapackage.json`: what the files hold, for programs and people
//! (<https://specs.frictionlessdata.io/data-package/>, <https://specs.frictionlessdata.io/table-schema/>).

use serde_json::{Value as Json, json};

use super::Format;
use super::file::Written;
use crate::store::relations::{Column, ColumnKind, Relation};

pub(super) const NAME: &str = "datapackage.json";

pub(super) fn describe(format: Format, files: &[(&'static Relation, Written)]) -> String {
    let resources: Vec<Json> = files.iter().map(|(relation, written)| resource(format, relation, written)).collect();
    let package = json!({
        "profile": "data-package",
        "name": "reprise",
        "title": "Music database of reprise",
        "description": "Null is unknown. No link to a preview clip is stored, and no audio.",
        "created": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "resources": resources,
    });
    format!("{package:#}\n")
}

fn resource(format: Format, relation: &Relation, written: &Written) -> Json {
    let exported = &written.exported;
    let references: Vec<Json> = relation
        .references
        .iter()
        .map(|(column, table)| json!({"fields": [column], "reference": {"resource": table, "fields": [column]}}))
        .collect();
    let mut schema = json!({
        "fields": relation.columns.iter().map(field).collect::<Vec<Json>>(),
        "primaryKey": relation.key,
        "foreignKeys": references,
    });
    if format == Format::Csv {
        schema["missingValues"] = json!([""]);
    }
    json!({
        "name": relation.name,
        "title": relation.meaning,
        "path": exported.file,
        "format": format.extension(),
        "mediatype": format.media_type(),
        "encoding": "utf-8",
        "bytes": exported.bytes,
        "hash": format!("sha256:{}", exported.sha256),
        "rows": exported.rows,
        "schema": schema,
    })
}

fn field(column: &Column) -> Json {
    let kind = match column.kind {
        ColumnKind::Text => "string",
        ColumnKind::Int => "integer",
        ColumnKind::Real => "number",
        ColumnKind::Bool => "boolean",
        ColumnKind::Time => "datetime",
        ColumnKind::Texts | ColumnKind::Reals => "array",
    };
    json!({"name": column.name, "type": kind, "description": column.meaning})
}
