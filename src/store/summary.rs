//! Figures for a person, at the end of a demo.

use super::Summary;
use super::database::Database;
use super::errors::Failure;
use super::statement::Statement;

pub(super) fn summary(db: &mut dyn Database) -> Result<Summary, Failure> {
    Ok(Summary { top_artists: top_artists(db)?, bpm_histogram: bpm_histogram(db)?, keys: keys(db)? })
}

fn top_artists(db: &mut dyn Database) -> Result<Vec<(String, Option<i64>, i64)>, Failure> {
    // An artist that Last.fm was not asked about shows 0 listeners in its row: unknown, not unheard.
    let text = "SELECT a.artist_name, CASE WHEN a.lastfm_observed_at IS NULL THEN NULL ELSE a.total_listeners END AS listeners, \
                COALESCE(s.songs, 0) AS songs FROM artists a \
                LEFT JOIN (SELECT artist_id, count(*) AS songs FROM songs GROUP BY artist_id) s ON s.artist_id = a.artist_id \
                ORDER BY CASE WHEN a.lastfm_observed_at IS NULL THEN -1 ELSE COALESCE(a.total_listeners, -1) END DESC, \
                COALESCE(s.songs, 0) DESC, a.artist_id LIMIT 10";
    let rows = db.rows(Statement::new(text))?;
    Ok(rows.iter().map(|row| (row.key(0), row.int(1), row.count(2))).collect())
}

fn bpm_histogram(db: &mut dyn Database) -> Result<Vec<(i32, i64)>, Failure> {
    let bin = db.dialect().floor("bpm / 10");
    let text = format!(
        "SELECT {bin} * 10 AS bin, count(*) FROM song_audio_features WHERE bpm IS NOT NULL GROUP BY {bin} ORDER BY {bin}"
    );
    let rows = db.rows(Statement::new(text))?;
    Ok(rows.iter().map(|row| (i32::try_from(row.count(0)).unwrap_or_default(), row.count(1))).collect())
}

fn keys(db: &mut dyn Database) -> Result<Vec<(String, i64)>, Failure> {
    let text = "SELECT music_key || ' ' || music_mode, count(*) FROM song_audio_features \
                WHERE music_key IS NOT NULL AND music_mode IS NOT NULL GROUP BY music_key, music_mode ORDER BY 2 DESC";
    let rows = db.rows(Statement::new(text))?;
    let mut keys: Vec<(String, i64)> = rows.iter().map(|row| (row.key(0), row.count(1))).collect();
    // Ties by name, in the same order on both databases.
    keys.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    Ok(keys)
}
