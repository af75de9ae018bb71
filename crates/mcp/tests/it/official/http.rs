//! The same servers, reached by HTTP.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use quire_mcp::{Server, ServerState};
use quire_protocol::*;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::bare::command;
use crate::site::at;
use crate::world::*;

/// A server that runs elsewhere. Dropping it ends it.
struct Elsewhere {
    argv: Vec<String>,
    port: u16,
    folder: tempfile::TempDir,
    process: Child,
}

impl Elsewhere {
    /// This program, which listens to the port that stands in its environment and behind its arguments.
    async fn runs(path: &str, arguments: &[&str]) -> Option<Self> {
        let program = super::program(path)?;
        let mut argv = vec![program.to_str().unwrap().to_owned()];
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        let process = start(&argv, port, &folder).await;
        Some(Self {
            argv,
            port,
            folder,
            process,
        })
    }

    fn end(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn restart(&mut self) {
        self.end();
        self.process = start(&self.argv, self.port, &self.folder).await;
    }

    fn server(&self) -> Server {
        at(&format!("http://127.0.0.1:{}/mcp", self.port))
    }

    fn has(&self, file: &str) -> bool {
        self.folder.path().join(file).exists()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a server, and returns once it says that it listens.
async fn start(argv: &[String], port: u16, folder: &tempfile::TempDir) -> Child {
    let mut process = command(&argv[0])
        .args(&argv[1..])
        .arg(port.to_string())
        .env("PORT", port.to_string())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let errors = BufReader::new(process.stderr.take().unwrap());
    let (listens, listening) = oneshot::channel();
    std::thread::spawn(move || {
        let mut listens = Some(listens);
        // Read to the end, so that it is never held up.
        for line in errors.lines().map_while(Result::ok) {
            if ["listening on", "running on"]
                .iter()
                .any(|it| line.contains(it))
                && let Some(listens) = listens.take()
            {
                listens.send(()).unwrap();
            }
        }
    });
    timeout(LONG, listening).await.unwrap().unwrap();
    process
}

fn script(name: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    folder.join(name).to_str().unwrap().to_owned()
}

async fn world_of(elsewhere: &Elsewhere, version: &str) -> World {
    let world = World::with(vec![elsewhere.server()]).await;
    match world.state() {
        ServerState::There { protocol, .. } => assert_eq!(protocol, version),
        other => panic!("{other:?}"),
    }
    world
}

#[tokio::test]
async fn the_server_of_everything() {
    let program = "servers-js/node_modules/.bin/mcp-server-everything";
    let Some(mut elsewhere) = Elsewhere::runs(program, &["streamableHttp"]).await else {
        return;
    };
    let world = world_of(&elsewhere, "2025-11-25").await;
    for (tool, arguments, expected) in [
        ("echo", r#"{"message": "ü"}"#, "Echo: ü"),
        (
            "trigger-long-running-operation",
            r#"{"duration": 0.2, "steps": 2}"#,
            "Long running operation completed",
        ),
    ] {
        let said = world.does(&format!("mcp__s__{tool}"), arguments).await;
        assert!(said.contains(expected), "{said}");
    }
    // It knows the session no more.
    elsewhere.restart().await;
    let said = world.does("mcp__s__echo", r#"{"message": "a"}"#).await;
    assert_eq!(said, "Echo: a");
    elsewhere.end();
    let said = world.fails("mcp__s__echo", r#"{"message": "a"}"#).await;
    assert!(
        said.contains("cannot connect to http://127.0.0.1:"),
        "{said}"
    );
    elsewhere.restart().await;
    let said = world.does("mcp__s__echo", r#"{"message": "b"}"#).await;
    assert_eq!(said, "Echo: b");
}

#[tokio::test]
async fn a_server_of_the_newest_python_sdk() {
    let script = script("new.py");
    let Some(elsewhere) = Elsewhere::runs("servers-py/bin/python", &[&script]).await else {
        return;
    };
    let world = world_of(&elsewhere, "2026-07-28").await;
    assert_eq!(world.does("mcp__s__add", r#"{"a": 1, "b": 2}"#).await, "3");
    world.fails("mcp__s__fail", "").await;
    world.fails("mcp__s__ask", "").await;
    assert!(!world.names().contains(&"mcp__s__more".to_owned()));
    let changed = world.servers.changed();
    assert_eq!(world.does("mcp__s__grow", "").await, "grown");
    timeout(LONG, changed).await.unwrap();
    assert_eq!(world.does("mcp__s__more", r#"{"a": 1, "b": 2}"#).await, "3");
    let call = tokio::spawn(world.servers.call("mcp__s__wait", "", &world.policy));
    world.until(|_| elsewhere.has("waits")).await;
    call.abort();
    world.until(|_| elsewhere.has("cancelled")).await;
}

#[tokio::test]
async fn a_server_of_the_python_sdk_before_it() {
    let script = script("before.py");
    let python = "servers-before-py/bin/python";
    let Some(mut elsewhere) = Elsewhere::runs(python, &[&script]).await else {
        return;
    };
    let world = world_of(&elsewhere, "2025-11-25").await;
    assert_eq!(world.does("mcp__s__add", r#"{"a": 1, "b": 2}"#).await, "3");
    let said = world.fails("mcp__s__fail", "").await;
    assert!(said.contains("out of cheese"), "{said}");
    assert_eq!(world.does("mcp__s__ask", "").await, "the answer: decline");
    let said = world.fails("mcp__s__roots", "").await;
    assert!(said.contains("requests for roots"), "{said}");
    assert!(!world.names().contains(&"mcp__s__more".to_owned()));
    let changed = world.servers.changed();
    assert_eq!(world.does("mcp__s__grow", "").await, "grown");
    timeout(LONG, changed).await.unwrap();
    assert_eq!(world.does("mcp__s__more", r#"{"a": 1, "b": 2}"#).await, "3");
    elsewhere.restart().await;
    assert_eq!(world.does("mcp__s__add", r#"{"a": 2, "b": 2}"#).await, "4");
    let ended = world.servers.end("mcp__s__add");
    timeout(LONG, ended).await.unwrap();
    assert_eq!(world.state(), ServerState::NotStarted);
}
