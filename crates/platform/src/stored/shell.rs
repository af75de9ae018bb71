//! A response as it is before anybody has answered.

use quire_translate::response_echo;
use serde_json::{Map, Value, json};

use super::Wish;
use super::context::conversation_value;

/// A response that waits, with all fields that one has.
pub(crate) fn unanswered(
    wish: &Wish<'_>,
    body: &Map<String, Value>,
    created_at: i64,
) -> Map<String, Value> {
    let shell = json!({
        "id": wish.id, "object": "response", "created_at": created_at / 1_000, "completed_at": null,
        "status": "queued", "background": wish.background, "error": null, "incomplete_details": null,
        "instructions": null, "max_output_tokens": null, "max_tool_calls": null, "model": wish.model,
        "output": [], "parallel_tool_calls": true, "presence_penalty": 0, "frequency_penalty": 0,
        "previous_response_id": wish.previous, "prompt_cache_key": null,
        "reasoning": {"effort": null, "summary": null}, "safety_identifier": null,
        "service_tier": "default", "store": wish.store, "temperature": 1.0,
        "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_logprobs": 0,
        "top_p": 1.0, "truncation": "disabled", "usage": null, "metadata": {},
    });
    let Value::Object(mut shell) = shell else {
        return Map::new();
    };
    shell.extend(response_echo(body));
    if let Some(id) = &wish.conversation {
        shell.insert("conversation".to_owned(), conversation_value(id));
    }
    shell
}
