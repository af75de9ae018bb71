//! Errors in the words of each API, and out of them.

use quire_dialect::{Dialect, decode_error};
use serde_json::{Map, Value, json};

use crate::refusal::{Reason, Refusal};

/// The status and the body of a refusal.
#[must_use]
pub fn error_body(dialect: Dialect, refusal: &Refusal, request_id: &str) -> (u16, Vec<u8>) {
    let body = match dialect {
        Dialect::Messages => envelope(refusal, request_id),
        Dialect::Responses | Dialect::Chat => json!({ "error": openai(refusal) }),
    };
    (
        status(dialect, refusal.reason),
        body.to_string().into_bytes(),
    )
}

/// Appends the server-sent event by which a stream breaks off that was passed on as it is. `sequence` is the number
/// of the next event of a Responses stream; see [`crate::Meter::next_sequence`].
pub fn stream_error(
    dialect: Dialect,
    refusal: &Refusal,
    request_id: &str,
    sequence: u64,
    out: &mut Vec<u8>,
) {
    let (event, data) = match dialect {
        Dialect::Messages => ("event: error\n", envelope(refusal, request_id)),
        Dialect::Responses => ("event: error\n", flat(refusal, sequence)),
        Dialect::Chat => ("", json!({ "error": openai(refusal) })),
    };
    out.extend_from_slice(format!("{event}data: {data}\n\n").as_bytes());
}

/// The text frame of a refusal on Responses' WebSocket.
#[must_use]
pub fn socket_error(refusal: &Refusal) -> String {
    let mut error = openai(refusal);
    error.insert("code".into(), code_or_default(refusal).into());
    let status = status(Dialect::Responses, refusal.reason);
    json!({ "type": "error", "status": status, "error": error }).to_string()
}

/// Anthropic's error, at any place.
pub(crate) fn envelope(refusal: &Refusal, request_id: &str) -> Value {
    let message = match &refusal.field {
        Some(field) if !refusal.message.starts_with(field.as_str()) => {
            format!("{field}: {}", refusal.message)
        }
        Some(_) | None => refusal.message.clone(),
    };
    let mut error = Map::new();
    error.insert("type".into(), messages_type(refusal.reason).into());
    error.insert("message".into(), message.into());
    if let Some(code) = &refusal.code {
        error.insert("details".into(), json!({ "error_code": code }));
    }
    let id = match request_id {
        "" => Value::Null,
        id => id.into(),
    };
    json!({ "type": "error", "error": error, "request_id": id })
}

/// OpenAI's error, as it stands under `error`.
pub(crate) fn openai(refusal: &Refusal) -> Map<String, Value> {
    let code = refusal.code.as_deref().or(openai_code(refusal.reason));
    let mut error = Map::new();
    error.insert("message".into(), refusal.message.as_str().into());
    error.insert("type".into(), openai_type(refusal.reason).into());
    error.insert("param".into(), refusal.field.as_deref().into());
    error.insert("code".into(), code.into());
    error
}

/// The flat `error` event of a Responses stream.
pub(crate) fn flat(refusal: &Refusal, sequence: u64) -> Value {
    json!({
        "type": "error",
        "code": code_or_default(refusal),
        "message": refusal.message,
        "param": refusal.field,
        "sequence_number": sequence,
    })
}

/// A code, where the API must have one.
pub(crate) fn code_or_default(refusal: &Refusal) -> &str {
    let code = refusal.code.as_deref().or(openai_code(refusal.reason));
    code.unwrap_or(match refusal.reason {
        Reason::Invalid => "invalid_prompt",
        Reason::NotFound => "not_found",
        Reason::Forbidden => "permission_denied",
        Reason::Conflict => "conflict",
        Reason::TooLarge => "request_too_large",
        _ => "server_error",
    })
}

/// The HTTP status of a reason.
fn status(dialect: Dialect, reason: Reason) -> u16 {
    let is_messages = dialect == Dialect::Messages;
    match reason {
        Reason::Invalid => 400,
        Reason::Unauthenticated => 401,
        Reason::OutOfMoney if is_messages => 402,
        Reason::Forbidden => 403,
        Reason::NotFound => 404,
        Reason::Conflict => 409,
        Reason::TooLarge => 413,
        Reason::RateLimited | Reason::OutOfMoney => 429,
        Reason::Internal => 500,
        Reason::Upstream | Reason::Broken if is_messages => 500,
        Reason::Upstream | Reason::Broken => 502,
        Reason::Overloaded if is_messages => 529,
        Reason::Overloaded => 503,
        Reason::Timeout => 504,
    }
}

fn messages_type(reason: Reason) -> &'static str {
    match reason {
        Reason::Invalid => "invalid_request_error",
        Reason::Unauthenticated => "authentication_error",
        Reason::OutOfMoney => "billing_error",
        Reason::Forbidden => "permission_error",
        Reason::NotFound => "not_found_error",
        Reason::Conflict => "conflict_error",
        Reason::TooLarge => "request_too_large",
        Reason::RateLimited => "rate_limit_error",
        Reason::Internal | Reason::Upstream | Reason::Broken => "api_error",
        Reason::Overloaded => "overloaded_error",
        Reason::Timeout => "timeout_error",
    }
}

fn openai_type(reason: Reason) -> &'static str {
    match reason {
        Reason::Invalid
        | Reason::Unauthenticated
        | Reason::Forbidden
        | Reason::NotFound
        | Reason::Conflict
        | Reason::TooLarge => "invalid_request_error",
        Reason::OutOfMoney => "insufficient_quota",
        Reason::RateLimited => "rate_limit_error",
        Reason::Internal | Reason::Upstream | Reason::Broken | Reason::Timeout => "server_error",
        Reason::Overloaded => "service_unavailable_error",
    }
}

/// The code that OpenAI has for a reason, where it has one.
fn openai_code(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Unauthenticated => Some("invalid_api_key"),
        Reason::OutOfMoney => Some("insufficient_quota"),
        Reason::RateLimited => Some("rate_limit_exceeded"),
        Reason::Overloaded => Some("server_is_overloaded"),
        Reason::Invalid
        | Reason::Forbidden
        | Reason::NotFound
        | Reason::Conflict
        | Reason::TooLarge
        | Reason::Internal
        | Reason::Upstream
        | Reason::Broken
        | Reason::Timeout => None,
    }
}

/// What an upstream's error means: its own body, a web page, or nothing at all.
#[must_use]
pub fn read_error(
    dialect: Dialect,
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> Refusal {
    let report = error_in(body).and_then(|error| reported(&error, Some(status)));
    report.unwrap_or_else(|| {
        let words = decode_error(dialect, status, content_type, body).message;
        Refusal::new(by_foreign_status(status), words)
    })
}

/// What an error inside a stream means; the status says nothing there.
pub(crate) fn read_stream_error(error: &Value) -> Refusal {
    reported(error, None).unwrap_or_else(|| {
        Refusal::new(
            Reason::Upstream,
            "the provider reported an error without a reason; try again",
        )
    })
}

/// An answer that ended before it was complete.
pub(crate) fn cut() -> Refusal {
    Refusal::new(
        Reason::Broken,
        "the answer ended before it was complete; try again",
    )
}

/// An answer that is none of its API's.
pub(crate) fn malformed(dialect: Dialect, what: &str) -> Refusal {
    Refusal::new(
        Reason::Broken,
        format!(
            "the upstream's answer is not one of the {dialect} API: {what}; check the kind of the upstream"
        ),
    )
}

/// What came whole in place of an answer: an error in the words of another API, or something that is neither.
pub(crate) fn no_answer(dialect: Dialect, what: &str, body: &[u8]) -> Refusal {
    let says = |error: &Value| error.is_string() || error.get("message").is_some();
    let error = error_in(body).filter(says);
    let report = error.and_then(|error| reported(&error, None));
    report.unwrap_or_else(|| malformed(dialect, what))
}

/// The error object of a body, or the body itself where it has none within.
fn error_in(body: &[u8]) -> Option<Value> {
    let parsed = match serde_json::from_slice(body).ok()? {
        // One vendor's servers wrap the object in a list.
        Value::Array(mut list) if !list.is_empty() => list.swap_remove(0),
        other => other,
    };
    let Value::Object(mut object) = parsed else {
        return None;
    };
    match object.get_mut("error") {
        None | Some(Value::Null) => Some(Value::Object(object)),
        Some(error) => Some(error.take()),
    }
}

/// An error object, where it says anything.
fn reported(error: &Value, status: Option<u16>) -> Option<Refusal> {
    let plain = |key: &str| error.get(key).and_then(Value::as_str);
    let message = match error {
        Value::String(text) => text.clone(),
        _ => match error.get("message") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        },
    };
    let code = error
        .pointer("/details/error_code")
        .and_then(Value::as_str)
        .or(plain("code"));
    let kind = plain("type");
    if message.is_empty() && code.is_none() && kind.is_none_or(|kind| kind == "error") {
        return None;
    }
    let inner = ["code", "status", "status_code"]
        .iter()
        .find_map(|key| error.get(*key)?.as_u64())
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (400..600).contains(status));
    let status = status.filter(|status| *status >= 400).or(inner);
    let named = [code, kind].into_iter().flatten().find_map(by_name);
    let reason = match (named, status) {
        (Some(reason), _) => reason,
        (None, Some(status)) => by_status(status),
        (None, None) if kind == Some("invalid_request_error") => Reason::Invalid,
        (None, None) if code == Some("invalid_prompt") => Reason::Invalid,
        (None, None) => Reason::Upstream,
    };
    let message = match (message.as_str(), code.or(kind)) {
        ("", Some(name)) => name.to_owned(),
        _ => message,
    };
    Some(Refusal {
        reason,
        message,
        field: plain("param").map(ToOwned::to_owned),
        code: code.map(ToOwned::to_owned),
    })
}

/// By a type or a code that means one thing at whichever status. `invalid_request_error` and `api_error` stand on
/// everything.
fn by_name(name: &str) -> Option<Reason> {
    Some(match name {
        "authentication_error" | "invalid_api_key" => Reason::Unauthenticated,
        "billing_error"
        | "insufficient_quota"
        | "credit_balance_exhausted"
        | "enforced_spend_limit_reached"
        | "contract_spend_limit_reached" => Reason::OutOfMoney,
        "permission_error" => Reason::Forbidden,
        "not_found_error" | "model_not_found" => Reason::NotFound,
        "conflict_error" => Reason::Conflict,
        "request_too_large" | "request_body_too_large_after_decoding" => Reason::TooLarge,
        "rate_limit_error" | "rate_limit_exceeded" | "slow_down" | "ramp_limit_exceeded" => {
            Reason::RateLimited
        }
        "overloaded_error" | "server_is_overloaded" | "service_unavailable_error" => {
            Reason::Overloaded
        }
        "timeout_error" => Reason::Timeout,
        "context_length_exceeded" | "previous_response_not_found" => Reason::Invalid,
        _ => return None,
    })
}

fn by_status(status: u16) -> Reason {
    match status {
        401 => Reason::Unauthenticated,
        402 => Reason::OutOfMoney,
        403 => Reason::Forbidden,
        404 => Reason::NotFound,
        408 | 504 => Reason::Timeout,
        409 => Reason::Conflict,
        413 => Reason::TooLarge,
        429 => Reason::RateLimited,
        503 | 529 => Reason::Overloaded,
        400..500 => Reason::Invalid,
        _ => Reason::Upstream,
    }
}

/// By the status of a body that is no error of an API: what is not found there is the API.
fn by_foreign_status(status: u16) -> Reason {
    match status {
        404 | 405 => Reason::Upstream,
        200..300 => Reason::Broken,
        status => by_status(status),
    }
}

#[cfg(test)]
mod tests;
