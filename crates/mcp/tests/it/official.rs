//! Servers of the official SDKs, as they are installed by `cargo xtask test clients`. What is not there is
//! skipped, and said.

mod http;

use std::path::{Path, PathBuf};

use quire_mcp::{Server, ServerState};
use quire_protocol::*;
use tokio::time::timeout;

use crate::world::*;

/// A program that is installed.
#[expect(clippy::print_stdout, reason = "it says what is not tested")]
fn program(path: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = target.join("clients").join(path);
    if !program.exists() {
        println!(
            "SKIPPED: {} is not there; `cargo xtask test clients` installs it",
            program.display()
        );
        return None;
    }
    Some(program)
}

/// A server that is this program with these arguments.
fn official(path: &str, arguments: &[&str]) -> Option<Server> {
    let program = program(path)?;
    let mut server = server("s", "");
    let described = crate::world::program(&mut server);
    described.argv = vec![program.to_str().unwrap().to_owned()];
    described
        .argv
        .extend(arguments.iter().map(|&argument| argument.to_owned()));
    Some(server)
}

fn python(path: &str, script: &str) -> Option<Server> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    official(path, &[folder.join(script).to_str().unwrap()])
}

/// The tools of a server that speaks this version of the protocol and was started once.
async fn world_of(server: Server, version: &str) -> World {
    let world = World::with(vec![server]).await;
    match world.state() {
        ServerState::There { protocol, .. } => assert_eq!(protocol, version),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.starts(), 1);
    world
}

fn npm(name: &str, arguments: &[&str]) -> Option<Server> {
    official(&format!("servers-js/node_modules/.bin/{name}"), arguments)
}

#[tokio::test]
async fn the_server_of_everything() {
    let Some(server) = npm("mcp-server-everything", &[]) else {
        return;
    };
    let world = world_of(server, "2025-11-25").await;
    assert!(world.names().contains(&"mcp__s__get-sum".to_owned()));
    for (tool, arguments, expected) in [
        ("echo", r#"{"message": "ü"}"#, "Echo: ü"),
        ("get-sum", r#"{"a": 1, "b": 2}"#, "The sum of 1 and 2 is 3."),
        (
            "get-structured-content",
            r#"{"location": "Chicago"}"#,
            r#""temperature":36"#,
        ),
        (
            "get-resource-links",
            r#"{"count": 1}"#,
            "Resource demo://resource/dynamic/",
        ),
        (
            "get-resource-reference",
            r#"{"resourceType": "Text", "resourceId": 1}"#,
            "demo://resource/dynamic/text/1:\nResource 1",
        ),
        (
            "trigger-long-running-operation",
            r#"{"duration": 0.2, "steps": 2}"#,
            "Long running operation completed",
        ),
    ] {
        let said = world.does(&format!("mcp__s__{tool}"), arguments).await;
        assert!(said.contains(expected), "{said}");
    }
    let said = world.fails("mcp__s__get-sum", r#"{"a": "x"}"#).await;
    assert!(said.contains("-32602"), "{said}");
    let call = world
        .servers
        .call("mcp__s__get-tiny-image", "", &world.policy);
    let answer = timeout(LONG, call).await.unwrap();
    let images = answer
        .content
        .iter()
        .filter(|it| matches!(it, Content::Image { .. }));
    assert_eq!(images.count(), 1, "{answer:?}");
    assert_eq!(world.starts(), 1);
}

#[tokio::test]
async fn the_server_of_files() {
    let Some(server) = npm("mcp-server-filesystem", &["."]) else {
        return;
    };
    let world = world_of(server, "2025-11-25").await;
    let arguments = r#"{"path": "a.txt", "content": "größe"}"#;
    world.does("mcp__s__write_file", arguments).await;
    assert_eq!(std::fs::read_to_string(world.at("a.txt")).unwrap(), "größe");
    let said = world
        .does("mcp__s__read_text_file", r#"{"path": "a.txt"}"#)
        .await;
    assert_eq!(said, "größe");
    std::fs::create_dir(world.at("empty")).unwrap();
    let said = world
        .does("mcp__s__list_directory", r#"{"path": "empty"}"#)
        .await;
    assert_eq!(said, r#"{"content":""}"#);
    let said = world
        .fails("mcp__s__read_text_file", r#"{"path": "/etc/passwd"}"#)
        .await;
    assert!(said.contains("Access denied"), "{said}");
}

#[tokio::test]
async fn a_server_of_the_newest_python_sdk() {
    let Some(server) = python("servers-py/bin/python", "new.py") else {
        return;
    };
    let world = world_of(server, "2026-07-28").await;
    assert_eq!(world.does("mcp__s__add", r#"{"a": 1, "b": 2}"#).await, "3");
    let said = world.fails("mcp__s__add", r#"{"a": "x"}"#).await;
    assert!(said.contains("Error executing tool add"), "{said}");
    world.fails("mcp__s__fail", "").await;
    world.fails("mcp__s__ask", "").await;
    assert!(!world.names().contains(&"mcp__s__more".to_owned()));
    let changed = world.servers.changed();
    assert_eq!(world.does("mcp__s__grow", "").await, "grown");
    timeout(LONG, changed).await.unwrap();
    assert_eq!(world.does("mcp__s__more", r#"{"a": 1, "b": 2}"#).await, "3");
    let call = tokio::spawn(world.servers.call("mcp__s__wait", "", &world.policy));
    world.until(|world| world.at("waits").exists()).await;
    call.abort();
    world.until(|world| world.at("cancelled").exists()).await;
    assert_eq!(world.starts(), 1);
}

#[tokio::test]
async fn a_server_of_the_python_sdk_before_it() {
    let Some(server) = python("servers-before-py/bin/python", "before.py") else {
        return;
    };
    let world = world_of(server, "2025-11-25").await;
    assert_eq!(world.does("mcp__s__add", r#"{"a": 1, "b": 2}"#).await, "3");
    let said = world.fails("mcp__s__fail", "").await;
    assert!(said.contains("out of cheese"), "{said}");
    assert_eq!(world.does("mcp__s__ask", "").await, "the answer: decline");
    for (tool, what) in [("sample", "sampling"), ("roots", "roots")] {
        let said = world.fails(&format!("mcp__s__{tool}"), "").await;
        let expected = format!("this client does not answer requests for {what}");
        assert!(said.contains(&expected), "{said}");
    }
    let call = world.servers.call("mcp__s__picture", "", &world.policy);
    let answer = timeout(LONG, call).await.unwrap();
    assert!(
        matches!(answer.content[..], [Content::Image { .. }]),
        "{answer:?}"
    );
    assert!(!world.names().contains(&"mcp__s__more".to_owned()));
    let changed = world.servers.changed();
    assert_eq!(world.does("mcp__s__grow", "").await, "grown");
    timeout(LONG, changed).await.unwrap();
    assert_eq!(world.does("mcp__s__more", r#"{"a": 1, "b": 2}"#).await, "3");
}
