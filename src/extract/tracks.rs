//! The tracks stage: one search request in, one page of tracks out, and the rest of the search as another request.
//!
//! **Guarantee.** A search ends with `max_tracks` distinct tracks or with all that Spotify gives below its wall at 1,000. Its
//! progress is a message, published in the transaction that publishes the page: a `kill -9` at any moment repeats at most
//! the page under way, and repeats it whole.

use std::collections::HashSet;

use futures::future::LocalBoxFuture;

use crate::mailbox::{Message, Outgoing};
use crate::records::{
    DeadReason, Envelope, Record as _, RecordError, SearchCursor, SearchRequest, TopTrack, Topic, parse, partition_of,
};
use crate::stage::{Ending, Processed, Processor, StageError, StepContext, Subscription};

use super::clients::http::ApiError;
use super::clients::spotify::{SearchAnswer, SearchPage, Spotify, WALL};

/// See the module.
#[derive(Debug)]
pub struct Tracks {
    spotify: Spotify,
}

/// What a page leads to.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    /// Tracks not seen before, in order.
    found: Vec<TopTrack>,
    /// Where to go on; `None` at the end of the search.
    next: Option<SearchCursor>,
}

impl Tracks {
    /// The stage on this client.
    pub fn new(spotify: Spotify) -> Tracks {
        Tracks { spotify }
    }

    async fn answer(&self, message: &Message, context: &StepContext<'_>) -> Result<Ending, StageError> {
        let request = match parse::<SearchRequest>(&message.payload) {
            Ok(parsed) => parsed.record.body,
            Err(error) => return Ok(Ending::Dead(DeadReason::from(&error))),
        };
        let cursor = request.cursor.clone().unwrap_or(SearchCursor { offset: 0, seen: Vec::new() });
        let wanted = missing_tracks(&request, &cursor);
        if wanted == 0 || cursor.offset >= WALL {
            return Ok(Ending::Superseded("search_complete"));
        }
        let asked = self.spotify.search(&request.q, request.market.as_deref(), cursor.offset, wanted, context.pulse).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(ApiError::Missing { .. }) => return Ok(Ending::Superseded("no_more_results")),
            Err(error) => return error.into_ending(),
        };
        let step = plan(&request, &cursor, &answer.page, answer.limit);
        match records(request, step, &answer, message.at.partition, context) {
            Ok(records) if records.is_empty() => Ok(Ending::Superseded("no_new_tracks")),
            Ok(records) => Ok(Ending::Emitted(records)),
            Err(error) => Ok(Ending::Dead(DeadReason::from(&error))),
        }
    }
}

impl Processor for Tracks {
    fn subscription(&self) -> Subscription {
        // One message: each costs a call, and the next one is its own transaction.
        Subscription { topics: vec![Topic::MusicQueries], heads: Vec::new(), batch_max: 1, transactional: true }
    }

    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(async move {
            let mut endings = Vec::with_capacity(batch.len());
            for message in batch {
                match self.answer(message, context).await {
                    Ok(ending) => endings.push(ending),
                    Err(StageError::Wait(wait)) => return Ok(Processed { endings, wait: Some(wait) }),
                    Err(error) => return Err(error),
                }
                context.pulse.alive();
            }
            Ok(Processed::all(endings))
        })
    }
}

/// How many distinct tracks the search still wants.
fn missing_tracks(request: &SearchRequest, cursor: &SearchCursor) -> u32 {
    request.max_tracks.saturating_sub(u32::try_from(cursor.seen.len()).unwrap_or(u32::MAX))
}

/// Pure: what to emit from a page and where to go on.
fn plan(request: &SearchRequest, cursor: &SearchCursor, page: &SearchPage, limit: u32) -> Step {
    let mut seen = cursor.seen.clone();
    let mut known: HashSet<String> = seen.iter().cloned().collect();
    let wanted = usize::try_from(missing_tracks(request, cursor)).unwrap_or(usize::MAX);
    let found: Vec<TopTrack> =
        page.tracks.iter().filter(|track| known.insert(track.id.clone())).take(wanted).cloned().collect();
    seen.extend(found.iter().map(|track| track.id.clone()));
    let offset = cursor.offset.saturating_add(limit);
    let further = SearchCursor { offset, seen };
    let goes_on = missing_tracks(request, &further) > 0 && offset < WALL && has_more(page, offset);
    Step { found, next: goes_on.then_some(further) }
}

/// Is there a page from `offset` on? `next` is sometimes left out too early and `total` drifts, so either is believed when it
/// says yes; an empty page is only passed over when both do.
fn has_more(page: &SearchPage, offset: u32) -> bool {
    let by_total = page.total.is_some_and(|total| total > i64::from(offset));
    if page.rows == 0 { page.has_next && by_total } else { page.has_next || by_total }
}

/// The page's tracks, and the rest of the search, as messages.
fn records(
    request: SearchRequest,
    step: Step,
    answer: &SearchAnswer,
    partition: i32,
    context: &StepContext<'_>,
) -> Result<Vec<Outgoing>, RecordError> {
    let (at, run_id) = (answer.observed_at, context.run_id);
    let mut records = Vec::with_capacity(step.found.len() + 1);
    for track in step.found {
        let partition = partition_of(track.partition_key(), context.partitions);
        records.push(Outgoing::record(&Envelope::new(at, run_id, track), partition, 0)?);
    }
    if let Some(cursor) = step.next {
        let rest = SearchRequest { cursor: Some(cursor), ..request };
        records.push(Outgoing::record(&Envelope::new(at, run_id, rest), partition, 0)?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::ArtistRef;
    use proptest::prelude::*;

    fn track(id: u32) -> TopTrack {
        TopTrack {
            id: format!("t{id}"),
            name: "N".into(),
            artists: vec![ArtistRef { id: "a".into(), name: "A".into() }],
            album: None,
            duration_ms: None,
            explicit: None,
            is_playable: None,
            popularity: None,
            track_number: None,
            isrc: None,
            preview_url: None,
        }
    }

    fn request(max_tracks: u32) -> SearchRequest {
        SearchRequest { request_id: "r".into(), q: "q".into(), market: None, max_tracks, cursor: None }
    }

    fn start() -> SearchCursor {
        SearchCursor { offset: 0, seen: Vec::new() }
    }

    fn page(ids: &[u32], has_next: bool, total: i64) -> SearchPage {
        SearchPage {
            tracks: ids.iter().map(|id| track(*id)).collect(),
            nulled: Vec::new(),
            rows: ids.len(),
            has_next,
            total: Some(total),
        }
    }

    #[test]
    fn only_distinct_tracks_count_within_a_page_and_across_pages() {
        let cursor = SearchCursor { offset: 10, seen: vec!["t1".into()] };
        let step = plan(&request(4), &cursor, &page(&[1, 2, 2, 3, 4, 5], true, 100), 10);
        assert_eq!(step.found.iter().map(|track| track.id.as_str()).collect::<Vec<_>>(), ["t2", "t3", "t4"]);
        assert_eq!(step.next, None, "four distinct tracks were wanted");
    }

    #[test]
    fn a_search_goes_on_behind_an_early_end_and_stops_at_a_true_one() {
        let next = |page: &SearchPage| plan(&request(50), &start(), page, 2).next.map(|cursor| cursor.offset);
        assert_eq!(next(&page(&[1, 2], false, 30)), Some(2), "next left out too early");
        assert_eq!(next(&page(&[1, 2], true, 1)), Some(2), "total drifted");
        assert_eq!(next(&page(&[1, 2], false, 2)), None);
        assert_eq!(next(&page(&[], false, 30)), None);
        assert_eq!(next(&page(&[], true, 30)), Some(2), "an empty page in the middle");
        assert_eq!(next(&page(&[], false, 0)), None);
    }

    #[test]
    fn the_wall_ends_a_search_although_spotify_names_a_next_page() {
        let cursor = SearchCursor { offset: 990, seen: Vec::new() };
        assert_eq!(plan(&request(1_000), &cursor, &page(&[1], true, 5_000), 10).next, None);
    }

    proptest! {
        #[test]
        fn every_search_ends_with_distinct_tracks_and_no_more_than_wanted(
            max_tracks in 1..1_000_u32,
            limit in 1..50_u32,
            pages in prop::collection::vec((prop::collection::vec(0..40_u32, 0..50), any::<bool>(), 0..2_000_i64), 1..8),
        ) {
            let request = request(max_tracks);
            let mut cursor = start();
            let mut emitted = Vec::new();
            let mut steps = 0;
            for (ids, has_next, total) in pages.iter().cycle() {
                let step = plan(&request, &cursor, &page(ids, *has_next, *total), limit);
                emitted.extend(step.found.into_iter().map(|track| track.id));
                steps += 1;
                let Some(next) = step.next else { break };
                prop_assert!(next.offset > cursor.offset && next.offset < WALL);
                prop_assert_eq!(&next.seen, &emitted);
                cursor = next;
            }
            prop_assert!(steps <= WALL.div_ceil(limit));
            prop_assert!(emitted.len() <= max_tracks as usize);
            let distinct: HashSet<_> = emitted.iter().collect();
            prop_assert_eq!(distinct.len(), emitted.len());
        }
    }
}
