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
    extend(&mut object, &frame.echo);
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
