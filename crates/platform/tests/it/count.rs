//! Tokens of prompts.

use serde_json::json;

use crate::world::{Answer, Upstream, World, config};

#[tokio::test]
async fn an_upstream_of_the_same_api_counts() {
    let upstream = Upstream::start(|_| Answer::json(&json!({"input_tokens": 42}))).await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    let body = json!({"model": "m-messages", "messages": [{"role": "user", "content": "hello"}]});
    let reply = client.post("/v1/messages/count_tokens", &body).await;
    assert_eq!(reply.json(), json!({"input_tokens": 42}));
    assert_eq!(reply.header("quire-estimated"), None);
    let seen = upstream.last();
    assert_eq!(seen.path, "/v1/messages/count_tokens");
    assert_eq!(seen.json()["model"], "m");
}

#[tokio::test]
async fn elsewhere_it_is_an_estimate_that_says_so() {
    let upstream =
        Upstream::start(|_| Answer::status(404, &json!({"error": "no such path"}))).await;
    let world = World::start(&config(&[("chat", &upstream), ("messages", &upstream)])).await;
    let client = world.client("one").await;
    let messages = json!([{"role": "user", "content": "w".repeat(4_000) + " and more"}]);
    for model in ["m", "m-messages"] {
        let body = json!({"model": model, "messages": messages});
        let reply = client
            .anthropic()
            .post("/v1/messages/count_tokens", &body)
            .await;
        assert_eq!(reply.header("quire-estimated"), Some("true"));
        let tokens = reply.json()["input_tokens"].as_u64().unwrap();
        assert!((1_000..1_100).contains(&tokens), "{tokens}");
    }
    let body = json!({"model": "m", "input": messages});
    let reply = client
        .post("/v1/responses/input_tokens", &body)
        .await
        .json();
    assert_eq!(reply["object"], "response.input_tokens");
    assert!(reply["input_tokens"].as_u64().unwrap() >= 1_000, "{reply}");
    let unknown = json!({"model": "gpt-9", "messages": messages});
    let reply = client
        .anthropic()
        .post("/v1/messages/count_tokens", &unknown)
        .await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn what_an_upstream_finds_wrong_is_told() {
    let wrong = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "messages: too few"}});
    let told = wrong.clone();
    let upstream = Upstream::start(move |_| Answer::status(400, &told)).await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    let body = json!({"model": "m", "messages": []});
    let reply = client.post("/v1/messages/count_tokens", &body).await;
    assert_eq!((reply.status, reply.json()), (400, wrong));
}
