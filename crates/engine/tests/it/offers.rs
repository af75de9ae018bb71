//! Servers whose tools come and go while a session is at work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quire_protocol::*;

use crate::doubles::{Answer, Servers, World, reply, say, settings, spec};
use crate::ended;

fn with_servers(replies: Vec<Answer>) -> (World, Arc<Servers>) {
    let world = World::new(replies);
    let servers = Arc::new(Servers::default());
    let _ = world.tools.state().servers.set(Arc::clone(&servers));
    (world, servers)
}

fn names(tools: &[ToolSpec]) -> Vec<&str> {
    tools.iter().map(|tool| tool.name.as_str()).collect()
}

fn sets_prefix(event: &Event) -> bool {
    matches!(event, Event::PrefixSet { prefix, .. } if !prefix.late.is_empty())
}

/// Whether every request begins with all of the one before.
fn only_grows(requests: &[ModelRequest]) {
    for pair in requests.windows(2) {
        let [before, after] = pair else {
            unreachable!("windows of two")
        };
        assert!(before.prefix.opens_as(&after.prefix));
        let (before, after) = (before.transcript.items(), after.transcript.items());
        assert_eq!(before, &after[..before.len()]);
    }
}

#[tokio::test]
async fn tools_that_are_there_at_the_start_open_the_first_request() {
    let (world, servers) = with_servers(vec![Answer::Reply(reply("done", &[]))]);
    servers.offer(&["mcp__s__a"]);
    let session = world.engine.start(settings()).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    let records = world.until(&session, ended).await;
    let requests = world.model.requests.lock().unwrap();
    let prefix = &requests[0].prefix;
    assert_eq!(names(&prefix.tools), [USE_TOOL, "mcp__s__a"]);
    let set = records
        .iter()
        .filter(|record| matches!(record.event, Event::PrefixSet { .. }));
    assert_eq!(set.count(), 1, "the session begins with them");
}

#[tokio::test]
async fn a_late_tool_is_told_of_and_a_fork_a_crash_and_another_effort_change_no_byte_of_it() {
    let answer = || Answer::Reply(reply("done", &[]));
    let (world, servers) = with_servers(vec![answer(), answer(), answer(), answer()]);
    let session = world.engine.start(settings()).await.unwrap();
    let turn = async |session: &SessionId, words: &str, effort: Option<Effort>| {
        let op = Op::Say {
            message: MessageId::new(words),
            delivery: Delivery::Steer,
            content: vec![Content::text(words)],
            effort,
        };
        let before = world.store.entries(session).len();
        world.engine.submit(session, op).await.unwrap();
        let mut frames = world.engine.watch(session, Seq(before as u64));
        while let Some(frame) = futures_util::StreamExt::next(&mut frames).await {
            if matches!(&frame, Frame::Record(record) if ended(&record.event)) {
                return;
            }
        }
    };
    turn(&session, "one", None).await;
    servers.offer(&["mcp__s__a"]);
    world.until(&session, sets_prefix).await;
    turn(&session, "two", Some(Effort::Low)).await;
    // The process dies, and the servers are not there when the next one takes over.
    world.engine.close(&session).await.unwrap();
    servers.offer(&[]);
    world.engine.open(&session).await.unwrap();
    turn(&session, "three", None).await;
    let fork = world.engine.fork(&session, None).await.unwrap();
    world.engine.open(&fork).await.unwrap();
    turn(&fork, "four", None).await;

    let requests = world.model.requests.lock().unwrap();
    assert_eq!(requests.len(), 4);
    only_grows(&requests);
    assert_eq!(names(&requests[0].prefix.tools), [USE_TOOL]);
    let told = |request: &ModelRequest| -> usize {
        let items = request.transcript.items().iter();
        let notices = items.filter(
            |item| matches!(item.as_ref(), Item::Notice { text } if text.contains("mcp__s__a")),
        );
        notices.count()
    };
    let told: Vec<usize> = requests.iter().map(told).collect();
    assert_eq!(told, [0, 1, 1, 1], "each knows it, and is told once");
}

#[tokio::test]
async fn another_model_keeps_the_tools_of_servers_where_they_are() {
    let answer = || Answer::Reply(reply("done", &[]));
    let (world, servers) = with_servers(vec![answer(), answer()]);
    servers.offer(&["mcp__s__a"]);
    let session = world.engine.start(settings()).await.unwrap();
    let first = say("one", Delivery::Steer);
    world.engine.submit(&session, first).await.unwrap();
    world.until(&session, ended).await;
    // One that is too large to open requests, whatever the model.
    let large = format!("mcp__s__{}", "c".repeat(60_000));
    servers.offer(&["mcp__s__a", "mcp__s__b", &large]);
    world.until(&session, sets_prefix).await;
    let other = Settings {
        model: "double/two".to_owned(),
        ..settings()
    };
    let configure = Op::Configure { settings: other };
    world.engine.submit(&session, configure).await.unwrap();
    let second = say("two", Delivery::Steer);
    world.engine.submit(&session, second).await.unwrap();
    let is_second = |event: &Event| matches!(event, Event::TurnEnded { turn, .. } if turn.0 == 2);
    world.until(&session, is_second).await;
    // What the tools of the other model hear from their servers is heard.
    servers.offer(&["mcp__s__a", "mcp__s__b", &large, "mcp__s__d"]);
    let has_another = |event: &Event| matches!(event, Event::PrefixSet { prefix, .. } if prefix.late.last() == Some(&spec("mcp__s__d")));
    world.until(&session, has_another).await;
    let requests = world.model.requests.lock().unwrap();
    let prefix = &requests[1].prefix;
    // The cache is another model's: what came late has its place.
    assert_eq!(names(&prefix.tools), [USE_TOOL, "mcp__s__a", "mcp__s__b"]);
    assert_eq!(names(&prefix.late), [large.as_str()]);
}

#[tokio::test]
async fn a_server_that_never_rests_is_heard_once_for_a_request() {
    let answer = || Answer::Reply(reply("done", &[]));
    let (world, servers) = with_servers(vec![answer(), answer()]);
    let session = world.engine.start(settings()).await.unwrap();
    let first = say("one", Delivery::Steer);
    world.engine.submit(&session, first).await.unwrap();
    world.until(&session, ended).await;
    for number in 0..50 {
        servers.offer(&[&format!("mcp__s__{number}")]);
        // Whoever listens has its turn, and the session after it.
        world.engine.open(&session).await.unwrap();
    }
    let second = say("two", Delivery::Steer);
    world.engine.submit(&session, second).await.unwrap();
    let is_second = |event: &Event| matches!(event, Event::TurnEnded { turn, .. } if turn.0 == 2);
    let records = world.until(&session, is_second).await;
    let set = records
        .iter()
        .filter(|record| matches!(record.event, Event::PrefixSet { .. }));
    assert!(
        set.count() <= 3,
        "the beginning, the first offer and the last"
    );
    let requests = world.model.requests.lock().unwrap();
    let items = requests[1].transcript.items();
    let told = items
        .iter()
        .any(|item| matches!(item.as_ref(), Item::Notice { text } if text.contains("mcp__s__49")));
    assert!(told, "what there is when the model is asked");
    assert!(
        servers.asked.load(Ordering::Relaxed) <= 4,
        "nobody asks them again and again"
    );
}

#[tokio::test]
async fn one_change_is_heard_of_once() {
    let (world, servers) = with_servers(vec![Answer::Reply(reply("done", &[]))]);
    let session = world.engine.start(settings()).await.unwrap();
    let begun = servers.asked.load(Ordering::Relaxed);
    servers.offer(&["mcp__s__a"]);
    let sets =
        |event: &Event| matches!(event, Event::PrefixSet { prefix, .. } if prefix.tools.len() > 1);
    world.until(&session, sets).await;
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    world.until(&session, ended).await;
    assert_eq!(servers.asked.load(Ordering::Relaxed) - begun, 1);
}

#[tokio::test]
async fn a_member_opens_as_its_lead_does_and_is_told_of_late_tools() {
    let (world, servers) = with_servers(vec![
        Answer::Reply(reply("done", &[])),
        Answer::Reply(reply("", &["agent-a"])),
        Answer::Reply(reply("looked", &[])),
        Answer::Reply(reply("done", &[])),
    ]);
    servers.offer(&["mcp__s__a"]);
    let session = world.engine.start(settings()).await.unwrap();
    let first = say("one", Delivery::Steer);
    world.engine.submit(&session, first).await.unwrap();
    world.until(&session, ended).await;
    servers.offer(&["mcp__s__a", "mcp__s__b"]);
    world.until(&session, sets_prefix).await;
    // What a member would find by itself is something else.
    servers.offer(&["mcp__s__c"]);
    let second = say("two", Delivery::Steer);
    world.engine.submit(&session, second).await.unwrap();
    let is_second = |event: &Event| matches!(event, Event::TurnEnded { turn, .. } if turn.0 == 2);
    world.until(&session, is_second).await;
    let requests = world.model.requests.lock().unwrap();
    let [lead, member] = [&requests[1], &requests[2]];
    assert_ne!(lead.session, member.session);
    assert!(member.prefix.opens_as(&lead.prefix));
    let items = member.transcript.items().iter();
    let mut told = items.filter_map(|item| match item.as_ref() {
        Item::Notice { text } => Some(text),
        _ => None,
    });
    assert!(told.any(|text| text.contains("mcp__s__b")), "it is told");
}
