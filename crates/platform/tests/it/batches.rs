//! Message batches from their hand-in to their results, and over a server's end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::world::{Answer, Client, Upstream, World, config};

fn message(text: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 1_000_000, "output_tokens": 0}})
}

fn item(id: &str, words: &str) -> Value {
    json!({"custom_id": id, "params": {"model": "m", "max_tokens": 9, "stream": true,
        "messages": [{"role": "user", "content": words}]}})
}

/// A batch when it has ended.
pub async fn ended(client: &Client, id: &str) -> Value {
    let ended = async {
        loop {
            let batch = client
                .get(&format!("/v1/messages/batches/{id}"))
                .await
                .json();
            if batch["processing_status"] == "ended" {
                return batch;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), ended)
        .await
        .unwrap()
}

async fn results(client: &Client, id: &str) -> Vec<Value> {
    let text = client
        .get(&format!("/v1/messages/batches/{id}/results"))
        .await
        .text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_batch_is_worked_on_and_its_results_are_lines() {
    let upstream = Upstream::start(|seen| {
        let said = seen.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        if said == "wrong" {
            return Answer::status(
                400,
                &json!({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}),
            );
        }
        assert!(seen.json().get("stream").is_none());
        Answer::json(&message(&said))
    })
    .await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    let asked = json!({"requests": [item("a", "first"), item("b", "wrong"), item("c", "third")]});
    let made = client.post("/v1/messages/batches", &asked).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let batch = made.json();
    assert_eq!(
        (&batch["type"], &batch["processing_status"]),
        (&json!("message_batch"), &json!("in_progress"))
    );
    let id = batch["id"].as_str().unwrap();
    let batch = ended(&client, id).await;
    assert_eq!(
        batch["request_counts"],
        json!({"processing": 0, "succeeded": 2, "errored": 1, "canceled": 0, "expired": 0})
    );
    assert!(
        batch["results_url"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/v1/messages/batches/{id}/results"))
    );
    let lines = results(&client, id).await;
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["custom_id"], "a");
    assert_eq!(lines[0]["result"]["message"]["content"][0]["text"], "first");
    assert_eq!(lines[1]["result"]["type"], "errored");
    assert_eq!(
        lines[1]["result"]["error"]["error"]["type"],
        "invalid_request_error"
    );
    is_nobody_elses(&world, &client, id).await;
}

async fn is_nobody_elses(world: &World, client: &Client, id: &str) {
    let stranger = world.client("two").await.anthropic();
    for path in ["", "/results"] {
        assert_eq!(
            stranger
                .get(&format!("/v1/messages/batches/{id}{path}"))
                .await
                .status,
            404
        );
    }
    assert_eq!(
        stranger
            .post(&format!("/v1/messages/batches/{id}/cancel"), &json!({}))
            .await
            .status,
        404
    );
    assert_eq!(
        stranger
            .delete(&format!("/v1/messages/batches/{id}"))
            .await
            .status,
        404
    );
    let listed = client.get("/v1/messages/batches").await.json();
    assert_eq!(listed["data"][0]["id"], id);
    let deleted = client
        .delete(&format!("/v1/messages/batches/{id}"))
        .await
        .json();
    assert_eq!(deleted, json!({"id": id, "type": "message_batch_deleted"}));
}

#[tokio::test]
async fn an_item_is_held_to_the_version_that_its_batch_named() {
    let upstream = Upstream::start(|_| Answer::json(&message("hi"))).await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await;
    let client = client.with("anthropic-version", "2026-10-21");
    let mut drawn = item("drawn", "hi");
    drawn["params"]["top_k"] = json!(1);
    let asked = json!({"requests": [item("plain", "hi"), drawn]});
    let made = client.post("/v1/messages/batches", &asked).await.json();
    let id = made["id"].as_str().unwrap();
    ended(&client, id).await;
    let results = results(&client, id).await;
    let of = |id: &str| results.iter().find(|line| line["custom_id"] == id).unwrap();
    assert_eq!(of("plain")["result"]["type"], "succeeded");
    assert_eq!(
        of("drawn")["result"]["error"]["error"]["message"],
        "top_k: Extra inputs are not permitted"
    );
}

#[tokio::test]
async fn a_batch_goes_on_where_another_server_takes_over() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let upstream = Upstream::start(move |seen| {
        let said = seen.json()["messages"][0]["content"]
            .as_str()
            .unwrap()
            .to_owned();
        let answer = Answer::json(&message(&said));
        if said == "slow" {
            answer.wait(&held)
        } else {
            answer
        }
    })
    .await;
    // It ends at once, in the middle of the slow one.
    let text = format!(
        "bounds = {{ drain_s = 0 }}\n{}",
        config(&[("messages", &upstream)])
    );
    let world = World::start(&text).await;
    let client = world.client("one").await.anthropic();
    let asked = json!({"requests": [item("a", "quick"), item("b", "slow")]});
    let batch = client.post("/v1/messages/batches", &asked).await.json();
    let id = batch["id"].as_str().unwrap().to_owned();
    upstream.asked(2).await;
    let world = world.end().await.again().await;
    gate.notify_waiters();
    gate.notify_one();
    let client = client.at(world.address);
    let batch = ended(&client, &id).await;
    assert_eq!(batch["request_counts"]["succeeded"], 2, "{batch}");
    assert_eq!(results(&client, &id).await.len(), 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_told_at_once() {
    let upstream = Upstream::start(|_| Answer::json(&message("x"))).await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    for (asked, told) in [
        (json!({}), "requests"),
        (json!({"requests": []}), "between 1 and"),
        (
            json!({"requests": [item("a b", "x")]}),
            "requests.0.custom_id",
        ),
        (
            json!({"requests": [item("a", "x"), item("a", "y")]}),
            "custom_id",
        ),
        (
            json!({"requests": [{"custom_id": "a", "params": 7}]}),
            "requests.0.params",
        ),
    ] {
        let refused = client.post("/v1/messages/batches", &asked).await;
        assert_eq!(refused.status, 400, "{asked}: {}", refused.text());
        let message = refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains(told), "{asked}: {message}");
    }
}

#[tokio::test]
async fn what_a_server_has_begun_it_finishes_before_it_ends() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let upstream = Upstream::start(move |_| Answer::json(&message("done")).wait(&held)).await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    let asked = json!({"requests": [item("a", "slow")]});
    let batch = client.post("/v1/messages/batches", &asked).await.json();
    let id = batch["id"].as_str().unwrap().to_owned();
    upstream.asked(1).await;
    let (ended, ()) = tokio::join!(world.end(), async { gate.notify_one() });
    let world = ended.again().await;
    let batch = self::ended(&client.at(world.address), &id).await;
    assert_eq!(batch["request_counts"]["succeeded"], 1, "{batch}");
    // It was served once, and is billed once.
    assert_eq!(upstream.seen().len(), 1);
}
