use reprise::sandbox::catalogue::{Artist, ArtistPage, TrackPage};
use reprise::sandbox::wire::{Request, encode};
use serde_json::{Value, json};

use super::{SMALL, ask, lastfm};

fn artists(page: ArtistPage) -> impl Iterator<Item = &'static Artist> {
    SMALL.world().catalogue.artists.iter().filter(move |artist| artist.page == page)
}

/// As a careful client sends a name: the plus survives a second decoding.
fn careful(name: &str) -> String {
    encode(&name.replace('+', "%2B"))
}

fn artist_info(name: &str) -> reprise::sandbox::wire::Reply {
    lastfm(&SMALL, "artist.getInfo", &format!("artist={}", careful(name)))
}

#[test]
fn figures_are_strings_and_lists_collapse() {
    let (mut none, mut one, mut more) = (0, 0, 0);
    for artist in artists(ArtistPage::Found) {
        let body = artist_info(&artist.name).value();
        assert_eq!(body["artist"]["stats"]["listeners"], json!(artist.listeners.to_string()), "{}", artist.name);
        match &body["artist"]["tags"] {
            Value::String(empty) if empty.is_empty() => none += 1,
            tags if tags["tag"].is_object() => one += 1,
            tags if tags["tag"].is_array() => more += 1,
            other => panic!("{other}"),
        }
    }
    assert!(none > 5 && one > 5 && more > 5, "{none} {one} {more}");
}

#[test]
fn a_plus_that_is_encoded_once_leads_to_the_wrong_page_or_nowhere() {
    let artist = artists(ArtistPage::Found).find(|artist| artist.name.contains(" + ")).expect("a name with a plus");
    assert_eq!(artist_info(&artist.name).value()["artist"]["stats"]["listeners"], json!(artist.listeners.to_string()));
    let naive = lastfm(&SMALL, "artist.getInfo", &format!("artist={}", encode(&artist.name))).value();
    let summary = naive["artist"]["bio"]["summary"].as_str().unwrap_or_default();
    assert!(summary.contains("incorrect tag"), "{naive}");
}

#[test]
fn nobody_placeholders_and_other_people_are_what_they_are() {
    let missing = artists(ArtistPage::Missing).next().map(|artist| artist_info(&artist.name)).expect("a missing artist");
    assert_eq!((missing.status, &missing.value()["error"]), (404, &json!(6)));
    let unknown = artists(ArtistPage::Unknown).next().map(|artist| artist_info(&artist.name).value()).expect("an unknown one");
    assert_eq!(unknown["artist"]["name"], json!("[unknown]"));
    let other =
        artists(ArtistPage::Other).next().map(|artist| (artist, artist_info(&artist.name).value())).expect("another one");
    assert_ne!(other.1["artist"]["name"], json!(other.0.name));
}

#[test]
fn autocorrection_changes_accents_and_case_only_and_can_be_off() {
    let artist = artists(ArtistPage::Found).find(|artist| artist.lastfm_name != artist.name).expect("a corrected name");
    assert_eq!(artist_info(&artist.name).value()["artist"]["name"], json!(artist.lastfm_name));
    let target = format!("/lastfm/2.0/?method=artist.getInfo&format=json&artist={}&api_key=", careful(&artist.name));
    let off = ask(&SMALL, &Request::get(&format!("{target}{}", reprise::sandbox::LASTFM_API_KEY))).value();
    assert!(off["artist"]["url"].as_str().is_some_and(|url| url.contains("+noredirect")), "{off}");
    let refused = ask(&SMALL, &Request::get(&format!("{target}wrong")));
    assert_eq!((refused.status, &refused.value()["error"]), (403, &json!(10)));
}

#[test]
fn tracks_have_figures_ghosts_have_two_listeners_and_the_rest_is_not_found() {
    let catalogue = &SMALL.world().catalogue;
    let mut statuses = std::collections::BTreeSet::new();
    for recording in &catalogue.recordings {
        let target = format!("artist={}&track={}", encode(&catalogue.primary(recording).name), encode(&recording.title));
        let reply = lastfm(&SMALL, "track.getInfo", &target);
        let body = reply.value();
        match recording.page {
            TrackPage::Found | TrackPage::Unheard => {
                assert_eq!(body["track"]["playcount"], json!(recording.playcount.to_string()), "{target}");
                assert_eq!(body["track"].get("mbid").and_then(Value::as_str), recording.mbid.as_deref());
            }
            TrackPage::Ghost => assert_eq!((&body["track"]["listeners"], body["track"].get("mbid")), (&json!("2"), None)),
            TrackPage::Missing => {
                statuses.insert(reply.status);
                assert_eq!(body["error"], json!(6), "{target}");
            }
            TrackPage::Other => assert_ne!(body["track"]["name"], json!(recording.title)),
        }
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 404], "not found comes with either status");
}
