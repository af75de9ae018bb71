//! Servers that are reached by HTTP, or not, and do what they should not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quire_mcp::{Begin, ServerState};
use quire_protocol::*;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::site::*;
use crate::world::{LONG, World};

/// What a server says once that then says what servers of the old protocol do.
fn once(what: &'static str, scene: Scene) -> impl Fn(&Got) -> Scene + Send + Sync + 'static {
    let asked = AtomicUsize::new(0);
    old(move |got| {
        let is_first = got.what() == what && asked.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| scene.clone())
    })
}

#[tokio::test]
async fn a_server_that_refuses_access_says_what_to_do_and_is_asked_once() {
    for status in [401, 403] {
        let site = Site::plays(move |_| says(status, r#"{"error":"invalid_token"}"#)).await;
        let world = World::with(vec![site.server()]).await;
        let why = world.why();
        for part in [
            status.to_string().as_str(),
            "`key_env`",
            "OAuth",
            "invalid_token",
        ] {
            assert!(why.contains(part), "{why}");
        }
        assert_eq!(site.asked(), ["server/discover"]);
        let absent = world.servers.offer().1;
        assert!(absent[0].starts_with("s: it refuses access"), "{absent:?}");
    }
    let site = Site::plays(once("tools/call", says(401, ""))).await;
    let world = World::with(vec![site.server()]).await;
    let said = world.fails("mcp__s__t", "").await;
    assert!(
        said.starts_with("the call failed: it refuses access"),
        "{said}"
    );
    assert_eq!(world.does("mcp__s__t", "").await, "called");
}

#[tokio::test]
async fn errors_of_http_are_told_with_the_beginning_of_their_bodies() {
    let long = format!("no\n such tool{}", "x".repeat(200_000));
    for (status, body, beginning) in [
        (
            500,
            "out of cheese",
            "the call failed, and may have run: it answers with HTTP 500 Internal Server Error: out of cheese",
        ),
        (
            429,
            "",
            "the call failed: it answers with HTTP 429 Too Many Requests",
        ),
        (
            404,
            "",
            "the call failed: it knows the session no more, nor the one after it",
        ),
        (
            422,
            &long,
            "the call failed: it answers with HTTP 422 Unprocessable Entity: no  such toolxxx",
        ),
        (
            400,
            r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32602,"message":"bad"}}"#,
            "error -32602: bad (HTTP 400)",
        ),
    ] {
        let body = body.to_owned();
        let play = old(move |got| (got.what() == "tools/call").then(|| says(status, &body)));
        let site = Site::plays(play).await;
        let world = World::with(vec![site.server()]).await;
        let said = world.fails("mcp__s__t", "").await;
        assert!(said.starts_with(beginning) && said.len() < 600, "{said}");
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_begun_again_is_greeted_anew_by_the_next_call() {
    let greetings = AtomicUsize::new(0);
    let play = old(move |got| {
        let session = got.header("mcp-session-id");
        match got.what() {
            "tools/call" if session == Some("s0") => Some(says(404, "")),
            "initialize" if greetings.fetch_add(1, Ordering::SeqCst) == 1 => {
                let refused = json!({"jsonrpc": "2.0", "id": got.body["id"],
                    "error": {"code": -32000, "message": "not now"}});
                Some(json(&refused))
            }
            _ => None,
        }
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    let said = world.fails("mcp__s__t", "").await;
    assert!(
        said.contains("refuses another: error -32000: not now"),
        "{said}"
    );
    assert!(world.why().contains("not now"));
    assert_eq!(world.does("mcp__s__t", "").await, "called");
    assert_eq!(site.count("initialize"), 3);
}

#[tokio::test]
async fn an_answer_without_end_is_not_kept() {
    for scene in [
        Scene::Endless("application/json", "{\"jsonrpc\":\""),
        Scene::Endless("text/event-stream", "data: "),
        Scene::Endless("text/plain", "x"),
    ] {
        let site = Site::plays(once("tools/call", scene)).await;
        let world = World::with(vec![site.server()]).await;
        let said = world.fails("mcp__s__t", "").await;
        let expected = "the call failed, and may have run: it sent a message of more than 32 MiB";
        assert_eq!(said, expected);
        assert!(world.why().contains("32 MiB"));
        site.has_closed(1).await;
        // What was under way when it was found to be too much counts too.
        assert!(
            (32 << 20..48 << 20).contains(&site.sent()),
            "{}",
            site.sent()
        );
        assert_eq!(world.does("mcp__s__t", "").await, "called");
        assert_eq!(site.count("initialize"), 2);
    }
}

#[tokio::test]
async fn an_error_without_end_is_told_by_its_beginning() {
    let play = old(|got| {
        (got.what() == "tools/call").then(|| {
            let headers = vec!["Content-Encoding: x".to_owned()];
            Scene::Says(502, headers, "x".repeat(10 << 20))
        })
    });
    let site = Site::plays(play).await;
    let world = World::with(vec![site.server()]).await;
    let said = world.fails("mcp__s__t", "").await;
    assert!(
        said.contains("HTTP 502 Bad Gateway: xxx") && said.len() < 600,
        "{said}"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_told() {
    for silent in [
        "server/discover",
        "initialize",
        "notifications/initialized",
        "tools/list",
    ] {
        let site = Site::plays(old(move |got| {
            let is_silent =
                got.what() == silent || (got.what(), silent) == ("initialize", "server/discover");
            is_silent.then_some(Scene::Silent)
        }))
        .await;
        let mut server = site.server();
        server.start_timeout = Duration::from_millis(300);
        let world = World::with(vec![server]).await;
        assert_eq!(world.why(), "it was not there within 0.3 s");
        site.has_closed(1).await;
    }
    let site = Site::plays(old(|got| {
        (got.what() == "initialize").then(|| Scene::Open(vec![": wait\n\n".to_owned()]))
    }))
    .await;
    let mut server = site.server();
    server.start_timeout = Duration::from_millis(300);
    let world = World::with(vec![server]).await;
    assert_eq!(world.why(), "it was not there within 0.3 s");
    site.has_open(0).await;
}

#[tokio::test]
async fn a_call_that_is_not_answered_in_time_is_given_up_and_the_server_is_not() {
    for scene in [Scene::Silent, Scene::Open(Vec::new())] {
        let site = Site::plays(once("tools/call", scene)).await;
        let mut server = site.server();
        server.call_timeout = Duration::from_millis(300);
        let world = World::with(vec![server]).await;
        let said = world.fails("mcp__s__t", "").await;
        assert!(
            said.contains("is no longer waited for") && said.contains("within 0.3 s"),
            "{said}"
        );
        site.has_closed(1).await;
        site.was_asked("notifications/cancelled", 1).await;
        assert_eq!(world.does("mcp__s__t", "").await, "called");
        assert_eq!(site.count("initialize"), 1);
    }
}

#[tokio::test]
async fn a_server_that_is_silent_when_it_is_asked_for_the_new_protocol_is_greeted_in_the_old_one() {
    for scene in [Scene::Silent, Scene::Open(vec![": wait\n\n".to_owned()])] {
        let site = Site::plays(once("server/discover", scene)).await;
        tokio::time::pause();
        let world = World::begun(vec![site.server()], Begin::Now);
        site.was_asked("server/discover", 1).await;
        tokio::time::advance(Duration::from_secs(9)).await;
        world
            .until(|world| matches!(world.state(), ServerState::There { .. }))
            .await;
        tokio::time::resume();
        assert_eq!(site.count("server/discover"), 1);
    }
}

#[tokio::test]
async fn a_server_of_the_new_protocol_alone_that_is_slow_is_greeted_again() {
    let asked = AtomicUsize::new(0);
    let site = Site::plays(new(move |got| match got.what() {
        "server/discover" if asked.fetch_add(1, Ordering::SeqCst) == 0 => Some(Scene::Silent),
        "initialize" => Some(says(400, "")),
        _ => None,
    }))
    .await;
    tokio::time::pause();
    let world = World::begun(vec![site.server()], Begin::Now);
    site.was_asked("server/discover", 1).await;
    tokio::time::advance(Duration::from_secs(9)).await;
    world
        .until(|world| matches!(world.state(), ServerState::There { .. }))
        .await;
    assert_eq!(site.count("initialize"), 1);
}

#[tokio::test]
async fn a_redirect_to_elsewhere_is_told_and_not_followed() {
    let other = Site::plays(old(|_| None)).await;
    let to = other.url.clone();
    for status in [301, 302, 303, 307, 308] {
        let location = vec![format!("Location: {to}?key=secret")];
        let site = Site::plays(move |_| Scene::Says(status, location.clone(), String::new())).await;
        let mut server = site.server();
        address(&mut server).headers = vec![("Authorization".to_owned(), "Bearer word".to_owned())];
        let world = World::with(vec![server]).await;
        let expected = format!(
            "it answers with a redirect (HTTP {status}) to {to}, which is not followed: if that is where it is, \
             say so in its `url`"
        );
        assert_eq!(world.why(), expected);
        assert_eq!(site.asked(), ["server/discover"]);
    }
    assert!(other.got().is_empty());
}

#[tokio::test]
async fn a_redirect_on_the_same_server_is_followed_a_few_times() {
    let site = Site::plays({
        let play = old(|_| None);
        move |got| match got.path.as_str() {
            "/mcp" => Scene::Says(307, vec!["Location: /mcp/".to_owned()], String::new()),
            _ => play(got),
        }
    })
    .await;
    let world = World::with(vec![site.server()]).await;
    assert_eq!(world.does("mcp__s__t", "").await, "called");
    let round = vec!["Location: /mcp".to_owned()];
    let site = Site::plays(move |_| Scene::Says(308, round.clone(), String::new())).await;
    let world = World::with(vec![site.server()]).await;
    assert!(
        world.why().contains("a redirect (HTTP 308) to /mcp"),
        "{}",
        world.why()
    );
    assert_eq!(site.got().len(), 4);
    // Another method would be no message.
    let site = Site::plays(|got| match got.path.as_str() {
        "/mcp" => Scene::Says(302, vec!["Location: /mcp/".to_owned()], String::new()),
        _ => panic!("{got:?}"),
    })
    .await;
    let world = World::with(vec![site.server()]).await;
    let why = world.why();
    assert!(why.contains("a redirect (HTTP 302) to /mcp/"), "{why}");
    assert_eq!(site.got().len(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_in_a_call_fails_it_and_repeats_nothing() {
    for (scene, why) in [
        (
            Scene::Cut(vec![": wait\n\n".to_owned()]),
            "the connection broke in the middle of the answer",
        ),
        (
            Scene::Cut(vec!["data: {\"jsonrpc\"".to_owned()]),
            "the connection broke in the middle of the answer",
        ),
        (
            Scene::Streams(vec![": wait\n\n".to_owned()]),
            "its answer ended before it was whole",
        ),
        (
            Scene::Streams(vec!["data: nonsense\n\n".to_owned()]),
            "its answer ended before it was whole",
        ),
        (
            Scene::Says(
                200,
                vec!["Content-Type: application/json".to_owned()],
                "{}".to_owned(),
            ),
            "it answers with HTTP 200 OK: {} (JSON that is no message)",
        ),
        (
            says(200, "<html>"),
            "it answers with HTTP 200 OK: <html> (no message)",
        ),
        (
            says(204, ""),
            "it answers with HTTP 204 No Content (no message)",
        ),
    ] {
        let site = Site::plays(once("tools/call", scene)).await;
        let world = World::with(vec![site.server()]).await;
        let said = world.fails("mcp__s__t", "").await;
        let beginning = format!("the call failed, and may have run: {why}");
        assert!(said.starts_with(&beginning), "{said}");
        assert_eq!(site.count("tools/call"), 1);
        assert_eq!(world.does("mcp__s__t", "").await, "called");
        assert_eq!(site.count("initialize"), 1);
    }
}

#[tokio::test]
async fn an_error_without_a_number_is_that_of_the_call() {
    let error = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32602,"message":"bad"}}"#;
    let headers = vec!["Content-Type: application/json".to_owned()];
    let scene = Scene::Says(200, headers, error.to_owned());
    let site = Site::plays(once("tools/call", scene)).await;
    let world = World::with(vec![site.server()]).await;
    assert_eq!(world.fails("mcp__s__t", "").await, "error -32602: bad");
}

#[tokio::test]
async fn a_call_whose_answer_was_to_come_otherwise_is_ended_too() {
    let site = Site::plays(once("tools/call", says(202, ""))).await;
    let world = World::with(vec![site.server()]).await;
    let call = tokio::spawn(world.call("mcp__s__t", ""));
    site.was_asked("tools/call", 1).await;
    // By then the first one was taken.
    assert_eq!(world.does("mcp__s__t", "").await, "called");
    timeout(LONG, world.servers.end("mcp__s__t")).await.unwrap();
    let (status, _) = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(status, ToolStatus::Cancelled);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_handshake_says_so() {
    let site = Site::plays(old(|got| {
        (got.what() == "initialize").then(|| Scene::Cut(vec![": wait\n\n".to_owned()]))
    }))
    .await;
    let world = World::with(vec![site.server()]).await;
    let why = world.why();
    assert!(
        why.starts_with("the connection broke in the middle of the answer"),
        "{why}"
    );
}

#[tokio::test]
async fn what_is_no_server_of_the_protocol_says_what_it_answers() {
    let site = Site::plays(|_| says(404, "<html>no such page</html>")).await;
    let world = World::with(vec![site.server()]).await;
    let expected = "it answers with HTTP 404 Not Found: <html>no such page</html>";
    assert_eq!(world.why(), expected);
    assert_eq!(site.asked(), ["server/discover", "initialize"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_in_words_of_the_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let world = World::with(vec![at(&format!("http://127.0.0.1:{port}/mcp?key=secret"))]).await;
    let why = world.why();
    let beginning = format!("cannot connect to http://127.0.0.1:{port}: Connection refused");
    assert!(why.starts_with(&beginning), "{why}");
    let said = world.fails("mcp__s__t", "").await;
    assert!(
        said.contains(&beginning) && !said.contains("secret"),
        "{said}"
    );
    let world = World::with(vec![at("nonsense")]).await;
    assert_eq!(
        world.why(),
        "what its `url` says is no URL to send requests to"
    );
}

#[tokio::test]
async fn secrets_of_a_description_show_nowhere() {
    let site = Site::plays(once(
        "tools/call",
        says(500, "Bearer out-of-cheese and key=out-of-wine are wrong"),
    ))
    .await;
    let mut server = at(&format!("{}?key=out-of-wine", site.url));
    address(&mut server).headers = vec![(
        "Authorization".to_owned(),
        "Bearer out-of-cheese".to_owned(),
    )];
    let shown = format!("{server:?}");
    let world = World::with(vec![server]).await;
    let said = world.fails("mcp__s__t", "").await;
    assert!(
        said.ends_with("Internal Server Error: … and … are wrong"),
        "{said}"
    );
    assert_eq!(site.got()[0].path, "/mcp?key=out-of-wine");
    let report = format!("{:?}", world.servers.report());
    for text in [shown, report] {
        assert!(!text.contains("out-of"), "{text}");
    }
}

#[tokio::test]
async fn a_server_is_ended_while_it_is_greeted() {
    let site = Site::plays(old(|got| {
        (got.what() == "initialize").then_some(Scene::Silent)
    }))
    .await;
    let world = World::begun(vec![site.server()], Begin::WhenNeeded);
    let call = tokio::spawn(world.call("mcp__s__t", ""));
    site.was_asked("initialize", 1).await;
    timeout(LONG, world.servers.end("mcp__s__t")).await.unwrap();
    let (status, _) = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(status, ToolStatus::Cancelled);
    assert_eq!(world.state(), ServerState::NotStarted);
    site.has_closed(1).await;
}

#[tokio::test]
async fn a_stream_of_a_servers_own_that_ends_at_once_is_not_asked_for_at_once() {
    let site = Site::plays(old(|got| {
        (got.what() == "GET").then(|| Scene::Streams(Vec::new()))
    }))
    .await;
    tokio::time::pause();
    let world = World::begun(vec![site.server()], Begin::Now);
    site.was_asked("GET", 1).await;
    for _ in 0..100 {
        tokio::time::advance(Duration::from_secs(1)).await;
        // What was begun is done before time goes on.
        for _ in 0..5000 {
            tokio::task::yield_now().await;
        }
    }
    // After one second, two more, four more and so on, and not by the second.
    assert!(
        (3..10).contains(&site.count("GET")),
        "{}",
        site.count("GET")
    );
    assert!(matches!(world.state(), ServerState::There { .. }));
}
