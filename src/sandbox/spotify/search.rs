//! `GET /search`: pages that overlap, totals that drift, holes, and the wall at offset 1000.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::chance;
use super::super::index::{Row, WALL};
use super::super::options::Regime;
use super::super::query::Query;
use super::super::wire::{Reply, Request, encode};
use super::super::world::Stand;
use super::{error, objects};

/// What Spotify says behind the last reachable row.
const WALL_MESSAGE: &str = "Bad request.";

/// One page that was asked for.
struct Page {
    query: Query,
    kind: String,
    market: Option<String>,
    limit: usize,
    offset: usize,
}

pub(super) fn answer(stand: &Stand<'_>, request: &Request) -> Reply {
    let page = match Page::parse(stand, request) {
        Ok(page) => page,
        Err(refused) => return *refused,
    };
    // Without a market everything is unavailable, and nothing but tracks is for sale here.
    let rows = if page.market.is_some() && page.kind.split(',').any(|kind| kind == "track") {
        stand.world.index.rows(stand.catalogue(), &page.query)
    } else {
        Arc::default()
    };
    let end = (page.offset + page.limit).min(rows.len()).min(WALL);
    let items: Vec<Value> = rows
        .get(page.offset..end)
        .unwrap_or_default()
        .iter()
        .zip(page.offset..)
        .map(|(row, place)| match row {
            Row::Track(track) => objects::track(stand, *track, page.market.as_deref()),
            Row::Null => hole(stand, place),
        })
        .collect();
    let body = json!({"tracks": {
        "href": page.href(stand, page.offset),
        "items": items,
        "limit": page.limit,
        "next": page.next(stand, rows.len()),
        "offset": page.offset,
        "previous": (page.offset > 0).then(|| page.href(stand, page.offset.saturating_sub(page.limit))),
        "total": page.total(stand, rows.len()),
    }});
    Reply::text(200, "application/json; charset=utf-8", objects::with_floats(&body.to_string()))
}

/// A row that is no track: nothing, or a file of somebody's own that has no id.
fn hole(stand: &Stand<'_>, place: usize) -> Value {
    let local = chance::mix(stand.catalogue().seed, &["hole", &place.to_string()]).is_multiple_of(2);
    if local { objects::local_file() } else { Value::Null }
}

impl Page {
    fn parse(stand: &Stand<'_>, request: &Request) -> Result<Page, Box<Reply>> {
        let refuse = |message: &str| Err(Box::new(error(400, message)));
        // `next` links say `query`.
        let text = request.param("q").or_else(|| request.param("query")).unwrap_or_default();
        if text.trim().is_empty() {
            return refuse("No search query");
        }
        let kind = request.param("type").unwrap_or_default();
        if kind.is_empty() {
            return refuse("Missing parameter type");
        }
        let (usual, most) = if stand.switches.regime == Regime::Restricted { (5, 10) } else { (20, 50) };
        let limit = request.param("limit").map_or(Ok(usual), |limit| limit.parse::<usize>());
        let Some(limit) = limit.ok().filter(|limit| (1..=most).contains(limit)) else {
            return refuse("Invalid limit");
        };
        let Ok(offset) = request.param("offset").map_or(Ok(0), |offset| offset.parse::<usize>()) else {
            return refuse("Invalid offset");
        };
        if offset >= WALL {
            return refuse(WALL_MESSAGE);
        }
        let market = request.param("market");
        if market.as_ref().is_some_and(|market| market.len() != 2 || !market.bytes().all(|byte| byte.is_ascii_uppercase())) {
            return refuse("Invalid market code");
        }
        Ok(Page { query: Query::parse(&text), kind, market, limit, offset })
    }

    /// At the wall it still points on, into an error; and now and then it is missing although the total says that more follows.
    fn next(&self, stand: &Stand<'_>, rows: usize) -> Option<String> {
        let end = self.offset + self.limit;
        let lost = chance::mix(stand.catalogue().seed, &["next", &self.query.text, &self.offset.to_string()]).is_multiple_of(8);
        let lost = lost && end < WALL && self.total(stand, rows) > end;
        (end < rows && !lost).then(|| self.href(stand, end))
    }

    fn href(&self, stand: &Stand<'_>, offset: usize) -> String {
        let market = self.market.as_ref().map_or_else(String::new, |market| format!("&market={market}"));
        let (base, limit, query, kind) = (stand.base_url, self.limit, encode(&self.query.text), encode(&self.kind));
        format!("{base}/spotify/v1/search?offset={offset}&limit={limit}&query={query}&type={kind}{market}")
    }

    /// An estimate that differs from page to page, by up to a twentieth.
    fn total(&self, stand: &Stand<'_>, rows: usize) -> usize {
        let span = rows / 20;
        let draw = chance::mix(stand.catalogue().seed, &["total", &self.query.text, &self.offset.to_string()]) as usize;
        (rows + draw % (2 * span + 1)).saturating_sub(span)
    }
}
