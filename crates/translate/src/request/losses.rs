//! What an API has no words for: what is refused because the request would mean something else without it, and
//! what is left out and told of.

use std::cell::RefCell;

use quire_dialect::Dialect;
use serde_json::{Value, json};

use super::read::mark;
use super::{Dropped, Own, Request, Target};
use crate::refusal::{Reason, Refusal};

/// What becomes of a field that only the API it came in has.
#[derive(Clone, Copy)]
enum Fate {
    /// Without it the request would mean something else: what to do about it.
    Refused(&'static str),
    /// The request is served without it, and the answer's head tells: why that may be.
    Noted(&'static str),
    /// Nothing is lost without it: why.
    Silent,
}

use Fate::{Noted, Refused, Silent};

const ELSEWHERE: &str = "only the API that the request came in has this field";
const CACHES: &str = "the upstream's API caches prefixes by itself";
const DRAWS: &str = "the upstream's API has no such way to draw tokens";
const SPEED: &str = "the upstream's API knows nothing of it";
const STORED: &str = "Send the whole conversation in the request instead.";

/// The fields of a body by the API they came in, with the value that says nothing.
const FIELDS: &[(Dialect, &str, &str, Fate)] = &[
    // Messages.
    (
        Dialect::Messages,
        "container",
        "null",
        Refused("Leave it out, or take a model that Anthropic serves."),
    ),
    (
        Dialect::Messages,
        "mcp_servers",
        "[]",
        Refused(
            "Offer the servers' tools as tools of your own, or take a model that Anthropic serves.",
        ),
    ),
    (Dialect::Messages, "thread", "null", Refused(STORED)),
    (
        Dialect::Messages,
        "compaction",
        "null",
        Refused("Ask for a summary in a message, or take a model that Anthropic serves."),
    ),
    (Dialect::Messages, "cache_control", "null", Noted(CACHES)),
    (Dialect::Messages, "speed", "\"standard\"", Noted(SPEED)),
    (Dialect::Messages, "diagnostics", "null", Noted(ELSEWHERE)),
    (
        Dialect::Messages,
        "fallbacks",
        "[]",
        Noted("routes of this server have fallbacks of their own"),
    ),
    (Dialect::Messages, "tools", "[]", Silent),
    (Dialect::Messages, "stop_sequences", "[]", Silent),
    (Dialect::Messages, "system", "null", Silent),
    // Responses.
    (
        Dialect::Responses,
        "previous_response_id",
        "null",
        Refused(STORED),
    ),
    (Dialect::Responses, "conversation", "null", Refused(STORED)),
    (
        Dialect::Responses,
        "background",
        "false",
        Refused("Leave it out and wait for the answer, or stream it."),
    ),
    (
        Dialect::Responses,
        "prompt",
        "null",
        Refused("Send the prompt's text in the request instead."),
    ),
    (Dialect::Responses, "store", "true", Silent),
    (Dialect::Responses, "include", "[]", Silent),
    (Dialect::Responses, "stream_options", "{}", Silent),
    (Dialect::Responses, "client_metadata", "{}", Silent),
    (Dialect::Responses, "background_options", "{}", Silent),
    (
        Dialect::Responses,
        "truncation",
        "\"disabled\"",
        Noted(ELSEWHERE),
    ),
    (Dialect::Responses, "top_logprobs", "0", Noted(DRAWS)),
    (Dialect::Responses, "tools", "[]", Silent),
    (Dialect::Responses, "context_management", "[]", Silent),
    // Chat Completions.
    (
        Dialect::Chat,
        "n",
        "1",
        Refused("Send the request so many times instead."),
    ),
    (
        Dialect::Chat,
        "audio",
        "null",
        Refused("Leave it out, or take a model that OpenAI serves."),
    ),
    (
        Dialect::Chat,
        "modalities",
        "[\"text\"]",
        Refused("Leave it out, or take a model that OpenAI serves."),
    ),
    (
        Dialect::Chat,
        "functions",
        "[]",
        Refused("Send them as `tools`."),
    ),
    (
        Dialect::Chat,
        "function_call",
        "\"auto\"",
        Refused("Send it as `tool_choice`."),
    ),
    (Dialect::Chat, "store", "false", Silent),
    (Dialect::Chat, "stream_options", "{}", Silent),
    (Dialect::Chat, "tools", "[]", Silent),
    (Dialect::Chat, "stop", "[]", Silent),
    (Dialect::Chat, "max_tokens", "null", Silent),
    (
        Dialect::Chat,
        "response_format",
        "{\"type\":\"text\"}",
        Noted(ELSEWHERE),
    ),
    (Dialect::Chat, "logprobs", "false", Noted(DRAWS)),
    (Dialect::Chat, "top_logprobs", "0", Noted(DRAWS)),
    (Dialect::Chat, "logit_bias", "{}", Noted(DRAWS)),
    (Dialect::Chat, "seed", "null", Noted(DRAWS)),
    (Dialect::Chat, "frequency_penalty", "0", Noted(DRAWS)),
    (Dialect::Chat, "presence_penalty", "0", Noted(DRAWS)),
    (
        Dialect::Chat,
        "prediction",
        "null",
        Noted("it only makes an answer faster"),
    ),
    (
        Dialect::Chat,
        "web_search_options",
        "null",
        Noted("the upstream's API has no such tool"),
    ),
];

/// Fields of a body that both of OpenAI's APIs have.
pub(super) const SHARED: &[&str] = &[
    "metadata",
    "prompt_cache_options",
    "prompt_cache_retention",
    "moderation",
    "user",
];

/// Fields of a body of which only what is in them is left.
const NESTED: &[&str] = &[
    "reasoning",
    "text",
    "output_config",
    "metadata",
    "tool_choice",
    "context_management",
];

/// Fields of a turn, a part or a tool without which nothing is lost.
const SILENT: &[&str] = &[
    "id",
    "type",
    "status",
    "phase",
    "object",
    "annotations",
    "logprobs",
    "caller",
    "namespace",
    "summary",
    "content",
    "name",
    "tools",
    "function",
    "image_url",
    "file",
    "source",
    "defer_loading",
    "refusal",
    "tool_calls",
    "created_by",
    "eager_input_streaming",
    "internal_chat_message_metadata_passthrough",
];

/// What was left out so far, each once.
#[derive(Default)]
pub(super) struct Losses {
    dropped: RefCell<Vec<Dropped>>,
}

/// How many are told of; a client with more unknown fields than that knows what it does.
const TOLD: usize = 64;

impl Losses {
    /// Tells of one.
    pub(super) fn note(&self, field: impl AsRef<str>, why: &'static str) {
        let field = field.as_ref();
        let mut dropped = self.dropped.borrow_mut();
        if dropped.len() < TOLD && !dropped.iter().any(|other| other.field == field) {
            dropped.push(Dropped {
                field: field.to_owned(),
                why,
            });
        }
    }

    /// Tells of the fields of a turn, a part or a tool that only its API has.
    pub(super) fn note_own(&self, place: &str, own: &Own) {
        for (key, value) in own {
            let silent = says_nothing(value) || *value == json!({"type": "text"});
            if key.starts_with(mark::SIGN) || silent || SILENT.contains(&key.as_str()) {
                continue;
            }
            let why = if key == "cache_control" {
                CACHES
            } else {
                ELSEWHERE
            };
            self.note(format!("{place}.{key}"), why);
        }
    }

    /// All of them.
    pub(super) fn into_dropped(self) -> Vec<Dropped> {
        self.dropped.into_inner()
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Refuses or tells of the fields of a body that the target's API does not have.
pub(super) fn body(request: &Request, target: &Target<'_>, losses: &Losses) -> Result<(), Refusal> {
    if request.max_output == Some(0) {
        let instead =
            "Nought only warms the cache, which no other API does; ask for at least one token.";
        return Err(refused("max_tokens", instead));
    }
    let openai = target.dialect != Dialect::Messages && request.from != Dialect::Messages;
    for (key, value) in &request.own {
        if key.starts_with(mark::SIGN)
            || value.is_null()
            || (openai && SHARED.contains(&key.as_str()))
        {
            continue;
        }
        if let (true, Value::Object(inner)) = (NESTED.contains(&key.as_str()), value) {
            losses.note_own(key, inner);
            continue;
        }
        match fate(request.from, key, value) {
            // By this code clients know that they are to go on without a thread.
            Refused(instead) if key == "thread" => {
                return Err(refused(key, instead).coded("thread_unsupported_request"));
            }
            Refused(instead) => return Err(refused(key, instead)),
            Noted(why) => losses.note(key, why),
            Silent => {}
        }
    }
    Ok(())
}

fn fate(from: Dialect, key: &str, value: &Value) -> Fate {
    let row = FIELDS
        .iter()
        .find(|(dialect, field, ..)| *dialect == from && *field == key);
    match row {
        Some((_, _, nothing, _))
            if serde_json::from_str(nothing).is_ok_and(|nothing: Value| nothing == *value) =>
        {
            Silent
        }
        Some((.., fate)) => *fate,
        None if says_nothing(value) => Silent,
        None => Noted(ELSEWHERE),
    }
}

/// A refusal of a field that the target's API has no words for.
pub(super) fn refused(field: &str, instead: &str) -> Refusal {
    Refusal::new(
        Reason::Invalid,
        format!("{field}: the API behind this model has no words for it. {instead}"),
    )
    .about(field)
    .coded("unsupported_parameter")
}

/// A refusal of what the model cannot do.
pub(super) fn unable(field: &str, words: &str) -> Refusal {
    Refusal::new(Reason::Invalid, format!("{field}: {words}"))
        .about(field)
        .coded("unsupported_value")
}
