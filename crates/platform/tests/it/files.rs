//! Files as both vendors' clients upload, list, fetch and delete them, and requests that refer to them.

use std::fmt::Write as _;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Client, Reply, Upstream, World, config};

async fn world() -> (World, Upstream) {
    let upstream = Upstream::start(|seen| {
        Answer::json(&json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 1, "output_tokens": 1}, "seen": seen.json()}))
    })
    .await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    (world, upstream)
}

/// Uploads a file.
pub async fn upload(client: &Client, kind: &str, content: &str, fields: &[(&str, &str)]) -> Reply {
    let mut form = String::new();
    for (name, value) in fields {
        write!(
            form,
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
        .unwrap();
    }
    write!(form, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: {kind}\r\n\r\n{content}\r\n--b--\r\n").unwrap();
    client
        .with("content-type", "multipart/form-data; boundary=b")
        .ask(Method::POST, "/v1/files", Bytes::from(form))
        .await
}

#[tokio::test]
async fn a_file_is_kept_shown_and_deleted() {
    let (world, _upstream) = world().await;
    let client = world.client("one").await.anthropic();
    let made = upload(&client, "text/plain", "hello", &[]).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let file = made.json();
    let id = file["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (
            &file["type"],
            &file["filename"],
            &file["size_bytes"],
            &file["downloadable"]
        ),
        (&json!("file"), &json!("a.txt"), &json!(5), &json!(false))
    );
    let second = upload(&client, "text/plain", "again", &[]).await.json();
    let listed = client.get("/v1/files?limit=1").await.json();
    assert_eq!(
        (&listed["data"][0]["id"], &listed["has_more"]),
        (&second["id"], &json!(true))
    );
    let page = listed["next_page"].as_str().unwrap();
    let listed = client
        .get(&format!("/v1/files?limit=1&page={page}"))
        .await
        .json();
    assert_eq!(
        (&listed["data"][0]["id"], &listed["next_page"]),
        (&file["id"], &Value::Null)
    );
    let refused = client.get(&format!("/v1/files/{id}/content")).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let stranger = world.client("two").await.anthropic();
    for path in [format!("/v1/files/{id}"), format!("/v1/files/{id}/content")] {
        assert_eq!(stranger.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(
        stranger.delete(&format!("/v1/files/{id}")).await.status,
        404
    );
    assert_eq!(stranger.get("/v1/files").await.json()["data"], json!([]));
    let deleted = client.delete(&format!("/v1/files/{id}")).await.json();
    assert_eq!(deleted, json!({"id": id, "type": "file_deleted"}));
    assert_eq!(client.get(&format!("/v1/files/{id}")).await.status, 404);
}

#[tokio::test]
async fn openais_files_have_a_purpose_and_can_be_fetched() {
    let (world, _upstream) = world().await;
    let client = world.client("one").await;
    let refused = upload(&client, "text/plain", "x", &[]).await;
    assert_eq!(
        (refused.status, refused.json()["error"]["param"].clone()),
        (400, json!("purpose"))
    );
    let made = upload(&client, "text/csv", "a,b", &[("purpose", "user_data")]).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let file = made.json();
    assert_eq!(
        (&file["object"], &file["bytes"], &file["purpose"]),
        (&json!("file"), &json!(3), &json!("user_data"))
    );
    let id = file["id"].as_str().unwrap();
    let content = client.get(&format!("/v1/files/{id}/content")).await;
    assert_eq!((content.status, content.text().as_str()), (200, "a,b"));
    assert_eq!(content.header("content-type"), Some("text/csv"));
    let listed = client.get("/v1/files?purpose=batch").await.json();
    assert_eq!(listed["data"], json!([]));
    let deleted = client.delete(&format!("/v1/files/{id}")).await.json();
    assert_eq!(
        deleted,
        json!({"id": id, "object": "file", "deleted": true})
    );
}

#[tokio::test]
async fn a_request_goes_upstream_with_the_file_it_refers_to() {
    let (world, upstream) = world().await;
    let client = world.client("one").await.anthropic();
    let id = upload(&client, "text/plain", "the secret word is plum", &[])
        .await
        .json()["id"]
        .clone();
    let ask = |id: &Value| {
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [
            {"type": "document", "source": {"type": "file", "file_id": id}}]}]})
    };
    let reply = client.post("/v1/messages", &ask(&id)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let source = upstream.last().json()["messages"][0]["content"][0]["source"].clone();
    assert_eq!(
        source,
        json!({"type": "text", "media_type": "text/plain", "data": "the secret word is plum"})
    );
    // Another workspace's file is an id like any other that is not known here.
    let stranger = world.client("two").await.anthropic();
    stranger.post("/v1/messages", &ask(&id)).await;
    let source = upstream.last().json()["messages"][0]["content"][0]["source"].clone();
    assert_eq!(source, json!({"type": "file", "file_id": id}));
}

#[tokio::test]
async fn a_request_may_refer_to_so_many_files() {
    let (world, upstream) = world().await;
    let client = world.client("one").await.anthropic();
    let ask = |files: usize| {
        let block = |number| json!({"type": "document", "source": {"type": "file", "file_id": format!("file_{number}")}});
        let blocks: Vec<Value> = (0..files).map(block).collect();
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": blocks}]})
    };
    let refused = client.post("/v1/messages", &ask(1_001)).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert!(refused.text().contains("1001 files"), "{}", refused.text());
    assert!(upstream.seen().is_empty());
    assert_eq!(client.post("/v1/messages", &ask(1_000)).await.status, 200);
}

#[tokio::test]
async fn what_is_too_large_or_no_form_is_refused() {
    let upstream = Upstream::start(|_| Answer::json(&json!({}))).await;
    let text = format!(
        "bounds = {{ file_bytes = 10 }}\n{}",
        config(&[("messages", &upstream)])
    );
    let world = World::start(&text).await;
    let client = world.client("one").await.anthropic();
    let refused = upload(&client, "text/plain", "more than ten bytes", &[]).await;
    assert_eq!(
        (refused.status, refused.json()["error"]["type"].clone()),
        (413, json!("request_too_large"))
    );
    let refused = client.post("/v1/files", &json!({})).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(client.get("/v1/files").await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_file_is_let_go_when_its_time_is_over() {
    let (world, _upstream) = world().await;
    let client = world.client("one").await;
    let fields = [("purpose", "user_data"), ("expires_after[seconds]", "1")];
    let made = upload(&client, "text/plain", "x", &fields).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert!(made.json()["expires_at"].is_u64());
    let since = std::time::Instant::now();
    while since.elapsed() < std::time::Duration::from_millis(1_100) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let ended = world.end().await;
    // A server looks through what it keeps when it starts, and every minute.
    let world = ended.again().await;
    let client = client.at(world.address);
    let path = format!("/v1/files/{}", made.json()["id"].as_str().unwrap());
    let gone = async {
        while client.get(&path).await.status != 404 {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_mins(2), gone).await;
    assert!(waited.is_ok(), "it is still there");
}

#[tokio::test]
async fn a_small_request_cannot_become_a_huge_one() {
    let (world, upstream) = world().await;
    let client = world.client("one").await.anthropic();
    let id = upload(&client, "application/pdf", &"x".repeat(1 << 20), &[])
        .await
        .json()["id"]
        .clone();
    let reference = json!({"type": "document", "source": {"type": "file", "file_id": id}});
    let ask = |times: usize| json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": vec![reference.clone(); times]}]});
    let refused = client.post("/v1/messages", &ask(100)).await;
    assert_eq!(
        (refused.status, refused.json()["error"]["type"].clone()),
        (413, json!("request_too_large"))
    );
    assert!(upstream.seen().is_empty());
    assert_eq!(client.post("/v1/messages", &ask(2)).await.status, 200);
}
