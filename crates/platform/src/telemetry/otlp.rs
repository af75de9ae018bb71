//! Spans in the JSON of OTLP, with the attributes of OpenTelemetry's conventions for generative AI (1.41).

use serde_json::{Value, json};

use super::{Span, hex};
use crate::log::short;

/// OTLP's number for a span that is a request to somebody else.
const CLIENT: u8 = 3;
/// OTLP's number for a span that failed.
const FAILED: u8 = 2;

/// The body of an export.
pub(super) fn export(spans: &[Span]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.name", "quire-platform"),
            text("service.version", version),
        ]},
        "scopeSpans": [{
            "scope": {"name": "quire.platform", "version": version},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

fn span(span: &Span) -> Value {
    let mut written = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "name": format!("chat {}", short(&span.model)),
        "kind": CLIENT,
        "startTimeUnixNano": span.started_ns.to_string(),
        "endTimeUnixNano": span.ended_ns.to_string(),
        "attributes": attributes(span),
    });
    if let Some(parent) = &span.parent {
        written["parentSpanId"] = hex(parent).into();
    }
    if span.row.status >= 400 {
        written["status"] = json!({"code": FAILED});
    }
    written
}

fn attributes(span: &Span) -> Vec<Value> {
    let row = &span.row;
    let usage = &row.usage;
    let mut all = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", &span.provider),
        text("gen_ai.request.model", &span.model),
        text("gen_ai.response.model", &row.model_served),
        truth("gen_ai.request.stream", row.streamed),
        number("gen_ai.usage.input_tokens", usage.prompt()),
        number("gen_ai.usage.output_tokens", usage.output),
        number("gen_ai.usage.cache_read.input_tokens", usage.cache_read),
        number(
            "gen_ai.usage.cache_creation.input_tokens",
            usage.cache_write_5m + usage.cache_write_1h,
        ),
        number("gen_ai.usage.reasoning.output_tokens", usage.thinking),
        text("quire.request.id", row.request.as_str()),
        text("quire.request.model", &row.model_asked),
        text("quire.api", &row.api),
        text("quire.upstream", &row.upstream),
        text("quire.workspace.id", row.workspace.as_str()),
        text("quire.key.id", row.key.as_str()),
        text("quire.cost_usd", &row.cost.to_string()),
        truth("quire.usage.estimated", row.estimated),
    ];
    if let Some(first) = span.first {
        all.push(json!({
            "key": "gen_ai.response.time_to_first_chunk",
            "value": {"doubleValue": first.as_secs_f64()},
        }));
    }
    if let Ok(address) = span.server.parse::<axum::http::Uri>()
        && let Some(host) = address.host()
    {
        let port = address.port_u16().unwrap_or(match address.scheme_str() {
            Some("https") => 443,
            Some(_) | None => 80,
        });
        all.push(text("server.address", host.trim_matches(['[', ']'])));
        all.push(number("server.port", port.into()));
    }
    if let Some(told) = &span.contents {
        let whole = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let messages = [
            ("gen_ai.input.messages", &told.input),
            ("gen_ai.output.messages", &told.output),
        ];
        for (key, messages) in messages {
            all.extend(messages.iter().map(|messages| whole(key, messages)));
        }
        if told.left_out > 0 {
            all.push(number(
                "quire.input.messages_left_out",
                told.left_out as u64,
            ));
        }
    }
    if row.status >= 400 {
        all.push(text("error.type", &row.status.to_string()));
    }
    all
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": short(value)}})
}

fn truth(key: &str, value: bool) -> Value {
    json!({"key": key, "value": {"boolValue": value}})
}

/// OTLP writes whole numbers as texts.
fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}
