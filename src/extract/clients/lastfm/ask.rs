//! How Last.fm is asked.

use url::Url;

/// The methods used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Figures of an artist.
    ArtistInfo,
    /// Figures of a track.
    TrackInfo,
}

impl Method {
    /// As the API and the metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Method::ArtistInfo => "artist.getInfo",
            Method::TrackInfo => "track.getInfo",
        }
    }

    /// The service decodes `artist` and `track` of some methods twice: "Florence + The Machine" would be looked up with
    /// blanks in place of the plus sign. `track.getInfo` is not among them.
    const fn decodes_twice(self) -> bool {
        matches!(self, Method::ArtistInfo)
    }
}

/// The address of a call, without the key: what may be logged.
pub fn url(base: &Url, method: Method, artist: &str, track: Option<&str>) -> Url {
    let mut url = base.clone();
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("method", method.name()).append_pair("artist", &argument(method, artist));
        if let Some(track) = track {
            query.append_pair("track", &argument(method, track));
        }
        query.append_pair("autocorrect", "1").append_pair("format", "json");
    }
    url
}

/// A name as it has to go through one percent-decoding to come out right.
fn argument(method: Method, name: &str) -> String {
    if method.decodes_twice() { name.replace('%', "%25").replace('+', "%2B") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::form_urlencoded;

    fn value(url: &Url, key: &str) -> String {
        url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    fn base() -> Url {
        Url::parse("https://ws.audioscrobbler.com/2.0/").unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_plus_sign_reaches_an_artist_lookup_encoded_twice() {
        let url = url(&base(), Method::ArtistInfo, "Florence + The Machine", None);
        assert!(url.as_str().contains("artist=Florence+%252B+The+Machine"), "{url}");
    }

    #[test]
    fn a_plus_sign_reaches_a_track_lookup_encoded_once() {
        let url = url(&base(), Method::TrackInfo, "Florence + The Machine", Some("1+1"));
        assert!(url.as_str().contains("artist=Florence+%2B+The+Machine") && url.as_str().contains("track=1%2B1"), "{url}");
    }

    proptest! {
        #[test]
        fn any_name_survives_double_decoding(name in "\\PC{1,24}") {
            let once = value(&url(&base(), Method::ArtistInfo, &name, None), "artist");
            // What the service does: decode what is already decoded, as a form value.
            let escaped = once.replace('&', "%26");
            let twice: String = form_urlencoded::parse(format!("a={escaped}").as_bytes())
                .map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(twice, name);
        }
    }
}
