//! How servers are greeted and what they tell.

use std::time::Duration;

use quire_mcp::{Begin, ServerState, Servers};
use quire_protocol::*;
use serde_json::json;
use tokio::time::timeout;

use crate::world::*;

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
async fn a_server_of_the_old_protocol_is_greeted_in_its_words() {
    let world = World::one(old(&lists(&["read"]))).await;
    assert_eq!(
        there(&world),
        (
            "shell 1.2".to_owned(),
            "2025-06-18".to_owned(),
            vec!["mcp__s__read".to_owned()]
        )
    );
    let specs = world.servers.specs();
    assert_eq!(
        specs,
        [ToolSpec {
            name: "mcp__s__read".to_owned(),
            description: "Does read.".to_owned(),
            input: ToolInput::Json(json!({"type": "object", "properties": {"b": {}, "a": {}}})),
        }]
    );
    let ToolInput::Json(schema) = &specs[0].input else {
        panic!();
    };
    assert_eq!(
        schema.to_string(),
        r#"{"type":"object","properties":{"b":{},"a":{}}}"#
    );
    assert_eq!(world.starts(), 1);
}

#[tokio::test]
async fn a_server_of_the_new_protocol_is_not_initialized() {
    let script = new(&format!(
        "initialize*) log initialize; exit 1 ;;\n{}",
        lists(&["read"])
    ));
    let world = World::one(script).await;
    assert_eq!(
        there(&world),
        (
            "shell 2".to_owned(),
            "2026-07-28".to_owned(),
            vec!["mcp__s__read".to_owned()]
        )
    );
    assert_eq!(world.log(), ["start"]);
}

#[tokio::test]
async fn a_server_that_breaks_when_it_is_asked_for_the_new_protocol_is_started_once_more() {
    let script = old(&format!(
        "server/discover*) log asked; exit 7 ;;\n{}",
        lists(&["read"])
    ));
    let world = World::one(script).await;
    assert_eq!(world.names(), ["mcp__s__read"]);
    assert_eq!(world.log(), ["start", "asked", "start"]);
}

#[tokio::test]
async fn all_pages_of_tools_are_asked_for() {
    let first = told("one");
    let second = told("two");
    let cases = format!(
        r#"tools/list*'"cursor":"p2"'*) ok '{{"tools":[{second}]}}' ;;
        tools/list*) ok '{{"tools":[{first}],"nextCursor":"p2"}}' ;;
        "#
    );
    for script in [
        old(&cases),
        new(&cases.replace("\"tools\":", "\"resultType\":\"complete\",\"tools\":")),
    ] {
        let world = World::one(script).await;
        assert_eq!(world.names(), ["mcp__s__one", "mcp__s__two"]);
    }
}

#[tokio::test]
async fn a_list_without_end_is_ended() {
    let script = old(&format!(
        r#"tools/list*) count=$((count + 1)); ok "{{\"tools\":[{}],\"nextCursor\":\"$count\"}}" ;;
        "#,
        told("t$count").replace('"', "\\\"").replace("$s", "\\$s")
    ));
    let world = World::one(script).await;
    assert_eq!(world.names().len(), 100);
}

#[tokio::test]
async fn only_tools_that_fit_a_pattern_are_told() {
    let mut described = server("s", old(&lists(&["read_a", "write", "read_b", "list"])));
    described.tools = Some(vec!["read_*".to_owned(), "list".to_owned()]);
    let world = World::with(vec![described]).await;
    assert_eq!(
        world.names(),
        ["mcp__s__read_a", "mcp__s__read_b", "mcp__s__list"]
    );
    let said = world.fails("mcp__s__write", "{}").await;
    assert!(
        said.contains("has no tool `mcp__s__write`; the nearest: "),
        "{said}"
    );
    assert_eq!(world.servers.find("mcp__s__write", &world.policy), None);
}

#[tokio::test]
async fn servers_stand_in_the_order_of_their_names_and_tools_in_their_own() {
    let world = World::with(vec![
        server("web", old(&lists(&["b", "a.x"]))),
        server("my files", old(&lists(&["z"]))),
    ])
    .await;
    assert_eq!(
        world.names(),
        ["mcp__my_files__z", "mcp__web__b", "mcp__web__a_x"]
    );
    let found = world
        .servers
        .find("mcp__my_files__z", &world.policy)
        .unwrap();
    assert_eq!(
        (found.server.as_str(), found.tool.as_str()),
        ("my files", "z")
    );
    assert_eq!(
        world
            .servers
            .find("mcp__web__a_x", &world.policy)
            .unwrap()
            .tool,
        "a_x"
    );
    assert_eq!(world.servers.find("mcp__web__a.x", &world.policy), None);
    assert_eq!(world.servers.find("read", &world.policy), None);
    let names: Vec<String> = world
        .servers
        .report()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["my files", "web"]);
}

#[tokio::test]
async fn a_tool_with_another_name_is_called_by_its_own() {
    let cases = format!(
        "{}tools/call*'\"name\":\"a.x\"'*) text called ;;\n",
        lists(&["a.x"])
    );
    let world = World::one(old(&cases)).await;
    assert_eq!(world.does("mcp__s__a_x", "").await, "called");
}

#[tokio::test]
async fn rubbish_before_messages_is_passed_over() {
    let first = "echo Starting...; echo; echo '[\"no\", \"message\"]'; echo '{\"neither\": 1}'\n";
    let world = World::one(old_after(first, &lists(&["read"]))).await;
    assert_eq!(world.names(), ["mcp__s__read"]);
    assert_eq!(world.starts(), 1);
}

#[tokio::test]
async fn a_huge_line_of_rubbish_is_passed_over() {
    let first = "head -c 40000000 /dev/zero | tr '\\0' x; echo\n";
    let world = World::one(old_after(first, &lists(&["read"]))).await;
    assert_eq!(world.names(), ["mcp__s__read"]);
}

#[tokio::test]
async fn a_server_that_ends_at_once_says_why_in_the_report() {
    let world = World::one("echo 'no token: set TOKEN' >&2; exit 3").await;
    let why = world.why();
    assert!(why.contains("no token: set TOKEN"), "{why}");
    assert!(why.contains("it exited with code 3"), "{why}");
    assert!(world.names().is_empty());
    let said = world.fails("mcp__s__read", "{}").await;
    assert!(
        said.contains("`s` does not run") && said.contains("set TOKEN"),
        "{said}"
    );
    assert!(said.contains("`quire mcp`"), "{said}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failure_that_says_so() {
    let mut described = server("s", "");
    program(&mut described).argv = vec!["/no/such/program".to_owned()];
    let world = World::with(vec![described]).await;
    let why = world.why();
    assert!(why.contains("/no/such/program"), "{why}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_ended() {
    let mut described = server("s", "echo hm >&2; echo rubbish; cat > /dev/null");
    described.start_timeout = Duration::from_millis(300);
    let world = World::with(vec![described]).await;
    let why = world.why();
    assert!(why.starts_with("it was not there within 0.3 s"), "{why}");
    assert!(why.contains("hm") && why.contains("rubbish"), "{why}");
    world.at_rest().await;
}

#[tokio::test]
async fn a_server_that_refuses_says_why() {
    let script = old("initialize*) bad -32000 'come back later' ;;\n");
    let world = World::one(script).await;
    let why = world.why();
    assert!(why.contains("error -32000: come back later"), "{why}");
    world.at_rest().await;
}

#[tokio::test]
async fn settled_does_not_outlast_its_patience() {
    let world = World::begun(Vec::new(), Begin::Now);
    let ground = quire_mcp::Ground {
        workspace: world.at(""),
        policy: world.policy.clone(),
        sandbox: world.sandbox.clone(),
        proxies: quire_net::Proxies::default(),
    };
    let silent = server("s", "cat > /dev/null");
    let servers = Servers::new(vec![silent], ground, Begin::Now, Duration::from_millis(50));
    timeout(LONG, servers.settled()).await.unwrap();
    assert_eq!(servers.report()[0].state, ServerState::Starting);
    drop(servers);
}

#[tokio::test]
async fn other_tools_are_told_once_a_server_says_so() {
    let cases = format!(
        "tools/list*) if [ -e other ]; then {}; else {}; fi ;;\n\
         tools/call*) : > other; say '{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}}'; \
         text ok ;;\n",
        listing(&["a", "b"]),
        listing(&["a"])
    );
    let world = World::one(old(&cases)).await;
    assert_eq!(world.names(), ["mcp__s__a"]);
    let changed = world.servers.changed();
    assert_eq!(world.does("mcp__s__a", "").await, "ok");
    timeout(LONG, changed).await.unwrap();
    assert_eq!(world.names(), ["mcp__s__a", "mcp__s__b"]);
    // They say so again, and nothing is new.
    assert_eq!(world.does("mcp__s__a", "").await, "ok");
    let changed = timeout(Duration::from_millis(400), world.servers.changed()).await;
    assert!(changed.is_err());
}

#[tokio::test]
async fn a_server_of_the_new_protocol_is_asked_to_say_when_it_has_other_tools() {
    let meta = r#"\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":$sub}"#;
    let cases = format!(
        r#"subscriptions/listen*) sub=$id
            say "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{{{meta},\"notifications\":{{\"toolsListChanged\":true}}}}}}"
            : > other
            say "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\",\"params\":{{{meta}}}}}" ;;
        tools/list*) if [ -e other ]; then {}; else {}; fi ;;
        "#,
        listing(&["a", "b"]),
        listing(&["a"])
    );
    let world = World::begun(vec![server("s", new(&cases))], Begin::Now);
    world.until(|world| world.names().len() == 2).await;
}
