//! What a client's answer is put into: what the answer itself does not say.

use std::collections::HashMap;
use std::fmt;

use quire_dialect::Dialect;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::answer::wire::own;
use crate::request::Own;
use crate::seal::Sealer;

/// What an answer is put into.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The API that the events were read from: their [`Own`] fields mean something there alone. Where nothing was
    /// read, the client's.
    pub from: Dialect,
    /// The id that the client sees; the upstream's when empty.
    pub id: String,
    /// The model that the client sees; the upstream's name for it when empty.
    pub model: String,
    /// When it began, in seconds since 1970, where the upstream does not say.
    pub created: u64,
    /// When it was done, where it is.
    pub completed: Option<u64>,
    /// Seals the opaque texts of another API.
    pub sealer: Sealer,
    /// The client's own names of tools that were told to the upstream as something else, by the name told.
    pub tools: HashMap<String, ClientTool>,
    /// Fields of the request that Responses' response object says again; see [`response_echo`].
    pub echo: Own,
    /// What this server left out of the context before the upstream got it, as Messages tells it
    /// (`context_management`).
    pub context: Option<Value>,
    /// Whether a stream of Chat ends with a chunk of usage.
    pub usage: UsageChunk,
    /// The id of the request, which Messages says in an error; none when empty.
    pub request_id: String,
}

/// What a client calls a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTool {
    /// Its name.
    pub name: String,
    /// The namespace it stands in.
    pub namespace: Option<String>,
    /// Whether it takes free text, and was told as a function with one string, `input`.
    pub free: bool,
}

/// Whether a stream of Chat ends with a chunk of usage (`stream_options.include_usage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageChunk {
    /// It does.
    Sent,
    /// It does not.
    Withheld,
}

impl Frame {
    /// A frame that leaves the upstream's words as they are.
    #[must_use]
    pub fn new(from: Dialect, sealer: Sealer) -> Self {
        Self {
            from,
            id: String::new(),
            model: String::new(),
            created: 0,
            completed: None,
            sealer,
            tools: HashMap::new(),
            echo: Own::new(),
            context: None,
            usage: UsageChunk::Sent,
            request_id: String::new(),
        }
    }
}

/// Fields of the response object that repeat the request, in its order.
const ECHOED: &[&str] = &[
    "background",
    "conversation",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// What Responses' response object says again of a request's body; nothing where that is no JSON object.
#[must_use]
pub fn response_echo(body: &[u8]) -> Own {
    let Ok(Said(mut said)) = serde_json::from_slice(body) else {
        return Own::new();
    };
    let mut echo = Own::new();
    for key in ECHOED {
        match said.remove(*key) {
            None | Some(Value::Null) => {}
            Some(Value::String(id)) if *key == "conversation" => {
                echo.insert((*key).to_owned(), json!({ "id": id }));
            }
            Some(Value::String(tier)) if *key == "service_tier" && tier == "auto" => {}
            Some(value) => {
                echo.insert((*key).to_owned(), echoed(key, value));
            }
        }
    }
    echo
}

/// The fields that are said again. The rest, a conversation of megabytes, is passed over.
struct Said(HashMap<String, Value>);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
        let mut said = HashMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if ECHOED.contains(&key.as_str()) {
                said.insert(key, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Said(said))
    }
}

/// A field of the request, with the members that its owner left out and the object must have.
fn echoed(key: &str, value: Value) -> Value {
    match key {
        "reasoning" => over(own! { "effort": null, "summary": null }, value),
        "text" => over(own! { "format": { "type": "text" } }, value),
        "tools" => match value {
            Value::Array(tools) => tools.into_iter().map(tool).collect(),
            other => other,
        },
        _ => value,
    }
}

fn tool(tool: Value) -> Value {
    if tool["type"] != "function" {
        return tool;
    }
    let defaults = own! {
        "type": "function", "name": null, "description": null, "parameters": null, "strict": null,
    };
    over(defaults, tool)
}

/// An object with the members that it lacks.
fn over(defaults: Own, given: Value) -> Value {
    match given {
        Value::Object(given) => {
            let mut all = defaults;
            all.extend(given);
            Value::Object(all)
        }
        other => other,
    }
}
