//! How a request says whose it is, and in which API it is written.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use quire_dialect::{ApiVersion, Dialect};
use quire_translate::{Reason, Refusal};

/// The secret that a request bears. Both headers of both vendors are taken; `x-api-key` comes first, as upstream.
pub(crate) fn secret(headers: &HeaderMap) -> Result<&str, Refusal> {
    let missing = || {
        Refusal::new(
            Reason::Unauthenticated,
            "There is no API key: send one as `x-api-key` or as `Authorization: Bearer`.",
        )
    };
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    if let Some(key) = text("x-api-key").filter(|key| !key.is_empty()) {
        return Ok(key);
    }
    let bearer = text(AUTHORIZATION.as_str()).ok_or_else(missing)?;
    let (scheme, key) = bearer.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || key.trim().is_empty() {
        return Err(missing());
    }
    Ok(key.trim())
}

/// The API of a path that both vendors have (`/v1/models`, `/v1/files`).
pub(crate) fn dialect(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Dialect::Messages
    } else {
        Dialect::Responses
    }
}

/// The API that a path is meant for, whether or not there is such a path.
pub(crate) fn meant(path: &str, headers: &HeaderMap) -> Dialect {
    let begins = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
    if begins(&["/v1/messages", "/v1/organizations", "/admin"]) {
        Dialect::Messages
    } else if begins(&["/v1/responses", "/v1/chat", "/v1/conversations"]) {
        Dialect::Responses
    } else {
        dialect(headers)
    }
}

/// The version of Messages that a request speaks.
pub(crate) fn version(headers: &HeaderMap) -> ApiVersion {
    let header = headers.get("anthropic-version");
    ApiVersion::of(header.and_then(|value| value.to_str().ok()))
}

/// Refuses a request of Messages that does not say which version of the API it is written in.
pub(crate) fn versioned(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key("anthropic-version") {
        return Ok(());
    }
    let message = "anthropic-version: header is required";
    Err(Refusal::new(Reason::Invalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_of_both_vendors() {
        for (headers, found) in [
            (&[("x-api-key", "qk-1")][..], Some("qk-1")),
            (&[("authorization", "Bearer qk-2")], Some("qk-2")),
            (&[("authorization", "bearer  qk-2 ")], Some("qk-2")),
            (
                &[("authorization", "Bearer qk-2"), ("x-api-key", "qk-1")],
                Some("qk-1"),
            ),
            (
                &[("authorization", "Bearer qk-2"), ("x-api-key", "")],
                Some("qk-2"),
            ),
            (&[("authorization", "Basic cTpr")], None),
            (&[("authorization", "Bearer ")], None),
            (&[("authorization", "qk-2")], None),
            (&[], None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(secret(&map).ok(), found, "{headers:?}");
        }
    }
}
