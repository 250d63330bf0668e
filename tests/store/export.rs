//! Exports: what comes out is what is in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;

use chrono::DateTime;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use reprise::export::{Exported, Format, export, relations};
use reprise::records::Row;
use reprise::store::Store;
use reprise::store::relations::{ColumnKind, Relation, Value};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::changes::{artist, audio, change, listeners, one_of_each, song};
use crate::place;

type Tables = BTreeMap<&'static str, Vec<Vec<Value>>>;

/// Names that a careless writer spoils.
const NAMES: [&str; 6] = ["a, \"b\"\nc\r\n", "=1+1", "\u{202e}rtl\u{7}", "Sigur Rós 初音ミク 🎵", "null", "\\N"];

fn run(store: &dyn Store, folder: &Path, format: Format) -> Vec<Exported> {
    export(store, folder, format, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"))
}

fn awkward(store: &dyn Store) {
    store.apply(&one_of_each(), &[]).expect("records");
    for (number, name) in NAMES.iter().enumerate() {
        let (artist_id, song_id) = (format!("x{number}"), format!("y{number}"));
        let mut played = song(&song_id, name, &artist_id, None);
        if let Row::Song(song) = &mut played {
            song.is_explicit = Some(number % 2 == 0);
        }
        let rows = [artist(&artist_id, name), listeners(&artist_id, None, &[name, "jazz"]), played, audio(&song_id, None, 2)];
        store.apply(&rows.map(|row| change(7, row)), &[]).expect("awkward rows");
    }
}

fn scanned(store: &dyn Store) -> Tables {
    let mut tables: Tables = relations().iter().map(|relation| (relation.name, Vec::new())).collect();
    store
        .scan(&relations(), &mut |relation, row| {
            tables.get_mut(relation.name).expect("a relation").push(row.to_vec());
            ControlFlow::Continue(())
        })
        .expect("a scan");
    tables
}

fn time(text: &str) -> Value {
    Value::Time(DateTime::parse_from_rfc3339(text).expect(text).timestamp_micros())
}

fn from_json(kind: ColumnKind, json: &Json) -> Value {
    if json.is_null() {
        return Value::Null;
    }
    let texts = |json: &Json| serde_json::from_value(json.clone()).expect("texts");
    match kind {
        ColumnKind::Text => Value::Text(json.as_str().expect("text").to_owned()),
        ColumnKind::Int => Value::Int(json.as_i64().expect("a whole number")),
        ColumnKind::Real => Value::Real(json.as_f64().expect("a number")),
        ColumnKind::Bool => Value::Bool(json.as_bool().expect("true or false")),
        ColumnKind::Time => time(json.as_str().expect("a time")),
        ColumnKind::Texts => Value::Texts(texts(json)),
        ColumnKind::Reals => Value::Reals(serde_json::from_value(json.clone()).expect("numbers")),
    }
}

fn read_jsonl(file: &Path, relation: &Relation) -> Vec<Vec<Value>> {
    let text = std::fs::read_to_string(file).expect("UTF-8");
    let rows = text.lines().map(|line| {
        let object: Json = serde_json::from_str(line).expect(line);
        assert_eq!(object.as_object().expect("an object").len(), relation.columns.len());
        relation.columns.iter().map(|column| from_json(column.kind, &object[column.name])).collect()
    });
    rows.collect()
}

fn read_csv(file: &Path, relation: &Relation) -> Vec<Vec<Value>> {
    let mut reader = csv::Reader::from_path(file).expect("a file");
    let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    assert_eq!(header, relation.columns.iter().map(|column| column.name).collect::<Vec<&str>>());
    let value = |kind, field: &str| match kind {
        _ if field.is_empty() => Value::Null,
        ColumnKind::Text => Value::Text(field.to_owned()),
        ColumnKind::Time => time(field),
        kind => from_json(kind, &serde_json::from_str(field).expect(field)),
    };
    let row = |record: csv::StringRecord| record.iter().zip(relation.columns).map(|(field, c)| value(c.kind, field)).collect();
    reader.records().map(|record| row(record.expect("a record"))).collect()
}

fn read_parquet(file: &Path, relation: &Relation) -> Vec<Vec<Value>> {
    let reader = SerializedFileReader::new(File::open(file).expect("a file")).expect("Parquet");
    let list = |kind, elements: &[Field]| match kind {
        ColumnKind::Texts => Value::Texts(
            elements.iter().map(|e| if let Field::Str(text) = e { text.clone() } else { panic!("{e:?}") }).collect(),
        ),
        _ => {
            Value::Reals(elements.iter().map(|e| if let Field::Double(value) = e { *value } else { panic!("{e:?}") }).collect())
        }
    };
    let value = |kind, field: &Field| match (kind, field) {
        (_, Field::Null) => Value::Null,
        (ColumnKind::Text, Field::Str(text)) => Value::Text(text.clone()),
        (ColumnKind::Int, Field::Long(value)) => Value::Int(*value),
        (ColumnKind::Real, Field::Double(value)) => Value::Real(*value),
        (ColumnKind::Bool, Field::Bool(value)) => Value::Bool(*value),
        (ColumnKind::Time, Field::TimestampMicros(value)) => Value::Time(*value),
        (kind, Field::ListInternal(elements)) => list(kind, elements.elements()),
        other => panic!("{other:?}"),
    };
    let rows = reader.get_row_iter(None).expect("rows").map(|row| {
        let row = row.expect("a row");
        let named: Vec<(&String, &Field)> = row.get_column_iter().collect();
        assert!(named.iter().map(|(name, _)| name.as_str()).eq(relation.columns.iter().map(|column| column.name)));
        named.iter().zip(relation.columns).map(|((_, field), column)| value(column.kind, field)).collect()
    });
    rows.collect()
}

#[test]
fn every_format_reads_back_to_what_the_database_says() {
    for place in place::all() {
        let store = place.store();
        awkward(store.as_ref());
        let expected = scanned(store.as_ref());
        assert_eq!(expected["tracks"].len(), 1 + NAMES.len());
        type Reader = fn(&Path, &Relation) -> Vec<Vec<Value>>;
        let readers: [(Format, Reader); 3] =
            [(Format::Csv, read_csv), (Format::Jsonl, read_jsonl), (Format::Parquet, read_parquet)];
        for (format, read) in readers {
            let folder = tempfile::tempdir().expect("a folder");
            let files = run(store.as_ref(), folder.path(), format);
            assert_eq!(files.len(), 7);
            for (relation, file) in relations().into_iter().zip(&files) {
                assert_eq!(file.file, format!("{}.{}", relation.name, format.extension()));
                let rows = read(&folder.path().join(&file.file), relation);
                assert_eq!(rows, expected[relation.name], "{} on {}", file.file, place.name);
                assert_eq!(file.rows, rows.len() as u64);
            }
        }
    }
}

#[test]
fn the_data_package_tells_columns_keys_and_checksums_of_every_file() {
    let place = place::sqlite();
    let store = place.store();
    awkward(store.as_ref());
    for format in [Format::Csv, Format::Jsonl, Format::Parquet] {
        let folder = tempfile::tempdir().expect("a folder");
        run(store.as_ref(), folder.path(), format);
        let text = std::fs::read_to_string(folder.path().join("datapackage.json")).expect("a description");
        let package: Json = serde_json::from_str(&text).expect("JSON");
        let resources = package["resources"].as_array().expect("resources");
        assert_eq!(resources.len(), 7);
        for (relation, resource) in relations().into_iter().zip(resources) {
            let bytes = std::fs::read(folder.path().join(resource["path"].as_str().expect("a path"))).expect("a file");
            let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(resource["bytes"], bytes.len());
            assert_eq!(resource["hash"], format!("sha256:{hash}"));
            let fields = resource["schema"]["fields"].as_array().expect("fields");
            assert!(
                fields.iter().map(|field| field["name"].as_str()).eq(relation.columns.iter().map(|column| Some(column.name)))
            );
            assert!(fields.iter().all(|field| field["description"].as_str().is_some_and(|text| text.len() > 3)));
            for key in resource["schema"]["foreignKeys"].as_array().expect("keys") {
                let table = &key["reference"]["resource"];
                assert!(resources.iter().any(|resource| &resource["name"] == table), "{table}");
            }
        }
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).expect("a folder").map(|f| f.expect("a file").file_name()).collect();
        assert_eq!(names.len(), 8, "{names:?}");
    }
}

#[test]
fn an_empty_database_gives_files_without_rows() {
    for place in place::all() {
        let store = place.store();
        for (format, read) in
            [(Format::Csv, read_csv as fn(&Path, &Relation) -> Vec<Vec<Value>>), (Format::Parquet, read_parquet)]
        {
            let folder = tempfile::tempdir().expect("a folder");
            for (relation, file) in relations().into_iter().zip(run(store.as_ref(), folder.path(), format)) {
                assert!(read(&folder.path().join(file.file), relation).is_empty());
            }
        }
    }
}

#[test]
fn many_rows_come_in_several_row_groups_and_all_of_them() {
    let place = place::sqlite();
    let store = place.store();
    place.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50001) \
         INSERT INTO artists (artist_id, artist_name, profile_genres) \
         SELECT 'a' || i, 'name ' || i, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '[]' ELSE '[\"x\", \"y\"]' END FROM n",
    );
    let folder = tempfile::tempdir().expect("a folder");
    run(store.as_ref(), folder.path(), Format::Parquet);
    let file = folder.path().join("artists.parquet");
    let groups = SerializedFileReader::new(File::open(&file).expect("a file")).expect("Parquet").num_row_groups();
    assert_eq!(groups, 3);
    assert_eq!(read_parquet(&file, relations()[0]), scanned(store.as_ref())["artists"]);
}

#[test]
fn an_export_beside_a_busy_loader_is_one_state_in_which_every_reference_is_met() {
    const BATCHES: usize = 60;
    for place in place::all() {
        let store = place.store();
        let folder = tempfile::tempdir().expect("a folder");
        let artists_of = |file: &str, relation: usize| -> BTreeSet<String> {
            let artist = relations()[relation].position("artist_id").expect("a column");
            let rows = read_jsonl(&folder.path().join(file), relations()[relation]);
            rows.iter().map(|row| row[artist].text().expect("an id").to_owned()).collect()
        };
        thread::scope(|scope| {
            let loader = place.open();
            let loading = scope.spawn(move || {
                for number in 0..BATCHES {
                    let rows =
                        (0..20).map(|i| change(1, song(&format!("s{number}-{i}"), "Song", &format!("a{number}-{i}"), None)));
                    loader.apply(&rows.collect::<Vec<_>>(), &[]).expect("a batch");
                }
            });
            let mut beside = 0;
            while !loading.is_finished() || beside == 0 {
                run(store.as_ref(), folder.path(), Format::Jsonl);
                // Each song has an artist of its own, written in one transaction with it.
                assert_eq!(artists_of("artists.jsonl", 0), artists_of("songs.jsonl", 2), "on {}", place.name);
                beside += 1;
            }
        });
        run(store.as_ref(), folder.path(), Format::Jsonl);
        assert_eq!(artists_of("songs.jsonl", 2).len(), BATCHES * 20);
    }
}

#[test]
fn an_export_that_fails_leaves_the_earlier_one_as_it_was() {
    let place = place::sqlite();
    let store = place.store();
    awkward(store.as_ref());
    let folder = tempfile::tempdir().expect("a folder");
    run(store.as_ref(), folder.path(), Format::Csv);
    let listing = || -> BTreeMap<String, Vec<u8>> {
        let files = std::fs::read_dir(folder.path()).expect("a folder").map(|file| file.expect("a file").path());
        files.map(|path| (path.display().to_string(), std::fs::read(&path).expect("a file"))).collect()
    };
    let before = listing();
    place.run("UPDATE song_audio_features SET chroma = 'no list'");
    let error = export(store.as_ref(), folder.path(), Format::Csv, &mut |_| {}).expect_err("a spoilt row");
    assert!(error.to_string().contains("song_audio_features.chroma"), "{error}");
    assert_eq!(listing(), before);
}

#[test]
fn a_folder_that_cannot_be_one_is_named() {
    let place = place::sqlite();
    let store = place.store();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "text").expect("a file");
    let error = export(store.as_ref(), &file, Format::Csv, &mut |_| {}).expect_err("a file in the way");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    std::fs::create_dir(folder.path().join("songs.csv")).expect("a folder in the way");
    std::fs::write(folder.path().join("songs.csv/x"), "text").expect("a file");
    let error = export(store.as_ref(), folder.path(), Format::Csv, &mut |_| {}).expect_err("a folder in the way");
    assert!(error.to_string().contains("songs.csv"), "{error}");
}
