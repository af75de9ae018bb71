//! Servers that are reached by HTTP, as they should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use quire_mcp::{Begin, ServerState};
use quire_protocol::*;
use serde_json::json;
use tokio::time::timeout;

use crate::site::*;
use crate::world::{LONG, World, policy};

fn there(world: &World) -> (String, String, Vec<String>) {
    match world.state() {
        ServerState::There {
            title,
            protocol,
            tools,
        } => (title, protocol, tools),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_of_the_old_protocol_has_its_session_sent_with_each_request() {
    let site = Site::plays(old(|_| None)).await;
    let mut server = site.server();
    address(&mut server).headers = vec![
        ("Authorization".to_owned(), "Bearer word".to_owned()),
        ("X-Team".to_owned(), "a".to_owned()),
        ("Accept".to_owned(), "text/html".to_owned()),
    ];
    let world = World::with(vec![server]).await;
    let expected = (
        "site 1".to_owned(),
        "2025-06-18".to_owned(),
        vec!["mcp__s__t".to_owned()],
    );
    assert_eq!(there(&world), expected);
    assert_eq!(world.does("mcp__s__t", r#"{"a": "ü"}"#).await, "called");
    site.was_asked("GET", 1).await;
    let got = site.got();
    for got in &got {
        assert_eq!(got.path, "/mcp");
        assert_eq!(got.header("authorization"), Some("Bearer word"));
        assert_eq!(got.header("x-team"), Some("a"));
        assert!(got.header("user-agent").unwrap().starts_with("quire/"));
        let accepts = match got.method.as_str() {
            "POST" => "application/json, text/event-stream",
            _ => "text/event-stream",
        };
        assert_eq!(got.header("accept"), Some(accepts));
        let is_greeting = ["server/discover", "initialize"].contains(&got.what());
        let session = (!is_greeting).then_some("s0");
        assert_eq!(got.header("mcp-session-id"), session, "{got:?}");
        if !is_greeting {
            assert_eq!(got.header("mcp-protocol-version"), Some("2025-06-18"));
            assert_eq!(got.header("mcp-method"), None);
        }
    }
    let call = site.which("tools/call").remove(0);
    assert_eq!(call.header("content-type"), Some("application/json"));
    assert_eq!(call.body["params"]["arguments"], json!({"a": "ü"}));
    assert_eq!(world.starts(), 0);
}

#[tokio::test]
async fn a_server_of_the_new_protocol_has_no_session() {
    let play = new(|got| {
        (got.what() == "subscriptions/listen").then(|| Scene::Open(vec![acknowledged(got)]))
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    let expected = (
        "site 2".to_owned(),
        "2026-07-28".to_owned(),
        vec!["mcp__s__t".to_owned()],
    );
    assert_eq!(there(&world), expected);
    assert_eq!(world.does("mcp__s__t", "").await, "called");
    site.has_open(1).await;
    for got in site.got() {
        assert_eq!(got.method, "POST");
        assert_eq!(got.header("mcp-session-id"), None);
        assert_eq!(got.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(got.header("mcp-method"), Some(got.what()));
        let name = (got.what() == "tools/call").then_some("t");
        assert_eq!(got.header("mcp-name"), name);
    }
    timeout(LONG, world.servers.end("mcp__s__t")).await.unwrap();
    site.has_open(0).await;
    assert_eq!(site.count("DELETE"), 0);
}

/// What begins a stream of what a server of the new protocol says unasked.
fn acknowledged(got: &Got) -> String {
    event(
        &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": {"notifications": {"toolsListChanged": true},
            "_meta": {"io.modelcontextprotocol/subscriptionId": got.body["id"]}}}),
    )
}

#[tokio::test]
async fn other_tools_are_asked_for_when_a_server_of_the_new_protocol_says_so() {
    let has_more = Arc::new(AtomicBool::new(false));
    let more = Arc::clone(&has_more);
    let play = new(move |got| match got.what() {
        "subscriptions/listen" => {
            let said = event(
                &json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed",
                "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": got.body["id"]}}}),
            );
            more.store(true, Ordering::SeqCst);
            Some(Scene::Open(vec![acknowledged(got), said]))
        }
        "tools/list" if more.load(Ordering::SeqCst) => Some(got.result(&listing(&["t", "u"]))),
        _ => None,
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    world.until(|world| world.names().len() == 2).await;
    assert!(has_more.load(Ordering::SeqCst));
}

#[tokio::test]
async fn other_tools_are_asked_for_when_a_server_of_the_old_protocol_says_so() {
    let has_more = Arc::new(AtomicBool::new(false));
    let more = Arc::clone(&has_more);
    let play = old(move |got| match got.what() {
        "GET" => Some(Scene::Open(vec![": ready\n\n".to_owned()])),
        "tools/list" if more.load(Ordering::SeqCst) => Some(got.result(&listing(&["t", "u"]))),
        _ => None,
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    site.has_open(1).await;
    assert_eq!(world.names(), ["mcp__s__t"]);
    let news = world.servers.changed();
    has_more.store(true, Ordering::SeqCst);
    site.push(&changed());
    timeout(LONG, news).await.unwrap();
    assert_eq!(world.names(), ["mcp__s__t", "mcp__s__u"]);
    assert_eq!(site.which("GET")[0].header("mcp-session-id"), Some("s0"));
}

#[tokio::test]
async fn answers_that_are_streams_are_read() {
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/message",
        "params": {"level": "info", "data": "on the way"}});
    let play = old(move |got| {
        let pieces = match got.what() {
            "initialize" | "tools/list" => {
                let Scene::Says(_, _, body) = old(|_| None)(got) else {
                    unreachable!();
                };
                vec![
                    "\u{feff}: ping\r\n\r\nid: 1\r\ndata:\r\n\r\n".to_owned(),
                    "event: other\ndata: {}\n\n".to_owned(),
                    format!("id: 2\ndata: {body}\n\n"),
                ]
            }
            "tools/call" => {
                let answer = got.event(r"\ud83d");
                // It names half a character, in a batch, cut anywhere.
                let answer = answer
                    .replace(r"\\ud83d", r"\ud83d")
                    .replace("data: ", "data: [");
                let answer = answer.replace("\n\n", "]\n\n");
                let (one, other) = answer.split_at(40);
                vec![event(&progress), one.to_owned(), other.to_owned()]
            }
            _ => return None,
        };
        Some(Scene::Streams(pieces))
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    assert_eq!(there(&world).1, "2025-06-18");
    assert_eq!(world.does("mcp__s__t", "").await, "\u{fffd}");
}

#[tokio::test]
async fn a_session_that_is_gone_is_begun_again_once_and_the_call_repeated() {
    for (status, said) in [
        (404, ""),
        (400, "Bad Request: No valid session ID provided"),
    ] {
        let ran = Arc::new(AtomicUsize::new(0));
        let runs = Arc::clone(&ran);
        let play = old(move |got| {
            let session = got.header("mcp-session-id");
            match (got.what(), session) {
                ("tools/call", Some("s0")) => Some(says(status, said)),
                ("tools/call", _) => {
                    runs.fetch_add(1, Ordering::SeqCst);
                    None
                }
                _ => None,
            }
        });
        let site = Site::plays(play).await;
        let world = World::with(vec![site.server()]).await;
        assert_eq!(world.does("mcp__s__t", "").await, "called");
        assert_eq!(world.does("mcp__s__t", "").await, "called");
        assert_eq!(ran.load(Ordering::SeqCst), 2);
        assert_eq!(site.count("initialize"), 2);
        assert_eq!(site.count("tools/call"), 3);
    }
}

#[tokio::test]
async fn a_stream_with_numbers_is_taken_up_where_it_broke() {
    let play = old(|got| match got.what() {
        "tools/call" => Some(Scene::Cut(vec!["id: 7\nretry: 10\ndata:\n\n".to_owned()])),
        "GET" if got.header("last-event-id") == Some("7") => Some(Scene::Open(Vec::new())),
        _ => None,
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    let call = tokio::spawn(world.call("mcp__s__t", ""));
    site.has_open(1).await;
    site.push(&site.which("tools/call")[0].event("late"));
    let answer = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(answer, (ToolStatus::Done, "late".to_owned()));
    assert_eq!(site.count("tools/call"), 1);
}

#[tokio::test]
async fn another_policy_does_not_greet_a_server_again() {
    let site = Site::plays(old(|_| None)).await;
    let mut world = World::with(vec![site.server()]).await;
    world.policy.phase = Phase::Plan;
    world.does("mcp__s__t", "").await;
    world.policy.sandbox = SandboxMode::Off;
    world.does("mcp__s__t", "").await;
    assert_eq!(site.count("initialize"), 1);
}

#[tokio::test]
async fn what_a_server_elsewhere_gets_is_told_before_it_is_called() {
    let server = at("https://tracker.example:8443/mcp?key=secret");
    let world = World::begun(vec![server], Begin::WhenNeeded);
    let reaches = |sandbox| {
        let found = world.servers.find("mcp__s__t", &policy(sandbox));
        found.unwrap().reaches
    };
    let told = ["sends what it is given to tracker.example:8443"];
    assert_eq!(reaches(SandboxMode::WorkspaceWrite), told);
    assert_eq!(reaches(SandboxMode::ReadOnly), told);
    assert!(reaches(SandboxMode::Off).is_empty());
}

#[tokio::test]
async fn a_server_is_left_when_it_is_ended() {
    let play = old(|got| match got.what() {
        "tools/call" => Some(Scene::Open(vec![": wait\n\n".to_owned()])),
        // That it hangs then hangs nobody.
        "DELETE" => Some(Scene::Silent),
        _ => None,
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    let call = tokio::spawn(world.call("mcp__s__t", ""));
    site.has_open(1).await;
    let ending = world.servers.end("mcp__s__t");
    timeout(Duration::from_secs(1), ending).await.unwrap();
    let (status, said) = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(status, ToolStatus::Cancelled, "{said}");
    assert_eq!(world.state(), ServerState::NotStarted);
    site.was_asked("DELETE", 1).await;
    let call = &site.which("tools/call")[0].body["id"];
    let cancelled = site.which("notifications/cancelled").remove(0);
    assert_eq!(&cancelled.body["params"]["requestId"], call);
    for got in [cancelled, site.which("DELETE").remove(0)] {
        assert_eq!(got.header("mcp-session-id"), Some("s0"));
        assert_eq!(got.header("mcp-protocol-version"), Some("2025-06-18"));
    }
    assert_eq!(site.asked().last().unwrap(), "DELETE");
    // Both the stream and the one that is waited for no more.
    site.has_closed(2).await;
    let call = tokio::spawn(world.call("mcp__s__t", ""));
    site.has_open(1).await;
    assert_eq!(site.count("initialize"), 2);
    drop(world);
    let (status, _) = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(status, ToolStatus::Cancelled);
    site.was_asked("DELETE", 2).await;
}

#[tokio::test]
async fn a_server_of_the_new_protocol_is_left_without_a_word() {
    let asked = AtomicUsize::new(0);
    let play = new(move |got| {
        let is_first = got.what() == "tools/call" && asked.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| Scene::Open(vec![": wait\n\n".to_owned()]))
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    let call = tokio::spawn(world.call("mcp__s__t", ""));
    site.has_open(1).await;
    timeout(LONG, world.servers.end("mcp__s__t")).await.unwrap();
    let (status, _) = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(status, ToolStatus::Cancelled);
    site.has_open(0).await;
    world.does("mcp__s__t", "").await;
    assert_eq!(site.count("notifications/cancelled"), 0);
    assert_eq!(site.count("DELETE"), 0);
}

#[tokio::test]
async fn a_server_that_speaks_the_other_protocol_now_is_greeted_all_the_same() {
    for is_new_first in [true, false] {
        let older = old(|got| (got.what() == "server/discover").then(|| says(405, "")));
        let newer = new(|got| (got.what() == "initialize").then(|| says(405, "")));
        let is_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&is_ended);
        let site = Site::plays(move |got| {
            if ended.load(Ordering::SeqCst) == is_new_first {
                older(got)
            } else {
                newer(got)
            }
        })
        .await;
        let world = World::with(vec![site.server()]).await;
        let first = there(&world).1;
        timeout(LONG, world.servers.end("mcp__s__t")).await.unwrap();
        is_ended.store(true, Ordering::SeqCst);
        world.does("mcp__s__t", "").await;
        assert_ne!(there(&world).1, first);
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_given_up() {
    for is_new in [false, true] {
        let open = |got: &Got| {
            (got.what() == "tools/call").then(|| Scene::Open(vec![": wait\n\n".to_owned()]))
        };
        let site = if is_new {
            Site::plays(new(open)).await
        } else {
            Site::plays(old(open)).await
        };
        let world = World::with(vec![site.server()]).await;
        let call = tokio::spawn(world.call("mcp__s__t", ""));
        site.has_open(1).await;
        call.abort();
        if !is_new {
            site.was_asked("notifications/cancelled", 1).await;
        }
        site.has_open(0).await;
        assert_eq!(site.count("notifications/cancelled"), usize::from(!is_new));
        assert_eq!(site.count("DELETE"), 0);
    }
}

#[tokio::test]
async fn a_proxy_is_used_where_one_is_told() {
    let site = Site::plays(old(|_| None)).await;
    let proxy = site.url.replace("/mcp", "");
    let proxies = quire_net::Proxies {
        http: proxy,
        ..quire_net::Proxies::default()
    };
    let world = World::behind(proxies, vec![at("http://tracker.example/mcp")]).await;
    assert_eq!(world.does("mcp__s__t", "").await, "called");
    assert_eq!(site.which("CONNECT")[0].path, "tracker.example:80");
    assert_eq!(
        site.which("tools/call")[0].header("host"),
        Some("tracker.example")
    );
}
