//! Requests that are kept for debugging.

use serde_json::{Value, json};

use crate::world::{ADMIN_KEY, Answer, Client, Upstream, World, config};

fn answer() -> Answer {
    Answer::json(&json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }))
}

/// Whether any file that a world keeps holds some bytes.
fn holds(folder: &std::path::Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        let content = std::fs::read(&path).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn kept_requests_outlive_a_restart_hold_no_key_and_go_with_the_setting() {
    let upstream = Upstream::start(|_| answer()).await;
    let quiet = config(&[("messages", &upstream)]);
    let world = World::start(&format!("[log]\nbodies_bytes = 100000\n{quiet}")).await;
    let client = world.client("one").await.anthropic();
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "keep me"}]});
    let served = client.post("/v1/messages", &body).await;
    assert_eq!(served.status, 200, "{}", served.text());
    let sent = upstream.last();
    let ended = world.end().await;

    let world = ended.again().await;
    assert!(holds(world.folder(), b"keep me"));
    assert!(!holds(world.folder(), client.key.as_bytes()));
    let admin = Client::new(world.address, ADMIN_KEY);
    let kept = admin.get("/admin/replays").await.json();
    let id = kept["data"][0]["id"].as_str().unwrap();
    assert_eq!(served.header("request-id"), Some(id));
    let path = format!("/admin/replays/{id}");
    let one = admin.get(&path).await.json();
    assert_eq!(one["body"], body);
    // Nobody else sees it, also not whoever made it.
    for path in ["/admin/replays", &path] {
        assert_eq!(client.at(world.address).get(path).await.status, 403);
        assert_eq!(world.stranger().get(path).await.status, 401);
    }
    let again = admin.post(&format!("{path}/replay"), &Value::Null).await;
    assert_eq!(again.status, 200, "{}", again.text());
    let made = upstream.last();
    assert_eq!((made.json(), &made.path), (sent.json(), &sent.path));

    let file = world.folder().join("platform.toml");
    std::fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{quiet}")).unwrap();
    let world = world.end().await.again().await;
    let admin = Client::new(world.address, ADMIN_KEY);
    assert_eq!(admin.get("/admin/replays").await.json()["data"], json!([]));
    assert_eq!(admin.get(&path).await.status, 404);
}
