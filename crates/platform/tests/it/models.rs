//! The models that a key may ask for.

use quire_platform::NewKey;
use serde_json::{Value, json};

use crate::world::{Answer, Upstream, World, config};

fn ids(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap();
    data.iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect()
}

async fn world() -> World {
    let upstream = Upstream::start(|_| Answer::json(&json!({}))).await;
    let text = config(&[("messages", &upstream), ("chat", &upstream)]);
    let more = "[models.\"claude-haiku-*\"]\nroutes = [{ upstream = \"messages\" }]\n\
                display_name = \"Haiku\"\n";
    World::start(&(text + more)).await
}

#[tokio::test]
async fn each_vendors_list_has_its_own_shape_and_patterns_stand_for_known_names() {
    let world = world().await;
    let client = world.client("one").await;
    let list = client.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let names = ids(&list);
    assert!(
        names.contains(&"m") && names.contains(&"m-chat"),
        "{names:?}"
    );
    assert!(names.contains(&"claude-haiku-4-5"), "{names:?}");
    assert_eq!(list["data"][0]["object"], "model");
    let one = client.get("/v1/models/m-chat").await.json();
    assert_eq!(
        one,
        json!({"id": "m-chat", "object": "model", "created": 0, "owned_by": "chat"})
    );

    let client = client.anthropic();
    let one = client.get("/v1/models/claude-haiku-4-5").await.json();
    assert_eq!(one["type"], "model");
    assert_eq!(one["display_name"], "Haiku");
    assert_eq!(one["lifecycle"], "active");
    assert!(
        one["max_input_tokens"].as_u64().unwrap() >= 200_000,
        "{one}"
    );
    assert_eq!(
        one["capabilities"]["image_input"],
        json!({"supported": true})
    );
    assert_eq!(
        one["capabilities"]["context_management"]["compact_20260112"]["supported"],
        true
    );
    // A pattern covers names that nobody has heard of, too.
    assert_eq!(client.get("/v1/models/claude-haiku-9").await.status, 200);
    let missing = client.get("/v1/models/gpt-9").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["error"]["type"], "not_found_error");
}

#[tokio::test]
async fn anthropics_list_has_pages() {
    let world = world().await;
    let client = world.client("one").await.anthropic();
    let all = client.get("/v1/models").await.json();
    let all = ids(&all).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert!(all.len() >= 4, "{all:?}");
    let first = client.get("/v1/models?limit=2").await.json();
    assert_eq!(ids(&first), all[..2]);
    assert_eq!(
        (&first["has_more"], &first["last_id"]),
        (&json!(true), &json!(all[1]))
    );
    let next = client
        .get(&format!("/v1/models?limit=2&after_id={}", all[1]))
        .await
        .json();
    assert_eq!(ids(&next), all[2..4]);
    let back = client
        .get(&format!("/v1/models?limit=1&before_id={}", all[2]))
        .await
        .json();
    assert_eq!(ids(&back), all[1..2]);
    assert_eq!(client.get("/v1/models?limit=0").await.status, 400);
    let retired = client.get("/v1/models?lifecycle=retired").await.json();
    assert!(ids(&retired).is_empty());
}

#[tokio::test]
async fn a_key_sees_what_it_may_use() {
    let world = world().await;
    let key = NewKey {
        models: vec!["m-*".to_owned()],
        ..NewKey::default()
    };
    let client = world.client_with("one", key).await;
    let list = client.get("/v1/models").await.json();
    assert_eq!(ids(&list), ["m-chat", "m-messages"]);
    assert_eq!(client.get("/v1/models/m").await.status, 404);
    assert_eq!(world.stranger().get("/v1/models").await.status, 401);
}
