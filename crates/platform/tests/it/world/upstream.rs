//! An upstream that a test makes up: a real server that notes what it is asked and answers as it is told.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path with its query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Seen {
    /// Its body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is answered.
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Piece>,
}

enum Piece {
    Bytes(Bytes),
    /// What follows comes once this is told.
    Wait(Arc<Notify>),
    /// Nothing follows, ever.
    Hang,
    /// This again and again, as fast as it is read; the bytes are counted.
    ForEver(Bytes, Arc<AtomicUsize>),
    /// The connection breaks.
    Break,
}

impl Answer {
    /// A status and a body of JSON.
    pub fn status(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            pieces: vec![Piece::Bytes(body.to_string().into())],
        }
    }

    /// A body of JSON.
    pub fn json(body: &Value) -> Self {
        Self::status(200, body)
    }

    /// A stream that begins with this text of server-sent events.
    pub fn stream(text: impl Into<String>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "text/event-stream".to_owned())],
            pieces: vec![Piece::Bytes(text.into().into())],
        }
    }

    /// The same with a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same, with another piece of body.
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.pieces.push(Piece::Bytes(text.into().into()));
        self
    }

    /// The same, cut off in the middle of its text.
    pub fn cut(mut self) -> Self {
        if let Some(Piece::Bytes(bytes)) = self.pieces.last_mut() {
            bytes.truncate(bytes.len() / 2);
        }
        self
    }

    /// The same; what follows comes once `until` is told.
    pub fn wait(mut self, until: &Arc<Notify>) -> Self {
        self.pieces.push(Piece::Wait(Arc::clone(until)));
        self
    }

    /// The same; then nothing comes, and it does not end.
    pub fn hang(mut self) -> Self {
        self.pieces.push(Piece::Hang);
        self
    }

    /// The same; then this text again and again, as fast as it is read. `sent` counts its bytes.
    pub fn for_ever(mut self, text: impl Into<String>, sent: &Arc<AtomicUsize>) -> Self {
        let piece = Piece::ForEver(text.into().into(), Arc::clone(sent));
        self.pieces.push(piece);
        self
    }

    /// The same; then the connection breaks.
    pub fn broken(mut self) -> Self {
        self.pieces.push(Piece::Break);
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let pieces = futures_util::stream::iter(self.pieces).flat_map(Piece::frames);
        response.body(StreamBody::new(pieces.boxed())).unwrap()
    }
}

impl Piece {
    fn frames(
        self,
    ) -> futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, std::io::Error>> {
        use futures_util::stream;
        match self {
            Self::Bytes(bytes) => stream::iter([Ok(Frame::data(bytes))]).boxed(),
            Self::Wait(until) => stream::once(async move { until.notified().await })
                .filter_map(|()| async { None })
                .boxed(),
            Self::Hang => stream::pending().boxed(),
            Self::ForEver(bytes, sent) => stream::repeat_with(move || {
                sent.fetch_add(bytes.len(), Ordering::SeqCst);
                Ok(Frame::data(bytes.clone()))
            })
            .boxed(),
            Self::Break => stream::once(async {
                // What came before it goes out first.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("broken off"))
            })
            .boxed(),
        }
    }
}

type Body =
    StreamBody<futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>>;

/// An upstream that runs until its test ends.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Told with each request that came whole.
    came: Arc<Notify>,
}

impl Upstream {
    /// Starts one that answers each request by a function of it.
    pub async fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            came: Arc::default(),
        };
        let (answer, seen, came) = (
            Arc::new(answer),
            Arc::clone(&upstream.seen),
            Arc::clone(&upstream.came),
        );
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answer, seen, came) =
                    (Arc::clone(&answer), Arc::clone(&seen), Arc::clone(&came));
                let service = service_fn(move |request| {
                    let (answer, seen, came) =
                        (Arc::clone(&answer), Arc::clone(&seen), Arc::clone(&came));
                    async move {
                        let request = take(request).await;
                        let answer = answer(&request);
                        seen.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(request);
                        came.notify_one();
                        Ok::<_, Infallible>(answer.into_response())
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service);
                tokio::spawn(connection);
            }
        });
        upstream
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The last thing that it was asked.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.seen().pop().unwrap()
    }

    /// Waits until it has been asked so often.
    pub async fn asked(&self, times: usize) {
        while self.seen().len() < times {
            self.came.notified().await;
        }
    }
}

async fn take(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default(),
    }
}

/// Server-sent events, named by the `type` of each.
pub fn sse(events: &[Value]) -> String {
    let mut text = String::new();
    for event in events {
        if let Some(name) = event["type"].as_str() {
            let _ = writeln!(text, "event: {name}");
        }
        let _ = write!(text, "data: {event}\n\n");
    }
    text
}

/// A stream of Chat Completions that says something.
pub fn chat_stream(said: &str) -> String {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let usage = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}});
    let events = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": said}), Value::Null),
        chunk(json!({}), json!("stop")),
        usage,
    ];
    sse(&events) + "data: [DONE]\n\n"
}

/// A stream of Messages that says something.
pub fn messages_stream(said: &str) -> String {
    sse(&[
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
            "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 11, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": said}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ])
}

/// A response with all fields that one has.
#[expect(
    clippy::needless_pass_by_value,
    reason = "each is written where it is handed in"
)]
pub fn response_object(id: &str, status: &str, output: Value, usage: Value) -> Value {
    json!({"id": id, "object": "response", "created_at": 1, "completed_at": null, "status": status,
        "model": "m", "output": output, "usage": usage, "error": null, "incomplete_details": null,
        "instructions": null, "previous_response_id": null, "store": false, "background": false,
        "tools": [], "tool_choice": "auto", "parallel_tool_calls": true, "truncation": "disabled",
        "text": {"format": {"type": "text"}}, "reasoning": {"effort": null, "summary": null},
        "temperature": 1.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
        "top_logprobs": 0, "max_output_tokens": null, "max_tool_calls": null, "service_tier": "default",
        "metadata": {}, "safety_identifier": null, "prompt_cache_key": null})
}

/// A stream of Responses that says something, with an id of the upstream's own.
pub fn responses_stream(id: &str, said: &str) -> String {
    let response = |status, output, usage| response_object(id, status, output, usage);
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let item = |status: &str, content: Value| json!({"id": "msg_u1", "type": "message", "role": "assistant", "status": status, "content": content});
    let done = item("completed", json!([part(said)]));
    let usage = json!({"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18});
    let at = |event: Value| {
        let mut event = event;
        event["item_id"] = json!("msg_u1");
        event["output_index"] = json!(0);
        event["content_index"] = json!(0);
        event
    };
    let mut events = vec![
        json!({"type": "response.created", "response": response("in_progress", json!([]), Value::Null)}),
        json!({"type": "response.in_progress", "response": response("in_progress", json!([]), Value::Null)}),
        json!({"type": "response.output_item.added", "output_index": 0,
            "item": item("in_progress", json!([]))}),
        at(json!({"type": "response.content_part.added", "part": part("")})),
        at(json!({"type": "response.output_text.delta", "delta": said, "logprobs": []})),
        at(json!({"type": "response.output_text.done", "text": said, "logprobs": []})),
        at(json!({"type": "response.content_part.done", "part": part(said)})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": done.clone()}),
        json!({"type": "response.completed", "response": response("completed", json!([done]), usage)}),
    ];
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    sse(&events)
}
