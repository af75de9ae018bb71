//! When servers are started, ended and started again.

use std::time::Duration;

use quire_mcp::{Begin, Confinement, ServerState};
use quire_protocol::*;
use tokio::time::timeout;

use crate::world::*;

/// Says that the new protocol is spoken.
const SUPPORTS: &str = r#"ok '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}'"#;

/// A server with the tools `pid`, which tells its process, `die` and `hang`.
fn script() -> String {
    old(&format!(
        r#"{}tools/call*'"name":"pid"'*) text $$ ;;
        tools/call*'"name":"die"'*) echo 'out of cheese' >&2; exit 9 ;;
        tools/call*'"name":"rest"'*) text bye; exit 0 ;;
        tools/call*'"name":"hang"'*) log hangs; read -r rest ;;
        "#,
        lists(&["pid", "die", "rest", "hang"])
    ))
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_says_so_and_is_started_again_by_the_next() {
    let world = World::one(script()).await;
    let specs = world.servers.specs();
    let said = world.fails("mcp__s__die", "{}").await;
    assert!(
        said.contains("it exited with code 9") && said.contains("out of cheese"),
        "{said}"
    );
    assert!(said.contains("may have run in part"), "{said}");
    assert!(world.why().contains("out of cheese"));
    assert_eq!(world.servers.specs(), specs);
    assert_eq!(world.starts(), 1);
    world.does("mcp__s__pid", "{}").await;
    assert_eq!(world.starts(), 2);
    assert!(matches!(world.state(), ServerState::There { .. }));
}

#[tokio::test]
async fn a_server_that_rested_is_started_again_before_a_call() {
    let world = World::one(script()).await;
    assert_eq!(world.does("mcp__s__rest", "{}").await, "bye");
    world.at_rest().await;
    world
        .until(|world| matches!(world.state(), ServerState::Failed { .. }))
        .await;
    assert!(world.why().contains("it exited with code 0"));
    world.does("mcp__s__pid", "{}").await;
}

#[tokio::test]
async fn a_server_that_cannot_be_started_again_says_why() {
    let once = format!(
        "[ -e log ] && {{ echo 'only once' >&2; exit 4; }}\n{}",
        script()
    );
    let world = World::one(once).await;
    world.fails("mcp__s__die", "{}").await;
    let said = world.fails("mcp__s__pid", "{}").await;
    assert!(said.contains("`s` does not run: "), "{said}");
    assert!(
        said.contains("code 4") && said.contains("only once"),
        "{said}"
    );
    assert_eq!(world.names().len(), 4);
}

#[tokio::test]
async fn servers_start_before_the_first_call_only_where_they_are_to() {
    let world = World::begun(vec![server("s", script())], Begin::WhenNeeded);
    timeout(LONG, world.servers.settled()).await.unwrap();
    assert_eq!(
        (world.starts(), world.state()),
        (0, ServerState::NotStarted)
    );
    assert!(world.names().is_empty());
    // It may have any tool, as far as is known.
    assert_eq!(
        world
            .servers
            .find("mcp__s__anything", &world.policy)
            .unwrap()
            .tool,
        "anything"
    );
    assert_eq!(world.servers.find("mcp__t__anything", &world.policy), None);
    let changed = world.servers.changed();
    world.does("mcp__s__pid", "{}").await;
    timeout(LONG, changed).await.unwrap();
    assert_eq!(world.names().len(), 4);
    assert_eq!(world.servers.find("mcp__s__anything", &world.policy), None);
    let said = world.fails("mcp__s__anything", "{}").await;
    assert!(said.contains("the nearest: mcp__s__"), "{said}");
    assert_eq!(world.starts(), 1);
}

#[tokio::test]
async fn another_confinement_starts_the_server_anew_and_the_same_one_does_not() {
    let mut described = server("s", script());
    program(&mut described).writable = vec!["/extra".into()];
    program(&mut described).domains = vec!["example.org".to_owned()];
    program(&mut described).environment = vec!["TOKEN".to_owned()];
    program(&mut described).variables = vec![("A".to_owned(), "b".to_owned())];
    let mut world = World::with(vec![described]).await;
    let first = world.does("mcp__s__pid", "{}").await;
    world.policy.approvals = ApprovalMode::Ask;
    assert_eq!(world.does("mcp__s__pid", "{}").await, first);
    world.policy.phase = Phase::Plan;
    let second = world.does("mcp__s__pid", "{}").await;
    assert_ne!(second, first);
    assert_eq!(*world.sandbox.running.borrow(), 1);
    assert_eq!(world.does("mcp__s__pid", "{}").await, second);
    world.policy.phase = Phase::Work;
    assert_ne!(world.does("mcp__s__pid", "{}").await, second);
    let spawned = world.sandbox.spawned.lock().unwrap().clone();
    let confined: Vec<_> = spawned
        .iter()
        .map(|it| (it.policy.sandbox, it.policy.writable.len()))
        .collect();
    assert_eq!(
        confined,
        [
            (SandboxMode::WorkspaceWrite, 1),
            (SandboxMode::ReadOnly, 0),
            (SandboxMode::WorkspaceWrite, 1),
        ]
    );
    for command in spawned {
        assert_eq!(command.policy.domains, ["example.org"]);
        assert_eq!(command.policy.environment, ["TOKEN"]);
        assert_eq!(command.variables, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(command.workspace, world.at(""));
    }
}

#[tokio::test]
async fn a_server_outside_the_sandbox_stays_what_it_is() {
    let mut described = server("s", script());
    program(&mut described).confinement = Confinement::Off;
    let mut world = World::with(vec![described]).await;
    let first = world.does("mcp__s__pid", "{}").await;
    world.policy.phase = Phase::Plan;
    assert_eq!(world.does("mcp__s__pid", "{}").await, first);
    let spawned = world.sandbox.spawned.lock().unwrap();
    assert_eq!(spawned[0].policy.sandbox, SandboxMode::Off);
    assert_eq!(spawned[0].distrusted, [world.at("")]);
}

#[tokio::test]
async fn an_ended_server_runs_no_more_and_its_call_is_cancelled() {
    let world = World::one(script()).await;
    let call = tokio::spawn(world.call("mcp__s__hang", "{}"));
    world
        .until(|world| world.log().contains(&"hangs".to_owned()))
        .await;
    timeout(LONG, world.servers.end("mcp__s__hang"))
        .await
        .unwrap();
    assert_eq!(*world.sandbox.running.borrow(), 0);
    let (status, said) = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(status, ToolStatus::Cancelled, "{said}");
    assert_eq!(world.state(), ServerState::NotStarted);
    world.does("mcp__s__pid", "{}").await;
    assert_eq!(world.starts(), 2);
    // What is not there is ended at once.
    timeout(LONG, world.servers.end("other")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_being_started_is_ended_too() {
    let world = World::begun(
        vec![server("s", "echo $$ > log; cat > /dev/null")],
        Begin::WhenNeeded,
    );
    let call = tokio::spawn(world.call("mcp__s__t", "{}"));
    world.until(|world| !world.log().is_empty()).await;
    timeout(LONG, world.servers.end("mcp__s__t")).await.unwrap();
    assert_eq!(*world.sandbox.running.borrow(), 0);
    let (status, _) = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(status, ToolStatus::Cancelled);
    assert_eq!(world.state(), ServerState::NotStarted);
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_is_finished_and_used() {
    let world = World::begun(vec![server("s", script())], Begin::WhenNeeded);
    let call = tokio::spawn(world.servers.call("mcp__s__pid", "{}", &world.policy));
    world.until(|world| world.starts() == 1).await;
    call.abort();
    world
        .until(|world| matches!(world.state(), ServerState::There { .. }))
        .await;
    world.does("mcp__s__pid", "{}").await;
    assert_eq!(world.starts(), 1);
}

#[tokio::test]
async fn servers_that_are_dropped_end_whatever_they_do() {
    let mut world = World::with(vec![
        server("idle", script()),
        server("busy", script()),
        server("broken", "exit 1"),
    ])
    .await;
    let call = tokio::spawn(world.call("mcp__busy__hang", "{}"));
    world
        .until(|world| world.log().contains(&"hangs".to_owned()))
        .await;
    let late = world.servers.call("mcp__idle__pid", "{}", &world.policy);
    let starting = World::begun(vec![server("s", "cat > /dev/null")], Begin::Now);
    starting.until(|world| world.starts() == 1).await;
    let resting = std::mem::replace(&mut world.servers, starting.servers.clone());
    drop(resting);
    world.at_rest().await;
    let (status, _) = timeout(LONG, call).await.unwrap().unwrap();
    assert_eq!(status, ToolStatus::Cancelled);
    // Nothing is started any more.
    assert_eq!(
        timeout(LONG, late).await.unwrap().status,
        ToolStatus::Cancelled
    );
    world.at_rest().await;
    let sandbox = starting.sandbox.clone();
    drop((world, starting));
    let mut running = sandbox.running.subscribe();
    let rest = running.wait_for(|running| *running == 0);
    timeout(LONG, rest).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_a_server_reaches_is_told_before_it_is_called() {
    let mut described = server("s", script());
    program(&mut described).domains = vec!["example.org".to_owned()];
    let world = World::begun(vec![described], Begin::WhenNeeded);
    let found = world.servers.find("mcp__s__pid", &world.policy).unwrap();
    assert_eq!(found.reaches, ["reaches example.org"]);
}

#[tokio::test]
async fn a_server_that_is_slow_to_answer_the_new_greeting_is_not_started_twice() {
    // It answers the old greeting first, and then what it was asked before.
    let script = old(&format!(
        "server/discover*) asked=$id; log asked ;;\n\
         initialize*) first=$id; id=$asked; bad -32601 'no such method'; id=$first; \
         ok '{{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{{\"tools\":{{}}}},\"serverInfo\":{{\"name\":\"slow\",\"version\":\"1\"}}}}' ;;\n{}",
        lists(&["t"])
    ));
    tokio::time::pause();
    let world = World::begun(vec![server("s", script)], Begin::Now);
    world.until(|world| world.log().len() == 2).await;
    tokio::time::advance(Duration::from_secs(11)).await;
    world
        .until(|world| matches!(world.state(), ServerState::There { .. }))
        .await;
    assert_eq!(world.log(), ["start", "asked"]);
}

#[tokio::test]
async fn a_server_that_is_stuck_when_it_is_asked_for_the_new_protocol_is_nudged() {
    // As those of the SDK for Python were before its version 1.9.
    let script = old(&format!(
        "server/discover*) log asked; read -r line; log \"$line\"; exit 1 ;;\n{}",
        lists(&["t"])
    ));
    tokio::time::pause();
    let world = World::begun(vec![server("s", script)], Begin::Now);
    world.until(|world| world.log().len() == 2).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    world
        .until(|world| matches!(world.state(), ServerState::There { .. }))
        .await;
    let log = world.log();
    assert!(log[2].contains("notifications/cancelled"), "{log:?}");
    assert_eq!([&log[0], &log[1], &log[3]], ["start", "asked", "start"]);
    assert_eq!(log.len(), 4);
}

#[tokio::test]
async fn a_server_is_greeted_again_as_it_was_before() {
    let tools = format!("tools/call*) text $$ ;;\n{}", lists(&["t"]));
    let breaks = old(&format!("server/discover*) exit 1 ;;\n{tools}"));
    for (script, starts) in [(breaks, 2), (new(&tools), 1)] {
        let mut world = World::one(script).await;
        let first = world.does("mcp__s__t", "").await;
        assert_eq!(world.starts(), starts);
        world.policy.phase = Phase::Plan;
        assert_ne!(world.does("mcp__s__t", "").await, first);
        assert_eq!(world.starts(), starts + 1);
    }
}

#[tokio::test]
async fn a_server_that_takes_another_handshake_than_before_is_started_all_the_same() {
    let tools = format!("tools/call*) text $$; exit 0 ;;\n{}", lists(&["t"]));
    let older = old(&tools).replace("log start", "");
    let newer = new(&format!("initialize*) exit 1 ;;\n{tools}")).replace("log start", "");
    for (first, second) in [(&older, &newer), (&newer, &older)] {
        let script = format!("if [ -e log ]; then {second}\nelse echo > log; {first}\nfi");
        let world = World::one(script).await;
        world.does("mcp__s__t", "").await;
        world.at_rest().await;
        world
            .until(|world| matches!(world.state(), ServerState::Failed { .. }))
            .await;
        world.does("mcp__s__t", "").await;
    }
}

#[tokio::test]
async fn a_server_of_the_new_protocol_that_is_slow_to_answer_is_greeted_anew() {
    let script = new(&format!(
        "server/discover*) if [ -e other ]; then {SUPPORTS}; else : > other; log asked; asked=$id; fi ;;\n\
         initialize*) id=$asked; {SUPPORTS} ;;\n{}",
        lists(&["t"])
    ));
    tokio::time::pause();
    let world = World::begun(vec![server("s", script)], Begin::Now);
    world.until(|world| world.log().len() == 2).await;
    tokio::time::advance(Duration::from_secs(11)).await;
    world
        .until(|world| matches!(world.state(), ServerState::There { .. }))
        .await;
    assert_eq!(world.log(), ["start", "asked", "start"]);
}
