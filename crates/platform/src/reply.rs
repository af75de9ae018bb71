//! What goes back to a client besides an answer: refusals in its API's words, limits, who served.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use quire_dialect::Dialect;
use quire_protocol::Day;
use quire_translate::{Reason, Refusal, error_body};

use crate::allowance::{Gauge, Gauges, Reached};

/// A request that is not served, with what its client should do about it.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    pub(crate) refusal: Refusal,
    pub(crate) again: Again,
}

/// Whether trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// The client knows by the status.
    ByStatus,
    /// After so many milliseconds.
    After(i64),
    /// It does not.
    Never,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            again: Again::ByStatus,
        }
    }
}

impl From<quire_depot::Error> for Denial {
    fn from(error: quire_depot::Error) -> Self {
        use quire_depot::Error;
        let reason = match &error {
            Error::Unavailable(_) => Reason::Overloaded,
            Error::Missing { .. } => Reason::NotFound,
            Error::Exists { .. } | Error::Refused(_) => Reason::Conflict,
            Error::Full { .. } => Reason::Invalid,
            Error::Newer { .. }
            | Error::Damaged(_)
            | Error::Disk { .. }
            | Error::Statement(_)
            | Error::Address(_)
            | Error::Unmet(_) => Reason::Internal,
        };
        let again = if reason == Reason::Conflict {
            Again::Never
        } else {
            Again::ByStatus
        };
        // What the server's own disk or database said is for its log, not for a client.
        let message = match reason {
            Reason::Internal => "The server's store failed. Its log says how.".to_owned(),
            _ => error.to_string(),
        };
        Self {
            refusal: Refusal::new(reason, message),
            again,
        }
    }
}

impl Denial {
    /// A bound that is reached.
    pub(crate) fn reached(reached: Reached, whose: &str) -> Self {
        let (what, wait) = match reached {
            Reached::Requests(wait) => ("requests", wait),
            Reached::InputTokens(wait) => ("input tokens", wait),
            Reached::OutputTokens(wait) => ("output tokens", wait),
            Reached::Budget(budget, spent) => {
                let amount = budget.amount;
                // Cents, or as many digits as the budget has.
                let exact = |places: &u32| amount.rounded(*places) == amount.rounded(12);
                let places = (2..12).find(exact).unwrap_or(12);
                let message = format!(
                    "The budget of this {whose} is used up: ${} of ${}. Raise it, or wait for its next period.",
                    spent.rounded(places),
                    amount.rounded(places)
                );
                return Self {
                    refusal: Refusal::new(Reason::OutOfMoney, message).coded("insufficient_quota"),
                    again: Again::Never,
                };
            }
        };
        let seconds = wait.max(0).unsigned_abs().div_ceil(1_000);
        let message = format!(
            "This {whose} may use no more {what} in this minute: try again in {seconds} s, or have its limit raised."
        );
        Self {
            refusal: Refusal::new(Reason::RateLimited, message).coded("rate_limit_exceeded"),
            again: Again::After(wait),
        }
    }

    /// As the answer of an API.
    pub(crate) fn answer(&self, api: Dialect, request_id: &str) -> Response<Body> {
        let (status, body) = error_body(api, &self.refusal, request_id);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        match self.again {
            Again::ByStatus => {}
            Again::Never => {
                headers.insert("x-should-retry", HeaderValue::from_static("false"));
            }
            Again::After(wait) => {
                let seconds = wait.max(0).unsigned_abs().div_ceil(1_000);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
        }
        response
    }
}

/// Adds what every answer bears: its id and whose it is.
pub(crate) fn sign(headers: &mut HeaderMap, request_id: &str, organisation: Option<&str>) {
    if let Ok(id) = HeaderValue::try_from(request_id) {
        headers.insert("request-id", id.clone());
        headers.insert("x-request-id", id);
    }
    if let Some(organisation) = organisation.and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.insert("anthropic-organization-id", organisation.clone());
        headers.insert("openai-organization", organisation);
    }
}

/// Adds who served, so that no change of model is silent.
pub(crate) fn served_by(headers: &mut HeaderMap, upstream: &str, model: &str, dropped: &[String]) {
    let mut set = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("quire-upstream", upstream);
    set("quire-model", model);
    if !dropped.is_empty() {
        set("quire-dropped", &dropped.join(", "));
    }
}

/// Adds what is left of a minute, in the vendor's headers.
pub(crate) fn limits(headers: &mut HeaderMap, api: Dialect, gauges: &Gauges, now: i64) {
    match api {
        Dialect::Messages => {
            let all = [
                ("requests", gauges.requests),
                ("input-tokens", gauges.input),
                ("output-tokens", gauges.output),
                ("tokens", gauges.input.or(gauges.output)),
            ];
            for (name, gauge) in all {
                anthropic_limit(headers, name, gauge, now);
            }
        }
        Dialect::Responses | Dialect::Chat => {
            openai_limit(headers, "requests", gauges.requests);
            openai_limit(headers, "tokens", gauges.input.or(gauges.output));
        }
    }
}

fn anthropic_limit(headers: &mut HeaderMap, name: &str, gauge: Option<Gauge>, now: i64) {
    let Some(gauge) = gauge else {
        return;
    };
    // Token remainders are told in thousands.
    let remaining = if name == "requests" {
        gauge.remaining
    } else {
        gauge.remaining / 1_000 * 1_000
    };
    let reset = rfc3339(now.saturating_add(gauge.full_in));
    for (part, text) in [
        ("limit", gauge.limit.to_string()),
        ("remaining", remaining.to_string()),
        ("reset", reset),
    ] {
        let name = HeaderName::try_from(format!("anthropic-ratelimit-{name}-{part}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(text)) {
            headers.insert(name, value);
        }
    }
}

fn openai_limit(headers: &mut HeaderMap, name: &str, gauge: Option<Gauge>) {
    let Some(gauge) = gauge else {
        return;
    };
    for (part, text) in [
        ("limit", gauge.limit.to_string()),
        ("remaining", gauge.remaining.to_string()),
        ("reset", span(gauge.full_in)),
    ] {
        let name = HeaderName::try_from(format!("x-ratelimit-{part}-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(text)) {
            headers.insert(name, value);
        }
    }
}

/// A time as Anthropic writes it, in whole seconds, rounded up.
pub(crate) fn rfc3339(ms: i64) -> String {
    let seconds = u64::try_from(ms).unwrap_or(0).div_ceil(1_000);
    let day = Day::of(seconds * 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{day}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

/// A time to the millisecond.
pub(crate) fn rfc3339_ms(ms: i64) -> String {
    let ms = u64::try_from(ms).unwrap_or(0);
    let whole = rfc3339(i64::try_from(ms / 1_000 * 1_000).unwrap_or(i64::MAX));
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), ms % 1_000)
}

/// A span as OpenAI writes it: `6m0s`, `1.5s`, `120ms`.
fn span(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        1_000..60_000 => format!("{}.{:03}s", ms / 1_000, ms % 1_000),
        _ => format!("{}m{}s", ms / 60_000, ms / 1_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use quire_depot::{Budget, Period};

    use super::*;

    #[test]
    fn times_are_written_as_the_vendors_do() {
        for (ms, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_785_073_511_001, "2026-07-26T13:45:12Z"),
        ] {
            assert_eq!(rfc3339(ms), written);
        }
        for (ms, written) in [
            (0, "0ms"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_500, "1.500s"),
            (360_000, "6m0s"),
        ] {
            assert_eq!(span(ms), written);
        }
    }

    #[test]
    fn a_budget_is_told_to_its_last_digit() {
        for (amount, spent, told) in [
            ("0.0001", "0.00013456", "$0.0001 of $0.0001."),
            ("0.0125", "0.0125", "$0.0125 of $0.0125."),
            ("50", "50.0049", "$50.00 of $50.00."),
        ] {
            let budget = Budget {
                amount: amount.parse().unwrap(),
                period: Period::Total,
            };
            let reached = Reached::Budget(budget, spent.parse().unwrap());
            let message = Denial::reached(reached, "API key").refusal.message;
            assert!(message.contains(told), "{message}");
        }
    }

    #[test]
    fn limits_are_told_in_each_vendors_headers() {
        let gauges = Gauges {
            requests: Some(Gauge {
                limit: 50,
                remaining: 49,
                full_in: 1_200,
            }),
            input: Some(Gauge {
                limit: 10_000,
                remaining: 8_999,
                full_in: 6_000,
            }),
            output: None,
        };
        let mut headers = HeaderMap::new();
        limits(&mut headers, Dialect::Messages, &gauges, 0);
        assert_eq!(headers["anthropic-ratelimit-requests-remaining"], "49");
        assert_eq!(
            headers["anthropic-ratelimit-requests-reset"],
            "1970-01-01T00:00:02Z"
        );
        assert_eq!(
            headers["anthropic-ratelimit-input-tokens-remaining"],
            "8000"
        );
        assert!(!headers.contains_key("anthropic-ratelimit-output-tokens-limit"));
        let mut headers = HeaderMap::new();
        limits(&mut headers, Dialect::Chat, &gauges, 0);
        assert_eq!(headers["x-ratelimit-reset-requests"], "1.200s");
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "8999");
    }
}
