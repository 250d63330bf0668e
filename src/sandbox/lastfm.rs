//! Stand-in for Last.fm: JSON that once was XML, errors that hide in 200s, and names that are decoded twice.

use serde_json::{Map, Value, json};

use super::catalogue::{Artist, ArtistPage, Recording, TrackPage};
use super::chance;
use super::wire::{Reply, Request, decode};
use super::world::Stand;

/// The picture of every artist since 2019.
const STAR: &str = "2a96cbd8b46e442fc41c2b86b821562f";

/// An error in Last.fm's shape.
pub fn error(http: u16, code: u16, message: &str) -> Reply {
    Reply::json(http, &json!({"error": code, "message": message}))
}

/// Answers a call whose key was accepted.
pub fn answer(stand: &Stand<'_>, request: &Request) -> Reply {
    if request.param("format").as_deref() != Some("json") {
        return Reply::text(
            200,
            "text/xml; charset=utf-8",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<lfm status=\"ok\"></lfm>",
        );
    }
    match request.param("method").unwrap_or_default().to_lowercase().as_str() {
        "artist.getinfo" => artist_info(stand, request),
        "track.getinfo" => track_info(stand, request),
        "artist.gettoptags" => top_tags(stand, request),
        _ => error(400, 3, "Invalid Method - No method with that name in this package"),
    }
}

fn autocorrects(request: &Request) -> bool {
    request.param("autocorrect").as_deref() == Some("1")
}

/// `artist`, decoded twice: a plain `+` arrives as a space.
fn twice_decoded(request: &Request) -> Option<String> {
    request.param("artist").map(|once| decode(&once))
}

fn unknown_artist() -> Reply {
    error(404, 6, "The artist you supplied could not be found")
}

fn artist_info(stand: &Stand<'_>, request: &Request) -> Reply {
    let catalogue = stand.catalogue();
    if let Some(mbid) = request.param("mbid").filter(|mbid| !mbid.is_empty()) {
        return by_mbid(stand, &mbid);
    }
    let Some(asked) = twice_decoded(request).filter(|name| !name.trim().is_empty()) else {
        return error(400, 6, "Invalid parameters - Your request is missing a required parameter");
    };
    let Some(artist) = catalogue.page_of(&asked) else {
        // Where the `+` was lost there is a page, too: the wrong one.
        return catalogue.plus_lost(&asked).map_or_else(unknown_artist, |real| incorrect_tag(&asked, &real.name));
    };
    if !autocorrects(request) && artist.lastfm_name != asked && artist.page == ArtistPage::Found {
        return misspelt(&asked);
    }
    match artist.page {
        ArtistPage::Found => Reply::json(200, &json!({"artist": artist_page(stand, artist)})),
        ArtistPage::Missing => unknown_artist(),
        ArtistPage::Unknown => Reply::json(200, &json!({"artist": unknown_page()})),
        ArtistPage::IncorrectTag => incorrect_tag(&asked, "somebody else"),
        ArtistPage::Other => {
            let other = someone_else(stand, artist);
            Reply::json(200, &json!({"artist": artist_page(stand, other)}))
        }
    }
}

/// Some ids lead to nobody.
fn by_mbid(stand: &Stand<'_>, mbid: &str) -> Reply {
    let found = stand.catalogue().page_of_mbid(mbid).filter(|artist| artist.page == ArtistPage::Found);
    match found.filter(|artist| !chance::mix(stand.catalogue().seed, &["mbid-lost", &artist.id]).is_multiple_of(4)) {
        Some(artist) => Reply::json(200, &json!({"artist": artist_page(stand, artist)})),
        None => unknown_artist(),
    }
}

/// An artist with a page whose name has nothing to do with this one's.
fn someone_else<'a>(stand: &Stand<'a>, artist: &Artist) -> &'a Artist {
    let artists = &stand.catalogue().artists;
    let start = chance::mix(stand.catalogue().seed, &["someone-else", &artist.id]) as usize % artists.len();
    let initial = |artist: &Artist| artist.name.trim_start_matches("The ").chars().next();
    artists
        .iter()
        .cycle()
        .skip(start)
        .take(artists.len())
        .find(|other| other.page == ArtistPage::Found && initial(other) != initial(artist))
        .unwrap_or(&artists[start])
}

fn music_url(name: &str) -> String {
    format!("https://www.last.fm/music/{}", name.replace(' ', "+").replace('/', "%2F"))
}

fn artist_page(stand: &Stand<'_>, artist: &Artist) -> Value {
    let mut page = page(&artist.lastfm_name, artist.listeners, artist.playcount);
    page.insert("ontour".to_owned(), json!(if artist.on_tour { "1" } else { "0" }));
    // Without an id the key is missing or empty.
    match &artist.mbid {
        Some(mbid) => page.insert("mbid".to_owned(), json!(mbid)),
        None if artist.listeners % 2 == 0 => page.insert("mbid".to_owned(), json!("")),
        None => None,
    };
    page.insert("tags".to_owned(), collapsed("tag", tags(&artist.tags), json!("")));
    page.insert(
        "similar".to_owned(),
        json!({"artist": [{"name": someone_else(stand, artist).name, "url": "https://www.last.fm/music", "image": images()}]}),
    );
    if artist.has_bio {
        page.insert(
            "bio".to_owned(),
            bio(&artist.lastfm_name, &format!("{} make music.", artist.lastfm_name), "04 Jan 2007, 05:16"),
        );
    }
    Value::Object(page)
}

/// A page with a name, figures, pictures and an empty biography.
fn page(name: &str, listeners: i64, playcount: i64) -> Map<String, Value> {
    let page = json!({
        "name": name, "url": music_url(name), "image": images(), "streamable": "0", "ontour": "0",
        "stats": {"listeners": listeners.to_string(), "playcount": playcount.to_string()},
        "similar": {"artist": []}, "tags": "", "bio": bio(name, "", "01 Jan 1970, 00:00"),
    });
    match page {
        Value::Object(page) => page,
        _ => Map::new(),
    }
}

fn bio(name: &str, text: &str, published: &str) -> Value {
    let link = format!("<a href=\"{}\">Read more on Last.fm</a>", music_url(name));
    json!({
        "links": {"link": {"#text": "", "rel": "original", "href": format!("{}/+wiki", music_url(name))}},
        "published": published, "summary": format!("{text} {link}"), "content": text,
    })
}

fn images() -> Value {
    let sizes = [
        ("small", "34s"),
        ("medium", "64s"),
        ("large", "174s"),
        ("extralarge", "300x300"),
        ("mega", "300x300"),
        ("", "300x300"),
    ];
    sizes
        .iter()
        .map(|(size, path)| json!({"#text": format!("https://lastfm.freetls.fastly.net/i/u/{path}/{STAR}.png"), "size": size}))
        .collect()
}

fn unknown_page() -> Value {
    let mut page = page("[unknown]", 3_127_845, 80_412_377);
    page.insert("mbid".to_owned(), json!("125ec42a-7229-4250-afc5-e057484327fe"));
    Value::Object(page)
}

fn incorrect_tag(asked: &str, real: &str) -> Reply {
    let mut page = page(asked, 212, 1_305);
    let text = format!("This is an incorrect tag for {real}. If this non-artist appears in your charts, fix your tags.");
    page.insert("bio".to_owned(), bio(asked, &text, "12 Mar 2011, 11:02"));
    Reply::json(200, &json!({"artist": page}))
}

/// Without autocorrection a spelling has a page of its own, with next to no listeners.
fn misspelt(asked: &str) -> Reply {
    let mut page = page(asked, 7, 19);
    page.insert("url".to_owned(), json!(music_url(asked).replace("/music/", "/music/+noredirect/")));
    Reply::json(200, &json!({"artist": page}))
}

fn tags(names: &[String]) -> Vec<Value> {
    names
        .iter()
        .map(|name| json!({"name": name, "url": format!("https://www.last.fm/tag/{}", name.replace(' ', "+"))}))
        .collect()
}

/// A list as converted XML has it: none is `empty`, one is an object, more are an array.
fn collapsed(key: &str, mut list: Vec<Value>, empty: Value) -> Value {
    match list.len() {
        0 => empty,
        1 => json!({key: list.swap_remove(0)}),
        _ => json!({key: list}),
    }
}

fn top_tags(stand: &Stand<'_>, request: &Request) -> Reply {
    let asked = request.param("artist").unwrap_or_default();
    match stand.catalogue().page_of(&asked).filter(|artist| artist.page == ArtistPage::Found) {
        Some(artist) => {
            let counted = artist.tags.iter().zip((1..=100).rev().step_by(9));
            let tags: Vec<Value> =
                counted.map(|(name, count)| json!({"count": count, "name": name, "url": "https://www.last.fm/tag"})).collect();
            Reply::json(200, &json!({"toptags": {"tag": tags, "@attr": {"artist": artist.lastfm_name}}}))
        }
        // The same error as elsewhere, in a 200.
        None => error(200, 6, "The artist you supplied could not be found"),
    }
}

fn track_info(stand: &Stand<'_>, request: &Request) -> Reply {
    let (artist, title) = (request.param("artist").unwrap_or_default(), request.param("track").unwrap_or_default());
    if artist.trim().is_empty() || title.trim().is_empty() {
        return error(400, 6, "Invalid parameters - Your request is missing a required parameter");
    }
    let catalogue = stand.catalogue();
    // How often this call decodes is not known for sure: whatever leads to a track is taken.
    let found = catalogue.recording_of(&artist, &title).or_else(|| catalogue.recording_of(&decode(&artist), &decode(&title)));
    let Some(recording) = found else { return unknown_track(&title) };
    match recording.page {
        TrackPage::Found | TrackPage::Unheard => track_page(stand, recording, &recording.title),
        TrackPage::Ghost => ghost(&artist, &title),
        TrackPage::Missing => unknown_track(&title),
        TrackPage::Other => track_page(stand, recording, &other_title(stand, recording)),
    }
}

/// 404 or 200, by the title; the error is in the body either way.
fn unknown_track(title: &str) -> Reply {
    let http = if chance::mix(0, &["unknown-track", title]).is_multiple_of(2) { 404 } else { 200 };
    Reply::json(http, &json!({"message": "Track not found", "error": 6, "links": []}))
}

/// A title that has no word in common with the recording's.
fn other_title(stand: &Stand<'_>, recording: &Recording) -> String {
    let number = chance::mix(stand.catalogue().seed, &["other-title", &recording.title]) % 90 + 10;
    format!("Untitled Session Tape {number}")
}

fn track_page(stand: &Stand<'_>, recording: &Recording, title: &str) -> Reply {
    let artist = stand.catalogue().primary(recording);
    let name = &artist.lastfm_name;
    let mut page = json!({
        "name": title, "url": format!("{}/_/{}", music_url(name), title.replace(' ', "+")),
        "duration": if recording.listeners % 5 == 1 { "0".to_owned() } else { recording.duration_ms.to_string() },
        "streamable": {"#text": "0", "fulltrack": "0"},
        "listeners": recording.listeners.to_string(), "playcount": recording.playcount.to_string(),
        "artist": {"name": name, "mbid": artist.mbid.clone().unwrap_or_default(), "url": music_url(name)},
        "album": {"artist": name, "title": recording.title, "url": music_url(name), "image": images(), "@attr": {"position": "1"}},
        "toptags": collapsed("tag", tags(&recording.tags), json!("")),
        "wiki": {"published": "14 Apr 2009, 16:25", "summary": "A song.", "content": "A song."},
    });
    if let (Some(object), Some(mbid)) = (page.as_object_mut(), recording.mbid.as_ref()) {
        object.insert("mbid".to_owned(), json!(mbid));
    }
    let body = json!({"track": page}).to_string();
    // Slashes are escaped in some answers only.
    let body = if recording.playcount % 3 == 0 { body.replace('/', "\\/") } else { body };
    Reply::text(200, "application/json", body)
}

fn ghost(artist: &str, title: &str) -> Reply {
    Reply::json(
        200,
        &json!({"track": {
            "name": title, "url": format!("{}/_/{}", music_url(artist), title.replace(' ', "+")), "duration": "0",
            "streamable": {"#text": "0", "fulltrack": "0"}, "listeners": "2", "playcount": "4",
            "artist": {"name": artist, "url": music_url(artist)}, "toptags": {"tag": []},
        }}),
    )
}
