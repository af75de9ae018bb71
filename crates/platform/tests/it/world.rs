//! A platform in this process over a depot of its own, with clients and upstreams on real sockets.
//!
//! ```ignore
//! let upstream = Upstream::start(|seen| Answer::json(&json!({…}))).await;
//! let world = World::start(&config(&[("chat", &upstream)])).await;
//! let reply = world.client("workspace").await.post("/v1/responses", &json!({…})).await;
//! ```

mod client;
mod upstream;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use quire_catalogue::Catalogue;
use quire_platform::{App, NewKey, Operator, Secrets};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use client::{Client, Reply, Socket, Streaming};
pub use upstream::{
    Answer, Seen, Upstream, chat_stream, messages_stream, response_object, responses_stream, sse,
};

/// The admin key of every world.
pub const ADMIN_KEY: &str = "the-admin-key-of-this-world";

/// A platform that runs.
pub struct World {
    /// Where it listens.
    pub address: SocketAddr,
    /// By this its keys are made and its config is found.
    pub operator: Operator,
    /// The platform itself.
    pub app: Arc<App>,
    folder: Arc<TempDir>,
    end: oneshot::Sender<()>,
    ran: JoinHandle<()>,
}

impl World {
    /// Starts one by a config. A free port is chosen; `listen` is not to be set.
    pub async fn start(config: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        std::fs::write(
            folder.path().join("platform.toml"),
            format!("listen = \"127.0.0.1:0\"\n{config}"),
        )
        .unwrap();
        Self::start_in(folder).await
    }

    async fn start_in(folder: Arc<TempDir>) -> Self {
        let operator = operator(folder.path());
        let (app, server) = operator.server().await.unwrap();
        let address = server.address().unwrap();
        let (end, told) = oneshot::channel();
        let ran = tokio::spawn(server.run(async {
            let _ = told.await;
        }));
        Self {
            address,
            operator,
            app,
            folder,
            end,
            ran,
        }
    }

    /// A second server over the same depot and config, at another port.
    pub async fn beside(&self) -> Self {
        Self::start_in(Arc::clone(&self.folder)).await
    }

    /// A client with a new key of a workspace, which is made if it is not there.
    pub async fn client(&self, workspace: &str) -> Client {
        self.client_with(workspace, NewKey::default()).await
    }

    /// A client with a new key that is as it is said here.
    pub async fn client_with(&self, workspace: &str, key: NewKey) -> Client {
        let secret = self.operator.add_key(workspace, key).await.unwrap();
        Client::new(self.address, secret.reveal())
    }

    /// A client without a key.
    pub fn stranger(&self) -> Client {
        Client::new(self.address, "")
    }

    /// The folder with all that it keeps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it in order, as it ends by a signal.
    pub async fn end(self) -> Ended {
        let _ = self.end.send(());
        self.ran.await.unwrap();
        Ended(self.folder)
    }

    /// Ends it in the middle of everything, as far as that can be had without a process of its own: nothing is
    /// served any more, and what was spawned besides goes on.
    pub async fn abort(self) -> Ended {
        self.ran.abort();
        let _ = self.ran.await;
        Ended(self.folder)
    }
}

/// What is left of a world that ended.
pub struct Ended(Arc<TempDir>);

impl Ended {
    /// Starts it anew over what was kept, at another port.
    pub async fn again(self) -> World {
        World::start_in(self.0).await
    }
}

fn operator(folder: &Path) -> Operator {
    let variables = [
        ("QUIRE_ADMIN_KEY", ADMIN_KEY),
        ("UPSTREAM_KEY", "upstream-secret"),
    ];
    Operator {
        file: folder.join("platform.toml"),
        data: folder.to_owned(),
        secrets: Secrets {
            variables: HashMap::from(
                variables.map(|(name, value)| (name.to_owned(), value.to_owned())),
            ),
            ..Secrets::default()
        },
        catalogue: Arc::new(Catalogue::default()),
    }
}

/// A config in which each upstream has its dialect as its name, and serves the model `m-DIALECT` and, the first of
/// them, `m` too.
pub fn config(upstreams: &[(&str, &Upstream)]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    if upstreams.is_empty() {
        text.push_str(
            "[upstreams.nowhere]\ndialect = \"chat\"\nbase_url = \"http://127.0.0.1:9\"\n",
        );
        text.push_str("[models.m]\nroutes = [{ upstream = \"nowhere\" }]\n");
    }
    for (index, (dialect, upstream)) in upstreams.iter().enumerate() {
        let address = upstream.address;
        let _ = writeln!(
            text,
            "[upstreams.{dialect}]\ndialect = \"{dialect}\"\nbase_url = \"http://{address}\""
        );
        let _ = writeln!(
            text,
            "[models.m-{dialect}]\nroutes = [{{ upstream = \"{dialect}\", model = \"m\" }}]"
        );
        if index == 0 {
            let _ = writeln!(
                text,
                "[models.m]\nroutes = [{{ upstream = \"{dialect}\" }}]"
            );
        }
    }
    text
}
