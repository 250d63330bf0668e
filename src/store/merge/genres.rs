//! Links between artists and genres, recomputed from what the sources said.
//!
//! **Guarantee.** After a batch the links of its artists are the genres of their newest profile, or where that has none the
//! tags of their newest Last.fm figures; a genre that no artist has any more is gone. Links lost by hand heal on replay.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Effect;
use super::super::database::{Database, Dialect};
use super::super::errors::Failure;
use super::super::statement::{Cell, Kind, Statement};
use super::upsert::Rows;

/// Artist and genre name, and which source says so.
type Links = BTreeMap<(String, String), &'static str>;

/// Brings the links of `artists` up to date; writes only what differs.
pub(super) fn relink(
    db: &mut dyn Database,
    artists: &BTreeSet<String>,
    effects: &mut BTreeMap<&'static str, Effect>,
) -> Result<(), Failure> {
    if artists.is_empty() {
        return Ok(());
    }
    let wanted = wanted_links(db, artists)?;
    let held = held_links(db, artists)?;
    let added: Links = wanted
        .iter()
        .filter(|(link, source)| held.get(*link).map(String::as_str) != Some(**source))
        .map(|(link, source)| (link.clone(), *source))
        .collect();
    let removed: BTreeSet<&(String, String)> = held.keys().filter(|link| !wanted.contains_key(*link)).collect();
    if !added.is_empty() {
        let genres = insert_genres(db, added.keys().map(|(_, genre)| genre.as_str()).collect())?;
        insert_links(db, &added)?;
        effects.entry("genres").or_default().inserted += genres;
    }
    if !removed.is_empty() {
        remove_links(db, &removed)?;
        let genres = remove_unlinked_genres(db, removed.iter().map(|(_, genre)| genre.as_str()).collect())?;
        effects.entry("genres").or_default().updated += genres;
    }
    if !added.is_empty() || !removed.is_empty() {
        let new = added.keys().filter(|link| !held.contains_key(*link)).count();
        let effect = effects.entry("artist_genres").or_default();
        effect.inserted += count(new);
        effect.updated += count(added.len() - new + removed.len());
    }
    Ok(())
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// What the artists' rows say.
fn wanted_links(db: &mut dyn Database, artists: &BTreeSet<String>) -> Result<Links, Failure> {
    let member = db.dialect().member("artist_id");
    let text = format!("SELECT artist_id, profile_genres, lastfm_tags FROM artists WHERE {member}");
    let rows = db.rows(Statement::new(text).cached().keys(artists.iter().map(String::as_str)))?;
    let mut links = Links::new();
    for row in &rows {
        let profile = names(row.text(1));
        let (names, source) = if profile.is_empty() { (names(row.text(2)), "lastfm") } else { (profile, "profile") };
        links.extend(names.into_iter().map(|name| ((row.key(0), name), source)));
    }
    Ok(links)
}

/// The names in a JSON array that [`super::stage`] wrote; one edited by hand into something else holds none.
fn names(json: Option<&str>) -> Vec<String> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

fn held_links(db: &mut dyn Database, artists: &BTreeSet<String>) -> Result<BTreeMap<(String, String), String>, Failure> {
    let text = format!(
        "SELECT l.artist_id, g.genre_name, l.source FROM artist_genres l JOIN genres g ON g.genre_id = l.genre_id WHERE {}",
        db.dialect().member("l.artist_id")
    );
    let rows = db.rows(Statement::new(text).cached().keys(artists.iter().map(String::as_str)))?;
    Ok(rows.iter().map(|row| ((row.key(0), row.key(1)), row.key(2))).collect())
}

/// Inserts the genres that are missing; how many.
fn insert_genres(db: &mut dyn Database, names: BTreeSet<&str>) -> Result<u64, Failure> {
    // Read first: an INSERT that runs into ON CONFLICT uses up a genre_id each time.
    let text = format!("SELECT genre_name FROM genres WHERE {}", db.dialect().member("genre_name"));
    let rows = db.rows(Statement::new(text).cached().keys(names.iter().copied()))?;
    let present: BTreeSet<String> = rows.iter().map(|row| row.key(0)).collect();
    let missing = names.into_iter().filter(|name| !present.contains(*name)).map(|name| vec![Cell::from(name)]).collect();
    let rows = Rows { columns: vec![("genre_name", Kind::Text)], cells: missing };
    let text = "INSERT INTO genres (genre_name) SELECT genre_name FROM stage WHERE TRUE ON CONFLICT (genre_name) DO NOTHING";
    let mut inserted = 0;
    for (statement, _) in rows.statements(db.dialect(), text) {
        inserted += db.execute(statement)?;
    }
    Ok(count(inserted))
}

fn insert_links(db: &mut dyn Database, links: &Links) -> Result<(), Failure> {
    let cells = links
        .iter()
        .map(|((artist, genre), source)| [artist.as_str(), genre.as_str(), source].into_iter().map(Cell::from).collect());
    let columns = vec![("artist_id", Kind::Text), ("genre_name", Kind::Text), ("source", Kind::Text)];
    let rows = Rows { columns, cells: cells.collect() };
    let text = "INSERT INTO artist_genres (artist_id, genre_id, source) \
                SELECT stage.artist_id, g.genre_id, stage.source FROM stage JOIN genres g ON g.genre_name = stage.genre_name \
                WHERE TRUE ORDER BY 1, 2 ON CONFLICT (artist_id, genre_id) DO UPDATE SET source = excluded.source";
    for (statement, _) in rows.statements(db.dialect(), text) {
        db.execute(statement)?;
    }
    Ok(())
}

fn remove_links(db: &mut dyn Database, links: &BTreeSet<&(String, String)>) -> Result<(), Failure> {
    let cells = links.iter().map(|(artist, genre)| [artist, genre].into_iter().map(|part| Cell::from(part.as_str())).collect());
    let rows = Rows { columns: vec![("artist_id", Kind::Text), ("genre_name", Kind::Text)], cells: cells.collect() };
    let text = "DELETE FROM artist_genres WHERE (artist_id, genre_id) IN \
                (SELECT stage.artist_id, g.genre_id FROM stage JOIN genres g ON g.genre_name = stage.genre_name)";
    for (statement, _) in rows.statements(db.dialect(), text) {
        db.execute(statement)?;
    }
    Ok(())
}

/// Deletes those of `names` that no artist has; how many.
fn remove_unlinked_genres(db: &mut dyn Database, names: BTreeSet<&str>) -> Result<u64, Failure> {
    let member = db.dialect().member("genre_name");
    if db.dialect() == Dialect::Postgres {
        // Two loaders that each take away one of the last two links would both still see the other's and leave the genre
        // behind. Writing the genre's row makes one of them fail with a conflict, and look again.
        let text = format!(
            "UPDATE genres SET genre_name = genre_name WHERE genre_id IN \
             (SELECT genre_id FROM genres WHERE {member} ORDER BY genre_name FOR NO KEY UPDATE)"
        );
        db.execute(Statement::new(text).cached().keys(names.iter().copied()))?;
    }
    let text = format!(
        "DELETE FROM genres WHERE {member} AND NOT EXISTS (SELECT 1 FROM artist_genres l WHERE l.genre_id = genres.genre_id)"
    );
    Ok(count(db.execute(Statement::new(text).cached().keys(names))?))
}
