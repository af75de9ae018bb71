//! What a version of the Messages API took away is refused, whoever serves.

use hyper::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Client, Upstream, World, config};

const API_VERSION: &str = "anthropic-version";

/// A platform with an upstream of each API, and clients of the version before and of the newer one.
async fn world() -> (World, Upstream, [Client; 2]) {
    let upstream = Upstream::start(|seen| match seen.path.as_str() {
        "/v1/messages/count_tokens" => Answer::json(&json!({"input_tokens": 1})),
        "/v1/messages" => Answer::json(&json!({"id": "msg_1", "type": "message", "role": "assistant",
            "model": "m", "content": [], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}})),
        _ => Answer::json(&json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]})),
    })
    .await;
    let text = config(&[("messages", &upstream), ("chat", &upstream)]);
    let world = World::start(&text).await;
    let client = world.client("one").await;
    let clients = ["2023-06-01", "2026-10-21"].map(|version| client.with(API_VERSION, version));
    (world, upstream, clients)
}

fn ask(model: &str, more: &Value) -> Value {
    let mut ask =
        json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in more.as_object().unwrap() {
        ask[name] = value.clone();
    }
    ask
}

#[tokio::test]
async fn how_a_model_draws_is_said_to_the_version_that_takes_it_alone() {
    let (_world, upstream, [before, newer]) = world().await;
    let mut served = 0;
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        for model in ["m-messages", "m-chat"] {
            for (field, value) in [
                ("temperature", json!(1)),
                ("top_p", json!(0.5)),
                ("top_k", json!(3)),
            ] {
                let mut asked = ask(model, &json!({}));
                assert_eq!(newer.post(path, &asked).await.status, 200);
                asked[field] = value;
                let reply = before.post(path, &asked).await;
                assert_eq!(reply.status, 200, "{model} {field}: {}", reply.text());
                served = upstream.seen().len();
                let refused = newer.post(path, &asked).await;
                let error = &refused.json()["error"];
                assert_eq!(
                    (refused.status, &error["type"], &error["message"]),
                    (
                        400,
                        &json!("invalid_request_error"),
                        &json!(format!("{field}: Extra inputs are not permitted"))
                    )
                );
                assert_eq!(upstream.seen().len(), served, "nothing is sent");
            }
        }
    }
    assert!(served > 0);
    // Other APIs have no such version.
    let chat = json!({"model": "m-chat", "temperature": 1, "messages": [{"role": "user", "content": "hi"}]});
    let reply = newer.post("/v1/chat/completions", &chat).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn blocks_that_a_version_does_not_take_are_refused_here_or_by_an_upstream_that_knows_it() {
    let (_world, upstream, [before, newer]) = world().await;
    let document = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}});
    let turns = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": [document]},
        {"role": "user", "content": "go on"}]);
    let to_chat = ask("m-chat", &json!({"messages": turns}));
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        let refused = newer.post(path, &to_chat).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.text());
        let message = refused.json()["error"]["message"].clone();
        assert!(
            message
                .as_str()
                .unwrap()
                .starts_with("messages.1.content.0: `document` blocks"),
            "{message}"
        );
    }
    assert!(upstream.seen().is_empty());
    let counted = before.post("/v1/messages/count_tokens", &to_chat).await;
    assert_eq!(counted.status, 200, "{}", counted.text());
    // An upstream of the same API gets every byte, and the version to judge it by.
    let to_messages = ask("m", &json!({"messages": turns}));
    let bytes = to_messages.to_string();
    let reply = newer
        .ask(Method::POST, "/v1/messages", bytes.clone().into())
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = upstream.last();
    assert_eq!(seen.headers[API_VERSION], "2026-10-21");
    assert_eq!(seen.body, bytes.as_bytes());
}
