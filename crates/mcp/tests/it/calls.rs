//! Calls and what comes of them.

use std::time::Duration;

use quire_protocol::*;
use tokio::time::timeout;

use crate::world::*;

/// A server with the tool `t`, which answers a call so.
fn answering(call: &str) -> String {
    old(&format!("{}tools/call*) {call} ;;\n", lists(&["t"])))
}

#[tokio::test]
async fn a_result_becomes_content() {
    let png = "iVBORw0KGgowMDAw";
    let result = format!(
        r#"ok '{{"content":[{{"type":"text","text":"a\nb"}},{{"type":"image","data":"{png}","mimeType":"image/png"}}]}}'"#
    );
    let world = World::one(answering(&result)).await;
    let answer = world.servers.call("mcp__s__t", "{}", &world.policy).await;
    assert_eq!(
        answer,
        ToolOutcome {
            status: ToolStatus::Done,
            content: vec![
                Content::text("a\nb"),
                Content::Image {
                    media_type: "image/png".to_owned(),
                    data: png.to_owned()
                }
            ],
            ..ToolOutcome::default()
        }
    );
}

#[tokio::test]
async fn results_of_every_kind_are_read() {
    for (call, status, text) in [
        (
            r#"ok '{"structuredContent":{"sum":3}}'"#,
            ToolStatus::Done,
            r#"{"sum":3}"#,
        ),
        (r"ok '{}'", ToolStatus::Done, "(the tool answered nothing)"),
        (
            r#"ok '{"content":[{"type":"text","text":"no such file"}],"isError":true}'"#,
            ToolStatus::Failed,
            "no such file",
        ),
        (
            r"bad -32602 'wrong arguments'",
            ToolStatus::Failed,
            "error -32602: wrong arguments",
        ),
        (
            r#"ok '{"odd":1}'"#,
            ToolStatus::Failed,
            "the server answered with something that is no result of a tool",
        ),
    ] {
        let world = World::one(answering(call)).await;
        let answer = world.call("mcp__s__t", "{}").await;
        assert_eq!(answer, (status, text.to_owned()), "{call}");
    }
}

#[tokio::test]
async fn arguments_go_to_the_server_as_they_are() {
    let world = World::one(answering(r#"log "$line"; text ok"#)).await;
    world
        .does("mcp__s__t", r#"{"z": [1, "ü"], "a": null}"#)
        .await;
    world.does("mcp__s__t", "").await;
    let log = world.log();
    assert!(
        log[1].contains(r#""arguments":{"z":[1,"ü"],"a":null}"#),
        "{log:?}"
    );
    assert!(log[2].contains(r#""arguments":{}"#), "{log:?}");
}

#[tokio::test]
async fn what_cannot_be_called_is_told_and_asks_nothing_of_a_server() {
    let world = World::one(old(&format!(
        "{}tools/call*) log called; text ok ;;\n",
        lists(&["read", "write"])
    )))
    .await;
    for (name, arguments, expected) in [
        (
            "mcp__s__read",
            "[1]",
            "the arguments are to be a JSON object",
        ),
        ("mcp__s__read", "{", "the arguments are to be a JSON object"),
        (
            "mcp__s__reed",
            "{}",
            "the nearest: mcp__s__read, mcp__s__write",
        ),
        (
            "mcp__other__x",
            "{}",
            "no server has a tool `mcp__other__x`",
        ),
        ("read", "{}", "the nearest: mcp__s__read"),
    ] {
        let said = world.fails(name, arguments).await;
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(world.log(), ["start"]);
}

#[tokio::test]
async fn a_call_that_is_not_answered_in_time_ends_the_server() {
    let mut described = server("s", answering("log called; read -r rest"));
    described.call_timeout = Duration::from_millis(200);
    let world = World::with(vec![described]).await;
    let said = world.fails("mcp__s__t", "{}").await;
    assert!(
        said.contains("it did not answer a call within 0.2 s"),
        "{said}"
    );
    assert!(said.contains("not known"), "{said}");
    assert_eq!(*world.sandbox.running.borrow(), 0);
    assert!(world.why().contains("did not answer"));
    assert_eq!(world.names(), ["mcp__s__t"]);
}

#[tokio::test]
async fn what_a_server_asks_of_the_client_is_refused_and_the_call_goes_on() {
    let asks = |method: &str, params: &str| {
        let request =
            format!(r#"{{"jsonrpc":"2.0","id":"q","method":"{method}","params":{params}}}"#);
        answering(&format!(
            r#"call=$id; say '{request}'; read -r line; log "$line"; id=$call; text done"#
        ))
    };
    for (method, params, expected) in [
        (
            "sampling/createMessage",
            r#"{"messages":[{"role":"user","content":{"type":"text","text":"hi"}}],"maxTokens":5}"#,
            r#""code":-32601"#,
        ),
        ("roots/list", "{}", r#""code":-32601"#),
        (
            "elicitation/create",
            r#"{"message":"who?","requestedSchema":{"type":"object","properties":{}}}"#,
            r#""action":"decline""#,
        ),
        ("elicitation/create", r#"{"odd":1}"#, r#""code":-32601"#),
        ("any/thing", "{}", r#""code":-32601"#),
        ("ping", "{}", r#""result":{}"#),
    ] {
        let world = World::one(asks(method, params)).await;
        assert_eq!(world.does("mcp__s__t", "{}").await, "done", "{method}");
        let log = world.log();
        assert!(log[1].contains(r#""id":"q""#), "{log:?}");
        assert!(log[1].contains(expected), "{log:?}");
    }
}

#[tokio::test]
async fn a_call_that_needs_a_persons_input_is_answered_with_a_refusal() {
    let wants = r#"{"resultType":"input_required","requestState":"st","inputRequests":{"k":{"method":"elicitation/create","params":{"mode":"form","message":"who?","requestedSchema":{"type":"object","properties":{}}}}}}"#;
    let script = new(&format!(
        "{}tools/call*inputResponses*) log \"$line\"; ok '{{\"resultType\":\"complete\",\"content\":[]}}' ;;\n\
         tools/call*) ok '{wants}' ;;\n",
        lists(&["t"])
    ));
    let world = World::one(script).await;
    assert_eq!(
        world.does("mcp__s__t", "").await,
        "(the tool answered nothing)"
    );
    let log = world.log();
    assert!(
        log[1].contains(r#""action":"decline""#) && log[1].contains("st"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_server_that_asks_without_end_is_not_answered_without_end() {
    let wants = r#"{"resultType":"input_required","requestState":"st","inputRequests":{"k":{"method":"elicitation/create","params":{"mode":"form","message":"who?","requestedSchema":{"type":"object","properties":{}}}}}}"#;
    let script = new(&format!(
        "{}tools/call*) log asked; ok '{wants}' ;;\n",
        lists(&["t"])
    ));
    let world = World::one(script).await;
    let said = world.fails("mcp__s__t", "").await;
    assert!(said.contains("nobody answers"), "{said}");
    assert!(world.log().len() < 20);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled() {
    let script = answering(
        r#"if [ -e other ]; then text ok; else : > other; log "called $id"; read -r line; log "$line"; fi"#,
    );
    let world = World::one(script).await;
    let call = tokio::spawn(world.servers.call("mcp__s__t", "{}", &world.policy));
    world.until(|world| world.log().len() == 2).await;
    call.abort();
    world.until(|world| world.log().len() == 3).await;
    let log = world.log();
    let id = log[1].strip_prefix("called ").unwrap();
    assert!(
        log[2].contains(r#""method":"notifications/cancelled""#),
        "{log:?}"
    );
    assert!(log[2].contains(&format!(r#""requestId":{id}"#)), "{log:?}");
    // The same process answers the next call.
    assert_eq!(world.does("mcp__s__t", "{}").await, "ok");
    assert_eq!(world.starts(), 1);
}

#[tokio::test]
async fn calls_of_a_server_run_side_by_side() {
    let script = answering(
        r#"case "$line" in *first*) first=$id ;; *) text second; id=$first; text first ;; esac"#,
    );
    let world = World::one(script).await;
    let first = tokio::spawn(world.call("mcp__s__t", r#"{"x":"first"}"#));
    let second = async {
        // The first is to be there before.
        tokio::task::yield_now().await;
        world.call("mcp__s__t", r#"{"x":"second"}"#).await
    };
    let second = timeout(LONG, second).await.unwrap();
    assert_eq!(second, (ToolStatus::Done, "second".to_owned()));
    let first = timeout(LONG, first).await.unwrap().unwrap();
    assert_eq!(first, (ToolStatus::Done, "first".to_owned()));
}

#[tokio::test]
async fn a_message_that_is_too_large_fails_its_call_at_once() {
    let script = answering(
        r#"printf '{"jsonrpc":"2.0","id":%s,"result":{"x":"' "$id"; head -c 40000000 /dev/zero | tr '\0' x; echo '"}}'"#,
    );
    let world = World::one(script).await;
    let said = world.fails("mcp__s__t", "{}").await;
    assert!(
        said.contains("it sent a message of more than 32 MiB"),
        "{said}"
    );
    world.at_rest().await;
}

#[tokio::test]
async fn a_server_that_does_not_read_hangs_nothing() {
    let script = answering("log called; while [ ! -e other ]; do :; done");
    let mut described = server("s", script);
    described.call_timeout = Duration::from_millis(300);
    let world = World::with(vec![described]).await;
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(1 << 20));
    let calls: Vec<_> = (0..3)
        .map(|_| tokio::spawn(world.call("mcp__s__t", &large)))
        .collect();
    for call in calls {
        let (status, said) = timeout(LONG, call).await.unwrap().unwrap();
        assert_ne!(status, ToolStatus::Done, "{said}");
    }
    world.at_rest().await;
}

#[tokio::test]
async fn a_server_that_asks_and_asks_and_does_not_read_is_ended() {
    let ping = r#"{"jsonrpc":"2.0","id":"q","method":"ping"}"#;
    let script = answering(&format!("while :; do say '{ping}'; done"));
    let world = World::one(script).await;
    let said = world.fails("mcp__s__t", "{}").await;
    assert!(said.contains("it does not read what it is sent"), "{said}");
    world.at_rest().await;
}

#[tokio::test]
async fn what_a_server_prints_besides_is_not_kept() {
    let script = answering(
        "head -c 6000000 /dev/zero | tr '\\0' '\\n'; yes rubbish | head -n 50000; \
         yes rubbish | head -n 50000 >&2; text done",
    );
    let world = World::one(script).await;
    assert_eq!(world.does("mcp__s__t", "{}").await, "done");
}
