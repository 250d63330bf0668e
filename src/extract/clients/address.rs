//! Addresses below a configured one.

use anyhow::Context as _;
use url::Url;

/// `base` with path segments appended, whether or not it ends with a slash.
pub fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// The configured address under `key`.
///
/// # Errors
/// When it is no http or https URL: names the key and what was found.
pub fn configured(key: &str, text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).with_context(|| format!("{key} is {text:?}, expected a URL such as https://example.org/api"))?;
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    anyhow::ensure!(web, "{key} is {text:?}, expected a URL that starts with https:// or http://");
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_appended_and_encoded() {
        for base in ["https://example.org/a", "https://example.org/a/"] {
            let url = configured("key", base).map(|base| below(&base, &["b", "c/d", "e:f"]));
            assert_eq!(url.map(|url| url.to_string()).ok().as_deref(), Some("https://example.org/a/b/c%2Fd/e:f"));
        }
    }

    #[test]
    fn a_wrong_address_is_refused_with_its_key() {
        for text in ["", "example.org", "ftp://example.org", "file:///etc/passwd"] {
            let error = configured("lastfm.api_url", text).map_err(|error| format!("{error:#}"));
            assert!(error.is_err_and(|error| error.contains("lastfm.api_url")), "{text}");
        }
    }
}
