//! The proxies between this machine and a server.

/// Proxies, as the environment variables of these names give them; empty for none. `http://` and
/// `socks5://` proxies work; hosts on this machine are always reached directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `HTTPS_PROXY`.
    pub https: String,
    /// `HTTP_PROXY`.
    pub http: String,
    /// `ALL_PROXY`.
    pub all: String,
    /// `NO_PROXY`.
    pub none: String,
}
