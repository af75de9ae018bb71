//! The order of events that each API promises, checked.

use quire_dialect::{Dialect, sse};
use serde_json::Value;

use crate::answer::chat::validate::ChatRules;
use crate::answer::messages::validate::MessagesRules;
use crate::answer::responses::validate::ResponsesRules;

/// Checks a stream that one of our writers, or a server, made.
#[derive(Debug)]
pub struct Validator {
    parser: sse::Parser,
    rules: Rules,
    at: usize,
}

/// What is wrong with a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {at}: {what}")]
pub struct Fault {
    /// Which event, from 0.
    pub at: usize,
    /// What is wrong with it.
    pub what: String,
}

impl From<sse::TooLarge> for Fault {
    fn from(error: sse::TooLarge) -> Self {
        Self {
            at: 0,
            what: error.to_string(),
        }
    }
}

#[derive(Debug)]
enum Rules {
    Messages(MessagesRules),
    Responses(ResponsesRules),
    Chat(ChatRules),
}

/// What a rule says of an event that breaks it.
pub(crate) type Verdict = Result<(), String>;

/// Breaks a rule unless it holds.
macro_rules! must {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}
pub(crate) use must;

impl Validator {
    /// A validator at the start of a stream.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            parser: sse::Parser::new(),
            rules: match dialect {
                Dialect::Messages => Rules::Messages(MessagesRules::default()),
                Dialect::Responses => Rules::Responses(ResponsesRules::default()),
                Dialect::Chat => Rules::Chat(ChatRules::default()),
            },
            at: 0,
        }
    }

    /// One for a stream of Chat that must end with a chunk of usage; the other APIs always report it.
    #[must_use]
    pub fn expecting_usage(mut self) -> Self {
        if let Rules::Chat(rules) = &mut self.rules {
            rules.expects_usage = true;
        }
        self
    }

    /// Takes more bytes of server-sent events, in any chunking.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let (rules, at) = (&mut self.rules, &mut self.at);
        self.parser.push(bytes, &mut |frame| {
            let verdict = rules.event(frame);
            let fault = verdict.map_err(|what| Fault { at: *at, what });
            *at += 1;
            fault
        })
    }

    /// The stream has ended.
    pub fn finish(&mut self) -> Result<(), Fault> {
        let (rules, at) = (&mut self.rules, &mut self.at);
        self.parser.finish(&mut |frame| {
            let verdict = rules.event(frame);
            verdict.map_err(|what| Fault { at: *at, what })
        })?;
        let verdict = match rules {
            Rules::Messages(rules) => rules.finish(),
            Rules::Responses(rules) => rules.finish(),
            Rules::Chat(rules) => rules.finish(),
        };
        verdict.map_err(|what| Fault { at: *at, what })
    }
}

impl Rules {
    fn event(&mut self, frame: sse::Frame<'_>) -> Verdict {
        let name = String::from_utf8_lossy(frame.event);
        if frame.data == b"[DONE]" {
            return match self {
                Self::Messages(_) => Err("`[DONE]` is no event of this API".to_owned()),
                // Harmless there.
                Self::Responses(rules) => rules.finish(),
                Self::Chat(rules) => rules.done(),
            };
        }
        let data: Value = serde_json::from_slice(frame.data)
            .map_err(|error| format!("the data is no JSON: {error}"))?;
        must!(data.is_object(), "the data is no object");
        match self {
            Self::Messages(rules) => {
                named(&name, &data)?;
                rules.event(&name, &data)
            }
            Self::Responses(rules) => {
                named(&name, &data)?;
                rules.event(&name, &data)
            }
            Self::Chat(rules) => {
                must!(name.is_empty(), "it has a name, `{name}`");
                rules.event(&data)
            }
        }
    }
}

fn named(name: &str, data: &Value) -> Verdict {
    must!(
        data["type"] == name,
        "it is called `{name}`, and its type is {}",
        data["type"]
    );
    Ok(())
}

/// The text at a place that must hold one.
pub(crate) fn text_at<'a>(data: &'a Value, pointer: &str) -> Result<&'a str, String> {
    data.pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("`{pointer}` is no text"))
}

/// The number at a place that must hold one.
pub(crate) fn number_at(data: &Value, pointer: &str) -> Result<u64, String> {
    data.pointer(pointer)
        .and_then(Value::as_u64)
        .ok_or_else(|| format!("`{pointer}` is no number"))
}

/// The list at a place that must hold one.
pub(crate) fn list_at<'a>(data: &'a Value, pointer: &str) -> Result<&'a Vec<Value>, String> {
    data.pointer(pointer)
        .and_then(Value::as_array)
        .ok_or_else(|| format!("`{pointer}` is no list"))
}

/// The text of a JSON object that a call's input must be.
pub(crate) fn must_be_object(input: &str) -> Verdict {
    let is_object = serde_json::from_str::<Value>(input).is_ok_and(|value| value.is_object());
    must!(is_object, "a call's input is no JSON object: {input}");
    Ok(())
}
