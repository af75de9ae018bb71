//! The server itself, and requests that were kept.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{QUIET, document, get, refused};
use crate::testing::{Peer, World, config, http, reply};

#[tokio::test]
async fn the_server_tells_of_itself_and_of_no_secret() {
    let world = World::new(QUIET).await;
    let upstreams = get(&world, "/admin/upstreams", &[]).await;
    assert_eq!(upstreams["data"][0]["state"], "healthy");
    assert_eq!(upstreams["data"][0]["base_url"], "http://127.0.0.1:9/v1");
    let text = upstreams.to_string();
    assert!(!text.contains("secret") && !text.contains("hush"), "{text}");
    let models = get(&world, "/admin/models", &[]).await;
    assert_eq!(models["data"][0]["routes"][0]["model"], "m");
    let came = world
        .admin(Method::GET, "/admin/openapi.json", Value::Null)
        .await;
    assert_eq!(came.json(), document());
}

#[tokio::test]
async fn a_request_that_was_kept_is_made_again() {
    let peer = Peer::new(&[reply()]);
    let world = World::new(&config(peer.address, "[log]\nbodies_bytes = 5000")).await;
    let key = world.key("w").await;
    let body = json!({"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "say it"}]});
    let first = world.messages(&key, &[("cookie", "c=1")], &body).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let sent = peer.request();
    let kept = get(&world, "/admin/replays", &[]).await;
    let id = kept["data"][0]["id"].as_str().unwrap();
    assert_eq!(first.headers["request-id"], id);
    let one = get(&world, "/admin/replays/{request_id}", &[id]).await;
    assert_eq!(one["body"], body);
    let text = one.to_string();
    assert!(!text.contains(&key) && !text.contains("c=1"), "{text}");
    let path = format!("/admin/replays/{id}/replay");
    let again = world.admin(Method::POST, &path, Value::Null).await;
    assert_eq!(again.body, first.body);
    assert_ne!(again.headers["request-id"], id);
    assert_eq!(peer.request(), sent);
    // Room is bounded: the oldest goes first, and what is too large is not kept.
    for n in 0..8 {
        let mut body = body.clone();
        body["metadata"] = json!({"user_id": format!("{n}")});
        world.messages(&key, &[], &body).await;
    }
    let mut large = body.clone();
    large["system"] = "x".repeat(6_000).into();
    world.messages(&key, &[], &large).await;
    let kept = get(&world, "/admin/replays", &[]).await;
    assert_eq!(kept["data"].as_array().unwrap().len(), 4);
    assert_eq!(
        refused(
            &world,
            Method::GET,
            &format!("/admin/replays/{id}"),
            Value::Null
        )
        .await
        .0,
        404
    );
}

#[tokio::test]
async fn what_cannot_be_kept_now_is_kept_later() {
    let peer = Peer::new(&[reply()]);
    let world = World::new(&config(peer.address, "[log]\nbodies_bytes = 5000")).await;
    let key = world.key("w").await;
    let database = world.app.depot().database();
    let rename = |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        database.execute(quire_depot::Statement::new(sql))
    };
    rename("replay", "hidden").await.unwrap();
    for _ in 0..9 {
        let body = json!({"model": "claude-opus-5", "max_tokens": 9, "system": "x".repeat(900), "messages": []});
        let came = world.messages(&key, &[], &body).await;
        assert_eq!(came.status, StatusCode::OK, "{}", came.text());
        world.app.tidy(1).await;
    }
    rename("hidden", "replay").await.unwrap();
    world.app.tidy(1).await;
    let rows = world.app.depot().replay().newest(100).await.unwrap();
    // As many as there is room for, which is less with what stands beside them.
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn nothing_is_kept_unless_the_config_says_so() {
    let peer = Peer::new(&[reply()]);
    let world = World::new(&config(peer.address, "")).await;
    let key = world.key("w").await;
    let body = json!({"model": "claude-opus-5", "max_tokens": 9, "messages": []});
    world.messages(&key, &[], &body).await;
    let kept = get(&world, "/admin/replays", &[]).await;
    assert_eq!(kept["data"], json!([]));
}

#[tokio::test]
async fn a_request_that_a_second_upstream_serves_is_billed() {
    let broken = Peer::new(&[http("500 Internal Server Error", "text/plain", "no")]);
    let well = Peer::new(&[reply()]);
    let text = config(broken.address, "").replace(
        "[{ upstream = \"up\" }]",
        "[{ upstream = \"up\" }, { upstream = \"two\", rank = 1 }]",
    ) + &format!(
        "[upstreams.two]\ndialect = \"messages\"\nbase_url = \"http://{}\"\n",
        well.address
    );
    let world = World::new(&text).await;
    let key = world.key("w").await;
    let body = json!({"model": "claude-opus-5", "max_tokens": 9, "messages": []});
    let came = world.messages(&key, &[], &body).await;
    assert_eq!(came.headers["quire-upstream"], "two");
    world.app.tidy(1).await;
    let path = "/v1/organizations/analytics/usage?starting_at=2026-11-20T00:00:00Z&format=csv";
    let csv = world.admin(Method::GET, path, Value::Null).await;
    let lines: Vec<&str> = csv.text().lines().collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains(",two,") && line.contains(",200,")),
        "{lines:#?}"
    );
}
