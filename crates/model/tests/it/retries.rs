//! Attempts that fail and are followed by another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use quire_dialect::Dialect;
use quire_model::RetryPolicy;
use quire_protocol::{Delta, Model as _, ModelErrorKind, ModelEvent, ModelRequest, Usage};

use crate::server::{Scene, Server, ask, failure, model, quick, reply, request};
use crate::wire;

const OPUS: &str = "test/claude-opus-5";

fn overloaded(headers: &str) -> Scene {
    Scene::Send(wire::error(529, headers, "overloaded_error", "Overloaded"))
}

fn good() -> Scene {
    Scene::Send(wire::messages("hello"))
}

#[tokio::test]
async fn overloaded_then_well() {
    let server = Server::start([overloaded(""), overloaded(""), good()]).await;
    let (deltas, last) = ask(&server.model(Dialect::Messages), request(OPUS)).await;
    let ModelEvent::Finished(reply) = last else {
        panic!("{last:?}");
    };
    assert_eq!(reply.retries.len(), 2);
    assert!(reply.retries[0].reason.contains("Overloaded"));
    let told = deltas
        .iter()
        .filter(|delta| matches!(delta, Delta::Retrying { .. }));
    assert_eq!(told.count(), 2);
    let got = server.got();
    assert!(got.iter().all(|each| each.body == got[0].body));
}

#[tokio::test]
async fn another_attempt_says_that_it_begins() {
    let server = Server::start([overloaded("retry-after-ms: 1\r\n"), good()]).await;
    let model = server.model(Dialect::Messages);
    let mut events = model.respond(request(OPUS));
    while let Some(event) = events.next().await {
        if matches!(event, ModelEvent::Delta(Delta::Retrying { .. })) {
            break;
        }
    }
    let next = events.next().await;
    assert!(
        matches!(next, Some(ModelEvent::Used { usage, cost: None }) if usage == Usage::default()),
        "{next:?}"
    );
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let server = Server::start([
        overloaded("retry-after-ms: 60\r\nretry-after: 9\r\n"),
        good(),
    ])
    .await;
    let began = Instant::now();
    let reply = reply(&server.model(Dialect::Messages), request(OPUS)).await;
    assert_eq!(reply.retries[0].wait_ms, 60);
    assert!(began.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_long_retry_after_is_told() {
    let server = Server::start([overloaded("retry-after: 3600\r\n"), good()]).await;
    let failure = failure(&server.model(Dialect::Messages), request(OPUS)).await;
    assert_eq!(failure.error.kind, ModelErrorKind::Busy);
    assert!(
        failure.error.message.contains("come back in 60 minutes"),
        "{}",
        failure.error
    );
    assert_eq!(server.got().len(), 1);
}

#[tokio::test]
async fn x_should_retry_overrides_the_status() {
    let server = Server::start([overloaded("x-should-retry: false\r\n"), good()]).await;
    let model = server.model(Dialect::Messages);
    assert_eq!(
        failure(&model, request(OPUS)).await.error.kind,
        ModelErrorKind::Busy
    );
    assert_eq!(server.got().len(), 1);
    let bad = wire::error(
        400,
        "x-should-retry: true\r\n",
        "invalid_request_error",
        "not now",
    );
    let server = Server::start([Scene::Send(bad), good()]).await;
    assert_eq!(
        reply(&server.model(Dialect::Messages), request(OPUS))
            .await
            .retries
            .len(),
        1
    );
}

#[tokio::test]
async fn it_gives_up_in_the_end() {
    let server = Server::start((0..20).map(|_| overloaded(""))).await;
    let failure = failure(&server.model(Dialect::Messages), request(OPUS)).await;
    assert_eq!((failure.retries.len(), server.got().len()), (10, 11));
    assert!(
        failure.error.message.contains("gave up after 11 attempts"),
        "{}",
        failure.error
    );
}

#[tokio::test]
async fn a_conflict_is_tried_again() {
    let conflict = wire::error(409, "", "invalid_request_error", "Conflict");
    let server = Server::start([Scene::Send(conflict), good()]).await;
    let reply = reply(&server.model(Dialect::Messages), request(OPUS)).await;
    assert_eq!(reply.retries.len(), 1);
}

#[tokio::test]
async fn a_limit_that_waiting_does_not_lift_says_what_to_do() {
    let limited = wire::error(
        429,
        "x-should-retry: false\r\n",
        "rate_limit_error",
        "This workspace has reached its spend limit.",
    );
    let server = Server::start([Scene::Send(limited), good()]).await;
    let error = failure(&server.model(Dialect::Messages), request(OPUS))
        .await
        .error;
    assert_eq!((error.kind, server.got().len()), (ModelErrorKind::Quota, 1));
    assert!(error.message.contains("spend limit"), "{error}");
    assert!(error.hint.contains("raise"), "{}", error.hint);
    assert!(!error.hint.contains("Wait a little"), "{}", error.hint);
}

#[tokio::test]
async fn cut_before_the_answer() {
    let server = Server::start([Scene::Cut(Vec::new()), good()]).await;
    let reply = reply(&server.model(Dialect::Messages), request(OPUS)).await;
    assert_eq!(reply.retries.len(), 1);
}

#[tokio::test]
async fn cut_in_the_middle_is_retried_and_paid_for() {
    let (first, _) = wire::messages_halves("half");
    let server = Server::start([Scene::Cut(wire::opening(&first)), good()]).await;
    let (deltas, last) = ask(&server.model(Dialect::Messages), request(OPUS)).await;
    let ModelEvent::Finished(reply) = last else {
        panic!("{last:?}");
    };
    assert!(deltas.contains(&Delta::Text {
        text: "hello".into()
    }));
    assert_eq!(reply.retries.len(), 1);
    // Both attempts' prompts, and the one token that the first one reported.
    assert_eq!((reply.usage.input, reply.usage.output), (2_000, 11));
    assert_eq!(reply.cost.unwrap().to_string(), "0.010275");
}

#[tokio::test]
async fn a_cut_after_the_answer_is_nothing() {
    let (first, second) = wire::messages_halves("hello");
    let server = Server::start([Scene::Cut(wire::opening(&(first + &second)))]).await;
    let reply = reply(&server.model(Dialect::Messages), request(OPUS)).await;
    assert!(reply.retries.is_empty());
}

#[tokio::test]
async fn an_error_in_the_stream() {
    let (first, _) = wire::messages_halves("half");
    let event = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let broken = wire::stream(&format!("{first}event: error\ndata: {event}\n\n"));
    let server = Server::start([Scene::Send(broken), good()]).await;
    let reply = reply(&server.model(Dialect::Messages), request(OPUS)).await;
    assert_eq!((reply.retries.len(), reply.usage.input), (1, 2_000));
}

#[tokio::test]
async fn nonsense_is_tried_once_more() {
    let (first, _) = wire::messages_halves("half");
    let nonsense = wire::stream(&format!(
        "{first}event: content_block_delta\ndata: {{oops\n\n"
    ));
    let server = Server::start((0..9).map(|_| Scene::Send(nonsense.clone()))).await;
    let failure = failure(&server.model(Dialect::Messages), request(OPUS)).await;
    assert_eq!(failure.error.kind, ModelErrorKind::Malformed);
    assert_eq!(server.got().len(), 2);
    assert_eq!(failure.usage.input, 2_000);
    assert_eq!(failure.cost.unwrap().to_string(), "0.01005");
}

#[tokio::test]
async fn silence_is_a_broken_connection() {
    let (first, _) = wire::messages_halves("half");
    let policy = RetryPolicy {
        idle_timeout: Duration::from_millis(40),
        ..quick()
    };
    let silent = [
        Scene::Hang(Vec::new()),
        Scene::Hang(wire::opening(&first)),
        good(),
    ];
    let mut server = Server::start(silent).await;
    let model = model(server.provider(Dialect::Messages), policy);
    let reply = reply(&model, request(OPUS)).await;
    assert_eq!(reply.retries.len(), 2);
    assert!(reply.retries[1].reason.contains("sent nothing for 0.04 s"));
    server.hung_up().await;
    server.hung_up().await;
}

#[tokio::test]
async fn what_a_server_does_not_take_is_left_out() {
    let refused = |what: &str| {
        let message = format!("{what}: Extra inputs are not permitted");
        Scene::Send(wire::error(400, "", "invalid_request_error", &message))
    };
    let scenes = [
        refused("cache_control"),
        refused("output_config"),
        good(),
        good(),
    ];
    let server = Server::start(scenes).await;
    let model = server.model(Dialect::Messages);
    let first = reply(&model, request(OPUS)).await;
    assert_eq!(first.retries.len(), 2);
    assert!(
        first.retries[1].reason.contains("does not take an effort"),
        "{:?}",
        first.retries
    );
    assert!(reply(&model, request(OPUS)).await.retries.is_empty());
    let has = |at: usize, what: &str| {
        let body: serde_json::Value = serde_json::from_str(&server.got()[at].body).unwrap();
        body.get(what).is_some()
    };
    assert!(has(0, "cache_control") && has(0, "output_config"));
    assert!(!has(1, "cache_control") && has(1, "output_config"));
    for at in [2, 3] {
        assert!(!has(at, "cache_control") && !has(at, "output_config"));
    }
}

#[tokio::test]
async fn a_server_that_takes_no_schema_is_told_it_in_words() {
    let said = "Invalid parameter: 'response_format' of type 'json_schema' is not supported";
    let refused = Scene::Send(wire::error(400, "", "invalid_request_error", said));
    let server = Server::start([refused, Scene::Send(wire::chat("{}"))]).await;
    let asked = ModelRequest {
        output_schema: Some(Arc::new(serde_json::json!({"title": "Verdict"}))),
        ..request("test/local")
    };
    let reply = reply(&server.model(Dialect::Chat), asked).await;
    assert_eq!(reply.retries.len(), 1);
    let got = server.got();
    let body = |at: usize| serde_json::from_str::<serde_json::Value>(&got[at].body).unwrap();
    assert_eq!(body(0)["response_format"]["type"], "json_schema");
    assert!(body(1).get("response_format").is_none());
    let told = body(1)["messages"][0].to_string();
    assert!(told.contains("Verdict"), "{told}");
}
