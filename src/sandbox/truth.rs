//! `GET /__truth`: what a perfect pipeline must have stored after these searches.
//!
//! Parameters: `queries` (JSON: `[{"q": "genre:jazz", "max_tracks": 100}, ...]`), and, where they differ from how the
//! switches stand, `regime`, `market` (default `US`), `providers` (comma list in order, default `spotify,deezer,itunes`),
//! `profiles=all` (look up album artists like primary ones; default `primary`), `musicbrainz=1` (asked for the ids that Last.fm does not give) and `hashes=1` (render the clips for
//! their SHA-256: 20 ms each).
//!
//! The answer has `tables` (rows by table, sorted by id), `counts` (rows by table) and `misses` (what had to be looked
//! for and is not there, with the reason). Rows carry the columns of the schema and a few beyond:
//! - `artists.role`: `primary` (of a track) or `album` (of an album only). Unless `profiles=all`, only the name of an
//!   `album` artist is certain.
//! - `artists.has_genres`: whether any genre is stored; `null` where Spotify does not say and Last.fm has no tags.
//! - `albums.album_title` is `null` after a takedown: Spotify's is empty.
//! - `song_audio_features`: `provider`, `clip_refs` (any of them is right), the score that was played (`bpm`, `key`,
//!   `mode`, `style`) and `clip_sha256` if asked for.
//! - `genres` and `artist_genres` name genres, they have no numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::catalogue::{Album, Artist, ArtistPage, Catalogue, Recording, Shelf, Track, TrackPage};
use super::clips::ClipShelf;
use super::index::{Row, WALL};
use super::options::{Regime, Switches};
use super::query::Query;
use super::wire::Request;
use super::world::{World, is_dead};

/// One search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// Text.
    pub q: String,
    /// Distinct tracks, at most.
    #[serde(default = "all_tracks")]
    pub max_tracks: usize,
}

fn all_tracks() -> usize {
    WALL
}

/// Which truth is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The searches.
    pub searches: Vec<Search>,
    /// What the account may see.
    pub regime: Regime,
    /// Market of the searches.
    pub market: String,
    /// Preview providers in order: `spotify`, `spotify_embed`, `deezer`, `itunes`.
    pub providers: Vec<String>,
    /// Whether album artists are looked up like primary ones.
    pub all_profiles: bool,
    /// Whether MusicBrainz is asked for the ids that Last.fm does not give.
    pub musicbrainz: bool,
    /// Whether clips are rendered for their hashes.
    pub hashes: bool,
    /// How the switches stand; dead clips are part of the truth.
    pub switches: Switches,
}

/// The truth.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Truth {
    /// Rows by table.
    pub tables: BTreeMap<&'static str, Vec<Value>>,
    /// Rows by table, counted.
    pub counts: BTreeMap<&'static str, usize>,
    /// What is not to be found: `entity`, `entity_id`, `source`, `reason`.
    pub misses: Vec<Value>,
}

impl Wish {
    /// The truth about these searches, as the switches stand.
    pub fn new(searches: Vec<Search>, switches: &Switches) -> Wish {
        Wish {
            searches,
            regime: switches.regime,
            market: "US".to_owned(),
            providers: ["spotify", "deezer", "itunes"].map(str::to_owned).to_vec(),
            all_profiles: false,
            musicbrainz: false,
            hashes: false,
            switches: switches.clone(),
        }
    }

    /// Reads the parameters of a call.
    ///
    /// # Errors
    /// When a parameter is not what it should be.
    pub fn parse(request: &Request, switches: &Switches) -> Result<Wish, String> {
        let queries = request.param("queries").unwrap_or_else(|| "[]".to_owned());
        let searches = serde_json::from_str(&queries).map_err(|error| format!("queries: {error}"))?;
        let mut wish = Wish::new(searches, switches);
        if let Some(regime) = request.param("regime").filter(|regime| !regime.is_empty()) {
            wish.regime = serde_json::from_value(json!(regime)).map_err(|error| format!("regime: {error}"))?;
        }
        wish.market = request.param("market").unwrap_or(wish.market);
        if let Some(providers) = request.param("providers") {
            wish.providers = providers.split(',').map(|name| name.trim().to_owned()).collect();
        }
        wish.all_profiles = request.param("profiles").as_deref() == Some("all");
        wish.musicbrainz = request.param("musicbrainz").as_deref() == Some("1");
        wish.hashes = request.param("hashes").as_deref() == Some("1");
        Ok(wish)
    }
}

/// The distinct tracks of a search in the order in which they come.
pub fn distinct_tracks(world: &World, search: &Search) -> Vec<usize> {
    let rows = world.index.rows(&world.catalogue, &Query::parse(&search.q));
    let mut seen = BTreeSet::new();
    let tracks = rows.iter().take(WALL).filter_map(|row| match row {
        Row::Track(track) => seen.insert(*track).then_some(*track),
        Row::Null => None,
    });
    tracks.take(search.max_tracks).collect()
}

/// Works the truth out.
pub fn truth(world: &World, clips: &ClipShelf, wish: &Wish) -> Truth {
    let tracks: BTreeSet<usize> = wish.searches.iter().flat_map(|search| distinct_tracks(world, search)).collect();
    let mut teller = Teller { catalogue: &world.catalogue, clips, wish, releases: HashMap::new(), truth: Truth::default() };
    for (index, track) in world.catalogue.tracks.iter().enumerate() {
        teller.releases.entry(track.recording).or_default().push(index);
    }
    teller.songs(&tracks);
    teller.artists(&tracks);
    teller.finish()
}

struct Teller<'a> {
    catalogue: &'a Catalogue,
    clips: &'a ClipShelf,
    wish: &'a Wish,
    /// Tracks by recording.
    releases: HashMap<usize, Vec<usize>>,
    truth: Truth,
}

impl<'a> Teller<'a> {
    fn row(&mut self, table: &'static str, row: Value) {
        self.truth.tables.entry(table).or_default().push(row);
    }

    fn miss(&mut self, entity: &str, id: &str, source: &str, reason: &str) {
        self.truth.misses.push(json!({"entity": entity, "entity_id": id, "source": source, "reason": reason}));
    }

    fn songs(&mut self, tracks: &BTreeSet<usize>) {
        let catalogue = self.catalogue;
        let albums: BTreeSet<usize> = tracks.iter().map(|track| catalogue.tracks[*track].album).collect();
        for album in albums {
            self.row("albums", album_row(catalogue, &catalogue.albums[album]));
        }
        for index in tracks {
            let track = &catalogue.tracks[*index];
            let recording = catalogue.recording(track);
            let row = song_row(catalogue, self.wish, track, recording);
            self.row("songs", row);
            match recording.page {
                TrackPage::Found | TrackPage::Unheard => {}
                TrackPage::Ghost => self.miss("song", &track.id, "lastfm", "ghost"),
                TrackPage::Missing => self.miss("song", &track.id, "lastfm", "not_found"),
                TrackPage::Other => self.miss("song", &track.id, "lastfm", "no_match"),
            }
            match self.audio_row(track, recording) {
                Some(row) => self.row("song_audio_features", row),
                None => self.miss("song", &track.id, "audio", "no_preview"),
            }
        }
    }

    fn audio_row(&self, track: &Track, recording: &Recording) -> Option<Value> {
        let provider = self.wish.providers.iter().find(|provider| self.has_clip(provider, track.recording, recording))?;
        let releases = self.releases.get(&track.recording).map_or(&[][..], Vec::as_slice);
        let clip_refs: Vec<String> = match provider.as_str() {
            "deezer" => {
                releases.iter().map(|release| format!("deezer:track:{}", self.catalogue.tracks[*release].deezer_id)).collect()
            }
            "itunes" => {
                releases.iter().map(|release| format!("itunes:track:{}", self.catalogue.tracks[*release].itunes_id)).collect()
            }
            _ => vec![format!("spotify:track:{}", track.id)],
        };
        let score = &recording.score;
        let mut row = json!({
            "song_id": track.id, "provider": provider, "clip_refs": clip_refs, "bpm": score.bpm, "key": score.tonic_name(),
            "mode": score.mode.name(), "style": format!("{:?}", score.style).to_lowercase(),
        });
        if self.wish.hashes
            && let Some(object) = row.as_object_mut()
        {
            let shelf = if provider == "spotify_embed" { "spotify" } else { provider };
            let clip = self.clips.clip(shelf, &track.recording.to_string(), score);
            let hash: String = Sha256::digest(clip.as_slice()).iter().map(|byte| format!("{byte:02x}")).collect();
            object.insert("clip_sha256".to_owned(), json!(hash));
        }
        Some(row)
    }

    fn has_clip(&self, provider: &str, index: usize, recording: &Recording) -> bool {
        let (shelf, found) = match provider {
            "spotify" => ("spotify", self.wish.regime == Regime::Extended && recording.spotify_preview),
            "spotify_embed" => ("spotify", recording.embed_preview),
            "deezer" => ("deezer", matches!(recording.deezer, Shelf::Listed | Shelf::SearchOnly)),
            "itunes" => ("itunes", recording.itunes == Shelf::Listed),
            _ => return false,
        };
        found && !is_dead(self.catalogue.seed, &self.wish.switches, shelf, index)
    }

    fn artists(&mut self, tracks: &BTreeSet<usize>) {
        let mut roles: BTreeMap<usize, &str> = BTreeMap::new();
        for track in tracks.iter().map(|track| &self.catalogue.tracks[*track]) {
            if let Some(artist) = self.catalogue.album(track).artists.first() {
                roles.entry(*artist).or_insert("album");
            }
            if let Some(artist) = self.catalogue.recording(track).artists.first() {
                roles.insert(*artist, "primary");
            }
        }
        let mut all_genres = BTreeSet::new();
        for (index, role) in roles {
            let artist = &self.catalogue.artists[index];
            if role != "primary" && !self.wish.all_profiles {
                self.row("artists", json!({"artist_id": artist.id, "artist_name": artist.name, "role": role}));
                continue;
            }
            let genres = genres(artist, self.wish.regime);
            let row = artist_row(artist, role, self.wish.regime, &genres);
            self.row("artists", row);
            match artist.page {
                ArtistPage::Found => {}
                ArtistPage::Missing => self.miss("artist", &artist.id, "lastfm", "not_found"),
                ArtistPage::Unknown | ArtistPage::IncorrectTag => self.miss("artist", &artist.id, "lastfm", "placeholder"),
                ArtistPage::Other => self.miss("artist", &artist.id, "lastfm", "no_match"),
            }
            for genre in genres.unwrap_or_default() {
                self.row("artist_genres", json!({"artist_id": artist.id, "genre_name": genre}));
                all_genres.insert(genre);
            }
        }
        for genre in all_genres {
            self.row("genres", json!({"genre_name": genre}));
        }
    }

    fn finish(mut self) -> Truth {
        for table in ["artists", "albums", "songs", "song_audio_features", "genres", "artist_genres"] {
            let rows = self.truth.tables.entry(table).or_default();
            rows.sort_by_cached_key(Value::to_string);
            self.truth.counts.insert(table, rows.len());
        }
        self.truth
    }
}

/// Spotify's genres, or else Last.fm's tags; `None`: neither source says anything.
fn genres(artist: &Artist, regime: Regime) -> Option<Vec<String>> {
    let shown = (regime != Regime::Restricted).then_some(&artist.genres);
    let tags = Some(&artist.tags).filter(|tags| artist.page == ArtistPage::Found && !tags.is_empty());
    let chosen = shown.filter(|genres| !genres.is_empty()).or(tags).or(shown)?;
    let names: BTreeSet<String> = chosen.iter().map(|name| name.trim().to_lowercase()).collect();
    Some(names.into_iter().collect())
}

fn artist_row(artist: &Artist, role: &str, regime: Regime, genres: &Option<Vec<String>>) -> Value {
    let mut row = json!({
        "artist_id": artist.id, "artist_name": artist.name, "role": role, "on_tour": null, "total_listeners": null,
        "total_playcount": null, "plays_per_listener": null, "artist_popularity": null, "artist_followers": null,
        "has_genres": genres.as_ref().map(|genres| !genres.is_empty()),
    });
    if regime != Regime::Restricted {
        row["artist_popularity"] = json!(artist.popularity);
        row["artist_followers"] = json!(artist.followers);
    }
    if artist.page == ArtistPage::Found {
        row["on_tour"] = json!(artist.on_tour);
        row["total_listeners"] = json!(artist.listeners);
        row["total_playcount"] = json!(artist.playcount);
        row["plays_per_listener"] = json!(ratio(artist.playcount, artist.listeners));
    }
    row
}

fn ratio(plays: i64, listeners: i64) -> Option<f64> {
    (listeners > 0).then(|| plays as f64 / listeners as f64)
}

fn album_row(catalogue: &Catalogue, album: &Album) -> Value {
    json!({
        "album_id": album.id,
        "album_title": Some(&album.title).filter(|title| !title.is_empty()),
        "artist_id": album.artists.first().map(|artist| &catalogue.artists[*artist].id),
        "album_type": album.kind,
        "album_total_tracks": Some(album.total_tracks).filter(|count| (1..=200).contains(count)),
    })
}

fn song_row(catalogue: &Catalogue, wish: &Wish, track: &Track, recording: &Recording) -> Value {
    let album = catalogue.album(track);
    let duration_ms = Some(track.duration_ms).filter(|ms| (1_001..10_800_000).contains(ms));
    let known = matches!(recording.page, TrackPage::Found | TrackPage::Unheard);
    let asked = wish.musicbrainz && track.isrc.is_some();
    let mbid = if asked { catalogue.musicbrainz_id(track.recording) } else { recording.mbid.clone() };
    json!({
        "song_id": track.id,
        "song_name": track.title,
        "artist_id": catalogue.primary(recording).id,
        "album_id": album.id,
        "song_listeners": known.then_some(recording.listeners),
        "mbid": mbid.filter(|_| known),
        "duration_ms": duration_ms,
        "duration_seconds": duration_ms.map(|ms| ms / 1000),
        "duration_minutes": duration_ms.map(|ms| ms as f64 / 60_000.0),
        "engagement_ratio": ratio(recording.playcount, recording.listeners).filter(|_| known),
        "release_date": Some(&album.release_date).filter(|date| !date.starts_with("0000")),
        "release_date_precision": album.precision,
        "is_explicit": recording.explicit,
        "popularity": (wish.regime != Regime::Restricted).then_some(recording.popularity),
        "track_number": Some(track.number).filter(|number| (1..=100).contains(number)),
        "is_playable": track.markets.contains(&wish.market.as_str()),
        "isrc": track.isrc,
    })
}
