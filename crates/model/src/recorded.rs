//! A model that plays a recording: JSON Lines, one reply a line,
//! `{"conversation": "…", "blocks": [{"type": "text", "text": "…"}, …], "stop": "…"}`.
//!
//! Which reply is next is read off the transcript, so a resumed session goes on where it was. All
//! lines are one conversation, in file order.

use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use quire_protocol::{
    CallId, Content, Delta, Item, Model, ModelErrorKind, ModelEvent, ModelRequest, Money, Prefix,
    Reply, TokenStop, ToolCall, ToolInput, Transcript, Usage,
};
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{failed, model_error};
use crate::flow::{Outlet, flow, only};

/// A recording that cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the recording: {reason}")]
pub struct RecordingError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Characters in one fragment.
    pub characters: usize,
    /// The wait before each fragment.
    pub wait: Duration,
}

/// A recording, ready to play.
#[derive(Clone, Debug)]
pub struct Recorded {
    replies: Arc<Vec<Line>>,
    pace: Option<Pace>,
}

#[derive(Clone, Debug, Deserialize)]
struct Line {
    blocks: Vec<Block>,
    #[serde(default)]
    stop: Option<Stop>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    Thinking {
        #[serde(alias = "thinking")]
        text: String,
    },
    #[serde(alias = "tool_use")]
    Call {
        name: String,
        input: Value,
    },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stop {
    #[serde(alias = "stop", alias = "completed", alias = "stop_sequence")]
    EndTurn,
    #[serde(alias = "tool_calls")]
    ToolUse,
    #[serde(alias = "length", alias = "incomplete")]
    MaxTokens,
    #[serde(alias = "content_filter")]
    Refusal,
    PauseTurn,
}

impl From<Stop> for TokenStop {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::EndTurn => Self::EndTurn,
            Stop::ToolUse => Self::ToolUse,
            Stop::MaxTokens => Self::MaxTokens,
            Stop::Refusal => Self::Refusal,
            Stop::PauseTurn => Self::Pause,
        }
    }
}

impl Recorded {
    /// Reads a recording. Empty lines are skipped.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut replies = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let error = |reason: String| RecordingError {
                line: at + 1,
                reason,
            };
            let reply: Line = serde_json::from_str(line).map_err(|e| error(e.to_string()))?;
            if reply.blocks.is_empty() {
                return Err(error("a reply needs at least one block".to_owned()));
            }
            replies.push(reply);
        }
        if replies.is_empty() {
            return Err(RecordingError {
                line: 1,
                reason: "there is no reply in it".to_owned(),
            });
        }
        Ok(Self {
            replies: Arc::new(replies),
            pace: None,
        })
    }

    /// Plays it slowly, for a person to watch.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// How many replies it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether it has no reply, which a parsed one never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }
}

impl Model for Recorded {
    fn respond(&self, request: ModelRequest) -> BoxStream<'static, ModelEvent> {
        let at = replies_in(&request.transcript);
        let Some(line) = self.replies.get(at) else {
            return only(failed(model_error(
                ModelErrorKind::BadRequest,
                format!("the recording ends after {} replies", self.replies.len()),
                "Play it with the task it was recorded for, or use a real model.",
            )));
        };
        let reply = line.reply(&request, at);
        let pace = self.pace;
        drop(request);
        flow(move |outlet| async move {
            show(&reply.items, pace, &outlet).await;
            ModelEvent::Finished(reply)
        })
    }
}

impl Line {
    fn reply(&self, request: &ModelRequest, at: usize) -> Reply {
        let mut calls = 0;
        let mut items = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            items.push(match block {
                Block::Text { text } => Item::Assistant {
                    text: text.clone(),
                    opaque: None,
                },
                Block::Thinking { text } => Item::Thinking {
                    text: text.clone(),
                    opaque: None,
                },
                Block::Call { name, input } => {
                    calls += 1;
                    Item::ToolCall(ToolCall {
                        call: CallId(calls),
                        provider_id: format!("recorded_{at}_{calls}"),
                        name: name.clone(),
                        arguments: arguments(&request.prefix, name, input),
                    })
                }
            });
        }
        let plain = if calls > 0 {
            TokenStop::ToolUse
        } else {
            TokenStop::EndTurn
        };
        Reply {
            model: "recorded".to_owned(),
            stop: self.stop.map_or(plain, TokenStop::from),
            usage: estimate(request, &items),
            cost: Some(Money::ZERO),
            retries: Vec::new(),
            items,
        }
    }
}

/// Arguments as the model would have written them for this tool.
fn arguments(prefix: &Prefix, tool: &str, input: &Value) -> String {
    let spec = prefix.tools.iter().find(|spec| spec.name == tool);
    let free = spec.is_some_and(|spec| matches!(spec.input, ToolInput::Text { .. }));
    let text = match input {
        Value::Object(fields) if free => fields.get("input").and_then(Value::as_str),
        other => other.as_str(),
    };
    text.map_or_else(|| input.to_string(), str::to_owned)
}

/// How many replies a transcript holds: runs of items that a model made.
fn replies_in(transcript: &Transcript) -> usize {
    let mut count = 0;
    let mut before = false;
    for item in transcript.items() {
        let made = by_model(item);
        if made && !before {
            count += 1;
        }
        before = made;
    }
    count
}

fn by_model(item: &Item) -> bool {
    match item {
        Item::Assistant { .. }
        | Item::Thinking { .. }
        | Item::ToolCall(_)
        | Item::Foreign { .. } => true,
        Item::User { .. }
        | Item::Notice { .. }
        | Item::Ledger { .. }
        | Item::Summary { .. }
        | Item::ToolResult { .. } => false,
    }
}

async fn show(items: &[Item], pace: Option<Pace>, outlet: &Outlet) {
    let size = pace.map_or(usize::MAX, |pace| pace.characters.max(1));
    for item in items {
        let mut shown = 0;
        for piece in pieces(text_of(item), size) {
            if let Some(pace) = pace {
                tokio::time::sleep(pace.wait).await;
            }
            shown += piece.len();
            outlet.send(fragment(item, piece, shown)).await;
        }
    }
}

fn text_of(item: &Item) -> &str {
    match item {
        Item::Assistant { text, .. } | Item::Thinking { text, .. } => text,
        Item::ToolCall(call) => &call.arguments,
        _ => "",
    }
}

fn fragment(item: &Item, piece: &str, shown: usize) -> Option<Delta> {
    match item {
        Item::Assistant { .. } => Some(Delta::Text { text: piece.into() }),
        Item::Thinking { .. } => Some(Delta::Thinking { text: piece.into() }),
        Item::ToolCall(call) => Some(Delta::CallWriting {
            name: call.name.clone(),
            bytes: shown as u64,
        }),
        _ => None,
    }
}

/// Cuts text after every `size` characters.
fn pieces(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .char_indices()
            .nth(size)
            .map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// About four bytes a token.
fn estimate(request: &ModelRequest, reply: &[Item]) -> Usage {
    let tools: usize = request
        .prefix
        .tools
        .iter()
        .map(|tool| tool.description.len())
        .sum();
    let context: usize = request
        .transcript
        .items()
        .iter()
        .map(|item| size(item))
        .sum();
    let output: usize = reply.iter().map(size).sum();
    let tokens = |bytes: usize| (bytes as u64).div_ceil(4);
    Usage {
        input: tokens(request.prefix.instructions.len() + tools + context),
        output: tokens(output),
        ..Usage::default()
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::User { content, .. } | Item::ToolResult { content, .. } => content
            .iter()
            .map(|piece| match piece {
                Content::Text { text } => text.len(),
                Content::Image { .. } => 6_000,
            })
            .sum(),
        Item::Notice { text }
        | Item::Ledger { text }
        | Item::Summary { text, .. }
        | Item::Assistant { text, .. }
        | Item::Thinking { text, .. } => text.len(),
        Item::ToolCall(call) => call.name.len() + call.arguments.len(),
        Item::Foreign { opaque } => opaque.json.len(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use futures_util::StreamExt as _;
    use quire_protocol::{Effort, MessageId, Purpose, RequestId, SessionId, ToolSpec, ToolStatus};

    use super::*;

    const RECORDING: &str = include_str!("../tests/recordings/fix.jsonl");

    fn request(items: Vec<Item>) -> ModelRequest {
        let patch = ToolSpec {
            name: "apply_patch".into(),
            description: "Patches.".into(),
            input: ToolInput::Text {
                grammar: String::new(),
            },
        };
        ModelRequest {
            session: SessionId::new("s"),
            request: RequestId(1),
            model: "recorded/demo".into(),
            prefix: Arc::new(Prefix {
                instructions: "Be brief.".into(),
                tools: vec![patch],
                ..Prefix::default()
            }),
            transcript: items.into_iter().collect(),
            effort: Effort::High,
            output_schema: None,
            purpose: Purpose::Work,
            provider_compaction: None,
            region: None,
        }
    }

    fn user() -> Item {
        Item::User {
            message: MessageId::new("m"),
            content: vec![Content::text("Fix it.")],
        }
    }

    fn result(call: u32) -> Item {
        Item::ToolResult {
            call: CallId(call),
            status: ToolStatus::Done,
            content: vec![Content::text("ok")],
        }
    }

    async fn last(model: &Recorded, items: Vec<Item>) -> ModelEvent {
        let events: Vec<ModelEvent> = model.respond(request(items)).collect().await;
        events.into_iter().next_back().unwrap()
    }

    #[tokio::test]
    async fn plays_by_the_transcript() {
        let model = Recorded::parse(RECORDING).unwrap();
        assert_eq!(model.len(), 3);
        let mut items = vec![user()];
        let mut calls = 0;
        loop {
            let ModelEvent::Finished(reply) = last(&model, items.clone()).await else {
                panic!("no answer");
            };
            let made = reply.items.clone();
            items.extend(reply.items);
            if reply.stop == TokenStop::EndTurn {
                break;
            }
            for item in made {
                if let Item::ToolCall(call) = item {
                    calls += 1;
                    items.push(result(call.call.0));
                }
            }
        }
        assert_eq!(calls, 3);
        items.push(user());
        let ModelEvent::Failed(failure) = last(&model, items).await else {
            panic!("there is no fourth reply");
        };
        assert_eq!(failure.error.message, "the recording ends after 3 replies");
    }

    #[tokio::test]
    async fn free_text_tools_get_free_text() {
        let model = Recorded::parse(RECORDING).unwrap();
        let items = vec![
            user(),
            Item::Thinking {
                text: String::new(),
                opaque: None,
            },
            result(1),
        ];
        let ModelEvent::Finished(reply) = last(&model, items).await else {
            panic!("no answer");
        };
        let arguments: Vec<_> = reply
            .items
            .iter()
            .filter_map(|item| match item {
                Item::ToolCall(call) => Some(call.arguments.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(
            arguments,
            [
                "*** Begin Patch\n*** End Patch\n",
                "{\"command\":\"cargo test\"}"
            ]
        );
    }

    #[tokio::test]
    async fn live_fragments_add_up() {
        let model = Recorded::parse("{\"blocks\":[{\"type\":\"text\",\"text\":\"grüße\"}]}")
            .unwrap()
            .paced(Pace {
                characters: 2,
                wait: Duration::ZERO,
            });
        let events: Vec<ModelEvent> = model.respond(request(vec![user()])).collect().await;
        let texts: Vec<String> = events
            .iter()
            .filter_map(|event| match event {
                ModelEvent::Delta(Delta::Text { text }) => Some(text.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["gr", "üß", "e"]);
    }

    fn check_error(text: &str, expected: &Expect) {
        expected.assert_eq(&Recorded::parse(text).unwrap_err().to_string());
    }

    #[test]
    fn errors_name_the_line() {
        let good = "{\"blocks\":[{\"type\":\"text\",\"text\":\"a\"}],\"stop\":null}\n\n";
        check_error(
            "",
            &expect!["line 1 of the recording: there is no reply in it"],
        );
        check_error(
            &format!("{good}nonsense"),
            &expect!["line 3 of the recording: expected ident at line 1 column 2"],
        );
        check_error(
            &format!("{good}{{\"blocks\":[]}}"),
            &expect!["line 3 of the recording: a reply needs at least one block"],
        );
        check_error(
            &format!("{good}{{\"blocks\":[{{\"type\":\"song\"}}]}}"),
            &expect![
                "line 3 of the recording: unknown variant `song`, expected one of `text`, `thinking`, `call`, `tool_use` at line 1 column 25"
            ],
        );
        check_error(
            "{\"blocks\":[{\"type\":\"text\",\"text\":\"\"}],\"stop\":\"tired\"}",
            &expect![
                "line 1 of the recording: unknown variant `tired`, expected one of `completed`, `end_turn`, `stop`, `stop_sequence`, `tool_calls`, `tool_use`, `incomplete`, `length`, `max_tokens`, `content_filter`, `refusal`, `pause_turn` at line 1 column 52"
            ],
        );
    }
}
