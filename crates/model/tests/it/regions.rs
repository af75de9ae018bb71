//! A request that must be computed somewhere is, or is not sent.

use quire_dialect::Dialect;
use quire_model::Provider;
use quire_protocol::{ModelErrorKind, ModelRequest};
use serde_json::Value;

use crate::server::{Scene, Server, failure, model, quick, reply, request};
use crate::wire;

fn in_the_us(model: &str) -> ModelRequest {
    ModelRequest {
        region: Some("us".into()),
        ..request(model)
    }
}

/// A Messages answer that reports where it was computed.
fn computed_in(geo: &str) -> Vec<u8> {
    let (first, second) = wire::messages_halves("hello");
    let reported = format!(r#""inference_geo":"{geo}","input_tokens":"#);
    wire::stream(&(first.replace(r#""input_tokens":"#, &reported) + &second))
}

/// Anthropic's own server, as far as the model can see.
async fn anthropic(answer: Vec<u8>) -> (Server, Provider) {
    let tunnelled = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let server = Server::start([tunnelled, answer].map(Scene::Send)).await;
    let mut provider = server.provider(Dialect::Messages);
    provider.base_url = "http://api.anthropic.com".into();
    provider.proxies.all.clone_from(&server.url);
    (server, provider)
}

#[tokio::test]
async fn anthropic_is_told_where_and_what_it_reports_is_charged() {
    let (server, provider) = anthropic(computed_in("us")).await;
    let answer = reply(&model(provider, quick()), in_the_us("test/claude-opus-5")).await;
    let body: Value = serde_json::from_str(&server.got()[1].body).unwrap();
    assert_eq!(body["inference_geo"], "us");
    // 1.1 x (1,000 x $5 and 10 x $25 per million).
    assert_eq!(answer.cost.unwrap().to_string(), "0.005775");
}

#[tokio::test]
async fn an_answer_from_elsewhere_is_an_error_whose_cost_is_kept() {
    let (server, provider) = anthropic(computed_in("global")).await;
    let failed = failure(&model(provider, quick()), in_the_us("test/claude-opus-5")).await;
    assert_eq!(failed.error.kind, ModelErrorKind::BadRequest);
    assert!(
        failed.error.message.contains("in `global`, not in `us`"),
        "{}",
        failed.error
    );
    assert_eq!(failed.cost.unwrap().to_string(), "0.00525");
    assert_eq!((failed.usage.input, server.got().len()), (1_000, 2));
}

#[tokio::test]
async fn a_route_that_nobody_vouches_for_is_refused_before_anything_is_sent() {
    for dialect in Dialect::ALL {
        let server = Server::start([]).await;
        let failed = failure(&server.model(dialect), in_the_us("test/claude-opus-5")).await;
        assert_eq!(failed.error.kind, ModelErrorKind::BadRequest);
        assert!(
            failed.error.message.contains("nothing was sent"),
            "{}",
            failed.error
        );
        let hint = &failed.error.hint;
        assert!(
            hint.contains(r#"regions = ["us"] under [providers.test]"#),
            "{hint}"
        );
        assert!(server.got().is_empty());
    }
}

#[tokio::test]
async fn where_the_address_comes_from_the_environment_the_hint_says_what_works() {
    let server = Server::start([]).await;
    let mut provider = server.provider(Dialect::Messages);
    provider.url_variable = Some("ANTHROPIC_BASE_URL".into());
    let failed = failure(&model(provider, quick()), in_the_us("test/claude-opus-5")).await;
    let hint = &failed.error.hint;
    for part in [
        "unset ANTHROPIC_BASE_URL",
        "base_url",
        r#"regions = ["us"]"#,
    ] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
}

#[tokio::test]
async fn a_provider_that_a_person_vouches_for_is_sent_nothing_of_it() {
    let server = Server::start([Scene::Send(wire::messages("hello"))]).await;
    let mut provider = server.provider(Dialect::Messages);
    provider.regions = vec!["us".into()];
    reply(&model(provider, quick()), in_the_us("test/claude-opus-5")).await;
    assert!(!server.got()[0].body.contains("inference_geo"));
}
