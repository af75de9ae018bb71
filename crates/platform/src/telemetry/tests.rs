//! Traces: read by the standard, gone on with, told to a collector over a real socket.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Peer, World, config, http, reply};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn given(header: &str) -> Option<Given> {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", header.parse().unwrap());
    Given::read(&headers)
}

#[test]
fn traceparent_is_read_by_the_standard() {
    let good = format!("00-{TRACE}-{PARENT}-01");
    assert!(given(&good).unwrap().sampled);
    assert!(!given(&format!("00-{TRACE}-{PARENT}-00")).unwrap().sampled);
    // A later version may have more.
    assert!(given(&format!("01-{TRACE}-{PARENT}-01-more")).is_some());
    for bad in [
        format!("00-{TRACE}-{PARENT}-01-more"),
        format!("ff-{TRACE}-{PARENT}-01"),
        format!("00-{}-{PARENT}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{PARENT}"),
        format!("00-{TRACE}-{PARENT}-1"),
        format!("00-{}-{PARENT}-01", &TRACE[1..]),
        "nonsense".to_owned(),
        String::new(),
    ] {
        assert!(given(&bad).is_none(), "{bad}");
    }
}

fn body() -> Value {
    json!({"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "the prompt's words"}]})
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The spans of an export, and its text.
fn spans(request: &str) -> (Vec<Value>, String) {
    assert!(
        request.starts_with("POST /v1/traces HTTP/1.1\r\n"),
        "{request}"
    );
    assert_eq!(header(request, "content-type"), Some("application/json"));
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let body: Value = serde_json::from_str(body).unwrap();
    let scope = &body["resourceSpans"][0]["scopeSpans"][0];
    (scope["spans"].as_array().unwrap().clone(), body.to_string())
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|one| one["key"] == key);
    let value = &found.unwrap_or_else(|| panic!("{key}: {span:#}"))["value"];
    value.as_object().unwrap().values().next().unwrap()
}

async fn traced(more: &str, upstream: &[String]) -> (World, Peer, Peer, String) {
    let collector = Peer::new(&[http("200 OK", "application/json", "{}")]);
    let peer = Peer::new(upstream);
    let telemetry = format!(
        "[telemetry]\notlp = \"http://{}/\"\n{more}",
        collector.address
    );
    let world = World::new(&config(peer.address, &telemetry)).await;
    let key = world.key("w").await;
    (world, peer, collector, key)
}

#[tokio::test]
async fn a_clients_trace_goes_on_at_the_upstream_and_is_told() {
    let (world, peer, collector, key) = traced("", &[reply()]).await;
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "a=b")];
    let came = world.messages(&key, &headers, &body()).await;
    assert_eq!(came.status, StatusCode::OK, "{}", came.text());
    let sent = peer.request();
    assert_eq!(header(&sent, "tracestate"), Some("a=b"));
    world.app.till().watch.close().await;
    let (told, text) = spans(&collector.request());
    let [span] = &told[..] else {
        panic!("{told:#?}")
    };
    let span_id = span["spanId"].as_str().unwrap();
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"]),
        (&json!(TRACE), &json!(PARENT))
    );
    assert_eq!(
        header(&sent, "traceparent"),
        Some(&*format!("00-{TRACE}-{span_id}-01"))
    );
    assert_eq!(
        (&span["name"], &span["kind"]),
        (&json!("chat claude-opus-5"), &json!(3))
    );
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "anthropic"),
        ("gen_ai.request.model", "claude-opus-5"),
        ("gen_ai.response.model", "claude-opus-5"),
        ("gen_ai.usage.input_tokens", "18"),
        ("gen_ai.usage.output_tokens", "20"),
        ("gen_ai.usage.cache_read.input_tokens", "5"),
        ("gen_ai.usage.cache_creation.input_tokens", "3"),
        ("server.address", "127.0.0.1"),
        (
            "quire.request.id",
            came.headers["request-id"].to_str().unwrap(),
        ),
    ] {
        assert_eq!(attribute(span, key), value, "{key}");
    }
    let time = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(time("endTimeUnixNano") > time("startTimeUnixNano"));
    assert!(span.get("status").is_none());
    for secret in [
        &key,
        "the upstream's secret",
        "the prompt's words",
        "the answer's words",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(!text.contains("gen_ai.input.messages") && !text.contains("gen_ai.output.messages"));
}

/// An answer of Messages in pieces, which its limit cuts.
const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"in "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"pieces"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":2}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[tokio::test]
async fn prompts_and_answers_are_told_where_the_config_says_so() {
    let answers = [reply(), http("200 OK", "text/event-stream", STREAM)];
    let (world, _peer, collector, key) = traced("contents = true", &answers).await;
    let mut long = body();
    long["system"] = "be brief".into();
    let came = world.messages(&key, &[], &long).await;
    assert_eq!(came.status, StatusCode::OK, "{}", came.text());
    let many = (0..40).map(|n| {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        json!({"role": role, "content": format!("{n} {}", "x".repeat(5_000))})
    });
    long["messages"] = many
        .chain([json!({"role": "user", "content": "the last"})])
        .collect();
    long["stream"] = true.into();
    let came = world.messages(&key, &[], &long).await;
    assert_eq!(came.status, StatusCode::OK, "{}", came.text());
    world.app.till().watch.close().await;
    let (told, text) = spans(&collector.request());
    let messages = |span: &Value, key: &str| -> Value {
        serde_json::from_str(attribute(span, key).as_str().unwrap()).unwrap()
    };
    assert_eq!(
        messages(&told[0], "gen_ai.input.messages"),
        json!([
            {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
            {"role": "user", "parts": [{"type": "text", "content": "the prompt's words"}]},
        ])
    );
    assert_eq!(
        messages(&told[0], "gen_ai.output.messages"),
        json!([{"role": "assistant", "finish_reason": "stop",
            "parts": [{"type": "text", "content": "the answer's words"}]}])
    );
    let output = messages(&told[1], "gen_ai.output.messages");
    assert_eq!(
        output,
        json!([{"role": "assistant", "finish_reason": "length",
            "parts": [{"type": "text", "content": "in pieces"}]}])
    );
    // It is bounded: the newest messages are there, and no text whole that is too long.
    let input = messages(&told[1], "gen_ai.input.messages");
    let input = input.as_array().unwrap();
    assert_eq!(input.last().unwrap()["parts"][0]["content"], "the last");
    let left_out: usize = attribute(&told[1], "quire.input.messages_left_out")
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(left_out + input.len(), 42);
    assert!(input.len() > 5 && text.len() < 40_000, "{}", text.len());
    assert!(!text.contains(&key) && !text.contains("the upstream's secret"));
}

#[tokio::test]
async fn an_upstreams_failure_is_a_span_that_failed() {
    let (world, _peer, collector, key) = traced("", &[http("500 No", "text/plain", "no")]).await;
    world.messages(&key, &[], &body()).await;
    world.app.till().watch.close().await;
    let (told, _) = spans(&collector.request());
    assert_eq!(told[0]["status"]["code"], 2);
    assert_eq!(attribute(&told[0], "error.type"), "500");
    assert!(told[0].get("parentSpanId").is_none());
}

#[tokio::test]
async fn one_of_so_many_is_traced_and_a_client_may_decline() {
    let (world, peer, collector, key) = traced("one_of = 3", &[reply()]).await;
    for _ in 0..6 {
        world.messages(&key, &[], &body()).await;
    }
    let declined = format!("00-{TRACE}-{PARENT}-00");
    world
        .messages(&key, &[("traceparent", &declined)], &body())
        .await;
    let last = (0..7).map(|_| peer.request()).last().unwrap();
    assert_eq!(header(&last, "traceparent"), Some(declined.as_str()));
    world.app.till().watch.close().await;
    assert_eq!(spans(&collector.request()).0.len(), 2);
}

#[tokio::test]
async fn a_collector_that_fails_costs_spans_and_no_request() {
    let collector = Peer::new(&[http("503 No", "text/plain", "no")]);
    let peer = Peer::new(&[reply()]);
    let telemetry = format!("[telemetry]\notlp = \"http://{}\"", collector.address);
    let world = World::new(&config(peer.address, &telemetry)).await;
    let key = world.key("w").await;
    let came = world.messages(&key, &[], &body()).await;
    assert_eq!(came.status, StatusCode::OK);
    world.app.till().watch.close().await;
    let text = world.app.metrics().text(&[]);
    assert!(text.contains("\nquire_spans_dropped_total 1\n"), "{text}");
    // It was tried once more.
    assert_eq!(spans(&collector.request()), spans(&collector.request()));
}

#[tokio::test]
async fn without_a_collector_a_trace_is_passed_on() {
    let peer = Peer::new(&[reply()]);
    let world = World::new(&config(peer.address, "")).await;
    let key = world.key("w").await;
    let parent = format!("00-{TRACE}-{PARENT}-01");
    world
        .messages(&key, &[("traceparent", &parent)], &body())
        .await;
    assert_eq!(
        header(&peer.request(), "traceparent"),
        Some(parent.as_str())
    );
    world
        .messages(&key, &[("traceparent", "nonsense")], &body())
        .await;
    assert_eq!(header(&peer.request(), "traceparent"), None);
}
