//! Addresses of servers, judged by their text alone: nothing is looked up.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::value::domain_fits;

/// The longest address.
const LONGEST: usize = 2_048;

/// What of an address matters to settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Whether what is sent there can be read on its way.
    pub(crate) encrypted: bool,
    /// Whether it is this machine, by its text.
    pub(crate) loopback: bool,
}

impl Address {
    /// An address of http or https with a host, perhaps a port, path and query. A name and a password in
    /// it are refused: an address is shown.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let (encrypted, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte);
        if url.len() > LONGEST || !url.bytes().all(plain) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let place = &rest[..end];
        let (loopback, port) = if let Some(inner) = place.strip_prefix('[') {
            let (host, port) = inner.split_once(']')?;
            (host.parse::<Ipv6Addr>().ok()?.is_loopback(), port)
        } else {
            let (host, port) = place.split_at(place.find(':').unwrap_or(end));
            (is_this_machine(host)?, port)
        };
        port_fits(port).then_some(Self {
            encrypted,
            loopback,
        })
    }
}

/// Whether a host is this machine; none where it is no host.
fn is_this_machine(host: &str) -> Option<bool> {
    let numbers = host.bytes().all(|byte| b"0123456789.".contains(&byte));
    if numbers {
        return Some(host.parse::<Ipv4Addr>().ok()?.is_loopback());
    }
    domain_fits(host).then(|| host.eq_ignore_ascii_case("localhost"))
}

/// Nothing, or a colon and a number.
fn port_fits(port: &str) -> bool {
    port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && digits.parse::<u16>().is_ok_and(|port| port > 0)
        })
}

/// An address as it is shown: a query may hold a key.
pub(crate) fn shown(url: &str) -> String {
    match url.split_once('?') {
        Some((before, _)) => format!("{before}?…"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_or_refused() {
        for (url, expected) in [
            ("https://example.org/mcp", Some((true, false))),
            ("https://example.org", Some((true, false))),
            ("https://example.org:8443?key=a:b@c", Some((true, false))),
            ("http://example.org/", Some((false, false))),
            ("http://10.0.0.7:80/mcp", Some((false, false))),
            ("http://127.0.0.1:8080/mcp", Some((false, true))),
            ("http://127.9.9.9", Some((false, true))),
            ("http://LocalHost:1", Some((false, true))),
            ("http://[::1]:8080/mcp", Some((false, true))),
            ("http://[fe80::1]/mcp", Some((false, false))),
            ("http://localhost.example.org", Some((false, false))),
            ("http://127.0.0.1.example.org", Some((false, false))),
            ("ftp://example.org", None),
            ("example.org/mcp", None),
            ("HTTPS:example.org", None),
            ("https://", None),
            ("https:///mcp", None),
            ("https://:80/", None),
            ("https://example.org:", None),
            ("https://example.org:0", None),
            ("https://example.org:+1", None),
            ("https://example.org:65536", None),
            ("https://me:secret@example.org/mcp", None),
            ("https://example.org\\@evil.example/", None),
            ("https://example.org/a b", None),
            ("https://example.org/\r\nHost: a", None),
            ("https://example.org/#part", None),
            ("https://exämple.org", None),
            ("https://example..org", None),
            ("http://127.0.0.256", None),
            ("http://127.1", None),
            ("http://[::1", None),
            ("http://[::1]x", None),
            ("http://[127.0.0.1]", None),
            ("http://::1/", None),
            ("", None),
        ] {
            let read = Address::of(url).map(|address| (address.encrypted, address.loopback));
            assert_eq!(read, expected, "{url:?}");
        }
        let long = |count| format!("https://a/{}", "x".repeat(count));
        assert!(Address::of(&long(LONGEST - 10)).is_some());
        assert!(Address::of(&long(LONGEST - 9)).is_none());
    }

    #[test]
    fn a_query_is_not_shown() {
        assert_eq!(shown("https://a/mcp?key=secret"), "https://a/mcp?…");
        assert_eq!(shown("https://a/mcp"), "https://a/mcp");
    }
}
