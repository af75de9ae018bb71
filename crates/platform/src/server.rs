//! Connections: taken up to a bound, with patience that ends, with TLS or without, and let go in order.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, Request, header};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::app::App;
use crate::batches::Items;
use crate::config::{ConfigError, Tls};
use crate::cores::{self, Cores};
use crate::crew::{self, Trade as _};
use crate::stored::background::Waiting;

/// Most headers of a request, and most bytes of its head.
const HEADERS: usize = 100;
const HEAD_BYTES: usize = 64 << 10;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened at.
    #[error("cannot listen at {0}: {1}. Choose another address, or end what listens there")]
    Listen(SocketAddr, io::Error),
    /// The config cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be used.
    #[error(transparent)]
    Depot(#[from] quire_depot::Error),
    /// The system has no threads left.
    #[error(
        "no threads to serve connections on: {0}. Let this user have more processes (`ulimit -u`)"
    )]
    Threads(io::Error),
    /// The certificate or its key cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Tls(String),
}

/// A server that listens.
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    cores: Cores,
}

impl Server {
    /// Listens where the config says.
    pub async fn listen(app: Arc<App>) -> Result<Self, ServeError> {
        let config = app.live().config.clone();
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| ServeError::Listen(config.listen, error))?;
        let tls = config.tls.as_ref().map(acceptor).transpose()?;
        let cores = Cores::start().map_err(ServeError::Threads)?;
        Ok(Self {
            app,
            listener,
            tls,
            cores,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `end`, then lets what is under way come to its end, within the config's patience.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let housekeeping = tokio::spawn(Arc::clone(&self.app).housekeeping());
        let mut background = tokio::spawn(crew::run::<Waiting>(Arc::clone(&self.app)));
        let mut batches = tokio::spawn(crew::run::<Items>(Arc::clone(&self.app)));
        let bounds = self.app.live().config.bounds.clone();
        let room = Arc::new(Semaphore::new(bounds.connections));
        let (ending, told) = watch::channel(());
        // It closes when the last connection has dropped its end.
        let (open, mut all_closed) = mpsc::channel::<()>(1);
        let host = Host {
            router: self.app.router(),
            head: Duration::from_secs(bounds.head_s),
            ending: told,
        };
        let patience = Duration::from_secs(bounds.reader_idle_s);
        let mut end = std::pin::pin!(end);
        loop {
            let accepted = tokio::select! {
                () = &mut end => break,
                accepted = take(&self.listener, &room) => accepted,
            };
            // It is taken up again on the core that serves it.
            let Some((Ok(socket), permit)) =
                accepted.map(|(socket, permit)| (socket.into_std(), permit))
            else {
                continue;
            };
            let (app, tls, host, open) = (
                Arc::clone(&self.app),
                self.tls.clone(),
                host.clone(),
                open.clone(),
            );
            self.cores.serve(async move {
                let _held = (permit, open);
                let _counted = app.metrics().connection();
                let Ok(socket) = TcpStream::from_std(socket) else {
                    return;
                };
                let _ = socket.set_nodelay(true);
                let socket = Patient::new(socket, patience);
                // What TLS holds is large, and would be part of every connection.
                match tls {
                    None => host.serve(socket).await,
                    Some(tls) => Box::pin(host.serve_secret(tls, socket)).await,
                }
            });
        }
        drop((self.listener, open, host));
        drop(ending);
        self.app.tenure().end();
        let drained = async {
            all_closed.recv().await;
            self.app.tenure().empty().await;
            let _ = (&mut background).await;
            let _ = (&mut batches).await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(bounds.drain_s), drained).await;
        self.cores.end().await;
        background.abort();
        batches.abort();
        Waiting::release(&self.app).await;
        Items::release(&self.app).await;
        housekeeping.abort();
        self.app.tidy(1).await;
        self.app.till().watch.close().await;
    }
}

/// What a connection needs.
#[derive(Clone)]
struct Host {
    router: axum::Router,
    /// For a request's head to arrive.
    head: Duration,
    /// Closed when the server ends.
    ending: watch::Receiver<()>,
}

impl Host {
    /// Serves a connection that has to become secret first.
    async fn serve_secret(self, tls: TlsAcceptor, socket: Patient) {
        if let Ok(Ok(socket)) = tokio::time::timeout(HANDSHAKE, tls.accept(socket)).await {
            Box::pin(self.serve(socket)).await;
        }
    }

    /// Serves a connection to its end. One that ends badly concerns nobody but its client.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut self, socket: S) {
        let routed = TowerToHyperService::new(self.router);
        let service = service_fn(move |request: Request<Incoming>| {
            let is_quick = is_quick(&request);
            let answer = routed.call(request);
            async move {
                if is_quick {
                    answer.await
                } else {
                    cores::aside(answer).await
                }
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head)
            .max_headers(HEADERS)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.ending.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Requests for a model, and probes. All others are rare, and may read or write much at once.
const QUICK: [&str; 6] = [
    "/v1/messages",
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/messages/count_tokens",
    "/healthz",
    "/readyz",
];

/// Whether a request takes no core's time for long, as far as its head tells.
fn is_quick<B>(request: &Request<B>) -> bool {
    QUICK.contains(&request.uri().path()) && !is_large(request.headers())
}

/// Whether a body may be large: one that comes in chunks does not say.
fn is_large(headers: &HeaderMap) -> bool {
    match headers.get(header::CONTENT_LENGTH) {
        None => headers.contains_key(header::TRANSFER_ENCODING),
        Some(length) => {
            let length = length.to_str().ok().and_then(|length| length.parse().ok());
            length.is_none_or(|length: u64| length > cores::LARGE)
        }
    }
}

/// The next connection, once there is room for it.
async fn take(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, _)) => Some((socket, permit)),
        Err(error) => {
            // Out of files: others may end soon.
            let is_clients = matches!(
                error.kind(),
                io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
            );
            if !is_clients {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            None
        }
    }
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ServeError> {
    let wrong = |what: String| ServeError::Tls(what);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(format!("{}: {error}", tls.certificate.display())))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| wrong(format!("{}: {error}", tls.key.display())))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A socket that gives up on a peer which takes nothing for too long.
struct Patient {
    socket: TcpStream,
    patience: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(socket: TcpStream, patience: Duration) -> Self {
        Self {
            socket,
            patience,
            alarm: None,
        }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.alarm = None;
            return poll;
        }
        let until = Instant::now() + self.patience;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match alarm.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client takes nothing",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.watch(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(context, pieces);
        self.watch(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_requests_for_a_model_stay_on_their_core() {
        let with = |path: &str, name: &str, value: &str| {
            let request = Request::post(path).header(name, value).body(());
            is_quick(&request.unwrap())
        };
        for (path, name, value, stays) in [
            ("/v1/messages", "content-length", "65536", true),
            ("/v1/messages?beta=true", "content-length", "10", true),
            ("/v1/messages", "content-length", "65537", false),
            ("/v1/messages", "content-length", "many", false),
            ("/v1/responses", "transfer-encoding", "chunked", false),
            ("/v1/messages/batches", "content-length", "10", false),
            ("/v1/responses/resp_1", "content-length", "0", false),
            ("/healthz", "content-length", "0", true),
        ] {
            assert_eq!(with(path, name, value), stays, "{path} {name}: {value}");
        }
    }
}
