//! Responses over a WebSocket.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use crate::stored::{said, world};
use crate::world::{Answer, Upstream, World, config, responses_stream};

#[tokio::test]
async fn events_come_as_frames_with_their_lane() {
    let (world, _upstreams) = world().await;
    let mut socket = world.client("one").await.socket("/v1/responses").await;
    for model in ["m-responses", "m-chat", "m-messages"] {
        let create =
            json!({"type": "response.create", "model": model, "input": "x", "stream_id": "a"});
        socket.send(&create).await;
        let events = socket.answer().await;
        assert_eq!(events[0]["type"], "response.created");
        assert!(events.len() > 6, "{events:?}");
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number, "{model}");
            assert_eq!(event["stream_id"], "a");
        }
        assert_eq!(said(&events.last().unwrap()["response"]), "heard 1");
    }
}

#[tokio::test]
async fn lanes_do_not_wait_for_one_another() {
    let go = Arc::new(Notify::new());
    let until = Arc::clone(&go);
    let upstream = Upstream::start(move |seen| {
        let stream = responses_stream("resp_u", "done");
        if seen.json()["input"] == "slow" {
            return Answer::stream("").wait(&until).then(stream);
        }
        Answer::stream(stream)
    })
    .await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let mut socket = world.client("one").await.socket("/v1/responses").await;
    for (lane, input) in [("a", "slow"), ("a", "next"), ("b", "quick")] {
        let create =
            json!({"type": "response.create", "model": "m", "input": input, "stream_id": lane});
        socket.send(&create).await;
    }
    let lane = |events: Vec<Value>| events[0]["stream_id"].clone();
    assert_eq!(lane(socket.answer().await), "b");
    go.notify_one();
    assert_eq!(lane(socket.answer().await), "a");
    assert_eq!(lane(socket.answer().await), "a");
    let order: Vec<_> = upstream
        .seen()
        .iter()
        .map(|seen| seen.json()["input"].clone())
        .collect();
    assert!(
        order.iter().position(|input| input == "slow")
            < order.iter().position(|input| input == "next")
    );
}

#[tokio::test]
async fn a_warm_response_costs_nothing_and_is_gone_on_from() {
    let (world, upstreams) = world().await;
    let client = world.client("one").await;
    let mut socket = client.socket("/v1/responses").await;
    let warm = socket
        .ask(&json!({"model": "m", "input": "first", "generate": false, "store": false}))
        .await;
    assert_eq!(warm["response"]["output"], json!([]));
    assert!(upstreams[0].seen().is_empty());
    let body = json!({"model": "m", "input": "second", "store": false, "previous_response_id": warm["response"]["id"]});
    let next = socket.ask(&body).await;
    assert_eq!(said(&next["response"]), "heard 2");
    assert!(upstreams[0].last().json().get("generate").is_none());
}

#[tokio::test]
async fn what_is_wrong_is_told_and_the_connection_goes_on() {
    let (world, _upstreams) = world().await;
    let mut socket = world.client("one").await.socket("/v1/responses").await;
    let steer = json!({"type": "response.steer", "previous_response_id": "resp_1", "input": "no", "stream_id": "a"});
    for (message, status, told) in [
        (Message::text("{"), 400, "not as it should be"),
        (Message::text("{}"), 400, "no `type`"),
        (
            Message::text(r#"{"type":"response.dance"}"#),
            400,
            "response.dance",
        ),
        (Message::text(steer.to_string()), 400, "not supported"),
        (Message::binary(vec![1]), 400, "text frames"),
        (
            Message::text(r#"{"type":"response.create","model":"gpt-9","input":"x"}"#),
            404,
            "gpt-9",
        ),
        (
            Message::text(r#"{"type":"response.create","model":"m","input":7}"#),
            400,
            "input",
        ),
        (
            Message::text(
                r#"{"type":"response.create","model":"m","input":"x","background":true}"#,
            ),
            400,
            "background",
        ),
    ] {
        socket.send_message(message).await;
        let event = socket.next().await.unwrap();
        assert_eq!(
            (&event["type"], &event["status"]),
            (&json!("error"), &json!(status)),
            "{event}"
        );
        let message = event["error"]["message"].as_str().unwrap();
        assert!(message.contains(told), "{event}");
        assert!(event["error"]["type"].is_string(), "{event}");
    }
    let done = socket.ask(&json!({"model": "m", "input": "x"})).await;
    assert_eq!(done["type"], "response.completed");
}

#[tokio::test]
async fn an_upstreams_errors_are_nested() {
    let go = Arc::new(Notify::new());
    let until = Arc::clone(&go);
    let upstream = Upstream::start(move |seen| {
        if seen.json()["input"] == "limit" {
            let error = json!({"error": {"message": "slow down", "type": "rate_limit_error", "code": "slow_down"}});
            return Answer::status(429, &error).header("retry-after", "1");
        }
        let stream = responses_stream("resp_u", "done");
        let at = stream.find("event: response.output_text.delta").unwrap();
        Answer::stream(&stream[..at]).wait(&until).broken()
    })
    .await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let mut socket = world.client("one").await.socket("/v1/responses").await;
    let limited = socket.ask(&json!({"model": "m", "input": "limit"})).await;
    let error = &limited["error"];
    assert_eq!(
        (&limited["status"], &error["code"]),
        (&json!(429), &json!("slow_down"))
    );
    assert_eq!(error["headers"]["retry-after"], "1");
    let create = json!({"type": "response.create", "model": "m", "input": "break"});
    socket.send(&create).await;
    assert_eq!(socket.next().await.unwrap()["type"], "response.created");
    go.notify_one();
    let broken = socket.answer().await.pop().unwrap();
    assert_eq!(
        (&broken["type"], &broken["status"]),
        (&json!("error"), &json!(502))
    );
    let message = broken["error"]["message"].as_str().unwrap();
    assert!(message.contains("broke off"), "{broken}");
}

#[tokio::test]
async fn it_is_closed_when_the_server_ends_once_all_is_answered() {
    let go = Arc::new(Notify::new());
    let until = Arc::clone(&go);
    let upstream = Upstream::start(move |_| {
        Answer::stream("")
            .wait(&until)
            .then(responses_stream("resp_u", "done"))
    })
    .await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let mut socket = world.client("one").await.socket("/v1/responses").await;
    socket
        .send(&json!({"type": "response.create", "model": "m", "input": "x"}))
        .await;
    upstream.asked(1).await;
    let ended = tokio::spawn(world.end());
    // No more is taken. In a lane of its own, it does not wait for what is under way.
    let refused = loop {
        socket.send(&json!({"type": "response.create", "stream_id": "b", "model": "m", "input": "y", "generate": false, "store": false})).await;
        let event = socket.next().await.unwrap();
        if event["type"] == "error" {
            break event;
        }
    };
    assert_eq!(refused["status"], 503, "{refused}");
    go.notify_one();
    let mut last = Value::Null;
    while let Some(event) = socket.next().await {
        last = event;
    }
    assert_eq!(last["type"], "response.completed");
    ended.await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_takes_its_requests_along() {
    let upstream = Upstream::start(|_| {
        let stream = responses_stream("resp_u", "done");
        let at = stream.find("event: response.output_text.delta").unwrap();
        Answer::stream(&stream[..at]).hang()
    })
    .await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let client = world.client("one").await;
    let mut socket = client.socket("/v1/responses").await;
    socket
        .send(&json!({"type": "response.create", "model": "m", "input": "x"}))
        .await;
    upstream.asked(1).await;
    drop(socket);
    // Nothing is left that the end of the server would wait for.
    world.end().await;
}

#[tokio::test]
async fn what_asks_for_no_upgrade_is_told_to() {
    let (world, _upstreams) = world().await;
    let reply = world.client("one").await.get("/v1/responses").await;
    assert_eq!(
        (reply.status, reply.header("upgrade")),
        (426, Some("websocket"))
    );
    assert_eq!(world.stranger().get("/v1/responses").await.status, 401);
}
