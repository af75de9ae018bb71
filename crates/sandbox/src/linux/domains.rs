//! Which hosts the proxy lets commands reach.

use std::net::IpAddr;

/// What a policy's domains say of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Named literally: wherever it leads.
    Named,
    /// Covered by a pattern: anywhere but into private networks.
    Covered,
    /// Not allowed.
    Refused,
}

/// Judges a host (a name or an address, without port) by patterns: `example.org`,
/// `*.example.org` (any name below it, not itself) or `*`.
pub(crate) fn judge(host: &str, patterns: &[String]) -> Verdict {
    let host = plain(host);
    let mut verdict = Verdict::Refused;
    for pattern in patterns {
        let pattern = plain(pattern);
        if host == pattern {
            return Verdict::Named;
        }
        let below = pattern.strip_prefix("*.").is_some_and(|parent| {
            host.strip_suffix(parent)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        });
        if below || pattern == "*" {
            verdict = Verdict::Covered;
        }
    }
    verdict
}

fn plain(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether an address is reachable by the whole world: not this machine, not its networks.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [first, second, ..] = four.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let benchmark = first == 198 && (second == 18 || second == 19);
            !(four.is_loopback()
                || four.is_private()
                || four.is_link_local()
                || four.is_unspecified()
                || four.is_broadcast()
                || four.is_multicast()
                || shared
                || benchmark
                || first == 0
                || first >= 240)
        }
        IpAddr::V6(six) => {
            if let Some(four) = six.to_ipv4() {
                return is_public(four.into());
            }
            let [first, second, ..] = six.segments();
            // 64:ff9b::/96 and 2002::/16 carry IPv4 addresses of any kind.
            let carries_four = (first == 0x64 && second == 0xff9b) || first == 0x2002;
            !(six.is_loopback()
                || six.is_unspecified()
                || six.is_multicast()
                || six.is_unique_local()
                || six.is_unicast_link_local()
                || carries_four)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_judged_by_whole_labels() {
        let patterns = ["example.org".to_owned(), "*.rust-lang.org".to_owned()];
        for (host, wanted) in [
            ("example.org", Verdict::Named),
            ("EXAMPLE.org.", Verdict::Named),
            ("www.example.org", Verdict::Refused),
            ("badexample.org", Verdict::Refused),
            ("static.rust-lang.org", Verdict::Covered),
            ("a.b.rust-lang.org", Verdict::Covered),
            ("rust-lang.org", Verdict::Refused),
            ("evilrust-lang.org", Verdict::Refused),
            (".rust-lang.org", Verdict::Refused),
        ] {
            assert_eq!(judge(host, &patterns), wanted, "{host}");
        }
        assert_eq!(judge("any.where", &["*".to_owned()]), Verdict::Covered);
        assert_eq!(judge("[::1]", &["::1".to_owned()]), Verdict::Named);
    }

    #[test]
    fn private_addresses_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "255.255.255.255",
            "224.0.0.1",
        ] {
            assert!(
                !is_public(private.parse().expect("an address")),
                "{private}"
            );
        }
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }
}
