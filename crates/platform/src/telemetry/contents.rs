//! What was asked and answered, as spans tell it where the config asks for it: messages by OpenTelemetry's conventions
//! for generative AI, within bounds.

use bytes::Bytes;
use quire_dialect::Dialect;
use quire_translate::{
    Block, CallInput, Delta, Event, Part, Reader, Role, Stop, Turn, decode_request, read_whole,
};
use serde_json::{Value, json};

/// A larger request is not told.
const ASKED_BYTES: usize = 1 << 20;
/// No more of an answer is heard.
const HEARD_BYTES: usize = 256 << 10;
/// Messages are told up to about so many bytes.
const TOLD_BYTES: usize = 32 << 10;
/// And of each text no more than so many.
const TEXT_BYTES: usize = 4 << 10;

/// What an upstream was asked and answers, in its own words.
#[derive(Debug)]
pub(super) struct Contents {
    dialect: Dialect,
    asked: Bytes,
    heard: Vec<u8>,
}

/// What is told of it: texts of JSON.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) input: Option<String>,
    /// How many of the oldest messages are not part of `input`.
    pub(super) left_out: usize,
    pub(super) output: Option<String>,
}

impl Contents {
    pub(super) fn new(dialect: Dialect, asked: &Bytes) -> Self {
        let small = asked.len() <= ASKED_BYTES;
        Self {
            dialect,
            asked: if small { asked.clone() } else { Bytes::new() },
            heard: Vec::new(),
        }
    }

    /// Something of the answer came.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let room = HEARD_BYTES.saturating_sub(self.heard.len());
        self.heard
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// It is over.
    pub(super) fn told(self) -> Told {
        let turns = decode_request(self.dialect, &self.asked).map(|request| request.turns);
        let (input, left_out) = turns.map_or((None, 0), |turns| {
            let (messages, left_out) = newest(&turns);
            (Some(messages), left_out)
        });
        Told {
            input,
            left_out,
            output: self.answer(),
        }
    }

    /// The answer as far as it was heard; none where nothing was.
    fn answer(&self) -> Option<String> {
        let mut answer = Spoken::default();
        let mut see = |event: Event| answer.see(event);
        if self.heard.trim_ascii_start().starts_with(b"{") {
            read_whole(self.dialect, &self.heard).ok()?.tell(&mut see);
        } else {
            Reader::new(self.dialect).push(&self.heard, &mut see);
        }
        if answer.parts.is_empty() {
            return None;
        }
        let parts = answer.parts.into_iter().take(TOLD_BYTES / TEXT_BYTES);
        let message = json!({
            "role": "assistant",
            "parts": parts.map(Growing::written).collect::<Vec<_>>(),
            // One that was not heard to its end broke off, or was too long.
            "finish_reason": answer.finish.unwrap_or("error"),
        });
        Some(json!([message]).to_string())
    }
}

/// The newest messages that have room, in their order, and how many have none. The newest is there in any case.
fn newest(turns: &[Turn]) -> (String, usize) {
    let mut messages = Vec::new();
    let mut bytes = 0;
    for turn in turns.iter().rev() {
        let message = message(turn);
        bytes += message.to_string().len();
        if bytes > TOLD_BYTES && !messages.is_empty() {
            break;
        }
        messages.push(message);
    }
    messages.reverse();
    let left_out = turns.len() - messages.len();
    (Value::from(messages).to_string(), left_out)
}

fn message(turn: &Turn) -> Value {
    let role = match turn.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut room = TOLD_BYTES;
    let mut parts = Vec::new();
    for each in &turn.parts {
        let part = part(each);
        let size = part.to_string().len();
        if size > room {
            break;
        }
        room -= size;
        parts.push(part);
    }
    json!({"role": role, "parts": parts})
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text { text, .. } | Part::Refusal { text, .. } => {
            json!({"type": "text", "content": cut(text)})
        }
        Part::Thinking { text, .. } => json!({"type": "reasoning", "content": cut(text)}),
        Part::Call {
            id, name, input, ..
        } => {
            let (CallInput::Json(input) | CallInput::Free(input)) = input;
            json!({"type": "tool_call", "id": id, "name": name, "arguments": cut(input)})
        }
        Part::Result { id, content, .. } => {
            let texts = content.iter().filter_map(|part| match part {
                Part::Text { text, .. } => Some(text.as_str()),
                Part::Refusal { .. }
                | Part::Image { .. }
                | Part::Document { .. }
                | Part::Thinking { .. }
                | Part::Call { .. }
                | Part::Result { .. }
                | Part::Compaction { .. }
                | Part::Other(_) => None,
            });
            let texts: Vec<_> = texts.collect();
            json!({"type": "tool_call_response", "id": id, "response": cut(&texts.join("\n"))})
        }
        Part::Compaction { text, .. } => {
            json!({"type": "compaction", "content": text.as_deref().map(cut)})
        }
        Part::Image { .. } => json!({"type": "image"}),
        Part::Document { .. } => json!({"type": "document"}),
        Part::Other(_) => json!({"type": "other"}),
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

/// An answer in the making.
#[derive(Default)]
struct Spoken {
    parts: Vec<Growing>,
    finish: Option<&'static str>,
}

/// A part of it, with what names it and the name of its text.
struct Growing {
    head: Value,
    text: (&'static str, String),
}

impl Growing {
    fn written(self) -> Value {
        let mut part = self.head;
        let (name, text) = self.text;
        part[name] = cut(&text).into();
        part
    }
}

impl Spoken {
    fn see(&mut self, event: Event) {
        match event {
            Event::Open(block) => {
                let (head, text) = match block {
                    Block::Text(_) | Block::Refusal(_) => (json!({"type": "text"}), "content"),
                    Block::Thinking(_) => (json!({"type": "reasoning"}), "content"),
                    Block::Call { id, name, .. } => {
                        let head = json!({"type": "tool_call", "id": cut(&id), "name": cut(&name)});
                        (head, "arguments")
                    }
                    Block::Compaction(_) => (json!({"type": "compaction"}), "content"),
                    Block::Other(_) => (json!({"type": "other"}), "content"),
                };
                let text = (text, String::new());
                self.parts.push(Growing { head, text });
            }
            Event::Grow(Delta::Text(more) | Delta::Input(more)) => {
                if let Some(part) = self.parts.last_mut() {
                    part.text.1.push_str(&more);
                }
            }
            Event::Finish(finish) => self.finish = Some(reason(&finish.stop)),
            Event::Begin(_) | Event::Grow(_) | Event::Close(_) | Event::Failed(_) | Event::Ping => {
            }
        }
    }
}

/// Why an answer ended, by the conventions.
fn reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::Tools => "tool_call",
        Stop::MaxTokens | Stop::WindowFull => "length",
        Stop::Refusal(_) | Stop::Filtered => "content_filter",
        Stop::End | Stop::Sequence(_) | Stop::Pause | Stop::Compaction | Stop::Other(_) => "stop",
    }
}
