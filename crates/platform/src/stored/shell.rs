//! A response with all of its fields: as it is before anybody has answered, and where an upstream leaves some out.

use quire_translate::{Own, response_echo};
use serde_json::{Map, Value, json};

use super::Wish;
use super::context::conversation_value;
use crate::clock::now_ms;

/// A response that waits, with all fields that one has.
pub(crate) fn unanswered(wish: &Wish<'_>, body: &[u8], created_at: i64) -> Map<String, Value> {
    let mut shell = blank(response_echo(body), created_at);
    shell.insert("model".to_owned(), wish.model.as_str().into());
    shell.insert("id".to_owned(), wish.id.as_str().into());
    shell.insert("status".to_owned(), "queued".into());
    shell.insert("background".to_owned(), wish.background.into());
    shell.insert(
        "previous_response_id".to_owned(),
        wish.previous.as_deref().into(),
    );
    shell.insert("store".to_owned(), wish.store.into());
    if let Some(id) = &wish.conversation {
        shell.insert("conversation".to_owned(), conversation_value(id));
    }
    shell
}

/// Fills in what an upstream left out of a response: not every server that speaks this API knows all of its fields.
pub(super) fn fill(
    response: &mut Map<String, Value>,
    model: &str,
    settings: &str,
    created_at: i64,
) {
    let is_there = |name: &String| response.contains_key(name);
    if blank(Own::new(), created_at).keys().all(is_there) {
        return;
    }
    let is_over = response.get("status").and_then(Value::as_str) == Some("completed");
    if is_over && !response.contains_key("completed_at") {
        response.insert("completed_at".to_owned(), (now_ms() / 1_000).into());
    }
    let mut blank = blank(response_echo(settings.as_bytes()), created_at);
    blank.insert("model".to_owned(), model.into());
    for (name, value) in blank {
        response.entry(name).or_insert(value);
    }
}

/// All fields that a response has, those that repeat the request among them.
fn blank(echo: Own, created_at: i64) -> Map<String, Value> {
    let shell = json!({
        "id": null, "object": "response", "created_at": created_at / 1_000, "completed_at": null,
        "status": "in_progress", "background": false, "error": null, "incomplete_details": null,
        "instructions": null, "max_output_tokens": null, "max_tool_calls": null,
        "model": null,
        "output": [], "parallel_tool_calls": true, "presence_penalty": 0, "frequency_penalty": 0,
        "previous_response_id": null, "prompt_cache_key": null,
        "reasoning": {"effort": null, "summary": null}, "safety_identifier": null,
        "service_tier": "default", "store": true, "temperature": 1.0,
        "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_logprobs": 0,
        "top_p": 1.0, "truncation": "disabled", "usage": null, "metadata": {},
    });
    let Value::Object(mut shell) = shell else {
        return Map::new();
    };
    shell.extend(echo);
    shell
}
