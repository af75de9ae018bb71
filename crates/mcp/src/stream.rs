//! The events of an answer, as the library reads them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::future::BoxFuture;
use hyper::body::{Body as _, Incoming};
use rmcp::model::{JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::Sse;

use crate::client::OVER;
use crate::events::Events;
use crate::message::messages;
use crate::remote::Shared;
use crate::trouble::Trouble;

/// A call that a server of the old protocol is at.
pub(crate) struct Running {
    shared: Arc<Shared>,
    id: RequestId,
}

impl Running {
    pub(crate) fn new(shared: Arc<Shared>, id: RequestId) -> Self {
        Self { shared, id }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.state().running.retain(|id| *id != self.id);
    }
}

/// The events of an answer.
pub(crate) struct Stream {
    /// None once it has ended.
    body: Option<Incoming>,
    events: Events,
    ready: VecDeque<Sse>,
    shared: Arc<Shared>,
    over: BoxFuture<'static, ()>,
    _running: Option<Running>,
}

impl Stream {
    pub(crate) fn of(body: Incoming, shared: Arc<Shared>, running: Option<Running>) -> Self {
        Self {
            body: Some(body),
            events: Events::default(),
            ready: VecDeque::new(),
            over: Box::pin(shared.over()),
            shared,
            _running: running,
        }
    }

    /// These messages.
    pub(crate) fn ready(list: &[ServerJsonRpcMessage], shared: Arc<Shared>) -> Self {
        Self {
            body: None,
            events: Events::default(),
            ready: list.iter().filter_map(event).collect(),
            over: Box::pin(shared.over()),
            shared,
            _running: None,
        }
    }

    /// Takes an event in as the messages that it says.
    fn take(&mut self, event: Sse) {
        if let Some(retry) = said(&event) {
            self.ready.extend(retry);
        } else {
            // Its number and its pace count all the same.
            let data = None;
            self.ready.push_back(Sse { data, ..event });
        }
    }

    fn broke(&mut self, why: String) -> SseError {
        self.body = None;
        self.shared.state().broken_stream = Some(why.clone());
        SseError::Body(Box::new(Trouble::uncertain(why)))
    }

    fn piece(&mut self, piece: &[u8]) -> Result<(), SseError> {
        if let Ok(events) = self.events.take(piece) {
            for event in events {
                self.take(event);
            }
            return Ok(());
        }
        let why = "it sent a message of more than 32 MiB";
        self.shared.fail(why);
        Err(self.broke(why.to_owned()))
    }
}

impl futures_core::Stream for Stream {
    type Item = Result<Sse, SseError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.body.is_some() && self.over.as_mut().poll(context).is_ready() {
                self.body = None;
                let trouble = Trouble::settled(OVER);
                return Poll::Ready(Some(Err(SseError::Body(Box::new(trouble)))));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match ready!(Pin::new(body).poll_frame(context)) {
                None => {
                    self.body = None;
                    let why = "its answer ended before it was whole";
                    self.shared.state().broken_stream = Some(why.to_owned());
                    if let Some(event) = self.events.rest() {
                        self.take(event);
                    }
                }
                Some(Err(error)) => {
                    let trouble = self.shared.lost(&error.into());
                    let error = self.broke(trouble.why);
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => {
                    if let Some(piece) = frame.data_ref()
                        && let Err(error) = self.piece(&piece.clone())
                    {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }
}

/// What an event says, as events that the library can read; none where that is no message.
fn said(event: &Sse) -> Option<Vec<Sse>> {
    if !matches!(event.event.as_deref(), None | Some("" | "message")) {
        return None;
    }
    let data = event.data.as_deref()?;
    if serde_json::from_str::<ServerJsonRpcMessage>(data).is_ok() {
        return Some(vec![event.clone()]);
    }
    let told = messages(data.as_bytes())?;
    let mut events: Vec<Sse> = told.iter().filter_map(self::event).collect();
    let last = events.last_mut()?;
    (last.id, last.retry) = (event.id.clone(), event.retry);
    Some(events)
}

fn event(message: &ServerJsonRpcMessage) -> Option<Sse> {
    Some(Sse::default().data(serde_json::to_string(message).ok()?))
}

/// The first response or error of a stream.
pub(crate) async fn response(
    mut events: Pin<Box<dyn futures_core::Stream<Item = Result<Sse, SseError>> + Send>>,
) -> Option<ServerJsonRpcMessage> {
    loop {
        let event = std::future::poll_fn(|context| events.as_mut().poll_next(context)).await?;
        let message = serde_json::from_str(event.ok()?.data.as_deref().unwrap_or_default());
        if let Ok(message @ (JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_))) = message {
            return Some(message);
        }
    }
}
