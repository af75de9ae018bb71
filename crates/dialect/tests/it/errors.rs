//! What each refusal of a provider is taken for.

use expect_test::expect;
use quire_dialect::{Dialect, decode_error};
use quire_protocol::ModelErrorKind as Kind;

#[track_caller]
fn check(dialect: Dialect, status: u16, body: &str, kind: Kind) {
    let error = decode_error(dialect, status, Some("application/json"), body.as_bytes());
    assert_eq!(error.kind, kind, "{error:?}");
    assert_eq!(error.status, Some(status));
    assert!(!error.hint.is_empty());
}

fn anthropic(kind: &str, message: &str) -> String {
    format!(
        r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#
    )
}

fn openai(kind: &str, code: &str, message: &str) -> String {
    format!(r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":"{code}"}}}}"#)
}

#[test]
fn anthropic_errors() {
    for (status, kind, message, expected) in [
        (
            400,
            "invalid_request_error",
            "max_tokens: too large",
            Kind::BadRequest,
        ),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum",
            Kind::ContextOverflow,
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the API",
            Kind::Quota,
        ),
        (401, "authentication_error", "invalid x-api-key", Kind::Auth),
        (402, "billing_error", "pay", Kind::Quota),
        (403, "permission_error", "no", Kind::Auth),
        (
            404,
            "not_found_error",
            "model: claude-nope",
            Kind::UnknownModel,
        ),
        (
            413,
            "request_too_large",
            "Request exceeds the maximum size",
            Kind::ContextOverflow,
        ),
        (429, "rate_limit_error", "slow", Kind::Busy),
        (500, "api_error", "Internal server error", Kind::Server),
        (401, "api_error", "no such key", Kind::Auth),
        (400, "api_error", "bad field", Kind::BadRequest),
        (504, "timeout_error", "timeout", Kind::Server),
        (529, "overloaded_error", "Overloaded", Kind::Busy),
    ] {
        check(
            Dialect::Messages,
            status,
            &anthropic(kind, message),
            expected,
        );
    }
}

#[test]
fn openai_errors() {
    for (status, kind, code, message, expected) in [
        (
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "too long",
            Kind::ContextOverflow,
        ),
        (
            400,
            "invalid_request_error",
            "unsupported_value",
            "no such effort",
            Kind::BadRequest,
        ),
        (
            401,
            "invalid_request_error",
            "invalid_api_key",
            "Incorrect API key",
            Kind::Auth,
        ),
        (
            404,
            "invalid_request_error",
            "model_not_found",
            "The model does not exist",
            Kind::UnknownModel,
        ),
        (
            429,
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your quota",
            Kind::Quota,
        ),
        (429, "rate_limit_error", "slow_down", "slow", Kind::Busy),
        (
            503,
            "service_unavailable_error",
            "server_is_overloaded",
            "busy",
            Kind::Busy,
        ),
        (502, "server_error", "x", "bad gateway", Kind::Server),
    ] {
        check(
            Dialect::Responses,
            status,
            &openai(kind, code, message),
            expected,
        );
    }
}

#[test]
fn other_servers() {
    for (status, body, expected) in [
        (
            404,
            r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}"#,
            Kind::UnknownModel,
        ),
        (
            404,
            r#"{"error":"model 'x' not found"}"#,
            Kind::UnknownModel,
        ),
        (404, r#"{"detail":"Not Found"}"#, Kind::NotAnApi),
        (404, "404 page not found", Kind::NotAnApi),
        (405, "<html>no</html>", Kind::NotAnApi),
        (200, "<!DOCTYPE html><title>Hi</title>", Kind::NotAnApi),
        (301, "", Kind::NotAnApi),
        (401, "<html>who?</html>", Kind::Auth),
        (
            502,
            "<html><title>502 Bad Gateway</title></html>",
            Kind::Server,
        ),
        (503, "", Kind::Busy),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
            Kind::ContextOverflow,
        ),
        (
            422,
            r#"{"error":{"message":"bad field"}}"#,
            Kind::BadRequest,
        ),
    ] {
        check(Dialect::Chat, status, body, expected);
    }
}

#[test]
fn messages_are_for_people() {
    let page = decode_error(
        Dialect::Chat,
        404,
        Some("text/html"),
        b"<html><head><title> Welcome to nginx </title></head></html>",
    );
    expect![[r#"
        ModelError {
            kind: NotAnApi,
            message: "the provider answered 404: a web page, “Welcome to nginx”",
            hint: "Check the base URL. For this dialect it usually ends in `/v1`.",
            status: Some(
                404,
            ),
        }
    "#]]
    .assert_debug_eq(&page);
    let key = decode_error(
        Dialect::Messages,
        401,
        None,
        anthropic("authentication_error", "invalid x-api-key").as_bytes(),
    );
    expect![["the provider answered 401: invalid x-api-key"]].assert_eq(&key.message);
}
