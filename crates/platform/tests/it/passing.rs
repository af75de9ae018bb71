//! Requests that pass through as they came.

use hyper::Method;
use serde_json::json;

use crate::world::{Answer, Upstream, World, config};

#[tokio::test]
async fn a_request_passes_and_its_answer_comes_back() {
    let upstream = Upstream::start(|_| {
        Answer::json(&json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "m"}))
    })
    .await;
    let world = World::start(&config(&[("chat", &upstream)])).await;
    let client = world.client("one").await;
    let asked = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}], "odd": 1});
    let reply = client.post("/v1/chat/completions", &asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["id"], "chatcmpl-1");
    assert_eq!(reply.header("quire-upstream"), Some("chat"));
    let seen = upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/chat/completions");
    assert_eq!(seen[0].json(), asked);
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_said_to() {
    let world = World::start(&config(&[])).await;
    let reply = world.client("one").await.get("/v1/nowhere").await;
    assert_eq!(reply.status, 404, "{}", reply.text());
}

#[tokio::test]
async fn what_a_path_does_not_take_is_told_in_the_words_of_its_api() {
    let world = World::start(&config(&[])).await;
    let client = world.client("one").await;
    let none = bytes::Bytes::new;
    for (method, path, status, allow, is_anthropics) in [
        (Method::GET, "/v1/messages", 405, "POST", true),
        (
            Method::DELETE,
            "/v1/messages/count_tokens",
            405,
            "POST",
            true,
        ),
        (
            Method::PUT,
            "/v1/messages/batches/x",
            405,
            "GET,HEAD,DELETE",
            true,
        ),
        (Method::PUT, "/v1/responses", 405, "POST,GET,HEAD", false),
        (Method::GET, "/v1/chat/completions", 405, "POST", false),
        (Method::PUT, "/v1/files/x", 405, "GET,HEAD,DELETE", false),
        (Method::GET, "/v1/messages/batches/x%ff", 404, "", true),
        (Method::GET, "/v1/responses/x%ff", 404, "", false),
        (
            Method::GET,
            "/v1/conversations/c/items/x%ff",
            404,
            "",
            false,
        ),
        (Method::GET, "/v1/models/x%ff", 404, "", false),
        (
            Method::GET,
            "/v1/organizations/api_keys/x%ff",
            404,
            "",
            true,
        ),
    ] {
        let reply = client.ask(method.clone(), path, none()).await;
        let body = reply.json();
        assert_eq!(reply.status, status, "{method} {path}: {body}");
        assert_eq!(
            reply.header("allow").unwrap_or_default(),
            allow,
            "{method} {path}"
        );
        let id = reply.header("request-id").unwrap();
        let kind = if is_anthropics && status == 404 {
            "not_found_error"
        } else {
            "invalid_request_error"
        };
        assert_eq!(body["error"]["type"], kind, "{method} {path}: {body}");
        let told = body["error"]["message"].as_str().unwrap();
        assert!(told.contains(path), "{told}");
        if is_anthropics {
            assert_eq!(
                (&body["type"], &body["request_id"]),
                (&json!("error"), &json!(id))
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_object_is_told_to_be_one() {
    let world = World::start(&config(&[])).await;
    let client = world.client("one").await;
    let client = client.with("anthropic-version", "2023-06-01");
    for path in [
        "/v1/messages",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/messages/count_tokens",
        "/v1/messages/batches",
    ] {
        for body in ["[]", "7", r#"["m",true]"#] {
            let reply = client.ask(Method::POST, path, body.into()).await;
            let told = reply.json()["error"]["message"].to_string();
            assert_eq!(reply.status, 400, "{path} {body}: {told}");
            assert!(told.contains("a JSON object"), "{path} {body}: {told}");
            assert!(!told.contains("struct"), "{path} {body}: {told}");
        }
    }
}

#[tokio::test]
async fn a_server_that_speaks_as_openai_does_is_asked_in_words_that_every_one_has() {
    let upstream = Upstream::start(|seen| {
        let asked = seen.json();
        let name = asked["tools"][0]["function"]["name"].clone();
        let arguments = json!({"input": "ls"}).to_string();
        let call = json!({"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        Answer::json(&json!({
            "id": "chatcmpl-1", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        }))
    })
    .await;
    let world = World::start(&config(&[("chat", &upstream)])).await;
    let client = world.client("one").await;
    let asked = json!({
        "model": "m", "store": false, "max_output_tokens": 9,
        "input": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "List it."}],
        "tools": [{"type": "custom", "name": "run", "description": "Runs it."}],
    });
    let reply = client.post("/v1/responses", &asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let call = &reply.json()["output"][0];
    assert_eq!(
        (&call["type"], &call["name"], &call["input"]),
        (&json!("custom_tool_call"), &json!("run"), &json!("ls"))
    );
    let body = upstream.seen()[0].json();
    assert_eq!(body["tools"][0]["type"], "function");
    assert_eq!(body["messages"][0]["role"], "system");
    assert_eq!(
        (&body["max_tokens"], &body["max_completion_tokens"]),
        (&json!(9), &json!(null))
    );
}

#[tokio::test]
async fn a_request_of_messages_that_does_not_say_its_version_is_refused() {
    let upstream = Upstream::start(|_| Answer::json(&json!({"id": "msg_1"}))).await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await;
    let asked =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let batch = json!({"requests": [{"custom_id": "a", "params": asked}]});
    for (path, body) in [
        ("/v1/messages", &asked),
        ("/v1/messages/count_tokens", &asked),
        ("/v1/messages/batches", &batch),
    ] {
        let reply = client.post(path, body).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        let told = reply.json();
        assert_eq!(told["error"]["type"], "invalid_request_error");
        assert_eq!(
            told["error"]["message"],
            "anthropic-version: header is required"
        );
    }
    assert!(upstream.seen().is_empty());
    let reply = client.anthropic().post("/v1/messages", &asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}
