//! What comes back when all goes well, and what the server was sent.

use std::sync::Arc;

use quire_catalogue::{Catalogue, Override, Prices};
use quire_dialect::Dialect;
use quire_model::{HttpModel, Router, probe};
use quire_protocol::{
    CallId, Content, Delta, Effort, Item, ModelRequest, Money, TokenStop, ToolStatus, Transcript,
};

use crate::server::{Scene, Server, ask, failure, quick, reply, request, user, with_transcript};
use crate::wire;

fn said(reply: &quire_protocol::Reply) -> String {
    let texts = reply.items.iter().filter_map(|item| match item {
        Item::Assistant { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[tokio::test]
async fn messages() {
    let server = Server::start([Scene::Send(wire::messages("hello"))]).await;
    let model = server.model(Dialect::Messages);
    let (deltas, _) = ask(&model, request("test/claude-opus-5")).await;
    assert_eq!(
        deltas,
        [Delta::Text {
            text: "hello".into()
        }]
    );
    let got = &server.got()[0];
    assert!(
        got.head.starts_with("POST /v1/messages HTTP/1.1\r\n"),
        "{}",
        got.head
    );
    assert_eq!(got.header("x-api-key"), Some("k"));
    assert_eq!(got.header("authorization"), None);
    assert_eq!(got.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(
        got.header("content-length"),
        Some(got.body.len().to_string().as_str())
    );
    let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(body["model"], "claude-opus-5");
    assert_eq!(body["max_tokens"], 128_000);
    assert_eq!(body["thinking"]["type"], "adaptive");
    assert_eq!(body["output_config"]["effort"], "high");
}

#[tokio::test]
async fn the_price_is_of_the_servers_day() {
    let server = Server::start([Scene::Send(wire::messages("hello"))]).await;
    let reply = reply(
        &server.model(Dialect::Messages),
        request("test/claude-opus-5"),
    )
    .await;
    assert_eq!(
        (said(&reply).as_str(), reply.stop),
        ("hello", TokenStop::EndTurn)
    );
    assert_eq!((reply.usage.input, reply.usage.output), (1_000, 10));
    // 1,000 × $5 and 10 × $25 per million.
    assert_eq!(reply.cost.unwrap().to_string(), "0.00525");
    assert!(reply.retries.is_empty());
}

#[tokio::test]
async fn responses() {
    let server = Server::start([Scene::Send(wire::responses("hello"))]).await;
    let reply = reply(&server.model(Dialect::Responses), request("test/gpt-5")).await;
    assert_eq!(
        (said(&reply).as_str(), reply.stop),
        ("hello", TokenStop::ToolUse)
    );
    assert!(matches!(&reply.items[1], Item::ToolCall(call) if call.provider_id == "call_9"));
    assert_eq!((reply.usage.input, reply.usage.cache_read), (600, 400));
    // 600 × $1.25, 400 × $0.125, 10 × $10 per million.
    assert_eq!(reply.cost.unwrap().to_string(), "0.0009");
    let got = &server.got()[0];
    assert!(
        got.head.starts_with("POST /v1/responses HTTP/1.1\r\n"),
        "{}",
        got.head
    );
    assert_eq!(got.header("authorization"), Some("Bearer k"));
}

#[tokio::test]
async fn chat() {
    let server = Server::start([Scene::Send(wire::chat("hello"))]).await;
    let reply = reply(
        &server.model(Dialect::Chat),
        request("test/vendor/local:7b"),
    )
    .await;
    assert_eq!(
        (said(&reply).as_str(), reply.stop),
        ("hello", TokenStop::EndTurn)
    );
    assert_eq!(
        (reply.usage.input, reply.usage.output, reply.cost),
        (7, 3, None)
    );
    let got = &server.got()[0];
    assert!(
        got.head
            .starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
        "{}",
        got.head
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&got.body).unwrap()["model"],
        "vendor/local:7b"
    );
}

#[tokio::test]
async fn an_effort_that_the_model_has_no_field_for_is_told_in_words_behind_what_is_kept() {
    for dialect in Dialect::ALL {
        let answer = || match dialect {
            Dialect::Messages => wire::messages("ok"),
            Dialect::Responses => wire::responses("ok"),
            Dialect::Chat => wire::chat("ok"),
        };
        let server = Server::start((0..2).map(|_| Scene::Send(answer()))).await;
        let model = server.model(dialect);
        let usual = request("test/local");
        reply(&model, usual.clone()).await;
        reply(
            &model,
            ModelRequest {
                effort: Effort::Low,
                ..usual
            },
        )
        .await;
        let bodies: Vec<String> = server.got().into_iter().map(|got| got.body).collect();
        let told: Vec<bool> = bodies
            .iter()
            .map(|body| body.contains("Effort: low."))
            .collect();
        assert_eq!(told, [false, true], "{dialect}");
        assert!(bodies[1].contains("8192"), "{dialect}: {}", bodies[1]);
        let same = bodies[0].bytes().zip(bodies[1].bytes());
        let same = same.take_while(|(a, b)| a == b).count();
        let kept = match dialect {
            Dialect::Messages => "Be brief.",
            Dialect::Responses | Dialect::Chat => "hi",
        };
        assert!(bodies[0][..same].contains(kept), "{dialect}: {}", bodies[0]);
    }
}

#[tokio::test]
async fn a_long_window_is_asked_for_with_a_header_and_not_in_the_name() {
    let server = Server::start((0..3).map(|_| Scene::Send(wire::messages("ok")))).await;
    let model = server.model(Dialect::Messages);
    for name in [
        "claude-sonnet-4-5[1m]",
        "claude-opus-5-5[1m]",
        "claude-sonnet-4-5",
    ] {
        reply(&model, request(&format!("test/{name}"))).await;
    }
    let told: Vec<_> = server
        .got()
        .iter()
        .map(|got| {
            let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
            let beta = got.header("anthropic-beta").unwrap_or_default();
            format!("{} {beta}", body["model"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            "claude-sonnet-4-5 context-1m-2025-08-07",
            "claude-opus-5-5 ",
            "claude-sonnet-4-5 "
        ]
    );
}

/// An answer of a priced model that reports none of its tokens.
async fn unreported(catalogue: Catalogue) -> Option<Money> {
    let events =
        r#"data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let answer = wire::stream(&format!("{events}\n\ndata: [DONE]\n\n"));
    let server = Server::start([Scene::Send(answer)]).await;
    let provider = server.provider(Dialect::Chat);
    let model = HttpModel::new(provider, Arc::new(catalogue), quick());
    let reply = reply(&model, request("test/gpt-5")).await;
    assert_eq!(said(&reply), "hi");
    reply.cost
}

#[tokio::test]
async fn tokens_that_are_not_reported_do_not_cost_nothing() {
    assert_eq!(unreported(Catalogue::builtin()).await, None);
}

#[tokio::test]
async fn a_free_model_is_free_even_if_it_reports_no_tokens() {
    let free = Override {
        model: "test/*".into(),
        prices: Some(Prices::per_million(Money::ZERO, Money::ZERO, None, None)),
        ..Override::default()
    };
    let cost = unreported(Catalogue::builtin().with_overrides([free])).await;
    assert_eq!(cost, Some(Money::ZERO));
}

#[tokio::test]
async fn json_instead_of_a_stream() {
    let body = r#"{"id":"c","object":"chat.completion","model":"local","choices":[{"index":0,
        "message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
    let whole = wire::response(
        200,
        "content-type: application/json; charset=utf-8\r\n",
        body,
    );
    let server = Server::start([Scene::Send(whole)]).await;
    let reply = reply(&server.model(Dialect::Chat), request("test/local")).await;
    assert_eq!(said(&reply), "whole");
}

#[tokio::test]
async fn what_was_sent_stays_the_prefix_of_what_is_sent() {
    for dialect in Dialect::ALL {
        let answer = || match dialect {
            Dialect::Messages => wire::messages("ok"),
            Dialect::Responses => wire::responses("ok"),
            Dialect::Chat => wire::chat("ok"),
        };
        let server = Server::start((0..4).map(|_| Scene::Send(answer()))).await;
        let model = server.model(dialect);
        let mut transcript: Transcript = [user("hi")].into_iter().collect();
        let mut calls = 0;
        for _ in 0..4 {
            let reply = reply(&model, with_transcript("test/m", transcript.clone())).await;
            let mut results = Vec::new();
            for mut item in reply.items {
                if let Item::ToolCall(call) = &mut item {
                    calls += 1;
                    call.call = CallId(calls);
                    results.push(Item::ToolResult {
                        call: call.call,
                        status: ToolStatus::Done,
                        content: vec![Content::text("done")],
                    });
                }
                transcript.push(item);
            }
            for item in results {
                transcript.push(item);
            }
            transcript.push(user("more"));
        }
        let got = server.got();
        for pair in got.windows(2) {
            let same = pair[0]
                .body
                .bytes()
                .zip(pair[1].body.bytes())
                .take_while(|(a, b)| a == b);
            let tail = pair[0].body.len() - same.count();
            assert!(
                tail < 200,
                "{dialect}: {tail} bytes of {} changed",
                pair[0].body.len()
            );
            serde_json::from_str::<serde_json::Value>(&pair[1].body).unwrap();
        }
    }
}

#[tokio::test]
async fn the_router_picks_by_provider() {
    let server = Server::start([Scene::Send(wire::chat("here"))]).await;
    let model = std::sync::Arc::new(server.model(Dialect::Chat));
    let router = Router::new()
        .with("test", model.clone())
        .with("other", model);
    assert_eq!(said(&reply(&router, request("test/local")).await), "here");
    let lost = failure(&router, request("nowhere/local")).await.error;
    assert_eq!(lost.message, "there is no provider `nowhere`");
    assert!(
        lost.hint.ends_with("the providers are: other, test."),
        "{}",
        lost.hint
    );
    let lost = failure(&router, request("local")).await.error;
    assert_eq!(lost.message, "`local` names no provider");
}

#[tokio::test]
async fn a_probe_lists_models() {
    let list = r#"{"object":"list","data":[{"id":"a"},{"id":"b"}]}"#;
    let json = "content-type: application/json\r\n";
    let server = Server::start([
        Scene::Send(wire::response(200, json, list)),
        Scene::Send(wire::error(401, "", "authentication_error", "invalid key")),
        Scene::Send(wire::response(404, json, "{}")),
        Scene::Send(wire::response(
            404,
            "content-type: text/html\r\n",
            "<html></html>",
        )),
    ])
    .await;
    let provider = server.provider(Dialect::Messages);
    assert_eq!(probe(&provider).await.unwrap().models, ["a", "b"]);
    assert!(server.got()[0].head.starts_with("GET /v1/models "));
    let refused = probe(&provider).await.unwrap_err();
    assert!(
        refused.hint.contains("ANTHROPIC_API_KEY"),
        "{}",
        refused.hint
    );
    assert!(probe(&provider).await.unwrap().models.is_empty());
    let html = probe(&provider).await.unwrap_err();
    assert_eq!(html.kind, quire_protocol::ModelErrorKind::NotAnApi);
}
