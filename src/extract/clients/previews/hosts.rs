//! Which hosts clips may come from: the allow list of the configuration, and nothing else.
//!
//! Links come out of other people's answers and are not trusted. [`Hosts`] applies the rules (https only, nothing off the list,
//! every hop of a redirect judged like the first, no private address behind a number or a name); here the list is made. The
//! sandbox serves its clips on loopback: allowed only when the configuration itself points there.

use url::{Host, Url};

use crate::extract::clients::http::Hosts;
use crate::extract::clients::options::PreviewOptions;

/// The allow list: as configured, plus the loopback hosts that the providers' own URLs name.
pub fn clip_hosts(options: &PreviewOptions) -> Hosts {
    let bases = [&options.deezer_url, &options.itunes_url, &options.spotify_embed_url];
    let loopback = bases.into_iter().filter_map(|base| loopback_host(base));
    let listed = options.allowed_hosts.iter().map(|host| without_port(host).to_owned());
    Hosts::listed(&listed.chain(loopback).filter(|host| !host.is_empty()).collect::<Vec<_>>())
}

/// May the link be asked at all? Credentials in a link are a trick (`https://listed.host@other.host/`), never a clip.
///
/// # Errors
/// The rule it breaks, for people.
pub fn check(hosts: &Hosts, link: &str) -> Result<Url, String> {
    let url = Url::parse(link.trim()).map_err(|error| format!("the link is no URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the link carries credentials".to_owned());
    }
    hosts.permit(&url)?;
    Ok(url)
}

fn loopback_host(base: &str) -> Option<String> {
    let url = Url::parse(base).ok()?;
    let loopback = match url.host()? {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
    };
    loopback.then(|| url.host_str().unwrap_or_default().to_owned())
}

/// An entry may name a port; hosts are what counts. A colon inside an IPv6 address is none of a port's.
fn without_port(entry: &str) -> &str {
    let entry = entry.trim();
    match entry.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && (host.ends_with(']') || !host.contains(':')) =>
        {
            host
        }
        _ => entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(options: &PreviewOptions, link: &str) -> bool {
        check(&clip_hosts(options), link).is_ok()
    }

    fn listed(entries: &[&str]) -> PreviewOptions {
        PreviewOptions { allowed_hosts: entries.iter().map(|entry| (*entry).to_owned()).collect(), ..PreviewOptions::default() }
    }

    #[test]
    fn the_real_clip_hosts_are_allowed() {
        for link in [
            "https://p.scdn.co/mp3-preview/b4c6",
            "https://cdnt-preview.dzcdn.net/api/1/1/4.mp3?hdnea=exp=1~acl=/x*~hmac=f4",
            "https://cdns-preview-1.dzcdn.net/stream/c-1.mp3",
            "https://audio-ssl.itunes.apple.com/itunes-assets/x.m4a",
            "https://is1-ssl.mzstatic.com/x",
        ] {
            assert!(allowed(&PreviewOptions::default(), link), "{link}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for link in [
            "https://example.org/x.mp3",
            "https://dzcdn.net.evil.org/x.mp3",
            "https://evil-dzcdn.net/x.mp3",
            "http://p.scdn.co/x",
            "file:///etc/passwd",
            "https://me:pw@p.scdn.co/x",
            "https://p.scdn.co@evil.org/x",
            "//p.scdn.co/x",
            "https://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:4321/clips/1.mp3",
            "http://localhost/clips/1.mp3",
            "",
        ] {
            assert!(!allowed(&PreviewOptions::default(), link), "{link}");
        }
    }

    #[test]
    fn internal_addresses_are_refused_even_when_listed() {
        let options = listed(&["10.0.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:10.0.0.1]", "0.0.0.0"]);
        for host in ["10.0.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:10.0.0.1]", "0.0.0.0", "0xa000001", "167772161"] {
            assert!(!allowed(&options, &format!("https://{host}/x")), "{host}");
        }
    }

    #[test]
    fn loopback_is_allowed_only_where_the_configuration_points_to_it() {
        let link = "http://127.0.0.1:4321/clips/1.mp3";
        let sandbox = PreviewOptions { deezer_url: "http://127.0.0.1:9000/deezer".to_owned(), ..PreviewOptions::default() };
        assert!(allowed(&sandbox, link), "the sandbox's clips may have a port of their own");
        assert!(!allowed(&sandbox, "http://127.0.0.2:9000/x"));
        assert!(allowed(&listed(&["127.0.0.1"]), link) && allowed(&listed(&["127.0.0.1:4321"]), link));
        assert!(allowed(&listed(&["[::1]:80"]), "http://[::1]/x"));
    }

    #[test]
    fn a_provider_is_no_clip_host() {
        assert!(!allowed(&PreviewOptions::default(), "https://api.deezer.com/x.mp3"));
    }

    proptest! {
        #[test]
        fn no_link_makes_it_panic(link in "\\PC{0,60}", entry in "\\PC{0,20}") {
            let options = PreviewOptions { allowed_hosts: vec![entry], deezer_url: link.clone(), ..PreviewOptions::default() };
            let _ = allowed(&options, &link);
        }
    }
}
