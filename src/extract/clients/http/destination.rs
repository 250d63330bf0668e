//! Where a request may lead.
//!
//! Base addresses come from the operator and may be anything. Addresses inside answers (previews, redirects) come from
//! strangers: they must be on an allow list, https (plain http for loopback, which the sandbox uses), and must not lead into
//! the private network, neither as an address nor through a name that resolves to one.

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

/// Where a request, and any redirect, may lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// The configured address itself, any scheme and network; redirects are refused.
    Configured,
    /// Hosts on this list: `p.scdn.co`, or `*.dzcdn.net` for every host below. Redirects are followed within it.
    Listed(Arc<[String]>),
}

impl Hosts {
    /// An allow list.
    pub fn listed(hosts: &[String]) -> Hosts {
        Hosts::Listed(hosts.iter().map(|host| host.trim().to_ascii_lowercase()).collect())
    }

    /// May this address be asked? The refusal says which rule it breaks.
    ///
    /// # Errors
    /// The rule.
    pub fn permit(&self, url: &Url) -> Result<(), String> {
        let Hosts::Listed(list) = self else { return Ok(()) };
        let host = url.host().ok_or_else(|| "the address has no host".to_owned())?;
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        if !list.iter().any(|allowed| matches(allowed, &name)) {
            return Err(format!("host {name} is not on the allow list"));
        }
        let loopback = is_loopback(&host);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            scheme => return Err(format!("{scheme} to {name}: only https is allowed")),
        }
        match host {
            Host::Ipv4(ip) if !loopback && is_private(IpAddr::V4(ip)) => Err(format!("{ip} is a private address")),
            Host::Ipv6(ip) if !loopback && is_private(IpAddr::V6(ip)) => Err(format!("{ip} is a private address")),
            _ => Ok(()),
        }
    }
}

fn matches(allowed: &str, name: &str) -> bool {
    match allowed.strip_prefix("*.") {
        Some(parent) => name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => allowed.trim_matches(['[', ']']) == name,
    }
}

/// This machine, named so that nothing else can be meant.
pub(super) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
        Host::Domain(name) => name.as_ref().eq_ignore_ascii_case("localhost"),
    }
}

/// Everything that is not a public unicast address: what a name on the allow list must not resolve to.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, third, _] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || first == 0
                || first >= 240
                || (first == 100 && (64..128).contains(&second))
                || (first == 192 && second == 0 && third == 0)
                || (first == 198 && (18..20).contains(&second))
        }
        IpAddr::V6(ip) => {
            let embedded = ip.to_ipv4_mapped().or_else(|| nat64(ip.segments()));
            let first = ip.segments().first().copied().unwrap_or(0);
            embedded.is_some_and(|ip| is_private(IpAddr::V4(ip)))
                || ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
        }
    }
}

/// The IPv4 address inside `64:ff9b::/96`.
fn nat64(segments: [u16; 8]) -> Option<std::net::Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments else { return None };
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Some(std::net::Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit(list: &[&str], url: &str) -> Result<(), String> {
        let list: Vec<String> = list.iter().map(|host| (*host).to_owned()).collect();
        Hosts::listed(&list).permit(&Url::parse(url).map_err(|error| error.to_string())?)
    }

    #[test]
    fn only_listed_hosts_are_asked_and_only_over_https() {
        let list = ["p.scdn.co", "*.dzcdn.net"];
        assert_eq!(permit(&list, "https://p.scdn.co/mp3-preview/1"), Ok(()));
        assert_eq!(permit(&list, "https://cdnt-preview.dzcdn.net/x?hdnea=1"), Ok(()));
        for refused in [
            "http://p.scdn.co/1",
            "https://evil.example/p.scdn.co",
            "https://evildzcdn.net/1",
            "https://dzcdn.net/1",
            "https://p.scdn.co.evil.example/1",
            "https://p.scdn.co@evil.example/1",
            "file:///etc/passwd",
            "ftp://p.scdn.co/1",
        ] {
            assert!(permit(&list, refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn loopback_may_be_plain_http_when_it_is_listed() {
        assert_eq!(permit(&["127.0.0.1"], "http://127.0.0.1:4000/clip"), Ok(()));
        assert_eq!(permit(&["::1"], "http://[::1]:4000/clip"), Ok(()));
        assert_eq!(permit(&["localhost"], "http://localhost:4000/clip"), Ok(()));
        assert!(permit(&["p.scdn.co"], "http://127.0.0.1:4000/clip").is_err());
    }

    #[test]
    fn private_addresses_are_refused_even_when_listed() {
        for ip in ["10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"] {
            assert!(permit(&[ip], &format!("https://{ip}/")).is_err(), "{ip}");
        }
        assert!(permit(&["fd00::1"], "https://[fd00::1]/").is_err());
        assert!(permit(&["::ffff:10.0.0.1"], "https://[::ffff:10.0.0.1]/").is_err());
        assert!(is_private("64:ff9b::10.0.0.1".parse().unwrap()));
        assert!(!is_private("8.8.8.8".parse().unwrap()) && !is_private("2600::1".parse().unwrap()));
    }
}
