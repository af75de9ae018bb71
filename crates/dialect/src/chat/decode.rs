//! Answers in the Chat Completions dialect, as many servers speak it: fields come late, twice or
//! never, and what counts is what can be understood of them.

use std::borrow::Cow;

use quire_protocol::{TokenStop, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Dialect;
use crate::chat::reasoning::Reasoning;
use crate::chat::usage::WireUsage;
use crate::decoder::{
    DecodeError, Decoded, Extra, Items, Text, error_member, lenient, owned, parse, text,
};
use crate::error::stream_error;
use crate::sink::Sink;
use crate::sse::Frame;
use crate::tools::TextTools;

/// Reads the chunks of one answer.
#[derive(Debug)]
pub(crate) struct ChatReader {
    text_tools: TextTools,
    model: String,
    extra: Extra,
    content: String,
    reasoning: Reasoning,
    refused: bool,
    calls: Vec<Call>,
    usage: Usage,
    counted: bool,
    finish: Option<String>,
    done: bool,
}

/// A call in the making.
#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// Large members stay raw until they are needed: most chunks are tiny.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow, alias = "message")]
    delta: Option<Message<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// A message, or what a chunk adds to it.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<WireCall<'a>>>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
}

impl ChatReader {
    pub(crate) fn new(text_tools: TextTools) -> Self {
        Self {
            text_tools,
            model: String::new(),
            extra: Extra::default(),
            content: String::new(),
            reasoning: Reasoning::default(),
            refused: false,
            calls: Vec::new(),
            usage: Usage::default(),
            counted: false,
            finish: None,
            done: false,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.done && self.is_whole()
    }

    /// The usage and `[DONE]` may still follow, or never; some servers give no reason to stop.
    pub(crate) fn is_whole(&self) -> bool {
        self.finish.is_some() || self.done && !(self.content.is_empty() && self.calls.is_empty())
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn extra(&self) -> &Extra {
        &self.extra
    }

    pub(crate) fn frame(
        &mut self,
        frame: Frame<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), DecodeError> {
        if frame.data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        self.chunk(frame.data, sink)
    }

    /// Reads a completion that came whole.
    pub(crate) fn whole(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        let mut unseen = Vec::new();
        self.chunk(body, &mut Sink::new(&mut unseen))?;
        if self.finish.is_none() && unseen.is_empty() {
            return Err(DecodeError::Malformed(
                "a completion without choices".into(),
            ));
        }
        Ok(())
    }

    fn chunk(&mut self, json: &[u8], sink: &mut Sink<'_>) -> Result<(), DecodeError> {
        let first: Result<Chunk<'_>, _> = parse("chunk", json);
        match first {
            Ok(chunk) => self.take(chunk, sink),
            Err(error) => {
                let Some(mended) = mend(json) else {
                    return Err(error);
                };
                self.take(parse("chunk", mended.as_bytes())?, sink)
            }
        }
    }

    fn take(&mut self, chunk: Chunk<'_>, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
        if let Some(raw) = chunk.error {
            let error = serde_json::from_str(raw.get()).unwrap_or_default();
            return Err(stream_error(Dialect::Chat, &error));
        }
        if self.model.is_empty() {
            self.model = owned(chunk.model.as_ref()).unwrap_or_default();
        }
        if self.extra.response_id.is_none() {
            self.extra.response_id = owned(chunk.id.as_ref());
        }
        if let Some(tier) = owned(chunk.service_tier.as_ref()) {
            self.extra.service_tier = Some(tier);
        }
        self.count(chunk.usage);
        for choice in chunk.choices.into_iter().flatten() {
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            self.count(choice.usage);
            if let Some(message) = choice.delta {
                self.message(message, sink);
            }
            if let Some(reason) = owned(choice.finish_reason.as_ref()) {
                self.finish = Some(reason);
            }
        }
        Ok(())
    }

    fn count(&mut self, usage: Option<&RawValue>) {
        if let Some(usage) = lenient::<WireUsage>(usage) {
            self.counted = usage.counts_all();
            self.usage = usage.usage();
        }
    }

    fn message(&mut self, message: Message<'_>, sink: &mut Sink<'_>) {
        let shown = self.reasoning.add(
            text(message.reasoning_content.as_ref()),
            text(message.reasoning.as_ref()),
            lenient(message.reasoning_details).unwrap_or_default(),
        );
        sink.thinking(&shown);
        if let Some(more) = &message.content {
            self.content.push_str(&more.0);
            sink.text(&more.0);
        }
        if let Some(more) = &message.refusal {
            self.refused |= !more.0.is_empty();
            self.content.push_str(&more.0);
            sink.text(&more.0);
        }
        for call in message.tool_calls.into_iter().flatten() {
            self.call(&call, sink);
        }
        if let Some(function) = lenient(message.function_call) {
            let call = WireCall {
                index: Some(0),
                id: None,
                function: Some(function),
            };
            self.call(&call, sink);
        }
    }

    fn call(&mut self, wire: &WireCall<'_>, sink: &mut Sink<'_>) {
        let at = self.find(wire).unwrap_or_else(|| {
            self.calls.push(Call {
                index: wire.index,
                id: String::new(),
                name: String::new(),
                arguments: String::new(),
            });
            self.calls.len() - 1
        });
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            text(wire.id.as_ref()).clone_into(&mut call.id);
        }
        if let Some(function) = &wire.function {
            if call.name.is_empty() {
                text(function.name.as_ref()).clone_into(&mut call.name);
            }
            call.arguments.push_str(text(function.arguments.as_ref()));
        }
        sink.writing(at as u64, &call.name, call.arguments.len());
    }

    /// The call that a fragment continues, if it does not begin one. An id of its own together
    /// with a name begins a call even under an index that is taken: some servers number all
    /// calls 0.
    fn find(&self, wire: &WireCall<'_>) -> Option<usize> {
        let id = text(wire.id.as_ref());
        let function = wire.function.as_ref();
        let is_named = !function.map_or("", |it| text(it.name.as_ref())).is_empty();
        let at = match wire.index {
            Some(_) => self.calls.iter().rposition(|call| call.index == wire.index),
            None if !id.is_empty() => self.calls.iter().rposition(|call| call.id == id),
            None if is_named => None,
            None => self.calls.len().checked_sub(1),
        }?;
        let known = &self.calls[at].id;
        let begins = is_named && !id.is_empty() && !known.is_empty() && known != id;
        (!begins).then_some(at)
    }

    pub(crate) fn finish(self) -> Result<Decoded, DecodeError> {
        let mut items = Items::new(Dialect::Chat, &self.text_tools);
        let (shown, json) = self.reasoning.settle();
        items.thinking(shown, json);
        items.assistant(self.content, None);
        for call in self.calls {
            items.function(call.id, call.name, call.arguments);
        }
        let stop = match self.finish.as_deref() {
            Some("length" | "max_tokens" | "model_length") => TokenStop::MaxTokens,
            Some("content_filter") => TokenStop::Refusal,
            Some("error") => {
                return Err(stream_error(Dialect::Chat, &Value::Null));
            }
            _ if items.has_calls() => TokenStop::ToolUse,
            _ if self.refused => TokenStop::Refusal,
            _ => TokenStop::EndTurn,
        };
        Ok(Decoded {
            model: self.model,
            items: items.into_list(),
            stop,
            usage: self.usage,
            passes: vec![self.usage],
            counted: self.counted,
            extra: self.extra,
        })
    }
}

/// A chunk whose content comes in parts, or whose arguments come as an object, in the common form.
/// Absent when it is no JSON object.
fn mend(json: &[u8]) -> Option<String> {
    if let Some(error) = error_member(json) {
        return Some(serde_json::json!({ "error": error }).to_string());
    }
    let mut chunk: Map<String, Value> = serde_json::from_slice(json).ok()?;
    let choices = chunk.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten() {
        for key in ["delta", "message"] {
            if let Some(message) = choice.get_mut(key).and_then(Value::as_object_mut) {
                mend_message(message);
            }
        }
    }
    Some(Value::Object(chunk).to_string())
}

fn mend_message(message: &mut Map<String, Value>) {
    if let Some(Value::Array(parts)) = message.get("content") {
        let words: Vec<Cow<'_, str>> = parts
            .iter()
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .map(Cow::Borrowed)
            .collect();
        message.insert("content".into(), Value::String(words.concat()));
    }
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        if let Some(arguments) = call.pointer_mut("/function/arguments")
            && !arguments.is_string()
            && !arguments.is_null()
        {
            *arguments = Value::String(arguments.to_string());
        }
    }
}
