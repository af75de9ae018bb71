//! What a model's side says, as real server-sent events, in the three dialects.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::{Value, json};

/// How the model's side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Anthropic Messages.
    Messages,
    /// OpenAI Responses.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
}

impl Dialect {
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "messages" => Self::Messages,
            "responses" => Self::Responses,
            "chat" => Self::Chat,
            _ => bail!("`{name}` is no dialect: messages, responses or chat"),
        })
    }
}

/// One answer of the model's side.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A call of the `bash` tool.
    Bash(String),
    /// A call of the `agent` tool, for an agent of this name.
    Agent(String),
    /// A text in pieces.
    Text(Vec<String>),
}

impl Reply {
    /// A text of `bytes` bytes in `pieces` pieces that differ.
    pub(crate) fn pieces(pieces: usize, bytes: usize) -> Self {
        let size = bytes / pieces;
        let piece = |index: usize| {
            let mut piece = format!("{index:x} ");
            while piece.len() < size {
                piece.push('x');
            }
            piece[piece.len() - size..].to_owned()
        };
        Self::Text((0..pieces).map(piece).collect())
    }
}

/// The body of an answer. `number` makes its ids; `prompt_bytes` makes its usage.
pub(crate) fn encode(
    dialect: Dialect,
    reply: &Reply,
    number: usize,
    prompt_bytes: usize,
) -> Vec<u8> {
    let mut events = Events {
        text: String::new(),
        named: dialect != Dialect::Chat,
    };
    match dialect {
        Dialect::Messages => messages(&mut events, reply, number, prompt_bytes / 4),
        Dialect::Responses => responses(&mut events, reply, number, prompt_bytes / 4),
        Dialect::Chat => chat(&mut events, reply, number, prompt_bytes / 4),
    }
    events.text.into_bytes()
}

struct Events {
    text: String,
    /// Whether each event's name, its `type`, stands before its data.
    named: bool,
}

impl Events {
    fn send(&mut self, data: &Value) {
        if let (true, Some(name)) = (self.named, data["type"].as_str()) {
            self.text.push_str("event: ");
            self.text.push_str(name);
            self.text.push('\n');
        }
        writeln!(self.text, "data: {data}\n").expect("a String takes everything");
    }
}

/// What a reply says on the wire.
enum Said<'a> {
    /// A call of this tool with these arguments.
    Call(&'static str, String),
    Text(&'a [String]),
}

impl Reply {
    fn said(&self) -> Said<'_> {
        match self {
            Self::Bash(command) => Said::Call("bash", json!({ "command": command }).to_string()),
            Self::Agent(name) => {
                let task = "Look around, and say what you see.";
                let task = json!({"name": name, "task": task, "access": "read"});
                Said::Call("agent", task.to_string())
            }
            Self::Text(pieces) => Said::Text(pieces),
        }
    }
}

fn messages(events: &mut Events, reply: &Reply, number: usize, tokens: usize) {
    events.send(&json!({"type": "message_start", "message": {
        "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": "bench",
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": tokens, "output_tokens": 1}}}));
    let said = reply.said();
    let block = match &said {
        Said::Call(tool, _) => json!({"type": "tool_use", "id": format!("toolu_{number}"),
            "name": tool, "input": {}}),
        Said::Text(_) => json!({"type": "text", "text": ""}),
    };
    events.send(&json!({"type": "content_block_start", "index": 0, "content_block": block}));
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let stop = match said {
        Said::Call(_, part) => {
            events.send(&delta(
                json!({"type": "input_json_delta", "partial_json": part}),
            ));
            "tool_use"
        }
        Said::Text(pieces) => {
            for text in pieces {
                events.send(&delta(json!({"type": "text_delta", "text": text})));
            }
            "end_turn"
        }
    };
    events.send(&json!({"type": "content_block_stop", "index": 0}));
    events.send(&json!({"type": "message_delta",
        "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 20}}));
    events.send(&json!({"type": "message_stop"}));
}

fn responses(events: &mut Events, reply: &Reply, number: usize, tokens: usize) {
    let id = format!("resp_{number}");
    let mut sequence = 0_u64;
    let mut send = |mut data: Value| {
        data["sequence_number"] = json!(sequence);
        sequence += 1;
        events.send(&data);
    };
    send(json!({"type": "response.created", "response":
        {"id": id, "object": "response", "model": "bench", "status": "in_progress", "output": []}}));
    let item_id = format!("item_{number}");
    let item = match reply.said() {
        Said::Call(tool, whole) => {
            let item = |arguments: String| {
                json!({"type": "function_call", "id": item_id,
                    "call_id": format!("call_{number}"), "name": tool, "arguments": arguments,
                    "status": "completed"})
            };
            send(
                json!({"type": "response.output_item.added", "output_index": 0,
                "item": item(String::new())}),
            );
            send(
                json!({"type": "response.function_call_arguments.delta", "item_id": item_id,
                "output_index": 0, "delta": whole}),
            );
            send(
                json!({"type": "response.function_call_arguments.done", "item_id": item_id,
                "output_index": 0, "arguments": whole}),
            );
            item(whole)
        }
        Said::Text(pieces) => {
            send(
                json!({"type": "response.output_item.added", "output_index": 0, "item":
                {"type": "message", "id": item_id, "role": "assistant", "status": "in_progress",
                 "content": []}}),
            );
            send(
                json!({"type": "response.content_part.added", "item_id": item_id,
                "output_index": 0, "content_index": 0,
                "part": {"type": "output_text", "text": "", "annotations": []}}),
            );
            for piece in pieces {
                send(
                    json!({"type": "response.output_text.delta", "item_id": item_id,
                    "output_index": 0, "content_index": 0, "delta": piece}),
                );
            }
            let text = pieces.concat();
            send(
                json!({"type": "response.output_text.done", "item_id": item_id,
                "output_index": 0, "content_index": 0, "text": text}),
            );
            json!({"type": "message", "id": item_id, "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}]})
        }
    };
    send(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
    send(
        json!({"type": "response.completed", "response": {"id": id, "object": "response",
        "model": "bench", "status": "completed", "output": [item], "usage": {
            "input_tokens": tokens, "output_tokens": 20, "total_tokens": tokens + 20,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0}}}}),
    );
}

fn chat(events: &mut Events, reply: &Reply, number: usize, tokens: usize) {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": format!("chatcmpl-{number}"), "object": "chat.completion.chunk",
            "created": 0, "model": "bench",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    events.send(&chunk(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    ));
    let finish = match reply.said() {
        Said::Call(tool, arguments) => {
            let call = json!({"index": 0, "id": format!("call_{number}"), "type": "function",
                "function": {"name": tool, "arguments": arguments}});
            events.send(&chunk(json!({"tool_calls": [call]}), Value::Null));
            "tool_calls"
        }
        Said::Text(pieces) => {
            for piece in pieces {
                events.send(&chunk(json!({"content": piece}), Value::Null));
            }
            "stop"
        }
    };
    events.send(&chunk(json!({}), json!(finish)));
    let mut last = chunk(json!({}), Value::Null);
    last["choices"] = json!([]);
    last["usage"] = json!({"prompt_tokens": tokens, "completion_tokens": 20,
        "total_tokens": tokens + 20});
    events.send(&last);
    events.text.push_str("data: [DONE]\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_differ() {
        let Reply::Text(pieces) = Reply::pieces(1000, 5000) else {
            panic!("not a text");
        };
        assert_eq!(pieces.concat().len(), 5000);
        assert_ne!(pieces[10], pieces[11]);
    }

    #[test]
    fn every_event_is_one_line_of_json() {
        let replies = [
            Reply::Bash("true".to_owned()),
            Reply::Agent("one".to_owned()),
            Reply::pieces(3, 30),
        ];
        for dialect in [Dialect::Messages, Dialect::Responses, Dialect::Chat] {
            for reply in &replies {
                let text = String::from_utf8(encode(dialect, reply, 1, 400)).unwrap();
                let data: Vec<&str> = text
                    .lines()
                    .filter_map(|line| line.strip_prefix("data: "))
                    .filter(|data| *data != "[DONE]")
                    .collect();
                assert!(data.len() >= 4, "{text}");
                for line in data {
                    assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
                }
            }
        }
    }
}
