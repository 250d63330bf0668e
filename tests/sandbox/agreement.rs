//! The sandbox and the pipeline agree about everything in the catalogue: what the truth says is there is found by the pipeline's
//! own questions and accepted by its own judgement, and nothing else is. Runs over a few hundred tracks would meet the odd ones
//! only now and then; here every name of the usual catalogue is asked for.

use std::sync::LazyLock;

use reprise::extract::clients::lastfm::answer;
use reprise::extract::clients::lastfm::ask::{Method, url};
use reprise::extract::clients::lastfm::judge::is_placeholder_name;
use reprise::extract::clients::previews::candidate::{Candidate, Choice, choose, search_terms};
use reprise::extract::clients::previews::{deezer, itunes};
use reprise::extract::clients::spotify::parse::parse_track;
use reprise::extract::listeners::{artist_figures, track_figures};
use reprise::matching::Matcher;
use reprise::records::{FigureOutcome, TopTrack};
use reprise::sandbox::catalogue::{ArtistPage, Shelf, Track, TrackPage};
use reprise::sandbox::engine::Engine;
use reprise::sandbox::wire::Request;
use reprise::sandbox::{LASTFM_API_KEY, Regime, SandboxOptions};
use url::Url;

use super::{ask, engine, spotify_request, token};

/// The usual catalogue, as an app sees it that is shown everything.
static USUAL: LazyLock<Engine> =
    LazyLock::new(|| engine(&SandboxOptions { regime: Regime::Extended, ..SandboxOptions::default() }));

/// The body that an address of a client is answered with.
fn fetch(address: &Url) -> Vec<u8> {
    let target = &address.as_str()["http://127.0.0.1:1".len()..];
    ask(&USUAL, &Request::get(target)).body.bytes().to_vec()
}

fn base(path: &str) -> Url {
    Url::parse(&format!("http://127.0.0.1:1{path}")).expect("an address")
}

/// The track as the extractor gets it; `None` for those that Spotify hides from this market.
fn as_searched(token: &str, track: &Track) -> Option<TopTrack> {
    let mut found =
        parse_track(&ask(&USUAL, &spotify_request(token, &format!("/tracks/{}?market=US", track.id))).value())?.record;
    found.id.clone_from(&track.id);
    Some(found)
}

/// The recording whose clip Deezer, then iTunes gives, as the extractor goes about it.
fn recording_of_clip(track: &TopTrack) -> Option<(&'static str, usize)> {
    let (matcher, catalogue) = (Matcher::default(), &USUAL.world().catalogue);
    let by_isrc = track.isrc.as_ref().and_then(|isrc| {
        let found = deezer::track(200, None, &fetch(&deezer::isrc_url(&base("/deezer"), isrc))).ok()?;
        found.link.is_some().then_some(found.id)
    });
    let chosen = |candidates: Vec<Candidate>| match choose(&matcher, track, candidates) {
        Choice::Found(found, _) => Some(found.id),
        Choice::Unlike(_) | Choice::NoClip => None,
    };
    let terms = search_terms(track);
    let on_deezer = by_isrc.or_else(|| {
        chosen(deezer::search(200, None, &fetch(&deezer::search_url(&base("/deezer"), &terms))).unwrap_or_default())
    });
    let (shop, index) = match on_deezer {
        Some(id) => ("deezer", catalogue.track_by_deezer(u64::try_from(id).ok()?)?),
        None => {
            let address = itunes::search_url(&base("/itunes"), &terms, "US");
            let id = chosen(itunes::search(200, None, &fetch(&address)).unwrap_or_default())?;
            ("itunes", catalogue.track_by_itunes(u64::try_from(id).ok()?)?)
        }
    };
    Some((shop, catalogue.tracks[index].recording))
}

fn described(recording: usize, title: &str) -> String {
    let catalogue = &USUAL.world().catalogue;
    let known = &catalogue.recordings[recording];
    format!("{title:?} by {:?}, {} ms", catalogue.primary(known).name, known.duration_ms)
}

fn clip(of: Option<(&str, usize)>) -> String {
    let known = |recording: usize| described(recording, &USUAL.world().catalogue.recordings[recording].title);
    of.map_or_else(|| "none".to_owned(), |(shop, recording)| format!("{shop}'s {}", known(recording)))
}

#[test]
fn every_clip_of_the_catalogue_is_found_and_no_other_is_taken_for_it() {
    let (catalogue, token) = (&USUAL.world().catalogue, token(&USUAL));
    let mut differences = Vec::new();
    for track in &catalogue.tracks {
        let Some(searched) = as_searched(&token, track) else { continue };
        let recording = catalogue.recording(track);
        let told = match (recording.deezer, recording.itunes) {
            (Shelf::Listed | Shelf::SearchOnly, _) => Some(("deezer", track.recording)),
            (_, Shelf::Listed) => Some(("itunes", track.recording)),
            _ => None,
        };
        let found = recording_of_clip(&searched);
        if found != told {
            differences.push(format!(
                "{}: found {}, truth {}",
                described(track.recording, &track.title),
                clip(found),
                clip(told)
            ));
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), catalogue.tracks.len(), differences.join("\n"));
}

fn lastfm(method: Method, artist: &str, track: Option<&str>) -> Vec<u8> {
    let mut address = url(&base("/lastfm/2.0/"), method, artist, track);
    address.query_pairs_mut().append_pair("api_key", LASTFM_API_KEY);
    fetch(&address)
}

fn is_found<T>(outcome: &FigureOutcome<T>) -> bool {
    matches!(outcome, FigureOutcome::Found(_))
}

#[test]
fn every_artist_with_a_page_is_found_and_nobody_elses_page_is_taken() {
    let catalogue = &USUAL.world().catalogue;
    let mut differences = Vec::new();
    for artist in &catalogue.artists {
        let read = answer::artist(&lastfm(Method::ArtistInfo, &artist.name, None));
        let page = if let answer::Reading::Found(page) = read { Some(page) } else { None };
        let named = page.as_ref().map(|page| page.name.clone());
        let found = !is_placeholder_name(&artist.name) && is_found(&artist_figures(&Matcher::default(), &artist.name, page).0);
        if found != (artist.page == ArtistPage::Found) {
            differences.push(format!("{:?}: found {found} under {named:?}, truth {:?}", artist.name, artist.page));
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), catalogue.artists.len(), differences.join("\n"));
}

#[test]
fn every_track_with_a_page_is_found_and_no_other_title_is_taken() {
    let catalogue = &USUAL.world().catalogue;
    let mut differences = Vec::new();
    for track in &catalogue.tracks {
        let recording = catalogue.recording(track);
        let artist = &catalogue.primary(recording).name;
        let read = answer::track(&lastfm(Method::TrackInfo, artist, Some(&track.title)));
        let page = if let answer::Reading::Found(page) = read { Some(page) } else { None };
        let named = page.as_ref().map(|page| page.name.clone());
        let found = !is_placeholder_name(artist) && is_found(&track_figures(&Matcher::default(), artist, &track.title, page).0);
        if found != matches!(recording.page, TrackPage::Found | TrackPage::Unheard) {
            differences.push(format!("{:?}: found {found} under {named:?}, truth {:?}", track.title, recording.page));
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), catalogue.tracks.len(), differences.join("\n"));
}
