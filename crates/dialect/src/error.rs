//! What a provider's refusal to answer means, and what a person can do about it.

use quire_protocol::{ModelError, ModelErrorKind as Kind};
use serde_json::Value;

use crate::{DecodeError, Dialect, Retryable};

/// Longest quote of a provider's words, in characters.
const MAX_QUOTE: usize = 1_000;

/// Classifies an answer whose status is not a success, or whose body is no answer.
#[must_use]
pub fn decode_error(
    dialect: Dialect,
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> ModelError {
    let report = Report::of_body(body);
    let kind = report.kind(Some(status));
    let words = if report.is_api {
        report.message.clone()
    } else {
        describe_body(content_type, body)
    };
    let message = match (200..300).contains(&status) {
        true => format!("the answer is not one of the {dialect} API: {words}"),
        false if words.is_empty() => format!("the provider answered {status}"),
        false => format!("the provider answered {status}: {words}"),
    };
    ModelError {
        kind,
        message,
        hint: hint(kind, dialect).into(),
        status: Some(status),
    }
}

/// Classifies an error that was reported inside a stream, where the status says nothing.
pub(crate) fn stream_error(dialect: Dialect, error: &Value) -> DecodeError {
    let report = Report::of_error(error);
    let kind = report.kind(report.status);
    let retryable = match kind {
        Kind::Busy | Kind::Server => Retryable::Yes,
        _ => Retryable::No,
    };
    let message = if report.message.is_empty() {
        "the provider reported an error without a reason".to_owned()
    } else {
        format!("the provider reported an error: {}", report.message)
    };
    let hint = hint(kind, dialect).to_owned();
    DecodeError::Provider(
        ModelError {
            kind,
            message,
            hint,
            status: report.status,
        },
        retryable,
    )
}

/// What a body or an event says of an error, in whichever shape.
#[derive(Debug, Default)]
struct Report {
    message: String,
    /// `type`, `code` and `error_code`, lowercase, each in spaces.
    codes: String,
    /// A status in the body, as some servers send it.
    status: Option<u16>,
    /// Whether the shape is one that an API of this kind has.
    is_api: bool,
}

impl Report {
    fn of_body(body: &[u8]) -> Self {
        let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        match object.get("error") {
            Some(Value::Null) | None => {}
            Some(error) => return Self::of_error(error),
        }
        let mut report = Self::of_error(&Value::Object(object.clone()));
        if report.message.is_empty()
            && let Some(detail) = object.get("detail")
        {
            report.message = quote(&plain(detail));
        }
        // `{"detail": "Not Found"}` is what any web framework says; a type or code is not.
        report.is_api = !report.codes.is_empty() && !report.message.is_empty();
        report
    }

    fn of_error(error: &Value) -> Self {
        let code = error.get("code");
        let status = code
            .and_then(Value::as_u64)
            .or_else(|| error.get("status").and_then(Value::as_u64))
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (400..600).contains(status));
        let mut codes = String::new();
        for value in [
            error.get("type"),
            code,
            error.get("param"),
            error.pointer("/details/error_code"),
        ] {
            if let Some(text) = value.and_then(Value::as_str) {
                codes.push(' ');
                codes.push_str(&text.to_lowercase());
                codes.push(' ');
            }
        }
        let message = match error {
            Value::String(text) => text.clone(),
            _ => error.get("message").map(plain).unwrap_or_default(),
        };
        Self {
            message: quote(&message),
            codes,
            status,
            is_api: true,
        }
    }

    fn kind(&self, status: Option<u16>) -> Kind {
        let message = self.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if self.has(OVERFLOW_CODES) || says(OVERFLOW_WORDS) {
            return Kind::ContextOverflow;
        }
        if self.has(QUOTA_CODES) || says(QUOTA_WORDS) {
            return Kind::Quota;
        }
        if self.has(&["model_not_found", "unknown_model", "invalid_model"])
            || self.has(&["model"]) && says(&["not", "invalid", "unsupported"])
            || says(UNKNOWN_MODEL_WORDS)
        {
            return Kind::UnknownModel;
        }
        if let Some(kind) = self.kind_by_code() {
            return kind;
        }
        match status {
            Some(status) => self.kind_by_status(status),
            None if self.has(REQUEST_CODES) => Kind::BadRequest,
            None => Kind::Server,
        }
    }

    fn kind_by_code(&self) -> Option<Kind> {
        if self.has(AUTH_CODES) {
            Some(Kind::Auth)
        } else if self.has(BUSY_CODES) {
            Some(Kind::Busy)
        } else if self.has(&["request_too_large"]) {
            Some(Kind::ContextOverflow)
        } else {
            // `api_error` and its like say nothing: gateways put them on everything, so the status
            // decides.
            None
        }
    }

    fn kind_by_status(&self, status: u16) -> Kind {
        match status {
            401 | 403 => Kind::Auth,
            402 => Kind::Quota,
            404 if self.is_api && self.message.to_lowercase().contains("model") => {
                Kind::UnknownModel
            }
            413 => Kind::ContextOverflow,
            429 | 503 | 529 => Kind::Busy,
            408 | 409 | 500.. => Kind::Server,
            400..500 if self.is_api && status != 404 && status != 405 => Kind::BadRequest,
            _ => Kind::NotAnApi,
        }
    }

    fn has(&self, codes: &[&str]) -> bool {
        codes
            .iter()
            .any(|code| self.codes.split_whitespace().any(|known| known == *code))
    }
}

const OVERFLOW_CODES: &[&str] = &["context_length_exceeded", "exceed_context_size_error"];
const OVERFLOW_WORDS: &[&str] = &[
    "prompt is too long",
    "maximum context length",
    "exceeds the context window",
    "exceed context limit",
    "exceeds the available context size",
    "context length exceeded",
];
const QUOTA_CODES: &[&str] = &[
    "billing_error",
    "insufficient_quota",
    "credit_balance_exhausted",
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
];
const QUOTA_WORDS: &[&str] = &["credit balance is too low", "insufficient credits"];
const UNKNOWN_MODEL_WORDS: &[&str] = &[
    "is not a valid model",
    "model not found",
    "no such model",
    "unknown model",
];
const AUTH_CODES: &[&str] = &[
    "authentication_error",
    "permission_error",
    "invalid_api_key",
    "invalid_authentication",
];
/// Some servers use these for whatever is wrong: only where no status says better.
const REQUEST_CODES: &[&str] = &["invalid_request_error", "invalid_prompt", "not_found_error"];
const BUSY_CODES: &[&str] = &[
    "rate_limit_error",
    "rate_limit_exceeded",
    "overloaded_error",
    "server_is_overloaded",
    "service_unavailable_error",
    "slow_down",
    "ramp_limit_exceeded",
];

fn hint(kind: Kind, dialect: Dialect) -> &'static str {
    match (kind, dialect) {
        (Kind::Auth, _) => {
            "Check the API key: that it is set, whole, not revoked, and belongs to this provider."
        }
        (Kind::Quota, _) => {
            "The account has no money or quota left. Add credit or raise its limit at the provider."
        }
        (Kind::UnknownModel, _) => "Check the model's name, and that this account may use it.",
        (Kind::NotAnApi, Dialect::Messages) => {
            "Check the base URL. For this dialect it ends before `/v1`."
        }
        (Kind::NotAnApi, _) => "Check the base URL. For this dialect it usually ends in `/v1`.",
        (Kind::Network, _) => "Check the network and the base URL, then try again.",
        (Kind::Busy, _) => "The provider is busy or limits this account. Wait a little and go on.",
        (Kind::Server, _) => "The provider has a problem. Wait a little and go on.",
        (Kind::ContextOverflow, _) => {
            "The conversation no longer fits the model. It is shortened and sent again where that helps; where it does not, use a model with a larger window."
        }
        (Kind::BadRequest, _) => {
            "The provider does not take something in the request. Check the model's settings: effort, thinking, output limit."
        }
        (Kind::Malformed, _) => "Check that the base URL belongs to an API of the chosen kind.",
        (Kind::Cancelled | Kind::Lost, _) => "Go on with the session.",
    }
}

/// The first words of a body that is no error of an API.
fn describe_body(content_type: Option<&str>, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_QUOTE)]);
    let start = text.trim_start().to_lowercase();
    let kind = content_type.unwrap_or_default();
    if kind.contains("html") || start.starts_with("<!doctype") || start.starts_with("<html") {
        return match title(&text) {
            Some(title) => format!("a web page, “{title}”"),
            None => "a web page".into(),
        };
    }
    quote(text.trim())
}

fn title(html: &str) -> Option<String> {
    let (_, rest) = html.split_once("<title>")?;
    let (title, _) = rest.split_once('<')?;
    let title = title.trim();
    (!title.is_empty()).then(|| title.chars().take(100).collect())
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn quote(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
