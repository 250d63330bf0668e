//! What constraints cannot say: consistency between columns and rows, also after somebody edited by hand.

use super::Finding;
use super::database::Database;
use super::errors::Failure;
use super::statement::Statement;

/// One check: the rows of `from` for which `wrong` holds; `key` names an example.
struct Check {
    table: &'static str,
    problem: &'static str,
    /// True for what is normal, and only worth knowing.
    information: bool,
    from: &'static str,
    key: &'static str,
    wrong: &'static str,
}

const fn wrong(table: &'static str, problem: &'static str, key: &'static str, wrong: &'static str) -> Check {
    Check { table, problem, information: false, from: table, key, wrong }
}

const STUB: &str = "stub: others refer to it, its own source was not heard yet";

const CHECKS: [Check; 19] = [
    wrong("artists", "no name", "artist_id", "artist_name IS NULL OR length(trim(artist_name)) = 0"),
    wrong(
        "artists",
        "name is neither the profile's nor the tracks' nor the id",
        "artist_id",
        "artist_name <> COALESCE(profile_name, track_name, artist_id)",
    ),
    wrong(
        "artists",
        "plays_per_listener is not total_playcount / total_listeners",
        "artist_id",
        "total_listeners > 0 AND plays_per_listener IS NOT NULL AND total_playcount IS NOT NULL \
         AND abs(plays_per_listener - total_playcount * 1.0 / total_listeners) > 0.001 * (1 + plays_per_listener)",
    ),
    wrong(
        "artists",
        "has_genres is true without a genre",
        "artist_id",
        "has_genres AND NOT EXISTS (SELECT 1 FROM artist_genres l WHERE l.artist_id = artists.artist_id)",
    ),
    wrong(
        "artists",
        "has_genres is not true, but there are genres",
        "artist_id",
        "(has_genres IS NULL OR NOT has_genres) \
         AND EXISTS (SELECT 1 FROM artist_genres l WHERE l.artist_id = artists.artist_id)",
    ),
    wrong(
        "artists",
        "has_genres is NULL, but genres were asked for",
        "artist_id",
        "has_genres IS NULL AND (profile_observed_at IS NOT NULL OR lastfm_observed_at IS NOT NULL)",
    ),
    wrong("artists", "popularity not within 0 to 100", "artist_id", "artist_popularity < 0 OR artist_popularity > 100"),
    wrong("artists", "negative followers", "artist_id", "artist_followers < 0"),
    wrong(
        "albums",
        "artist does not exist",
        "album_id",
        "artist_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM artists a WHERE a.artist_id = albums.artist_id)",
    ),
    wrong(
        "songs",
        "artist does not exist",
        "song_id",
        "artist_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM artists a WHERE a.artist_id = songs.artist_id)",
    ),
    wrong(
        "songs",
        "album does not exist",
        "song_id",
        "album_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM albums a WHERE a.album_id = songs.album_id)",
    ),
    wrong(
        "songs",
        "duration_ms, duration_seconds and duration_minutes disagree",
        "song_id",
        "duration_ms IS NOT NULL AND (abs(duration_seconds - duration_ms / 1000) > 1 \
         OR abs(duration_minutes - duration_ms / 60000.0) > 0.01)",
    ),
    wrong(
        "song_audio_features",
        "song does not exist",
        "song_id",
        "NOT EXISTS (SELECT 1 FROM songs s WHERE s.song_id = song_audio_features.song_id)",
    ),
    wrong(
        "song_audio_features",
        "harmonic and percussive ratio do not add up to 1",
        "song_id",
        "abs(harmonic_ratio + percussive_ratio - 1) > 0.01",
    ),
    wrong(
        "genres",
        "no artist has it",
        "genre_name",
        "NOT EXISTS (SELECT 1 FROM artist_genres l WHERE l.genre_id = genres.genre_id)",
    ),
    Check {
        from: "artist_genres l LEFT JOIN artists a ON a.artist_id = l.artist_id \
               LEFT JOIN genres g ON g.genre_id = l.genre_id",
        ..wrong("artist_genres", "artist or genre does not exist", "l.artist_id", "a.artist_id IS NULL OR g.genre_id IS NULL")
    },
    Check {
        information: true,
        ..wrong("artists", STUB, "artist_id", "track_observed_at IS NULL AND profile_observed_at IS NULL")
    },
    Check { information: true, ..wrong("albums", STUB, "album_id", "track_observed_at IS NULL") },
    Check { information: true, ..wrong("songs", STUB, "song_id", "track_observed_at IS NULL") },
];

pub(super) fn check(db: &mut dyn Database) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for check in &CHECKS {
        let text = format!("SELECT count(*), min({}) FROM {} WHERE {}", check.key, check.from, check.wrong);
        let rows = db.rows(Statement::new(text))?;
        let Some(row) = rows.first().filter(|row| row.count(0) > 0) else { continue };
        findings.push(Finding {
            table: check.table.to_owned(),
            problem: format!("{}, such as {}", check.problem, row.key(1)),
            rows: row.count(0),
            information: check.information,
        });
    }
    Ok(findings)
}
