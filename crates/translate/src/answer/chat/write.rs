//! Events of ours as chunks of Chat and whole completions.

use quire_dialect::Dialect;
use serde_json::{Value, json};

use crate::answer::call::OpenCall;
use crate::answer::error::openai;
use crate::answer::stop::{self, Held};
use crate::answer::usage;
use crate::answer::wire::{extend, own, value};
use crate::answer::{
    Answer, Begin, Block, Delta, Event, Finish, Frame, Tally, UsageChunk, note, sealed,
};
use crate::request::{Own, Part};

type Emit<'a> = &'a mut dyn FnMut(&str, &[u8]);

/// Writes the chunks of one completion.
#[derive(Debug, Default)]
pub(crate) struct ChatWriter {
    /// What every chunk begins with, as JSON text without its end.
    head: Vec<u8>,
    /// The number of the next call.
    calls: u64,
    /// The number of the next proof of thinking: clients join those of one number.
    proofs: usize,
    open: Option<Open>,
    held: Held,
    json: Vec<u8>,
}

/// The open block.
#[derive(Debug)]
enum Open {
    Text,
    Refusal,
    Thinking {
        own: Own,
        seal: Option<String>,
    },
    Call(OpenCall),
    /// One that this API has no words for.
    Skipped,
}

impl ChatWriter {
    pub(crate) fn event(&mut self, frame: &Frame, event: &Event, emit: Emit<'_>) {
        match event {
            Event::Begin(begin) => {
                let mut head = Value::Object(head(frame, begin, "chat.completion.chunk"));
                if frame.usage == UsageChunk::Sent {
                    // In its place in every chunk but the last.
                    head["usage"] = Value::Null;
                }
                self.head = head.to_string().into_bytes();
                self.head.pop();
                self.delta(&json!({ "role": "assistant", "content": "" }), emit);
            }
            Event::Open(block) => self.open(frame, block, emit),
            Event::Grow(delta) => self.grow(frame, delta, emit),
            Event::Close(_) => self.close(frame, emit),
            Event::Finish(finish) => self.finish(frame, finish, emit),
            Event::Failed(refusal) => {
                let error = json!({ "error": openai(refusal) }).to_string();
                emit("", error.as_bytes());
            }
            Event::Ping => {}
        }
    }

    /// Gives a chunk with one choice, whose members are JSON text.
    fn chunk(&mut self, delta: &[u8], finish: &[u8], emit: Emit<'_>) {
        self.json.clear();
        self.json.extend_from_slice(&self.head);
        self.json
            .extend_from_slice(br#","choices":[{"index":0,"delta":"#);
        self.json.extend_from_slice(delta);
        self.json
            .extend_from_slice(br#","logprobs":null,"finish_reason":"#);
        self.json.extend_from_slice(finish);
        self.json.extend_from_slice(b"}]}");
        emit("", &self.json);
    }

    fn delta(&mut self, delta: &Value, emit: Emit<'_>) {
        self.chunk(delta.to_string().as_bytes(), b"null", emit);
    }

    fn words(&mut self, key: &str, words: &str, emit: Emit<'_>) {
        if words.is_empty() {
            return;
        }
        let mut delta = format!("{{\"{key}\":").into_bytes();
        value(&mut delta, words);
        delta.push(b'}');
        self.chunk(&delta, b"null", emit);
    }

    fn open(&mut self, frame: &Frame, block: &Block, emit: Emit<'_>) {
        let open = match block {
            Block::Text(_) => Open::Text,
            Block::Refusal(_) => {
                self.held.refusal = true;
                Open::Refusal
            }
            Block::Thinking(own) => Open::Thinking {
                own: own.clone(),
                seal: None,
            },
            Block::Call { id, name, free, .. } => {
                self.held.calls = true;
                let call = OpenCall::new(Dialect::Chat, frame, id, name, *free);
                let mut wire = own! { "index": self.calls };
                wire.extend(call_object(&call, ""));
                self.delta(&json!({ "tool_calls": [wire] }), emit);
                Open::Call(call)
            }
            Block::Compaction(_) | Block::Other(_) => Open::Skipped,
        };
        self.open = Some(open);
    }

    fn grow(&mut self, frame: &Frame, delta: &Delta, emit: Emit<'_>) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        match (&mut open, delta) {
            (Open::Text, Delta::Text(more)) => self.words("content", more, emit),
            (Open::Text, Delta::Note(given)) => {
                if let Some(note) = note::told(Dialect::Chat, frame.from, given) {
                    self.delta(&json!({ "annotations": [note] }), emit);
                }
            }
            (Open::Text, Delta::Other(given)) if frame.from == Dialect::Chat => {
                self.logprobs(given, emit);
            }
            (Open::Refusal, Delta::Text(more)) => self.words("refusal", more, emit),
            (Open::Thinking { own, .. }, Delta::Text(more)) => {
                self.words(thinking_key(frame, own), more, emit);
            }
            (Open::Thinking { own, .. }, Delta::Part) => {
                self.words(thinking_key(frame, own), "\n\n", emit);
            }
            (Open::Thinking { seal, .. }, Delta::Seal(text)) => *seal = Some(text.clone()),
            (Open::Call(call), Delta::Input(more)) => {
                let piece = call.push(more);
                let free = call.free;
                self.input(free, &piece, emit);
            }
            // Another API's words, or a delta of a block of another kind.
            (
                Open::Text | Open::Refusal | Open::Thinking { .. } | Open::Call(_) | Open::Skipped,
                _,
            ) => {}
        }
        self.open = Some(open);
    }

    fn logprobs(&mut self, given: &Value, emit: Emit<'_>) {
        let Some(logprobs) = given.get("logprobs") else {
            return;
        };
        self.json.clear();
        self.json.extend_from_slice(&self.head);
        let choice =
            json!({ "index": 0, "delta": {}, "logprobs": logprobs, "finish_reason": null });
        self.json.extend_from_slice(b",\"choices\":[");
        value(&mut self.json, &choice);
        self.json.extend_from_slice(b"]}");
        emit("", &self.json);
    }

    fn input(&mut self, free: bool, piece: &str, emit: Emit<'_>) {
        if piece.is_empty() {
            return;
        }
        let (of, key) = if free {
            ("custom", "input")
        } else {
            ("function", "arguments")
        };
        let index = self.calls;
        let mut delta =
            format!("{{\"tool_calls\":[{{\"index\":{index},\"{of}\":{{\"{key}\":").into_bytes();
        value(&mut delta, piece);
        delta.extend_from_slice(b"}}]}");
        self.chunk(&delta, b"null", emit);
    }

    fn close(&mut self, frame: &Frame, emit: Emit<'_>) {
        match self.open.take() {
            None | Some(Open::Skipped | Open::Text | Open::Refusal) => {}
            Some(Open::Thinking { own, seal }) => {
                if let Some(details) = details(frame, &own, seal.as_deref(), self.proofs) {
                    self.proofs += 1;
                    self.delta(&json!({ "reasoning_details": details }), emit);
                }
            }
            Some(Open::Call(mut call)) => {
                let piece = call.finish();
                self.input(call.free, &piece, emit);
                self.calls += 1;
            }
        }
    }

    fn finish(&mut self, frame: &Frame, finish: &Finish, emit: Emit<'_>) {
        if let Some(tier) = tier(frame, &finish.tally) {
            self.head.extend_from_slice(b",\"service_tier\":");
            value(&mut self.head, tier);
        }
        let mut reason = Vec::new();
        value(
            &mut reason,
            stop::write_chat(&finish.stop, frame.from, self.held),
        );
        if frame.from == Dialect::Chat {
            for (key, given) in &finish.own {
                reason.push(b',');
                value(&mut reason, key);
                reason.push(b':');
                value(&mut reason, given);
            }
        }
        self.chunk(b"{}", &reason, emit);
        if frame.usage == UsageChunk::Sent {
            let usage = usage::write(Dialect::Chat, frame.from, &finish.tally);
            let mut last: Own = serde_json::from_slice(&[&self.head[..], b"}"].concat())
                .expect("it was written as one object");
            last.insert("choices".into(), json!([]));
            last.insert("usage".into(), Value::Object(usage));
            let json = Value::Object(last).to_string();
            emit("", json.as_bytes());
        }
    }
}

/// The field in which thinking is shown.
fn thinking_key(frame: &Frame, own: &Own) -> &'static str {
    let is_plain = own.get("field").is_some_and(|field| field == "reasoning");
    if frame.from == Dialect::Chat && is_plain {
        "reasoning"
    } else {
        "reasoning_content"
    }
}

/// The proofs that go with thinking. Another API's is one encrypted detail.
fn details(frame: &Frame, own: &Own, seal: Option<&str>, number: usize) -> Option<Value> {
    let text = sealed::thinking(Dialect::Chat, frame, own, seal)?;
    if frame.from == Dialect::Chat {
        return serde_json::from_str(&text).ok();
    }
    // A proof of nothing is of no use to a client of this API.
    seal?;
    Some(
        json!([{ "type": "reasoning.encrypted", "data": text, "format": "quire", "index": number }]),
    )
}

/// A call as it stands in a message, with so much input.
fn call_object(call: &OpenCall, input: &str) -> Own {
    if call.free {
        own! { "id": call.id, "type": "custom", "custom": { "name": call.name, "input": input } }
    } else {
        own! {
            "id": call.id,
            "type": "function",
            "function": { "name": call.name, "arguments": input },
        }
    }
}

/// The service tier, where the API names it as this one does.
fn tier<'a>(frame: &Frame, tally: &'a Tally) -> Option<&'a str> {
    match frame.from {
        Dialect::Chat | Dialect::Responses => tally.service_tier.as_deref(),
        Dialect::Messages => None,
    }
}

/// What a completion and each of its chunks begin with.
fn head(frame: &Frame, begin: &Begin, object: &str) -> Own {
    let pick = |ours: &str, theirs: &str| match ours {
        "" => theirs.to_owned(),
        ours => ours.to_owned(),
    };
    let mut head = own! {
        "id": pick(&frame.id, &begin.id),
        "object": object,
        "created": frame.created,
        "model": pick(&frame.model, &begin.model),
    };
    if frame.from == Dialect::Chat {
        extend(&mut head, &begin.own);
    }
    head
}

/// A whole completion.
pub(crate) fn whole(frame: &Frame, answer: &Answer) -> Vec<u8> {
    let held = Held::of(&answer.parts);
    let mut message = own! { "role": "assistant", "content": null, "refusal": null };
    let mut calls = Vec::new();
    let mut logprobs = Value::Null;
    for part in &answer.parts {
        add(frame, part, &mut message, &mut calls, &mut logprobs);
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), Value::Array(calls));
    }
    let mut choice = own! {
        "index": 0,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": stop::write_chat(&answer.finish.stop, frame.from, held),
    };
    if frame.from == Dialect::Chat {
        extend(&mut choice, &answer.finish.own);
    }
    let mut out = head(frame, &answer.begin, "chat.completion");
    out.insert("choices".into(), json!([choice]));
    let usage = usage::write(Dialect::Chat, frame.from, &answer.finish.tally);
    out.insert("usage".into(), Value::Object(usage));
    if let Some(tier) = tier(frame, &answer.finish.tally) {
        out.insert("service_tier".into(), tier.into());
    }
    Value::Object(out).to_string().into_bytes()
}

/// Adds a part to a whole message.
fn add(
    frame: &Frame,
    part: &Part,
    message: &mut Own,
    calls: &mut Vec<Value>,
    logprobs: &mut Value,
) {
    match part {
        Part::Text { text, own } => {
            append(message, "content", text);
            for key in ["annotations", "citations"] {
                let notes = own.get(key).and_then(Value::as_array);
                let told = notes
                    .into_iter()
                    .flatten()
                    .filter_map(|given| note::told(Dialect::Chat, frame.from, given));
                push_all(message, "annotations", told.collect());
            }
            if let Some(given) = own.get("logprobs")
                && frame.from == Dialect::Chat
            {
                logprobs.clone_from(given);
            }
        }
        Part::Refusal { text, .. } => append(message, "refusal", text),
        Part::Thinking { text, seal, own } => {
            if !text.is_empty() {
                append(message, thinking_key(frame, own), text);
            }
            let number = message.get("reasoning_details").and_then(Value::as_array);
            let number = number.map_or(0, Vec::len);
            if let Some(Value::Array(list)) = details(frame, own, seal.as_deref(), number) {
                push_all(message, "reasoning_details", list);
            }
        }
        Part::Call {
            id, name, input, ..
        } => {
            let call = OpenCall::whole(Dialect::Chat, frame, id, name, input);
            calls.push(Value::Object(call_object(&call, &call.told)));
        }
        // This API has no words for them, or a model says none of these.
        Part::Compaction { .. }
        | Part::Other(_)
        | Part::Image { .. }
        | Part::Document { .. }
        | Part::Result { .. } => {}
    }
}

fn append(message: &mut Own, key: &str, more: &str) {
    match message.get_mut(key) {
        Some(Value::String(text)) => text.push_str(more),
        _ => {
            message.insert(key.into(), more.into());
        }
    }
}

fn push_all(message: &mut Own, key: &str, more: Vec<Value>) {
    if more.is_empty() {
        return;
    }
    match message.get_mut(key) {
        Some(Value::Array(list)) => list.extend(more),
        _ => {
            message.insert(key.into(), more.into());
        }
    }
}
