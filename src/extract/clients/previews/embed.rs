//! Spotify's embed page of a track: where the clip's link stands in it. Pure.
//!
//! Off by default. It is a web page and not an API: its structure changes without notice, it refuses clients that do not
//! look like a browser, and Spotify's developer terms allow neither scraping nor keeping what it plays. The page also
//! carries an anonymous session token, so its text never goes into a log or an error.

use std::time::Duration;

use serde_json::Value;

use crate::extract::clients::http::Verdict;

/// What the page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedPage {
    /// The clip's link.
    Link(String),
    /// The track is there and has no clip.
    NoClip,
    /// There is no such track: the page has a status in place of the data.
    NoTrack,
    /// Not an embed page: an outage, a consent wall, a new structure.
    Unreadable(&'static str),
}

const SCRIPT_ID: &str = "id=\"__NEXT_DATA__\"";

/// Reads a page, or the bare JSON of its data.
pub fn read(body: &[u8]) -> EmbedPage {
    let page = String::from_utf8_lossy(body);
    let Some(data) = next_data(&page) else {
        return written_link(&page).map_or(EmbedPage::Unreadable("no data in the page"), EmbedPage::Link);
    };
    let Ok(data) = serde_json::from_str::<Value>(data) else {
        return written_link(&page).map_or(EmbedPage::Unreadable("the page's data is cut or no JSON"), EmbedPage::Link);
    };
    let Some(props) = data.pointer("/props/pageProps") else {
        return written_link(&page).map_or(EmbedPage::Unreadable("the page's data has no pageProps"), EmbedPage::Link);
    };
    match props.pointer("/state/data/entity") {
        Some(entity) if entity.is_object() => {
            let link = entity.pointer("/audioPreview/url").and_then(Value::as_str).filter(|link| !link.trim().is_empty());
            link.map_or(EmbedPage::NoClip, |link| EmbedPage::Link(link.to_owned()))
        }
        _ if props.get("status").is_some() || props.get("forbiddenReason").is_some() => EmbedPage::NoTrack,
        // Pages without data come at random; a second look has them.
        _ => EmbedPage::Unreadable("the page has neither data nor a status"),
    }
}

/// How long to stay away when the page refuses us: it takes us for a robot, which passes in minutes.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// What an answer means.
pub fn verdict(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Verdict {
    match (status, read(body)) {
        (200..=299, EmbedPage::Link(_) | EmbedPage::NoClip) => Verdict::Accept,
        (200..=299 | 404, EmbedPage::NoTrack) | (404, _) => Verdict::Missing("no_preview".to_owned()),
        (403 | 429, _) => Verdict::throttled(format!("refused ({status})"), retry_after, REFUSED_PAUSE),
        (_, EmbedPage::Unreadable(problem)) => Verdict::Retry(format!("status {status}: {problem}")),
        _ => Verdict::Retry(format!("status {status}")),
    }
}

/// The text of the data script.
fn next_data(page: &str) -> Option<&str> {
    if page.trim_start().starts_with('{') {
        return Some(page);
    }
    let from_tag = page.get(page.find(SCRIPT_ID)?..)?;
    let content = from_tag.get(from_tag.find('>')? + 1..)?;
    content.get(..content.find("</script>")?)
}

/// The link as earlier structures wrote it anywhere in the page: `"audioPreview":{"url":"..."}` or `"previewUrl":"..."`.
fn written_link(page: &str) -> Option<String> {
    let after = |text: &'_ str, mark: &str| -> Option<usize> { text.find(mark).map(|at| at + mark.len()) };
    let preview = after(page, "\"audioPreview\"").and_then(|at| page.get(at..)).and_then(|rest| {
        let object = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('{')?;
        quoted_value(object.trim_start(), "\"url\"")
    });
    preview.or_else(|| {
        after(page, "\"previewUrl\"")
            .and_then(|at| page.get(at - "\"previewUrl\"".len()..))
            .and_then(|rest| quoted_value(rest, "\"previewUrl\""))
    })
}

/// The text value of `key` at the very start of `text`.
fn quoted_value(text: &str, key: &str) -> Option<String> {
    let value = text.strip_prefix(key)?.trim_start().strip_prefix(':')?.trim_start();
    let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
    values.next()?.ok().filter(|link| !link.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn page(props: &Value) -> String {
        let data = json!({"props": {"pageProps": props}, "page": "/track/[id]"});
        format!("<!DOCTYPE html><html><body><script {SCRIPT_ID} type=\"application/json\">{data}</script></body></html>")
    }

    fn entity(preview: Value) -> Value {
        json!({"state": {"data": {"entity": {"type": "track", "audioPreview": preview}}}})
    }

    #[test]
    fn the_link_is_found_in_the_page() {
        let body = page(&entity(json!({"url": "https://p.scdn.co/mp3-preview/b4"})));
        assert_eq!(read(body.as_bytes()), EmbedPage::Link("https://p.scdn.co/mp3-preview/b4".to_owned()));
    }

    #[test]
    fn a_track_without_a_clip_is_a_miss() {
        for preview in [json!(null), json!({"url": null}), json!({}), json!({"url": ""})] {
            assert_eq!(read(page(&entity(preview)).as_bytes()), EmbedPage::NoClip);
        }
    }

    #[test]
    fn a_dead_id_is_a_miss() {
        assert_eq!(read(page(&json!({"status": 404})).as_bytes()), EmbedPage::NoTrack);
    }

    #[test]
    fn pages_without_data_are_looked_at_again() {
        for body in ["", "<html>", "<script id=\"__NEXT_DATA__\">{\"props\":", "<script id=\"__NEXT_DATA__\">{]</script>"] {
            assert!(matches!(read(body.as_bytes()), EmbedPage::Unreadable(_)), "{body}");
        }
        assert!(matches!(read(page(&json!({})).as_bytes()), EmbedPage::Unreadable(_)));
    }

    #[test]
    fn older_structures_are_read_too() {
        let link = EmbedPage::Link("https://p.scdn.co/mp3-preview/b4".to_owned());
        assert_eq!(read(br#"<script>x = {"audioPreview" : { "url":"https:\/\/p.scdn.co\/mp3-preview\/b4"}}</script>"#), link);
        assert_eq!(read(br#"<script id="resource">{"previewUrl": "https://p.scdn.co/mp3-preview/b4"}</script>"#), link);
    }

    #[test]
    fn refusals_wait_and_dead_tracks_are_missing() {
        assert!(matches!(verdict(403, None, b"Forbidden"), Verdict::WaitLonger { .. }));
        assert!(matches!(verdict(404, None, b""), Verdict::Missing(_)));
        assert!(matches!(verdict(200, None, page(&json!({"status": 404})).as_bytes()), Verdict::Missing(_)));
        assert!(matches!(verdict(200, None, b"<html>"), Verdict::Retry(_)));
        assert!(matches!(verdict(502, None, page(&entity(json!(null))).as_bytes()), Verdict::Retry(_)));
        assert_eq!(verdict(200, None, page(&entity(json!(null))).as_bytes()), Verdict::Accept);
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(body in "\\PC{0,200}") {
            let _ = read(body.as_bytes());
            let _ = read(format!("<script {SCRIPT_ID}>{body}</script>").as_bytes());
            let _ = read(format!("\"audioPreview\":{{\"url\":{body}").as_bytes());
        }
    }
}
