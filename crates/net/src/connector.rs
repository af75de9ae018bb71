//! Opens connections, directly or through a proxy, with TLS only once an `https` URL is used.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::future::BoxFuture;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::{Options, Proxies, Versions, tls};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Opens connections, directly or through a proxy, with TLS or without.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
    timeout: Duration,
    versions: Versions,
}

impl Connector {
    pub(crate) fn new(proxies: &Proxies, options: Options) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        let proxies = Matcher::builder()
            .https(proxies.https.as_str())
            .http(proxies.http.as_str())
            .all(proxies.all.as_str())
            .no(proxies.none.as_str())
            .build();
        Self {
            tcp,
            proxies: Arc::new(proxies),
            timeout: options.connect_timeout,
            versions: options.versions,
        }
    }

    fn route(&self, to: &Uri) -> Result<Route, BoxError> {
        let proxy = match self.proxies.intercept(to) {
            Some(proxy) if !is_here(to) => proxy,
            _ => return Ok(Route::Direct(self.tcp.clone())),
        };
        let at = proxy.uri().clone();
        match at.scheme_str() {
            Some("http") => {
                let tunnel = Tunnel::new(at, self.tcp.clone());
                Ok(Route::Tunnel(match proxy.basic_auth() {
                    Some(auth) => tunnel.with_auth(auth.clone()),
                    None => tunnel,
                }))
            }
            Some("socks5" | "socks5h") => {
                let local = at.scheme_str() == Some("socks5");
                let socks = SocksV5::new(at, self.tcp.clone()).local_dns(local);
                Ok(Route::Socks(match proxy.raw_auth() {
                    Some((user, word)) => socks.with_auth(user.to_owned(), word.to_owned()),
                    None => socks,
                }))
            }
            other => {
                let scheme = other.unwrap_or("such");
                let reason = format!("{scheme} proxies are not supported: use http or socks5");
                Err(reason.into())
            }
        }
    }
}

/// Whether a URL points to this machine.
fn is_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let route = self.route(&to);
        let (limit, versions) = (self.timeout, self.versions);
        Box::pin(async move {
            let open = open(route?, to, versions);
            tokio::time::timeout(limit, open).await.unwrap_or_else(|_| {
                Err(format!("no connection within {} s", limit.as_secs_f32()).into())
            })
        })
    }
}

async fn open(
    mut route: Route,
    to: Uri,
    versions: Versions,
) -> Result<MaybeHttpsStream<TokioIo<TcpStream>>, BoxError> {
    if to.scheme_str() == Some("https") {
        HttpsConnector::from((route, tls::settings(versions)?))
            .call(to)
            .await
    } else {
        Ok(MaybeHttpsStream::Http(route.call(with_port(to)).await?))
    }
}

/// An `http` URL with its port written out: a tunnel would take 443 for granted.
fn with_port(to: Uri) -> Uri {
    if to.port().is_some() {
        return to;
    }
    let authority = format!("{}:80", to.host().unwrap_or_default());
    let written = Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query("/")
        .build();
    written.unwrap_or(to)
}

/// The way to a server.
enum Route {
    Direct(HttpConnector),
    Tunnel(Tunnel<HttpConnector>),
    Socks(SocksV5<HttpConnector>),
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => {
                let opening = tcp.call(to);
                Box::pin(async move { Ok(opening.await?) })
            }
            Self::Tunnel(tunnel) => {
                let opening = tunnel.call(to);
                Box::pin(async move { Ok(opening.await?) })
            }
            Self::Socks(socks) => {
                let opening = socks.call(to);
                Box::pin(async move { Ok(opening.await?) })
            }
        }
    }
}
