//! Every reason in every API's words, and every shape of error that upstreams send.

use std::fmt::Write as _;

use expect_test::expect;

use super::*;

const REASONS: [Reason; 13] = [
    Reason::Invalid,
    Reason::Unauthenticated,
    Reason::OutOfMoney,
    Reason::Forbidden,
    Reason::NotFound,
    Reason::Conflict,
    Reason::TooLarge,
    Reason::RateLimited,
    Reason::Internal,
    Reason::Upstream,
    Reason::Broken,
    Reason::Overloaded,
    Reason::Timeout,
];

#[test]
fn every_reason_has_a_status_and_a_body_in_each_api() {
    let mut table = String::new();
    for reason in REASONS {
        let refusal = Refusal::new(reason, "Why.");
        for dialect in [Dialect::Messages, Dialect::Responses] {
            let (status, body) = error_body(dialect, &refusal, "req_1");
            let body = String::from_utf8(body).unwrap();
            writeln!(table, "{status} {body}").unwrap();
        }
        assert_eq!(
            error_body(Dialect::Chat, &refusal, ""),
            error_body(Dialect::Responses, &refusal, "")
        );
    }
    expect![[r#"
        400 {"type":"error","error":{"type":"invalid_request_error","message":"Why."},"request_id":"req_1"}
        400 {"error":{"message":"Why.","type":"invalid_request_error","param":null,"code":null}}
        401 {"type":"error","error":{"type":"authentication_error","message":"Why."},"request_id":"req_1"}
        401 {"error":{"message":"Why.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
        402 {"type":"error","error":{"type":"billing_error","message":"Why."},"request_id":"req_1"}
        429 {"error":{"message":"Why.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}
        403 {"type":"error","error":{"type":"permission_error","message":"Why."},"request_id":"req_1"}
        403 {"error":{"message":"Why.","type":"invalid_request_error","param":null,"code":null}}
        404 {"type":"error","error":{"type":"not_found_error","message":"Why."},"request_id":"req_1"}
        404 {"error":{"message":"Why.","type":"invalid_request_error","param":null,"code":null}}
        409 {"type":"error","error":{"type":"conflict_error","message":"Why."},"request_id":"req_1"}
        409 {"error":{"message":"Why.","type":"invalid_request_error","param":null,"code":null}}
        413 {"type":"error","error":{"type":"request_too_large","message":"Why."},"request_id":"req_1"}
        413 {"error":{"message":"Why.","type":"invalid_request_error","param":null,"code":null}}
        429 {"type":"error","error":{"type":"rate_limit_error","message":"Why."},"request_id":"req_1"}
        429 {"error":{"message":"Why.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
        500 {"type":"error","error":{"type":"api_error","message":"Why."},"request_id":"req_1"}
        500 {"error":{"message":"Why.","type":"server_error","param":null,"code":null}}
        500 {"type":"error","error":{"type":"api_error","message":"Why."},"request_id":"req_1"}
        502 {"error":{"message":"Why.","type":"server_error","param":null,"code":null}}
        500 {"type":"error","error":{"type":"api_error","message":"Why."},"request_id":"req_1"}
        502 {"error":{"message":"Why.","type":"server_error","param":null,"code":null}}
        529 {"type":"error","error":{"type":"overloaded_error","message":"Why."},"request_id":"req_1"}
        503 {"error":{"message":"Why.","type":"service_unavailable_error","param":null,"code":"server_is_overloaded"}}
        504 {"type":"error","error":{"type":"timeout_error","message":"Why."},"request_id":"req_1"}
        504 {"error":{"message":"Why.","type":"server_error","param":null,"code":null}}
    "#]].assert_eq(&table);
}

#[test]
fn what_is_written_is_read_again() {
    for dialect in Dialect::ALL {
        for reason in REASONS {
            let refusal = Refusal::new(reason, "Why.");
            let (status, body) = error_body(dialect, &refusal, "req_1");
            let again = read_error(dialect, status, Some("application/json"), &body);
            let expected = match reason {
                Reason::Internal | Reason::Broken => Reason::Upstream,
                other => other,
            };
            assert_eq!(again.reason, expected, "{dialect} {reason:?}");
            assert_eq!(again.message, "Why.");
        }
    }
}

#[test]
fn streams_and_sockets_have_shapes_of_their_own() {
    let refusal = Refusal::new(Reason::Overloaded, "Too much.").about("input");
    let mut shown = Vec::new();
    for dialect in Dialect::ALL {
        stream_error(dialect, &refusal, "req_1", 7, &mut shown);
    }
    shown.extend_from_slice(socket_error(&refusal).as_bytes());
    expect![[r#"
        event: error
        data: {"type":"error","error":{"type":"overloaded_error","message":"input: Too much."},"request_id":"req_1"}

        event: error
        data: {"type":"error","code":"server_is_overloaded","message":"Too much.","param":"input","sequence_number":7}

        data: {"error":{"message":"Too much.","type":"service_unavailable_error","param":"input","code":"server_is_overloaded"}}

        {"type":"error","status":503,"error":{"message":"Too much.","type":"service_unavailable_error","param":"input","code":"server_is_overloaded"}}"#]].assert_eq(&String::from_utf8(shown).unwrap());
}

const HTML: &str = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>";

/// What upstreams send for an error.
const ERRORS: &[(Dialect, u16, &str)] = &[
    (Dialect::Messages, 502, HTML),
    (Dialect::Messages, 404, HTML),
    (Dialect::Chat, 500, ""),
    (Dialect::Chat, 429, ""),
    (
        Dialect::Messages,
        529,
        r#"{"type":"error","error":{"type":"overl"#,
    ),
    (
        Dialect::Messages,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Bad.","details":{"error_code":"compaction_incomplete_turn"}},"request_id":null}"#,
    ),
    (
        Dialect::Responses,
        400,
        r#"{"error":{"message":"Too long.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#,
    ),
    (
        Dialect::Responses,
        429,
        r#"{"error":{"message":"Pay.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
    ),
    (
        Dialect::Responses,
        401,
        r#"{"error":{"message":"Who?","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
    ),
    (
        Dialect::Chat,
        400,
        r#"{"error":"model requires more system memory"}"#,
    ),
    (
        Dialect::Chat,
        400,
        r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]"#,
    ),
    (Dialect::Chat, 404, r#"{"detail":"Not Found"}"#),
    (
        Dialect::Chat,
        400,
        r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#,
    ),
    (
        Dialect::Chat,
        200,
        r#"{"error":{"message":"Provider returned error","code":429}}"#,
    ),
    (Dialect::Chat, 200, "null"),
];

#[test]
fn errors_of_upstreams_are_understood() {
    let mut table = String::new();
    for (dialect, status, body) in ERRORS {
        let Refusal {
            reason,
            message,
            field,
            code,
        } = read_error(*dialect, *status, None, body.as_bytes());
        writeln!(table, "{reason:?} {message:?} {field:?} {code:?}").unwrap();
    }
    expect![[r#"
        Upstream "the provider answered 502: a web page, “502 Bad Gateway”" None None
        Upstream "the provider answered 404: a web page, “502 Bad Gateway”" None None
        Upstream "the provider answered 500" None None
        RateLimited "the provider answered 429" None None
        Overloaded "the provider answered 529: {\"type\":\"error\",\"error\":{\"type\":\"overl" None None
        Invalid "Bad." None Some("compaction_incomplete_turn")
        Invalid "Too long." Some("input") Some("context_length_exceeded")
        OutOfMoney "Pay." None Some("insufficient_quota")
        Unauthenticated "Who?" None Some("invalid_api_key")
        Invalid "model requires more system memory" None None
        Invalid "API key not valid." None None
        Upstream "the provider answered 404: {\"detail\":\"Not Found\"}" None None
        Invalid "too long" None None
        RateLimited "Provider returned error" None None
        Broken "the answer is not one of the chat API: null" None None
    "#]].assert_eq(&table);
}
