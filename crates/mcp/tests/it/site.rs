//! A server of HTTP/1.1 on this machine that plays one of the Model Context Protocol, and the words of such servers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use quire_mcp::{Address, Server, Transport};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use crate::world::{LONG, server, told};

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Scene {
    /// With this status, these lines of headers, and this body.
    Says(u16, Vec<String>, String),
    /// With a stream of these pieces, which ends.
    Streams(Vec<String>),
    /// With a stream of these pieces, in the middle of which the connection is cut.
    Cut(Vec<String>),
    /// With a stream of these pieces and of what is pushed, until the client closes.
    Open(Vec<String>),
    /// Not at all, until the client closes.
    Silent,
    /// With a body of this type that begins so and never ends.
    Endless(&'static str, &'static str),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) path: String,
    head: String,
    pub(crate) body: Value,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The method of the protocol, or of HTTP where there is none.
    pub(crate) fn what(&self) -> &str {
        self.body["method"].as_str().unwrap_or(&self.method)
    }

    /// This result as an answer.
    pub(crate) fn result(&self, result: &Value) -> Scene {
        json(&self.answer(result))
    }

    pub(crate) fn answer(&self, result: &Value) -> Value {
        json!({"jsonrpc": "2.0", "id": self.body["id"], "result": result})
    }

    /// The result of a call that says this.
    pub(crate) fn text(&self, text: &str) -> Scene {
        self.result(&json!({"content": [{"type": "text", "text": text}]}))
    }

    /// The answer of a call that says this, as an event.
    pub(crate) fn event(&self, text: &str) -> String {
        event(&self.answer(&json!({"content": [{"type": "text", "text": text}]})))
    }
}

pub(crate) fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

pub(crate) fn json(message: &Value) -> Scene {
    let headers = vec!["Content-Type: application/json; charset=utf-8".to_owned()];
    Scene::Says(200, headers, message.to_string())
}

pub(crate) fn says(status: u16, body: &str) -> Scene {
    Scene::Says(status, Vec::new(), body.to_owned())
}

pub(crate) fn changed() -> String {
    event(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))
}

pub(crate) fn listing(tools: &[&str]) -> Value {
    let tools: Vec<Value> = tools
        .iter()
        .map(|tool| serde_json::from_str(&told(tool)).unwrap())
        .collect();
    json!({"tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
}

/// What a server of the old protocol says that gives sessions `s0`, `s1` and so on, and has the tool `t`. What
/// `other` answers first it says otherwise.
pub(crate) fn old(
    other: impl Fn(&Got) -> Option<Scene> + Send + Sync + 'static,
) -> impl Fn(&Got) -> Scene + Send + Sync + 'static {
    let greeted = AtomicUsize::new(0);
    move |got| {
        if let Some(scene) = other(got) {
            return scene;
        }
        match got.what() {
            "server/discover" => {
                let refused = json!({"jsonrpc": "2.0", "id": "server-error",
                    "error": {"code": -32600, "message": "Bad Request: no session"}});
                Scene::Says(400, Vec::new(), refused.to_string())
            }
            "initialize" => {
                let number = greeted.fetch_add(1, Ordering::SeqCst);
                let result = json!({"protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {"listChanged": true}},
                    "serverInfo": {"name": "site", "version": "1"}});
                let Scene::Says(status, mut headers, body) = got.result(&result) else {
                    unreachable!();
                };
                headers.push(format!("Mcp-Session-Id: s{number}"));
                Scene::Says(status, headers, body)
            }
            "tools/list" => got.result(&listing(&["t"])),
            "tools/call" => got.text("called"),
            "GET" => says(405, ""),
            "DELETE" => says(200, ""),
            _ => says(202, ""),
        }
    }
}

/// What a server of the new protocol says that has the tool `t`. What `other` answers first it says otherwise.
pub(crate) fn new(
    other: impl Fn(&Got) -> Option<Scene> + Send + Sync + 'static,
) -> impl Fn(&Got) -> Scene + Send + Sync + 'static {
    move |got| {
        if let Some(scene) = other(got) {
            return scene;
        }
        match got.what() {
            "server/discover" => got.result(&json!({"resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {"listChanged": true}}, "ttlMs": 0, "cacheScope": "private",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "site", "version": "2"}}})),
            "tools/list" => got.result(&listing(&["t"])),
            "tools/call" => got.text("called"),
            "subscriptions/listen" => says(404, ""),
            _ => says(405, ""),
        }
    }
}

struct Stage {
    play: Box<dyn Fn(&Got) -> Scene + Send + Sync>,
    got: Mutex<Vec<Got>>,
    pushed: broadcast::Sender<String>,
    /// Streams that are open, and requests whose client closed before they were answered to the end.
    open: watch::Sender<usize>,
    closed: watch::Sender<usize>,
    /// Bytes of bodies without end that were taken.
    sent: AtomicUsize,
}

/// The server.
pub(crate) struct Site {
    pub(crate) url: String,
    stage: Arc<Stage>,
}

impl Site {
    pub(crate) async fn plays(play: impl Fn(&Got) -> Scene + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let stage = Arc::new(Stage {
            play: Box::new(play),
            got: Mutex::default(),
            pushed: broadcast::Sender::new(16),
            open: watch::Sender::new(0),
            closed: watch::Sender::new(0),
            sent: AtomicUsize::new(0),
        });
        let behind = Arc::clone(&stage);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&behind)));
            }
        });
        Self { url, stage }
    }

    /// The server as it is described, by the name `s`.
    pub(crate) fn server(&self) -> Server {
        at(&self.url)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.stage.got.lock().unwrap().clone()
    }

    /// What was asked, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        let got = self.got();
        got.iter().map(|got| got.what().to_owned()).collect()
    }

    /// How often this was asked.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.asked().iter().filter(|it| *it == what).count()
    }

    /// The requests that asked this.
    pub(crate) fn which(&self, what: &str) -> Vec<Got> {
        let mut got = self.got();
        got.retain(|got| got.what() == what);
        got
    }

    /// Sends this on all streams that are open.
    pub(crate) fn push(&self, piece: &str) {
        self.stage.pushed.send(piece.to_owned()).unwrap();
    }

    pub(crate) fn sent(&self) -> usize {
        self.stage.sent.load(Ordering::SeqCst)
    }

    /// Waits until so many streams are open.
    pub(crate) async fn has_open(&self, count: usize) {
        let mut open = self.stage.open.subscribe();
        let open = open.wait_for(|open| *open == count);
        timeout(LONG, open).await.unwrap().unwrap();
    }

    /// Waits until the client has closed so many requests that were not answered to the end.
    pub(crate) async fn has_closed(&self, count: usize) {
        let mut closed = self.stage.closed.subscribe();
        let closed = closed.wait_for(|closed| *closed >= count);
        timeout(LONG, closed).await.unwrap().unwrap();
    }

    /// Waits until this was asked so often.
    pub(crate) async fn was_asked(&self, what: &str, count: usize) {
        let asked = async {
            while self.count(what) < count {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, asked).await.unwrap();
    }
}

/// A server at this URL, by the name `s`.
pub(crate) fn at(url: &str) -> Server {
    let mut server = server("s", "");
    server.transport = Transport::Http(Address {
        url: url.to_owned(),
        headers: Vec::new(),
    });
    server
}

/// The address of a described server.
pub(crate) fn address(server: &mut Server) -> &mut Address {
    match &mut server.transport {
        Transport::Http(address) => address,
        other @ Transport::Process(_) => panic!("{other:?}"),
    }
}

async fn serve(mut stream: TcpStream, stage: Arc<Stage>) {
    while let Some(got) = read_request(&mut stream).await {
        if got.method == "CONNECT" {
            stage.got.lock().unwrap().push(got);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            continue;
        }
        stage.got.lock().unwrap().push(got.clone());
        let scene = (stage.play)(&got);
        if play(&mut stream, &stage, scene).await.is_none() {
            return;
        }
    }
}

/// Answers; none where that ends the connection.
async fn play(stream: &mut TcpStream, stage: &Stage, scene: Scene) -> Option<()> {
    match scene {
        Scene::Says(status, headers, body) => {
            let mut lines = vec![format!("HTTP/1.1 {status} x")];
            lines.extend(headers);
            lines.push(format!("Content-Length: {}", body.len()));
            let answer = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
            stream.write_all(answer.as_bytes()).await.ok()
        }
        Scene::Streams(pieces) => {
            begin(stream, "text/event-stream", &pieces).await?;
            stream.write_all(b"0\r\n\r\n").await.ok()
        }
        Scene::Cut(pieces) => {
            begin(stream, "text/event-stream", &pieces).await?;
            None
        }
        Scene::Open(pieces) => {
            let mut pushed = stage.pushed.subscribe();
            begin(stream, "text/event-stream", &pieces).await?;
            stage.open.send_modify(|open| *open += 1);
            let mut rest = [0; 64];
            loop {
                tokio::select! {
                    piece = pushed.recv() => chunk(stream, &piece.unwrap()).await?,
                    read = stream.read(&mut rest) => {
                        assert!(!matches!(read, Ok(1..)), "a request on a stream that is open");
                        break;
                    }
                }
            }
            stage.open.send_modify(|open| *open -= 1);
            stage.closed.send_modify(|closed| *closed += 1);
            None
        }
        Scene::Silent => {
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
            stage.closed.send_modify(|closed| *closed += 1);
            None
        }
        Scene::Endless(kind, beginning) => {
            begin(stream, kind, &[beginning.to_owned()]).await?;
            let much = "x".repeat(1 << 20);
            while chunk(stream, &much).await.is_some() {
                stage.sent.fetch_add(much.len(), Ordering::SeqCst);
            }
            stage.closed.send_modify(|closed| *closed += 1);
            None
        }
    }
}

async fn begin(stream: &mut TcpStream, kind: &str, pieces: &[String]) -> Option<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    for piece in pieces {
        chunk(stream, piece).await?;
    }
    Some(())
}

async fn chunk(stream: &mut TcpStream, piece: &str) -> Option<()> {
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    stream.write_all(chunk.as_bytes()).await.ok()
}

async fn read_request(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut words = head.split(' ').map(str::to_owned);
    let mut got = Got {
        method: words.next().unwrap(),
        path: words.next().unwrap(),
        head,
        body: Value::Null,
    };
    let length = got
        .header("content-length")
        .map_or(0, |it| it.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    if length > 0 {
        got.body = serde_json::from_slice(&bytes[end..]).unwrap();
    }
    Some(got)
}
