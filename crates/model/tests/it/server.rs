//! A loopback HTTP/1.1 server that plays scenes, and the model under test in front of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use quire_catalogue::Catalogue;
use quire_dialect::Dialect;
use quire_model::{HttpModel, Provider, RetryPolicy, Secret};
use quire_protocol::{
    Content, Delta, Effort, Item, MessageId, Model, ModelEvent, ModelFailure, ModelRequest, Prefix,
    Purpose, Reply, RequestId, SessionId, ToolInput, ToolSpec, Transcript,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How a request is answered.
#[derive(Clone)]
pub(crate) enum Scene {
    /// Send this and keep the connection.
    Send(Vec<u8>),
    /// Send this and close the connection.
    Cut(Vec<u8>),
    /// Send this and then nothing, until the client closes.
    Hang(Vec<u8>),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

struct Stage {
    scenes: Mutex<VecDeque<Scene>>,
    got: Mutex<Vec<Got>>,
    hung_up: mpsc::UnboundedSender<()>,
}

/// The server.
pub(crate) struct Server {
    pub(crate) url: String,
    stage: Arc<Stage>,
    hung_up: mpsc::UnboundedReceiver<()>,
}

impl Server {
    pub(crate) async fn start(scenes: impl IntoIterator<Item = Scene>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, hung_up) = mpsc::unbounded_channel();
        let stage = Arc::new(Stage {
            scenes: Mutex::new(scenes.into_iter().collect()),
            got: Mutex::default(),
            hung_up: sender,
        });
        let behind = Arc::clone(&stage);
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                tokio::spawn(serve(stream, connection, Arc::clone(&behind)));
            }
        });
        Self {
            url,
            stage,
            hung_up,
        }
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.stage.got.lock().unwrap().clone()
    }

    /// Waits until the client has closed the connection of a [`Scene::Hang`].
    pub(crate) async fn hung_up(&mut self) {
        let waiting = self.hung_up.recv();
        let closed = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert_eq!(
            closed,
            Ok(Some(())),
            "the client did not close the connection"
        );
    }

    pub(crate) fn provider(&self, dialect: Dialect) -> Provider {
        let mut provider = Provider::new("test", dialect);
        provider.base_url = match dialect {
            Dialect::Messages => self.url.clone(),
            Dialect::Responses | Dialect::Chat => format!("{}/v1", self.url),
        };
        provider.key = Some(Secret::new("k"));
        provider
    }

    pub(crate) fn model(&self, dialect: Dialect) -> HttpModel {
        model(self.provider(dialect), quick())
    }
}

async fn serve(mut stream: TcpStream, connection: usize, stage: Arc<Stage>) {
    while let Some((head, body)) = read_request(&mut stream).await {
        let got = Got {
            connection,
            head,
            body,
        };
        stage.got.lock().unwrap().push(got);
        let scene = stage.scenes.lock().unwrap().pop_front();
        match scene {
            Some(Scene::Send(bytes)) => stream.write_all(&bytes).await.unwrap(),
            Some(Scene::Cut(bytes)) => {
                stream.write_all(&bytes).await.unwrap();
                return;
            }
            Some(Scene::Hang(bytes)) => {
                stream.write_all(&bytes).await.unwrap();
                let mut rest = [0; 64];
                while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
                let _ = stage.hung_up.send(());
                return;
            }
            None => {
                let nothing = b"HTTP/1.1 418 no scene left\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(nothing).await.unwrap();
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
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
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let wanted = name.eq_ignore_ascii_case("content-length");
        wanted.then(|| value.trim().parse::<usize>().unwrap())
    });
    while bytes.len() < end + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, String::from_utf8(bytes[end..].to_vec()).unwrap()))
}

/// A policy that waits for milliseconds where the real one waits for seconds.
pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy {
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(4),
        longest_busy_wait: Duration::from_millis(4),
        ..RetryPolicy::default()
    }
}

pub(crate) fn model(provider: Provider, retry: RetryPolicy) -> HttpModel {
    HttpModel::new(provider, Arc::new(Catalogue::builtin()), retry)
}

pub(crate) fn user(text: &str) -> Item {
    Item::User {
        message: MessageId::new(text),
        content: vec![Content::text(text)],
    }
}

pub(crate) fn request(model: &str) -> ModelRequest {
    with_transcript(model, [user("hi")].into_iter().collect())
}

pub(crate) fn with_transcript(model: &str, transcript: Transcript) -> ModelRequest {
    let tool = ToolSpec {
        name: "shell".into(),
        description: "Runs a command.".into(),
        input: ToolInput::Json(serde_json::json!({"type": "object"})),
    };
    ModelRequest {
        session: SessionId::new("session-1"),
        request: RequestId(1),
        model: model.to_owned(),
        prefix: Arc::new(Prefix {
            instructions: "Be brief.".into(),
            tools: vec![tool],
            ..Prefix::default()
        }),
        transcript,
        effort: Effort::High,
        output_schema: None,
        purpose: Purpose::Work,
        provider_compaction: None,
        region: None,
    }
}

/// All that came: the live fragments and the end.
pub(crate) async fn ask(model: &dyn Model, request: ModelRequest) -> (Vec<Delta>, ModelEvent) {
    let mut events: Vec<ModelEvent> = model.respond(request).collect().await;
    let last = events
        .pop()
        .expect("a stream never ends without a last word");
    let deltas = events.into_iter().filter_map(|event| match event {
        ModelEvent::Delta(delta) => Some(delta),
        ModelEvent::Used { .. } => None,
        other => panic!("{other:?} is not the last element"),
    });
    (deltas.collect(), last)
}

pub(crate) async fn reply(model: &dyn Model, request: ModelRequest) -> Reply {
    match ask(model, request).await.1 {
        ModelEvent::Finished(reply) => reply,
        other => panic!("no answer: {other:?}"),
    }
}

pub(crate) async fn failure(model: &dyn Model, request: ModelRequest) -> ModelFailure {
    match ask(model, request).await.1 {
        ModelEvent::Failed(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}
