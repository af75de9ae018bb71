//! Messages' events and whole messages, as events of ours.

use std::collections::HashMap;

use quire_dialect::Dialect;
use quire_dialect::sse::Frame;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::error::{cut, malformed, no_answer, read_stream_error};
use crate::answer::line::Line;
use crate::answer::stop;
use crate::answer::usage;
use crate::answer::wire::{Raw, drop_keys, known, object, owned, take_text, text, within};
use crate::answer::{Begin, Block, Delta, Event, Finish, Stop};
use crate::refusal::Refusal;
use crate::request::Own;

type Out<'a> = &'a mut dyn FnMut(Event);

/// Reads the events of one message.
#[derive(Debug)]
pub(crate) struct MessagesReader {
    begun: bool,
    pub(crate) ended: bool,
    usage: Own,
    /// Whether the answer's own tokens were reported at its end.
    counted: bool,
    stop: Option<Stop>,
    /// What is known only at the end.
    own: Own,
    line: Line<u64>,
    open: HashMap<u64, Growing>,
}

/// What a reader must remember of an open block.
#[derive(Debug)]
enum Growing {
    Text,
    Thinking,
    Call,
    Compaction(Own),
    /// The block so far, and the JSON text of its input; whether anything was added to it.
    Other(Value, String, bool),
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Raw<'a>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    delta: Raw<'a>,
    #[serde(borrow, default)]
    content_block: Raw<'a>,
    #[serde(borrow, default)]
    message: Raw<'a>,
    #[serde(borrow, default)]
    usage: Raw<'a>,
    #[serde(borrow, default)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
struct WireDelta<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Raw<'a>,
    #[serde(borrow, default)]
    text: Raw<'a>,
    #[serde(borrow, default)]
    thinking: Raw<'a>,
    #[serde(borrow, default)]
    signature: Raw<'a>,
    #[serde(borrow, default)]
    partial_json: Raw<'a>,
    #[serde(borrow, default)]
    citation: Raw<'a>,
}

/// Members of a message or a block that stay as they are written.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow, default)]
    content: Raw<'a>,
    #[serde(borrow, default)]
    input: Raw<'a>,
}

impl MessagesReader {
    pub(crate) fn new() -> Self {
        Self {
            begun: false,
            ended: false,
            usage: Own::new(),
            counted: false,
            stop: None,
            own: Own::new(),
            line: Line::new(),
            open: HashMap::new(),
        }
    }

    pub(crate) fn frame(&mut self, frame: Frame<'_>, out: Out<'_>) {
        let Some(wire) = object::<Wire<'_>>(frame.data) else {
            return self.odd(frame, out);
        };
        let kind = text(wire.kind);
        match kind.as_deref().map_or(frame.event, str::as_bytes) {
            b"content_block_delta" => {
                self.begin(None, out);
                if let (Some(index), Some(raw)) = (wire.index, wire.delta) {
                    self.grow(index, Some(raw), out);
                }
            }
            b"content_block_start" => {
                self.begin(None, out);
                if let (Some(index), Some(block)) = (wire.index, wire.content_block) {
                    self.start(index, Some(block), out);
                }
            }
            b"content_block_stop" => {
                if let Some(index) = wire.index {
                    self.close(index, out);
                }
            }
            b"message_start" => self.begin(wire.message, out),
            b"message_delta" => self.message_delta(frame.data, &wire),
            b"message_stop" => self.end(out),
            b"error" => {
                let error = known(wire.error).unwrap_or_default();
                self.fail(read_stream_error(&error), out);
            }
            b"ping" if self.begun => out(Event::Ping),
            _ => {}
        }
    }

    /// An event that is no object is an error only if it is one that matters.
    fn odd(&mut self, frame: Frame<'_>, out: Out<'_>) {
        match frame.event {
            b"error" => {
                let words = String::from_utf8_lossy(frame.data).into_owned();
                self.fail(read_stream_error(&Value::String(words)), out);
            }
            b""
            | b"message_start"
            | b"content_block_start"
            | b"content_block_delta"
            | b"message_delta"
                if frame.data.trim_ascii() != b"[DONE]" =>
            {
                self.fail(
                    malformed(Dialect::Messages, "an event is no JSON object"),
                    out,
                );
            }
            _ => {}
        }
    }

    /// Reads a message that came whole.
    pub(crate) fn whole(&mut self, body: &[u8], out: Out<'_>) {
        let Some(message) = object::<Own>(body) else {
            let refusal = no_answer(Dialect::Messages, "it is no JSON object", body);
            return self.fail(refusal, out);
        };
        match message.get("error") {
            None | Some(Value::Null) => {}
            Some(error) => return self.fail(read_stream_error(error), out),
        }
        if !message.get("content").is_some_and(Value::is_array) {
            let refusal = no_answer(Dialect::Messages, "a message without content", body);
            return self.fail(refusal, out);
        }
        let raw: Raw<'_> = serde_json::from_slice(body).ok();
        self.begin(raw, out);
        self.counted = message
            .get("usage")
            .is_some_and(|usage| usage.get("output_tokens").is_some_and(Value::is_u64));
        // A whole message without a reason to stop is still whole.
        self.stop.get_or_insert(Stop::End);
        self.end(out);
    }

    /// The message as its start, or a whole body, shows it.
    fn begin(&mut self, message: Raw<'_>, out: Out<'_>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let mut own: Own = within(message).unwrap_or_default();
        let id = take_text(&mut own, "id").unwrap_or_default();
        let model = take_text(&mut own, "model").unwrap_or_default();
        let counts = own.shift_remove("usage");
        let is_whole = own.get("stop_reason").is_some_and(Value::is_string);
        self.stopped(&mut own);
        drop_keys(&mut own, &["type", "role", "content"]);
        let mut tally = crate::answer::Tally::default();
        if let Some(Value::Object(counts)) = counts {
            usage::overwrite(&mut self.usage, counts);
            if !is_whole {
                tally = usage::read(Dialect::Messages, &self.usage);
                tally.counted = false;
            }
        }
        out(Event::Begin(Begin {
            id,
            model,
            tally,
            own,
        }));
        let content: Option<Parts<'_>> = within(message);
        let blocks: Vec<&serde_json::value::RawValue> =
            known(content.and_then(|it| it.content)).unwrap_or_default();
        for (index, block) in (0..).zip(blocks) {
            self.start(index, Some(block), out);
            self.close(index, out);
        }
    }

    /// Takes a reason to stop, and what belongs to it, out of an object.
    fn stopped(&mut self, own: &mut Own) {
        let sequence = take_text(own, "stop_sequence");
        let details = own.shift_remove("stop_details").filter(|it| !it.is_null());
        if let Some(reason) = take_text(own, "stop_reason") {
            self.stop = Some(stop::read_messages(&reason, sequence, details));
        }
    }

    fn message_delta(&mut self, data: &[u8], wire: &Wire<'_>) {
        if let Some(counts) = within::<Own>(wire.usage) {
            self.counted |= counts.get("output_tokens").is_some_and(Value::is_u64);
            usage::overwrite(&mut self.usage, counts);
        }
        let mut delta: Own = within(wire.delta).unwrap_or_default();
        self.stopped(&mut delta);
        let mut beside: Own = object(data).unwrap_or_default();
        drop_keys(&mut beside, &["type", "delta", "usage"]);
        for (key, value) in delta.into_iter().chain(beside) {
            if !value.is_null() {
                self.own.insert(key, value);
            }
        }
    }

    fn start(&mut self, index: u64, raw: Raw<'_>, out: Out<'_>) {
        let Some(mut own) = within::<Own>(raw) else {
            return self.fail(malformed(Dialect::Messages, "a block is no object"), out);
        };
        let kind = own.get("type").and_then(Value::as_str).unwrap_or_default();
        let mut first = Vec::new();
        let (growing, block) = match kind {
            "text" => {
                first.extend(take_text(&mut own, "text").map(Delta::Text));
                if let Some(Value::Array(notes)) = own.get_mut("citations") {
                    first.extend(std::mem::take(notes).into_iter().map(Delta::Note));
                }
                drop_keys(&mut own, &["type", "text"]);
                (Growing::Text, Block::Text(own))
            }
            "thinking" => {
                first.extend(take_text(&mut own, "thinking").map(Delta::Text));
                first.extend(take_text(&mut own, "signature").map(Delta::Seal));
                drop_keys(&mut own, &["type", "thinking", "signature"]);
                (Growing::Thinking, Block::Thinking(own))
            }
            "redacted_thinking" => {
                first.extend(take_text(&mut own, "data").map(Delta::Seal));
                (Growing::Thinking, Block::Thinking(own))
            }
            "tool_use" => {
                let input = within::<Parts<'_>>(raw).and_then(|it| it.input);
                let input = input.map_or("{}", |raw| raw.get());
                if input != "{}" && input != "null" {
                    first.push(Delta::Input(input.to_owned()));
                }
                (Growing::Call, call(own))
            }
            "compaction" => {
                first.extend(take_text(&mut own, "content").map(Delta::Text));
                first.extend(take_text(&mut own, "encrypted_content").map(Delta::Seal));
                drop_keys(&mut own, &["type"]);
                (Growing::Compaction(Own::new()), Block::Compaction(own))
            }
            _ => {
                let whole = Value::Object(own);
                let other = Growing::Other(whole.clone(), String::new(), false);
                (other, Block::Other(whole))
            }
        };
        self.add(index, growing, block, out);
        for delta in first {
            self.line.grow(&index, delta, out);
        }
    }

    fn add(&mut self, index: u64, growing: Growing, block: Block, out: Out<'_>) {
        self.close(index, out);
        self.open.insert(index, growing);
        self.line.open(index, block, out);
    }

    fn grow(&mut self, index: u64, raw: Raw<'_>, out: Out<'_>) {
        let Some(delta) = within::<WireDelta<'_>>(raw) else {
            return self.fail(malformed(Dialect::Messages, "a delta is no object"), out);
        };
        let kind = text(delta.kind).unwrap_or_default();
        if !self.open.contains_key(&index) {
            // Some servers leave the start out.
            match kind.as_ref() {
                "text_delta" => self.add(index, Growing::Text, Block::Text(Own::new()), out),
                "thinking_delta" | "signature_delta" => {
                    self.add(index, Growing::Thinking, Block::Thinking(Own::new()), out);
                }
                _ => return,
            }
        }
        let Some(open) = self.open.get_mut(&index) else {
            return;
        };
        let told = match (open, kind.as_ref()) {
            (Growing::Text, "text_delta") => owned(delta.text).map(Delta::Text),
            (Growing::Text, "citations_delta") => known(delta.citation).map(Delta::Note),
            (Growing::Thinking, "thinking_delta") => owned(delta.thinking).map(Delta::Text),
            (Growing::Thinking, "signature_delta") => owned(delta.signature).map(Delta::Seal),
            (Growing::Call, "input_json_delta") => owned(delta.partial_json).map(Delta::Input),
            (Growing::Compaction(own), _) => {
                let more: Own = within(raw).unwrap_or_default();
                for delta in compaction(own, more) {
                    self.line.grow(&index, delta, out);
                }
                None
            }
            (Growing::Other(whole, input, grew), kind) => {
                let more: Own = within(raw).unwrap_or_default();
                *grew = true;
                change(whole, input, kind, &more);
                Some(Delta::Other(Value::Object(more)))
            }
            (Growing::Text | Growing::Thinking | Growing::Call, _) => known(raw).map(Delta::Other),
        };
        if let Some(delta) = told {
            self.line.grow(&index, delta, out);
        }
    }

    fn close(&mut self, index: u64, out: Out<'_>) {
        let own = match self.open.remove(&index) {
            None => return,
            Some(Growing::Compaction(own)) => own,
            Some(Growing::Other(mut whole, input, true)) => {
                if let (Ok(input), Value::Object(block)) =
                    (serde_json::from_str::<Value>(&input), &mut whole)
                {
                    block.insert("input".into(), input);
                }
                Own::from_iter([("whole".to_owned(), whole)])
            }
            Some(Growing::Text | Growing::Thinking | Growing::Call | Growing::Other(..)) => {
                Own::new()
            }
        };
        self.line.close(&index, own, out);
    }

    fn close_all(&mut self, out: Out<'_>) {
        let mut open: Vec<u64> = self.open.keys().copied().collect();
        open.sort_unstable();
        for index in open {
            self.close(index, out);
        }
    }

    fn end(&mut self, out: Out<'_>) {
        if self.ended {
            return;
        }
        self.begin(None, out);
        self.close_all(out);
        let mut tally = usage::read(Dialect::Messages, &self.usage);
        tally.counted &= self.counted;
        self.ended = true;
        out(Event::Finish(Finish {
            stop: self.stop.take().unwrap_or(Stop::End),
            tally,
            own: std::mem::take(&mut self.own),
        }));
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, out: Out<'_>) {
        if self.stop.is_some() {
            self.end(out);
        } else {
            self.fail(cut(), out);
        }
    }

    pub(crate) fn fail(&mut self, refusal: Refusal, out: Out<'_>) {
        if !std::mem::replace(&mut self.ended, true) {
            out(Event::Failed(refusal));
        }
    }
}

fn call(mut own: Own) -> Block {
    let id = take_text(&mut own, "id").unwrap_or_default();
    let name = take_text(&mut own, "name").unwrap_or_default();
    drop_keys(&mut own, &["type", "input"]);
    Block::Call {
        id,
        name,
        free: false,
        own,
    }
}

/// What a delta of a compaction tells, and what is kept for its end. Each member is whole.
fn compaction(own: &mut Own, mut delta: Own) -> Vec<Delta> {
    let content = take_text(&mut delta, "content").map(Delta::Text);
    let seal = take_text(&mut delta, "encrypted_content").map(Delta::Seal);
    drop_keys(&mut delta, &["type", "content", "encrypted_content"]);
    own.extend(delta.into_iter().filter(|(_, value)| !value.is_null()));
    content.into_iter().chain(seal).collect()
}

/// Applies a delta to a block of unknown kind: text and input grow, the rest is assigned.
fn change(whole: &mut Value, input: &mut String, kind: &str, delta: &Own) {
    let Value::Object(block) = whole else { return };
    for (key, value) in delta {
        match (key.as_str(), value) {
            ("type", _) => {}
            ("partial_json", Value::String(more)) => input.push_str(more),
            ("text", Value::String(more)) if kind == "text_delta" => match block.get_mut("text") {
                Some(Value::String(text)) => text.push_str(more),
                _ => {
                    block.insert(key.clone(), value.clone());
                }
            },
            _ => {
                block.insert(key.clone(), value.clone());
            }
        }
    }
}
