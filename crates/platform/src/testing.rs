//! A platform in a folder of its own, for tests: its router is called directly, its upstreams are real sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use quire_catalogue::Catalogue;
use quire_depot::{Depot, Place, Spool};
use serde_json::Value;
use tower_service::Service as _;

use crate::app::{App, Secrets};
use crate::config::Config;
use crate::directory::{Directory, NewKey};

/// The admin key of every world.
pub(crate) const ADMIN: &str = "the admin key of this test";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) app: Arc<App>,
    router: Router,
    folder: Arc<tempfile::TempDir>,
}

fn variables() -> [(String, String); 2] {
    [
        ("QUIRE_ADMIN_KEY".to_owned(), ADMIN.to_owned()),
        ("UP_KEY".to_owned(), "the upstream's secret".to_owned()),
    ]
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl World {
    pub(crate) async fn new(config: &str) -> Self {
        Self::with(config, &variables()).await
    }

    pub(crate) async fn with(config: &str, variables: &[(String, String)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::over(folder, config, variables).await
    }

    /// Another server over the same store, or the same one after a restart.
    pub(crate) async fn beside(&self, config: &str) -> Self {
        Self::over(Arc::clone(&self.folder), config, &variables()).await
    }

    async fn over(
        folder: Arc<tempfile::TempDir>,
        config: &str,
        variables: &[(String, String)],
    ) -> Self {
        let depot = Depot::open(&Place::Folder(folder.path().to_owned()))
            .await
            .unwrap();
        let spool = Spool::open(&folder.path().join("spool")).unwrap();
        let secrets = Secrets {
            variables: variables.iter().cloned().collect(),
            ..Secrets::default()
        };
        let app = App::new(
            Config::parse(config).unwrap(),
            secrets,
            depot,
            spool,
            Arc::new(Catalogue::default()),
            b"0123456789abcdef",
        );
        let app = app.await.unwrap();
        let router = app.router();
        Self {
            app,
            router,
            folder,
        }
    }

    /// A key of a workspace, which is made too.
    pub(crate) async fn key(&self, workspace: &str) -> String {
        self.key_with(workspace, NewKey::default()).await
    }

    /// A key that is as it is said here.
    pub(crate) async fn key_with(&self, workspace: &str, new: NewKey) -> String {
        let directory = Directory(self.app.depot().access());
        let workspace = match directory.workspace(workspace).await.unwrap() {
            Some(workspace) => workspace,
            None => directory.add_workspace(workspace).await.unwrap(),
        };
        let new = NewKey {
            name: "for tests".to_owned(),
            ..new
        };
        let (_, secret) = directory.add_key(&workspace, new).await.unwrap();
        secret.reveal().to_owned()
    }

    pub(crate) async fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Came {
        let mut request = Request::new(Body::from(body.to_owned()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse().unwrap();
        for (name, value) in headers {
            let name = axum::http::HeaderName::try_from(*name).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let response: Response<Body> = self.router.clone().call(request).await.unwrap();
        let (head, body) = response.into_parts();
        Came {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// Asks the admin API.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Value) -> Came {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.send(&method, path, &[("x-api-key", ADMIN)], &body)
            .await
    }

    /// Asks for a model.
    pub(crate) async fn messages(&self, key: &str, headers: &[(&str, &str)], body: &Value) -> Came {
        let headers = [
            &[("x-api-key", key), ("anthropic-version", "2023-06-01")],
            headers,
        ]
        .concat();
        self.send(&Method::POST, "/v1/messages", &headers, &body.to_string())
            .await
    }
}

impl Came {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A server that answers each request with the next of its answers, the last one over and over.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    requests: Mutex<Receiver<String>>,
}

impl Peer {
    pub(crate) fn new(answers: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, requests) = channel();
        let answers = answers.to_vec();
        std::thread::spawn(move || {
            let each = answers
                .iter()
                .chain(std::iter::repeat(&answers[answers.len() - 1]));
            for (socket, answer) in listener.incoming().map_while(Result::ok).zip(each) {
                serve(socket, answer, &tell);
            }
        });
        Self {
            address,
            requests: Mutex::new(requests),
        }
    }

    /// The next request, head and body.
    pub(crate) fn request(&self) -> String {
        self.requests
            .lock()
            .unwrap()
            .recv_timeout(PATIENCE)
            .unwrap()
    }
}

fn serve(mut socket: TcpStream, answer: &str, tell: &Sender<String>) {
    let mut all = Vec::new();
    let mut piece = [0; 8_192];
    loop {
        let text = String::from_utf8_lossy(&all);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_it = name.eq_ignore_ascii_case("content-length");
                is_it.then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        match socket.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(length) => all.extend_from_slice(&piece[..length]),
        }
    }
    let _ = tell.send(String::from_utf8_lossy(&all).into_owned());
    let _ = socket.write_all(answer.as_bytes());
}

/// An answer of HTTP.
pub(crate) fn http(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A whole answer of Messages.
pub(crate) fn reply() -> String {
    let body = serde_json::json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5",
        "content": [{"type": "text", "text": "the answer's words"}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 3},
    });
    http("200 OK", "application/json", &body.to_string())
}

/// A config with one upstream, and more of it before that.
pub(crate) fn config(address: SocketAddr, more: &str) -> String {
    format!(
        "{more}\n[upstreams.up]\ndialect = \"messages\"\nbase_url = \"http://{address}\"\n\
         key_env = \"UP_KEY\"\n[models.\"claude-*\"]\nroutes = [{{ upstream = \"up\" }}]\n"
    )
}
