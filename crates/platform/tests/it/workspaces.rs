//! One workspace never sees another's.

use bytes::Bytes;
use hyper::Method;
use serde_json::json;

use crate::files::upload;
use crate::stored::world;
use crate::world::{Client, Reply};

/// Every path of what is kept.
const PATHS: [(Method, &str); 12] = [
    (Method::GET, "/v1/responses/RESPONSE"),
    (Method::GET, "/v1/responses/RESPONSE?stream=true"),
    (Method::GET, "/v1/responses/RESPONSE/input_items"),
    (Method::POST, "/v1/responses/RESPONSE/cancel"),
    (Method::DELETE, "/v1/responses/RESPONSE"),
    (Method::GET, "/v1/conversations/CONVERSATION"),
    (Method::POST, "/v1/conversations/CONVERSATION"),
    (Method::GET, "/v1/conversations/CONVERSATION/items"),
    (Method::POST, "/v1/conversations/CONVERSATION/items"),
    (Method::GET, "/v1/conversations/CONVERSATION/items/msg_mine"),
    (
        Method::DELETE,
        "/v1/conversations/CONVERSATION/items/msg_mine",
    ),
    (Method::DELETE, "/v1/conversations/CONVERSATION"),
];

#[tokio::test]
async fn no_endpoint_shows_another_workspaces_things() {
    let (world, _upstreams) = world().await;
    let (mine, theirs) = (world.client("one").await, world.client("two").await);
    let stored = mine
        .post("/v1/responses", &json!({"model": "m", "input": "secret"}))
        .await
        .json();
    let response = stored["id"].as_str().unwrap();
    let body = json!({"items": [{"role": "user", "content": "secret", "id": "msg_mine"}]});
    let made = mine.post("/v1/conversations", &body).await.json();
    let conversation = made["id"].as_str().unwrap();
    for (method, path) in PATHS {
        let path = &path
            .replace("RESPONSE", response)
            .replace("CONVERSATION", conversation);
        let body = json!({"items": [{"role": "user", "content": "x"}], "metadata": {}});
        let body = if method == Method::POST {
            body.to_string()
        } else {
            String::new()
        };
        let other = path
            .replace(response, "resp_never")
            .replace(conversation, "conv_never");
        let reply = theirs.ask(method.clone(), path, body.clone().into()).await;
        let never = theirs.ask(method.clone(), &other, body.into()).await;
        assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text());
        // Nothing tells what is another's from what was never there.
        let same = reply
            .text()
            .replace(response, "resp_never")
            .replace(conversation, "conv_never");
        assert_eq!(same, never.text(), "{method} {path}");
        let nobody = world
            .stranger()
            .ask(method.clone(), path, bytes::Bytes::new())
            .await;
        assert_eq!(nobody.status, 401, "{method} {path}");
    }
    none_goes_on_from_them(&theirs, response, conversation).await;
    // All of it is still there.
    assert_eq!(
        mine.get(&format!("/v1/responses/{response}")).await.status,
        200
    );
    let items = mine
        .get(&format!("/v1/conversations/{conversation}/items"))
        .await
        .json();
    assert_eq!(items["data"][0]["id"], "msg_mine");
}

/// Every path of what a client hands in, to fetch or have worked on.
const HANDED_IN: [(Method, &str); 7] = [
    (Method::GET, "/v1/files/FILE"),
    (Method::GET, "/v1/files/FILE/content"),
    (Method::DELETE, "/v1/files/FILE"),
    (Method::GET, "/v1/messages/batches/BATCH"),
    (Method::GET, "/v1/messages/batches/BATCH/results"),
    (Method::POST, "/v1/messages/batches/BATCH/cancel"),
    (Method::DELETE, "/v1/messages/batches/BATCH"),
];

#[tokio::test]
async fn no_endpoint_shows_another_workspaces_files_or_batches() {
    let (world, _upstreams) = world().await;
    let (mine, theirs) = (world.client("one").await, world.client("two").await);
    let purpose = [("purpose", "user_data")];
    let file = upload(&mine, "text/plain", "secret", &purpose).await.json();
    let file = file["id"].as_str().unwrap();
    let item = json!({"custom_id": "secret", "params": {"model": "m", "max_tokens": 9,
        "messages": [{"role": "user", "content": "secret"}]}});
    let mine = mine.anthropic();
    let asked = json!({"requests": [item]});
    let batch = mine.post("/v1/messages/batches", &asked).await.json();
    let batch = batch["id"].as_str().unwrap();
    for theirs in [theirs.clone(), theirs.anthropic()] {
        for (method, path) in HANDED_IN {
            let path = path.replace("FILE", file).replace("BATCH", batch);
            let other = path
                .replace(file, "file_never")
                .replace(batch, "msgbatch_never");
            let reply = theirs.ask(method.clone(), &path, Bytes::new()).await;
            let never = theirs.ask(method.clone(), &other, Bytes::new()).await;
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text());
            assert_eq!(
                words(&reply, &[(file, "file_never"), (batch, "msgbatch_never")]),
                words(&never, &[]),
                "{method} {path}"
            );
        }
        for list in ["/v1/files", "/v1/messages/batches"] {
            assert_eq!(theirs.get(list).await.json()["data"], json!([]), "{list}");
        }
    }
    let kept = mine.get(&format!("/v1/messages/batches/{batch}")).await;
    assert_eq!(kept.status, 200);
}

/// What an error says, by other ids.
fn words(reply: &Reply, ids: &[(&str, &str)]) -> String {
    let text = reply.json()["error"]["message"].to_string();
    ids.iter()
        .fold(text, |text, (id, other)| text.replace(id, other))
}

/// A request that names another workspace's things is refused, and says nothing of them.
async fn none_goes_on_from_them(theirs: &Client, response: &str, conversation: &str) {
    for (path, field, id, status) in [
        ("/v1/responses", "previous_response_id", response, 400),
        ("/v1/responses", "conversation", conversation, 404),
        (
            "/v1/responses/compact",
            "previous_response_id",
            response,
            400,
        ),
        (
            "/v1/responses/input_tokens",
            "previous_response_id",
            response,
            400,
        ),
    ] {
        let mut body = json!({"model": "m", "input": "x"});
        body[field] = json!(id);
        let reply = theirs.post(path, &body).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(!reply.text().contains("secret"));
    }
}
