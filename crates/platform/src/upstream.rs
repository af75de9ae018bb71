//! The way to an upstream: its address, its key, the headers that go along and those that do not.

use std::time::Duration;

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Request, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use quire_dialect::Dialect;
use quire_net::{Options, Proxies, Segments, Transport, Versions};

use crate::config::{Auth, ConfigError, Upstream};
use crate::cores;

/// Connections to an upstream, and what every request to it bears.
pub(crate) struct Line {
    /// One for each place, so that no thread waits for another's; or one for all, where opening a connection takes long.
    transports: Box<[Transport]>,
    base: String,
    headers: HeaderMap,
}

/// Connections to an upstream that are kept while nobody uses them. Each takes some 30 KB, and those of a burst are not
/// needed again soon.
const IDLE_MOST: usize = 256;
/// Headers of a client that reach an upstream of the same API, besides those that begin with `anthropic-` or `openai-beta`.
const PASSED: &[&str] = &[
    "content-type",
    "accept",
    "user-agent",
    "x-app",
    "x-client-request-id",
];
/// Those that name the client's account here, which is not the upstream's.
const WITHHELD: &[&str] = &["anthropic-workspace-id", "anthropic-organization-id"];
/// Headers of an upstream's answer that reach the client, whatever its API.
const RETURNED: &[&str] = &[
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "openai-processing-ms",
    "openai-version",
];

impl Line {
    /// Opens nothing yet.
    pub(crate) fn new(
        upstream: &Upstream,
        key: Option<&str>,
        proxies: &Proxies,
    ) -> Result<Self, ConfigError> {
        let places = if upstream.base_url.trim().starts_with("http:") {
            cores::places()
        } else {
            1
        };
        let options = Options {
            connect_timeout: upstream.connect_timeout(),
            idle_timeout: Duration::from_mins(1),
            idle_per_host_most: upstream.concurrency.min(IDLE_MOST).div_ceil(places),
            versions: Versions::Http1,
        };
        Ok(Self {
            transports: (0..places)
                .map(|_| Transport::new(proxies, options))
                .collect(),
            base: base(upstream),
            headers: own_headers(upstream, key)?,
        })
    }

    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self {
            transports: Box::new([Transport::new(&Proxies::default(), Options::default())]),
            base: String::new(),
            headers: HeaderMap::new(),
        }
    }

    /// Sends a request; returns with the answer's head.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, quire_net::Error> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::new(Segments::from(vec![body]));
        *request.uri_mut() = quire_net::address(&url)?;
        *request.method_mut() = method;
        let all = request.headers_mut();
        *all = headers;
        for (name, value) in &self.headers {
            all.insert(name, value.clone());
        }
        // What comes by a WebSocket or out of the store has none of its own.
        all.entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
        let transport = &self.transports[cores::place() % self.transports.len()];
        transport.send(request).await
    }
}

/// The address that paths are put behind.
fn base(upstream: &Upstream) -> String {
    let base = upstream.base_url.trim().trim_end_matches('/');
    let base = match upstream.dialect {
        // Paths of Messages have it themselves.
        Dialect::Messages => base.strip_suffix("/v1").unwrap_or(base),
        Dialect::Responses | Dialect::Chat => base,
    };
    base.to_owned()
}

fn own_headers(upstream: &Upstream, key: Option<&str>) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &upstream.headers {
        let pair = HeaderName::try_from(name)
            .ok()
            .zip(HeaderValue::try_from(value).ok());
        let (name, value) = pair.ok_or_else(|| {
            ConfigError(format!(
                "`{name}: {value}` is no header that HTTP can carry"
            ))
        })?;
        headers.insert(name, value);
    }
    let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) else {
        return Ok(headers);
    };
    let auth = upstream.auth.unwrap_or(match upstream.dialect {
        Dialect::Messages => Auth::XApiKey,
        Dialect::Responses | Dialect::Chat => Auth::Bearer,
    });
    let (name, text) = match auth {
        Auth::Bearer => (header::AUTHORIZATION, format!("Bearer {key}")),
        Auth::XApiKey => (HeaderName::from_static("x-api-key"), key.to_owned()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        ConfigError("an upstream's key has characters that HTTP cannot carry".to_owned())
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

/// What of a client's headers goes to an upstream of the same API.
pub(crate) fn passed(client: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::with_capacity(8);
    for (name, value) in client {
        let text = name.as_str();
        let vendors = text.starts_with("anthropic-") || text.starts_with("openai-beta");
        if (vendors || PASSED.contains(&text)) && !WITHHELD.contains(&text) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// What a translated request bears.
pub(crate) fn written(dialect: Dialect, version: &'static str, betas: &str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if dialect == Dialect::Messages {
        headers.insert("anthropic-version", HeaderValue::from_static(version));
        if let Ok(value) = HeaderValue::try_from(betas)
            && !betas.is_empty()
        {
            headers.insert("anthropic-beta", value);
        }
    }
    headers
}

/// What of an upstream's headers goes to the client.
pub(crate) fn returned(upstream: &HeaderMap) -> HeaderMap {
    let mut returned = HeaderMap::with_capacity(8);
    for name in RETURNED {
        if let Some(value) = upstream.get(*name) {
            returned.insert(HeaderName::from_static(name), value.clone());
        }
    }
    returned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(text: &str) -> Upstream {
        toml_edit::de::from_str(text).unwrap()
    }

    #[test]
    fn the_key_travels_as_the_upstream_wants_it() {
        for (text, name, value) in [
            ("dialect = \"messages\"", "x-api-key", "k"),
            (
                "dialect = \"messages\"\nauth = \"bearer\"",
                "authorization",
                "Bearer k",
            ),
            ("dialect = \"chat\"", "authorization", "Bearer k"),
        ] {
            let upstream = upstream(&format!("{text}\nbase_url = \"http://h/v1/\""));
            let headers = own_headers(&upstream, Some(" k\n")).unwrap();
            assert_eq!(headers[name], value);
            assert!(headers[name].is_sensitive());
            assert_eq!(own_headers(&upstream, None).unwrap().len(), 0);
        }
    }

    #[test]
    fn a_clients_key_and_account_stay_here() {
        let mut client = HeaderMap::new();
        for name in [
            "x-api-key",
            "authorization",
            "cookie",
            "host",
            "connection",
            "content-length",
            "accept-encoding",
            "x-forwarded-for",
            "openai-organization",
            "anthropic-workspace-id",
            "anthropic-version",
            "anthropic-beta",
            "anthropic-something-new",
            "openai-beta",
            "content-type",
        ] {
            client.append(name, HeaderValue::from_static("v"));
        }
        client.append("anthropic-beta", HeaderValue::from_static("w"));
        let passed = passed(&client);
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "anthropic-beta",
                "anthropic-something-new",
                "anthropic-version",
                "content-type",
                "openai-beta"
            ]
        );
        assert_eq!(passed.get_all("anthropic-beta").iter().count(), 2);
    }

    #[test]
    fn an_address_has_its_version_once() {
        for (dialect, url, found) in [
            ("messages", "https://h", "https://h"),
            ("messages", "https://h/v1/", "https://h"),
            ("chat", "http://h/v1", "http://h/v1"),
            ("responses", "http://h/api/v1/", "http://h/api/v1"),
        ] {
            let upstream = upstream(&format!("dialect = \"{dialect}\"\nbase_url = \"{url}\""));
            assert_eq!(base(&upstream), found);
        }
    }
}
