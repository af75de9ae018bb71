//! Workspaces and keys, from their making to their end.

use std::sync::Arc;

use axum::http::HeaderMap;
use quire_translate::Refusal;
use serde_json::{Value, json};

use super::{ARCHIVE, KEY, KEYS, QUIET, WORKSPACES, get, post, query, workspace};
use crate::keyring::Caller;
use crate::testing::World;

/// Whom a secret lets in now.
async fn caller(world: &World, secret: &str) -> Result<Arc<Caller>, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", secret.parse().unwrap());
    world.app.caller(&headers).await
}

/// A key of a workspace: its secret and its id.
async fn key(world: &World, workspace: &str) -> (String, String) {
    let given = json!({
        "name": "nightly", "workspace_id": workspace, "models": ["claude-*"], "regions": ["us"],
        "limits": {"output_tokens_per_minute": 9}, "expires_at": "2126-01-01T00:00:00+01:00",
    });
    let made = post(world, KEYS, &[], given).await;
    assert_eq!(made["expires_at"], "2125-12-31T23:00:00Z");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let hint = text("partial_key_hint");
    assert!(text("key").ends_with(hint.trim_start_matches("qk-...")));
    (text("key"), text("id"))
}

#[tokio::test]
async fn a_key_opens_what_it_is_for_at_once_and_is_shown_once() {
    let world = World::new(QUIET).await;
    let given = json!({
        "name": "ci", "limits": {"requests_per_minute": 7},
        "budget": {"amount_usd": "2.5", "period": "day"},
    });
    let made = post(&world, WORKSPACES, &[], given).await;
    let (secret, id) = key(&world, made["id"].as_str().unwrap()).await;
    let opened = caller(&world, &secret).await.unwrap();
    assert_eq!(opened.workspace.limits.requests_per_minute, Some(7));
    assert!(opened.may_use("claude-x") && !opened.may_use("small"));
    let again = get(&world, KEY, &[&id]).await;
    assert!(again.get("key").is_none() && !again.to_string().contains(&secret));
}

#[tokio::test]
async fn what_is_given_of_a_key_is_changed_and_the_rest_stays() {
    let world = World::new(QUIET).await;
    let (secret, id) = key(&world, &workspace(&world, "w").await).await;
    let change = json!({
        "name": "n2", "models": [], "limits": {"requests_per_minute": 5},
        "budget": {"amount_usd": "1", "period": "total"},
    });
    let changed = post(&world, KEY, &[&id], change).await;
    assert_eq!(changed["limits"]["output_tokens_per_minute"], 9);
    assert_eq!(changed["limits"]["requests_per_minute"], 5);
    assert_eq!(changed["regions"], json!(["us"]));
    assert!(caller(&world, &secret).await.unwrap().may_use("small"));
    let clear = json!({
        "budget": null, "expires_at": null, "limits": {"requests_per_minute": null},
    });
    let cleared = post(&world, KEY, &[&id], clear).await;
    for value in [
        &cleared["budget"],
        &cleared["expires_at"],
        &cleared["limits"]["requests_per_minute"],
    ] {
        assert_eq!(*value, Value::Null, "{cleared}");
    }
}

#[tokio::test]
async fn a_key_ends_in_three_ways() {
    let world = World::new(QUIET).await;
    let workspace = workspace(&world, "w").await;
    let (secret, id) = key(&world, &workspace).await;
    let change = async |change: Value| {
        let changed = post(&world, KEY, &[&id], change).await;
        let opens = caller(&world, &secret).await.is_ok();
        (changed["status"].as_str().unwrap().to_owned(), opens)
    };
    let off = change(json!({"status": "inactive"})).await;
    assert_eq!(off, ("inactive".to_owned(), false));
    let on = change(json!({"status": "active"})).await;
    assert_eq!(on, ("active".to_owned(), true));
    let past = change(json!({"expires_at": "2001-01-01T00:00:00Z"})).await;
    assert_eq!(past, ("expired".to_owned(), false));
    let on = change(json!({"expires_at": null})).await;
    assert_eq!(on, ("active".to_owned(), true));
    let gone = post(&world, ARCHIVE, &[&workspace], Value::Null).await;
    assert!(gone["archived_at"].is_string());
    let refused = caller(&world, &secret).await.unwrap_err();
    assert!(refused.message.contains("archived"), "{refused}");
}

#[tokio::test]
async fn lists_are_read_in_pages_both_ways() {
    let world = World::new(QUIET).await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(workspace(&world, &format!("w{n}")).await);
    }
    post(&world, ARCHIVE, &[&made[2]], Value::Null).await;
    let list = async |text: &str| {
        let listed = query(&world, WORKSPACES, text).await;
        let place = |item: &Value| made.iter().position(|id| *id == item["id"]).unwrap();
        let items = listed["data"].as_array().unwrap();
        let places: Vec<usize> = items.iter().map(place).collect();
        (places, listed["has_more"].as_bool().unwrap())
    };
    let cursor = |text: &str, n: usize| format!("{text}={}", made[n]);
    let two = format!("ids[]={}&ids[]={}", made[0], made[4]);
    for (text, places, more) in [
        (String::new(), vec![4, 3, 1, 0], false),
        (
            "include_archived=true".to_owned(),
            vec![4, 3, 2, 1, 0],
            false,
        ),
        ("limit=2".to_owned(), vec![4, 3], true),
        (cursor("limit=2&after_id", 3), vec![1, 0], false),
        (cursor("limit=1&before_id", 1), vec![3], true),
        (cursor("limit=2&before_id", 1), vec![4, 3], false),
        (two, vec![4, 0], false),
    ] {
        assert_eq!(list(&text).await, (places, more), "{text}");
    }
}

#[tokio::test]
async fn keys_are_listed_by_status_and_workspace() {
    let world = World::new(QUIET).await;
    let (one, two) = (
        workspace(&world, "one").await,
        workspace(&world, "two").await,
    );
    key(&world, &one).await;
    let listed = get(&world, KEYS, &[]).await;
    assert_eq!(listed["data"][0]["scope"]["workspace_id"], one.as_str());
    for (text, count) in [
        ("status=active".to_owned(), 1),
        ("status=archived".to_owned(), 0),
        (format!("workspace_id={one}"), 1),
        (format!("workspace_id={two}"), 0),
    ] {
        let listed = query(&world, KEYS, &text).await;
        assert_eq!(listed["data"].as_array().unwrap().len(), count, "{text}");
    }
}
