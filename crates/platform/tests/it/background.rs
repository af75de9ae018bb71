//! Responses in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::stored::{said, world};
use crate::world::{Answer, Client, Upstream, World, config, responses_stream};

/// Asks until a response has a status.
async fn becomes(client: &Client, id: &str, status: &str) -> Value {
    loop {
        let response = client.get(&format!("/v1/responses/{id}")).await.json();
        if response["status"] == status {
            return response;
        }
        assert!(
            matches!(response["status"].as_str(), Some("queued" | "in_progress")),
            "{response}"
        );
        tokio::task::yield_now().await;
    }
}

/// The upstream's stream in two parts: before and after its words.
fn halves() -> (String, String) {
    let stream = responses_stream("resp_u", "done");
    let at = stream.find("event: response.output_text.delta").unwrap();
    (stream[..at].to_owned(), stream[at..].to_owned())
}

/// An upstream that begins to answer, and ends once it is told.
async fn slow() -> (Upstream, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let until = Arc::clone(&go);
    let upstream = Upstream::start(move |_| {
        let (first, second) = halves();
        Answer::stream(first).wait(&until).then(second)
    })
    .await;
    (upstream, go)
}

async fn begin(client: &Client, body: Value) -> String {
    let queued = client.post("/v1/responses", &body).await;
    assert_eq!(queued.status, 200, "{}", queued.text());
    let queued = queued.json();
    assert_eq!(
        (&queued["status"], &queued["background"]),
        (&json!("queued"), &json!(true))
    );
    queued["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn work_goes_on_without_anybody_waiting_whatever_the_upstream_speaks() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let first = client
        .post("/v1/responses", &json!({"model": "m", "input": "first"}))
        .await
        .json();
    for model in ["m-responses", "m-chat", "m-messages"] {
        let body = json!({"model": model, "input": "second", "background": true,
            "previous_response_id": first["id"], "metadata": {"k": "v"}});
        let id = begin(&client, body).await;
        let done = becomes(&client, &id, "completed").await;
        assert_eq!(said(&done), "heard 3");
        assert_eq!(
            (&done["id"], &done["background"]),
            (&json!(id), &json!(true))
        );
        let body = json!({"model": "m-chat", "input": "third", "previous_response_id": id});
        let next = client.post("/v1/responses", &body).await.json();
        assert_eq!(said(&next), "heard 5");
    }
}

#[tokio::test]
async fn its_events_are_streamed_and_can_be_gone_on_with_from_any_place() {
    let (upstream, go) = slow().await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let client = world.client("one").await;
    let body = json!({"model": "m", "input": "first", "background": true, "stream": true});
    let mut stream = client.stream("/v1/responses", &body).await;
    let mut events = Vec::new();
    while events.len() < 4 {
        events.push(stream.next().await.unwrap());
    }
    let id = events[0].1["response"]["id"].as_str().unwrap().to_owned();
    drop(stream);
    go.notify_one();
    becomes(&client, &id, "completed").await;
    let path = format!("/v1/responses/{id}?stream=true&starting_after=3");
    let mut rest = client
        .streaming(hyper::Method::GET, &path, bytes::Bytes::new())
        .await;
    events.extend(rest.rest().await);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.queued",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    for (number, (_, event)) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert_eq!(events[9].1["response"]["id"], id);
    let all = client.get(&format!("/v1/responses/{id}?stream=true")).await;
    assert_eq!(all.events(), events);
}

#[tokio::test]
async fn it_can_be_cancelled_once() {
    let (upstream, _go) = slow().await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let client = world.client("one").await;
    let id = begin(
        &client,
        json!({"model": "m", "input": "x", "background": true}),
    )
    .await;
    upstream.asked(1).await;
    for _ in 0..2 {
        let cancelled = client
            .post(&format!("/v1/responses/{id}/cancel"), &json!({}))
            .await;
        assert_eq!(
            cancelled.json()["status"],
            "cancelled",
            "{}",
            cancelled.text()
        );
    }
    // Its stream ends.
    let stream = client.get(&format!("/v1/responses/{id}?stream=true")).await;
    assert_eq!(stream.events()[0].0, "response.created");
    assert_eq!(becomes(&client, &id, "cancelled").await["id"], id);
}

#[tokio::test]
async fn one_that_is_waited_for_cannot_be_cancelled_or_streamed_later() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let done = client
        .post("/v1/responses", &json!({"model": "m", "input": "x"}))
        .await
        .json();
    let path = format!("/v1/responses/{}", done["id"].as_str().unwrap());
    assert_eq!(
        client
            .post(&format!("{path}/cancel"), &json!({}))
            .await
            .status,
        400
    );
    assert_eq!(client.get(&format!("{path}?stream=true")).await.status, 400);
    let body = json!({"model": "m", "input": "x", "background": true, "store": false});
    assert_eq!(client.post("/v1/responses", &body).await.status, 400);
    let body = json!({"model": "gpt-9", "input": "x", "background": true});
    assert_eq!(client.post("/v1/responses", &body).await.status, 404);
}

#[tokio::test]
async fn a_failure_is_noted_and_told() {
    let upstream = Upstream::start(|_| {
        Answer::status(400, &json!({"error": {"message": "too odd", "type": "invalid_request_error", "code": "odd"}}))
    })
    .await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let client = world.client("one").await;
    let id = begin(
        &client,
        json!({"model": "m", "input": "x", "background": true}),
    )
    .await;
    let failed = becomes(&client, &id, "failed").await;
    assert_eq!(
        failed["error"],
        json!({"code": "odd", "message": "too odd"})
    );
    let stream = client.get(&format!("/v1/responses/{id}?stream=true")).await;
    let (name, last) = stream.events().pop().unwrap();
    assert_eq!(
        (name.as_str(), &last["response"]["error"]["code"]),
        ("response.failed", &json!("odd"))
    );
}

#[tokio::test]
async fn what_a_server_leaves_another_goes_on_with_and_nothing_is_told_twice() {
    let times = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |_| {
        let (first, second) = halves();
        if times.fetch_add(1, Ordering::SeqCst) == 0 {
            Answer::stream(first).hang()
        } else {
            Answer::stream(first).then(second)
        }
    })
    .await;
    let text = config(&[("responses", &upstream)]) + "[bounds]\ndrain_s = 0\n";
    let world = World::start(&text).await;
    let client = world.client("one").await;
    let body = json!({"model": "m", "input": "first", "background": true, "stream": true});
    let mut stream = client.stream("/v1/responses", &body).await;
    let mut events = Vec::new();
    while events.len() < 5 {
        events.push(stream.next().await.unwrap());
    }
    let id = events[0].1["response"]["id"].as_str().unwrap().to_owned();
    drop(stream);
    let again = world.end().await.again().await;
    let client = client.at(again.address);
    let done = becomes(&client, &id, "completed").await;
    assert_eq!(said(&done), "done");
    assert_eq!(upstream.seen().len(), 2);
    let path = format!("/v1/responses/{id}?stream=true&starting_after=4");
    let rest = client.get(&path).await.events();
    // Its items began before; what is told now is how it ended.
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!(rest[0].0, "response.completed");
    assert_eq!(rest[0].1["sequence_number"], 5);
}

#[tokio::test]
async fn a_conversation_grows_by_it_once() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let items = json!({"items": [{"role": "user", "content": "before"}]});
    let made = client.post("/v1/conversations", &items).await.json();
    let body = json!({"model": "m", "input": "x", "background": true, "conversation": made["id"]});
    let id = begin(&client, body).await;
    let done = becomes(&client, &id, "completed").await;
    assert_eq!(
        (said(&done), &done["conversation"]["id"]),
        ("heard 2", &made["id"])
    );
    let path = format!(
        "/v1/conversations/{}/items?order=asc",
        made["id"].as_str().unwrap()
    );
    let listed = client.get(&path).await.json();
    let data = listed["data"].as_array().unwrap();
    let words = data.iter().map(|item| item["content"][0]["text"].clone());
    assert_eq!(words.collect::<Vec<_>>(), ["before", "x", "heard 2"]);
}

#[tokio::test]
async fn an_end_that_is_seen_cuts_nothing_off() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let mut all = Vec::new();
    for _ in 0..200 {
        all.push(client.post("/v1/conversations", &json!({})).await.json()["id"].clone());
    }
    // All at once, so that a look at a response and its end come to the same moment.
    let one = async |conversation: &Value| {
        let body =
            json!({"model": "m", "input": "x", "background": true, "conversation": conversation});
        let id = begin(&client, body).await;
        becomes(&client, &id, "completed").await;
        // Nothing of it is still to be done: a server that is killed now loses nothing.
        let path = format!("/v1/conversations/{}/items", conversation.as_str().unwrap());
        let listed = client.get(&path).await.json();
        assert_eq!(listed["data"].as_array().unwrap().len(), 2, "{listed}");
    };
    futures_util::future::join_all(all.iter().map(one)).await;
}

#[tokio::test]
async fn one_whose_conversation_is_deleted_ends_all_the_same() {
    let (upstream, go) = slow().await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let client = world.client("one").await;
    let made = client.post("/v1/conversations", &json!({})).await.json();
    let conversation = made["id"].as_str().unwrap();
    let body =
        json!({"model": "m", "input": "x", "background": true, "conversation": conversation});
    let id = begin(&client, body).await;
    upstream.asked(1).await;
    client
        .delete(&format!("/v1/conversations/{conversation}"))
        .await;
    go.notify_one();
    let done = becomes(&client, &id, "completed").await;
    assert_eq!((said(&done), &done["store"]), ("done", &json!(true)));
    assert_eq!(upstream.seen().len(), 1);
}
