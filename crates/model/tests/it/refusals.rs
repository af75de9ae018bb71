//! Answers that no retry cures: each says what to do.

use quire_dialect::Dialect;
use quire_model::Provider;
use quire_protocol::{ModelErrorKind, ModelFailure};

use crate::server::{Scene, Server, failure, model, quick, request};
use crate::wire;

async fn refused(dialect: Dialect, answer: Vec<u8>) -> ModelFailure {
    let server = Server::start([Scene::Send(answer)]).await;
    let failure = failure(&server.model(dialect), request("test/m")).await;
    assert_eq!(server.got().len(), 1, "it was asked again");
    failure
}

#[tokio::test]
async fn wrong_key() {
    let answer = wire::error(401, "", "authentication_error", "invalid x-api-key");
    let error = refused(Dialect::Messages, answer).await.error;
    assert_eq!(
        (error.kind, error.status),
        (ModelErrorKind::Auth, Some(401))
    );
    assert!(error.message.contains("invalid x-api-key"), "{error}");
    assert!(error.hint.contains("ANTHROPIC_API_KEY"), "{}", error.hint);
}

#[tokio::test]
async fn unknown_model() {
    let answer = wire::error(404, "", "not_found_error", "model: m");
    let error = refused(Dialect::Messages, answer).await.error;
    assert_eq!(
        (error.kind, error.status),
        (ModelErrorKind::UnknownModel, Some(404))
    );
}

#[tokio::test]
async fn no_money() {
    let body = r#"{"error":{"message":"You exceeded your quota","type":"insufficient_quota",
        "param":null,"code":"insufficient_quota"}}"#;
    let answer = wire::response(429, "content-type: application/json\r\n", body);
    let error = refused(Dialect::Responses, answer).await.error;
    assert_eq!(error.kind, ModelErrorKind::Quota);
}

#[tokio::test]
async fn too_long_a_context() {
    let said = "prompt is too long: 210000 tokens > 200000 maximum";
    let answer = wire::error(400, "", "invalid_request_error", said);
    let error = refused(Dialect::Messages, answer).await.error;
    assert_eq!(error.kind, ModelErrorKind::ContextOverflow);
}

#[tokio::test]
async fn html() {
    let page = "<!doctype html><title>Welcome</title>";
    for status in [200, 404] {
        let answer = wire::response(status, "content-type: text/html\r\n", page);
        let error = refused(Dialect::Chat, answer).await.error;
        assert_eq!(error.kind, ModelErrorKind::NotAnApi, "{error}");
        assert!(error.hint.contains("end in /v1"), "{}", error.hint);
    }
}

#[tokio::test]
async fn no_key() {
    for (dialect, variable) in [
        (Dialect::Messages, "ANTHROPIC_API_KEY"),
        (Dialect::Responses, "OPENAI_API_KEY"),
    ] {
        let provider = Provider::new("vendor", dialect);
        let failure = failure(&model(provider, quick()), request("vendor/m")).await;
        assert_eq!(failure.error.kind, ModelErrorKind::Auth);
        assert!(
            failure.error.hint.contains(variable),
            "{}",
            failure.error.hint
        );
        assert!(failure.retries.is_empty());
    }
}

#[tokio::test]
async fn no_such_url() {
    for url in ["", "localhost:80", "ftp://host", "http://a b"] {
        let mut provider = Provider::new("p", Dialect::Chat);
        provider.base_url = url.to_owned();
        let failure = failure(&model(provider, quick()), request("p/m")).await;
        assert_eq!(failure.error.kind, ModelErrorKind::BadRequest, "{url}");
    }
}

#[tokio::test]
async fn nobody_there() {
    let server = Server::start([]).await;
    let mut provider = server.provider(Dialect::Chat);
    // A port that was free a moment ago and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    provider.base_url = format!("http://{}/v1", free.local_addr().unwrap());
    drop(free);
    let failure = failure(&model(provider, quick()), request("test/m")).await;
    assert_eq!(failure.error.kind, ModelErrorKind::Network);
    assert_eq!(failure.retries.len(), 4);
    assert!(
        failure.error.message.contains("refused"),
        "{}",
        failure.error
    );
    assert!(
        failure
            .error
            .hint
            .contains("a local server must be running")
    );
}
