//! The canonical dump: what the six tables say, byte for byte the same on both back ends.
//!
//! **Guarantee.** One line a row, `TABLE {"column":value,...}`: tables in the order of [`super::TABLES`], rows in the byte
//! order of their keys, columns in one order. NULL is `null` and the empty text `""`; numbers are printed by the shortest text
//! that reads back to the same bits; genres by name. Left out: audit columns (`created_at`, `updated_at`, `analysis_date`),
//! the versions of the observations, and what is not of the six tables. Rows stream: memory does not grow with the database.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::database::{Database, Dialect};
use super::errors::Failure;
use super::statement::{Cell, Kind, Statement};

/// A table of the dump: its columns, keys first, and where they come from.
struct Dumped {
    table: &'static str,
    from: &'static str,
    keys: &'static [&'static str],
    columns: &'static [(&'static str, Kind)],
}

use Kind::{Bool, Int, Real, Text};

const DUMPED: [Dumped; 6] = [
    Dumped {
        table: "artists",
        from: "artists",
        keys: &["artist_id"],
        columns: &[
            ("artist_id", Text),
            ("artist_name", Text),
            ("on_tour", Bool),
            ("total_listeners", Int),
            ("total_playcount", Int),
            ("plays_per_listener", Real),
            ("artist_popularity", Int),
            ("artist_followers", Int),
            ("has_genres", Bool),
            ("track_name", Text),
            ("profile_name", Text),
            ("profile_genres", Text),
            ("lastfm_tags", Text),
            ("lastfm_match_score", Real),
            ("lastfm_match_quality", Text),
        ],
    },
    Dumped {
        table: "albums",
        from: "albums",
        keys: &["album_id"],
        columns: &[
            ("album_id", Text),
            ("album_title", Text),
            ("artist_id", Text),
            ("album_type", Text),
            ("album_total_tracks", Int),
        ],
    },
    Dumped {
        table: "songs",
        from: "songs",
        keys: &["song_id"],
        columns: &[
            ("song_id", Text),
            ("song_name", Text),
            ("artist_id", Text),
            ("album_id", Text),
            ("song_listeners", Int),
            ("mbid", Text),
            ("duration_ms", Int),
            ("duration_seconds", Int),
            ("duration_minutes", Real),
            ("engagement_ratio", Real),
            ("release_date", Text),
            ("release_date_precision", Text),
            ("is_explicit", Bool),
            ("popularity", Int),
            ("track_number", Int),
            ("is_playable", Bool),
            ("isrc", Text),
            ("lastfm_match_score", Real),
            ("lastfm_match_quality", Text),
        ],
    },
    Dumped {
        table: "song_audio_features",
        from: "song_audio_features",
        keys: &["song_id"],
        columns: &[
            ("song_id", Text),
            ("bpm", Real),
            ("energy", Real),
            ("spectral_centroid", Real),
            ("zero_crossing_rate", Real),
            ("danceability", Real),
            ("preview_url", Text),
            ("harmonic_ratio", Real),
            ("percussive_ratio", Real),
            ("duration_s", Real),
            ("bpm_confidence", Real),
            ("bpm_reference", Real),
            ("loudness_lufs", Real),
            ("loudness_range_lu", Real),
            ("music_key", Text),
            ("music_mode", Text),
            ("key_strength", Real),
            ("onset_rate", Real),
            ("beat_regularity", Real),
            ("spectral_bandwidth", Real),
            ("spectral_rolloff", Real),
            ("spectral_flatness", Real),
            ("spectral_contrast", Text),
            ("chroma", Text),
            ("mfcc", Text),
            ("provider", Text),
            ("clip_sha256", Text),
            ("features_version", Int),
        ],
    },
    Dumped { table: "genres", from: "genres", keys: &["genre_name"], columns: &[("genre_name", Text)] },
    Dumped {
        table: "artist_genres",
        from: "artist_genres l JOIN genres g ON g.genre_id = l.genre_id",
        keys: &["l.artist_id", "g.genre_name"],
        columns: &[("artist_id", Text), ("genre_name", Text), ("source", Text)],
    },
];

/// Visits the dump line by line, without line ends. Has to run in a transaction that sees one state of the database.
pub(super) fn dump(db: &mut dyn Database, line: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let mut text = String::new();
    for dumped in &DUMPED {
        let statement = Statement::new(dumped.select(db.dialect()));
        db.each_row(statement, &mut |row| {
            text.clear();
            text.push_str(dumped.table);
            text.push_str(" {");
            for (index, (name, kind)) in dumped.columns.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                // Writing to a String does not fail.
                let _ = write!(text, "{comma}\"{name}\":{}", canonical(*kind, row.get(index)));
            }
            text.push('}');
            line(&text);
            Ok(())
        })?;
    }
    Ok(())
}

/// SHA-256 of the dump, each line ended by a line feed, in hex.
pub(super) fn digest(db: &mut dyn Database) -> Result<String, Failure> {
    let mut hasher = Sha256::new();
    dump(db, &mut |line| {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    })?;
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

impl Dumped {
    fn select(&self, dialect: Dialect) -> String {
        let columns: Vec<&str> = self
            .columns
            .iter()
            .map(|(name, _)| self.keys.iter().copied().find(|key| key.ends_with(&format!(".{name}"))).unwrap_or(name))
            .collect();
        let order: Vec<String> = self.keys.iter().map(|key| format!("{key}{}", dialect.byte_order())).collect();
        format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), self.from, order.join(", "))
    }
}

/// A value as JSON. Booleans are read as integers, and a whole number in a column of reals may be as well.
#[expect(clippy::cast_precision_loss, reason = "a whole number in a column of reals was a double before")]
fn canonical(kind: Kind, cell: &Cell) -> String {
    match (kind, cell) {
        (_, Cell::Null) => "null".to_owned(),
        (_, Cell::Text(text)) => serde_json::Value::from(text.as_str()).to_string(),
        (Kind::Bool, Cell::Int(value)) => (*value != 0).to_string(),
        (_, Cell::Bool(value)) => value.to_string(),
        (Kind::Real, Cell::Int(value)) => real(*value as f64),
        (_, Cell::Int(value)) => value.to_string(),
        (_, Cell::Real(value)) => real(*value),
    }
}

fn real(value: f64) -> String {
    // Minus zero equals zero in both databases, and only one of them keeps its sign.
    format!("{:?}", value + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_is_printed_by_text_that_reads_back_to_the_same_bits(value in proptest::num::f64::NORMAL) {
            let printed = canonical(Kind::Real, &Cell::Real(value));
            prop_assert_eq!(printed.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
        }
    }

    #[test]
    fn null_is_not_the_empty_text_and_both_zeros_are_one() {
        assert_eq!(canonical(Kind::Text, &Cell::Null), "null");
        assert_eq!(canonical(Kind::Text, &Cell::Text(String::new())), "\"\"");
        assert_eq!(canonical(Kind::Real, &Cell::Real(-0.0)), canonical(Kind::Real, &Cell::Int(0)));
    }
}
