//! What each source was last heard about: decides whether an API is asked again.
//!
//! **Guarantee.** An answer without data counts as much as one with data: the later of the two is what is known.

use std::collections::{BTreeMap, BTreeSet};

use super::database::Database;
use super::errors::Failure;
use super::statement::Statement;
use super::{Known, KnownKey, KnownSource};

/// Where a source's answers stand: table, id, version and the analysis' version; and how its misses are named.
struct Place {
    table: &'static str,
    id: &'static str,
    observed_at: &'static str,
    features_version: &'static str,
    entity: &'static str,
    source: &'static str,
}

impl KnownSource {
    fn place(self) -> Place {
        let artist = Place {
            table: "artists",
            id: "artist_id",
            observed_at: "profile_observed_at",
            features_version: "0",
            entity: "artist",
            source: "profile",
        };
        let song = Place { table: "songs", id: "song_id", entity: "song", ..artist };
        match self {
            KnownSource::ArtistProfile => artist,
            KnownSource::ArtistListeners => Place { observed_at: "lastfm_observed_at", source: "lastfm", ..artist },
            KnownSource::SongListeners => Place { observed_at: "lastfm_observed_at", source: "lastfm", ..song },
            KnownSource::SongAudio => Place {
                table: "song_audio_features",
                observed_at: "audio_observed_at",
                features_version: "features_version",
                source: "audio",
                ..song
            },
        }
    }
}

pub(super) fn known(db: &mut dyn Database, keys: &[KnownKey]) -> Result<BTreeMap<KnownKey, Known>, Failure> {
    let mut by_source: BTreeMap<KnownSource, BTreeSet<&str>> = BTreeMap::new();
    for key in keys {
        by_source.entry(key.source).or_default().insert(&key.id);
    }
    let mut found: BTreeMap<KnownKey, Known> = BTreeMap::new();
    for (source, ids) in by_source {
        let Place { table, id, observed_at, features_version, entity, source: name } = source.place();
        let text = format!(
            "SELECT {id}, {observed_at}, {features_version} FROM {table} WHERE {observed_at} IS NOT NULL AND {} \
             UNION ALL SELECT entity_id, observed_at, features_version FROM source_misses \
             WHERE entity = '{entity}' AND source = '{name}' AND {}",
            db.dialect().member(id),
            db.dialect().member("entity_id"),
        );
        let statement = Statement::new(text).cached().keys(ids.iter().copied()).keys(ids.iter().copied());
        for row in db.rows(statement)? {
            let known = Known { observed_at: row.count(1), features_version: i32::try_from(row.count(2)).unwrap_or_default() };
            let entry = found.entry(KnownKey { source, id: row.key(0) }).or_insert(known);
            if (known.observed_at, known.features_version) > (entry.observed_at, entry.features_version) {
                *entry = known;
            }
        }
    }
    Ok(found)
}
