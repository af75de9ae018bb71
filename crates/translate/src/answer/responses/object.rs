//! The response object, with every field that clients check for.

use quire_dialect::Dialect;
use serde_json::{Value, json};

use crate::answer::wire::{extend, own};
use crate::answer::{Begin, Frame, Tally};
use crate::request::Own;

/// A response as it is when it begins.
pub(crate) fn begin(frame: &Frame, begin: &Begin) -> Own {
    let mut object = own! {
        "id": id(frame, begin),
        "object": "response",
        "created_at": frame.created,
        "completed_at": null,
        "status": "in_progress",
        "background": false,
        "error": null,
        "frequency_penalty": 0.0,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "metadata": {},
        "model": if frame.model.is_empty() { &begin.model } else { &frame.model },
        "output": [],
        "parallel_tool_calls": true,
        "presence_penalty": 0.0,
        "previous_response_id": null,
        "prompt_cache_key": null,
        "reasoning": { "effort": null, "summary": null },
        "safety_identifier": null,
        "service_tier": "default",
        "store": true,
        "temperature": 1.0,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
    };
    if frame.from == Dialect::Responses {
        extend(&mut object, &begin.own);
    }
    for (key, value) in &frame.echo {
        object.insert(key.clone(), echoed(key, value));
    }
    object
}

/// The id that the client sees.
pub(crate) fn id<'a>(frame: &'a Frame, begin: &'a Begin) -> &'a str {
    if frame.id.is_empty() {
        &begin.id
    } else {
        &frame.id
    }
}

/// A field of the request, with the members that its owner left out and the object must have.
fn echoed(key: &str, value: &Value) -> Value {
    let with = |defaults: Own| {
        let mut all = defaults;
        match value {
            Value::Object(given) => {
                extend(&mut all, given);
                Value::Object(all)
            }
            other => other.clone(),
        }
    };
    match key {
        "reasoning" => with(own! { "effort": null, "summary": null }),
        "text" => with(own! { "format": { "type": "text" } }),
        "tools" => match value {
            Value::Array(tools) => tools.iter().map(tool).collect(),
            other => other.clone(),
        },
        _ => value.clone(),
    }
}

fn tool(tool: &Value) -> Value {
    match tool {
        Value::Object(given) if given.get("type").is_some_and(|kind| kind == "function") => {
            let mut all = own! {
                "type": "function", "name": null, "description": null, "parameters": null,
                "strict": null,
            };
            extend(&mut all, given);
            Value::Object(all)
        }
        other => other.clone(),
    }
}

/// The service tier in this API's words; absent where the upstream says nothing.
pub(crate) fn service_tier(from: Dialect, tally: &Tally) -> Option<&str> {
    let tier = tally.service_tier.as_deref()?;
    Some(match (from, tier) {
        (Dialect::Messages, "standard" | "batch") => "default",
        (Dialect::Messages | Dialect::Responses | Dialect::Chat, tier) => tier,
    })
}

/// The error of a response that failed.
pub(crate) fn error(code: &str, message: &str) -> Value {
    json!({ "code": code, "message": message })
}
