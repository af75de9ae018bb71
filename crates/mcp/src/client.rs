//! What the library's transport sends and gets, over our own connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, JsonRpcMessage, ProtocolVersion,
    RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::Sse;
use tokio::time::{Instant, sleep, timeout};

use crate::exchange::{EVENTS, JSON, SESSION, Unread, VERSION, beginning, is, whole};
use crate::lines::LONGEST;
use crate::message::messages;
use crate::remote::Shared;
use crate::stream::{Running, Stream, response};
use crate::trouble::Trouble;

/// How long a server may be silent when it is asked for the new protocol, before the old one is tried. The
/// library would try it after 10 s, behind what is not answered.
const SILENT: Duration = Duration::from_secs(8);
/// The longest wait before a stream is asked for again that ended soon, and what is not soon.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// What is said where nothing more is.
pub(crate) const OVER: &str = "it is talked to no more";

type Answer = Result<StreamableHttpPostResponse, StreamableHttpError<Trouble>>;
type Headers = HashMap<HeaderName, HeaderValue>;

/// The requests to one server.
#[derive(Clone)]
pub(crate) struct Client {
    shared: Arc<Shared>,
    pace: Arc<Mutex<Pace>>,
}

/// How fast a server's own messages are asked for.
#[derive(Default)]
struct Pace {
    last: Option<Instant>,
    wait: Duration,
}

/// What is sent.
struct Asked {
    message: ClientJsonRpcMessage,
    /// That of a request.
    id: Option<RequestId>,
    session: Option<Arc<str>>,
    headers: Headers,
}

impl Asked {
    fn is(&self, what: fn(&ClientRequest) -> bool) -> bool {
        matches!(&self.message, JsonRpcMessage::Request(sent) if what(&sent.request))
    }

    fn is_probe(&self) -> bool {
        self.is(|request| matches!(request, ClientRequest::DiscoverRequest(_)))
    }

    /// Whether the new protocol is spoken.
    fn is_new(&self) -> bool {
        self.headers.get(&VERSION).is_some_and(|version| {
            version.as_bytes() >= ProtocolVersion::V_2026_07_28.as_str().as_bytes()
        })
    }
}

impl Client {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let pace = Arc::default();
        Self { shared, pace }
    }

    /// Asks whether the server speaks the new protocol.
    async fn probe(&self, asked: Asked) -> Answer {
        let Some(id) = asked.id.clone() else {
            return self.post(asked).await;
        };
        let answered = timeout(SILENT, async {
            match self.post(asked).await? {
                StreamableHttpPostResponse::Sse(events, _) => match response(events).await {
                    Some(message) => Ok(StreamableHttpPostResponse::Json(message, None)),
                    None => Err(self.broken_stream()),
                },
                other => Ok(other),
            }
        });
        if let Ok(answer) = answered.await {
            return answer;
        }
        self.shared.state().is_late = true;
        let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "it does not answer", None);
        let message = ServerJsonRpcMessage::error(error, Some(id));
        Ok(StreamableHttpPostResponse::Json(message, None))
    }

    fn broken_stream(&self) -> StreamableHttpError<Trouble> {
        let why = self.shared.state().broken_stream.clone();
        let why = why.unwrap_or_else(|| "its answer ended before it was whole".to_owned());
        StreamableHttpError::Client(Trouble::uncertain(why))
    }

    async fn post(&self, asked: Asked) -> Answer {
        let body = Bytes::from(serde_json::to_vec(&asked.message)?);
        let running = self.note(&asked);
        let session = asked.session.as_deref();
        let headers = asked.headers.clone();
        let headers = self.shared.headers(&Method::POST, headers, session, None);
        let sent = self.shared.send(Method::POST, headers, body).await;
        let answer = sent.map_err(StreamableHttpError::Client)?;
        let status = answer.status();
        let given = answer.headers().get(SESSION);
        let given = given.and_then(|it| Some(it.to_str().ok()?.to_owned()));
        if !status.is_success() {
            return self.refused(&asked, answer).await;
        }
        if asked.is(|request| matches!(request, ClientRequest::InitializeRequest(_))) {
            self.shared.state().session = given.as_deref().map(Arc::from);
        }
        if asked.id.is_none() || status == StatusCode::ACCEPTED {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if is(answer.headers(), EVENTS) {
            let stream = Stream::of(answer.into_body(), Arc::clone(&self.shared), running);
            return Ok(StreamableHttpPostResponse::Sse(Box::pin(stream), given));
        }
        self.json(&asked, answer, given).await
    }

    /// Remembers what is to be told to a server of the old protocol at the end.
    fn note(&self, asked: &Asked) -> Option<Running> {
        let mut state = self.shared.state();
        state.version = asked.headers.get(&VERSION).cloned();
        let is_call = asked.is(|request| matches!(request, ClientRequest::CallToolRequest(_)));
        let id = asked.id.clone().filter(|_| is_call && !asked.is_new())?;
        state.running.push(id.clone());
        Some(Running::new(Arc::clone(&self.shared), id))
    }

    async fn json(
        &self,
        asked: &Asked,
        answer: Response<Incoming>,
        session: Option<String>,
    ) -> Answer {
        let is_json = is(answer.headers(), JSON);
        let status = answer.status();
        let body = match whole(answer, LONGEST).await {
            Ok(body) => body,
            Err(Unread::TooLarge) => {
                let why = "it sent a message of more than 32 MiB";
                self.shared.fail(why);
                return Err(StreamableHttpError::Client(Trouble::uncertain(why)));
            }
            Err(Unread::Lost(error)) => {
                return Err(StreamableHttpError::Client(self.shared.lost(&error)));
            }
        };
        let Some(list) = messages(&body).filter(|list| !list.is_empty()) else {
            let mut trouble = self.shared.refused(status, &body);
            let what = if is_json {
                "JSON that is no message"
            } else {
                "no message"
            };
            trouble.why = format!("{} ({what})", trouble.why);
            return Err(StreamableHttpError::Client(Trouble::uncertain(trouble.why)));
        };
        let mut list = list;
        if list.len() == 1
            && let Some(message) = list.pop()
        {
            let message = correlated(message, asked);
            return Ok(StreamableHttpPostResponse::Json(message, session));
        }
        let stream = Stream::ready(&list, Arc::clone(&self.shared));
        Ok(StreamableHttpPostResponse::Sse(Box::pin(stream), session))
    }

    /// What an answer means that is no success.
    async fn refused(&self, asked: &Asked, answer: Response<Incoming>) -> Answer {
        let status = answer.status();
        if status == StatusCode::NOT_FOUND && asked.session.is_some() {
            return Err(StreamableHttpError::SessionExpired);
        }
        let body = beginning(answer).await;
        let is_settled = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if status == StatusCode::BAD_REQUEST && asked.session.is_some() && tells_of_session(&body) {
            return Err(StreamableHttpError::SessionExpired);
        }
        if !is_settled && let Some(id) = &asked.id {
            let told = messages(&body).and_then(|list| list.into_iter().next());
            if let Some(JsonRpcMessage::Error(mut told)) = told {
                let number = status.as_u16();
                told.id = Some(id.clone());
                let said = self.shared.target.hide(&told.error.message);
                told.error.message = format!("{said} (HTTP {number})").into();
                let message = JsonRpcMessage::Error(told);
                return Ok(StreamableHttpPostResponse::Json(message, None));
            }
            // As servers of the old protocol refuse what they do not know.
            if asked.is_probe() && status.is_client_error() {
                let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, status.to_string(), None);
                let message = ServerJsonRpcMessage::error(error, Some(id.clone()));
                return Ok(StreamableHttpPostResponse::Json(message, None));
            }
        }
        Err(StreamableHttpError::Client(
            self.shared.refused(status, &body),
        ))
    }

    async fn get(
        &self,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, StreamableHttpError<Trouble>> {
        if last_event.is_none() {
            self.rest().await;
        }
        let method = Method::GET;
        let headers =
            self.shared
                .headers(&method, headers, session.as_deref(), last_event.as_deref());
        let sent = self.shared.send(method, headers, Bytes::new()).await;
        let answer = sent.map_err(StreamableHttpError::Client)?;
        let status = answer.status();
        if status.is_success() && is(answer.headers(), EVENTS) {
            let stream = Stream::of(answer.into_body(), Arc::clone(&self.shared), None);
            return Ok(Box::pin(stream));
        }
        // What time may cure is asked for again.
        if status.is_server_error() || matches!(status.as_u16(), 404 | 408 | 429) {
            let body = beginning(answer).await;
            return Err(StreamableHttpError::Client(
                self.shared.refused(status, &body),
            ));
        }
        Err(StreamableHttpError::ServerDoesNotSupportSse)
    }

    /// Waits before a stream is asked for again that ended soon.
    async fn rest(&self) {
        let wait = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            let soon = pace.last.is_some_and(|last| last.elapsed() < LONGEST_WAIT);
            pace.wait = if soon {
                (pace.wait * 2).clamp(Duration::from_secs(1), LONGEST_WAIT)
            } else {
                Duration::ZERO
            };
            pace.last = Some(Instant::now() + pace.wait);
            pace.wait
        };
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

/// An error that a server could not give its number, since it did not read what it refuses.
fn correlated(message: ServerJsonRpcMessage, asked: &Asked) -> ServerJsonRpcMessage {
    let mut message = message;
    if let JsonRpcMessage::Error(error) = &mut message {
        error.id.clone_from(&asked.id);
    }
    message
}

/// Whether a refusal speaks of sessions: servers of older SDKs do not say by the status that they know one no more.
fn tells_of_session(body: &[u8]) -> bool {
    String::from_utf8_lossy(body)
        .to_ascii_lowercase()
        .contains("session")
}

impl StreamableHttpClient for Client {
    type Error = Trouble;

    async fn post_message(
        &self,
        _: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _: Option<String>,
        headers: Headers,
    ) -> Answer {
        let id = match &message {
            JsonRpcMessage::Request(sent) => Some(sent.id.clone()),
            _ => None,
        };
        let asked = Asked {
            message,
            id,
            session,
            headers,
        };
        let asking = async {
            if asked.is_probe() {
                self.probe(asked).await
            } else {
                self.post(asked).await
            }
        };
        tokio::select! {
            biased;
            () = self.shared.over() => Err(StreamableHttpError::Client(Trouble::settled(OVER))),
            answer = asking => answer,
        }
    }

    async fn delete_session(
        &self,
        _: Arc<str>,
        _: Arc<str>,
        _: Option<String>,
        _: Headers,
    ) -> Result<(), StreamableHttpError<Trouble>> {
        self.shared.leave();
        Ok(())
    }

    async fn get_stream(
        &self,
        _: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _: Option<String>,
        headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, StreamableHttpError<Trouble>> {
        tokio::select! {
            biased;
            // The only error after which it is not asked again.
            () = self.shared.over() => Err(StreamableHttpError::ServerDoesNotSupportSse),
            stream = self.get(session, last_event, headers) => stream,
        }
    }
}
