//! What the mock model is to answer: a script in the prompt itself, so that it outlives every translation on the
//! way and each case says beside its assertions what the model said.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The word before a script in a prompt.
const MARK: &str = "script:";

/// What the model says to the requests of one case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Script {
    /// By which the case asks what arrived.
    pub(crate) tag: String,
    /// What is said at first, after the first results of tools, after the second…
    pub(crate) turns: Vec<Vec<Say>>,
    /// The reason to stop, in the words of Messages; by what was said when absent.
    pub(crate) stop: Option<String>,
    pub(crate) usage: Usage,
    /// What becomes of the first requests instead.
    pub(crate) fail: Vec<Fault>,
    /// What becomes of the answer on its way.
    pub(crate) broken: Option<Broken>,
}

/// A part of an answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
pub(crate) enum Say {
    Text {
        text: String,
    },
    Think {
        think: String,
    },
    Call {
        call: String,
        input: Value,
    },
    /// A summary in place of what came before.
    Compact {
        compact: String,
    },
    Refuse {
        refuse: String,
    },
}

/// Tokens, each counted once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Usage {
    pub(crate) fresh: u64,
    pub(crate) cached: u64,
    pub(crate) written: u64,
    pub(crate) output: u64,
    pub(crate) thought: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            fresh: 100,
            cached: 40,
            written: 10,
            output: 25,
            thought: 5,
        }
    }
}

/// A request that is not served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// 0 breaks the connection off.
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Whether a page of HTML comes instead of the vendor's error.
    #[serde(default)]
    pub(crate) page: bool,
}

/// An answer that does not arrive as it should.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Broken {
    /// Frames of a stream that arrive.
    pub(crate) after: usize,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum How {
    /// The vendor's error comes in the stream.
    Error,
    /// The connection breaks off.
    Cut,
    /// Nothing more comes until the client goes away.
    Hang,
}

/// What a conversation is made of, for one who looks for a script in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bit {
    Said(String),
    Result(String),
    Model,
}

/// A script and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct Cue {
    pub(crate) script: Script,
    /// How often results of tools came since.
    pub(crate) turn: usize,
    /// The last line of the last result.
    pub(crate) result: String,
}

impl Cue {
    /// The newest script of a conversation.
    pub(crate) fn find(bits: &[Bit]) -> Option<Self> {
        let (place, script) = bits.iter().enumerate().rev().find_map(|(place, bit)| {
            let Bit::Said(text) = bit else {
                return None;
            };
            Some((place, read(text)?))
        })?;
        let since = &bits[place..];
        let is_result = |bit: &Bit| matches!(bit, Bit::Result(_));
        let turn = since
            .windows(2)
            .filter(|pair| is_result(&pair[1]) && !is_result(&pair[0]))
            .count();
        let last = since.iter().rev().find_map(|bit| match bit {
            Bit::Result(text) => Some(text.as_str()),
            Bit::Said(_) | Bit::Model => None,
        });
        let lines = last.unwrap_or_default().lines().map(str::trim);
        let result = lines.rev().find(|line| !line.is_empty()).unwrap_or("");
        Some(Self {
            script,
            turn,
            result: result.to_owned(),
        })
    }

    /// What is said now. `{result}` stands for the last line of the last result.
    pub(crate) fn says(&self, tools: &[String]) -> Vec<Say> {
        let says = self
            .script
            .turns
            .get(self.turn)
            .cloned()
            .unwrap_or_default();
        let offered = |name: &String| tools.contains(name);
        says.into_iter()
            .map(|say| match say {
                Say::Call { call, input } if offered(&call) => Say::Call {
                    call,
                    input: self.filled(&input),
                },
                // A side request of an agent, which quotes the prompt and has no tools.
                Say::Call { .. } => Say::Text { text: "ok".into() },
                Say::Text { text } => Say::Text {
                    text: text.replace("{result}", &self.result),
                },
                other @ (Say::Think { .. } | Say::Compact { .. } | Say::Refuse { .. }) => other,
            })
            .collect()
    }

    fn filled(&self, input: &Value) -> Value {
        match input {
            Value::String(text) => text.replace("{result}", &self.result).into(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.filled(value)))
                .collect(),
            other => other.clone(),
        }
    }
}

/// The script in a text, wherever it stands. Of several the last one counts.
fn read(text: &str) -> Option<Script> {
    let start = text.rfind(MARK)? + MARK.len();
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Script>();
    match values.next()? {
        Ok(script) => Some(script),
        Err(error) => panic!("a script that cannot be read: {error}: {}", &text[start..]),
    }
}

/// The bits of a request.
pub(crate) fn bits(body: &Value) -> Vec<Bit> {
    if body["input"].is_string() {
        return vec![Bit::Said(text(&body["input"]))];
    }
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let messages = list("messages").into_iter().chain(list("input"));
    messages
        .flat_map(|message| message_bits(&message))
        .collect()
}

fn message_bits(message: &Value) -> Vec<Bit> {
    if let Some(kind) = message["type"].as_str().filter(|kind| *kind != "message") {
        return vec![if kind.ends_with("_output") {
            Bit::Result(text(&message["output"]))
        } else {
            Bit::Model
        }];
    }
    match message["role"].as_str() {
        Some("assistant") => vec![Bit::Model],
        Some("tool") => vec![Bit::Result(text(&message["content"]))],
        _ => match message["content"].as_array() {
            Some(blocks) => blocks.iter().map(block_bit).collect(),
            None => vec![Bit::Said(text(&message["content"]))],
        },
    }
}

fn block_bit(block: &Value) -> Bit {
    match block["type"].as_str() {
        Some("tool_result") => Bit::Result(text(&block["content"])),
        _ => Bit::Said(text(block)),
    }
}

/// All text of a content.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect(),
        Value::Object(part) => part.get("text").map(text).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

/// The names of the tools that a request offers.
pub(crate) fn tools(body: &Value) -> Vec<String> {
    let offered = body["tools"].as_array().cloned().unwrap_or_default();
    let later = body["input"].as_array().cloned().unwrap_or_default();
    let later = later.into_iter().flat_map(|item| {
        let tools = item["tools"].as_array().cloned();
        tools.unwrap_or_default()
    });
    let names = offered.into_iter().chain(later).filter_map(|tool| {
        let name = tool["name"].as_str().or(tool["function"]["name"].as_str());
        name.or(tool["custom"]["name"].as_str()).map(str::to_owned)
    });
    names.collect()
}
