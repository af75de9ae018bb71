//! An HTTP client that keeps its connections, and how it is set up.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::connector::Connector;
use crate::error::reason;
use crate::{Error, Proxies, Segments};

/// How connections are opened and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most time that opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a connection that nobody uses is kept.
    pub idle_timeout: Duration,
    /// How many connections to one host are kept while nobody uses them; more may be open in use.
    pub idle_per_host_most: usize,
    /// Which versions of HTTP are spoken.
    pub versions: Versions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            idle_per_host_most: usize::MAX,
            versions: Versions::Agreed,
        }
    }
}

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// HTTP/2 where a server agrees to it over TLS, so that requests share a connection; otherwise
    /// HTTP/1.1.
    #[default]
    Agreed,
    /// HTTP/1.1 alone: a connection for each request under way.
    Http1,
}

/// Connections to servers. A clone shares them and costs a count.
#[derive(Clone, Debug)]
pub struct Transport {
    client: Client<Connector, Segments>,
}

impl Transport {
    /// Nothing is opened or read until the first request.
    #[must_use]
    pub fn new(proxies: &Proxies, options: Options) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.idle_per_host_most)
            .http1_writev(true)
            .build(Connector::new(proxies, options));
        Self { client }
    }

    /// Sends a request, whose URL is whole; returns with the answer's head.
    pub async fn send(&self, request: Request<Segments>) -> Result<Response<Incoming>, Error> {
        let uri = request.uri();
        if !is_whole(uri) {
            return Err(Error::BadUrl {
                url: uri.to_string(),
            });
        }
        // A count each; the text is made when it is needed.
        let uri = uri.clone();
        self.client.request(request).await.map_err(|error| {
            let url = uri.to_string();
            let connecting = error.is_connect();
            let reason = reason(&error);
            if connecting {
                Error::connecting(url, reason)
            } else {
                Error::Broken { url, reason }
            }
        })
    }
}

/// Reads a URL that requests can be sent to: `http` or `https`, with a host.
pub fn address(url: &str) -> Result<Uri, Error> {
    let uri = url.parse().ok().filter(is_whole);
    uri.ok_or_else(|| Error::BadUrl {
        url: url.to_owned(),
    })
}

fn is_whole(uri: &Uri) -> bool {
    uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_whole_or_none() {
        for (url, is_one) in [
            ("http://127.0.0.1:8080/v1", true),
            ("https://host.example/a?b=c", true),
            ("host.example/v1", false),
            ("/v1/messages", false),
            ("ftp://host.example/", false),
            ("http://a b/", false),
            ("", false),
        ] {
            let expected = Error::BadUrl {
                url: url.to_owned(),
            };
            match address(url) {
                Ok(_) => assert!(is_one, "{url}"),
                Err(error) => assert!(!is_one && error == expected, "{url}: {error}"),
            }
        }
    }
}
