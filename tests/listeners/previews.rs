//! The preview providers and the download of clips.

use std::sync::Arc;

use reprise::extract::clients::http::ApiError;
use reprise::extract::clients::previews::{Download, Preview, Previews, Resolved};
use reprise::extract::{PreviewOptions, ProviderKind};
use reprise::matching::Matcher;
use reprise::records::TopTrack;
use reprise::supervision::Pulse;

use crate::rig::{Reply, Server, http, track};

/// The beginning of an MP3.
pub const MP3: &[u8] = b"ID3\x04\x00\x00\x00\x00\x00\x00audio";

/// Options that point every provider at one server.
pub fn options(url: &str, providers: &[ProviderKind]) -> PreviewOptions {
    PreviewOptions {
        providers: providers.to_vec(),
        deezer_url: format!("{url}/deezer"),
        itunes_url: format!("{url}/itunes/"),
        spotify_embed_url: format!("{url}/embed"),
        clip_bytes_max: 100_000,
        ..PreviewOptions::default()
    }
}

pub fn previews(options: &PreviewOptions) -> Previews {
    Previews::new(&http(), options, Arc::new(Matcher::default())).expect("previews")
}

/// A Deezer track with a clip at `link`.
pub fn deezer_track(id: i64, title: &str, artist: &str, link: &str) -> String {
    format!(
        r#"{{"id":{id},"title":"{title}","isrc":"GBUM71029604","duration":200,"preview":"{link}","artist":{{"name":"{artist}"}},"album":{{"title":"x"}}}}"#
    )
}

fn queen() -> TopTrack {
    TopTrack { isrc: Some("GBUM71029604".to_owned()), ..track("s1", "One Vision", "a1", "Queen") }
}

async fn resolve(server: &Server, kind: ProviderKind, track: &TopTrack) -> Result<Resolved, ApiError> {
    previews(&options(&server.url, &[kind])).resolve(kind, track, &Pulse::new()).await
}

fn clip_ref(resolved: &Result<Resolved, ApiError>) -> &str {
    match resolved {
        Ok(Resolved::Clip(preview)) => &preview.clip_ref,
        Ok(Resolved::Missing(reason)) => reason,
        Err(_) => "error",
    }
}

const NO_DATA: &str = r#"{"error":{"type":"DataException","message":"no data","code":800}}"#;
const QUOTA: &str = r#"{"error":{"type":"Exception","message":"Quota limit exceeded","code":4}}"#;

#[tokio::test]
async fn deezer_is_asked_by_isrc_first_and_then_searched() {
    let by_isrc =
        Server::start(|_, _| Reply::json(200, &deezer_track(7, "One Vision", "Queen", "https://x.dzcdn.net/1"))).await;
    let found = resolve(&by_isrc, ProviderKind::Deezer, &queen()).await;
    assert_eq!(clip_ref(&found), "deezer:track:7");
    assert_eq!(by_isrc.calls(), ["/deezer/track/isrc:GBUM71029604"]);

    let searched = Server::start(|path, _| {
        let rows = [
            deezer_track(1, "One Vision (Live)", "Queen", "https://x.dzcdn.net/1"),
            deezer_track(2, "One Vision", "Queen", "https://x.dzcdn.net/2"),
        ];
        // Search results carry no ISRC.
        let search = format!(r#"{{"data":[{}],"total":2}}"#, rows.join(",").replace("\"isrc\"", "\"no_isrc\""));
        Reply::json(200, if path.contains("/search") { &search } else { NO_DATA })
    })
    .await;
    let found = resolve(&searched, ProviderKind::Deezer, &queen()).await;
    assert_eq!(clip_ref(&found), "deezer:track:2");
    assert!(matches!(found, Ok(Resolved::Clip(Preview { matched: Some(note), .. })) if note.score > 0.9));
    assert_eq!(searched.calls().len(), 2);
}

#[tokio::test]
async fn how_well_searches_match_is_counted_by_outcome() {
    let server = Server::start(|path, _| {
        let row = deezer_track(2, "One Vision", "Queen", "https://x.dzcdn.net/2").replace("\"isrc\"", "\"no_isrc\"");
        Reply::json(
            200,
            &if path.contains("/search") { format!(r#"{{"data":[{row}],"total":1}}"#) } else { NO_DATA.to_owned() },
        )
    })
    .await;
    let http = http();
    let previews =
        Previews::new(&http, &options(&server.url, &[ProviderKind::Deezer]), Arc::new(Matcher::default())).expect("previews");
    for title in ["One Vision", "Another One"] {
        let asked = TopTrack { name: title.to_owned(), ..queen() };
        previews.resolve(ProviderKind::Deezer, &asked, &Pulse::new()).await.expect("an answer");
    }
    let metrics = http.metrics().encode().expect("metrics");
    for outcome in ["accepted", "rejected"] {
        let told = format!("reprise_match_score_count{{subject=\"preview\",outcome=\"{outcome}\"}} 1");
        assert!(metrics.contains(&told), "{told} in\n{metrics}");
    }
}

#[tokio::test]
async fn another_recording_than_the_asked_isrc_is_not_taken_for_it() {
    let server = Server::start(|path, _| {
        let other =
            deezer_track(7, "Something Else", "Somebody", "https://x.dzcdn.net/1").replace("GBUM71029604", "USUM72409273");
        Reply::json(200, if path.contains("/search") { r#"{"data":[],"total":0}"# } else { &other })
    })
    .await;
    assert_eq!(clip_ref(&resolve(&server, ProviderKind::Deezer, &queen()).await), "no_preview");
}

#[tokio::test]
async fn a_throttle_in_a_200_is_waited_for_and_never_a_miss() {
    let server = Server::start(|_, _| Reply::json(200, QUOTA)).await;
    let waits = resolve(&server, ProviderKind::Deezer, &queen()).await;
    assert!(matches!(&waits, Err(ApiError::Wait { reason, .. }) if reason.contains("deezer")), "{waits:?}");
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn an_empty_itunes_result_with_403_is_waited_for_and_never_a_miss() {
    let empty = "\n\n\n{\n \"resultCount\":0,\n \"results\": []\n}\n\n\n";
    let throttled = Server::start(move |_, _| Reply::new(403, "content-type: text/javascript\r\n", empty.as_bytes())).await;
    assert!(matches!(resolve(&throttled, ProviderKind::Itunes, &queen()).await, Err(ApiError::Wait { .. })));
    let nothing = Server::start(move |_, _| Reply::new(200, "content-type: text/javascript\r\n", empty.as_bytes())).await;
    assert_eq!(clip_ref(&resolve(&nothing, ProviderKind::Itunes, &queen()).await), "no_preview");
}

#[tokio::test]
async fn itunes_is_searched_with_matching() {
    let server = Server::start(|_, _| {
        let song = |id: u32, title: &str, artist: &str| {
            format!(
                r#"{{"wrapperType":"track","kind":"song","trackId":{id},"trackName":"{title}","artistName":"{artist}","trackTimeMillis":200000,"previewUrl":"https://audio-ssl.itunes.apple.com/{id}.m4a"}}"#
            )
        };
        let rows = [song(1, "One Vision (Karaoke Version)", "Sing Along"), song(2, "One Vision", "Queen")].join(",");
        Reply::new(200, "content-type: text/javascript\r\n", format!("\n\n\n{{\"resultCount\":2,\"results\":[{rows}]}}\n").as_bytes())
    })
    .await;
    assert_eq!(clip_ref(&resolve(&server, ProviderKind::Itunes, &queen()).await), "itunes:track:2");
    assert!(
        server
            .calls()
            .iter()
            .all(|call| call.starts_with("/itunes/search?term=Queen+One+Vision&media=music&entity=song&country=US"))
    );
}

#[tokio::test]
async fn passing_faults_do_not_change_who_has_the_clip() {
    for fault in
        [Reply::html(200), Reply::html(503), Reply::cut("{"), Reply::json(200, "{}"), Reply::hang_up(), Reply::huge(1 << 30)]
    {
        let server = Server::start(move |_, nth| match nth {
            0 => fault.clone(),
            _ => Reply::json(200, &deezer_track(7, "One Vision", "Queen", "https://x.dzcdn.net/1")),
        })
        .await;
        assert_eq!(clip_ref(&resolve(&server, ProviderKind::Deezer, &queen()).await), "deezer:track:7");
    }
}

#[tokio::test]
async fn the_embed_page_is_read_and_looked_at_again_when_it_is_empty() {
    let server = Server::start(|_, nth| {
        let data = r#"{"props":{"pageProps":{"state":{"data":{"entity":{"audioPreview":{"url":"https://p.scdn.co/mp3-preview/1"}}}}}}}"#;
        let page = format!("<html><script id=\"__NEXT_DATA__\" type=\"application/json\">{data}</script></html>");
        if nth == 0 { Reply::html(200) } else { Reply::new(200, "content-type: text/html\r\n", page.as_bytes()) }
    })
    .await;
    assert_eq!(clip_ref(&resolve(&server, ProviderKind::SpotifyEmbed, &queen()).await), "spotify:track:s1");
    assert_eq!(server.calls(), ["/embed/track/s1", "/embed/track/s1"]);
}

/// Downloads a clip at `link`, as the track's own preview link.
async fn download(options: &PreviewOptions, link: &str) -> Download {
    let previews = previews(options);
    let track = TopTrack { preview_url: Some(link.to_owned()), ..queen() };
    let Ok(Resolved::Clip(preview)) = previews.resolve(ProviderKind::Spotify, &track, &Pulse::new()).await else {
        panic!("no preview")
    };
    previews.download(&preview, &Pulse::new()).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_clip_is_told_by_its_bytes_and_not_by_its_content_type() {
    let server = Server::start(|path, _| if path.contains("page") { Reply::html(200) } else { Reply::clip(MP3) }).await;
    let options = options(&server.url, &[ProviderKind::Spotify]);
    assert!(matches!(download(&options, &format!("{}/clip", server.url)).await, Download::Clip(bytes, _) if bytes == MP3));
    assert_eq!(download(&options, &format!("{}/page", server.url)).await, Download::NotAudio);
}

#[tokio::test]
async fn links_into_other_networks_are_refused_without_a_call() {
    let server = Server::start(|_, _| Reply::clip(MP3)).await;
    let real = PreviewOptions { providers: vec![ProviderKind::Spotify], ..PreviewOptions::default() };
    for link in [
        &format!("{}/clip", server.url),
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/clip",
        "https://example.org/clip",
        "http://p.scdn.co/clip",
        "ftp://p.scdn.co/clip",
        "not a link",
    ] {
        assert!(matches!(download(&real, link).await, Download::Refused(_)), "{link}");
    }
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn redirects_are_followed_only_within_the_list_and_not_for_ever() {
    let server = Server::start(|path, _| match path {
        "/near" => Reply::redirect("/clip"),
        "/far" => Reply::redirect("https://example.org/clip"),
        "/inside" => Reply::redirect("http://169.254.169.254/latest/meta-data"),
        "/clip" => Reply::clip(MP3),
        _ => Reply::redirect("/loop"),
    })
    .await;
    let options = options(&server.url, &[ProviderKind::Spotify]);
    let at = |path: &str| format!("{}{path}", server.url);
    assert!(matches!(download(&options, &at("/near")).await, Download::Clip(..)));
    assert!(matches!(download(&options, &at("/far")).await, Download::Refused(_)));
    assert!(matches!(download(&options, &at("/inside")).await, Download::Refused(_)));
    let previews = previews(&options);
    let track = TopTrack { preview_url: Some(at("/loop")), ..queen() };
    let Ok(Resolved::Clip(preview)) = previews.resolve(ProviderKind::Spotify, &track, &Pulse::new()).await else { panic!() };
    assert!(matches!(previews.download(&preview, &Pulse::new()).await, Err(ApiError::Wait { .. })), "a loop ends");
}

#[tokio::test]
async fn large_and_vanished_clips_are_results() {
    let server = Server::start(|path, _| match path {
        "/announced" => Reply::huge(100_000_000),
        "/large" => Reply::clip(&vec![0xff; 200_000]),
        "/expired" => Reply::new(403, "", b"<Error><Code>AccessDenied</Code></Error>"),
        _ => Reply::new(404, "", b""),
    })
    .await;
    let options = options(&server.url, &[ProviderKind::Spotify]);
    for (path, expected) in [
        ("/announced", Download::TooLarge),
        ("/large", Download::TooLarge),
        ("/expired", Download::Gone),
        ("/gone", Download::Gone),
    ] {
        assert_eq!(download(&options, &format!("{}{path}", server.url)).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_cut_clip_is_downloaded_again() {
    let server = Server::start(|_, nth| if nth == 0 { Reply::cut("ID3") } else { Reply::clip(MP3) }).await;
    let options = options(&server.url, &[ProviderKind::Spotify]);
    assert!(matches!(download(&options, &format!("{}/clip", server.url)).await, Download::Clip(bytes, _) if bytes == MP3));
}
