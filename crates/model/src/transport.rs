//! One HTTP client for a provider: pooled connections, TLS only once an `https` URL is used,
//! proxies, request bodies sent segment by segment without a copy.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, vec};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use quire_protocol::{ModelError, ModelErrorKind};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::Proxies;
use crate::failure::model_error;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connections to one provider.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client<Connector, Segments>,
}

impl Transport {
    /// Nothing is opened or read until the first request.
    pub(crate) fn new(proxies: &Proxies, connect_timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(90))
            .http1_writev(true)
            .build(Connector::new(proxies, connect_timeout));
        Self { client }
    }

    /// Sends a request; returns with the answer's head.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Segments,
    ) -> Result<Response<Incoming>, ModelError> {
        let uri: Uri = url.parse().map_err(|_| bad_url(url))?;
        if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad_url(url));
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        self.client.request(request).await.map_err(|error| {
            let connecting = error.is_connect();
            network_error(url, connecting, &reason(&error))
        })
    }
}

fn bad_url(url: &str) -> ModelError {
    model_error(
        ModelErrorKind::BadRequest,
        format!("`{url}` is no URL to send requests to"),
        "Write the base URL like https://host/path or http://127.0.0.1:8080/v1.",
    )
}

/// The last and most telling reason in a chain of errors.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// How rustls begins its words about a certificate that it does not trust.
const UNTRUSTED: &str = "invalid peer certificate";

/// Whether time can cure a failure to connect.
pub(crate) fn may_pass(error: &ModelError) -> bool {
    error.kind == ModelErrorKind::Network && !error.message.contains(UNTRUSTED)
}

fn network_error(url: &str, connecting: bool, reason: &str) -> ModelError {
    let hint = if reason.contains(UNTRUSTED) {
        "The server's certificate is not trusted here. Set SSL_CERT_FILE to your organisation's \
         certificates, or install the package ca-certificates."
    } else if connecting {
        "Check the base URL, the network and HTTPS_PROXY; a local server must be running."
    } else {
        "Try again; if it stays so, check the network and the server's log."
    };
    let message = if connecting {
        format!("cannot connect to {url}: {reason}")
    } else {
        format!("the connection to {url} broke: {reason}")
    };
    model_error(ModelErrorKind::Network, message, hint)
}

/// An error in the middle of an answer.
pub(crate) fn broken_stream(error: &hyper::Error) -> ModelError {
    model_error(
        ModelErrorKind::Network,
        format!(
            "the connection broke in the middle of the answer: {}",
            reason(error)
        ),
        "Try again; if it stays so, check the network.",
    )
}

/// A request body of segments whose sum is known.
pub(crate) struct Segments {
    rest: vec::IntoIter<Bytes>,
    left: u64,
}

impl From<Vec<Bytes>> for Segments {
    fn from(segments: Vec<Bytes>) -> Self {
        let left = segments.iter().map(|segment| segment.len() as u64).sum();
        Self {
            rest: segments.into_iter(),
            left,
        }
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = self.rest.find(|segment| !segment.is_empty());
        self.left -= next.as_ref().map_or(0, |segment| segment.len() as u64);
        Poll::Ready(next.map(|segment| Ok(Frame::data(segment))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Opens connections, directly or through a proxy, with TLS or without.
#[derive(Clone)]
struct Connector {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
    timeout: Duration,
}

impl Connector {
    fn new(proxies: &Proxies, timeout: Duration) -> Self {
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
            timeout,
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
        let limit = self.timeout;
        Box::pin(async move {
            let open = open(route?, to);
            tokio::time::timeout(limit, open).await.unwrap_or_else(|_| {
                Err(format!("no connection within {} s", limit.as_secs_f32()).into())
            })
        })
    }
}

async fn open(mut route: Route, to: Uri) -> Result<MaybeHttpsStream<TokioIo<TcpStream>>, BoxError> {
    if to.scheme_str() == Some("https") {
        HttpsConnector::from((route, tls()?)).call(to).await
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

/// TLS settings with this machine's certificates, read once and only when TLS is first used.
fn tls() -> Result<Arc<rustls::ClientConfig>, BoxError> {
    static SETTINGS: OnceLock<Result<Arc<rustls::ClientConfig>, String>> = OnceLock::new();
    SETTINGS.get_or_init(load_tls).clone().map_err(Into::into)
}

fn load_tls() -> Result<Arc<rustls::ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found
            .errors
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        return Err(format!(
            "no trusted certificate was found on this machine {why}"
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
