//! Servers that are reached by HTTP: where they are, and the headers that they get. Pure.

use std::fmt;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Uri, header};
use quire_protocol::visible;

use crate::secrets::Secrets;

/// Headers that say how a message travels, which are not for a description to give.
const OF_THE_WAY: [HeaderName; 4] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
];

/// A server that is reached by HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Where: `https://host/path`, or `http`.
    pub url: String,
    /// Headers that are sent with each request: name and value. A token is one: `Authorization`.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for Address {
    /// Without the values of headers and what stands behind `?`: they may be secrets.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = quire_net::address(&self.url).map(|uri| shown(&uri));
        let names: Vec<&str> = self.headers.iter().map(|it| it.0.as_str()).collect();
        to.debug_struct("Address")
            .field("url", &url.unwrap_or_else(|_| "(no URL)".to_owned()))
            .field("headers", &names)
            .finish()
    }
}

impl Address {
    /// The host, and the port where the URL has one.
    pub(crate) fn host(&self) -> String {
        match quire_net::address(&self.url) {
            Ok(uri) => visible(&place(&uri)),
            Err(_) => "a place that is no URL".to_owned(),
        }
    }

    /// What requests are made of, unless something of it cannot be sent.
    pub(crate) fn target(&self) -> Result<Target, String> {
        let uri = quire_net::address(&self.url)
            .map_err(|_| "what its `url` says is no URL to send requests to".to_owned())?;
        let mut headers = HeaderMap::new();
        let mut secrets: Vec<String> = uri.query().map(str::to_owned).into_iter().collect();
        for (name, value) in &self.headers {
            let shown = visible(name);
            let name: HeaderName = name
                .parse()
                .map_err(|_| format!("`{shown}` is no name of a header"))?;
            let mut header = HeaderValue::from_str(value)
                .map_err(|_| format!("the value of the header `{shown}` cannot be sent"))?;
            header.set_sensitive(true);
            secrets.extend(value.rsplit(' ').next().map(str::to_owned));
            secrets.push(value.clone());
            if !OF_THE_WAY.contains(&name) {
                headers.insert(name, header);
            }
        }
        Ok(Target {
            uri,
            headers,
            secrets: Secrets::new(secrets),
        })
    }
}

/// Where requests go.
pub(crate) struct Target {
    pub(crate) uri: Uri,
    /// Those of the description.
    pub(crate) headers: HeaderMap,
    /// What is never told.
    secrets: Secrets,
}

impl Target {
    /// The scheme and the host.
    pub(crate) fn origin(&self) -> String {
        origin(&self.uri)
    }

    /// A text without the secrets that a server may have put into it.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.secrets.hide(text)
    }

    /// Where `location` points from a URL, as far as it can be told, and whether that is the same server.
    pub(crate) fn redirected(&self, from: &Uri, location: &str) -> Redirect {
        let whole = if location.starts_with('/') && !location.starts_with("//") {
            format!("{}{location}", origin(from))
        } else {
            location.to_owned()
        };
        match quire_net::address(&whole) {
            Ok(uri) if origin(&uri) == self.origin() => Redirect::Here(uri),
            Ok(uri) => Redirect::Elsewhere(shown(&uri)),
            Err(_) => Redirect::Elsewhere("somewhere that is no URL".to_owned()),
        }
    }
}

/// Where a server says that something else is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// At the same host and port, by the same scheme.
    Here(Uri),
    /// Elsewhere, in words.
    Elsewhere(String),
}

fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    match (scheme, uri.port_u16()) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    }
}

fn place(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    match uri.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A URL without a password and without what stands behind `?`.
fn shown(uri: &Uri) -> String {
    visible(&format!("{}{}", origin(uri), uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str, headers: &[(&str, &str)]) -> Address {
        Address {
            url: url.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn a_host_is_told_with_its_port_and_nothing_else() {
        for (url, host) in [
            ("https://a.example/mcp?key=secret", "a.example"),
            ("http://127.0.0.1:8080/mcp", "127.0.0.1:8080"),
            ("https://u:secret@a.example:1/", "a.example:1"),
            ("http://[::1]:5/", "[::1]:5"),
            ("nonsense", "a place that is no URL"),
        ] {
            assert_eq!(address(url, &[]).host(), host);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let headers = [("Authorization", "Bearer secret-1"), ("X-Team", "secret-2")];
        let address = address("https://u:secret-3@a.example/mcp?key=secret-4", &headers);
        let shown = format!("{address:?}");
        assert_eq!(
            shown,
            r#"Address { url: "https://a.example/mcp", headers: ["Authorization", "X-Team"] }"#
        );
        let target = address.target().unwrap();
        assert_eq!(
            target.hide("Bearer secret-1, secret-1, secret-2 and key=secret-4 are wrong"),
            "…, …, … and … are wrong"
        );
    }

    #[test]
    fn what_cannot_be_sent_is_told_by_its_name() {
        for (given, why) in [
            (
                address("https://a.example/", &[("a b", "secret")]),
                "`a b` is no name of a header",
            ),
            (
                address("https://a.example/", &[("A", "sec\nret")]),
                "the value of the header `A` cannot be sent",
            ),
            (
                address("a.example?secret", &[]),
                "what its `url` says is no URL to send requests to",
            ),
        ] {
            assert_eq!(given.target().err().as_deref(), Some(why));
        }
        let headers = [("Host", "b.example"), ("X", "y")];
        let target = address("https://a.example/", &headers).target().unwrap();
        assert_eq!(target.headers.len(), 1);
    }

    #[test]
    fn only_the_same_server_is_here() {
        let target = address("https://a.example/mcp", &[]).target().unwrap();
        for (location, expected) in [
            ("/mcp/", Some("https://a.example/mcp/")),
            (
                "https://A.example:443/x?y",
                Some("https://A.example:443/x?y"),
            ),
            ("http://a.example/mcp", None),
            ("https://a.example:1/mcp", None),
            ("https://b.example/mcp?a=secret", None),
            ("//b.example/mcp", None),
            ("mcp", None),
            ("", None),
        ] {
            let redirect = target.redirected(&target.uri, location);
            match (redirect, expected) {
                (Redirect::Here(uri), Some(expected)) => assert_eq!(uri.to_string(), expected),
                (Redirect::Elsewhere(told), None) => assert!(!told.contains("secret"), "{told}"),
                (other, _) => panic!("{location}: {other:?}"),
            }
        }
    }
}
