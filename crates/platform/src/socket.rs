//! Responses over a WebSocket: one connection for many responses, which go on from one another by the connection's
//! own memory, whether they are kept or not.

mod lane;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal, socket_error};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::answered::answered;
use crate::app::App;
use crate::cores;
use crate::keyring::Caller;
use crate::reply::Denial;
use crate::stored::{Fields, Memory};
use crate::tenure::Guest;
use lane::{Lane, Out};

/// How long a connection lives, as at the vendor's.
const LIFE: Duration = Duration::from_hours(1);
/// How often the client is asked whether it is there.
const PING: Duration = Duration::from_secs(30);
/// How long it may say nothing at all.
const SILENCE: Duration = Duration::from_secs(90);
/// Events that wait for a slow reader before upstreams are read no further.
const WAITING: usize = 64;
/// Lanes of one connection.
const LANES: usize = 32;
/// Requests that wait in one lane.
const QUEUED: usize = 32;

/// `GET /v1/responses`.
pub(crate) async fn upgrade(
    State(app): State<Arc<App>>,
    mut request: Request<Body>,
) -> Response<Body> {
    let headers = request.headers().clone();
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| Ok(open(&app, caller, &mut request)?),
    )
    .await
}

fn open(
    app: &Arc<App>,
    caller: Arc<Caller>,
    request: &mut Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let Some(key) = handshake(request.headers()) else {
        return Ok(not_a_socket());
    };
    let accept = derive_accept_key(key.as_bytes());
    let most = app.live().config.bounds.connections;
    let guest = app.tenure().enter(most).ok_or_else(|| {
        let message = format!(
            "This server has {most} WebSockets open, which is all it takes: try again in a moment."
        );
        Refusal::new(Reason::Overloaded, message)
    })?;
    let headers = request.headers().clone();
    let upgrading = hyper::upgrade::on(request);
    let session = Session::new(app, caller, headers, guest);
    // Its requests may be large, and it is open for long: not on one core.
    tokio::spawn(cores::aside(async move {
        if let Ok(upgraded) = upgrading.await {
            session.run(upgraded).await;
        }
    }));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let head = response.headers_mut();
    head.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    head.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        head.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok(response)
}

/// The key of a handshake, if it is one.
fn handshake(headers: &HeaderMap) -> Option<&str> {
    let has = |name, word: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut words = values.flat_map(|value| value.split(','));
        words.any(|found| found.trim().eq_ignore_ascii_case(word))
    };
    let is_one = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    is_one.then_some(key)
}

fn not_a_socket() -> Response<Body> {
    let refusal = Refusal::new(
        Reason::Invalid,
        "GET /v1/responses opens a WebSocket: ask for the upgrade (version 13), or POST a request.",
    );
    let mut response = Denial::from(refusal).answer(Dialect::Responses, "");
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let head = response.headers_mut();
    head.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    head.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    response
}

/// One connection.
struct Session {
    app: Arc<App>,
    caller: Arc<Caller>,
    /// Those of the handshake: they go along with each request.
    headers: HeaderMap,
    memory: Arc<Memory>,
    lanes: HashMap<String, mpsc::Sender<Utf8Bytes>>,
    out: mpsc::Sender<Out>,
    told: mpsc::Receiver<Out>,
    /// Requests that were taken and are not answered yet, and their bytes.
    under_way: usize,
    held_bytes: usize,
    /// Why no more are taken.
    closing: Option<Refusal>,
    _guest: Guest,
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

impl Session {
    fn new(app: &Arc<App>, caller: Arc<Caller>, headers: HeaderMap, guest: Guest) -> Self {
        let (out, told) = mpsc::channel(WAITING);
        let largest = app.live().config.bounds.body_bytes;
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        Self {
            app: Arc::clone(app),
            caller,
            headers,
            memory: Arc::new(Memory::new(largest)),
            lanes: HashMap::new(),
            out,
            told,
            under_way: 0,
            held_bytes: 0,
            closing: None,
            _guest: guest,
        }
    }

    /// Serves it to its end. Lanes end with it, and what they have upstream is cancelled.
    async fn run(mut self, upgraded: Upgraded) {
        let app = Arc::clone(&self.app);
        let most = usize::try_from(app.live().config.bounds.body_bytes).unwrap_or(usize::MAX);
        let config = WebSocketConfig::default()
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        let io = TokioIo::new(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let mut pings = tokio::time::interval(PING);
        let mut heard = Instant::now();
        let old = tokio::time::sleep(LIFE);
        let ended = app.tenure().ended();
        let (mut old, mut ended) = (std::pin::pin!(old), std::pin::pin!(ended));
        loop {
            if self.closing.is_some() && self.under_way == 0 {
                break;
            }
            let is_open = self.closing.is_none();
            tokio::select! {
                message = socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(message)) => {
                            if !self.take(message, &mut socket).await {
                                return;
                            }
                        }
                        Some(Err(_)) | None => return,
                    }
                }
                Some(out) = self.told.recv() => {
                    if !self.send(out, &mut socket).await {
                        return;
                    }
                }
                _ = pings.tick() => {
                    let ping = Message::Ping(bytes::Bytes::new());
                    if heard.elapsed() > SILENCE || socket.send(ping).await.is_err() {
                        return;
                    }
                }
                () = &mut old, if is_open => {
                    let refusal = expired();
                    let told = socket_error(&refusal);
                    self.closing = Some(refusal);
                    if socket.send(Message::text(told)).await.is_err() {
                        return;
                    }
                }
                () = &mut ended, if is_open => self.closing = Some(going_down()),
            }
        }
        let frame = CloseFrame {
            code: CloseCode::Away,
            reason: Utf8Bytes::from_static("the server closes this connection: open another one"),
        };
        let _ = socket.close(Some(frame)).await;
    }

    /// Takes a message; says whether the connection goes on.
    async fn take(&mut self, message: Message, socket: &mut Socket) -> bool {
        let refused = match message {
            Message::Text(text) => match self.dispatch(text) {
                Ok(()) => return true,
                Err(refused) => refused,
            },
            Message::Binary(_) => {
                let message = "Messages are JSON objects in text frames.";
                (Refusal::new(Reason::Invalid, message), None)
            }
            Message::Close(_) => return false,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return true,
        };
        let (refusal, lane) = refused;
        let text = lane::in_lane(socket_error(&refusal), lane.as_deref());
        socket.send(Message::text(text)).await.is_ok()
    }

    async fn send(&mut self, out: Out, socket: &mut Socket) -> bool {
        match out {
            Out::Text(text) => socket.send(Message::text(text)).await.is_ok(),
            Out::Answered(bytes) => {
                self.under_way = self.under_way.saturating_sub(1);
                self.held_bytes = self.held_bytes.saturating_sub(bytes);
                true
            }
        }
    }

    /// Puts a request into its lane. What is refused comes back with the lane that it named.
    fn dispatch(&mut self, text: Utf8Bytes) -> Result<(), (Refusal, Option<String>)> {
        let fields = Fields::read(text.as_bytes()).map_err(|refusal| (refusal, None))?;
        let read = |name: &str| {
            fields
                .get::<String>(name)
                .map_err(|refusal| (refusal, None))
        };
        let (kind, lane) = (read("type")?, read("stream_id")?);
        let refuse = |refusal| Err((refusal, lane.clone()));
        match kind.as_deref() {
            Some("response.create") => {}
            Some(kind @ ("response.steer" | "response.inject")) => return refuse(not_here(kind)),
            other => return refuse(unknown(other)),
        }
        if let Some(closing) = &self.closing {
            return refuse(closing.clone());
        }
        let bytes = text.len();
        if self.under_way > 0 && self.held_bytes + bytes > self.most_bytes() {
            let message = "The requests that this connection has waiting are too large together: wait until one is answered.";
            return refuse(Refusal::new(Reason::RateLimited, message));
        }
        let name = lane.clone().unwrap_or_default();
        if !self.lanes.contains_key(&name) {
            if self.lanes.len() >= LANES {
                return refuse(crowded(LANES, "lanes"));
            }
            let (requests, taken) = mpsc::channel(QUEUED);
            tokio::spawn(self.lane(lane.clone()).run(taken));
            self.lanes.insert(name.clone(), requests);
        }
        let sent = self.lanes.get(&name).map(|lane| lane.try_send(text));
        if sent.is_none_or(|sent| sent.is_err()) {
            return refuse(crowded(QUEUED, "requests waiting in one lane"));
        }
        self.under_way += 1;
        self.held_bytes += bytes;
        Ok(())
    }

    /// Bytes of requests that may wait together: two of the largest.
    fn most_bytes(&self) -> usize {
        let largest = self.app.live().config.bounds.body_bytes;
        usize::try_from(largest.saturating_mul(2)).unwrap_or(usize::MAX)
    }

    fn lane(&self, name: Option<String>) -> Lane {
        Lane {
            app: Arc::clone(&self.app),
            key: self.caller.key.id.clone(),
            headers: self.headers.clone(),
            memory: Arc::clone(&self.memory),
            name,
            out: self.out.clone(),
        }
    }
}

fn expired() -> Refusal {
    let message = "This connection is 60 minutes old, which is all it may be: open another one.";
    Refusal::new(Reason::Invalid, message).coded("websocket_connection_limit_reached")
}

fn going_down() -> Refusal {
    Refusal::new(
        Reason::Overloaded,
        "This server is going down: open another connection.",
    )
}

fn not_here(kind: &str) -> Refusal {
    let message = format!(
        "`{kind}` is not supported here: wait for the response to end and go on from it with `response.create`."
    );
    Refusal::new(Reason::Invalid, message)
        .about("type")
        .coded("unsupported_event")
}

fn unknown(kind: Option<&str>) -> Refusal {
    let message = match kind {
        Some(kind) => format!("There is no event `{kind}`: send `response.create`."),
        None => "The event has no `type`: send `response.create`.".to_owned(),
    };
    Refusal::new(Reason::Invalid, message).about("type")
}

fn crowded(most: usize, what: &str) -> Refusal {
    let message = format!("A connection may have {most} {what}: wait until one is answered.");
    Refusal::new(Reason::RateLimited, message)
}
