//! A client: one connection for each request, answers whole or event by event.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Somebody who calls the platform.
#[derive(Clone)]
pub struct Client {
    /// Whom it calls.
    pub address: SocketAddr,
    /// Its key; none when empty.
    pub key: String,
    headers: Vec<(String, String)>,
}

impl Client {
    /// One with a key, which travels as `Authorization: Bearer`.
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self {
            address,
            key: key.to_owned(),
            headers: Vec::new(),
        }
    }

    /// The same with a header on each request.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut with = self.clone();
        with.headers.push((name.to_owned(), value.to_owned()));
        with
    }

    /// The same, speaking as Anthropic's SDK does.
    pub fn anthropic(&self) -> Self {
        self.with("anthropic-version", "2023-06-01")
    }

    /// The same, calling another server.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::POST, path, body.to_string().into()).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    /// Any request, answered whole.
    pub async fn ask(&self, method: Method, path: &str, body: Bytes) -> Reply {
        let (head, body) = self.send(method, path, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        }
    }

    /// `POST` of JSON, answered event by event.
    pub async fn stream(&self, path: &str, body: &Value) -> Streaming {
        self.streaming(Method::POST, path, body.to_string().into())
            .await
    }

    /// Any request, answered event by event.
    pub async fn streaming(&self, method: Method, path: &str, body: Bytes) -> Streaming {
        let (head, body) = self.send(method, path, body).await.into_parts();
        Streaming {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            text: String::new(),
        }
    }

    /// Opens a WebSocket.
    pub async fn socket(&self, path: &str) -> Socket {
        let mut request = format!("ws://{}{path}", self.address)
            .into_client_request()
            .unwrap();
        let bearer = format!("Bearer {}", self.key).parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let socket = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = client_async(request, socket).await.unwrap();
        Socket(socket)
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Response<Incoming> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string());
        let says_what = self.headers.iter().any(|(name, _)| name == "content-type");
        if !body.is_empty() && !says_what {
            request = request.header("content-type", "application/json");
        }
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).unwrap();
        sender.send_request(request).await.unwrap()
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body's server-sent events.
    pub fn events(&self) -> Vec<(String, Value)> {
        let text = self.text();
        text.split("\n\n").filter_map(event).collect()
    }
}

/// An answer that comes event by event.
pub struct Streaming {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    text: String,
}

impl Streaming {
    /// The next event's name and data; none at the end. Comments and `[DONE]` are left out.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let found: String = self.text.drain(..end + 2).collect();
                if let Some(event) = event(&found) {
                    return Some(event);
                }
            }
            let frame = self.body.frame().await?;
            if let Ok(data) = frame.unwrap().into_data() {
                self.text.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
    }

    /// Reads on until this came, comments and all.
    pub async fn until(&mut self, text: &str) {
        while !self.text.contains(text) {
            let frame = self.body.frame().await;
            let frame = frame.unwrap_or_else(|| panic!("no {text:?} in {:?}", self.text));
            if let Ok(data) = frame.unwrap().into_data() {
                self.text.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
    }

    /// All that is still to come.
    pub async fn rest(&mut self) -> Vec<(String, Value)> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push(event);
        }
        rest
    }
}

/// A WebSocket of JSON.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Sends a value.
    pub async fn send(&mut self, value: &Value) {
        self.0.send(Message::text(value.to_string())).await.unwrap();
    }

    /// Sends a message as it is.
    pub async fn send_message(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next value; none when it is closed.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                ) => {}
            }
        }
    }

    /// Everything up to the end of a response, or an error.
    pub async fn answer(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.unwrap();
            let kind = event["type"].as_str().unwrap().to_owned();
            events.push(event);
            let ends = [
                "response.completed",
                "response.incomplete",
                "response.failed",
                "error",
            ];
            if ends.contains(&kind.as_str()) {
                return events;
            }
        }
    }

    /// Sends a request and returns how it ended.
    pub async fn ask(&mut self, request: &Value) -> Value {
        let mut create = request.clone();
        create["type"] = "response.create".into();
        self.send(&create).await;
        self.answer().await.pop().unwrap()
    }

    /// Closes it.
    pub async fn close(mut self) {
        let _ = self.0.close(None).await;
        while self.0.next().await.is_some_and(|message| message.is_ok()) {}
    }
}

fn event(text: &str) -> Option<(String, Value)> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim_start)
    };
    let data = serde_json::from_str(field("data:")?).ok()?;
    Some((field("event:").unwrap_or_default().to_owned(), data))
}
