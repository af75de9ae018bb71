//! Events of ours as Messages' events and whole messages.

use std::borrow::Cow;

use quire_dialect::Dialect;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::answer::call::OpenCall;
use crate::answer::error::envelope;
use crate::answer::stop::{self, Held};
use crate::answer::usage;
use crate::answer::wire::{extend, object, own, value};
use crate::answer::{Answer, Begin, Block, Delta, Event, Finish, Frame, sealed};
use crate::request::{Own, Part};

type Emit<'a> = &'a mut dyn FnMut(&str, &[u8]);

/// What stands for a compaction that only its vendor can read.
pub(crate) const UNREADABLE: &str =
    "The conversation up to here was compacted; the summary is held in encrypted_content.";

/// Writes the events of one message.
#[derive(Debug, Default)]
pub(crate) struct MessagesWriter {
    /// Of the block that is open, or comes next.
    index: u64,
    open: Option<Open>,
    held: Held,
    json: Vec<u8>,
}

/// The open block.
#[derive(Debug)]
enum Open {
    Text,
    Thinking {
        own: Own,
        seal: Option<String>,
    },
    /// Shown whole at its end.
    Redacted {
        own: Own,
        data: String,
    },
    Call(OpenCall),
    Compaction {
        own: Own,
        text: Option<String>,
        seal: Option<String>,
    },
    Other,
    /// One that this API has no words for.
    Skipped,
}

impl MessagesWriter {
    pub(crate) fn event(&mut self, frame: &Frame, event: &Event, emit: Emit<'_>) {
        match event {
            Event::Begin(begin) => {
                let message = Value::Object(start(frame, begin));
                self.emit(
                    "message_start",
                    &json!({ "type": "message_start", "message": message }),
                    emit,
                );
            }
            Event::Open(block) => self.open(frame, block, emit),
            Event::Grow(delta) => self.grow(frame, delta, emit),
            Event::Close(own) => self.close(frame, own, emit),
            Event::Finish(finish) => self.finish(frame, finish, emit),
            Event::Failed(refusal) => {
                self.emit("error", &envelope(refusal, &frame.request_id), emit);
            }
            Event::Ping => self.emit("ping", &json!({ "type": "ping" }), emit),
        }
    }

    fn emit(&mut self, name: &str, data: &Value, emit: Emit<'_>) {
        self.json.clear();
        value(&mut self.json, data);
        emit(name, &self.json);
    }

    fn start_block(&mut self, block: &Own, emit: Emit<'_>) {
        let event = json!({
            "type": "content_block_start",
            "index": self.index,
            "content_block": block,
        });
        self.emit("content_block_start", &event, emit);
    }

    fn delta(&mut self, delta: &Value, emit: Emit<'_>) {
        let event = json!({ "type": "content_block_delta", "index": self.index, "delta": delta });
        self.emit("content_block_delta", &event, emit);
    }

    /// Most events are these.
    fn words(&mut self, kind: &str, key: &str, words: &str, emit: Emit<'_>) {
        use std::io::Write as _;
        if words.is_empty() {
            return;
        }
        self.json.clear();
        write!(
            self.json,
            r#"{{"type":"content_block_delta","index":{},"delta":{{"type":"{kind}","{key}":"#,
            self.index
        )
        .expect("memory can be written to");
        value(&mut self.json, words);
        self.json.extend_from_slice(b"}}");
        emit("content_block_delta", &self.json);
    }

    fn open(&mut self, frame: &Frame, block: &Block, emit: Emit<'_>) {
        let is_own = frame.from == Dialect::Messages;
        let own = |own: &Own| if is_own { own.clone() } else { Own::new() };
        let open = match block {
            Block::Text(given) | Block::Refusal(given) => {
                let mut block = own! { "type": "text", "text": "" };
                extend(&mut block, &own(given));
                self.start_block(&block, emit);
                Open::Text
            }
            Block::Thinking(given) if is_own && is_redacted(given) => Open::Redacted {
                own: given.clone(),
                data: String::new(),
            },
            Block::Thinking(given) => {
                let mut block = own! { "type": "thinking", "thinking": "", "signature": "" };
                extend(&mut block, &own(given));
                self.start_block(&block, emit);
                Open::Thinking {
                    own: given.clone(),
                    seal: None,
                }
            }
            Block::Call {
                id,
                name,
                free,
                own: given,
            } => {
                self.held.calls = true;
                let call = OpenCall::new(Dialect::Messages, frame, id, name, *free);
                let mut block = own! {
                    "type": "tool_use", "id": call.id, "name": call.name, "input": {}
                };
                extend(&mut block, &own(given));
                self.start_block(&block, emit);
                self.words("input_json_delta", "partial_json", call.begin(), emit);
                Open::Call(call)
            }
            Block::Compaction(given) => {
                let mut block =
                    own! { "type": "compaction", "content": null, "encrypted_content": null };
                extend(&mut block, &own(given));
                self.start_block(&block, emit);
                Open::Compaction {
                    own: given.clone(),
                    text: None,
                    seal: None,
                }
            }
            Block::Other(Value::Object(block)) if is_own => {
                self.start_block(block, emit);
                Open::Other
            }
            Block::Other(_) => Open::Skipped,
        };
        self.held.refusal |= matches!(block, Block::Refusal(_));
        self.open = Some(open);
    }

    fn grow(&mut self, frame: &Frame, delta: &Delta, emit: Emit<'_>) {
        let is_own = frame.from == Dialect::Messages;
        let Some(mut open) = self.open.take() else {
            return;
        };
        match (&mut open, delta) {
            (Open::Text, Delta::Text(more)) => self.words("text_delta", "text", more, emit),
            (Open::Text, Delta::Note(note)) if is_own => {
                self.delta(
                    &json!({ "type": "citations_delta", "citation": note }),
                    emit,
                );
            }
            (Open::Thinking { .. }, Delta::Text(more)) => {
                self.words("thinking_delta", "thinking", more, emit);
            }
            (Open::Thinking { .. }, Delta::Part) => {
                self.words("thinking_delta", "thinking", "\n\n", emit);
            }
            (Open::Thinking { seal, .. } | Open::Compaction { seal, .. }, Delta::Seal(text)) => {
                *seal = Some(text.clone());
            }
            (Open::Redacted { data, .. }, Delta::Seal(text)) => data.clone_from(text),
            (Open::Call(call), Delta::Input(more)) => {
                let piece = call.push(more);
                self.words("input_json_delta", "partial_json", &piece, emit);
            }
            (Open::Compaction { text, .. }, Delta::Text(more)) => {
                text.get_or_insert_default().push_str(more);
            }
            (
                Open::Other | Open::Text | Open::Thinking { .. } | Open::Call(_),
                Delta::Other(delta),
            ) if is_own => {
                self.delta(delta, emit);
            }
            // Another API's words, or a delta of a block of another kind.
            (
                Open::Text
                | Open::Thinking { .. }
                | Open::Redacted { .. }
                | Open::Call(_)
                | Open::Compaction { .. }
                | Open::Other
                | Open::Skipped,
                _,
            ) => {}
        }
        self.open = Some(open);
    }

    fn close(&mut self, frame: &Frame, last: &Own, emit: Emit<'_>) {
        match self.open.take() {
            None | Some(Open::Skipped) => return,
            Some(Open::Text | Open::Other) => {}
            Some(Open::Thinking { own, seal }) => {
                let seal = sealed::thinking(Dialect::Messages, frame, &own, seal.as_deref());
                let seal = seal.unwrap_or_default();
                self.words("signature_delta", "signature", &seal, emit);
            }
            Some(Open::Redacted { mut own, data }) => {
                own.insert("data".into(), data.into());
                self.start_block(&own, emit);
            }
            Some(Open::Call(mut call)) => {
                let piece = call.finish();
                self.words("input_json_delta", "partial_json", &piece, emit);
            }
            Some(Open::Compaction { own, text, seal }) => {
                self.close_compaction(frame, &own, text, seal, last, emit);
            }
        }
        let stop = json!({ "type": "content_block_stop", "index": self.index });
        self.emit("content_block_stop", &stop, emit);
        self.index += 1;
    }

    fn close_compaction(
        &mut self,
        frame: &Frame,
        own: &Own,
        text: Option<String>,
        seal: Option<String>,
        last: &Own,
        emit: Emit<'_>,
    ) {
        let (text, seal) = compacted(frame, own, text, seal);
        let mut delta = own! {
            "type": "compaction_delta", "content": text, "encrypted_content": seal
        };
        if frame.from == Dialect::Messages {
            let mut last = last.clone();
            let signature = last.shift_remove("signature");
            extend(&mut delta, &last);
            self.delta(&Value::Object(delta), emit);
            if let Some(signature) = signature {
                let signature = json!({ "type": "signature_delta", "signature": signature });
                self.delta(&signature, emit);
            }
        } else {
            self.delta(&Value::Object(delta), emit);
        }
    }

    fn finish(&mut self, frame: &Frame, finish: &Finish, emit: Emit<'_>) {
        let mut delta = stop::write_messages(&finish.stop, frame.from, self.held);
        let mut event = own! { "type": "message_delta" };
        let mut beside = Own::new();
        if frame.from == Dialect::Messages {
            beside.clone_from(&finish.own);
            if let Some(container) = beside.shift_remove("container") {
                delta.insert("container".into(), container);
            }
        }
        event.insert("delta".into(), Value::Object(delta));
        let usage = usage::write(Dialect::Messages, frame.from, &finish.tally);
        event.insert("usage".into(), Value::Object(usage));
        event.extend(beside);
        tell_context(&mut event, frame);
        self.emit("message_delta", &Value::Object(event), emit);
        self.emit("message_stop", &json!({ "type": "message_stop" }), emit);
    }
}

fn tell_context(end: &mut Own, frame: &Frame) {
    if let Some(context) = &frame.context {
        end.insert("context_management".into(), context.clone());
    }
}

fn is_redacted(own: &Own) -> bool {
    own.get("type")
        .is_some_and(|kind| kind == "redacted_thinking")
}

/// The content and the cipher of a compaction, as this API's client gets them.
fn compacted(
    frame: &Frame,
    own: &Own,
    text: Option<String>,
    seal: Option<String>,
) -> (Option<String>, Option<String>) {
    if frame.from == Dialect::Messages {
        return (text, seal);
    }
    let cipher = sealed::compaction(frame, own, text.as_deref(), seal.as_deref());
    let text = text.filter(|text| !text.is_empty());
    (
        Some(text.unwrap_or_else(|| UNREADABLE.to_owned())),
        Some(cipher),
    )
}

/// The message at its start.
fn start(frame: &Frame, begin: &Begin) -> Own {
    let pick = |ours: &str, theirs: &str| match ours {
        "" => theirs.to_owned(),
        ours => ours.to_owned(),
    };
    let usage = usage::write(Dialect::Messages, frame.from, &begin.tally);
    let mut message = own! {
        "id": pick(&frame.id, &begin.id),
        "type": "message",
        "role": "assistant",
        "model": pick(&frame.model, &begin.model),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage,
    };
    if frame.from == Dialect::Messages {
        extend(&mut message, &begin.own);
    }
    message
}

/// A whole message.
pub(crate) fn whole(frame: &Frame, answer: &Answer) -> Vec<u8> {
    let held = Held::of(&answer.parts);
    let mut message = start(frame, &answer.begin);
    message.extend(stop::write_messages(&answer.finish.stop, frame.from, held));
    let usage = usage::write(Dialect::Messages, frame.from, &answer.finish.tally);
    message.insert("usage".into(), Value::Object(usage));
    if frame.from == Dialect::Messages {
        extend(&mut message, &answer.finish.own);
    }
    tell_context(&mut message, frame);
    let blocks: Vec<Vec<u8>> = answer
        .parts
        .iter()
        .filter_map(|part| block(frame, part))
        .collect();
    object_with(
        &message,
        "content",
        &[b"[", &blocks.join(&b',')[..], b"]"].concat(),
    )
}

/// A block of a whole message; absent where this API has no words for it.
fn block(frame: &Frame, part: &Part) -> Option<Vec<u8>> {
    let is_own = frame.from == Dialect::Messages;
    let with = |mut block: Own, own: &Own| {
        if is_own {
            extend(&mut block, own);
        }
        Some(Value::Object(block).to_string().into_bytes())
    };
    match part {
        Part::Text { text, own } | Part::Refusal { text, own } => {
            let block = own! { "type": "text", "text": text };
            (is_own || !text.is_empty()).then(|| with(block, own))?
        }
        Part::Thinking { seal, own, .. } if is_own && is_redacted(own) => {
            with(own! { "data": seal }, own)
        }
        Part::Thinking { text, seal, own } => {
            if !is_own && text.is_empty() && seal.is_none() {
                return None;
            }
            let seal = sealed::thinking(Dialect::Messages, frame, own, seal.as_deref());
            let seal = seal.unwrap_or_default();
            with(
                own! { "type": "thinking", "thinking": text, "signature": seal },
                own,
            )
        }
        Part::Call {
            id,
            name,
            input,
            own,
        } => {
            let call = OpenCall::whole(Dialect::Messages, frame, id, name, input);
            let mut block = own! { "type": "tool_use", "id": call.id, "name": call.name };
            if is_own {
                extend(&mut block, own);
            }
            Some(object_with(
                &block,
                "input",
                input_object(&call.told).as_bytes(),
            ))
        }
        Part::Compaction { text, seal, own } => {
            let (text, seal) = compacted(frame, own, text.clone(), seal.clone());
            let block = own! { "type": "compaction", "content": text, "encrypted_content": seal };
            with(block, own)
        }
        Part::Other(value) if is_own => Some(value.to_string().into_bytes()),
        // A model of another API says these, or none does.
        Part::Other(_) | Part::Image { .. } | Part::Document { .. } | Part::Result { .. } => None,
    }
}

/// A call's input as the JSON object that a whole message must hold, as it was written where it is one.
fn input_object(text: &str) -> Cow<'_, str> {
    match object::<IgnoredAny>(text.as_bytes()) {
        _ if text.trim().is_empty() => Cow::Borrowed("{}"),
        Some(IgnoredAny) => Cow::Borrowed(text),
        None => Cow::Owned(json!({ "malformed_arguments": text }).to_string()),
    }
}

/// An object one member of which is JSON text already.
fn object_with(object: &Own, key: &str, json: &[u8]) -> Vec<u8> {
    let mut out = vec![b'{'];
    let mut member = |name: &str, json: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        value(&mut out, name);
        out.push(b':');
        out.extend_from_slice(json);
    };
    let mut is_there = false;
    for (name, given) in object {
        if name == key {
            is_there = true;
            member(name, json);
        } else {
            member(name, given.to_string().as_bytes());
        }
    }
    if !is_there {
        member(key, json);
    }
    out.push(b'}');
    out
}
