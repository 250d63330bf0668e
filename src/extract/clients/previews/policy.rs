//! Which addresses clips may be downloaded from.
//!
//! **Guarantee.** Links come out of other people's answers, so they are not trusted: only hosts on the allow list, only
//! https, no credentials in the link, every hop of a redirect judged like the first, and no address inside our own network:
//! neither written as a number nor behind a name. Plain http and loopback are for the sandbox, and only where the
//! configuration itself points to it.
//!
//! Pure; [`super::resolver`] applies [`Policy::allows_address`] to what names resolve to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use url::{Host, Url};

/// Why a link is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not a link at all.
    #[error("the link is no absolute URL")]
    NoUrl,
    /// Neither https nor loopback http.
    #[error("the scheme is {0}, only https is allowed")]
    Scheme(String),
    /// It carries a user name or password.
    #[error("the link carries credentials")]
    Credentials,
    /// Not on the list.
    #[error("host {0} is not on previews.allowed_hosts")]
    Host(String),
    /// A private, link-local, metadata or otherwise internal address.
    #[error("address {0} is not public")]
    Address(IpAddr),
}

/// One entry of the allow list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Lower case, without a trailing dot; brackets of IPv6 kept.
    host: String,
    /// All names below `host` rather than `host` itself.
    below: bool,
    /// Only this port.
    port: Option<u16>,
}

/// The allow list, ready to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    entries: Vec<Entry>,
}

impl Policy {
    /// A policy that allows `hosts`, and the loopback hosts that `bases` (the providers' own configured URLs) point to: the
    /// sandbox serves its clips on loopback, on whatever port.
    pub fn new<'a>(hosts: &[String], bases: impl IntoIterator<Item = &'a str>) -> Policy {
        let mut entries: Vec<Entry> = hosts.iter().filter_map(|host| Entry::read(host)).collect();
        for base in bases {
            let Some(url) = Url::parse(base).ok().filter(is_loopback) else { continue };
            if let Some(host) = url.host_str() {
                entries.push(Entry { host: canonical(host), below: false, port: None });
            }
        }
        Policy { entries }
    }

    /// The link, if clips may come from there.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, link: &str) -> Result<Url, Refusal> {
        self.check_url(Url::parse(link.trim()).map_err(|_| Refusal::NoUrl)?)
    }

    /// [`Policy::check`] for a link already parsed.
    ///
    /// # Errors
    /// Why not.
    pub fn check_url(&self, url: Url) -> Result<Url, Refusal> {
        let loopback = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            other => return Err(Refusal::Scheme(other.to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let host = url.host_str().map(canonical).ok_or(Refusal::NoUrl)?;
        if !self.lists(&host, url.port_or_known_default()) {
            return Err(Refusal::Host(host));
        }
        match address(&url) {
            Some(address) if !loopback && !is_public(address) => Err(Refusal::Address(address)),
            _ => Ok(url),
        }
    }

    /// May `host` be connected to at `address`, which its name resolved to? Loopback only for hosts that are loopback by
    /// name: a public name that points into our network is an attack or a mistake.
    pub fn allows_address(&self, host: &str, address: IpAddr) -> bool {
        if address.is_loopback() { is_loopback_name(&canonical(host)) } else { is_public(address) }
    }

    fn lists(&self, host: &str, port: Option<u16>) -> bool {
        self.entries.iter().any(|entry| {
            let named = if entry.below {
                host.strip_suffix(entry.host.as_str()).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
            } else {
                host == entry.host
            };
            named && entry.port.is_none_or(|wanted| port == Some(wanted))
        })
    }
}

impl Entry {
    /// `HOST`, `*.DOMAIN`, either with `:PORT`.
    fn read(text: &str) -> Option<Entry> {
        let text = text.trim();
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        // A colon inside brackets belongs to an IPv6 address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse::<u16>().ok()?)),
            _ => (rest, None),
        };
        let host = canonical(host);
        (!host.is_empty()).then_some(Entry { host, below, port })
    }
}

fn canonical(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    }
}

/// The link names this very machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => is_loopback_name(&canonical(name)),
        None => false,
    }
}

fn is_loopback_name(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// An address of the public internet: not private, link-local (cloud metadata), shared, reserved, multicast or unspecified.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => embedded_v4(address).map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let internal = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0);
    let benchmark = a == 198 && (b == 18 || b == 19);
    !(internal || shared || protocol || benchmark || a == 0 || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Only 2000::/3 is given out for public use; documentation and Teredo lie within it.
    (first & 0xe000) == 0x2000 && (first, second) != (0x2001, 0x0db8) && (first, second) != (0x2001, 0)
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    let join = |high: u16, low: u16| {
        let ([p, q], [r, s]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(p, q, r, s)
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(join(g, h)),
        (0x2002, ..) => Some(join(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::options::PreviewOptions;
    use super::*;
    use proptest::prelude::*;

    fn real() -> Policy {
        let options = PreviewOptions::default();
        Policy::new(&options.allowed_hosts, [options.deezer_url.as_str(), options.itunes_url.as_str()])
    }

    #[test]
    fn the_real_clip_hosts_are_allowed() {
        for link in [
            "https://p.scdn.co/mp3-preview/b4c6",
            "https://cdnt-preview.dzcdn.net/api/1/1/4.mp3?hdnea=exp=1~acl=/x*~hmac=f4",
            "https://cdns-preview-1.dzcdn.net/stream/c-1.mp3",
            "https://audio-ssl.itunes.apple.com/itunes-assets/x.m4a",
            "https://AUDIO-SSL.itunes.apple.com./x.m4a",
            "https://is1-ssl.mzstatic.com/x",
        ] {
            assert!(real().check(link).is_ok(), "{link}");
        }
    }

    #[test]
    fn hosts_off_the_list_are_refused_also_when_they_look_alike() {
        for host in ["example.org", "dzcdn.net", "evil-dzcdn.net", "dzcdn.net.evil.org", "p.scdn.co.evil.org", "xp.scdn.co"] {
            let found = real().check(&format!("https://{host}/x.mp3"));
            assert_eq!(found, Err(Refusal::Host(host.to_owned())));
        }
        assert_eq!(real().check("https://.dzcdn.net/x"), Err(Refusal::Host(".dzcdn.net".to_owned())));
    }

    #[test]
    fn only_https_without_credentials_is_allowed() {
        assert_eq!(real().check("http://p.scdn.co/x"), Err(Refusal::Scheme("http".to_owned())));
        assert_eq!(real().check("file:///etc/passwd"), Err(Refusal::Scheme("file".to_owned())));
        assert_eq!(real().check("https://me:pw@p.scdn.co/x"), Err(Refusal::Credentials));
        assert_eq!(real().check("https://p.scdn.co@evil.org/x"), Err(Refusal::Credentials));
        assert_eq!(real().check("//p.scdn.co/x"), Err(Refusal::NoUrl));
        assert_eq!(real().check(""), Err(Refusal::NoUrl));
    }

    #[test]
    fn internal_addresses_are_refused_even_when_listed() {
        let listed: Vec<String> = ["10.0.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:10.0.0.1]", "0.0.0.0", "*.internal"]
            .map(str::to_owned)
            .to_vec();
        let policy = Policy::new(&listed, []);
        for host in ["10.0.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:10.0.0.1]", "0.0.0.0", "0xa000001", "167772161"] {
            let found = policy.check(&format!("https://{host}/x"));
            assert!(matches!(found, Err(Refusal::Address(_))), "{host}: {found:?}");
        }
    }

    #[test]
    fn loopback_is_allowed_only_where_the_configuration_points_to_it() {
        let link = "http://127.0.0.1:4321/clips/1.mp3";
        assert!(real().check(link).is_err());
        assert!(Policy::new(&[], ["http://127.0.0.1:9000/deezer"]).check(link).is_ok(), "the sandbox's clips may have a port of their own");
        assert!(Policy::new(&["127.0.0.1".to_owned()], []).check(link).is_ok());
        assert!(Policy::new(&["127.0.0.1:4321".to_owned()], []).check(link).is_ok());
        assert!(Policy::new(&["127.0.0.1:4322".to_owned()], []).check(link).is_err());
        assert!(Policy::new(&[], ["http://127.0.0.1:9000"]).check("http://127.0.0.2/x").is_err());
        assert!(Policy::new(&["[::1]:80".to_owned()], []).check("http://[::1]/x").is_ok());
        assert!(Policy::new(&[], ["https://api.example.org"]).check("https://api.example.org/x").is_err(), "a base is no CDN");
    }

    #[test]
    fn a_name_may_not_resolve_into_our_network() {
        let policy = real();
        let allowed = |host: &str, address: &str| address.parse().is_ok_and(|address| policy.allows_address(host, address));
        assert!(allowed("p.scdn.co", "151.101.1.1") && allowed("p.scdn.co", "2a04:4e42::1"));
        for address in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1", "fc00::1"]
        {
            assert!(!allowed("p.scdn.co", address), "{address}");
        }
        assert!(allowed("localhost", "127.0.0.1") && allowed("localhost", "::1"));
    }

    #[test]
    fn addresses_in_disguise_are_seen_through() {
        for address in ["::ffff:192.168.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::7f00:1", "2001:db8::1", "ff02::1", "::"] {
            assert_eq!(address.parse().map(is_public), Ok(false), "{address}");
        }
        assert_eq!("64:ff9b::808:808".parse().map(is_public), Ok(true));
    }

    proptest! {
        #[test]
        fn no_link_makes_the_policy_panic(link in "\\PC{0,60}", entry in "\\PC{0,20}") {
            let _ = Policy::new(&[entry], [link.as_str()]).check(&link);
        }

        #[test]
        fn no_private_address_passes(b in any::<u8>(), c in any::<u8>(), d in any::<u8>()) {
            prop_assert!(!is_public(IpAddr::V4(Ipv4Addr::new(10, b, c, d))));
            prop_assert!(!is_public(IpAddr::V4(Ipv4Addr::new(192, 168, c, d))));
        }
    }
}
