//! Compaction by the provider: what is asked for, what comes back, and what happens where there is none.

use quire_dialect::{Clearing, Dialect};
use quire_protocol::{Item, ModelErrorKind, ModelRequest, Opaque, Purpose, TokenStop};
use serde_json::{Value, json};

use crate::server::{Scene, Server, failure, model, quick, reply, request, user, with_transcript};
use crate::wire;

const JSON: &str = "content-type: application/json\r\n";

fn compact(model: &str, focus: &str) -> ModelRequest {
    ModelRequest {
        purpose: Purpose::Compact {
            focus: focus.to_owned(),
        },
        provider_compaction: Some(70_000),
        ..request(model)
    }
}

fn by_itself(model: &str) -> ModelRequest {
    ModelRequest {
        provider_compaction: Some(170_000),
        ..request(model)
    }
}

fn body(server: &Server, at: usize) -> Value {
    serde_json::from_str(&server.got()[at].body).unwrap()
}

#[tokio::test]
async fn messages_compacts_on_demand_and_takes_its_block_back() {
    let scenes = [
        wire::messages("ok"),
        wire::compacted(),
        wire::messages("ok"),
    ];
    let server = Server::start(scenes.map(Scene::Send)).await;
    let model = server.model(Dialect::Messages);
    reply(&model, request("test/claude-opus-5")).await;
    let compacted = reply(&model, compact("test/claude-opus-5", "the tests")).await;
    let [
        Item::Summary {
            text,
            opaque: Some(block),
        },
    ] = compacted.items.as_slice()
    else {
        panic!("no summary: {:?}", compacted.items)
    };
    assert_eq!(
        (text.as_str(), compacted.stop),
        ("In brief.", TokenStop::Pause)
    );
    // 1,000 x $5 and 100 x $25 per million, which the totals leave out.
    assert_eq!(compacted.cost.unwrap().to_string(), "0.0075");
    let got = server.got();
    assert_eq!(got[0].header("anthropic-beta"), None);
    assert_eq!(got[1].header("anthropic-beta"), Some("compact-2026-09-04"));
    let asked = body(&server, 1);
    let wanted = json!({"type": "summarize", "instructions": "the tests"});
    assert_eq!(asked["compaction"], wanted);
    assert_eq!(asked.get("context_management"), None);
    assert_eq!(asked["messages"], body(&server, 0)["messages"]);
    let after = [compacted.items[0].clone(), user("more")];
    let after = with_transcript("test/claude-opus-5", after.into_iter().collect());
    reply(&model, after).await;
    let echoed = body(&server, 2)["messages"][0]["content"][0].clone();
    assert_eq!(echoed, serde_json::from_str::<Value>(&block.json).unwrap());
    let betas = server.got()[2].header("anthropic-beta").map(str::to_owned);
    assert_eq!(
        betas.as_deref(),
        Some("compact-2026-01-12,compact-2026-09-04")
    );
}

#[tokio::test]
async fn responses_compacts_on_demand_at_a_route_of_its_own() {
    let output = r#"[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]},
        {"type":"compaction","id":"c","encrypted_content":"e="}]"#;
    let answer = format!(
        r#"{{"id":"r","object":"response.compaction","created_at":1,"output":{output},
        "usage":{{"input_tokens":1000,"output_tokens":10}}}}"#
    );
    let scenes = [wire::response(200, JSON, &answer), wire::responses("ok")];
    let server = Server::start(scenes.map(Scene::Send)).await;
    let model = server.model(Dialect::Responses);
    let compacted = reply(&model, compact("test/gpt-5", "")).await;
    assert_eq!(compacted.items.len(), 2);
    // 1,000 x $1.25 and 10 x $10 per million.
    assert_eq!(compacted.cost.unwrap().to_string(), "0.00135");
    let got = server.got();
    assert!(
        got[0].head.starts_with("POST /v1/responses/compact "),
        "{}",
        got[0].head
    );
    let items = compacted.items.into_iter().collect();
    reply(&model, with_transcript("test/gpt-5", items)).await;
    let output: Value = serde_json::from_str(output).unwrap();
    assert_eq!(body(&server, 1)["input"], output);
}

#[tokio::test]
async fn chat_refuses_before_anything_is_sent() {
    let server = Server::start([Scene::Send(wire::chat("ok"))]).await;
    let model = server.model(Dialect::Chat);
    let failed = failure(&model, compact("test/m", "")).await;
    assert_eq!(failed.error.kind, ModelErrorKind::BadRequest);
    assert_eq!(
        failed.error.message,
        "test cannot compact: chat has no such request"
    );
    assert!(server.got().is_empty());
    reply(&model, by_itself("test/m")).await;
    assert_eq!(body(&server, 0).get("context_management"), None);
}

#[tokio::test]
async fn a_server_that_does_not_compact_by_itself_is_asked_without() {
    for (dialect, said) in [
        (
            Dialect::Messages,
            "context_management: Extra inputs are not permitted",
        ),
        (
            Dialect::Responses,
            "Unknown parameter: 'context_management'.",
        ),
    ] {
        let answer = match dialect {
            Dialect::Responses => wire::responses("ok"),
            Dialect::Messages | Dialect::Chat => wire::messages("ok"),
        };
        let refusal = wire::error(400, "", "invalid_request_error", said);
        let server = Server::start([refusal, answer.clone(), answer].map(Scene::Send)).await;
        let model = server.model(dialect);
        let first = reply(&model, by_itself("test/m")).await;
        assert!(
            first.retries[0].reason.contains("by itself"),
            "{:?}",
            first.retries
        );
        reply(&model, by_itself("test/m")).await;
        let sent: Vec<bool> = (0..3)
            .map(|at| body(&server, at).get("context_management").is_some())
            .collect();
        assert_eq!(sent, [true, false, false], "{dialect}");
        assert_eq!(server.got()[1].header("anthropic-beta"), None);
    }
}

#[tokio::test]
async fn a_compaction_that_was_asked_for_and_refused_fails() {
    let said = "compaction: Extra inputs are not permitted";
    let refusal = wire::error(400, "", "invalid_request_error", said);
    let server = Server::start([Scene::Send(refusal)]).await;
    let failed = failure(&server.model(Dialect::Messages), compact("test/m", "")).await;
    assert_eq!(failed.error.kind, ModelErrorKind::BadRequest);
    assert_eq!(server.got().len(), 1, "it was asked again");
}

#[tokio::test]
async fn a_compaction_that_is_not_taken_back_any_more_is_told_in_words_where_it_has_any() {
    for (dialect, said) in [
        (
            Dialect::Messages,
            "messages.0.content.0: compaction signature is invalid",
        ),
        (
            Dialect::Responses,
            "The encrypted content for item c could not be verified.",
        ),
    ] {
        let answer = match dialect {
            Dialect::Responses => wire::responses("ok"),
            Dialect::Messages | Dialect::Chat => wire::messages("ok"),
        };
        let refusal = wire::error(400, "", "invalid_request_error", said);
        let server = Server::start([refusal, answer].map(Scene::Send)).await;
        let block = Item::Summary {
            text: "In brief.".into(),
            opaque: Some(Opaque {
                origin: dialect.name().into(),
                json: r#"{"type":"compaction","content":"x","encrypted_content":"e"}"#.into(),
            }),
        };
        let asked = with_transcript("test/m", [block, user("more")].into_iter().collect());
        reply(&server.model(dialect), asked).await;
        let bodies: Vec<String> = server.got().into_iter().map(|got| got.body).collect();
        let echoed = r#""type":"compaction""#;
        assert!(bodies[0].contains(echoed) && !bodies[0].contains("In brief."));
        assert!(!bodies[1].contains(echoed) && bodies[1].contains("In brief."));
        assert_eq!(server.got()[1].header("anthropic-beta"), None);
    }
}

#[tokio::test]
async fn a_server_that_ignores_the_wish_answers_without_a_summary() {
    let server = Server::start([Scene::Send(wire::messages("What compaction?"))]).await;
    let answer = reply(&server.model(Dialect::Messages), compact("test/m", "")).await;
    let is_summary = |item: &Item| matches!(item, Item::Summary { .. });
    assert!(!answer.items.iter().any(is_summary));
}

#[tokio::test]
async fn the_betas_of_a_person_stay_and_old_parts_are_left_out_where_that_is_set() {
    let server = Server::start([Scene::Send(wire::messages("ok"))]).await;
    let mut provider = server.provider(Dialect::Messages);
    provider.headers = vec![("anthropic-beta".into(), "mine-1, mine-2".into())];
    provider.clearing = Clearing {
        tool_uses: true,
        thinking: false,
    };
    reply(&model(provider, quick()), by_itself("test/m")).await;
    assert_eq!(
        server.got()[0].header("anthropic-beta"),
        Some("mine-1,mine-2,context-management-2025-06-27,compact-2026-01-12")
    );
    let edits = body(&server, 0)["context_management"]["edits"].clone();
    let trigger = json!({"type": "input_tokens", "value": 170_000});
    assert_eq!(
        edits,
        json!([{"type": "clear_tool_uses_20250919"}, {"type": "compact_20260112", "trigger": trigger}])
    );
}
