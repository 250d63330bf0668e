//! The words of the catalogue, and the two searches over them: Spotify's, which must find, and the shops', which rank.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::catalogue::{Catalogue, FAMILIES};
use super::chance;
use super::fold;
use super::query::{Filter, Query};

/// Rows of one search that can be reached: no offset from here on.
pub const WALL: usize = 1000;
/// What a search for words that nothing has finds: the nearest thing, as outside.
const NEAREST: usize = 60;
/// Result lists that are kept, since their pages are asked for one after another.
const KEPT: usize = 64;

/// Inverted lists over the tracks.
#[derive(Debug)]
pub struct Index {
    by_word: HashMap<String, Vec<u32>>,
    /// Words of title and artists, without album and genre: what a shop compares.
    shop_words: Vec<u16>,
    by_shop_word: HashMap<String, Vec<u32>>,
    /// Order of fame: ties in a ranking are broken by it.
    rank: Vec<u32>,
    kept: Mutex<HashMap<String, Arc<Vec<Row>>>>,
}

/// A row of a result list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A track.
    Track(usize),
    /// A hole: `null` in the answer.
    Null,
}

impl Index {
    /// Indexes a catalogue.
    pub fn build(catalogue: &Catalogue) -> Index {
        let mut index = Index {
            by_word: HashMap::new(),
            shop_words: Vec::with_capacity(catalogue.tracks.len()),
            by_shop_word: HashMap::new(),
            rank: Vec::new(),
            kept: Mutex::default(),
        };
        for (number, track) in catalogue.tracks.iter().enumerate() {
            let recording = catalogue.recording(track);
            let mut words = fold::words(&track.title);
            catalogue.artist_names(recording).for_each(|name| words.extend(fold::words(name)));
            dedup(&mut words);
            index.shop_words.push(words.len() as u16);
            add(&mut index.by_shop_word, &words, number);
            words.extend(fold::words(&catalogue.album(track).title));
            let artist = catalogue.primary(recording);
            words.extend(artist.genres.iter().flat_map(|genre| fold::words(genre)));
            if artist.genres.is_empty() {
                // Spotify knows more than it shows.
                words.extend(fold::words(FAMILIES[artist.family].genres[0]));
            }
            dedup(&mut words);
            add(&mut index.by_word, &words, number);
        }
        index.rank = fame(catalogue);
        index
    }

    /// Distinct tracks that a query finds, best first.
    pub fn find(&self, catalogue: &Catalogue, query: &Query) -> Vec<usize> {
        let mut scored: HashMap<u32, u32> = HashMap::new();
        for word in &query.words {
            for track in self.by_word.get(word).into_iter().flatten() {
                *scored.entry(*track).or_default() += 1;
            }
        }
        if query.words.is_empty() {
            scored = (0..catalogue.tracks.len() as u32).map(|track| (track, 0)).collect();
        } else if scored.is_empty() && query.filters.is_empty() {
            return self.nearest(catalogue, query);
        }
        let mut found: Vec<(u32, u32)> = scored.into_iter().collect();
        found.retain(|(track, _)| query.filters.iter().all(|filter| keeps(filter, catalogue, *track as usize)));
        found.sort_unstable_by_key(|(track, hits)| (std::cmp::Reverse(*hits), self.rank[*track as usize]));
        found.into_iter().map(|(track, _)| track as usize).collect()
    }

    fn nearest(&self, catalogue: &Catalogue, query: &Query) -> Vec<usize> {
        let text = query.words.join(" ");
        let mut tracks: Vec<usize> = (0..NEAREST)
            .map(|turn| {
                chance::mix(catalogue.seed, &["nearest", &text, &turn.to_string()]) as usize % catalogue.tracks.len().max(1)
            })
            .filter(|track| *track < catalogue.tracks.len())
            .collect();
        tracks.sort_unstable_by_key(|track| self.rank[*track]);
        tracks.dedup();
        tracks
    }

    /// The rows of a search as they are paged: the distinct tracks, with repetitions and holes put in between.
    ///
    /// The list depends on the query only. Pages of any size are slices of it, so every page size and every account
    /// meets the same tracks in the same order, and what is put in pushes nothing over the wall: the list is cut there.
    pub fn rows(&self, catalogue: &Catalogue, query: &Query) -> Arc<Vec<Row>> {
        if let Some(rows) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&query.text) {
            return Arc::clone(rows);
        }
        let rows = Arc::new(self.make_rows(catalogue, query));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(query.text.clone(), Arc::clone(&rows));
        rows
    }

    fn make_rows(&self, catalogue: &Catalogue, query: &Query) -> Vec<Row> {
        let tracks = self.find(catalogue, query);
        let mut rows = Vec::with_capacity(tracks.len() + tracks.len() / 8);
        for (place, track) in tracks.iter().enumerate() {
            rows.push(Row::Track(*track));
            let draw = chance::mix(catalogue.seed, &["inserted", &query.text, &place.to_string()]);
            match draw % 40 {
                // What was on the page before comes again: pages overlap.
                0 | 1 => rows.push(Row::Track(tracks[place.saturating_sub((draw >> 8) as usize % 8)])),
                2 => rows.push(Row::Null),
                _ => {}
            }
        }
        rows
    }

    /// Tracks of a shop that look like the words of a query, best first: those that have most of its words, as in a search
    /// engine, then by Dice's coefficient of the word sets. Otherwise a title with a long list of guests would come far
    /// behind when it is searched without them.
    pub fn resembling(&self, words: &[String], limit: usize) -> Vec<usize> {
        let mut wanted = words.to_vec();
        dedup(&mut wanted);
        let mut hits: HashMap<u32, u32> = HashMap::new();
        for word in &wanted {
            for track in self.by_shop_word.get(word).into_iter().flatten() {
                *hits.entry(*track).or_default() += 1;
            }
        }
        let score = |track: u32, hits: u32| {
            let all = wanted.len() + usize::from(self.shop_words[track as usize]);
            2000 * hits as usize / all.max(1)
        };
        let mut found: Vec<(u32, u32, usize)> =
            hits.into_iter().map(|(track, hits)| (track, hits, score(track, hits))).collect();
        found.retain(|(_, hits, score)| *score >= 400 || *hits as usize == wanted.len());
        found.sort_unstable_by_key(|(track, hits, score)| {
            (std::cmp::Reverse(*hits), std::cmp::Reverse(*score), self.rank[*track as usize])
        });
        found.into_iter().take(limit).map(|(track, ..)| track as usize).collect()
    }
}

fn add(lists: &mut HashMap<String, Vec<u32>>, words: &[String], track: usize) {
    for word in words {
        match lists.get_mut(word) {
            Some(list) => list.push(track as u32),
            None => {
                lists.insert(word.clone(), vec![track as u32]);
            }
        }
    }
}

fn dedup(words: &mut Vec<String>) {
    words.sort_unstable();
    words.dedup();
}

fn fame(catalogue: &Catalogue) -> Vec<u32> {
    let mut order: Vec<usize> = (0..catalogue.tracks.len()).collect();
    order.sort_by_key(|track| {
        let recording = catalogue.recording(&catalogue.tracks[*track]);
        (std::cmp::Reverse(recording.popularity), chance::mix(catalogue.seed, &["fame", &track.to_string()]))
    });
    let mut rank = vec![0; order.len()];
    for (place, track) in order.into_iter().enumerate() {
        rank[track] = place as u32;
    }
    rank
}

fn keeps(filter: &Filter, catalogue: &Catalogue, track: usize) -> bool {
    let track = &catalogue.tracks[track];
    let recording = catalogue.recording(track);
    let has = |text: &str, wanted: &[String]| {
        let words = fold::words(text);
        !wanted.is_empty() && wanted.iter().all(|word| words.contains(word))
    };
    match filter {
        Filter::Artist(words) => catalogue.artist_names(recording).any(|name| has(name, words)),
        Filter::Track(words) => has(&track.title, words),
        Filter::Album(words) => has(&catalogue.album(track).title, words),
        Filter::Genre(words) => catalogue.primary(recording).genres.iter().any(|genre| has(genre, words)),
        Filter::Year(first, last) => {
            let year = catalogue.album(track).release_date.get(..4).and_then(|year| year.parse::<i64>().ok());
            year.is_some_and(|year| (*first..=*last).contains(&year))
        }
        Filter::Isrc(code) => track.isrc.as_deref() == Some(code),
        Filter::Nothing => false,
    }
}
