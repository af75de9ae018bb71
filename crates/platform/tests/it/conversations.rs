//! Conversations.

use serde_json::json;

use crate::stored::{said, world};

#[tokio::test]
async fn a_conversation_grows_by_what_is_asked_and_answered() {
    let (world, upstreams) = world().await;
    let client = world.client("one").await;
    let items = json!([{"role": "developer", "content": "be brief"}]);
    let made = client
        .post(
            "/v1/conversations",
            &json!({"items": items, "metadata": {"topic": "t"}}),
        )
        .await
        .json();
    assert_eq!(
        (&made["object"], &made["metadata"]),
        (&json!("conversation"), &json!({"topic": "t"}))
    );
    let id = made["id"].as_str().unwrap();
    for (name, heard) in [(json!(id), "heard 2"), (json!({"id": id}), "heard 4")] {
        let body = json!({"model": "m-chat", "input": "hello", "conversation": name});
        let reply = client.post("/v1/responses", &body).await.json();
        assert_eq!(said(&reply), heard);
        assert_eq!(reply["conversation"], json!({"id": id}));
    }
    let path = format!("/v1/conversations/{id}/items");
    let listed = client.get(&format!("{path}?order=asc")).await.json();
    let data = listed["data"].as_array().unwrap();
    let words: Vec<_> = data
        .iter()
        .map(|item| item["content"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["be brief", "hello", "heard 2", "hello", "heard 4"]);
    assert!(upstreams[1].last().json().get("conversation").is_none());
}

#[tokio::test]
async fn its_items_are_listed_added_and_deleted() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let message = |text: &str| json!({"role": "user", "content": text});
    let items = json!({"items": [message("a"), message("b"), message("c")]});
    let made = client.post("/v1/conversations", &items).await.json();
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/conversations/{id}/items");
    let listed = client.get(&format!("{path}?order=asc")).await.json();
    let data = listed["data"].as_array().unwrap();
    let newest = client.get(&format!("{path}?limit=2")).await.json();
    assert_eq!(newest["data"], json!([data[2], data[1]]));
    assert_eq!(
        (&newest["first_id"], &newest["has_more"]),
        (&data[2]["id"], &json!(true))
    );
    let one = client
        .get(&format!("{path}/{}", data[1]["id"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(one, data[1]);
    let left = client
        .delete(&format!("{path}/{}", data[1]["id"].as_str().unwrap()))
        .await;
    assert_eq!(left.json()["id"], id);
    let added = client
        .post(
            &path,
            &json!({"items": [{"role": "user", "content": "more"}]}),
        )
        .await
        .json();
    assert_eq!(added["data"][0]["content"][0]["text"], "more");
    let listed = client.get(&path).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);

    let noted = client
        .post(
            &format!("/v1/conversations/{id}"),
            &json!({"metadata": {"a": "b"}}),
        )
        .await;
    assert_eq!(noted.json()["metadata"], json!({"a": "b"}));
    let gone = client
        .delete(&format!("/v1/conversations/{id}"))
        .await
        .json();
    assert_eq!(
        gone,
        json!({"id": id, "object": "conversation.deleted", "deleted": true})
    );
    assert_eq!(
        client.get(&format!("/v1/conversations/{id}")).await.status,
        404
    );
    let body = json!({"model": "m", "input": "hello", "conversation": id});
    assert_eq!(client.post("/v1/responses", &body).await.status, 404);
}

#[tokio::test]
async fn a_conversation_excludes_a_response_to_go_on_from() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let body = json!({"model": "m", "input": "x", "conversation": "conv_1", "previous_response_id": "resp_1"});
    let reply = client.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.text().contains("Mutually exclusive"),
        "{}",
        reply.text()
    );
}
