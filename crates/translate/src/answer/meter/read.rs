//! The events that a meter parses, and what they say.

use quire_dialect::{Dialect, sse};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::error::{no_answer, read_stream_error};
use crate::answer::meter::scan::{Scan, Scanner};
use crate::answer::stop::{self, Held};
use crate::answer::usage;
use crate::answer::wire::{Raw, known, object, owned, text, within};
use crate::answer::{Stop, Tally};
use crate::refusal::Refusal;
use crate::request::Own;

/// What was seen of an answer.
#[derive(Debug)]
pub(crate) struct Seen {
    dialect: Dialect,
    scanner: Scanner,
    usage: Own,
    held: Held,
    service_tier: Option<String>,
    pub(crate) tally: Tally,
    pub(crate) id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) stop: Option<Stop>,
    pub(crate) failure: Option<Refusal>,
    pub(crate) ended: bool,
    /// Bytes of words.
    pub(crate) bytes: u64,
    pub(crate) events: u64,
}

/// Every member that matters, of an event or of a whole body, of any API. They stay raw until they are needed: an
/// answer may be megabytes, and one of another shape than expected is no reason to lose the rest.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
    #[serde(borrow)]
    service_tier: Raw<'a>,
    #[serde(rename = "type", borrow)]
    kind: Raw<'a>,
    /// Messages.
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow)]
    delta: Raw<'a>,
    #[serde(borrow)]
    stop_reason: Raw<'a>,
    #[serde(borrow)]
    stop_sequence: Raw<'a>,
    #[serde(borrow)]
    stop_details: Raw<'a>,
    /// Responses.
    #[serde(borrow)]
    response: Raw<'a>,
    #[serde(borrow)]
    status: Raw<'a>,
    #[serde(borrow)]
    incomplete_details: Raw<'a>,
    #[serde(borrow)]
    output: Raw<'a>,
    /// Chat.
    #[serde(borrow)]
    choices: Raw<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Raw<'a>,
    #[serde(borrow, default)]
    content: Raw<'a>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default, alias = "message")]
    delta: Raw<'a>,
    #[serde(borrow, default)]
    finish_reason: Raw<'a>,
    #[serde(borrow, default)]
    usage: Raw<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Raw<'a>,
    #[serde(borrow, default)]
    reasoning_content: Raw<'a>,
    #[serde(borrow, default)]
    reasoning: Raw<'a>,
    #[serde(borrow, default)]
    refusal: Raw<'a>,
    #[serde(borrow, default)]
    tool_calls: Raw<'a>,
}

impl Wire<'_> {
    /// Whether a whole body holds what makes an answer of it. More would refuse servers that leave much out.
    fn is_answer(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Messages => {
                self.content.is_some() || text(self.kind).as_deref() == Some("message")
            }
            Dialect::Responses => self.output.is_some() || self.status.is_some(),
            Dialect::Chat => self.choices.is_some(),
        }
    }
}

impl Seen {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            scanner: Scanner::new(),
            usage: Own::new(),
            held: Held::default(),
            service_tier: None,
            tally: Tally::default(),
            id: None,
            model: None,
            stop: None,
            failure: None,
            ended: false,
            bytes: 0,
            events: 0,
        }
    }

    pub(crate) fn frame(&mut self, frame: sse::Frame<'_>) {
        self.events += 1;
        match self.dialect {
            Dialect::Messages => self.messages(frame),
            Dialect::Responses => self.responses(frame),
            Dialect::Chat => self.chat(frame.data),
        }
    }

    fn messages(&mut self, frame: sse::Frame<'_>) {
        let data = frame.data;
        match kind_of(&frame) {
            b"content_block_delta" => match self.scanner.messages(data) {
                Scan::Words(bytes) => self.bytes += bytes,
                Scan::Unclear => {
                    let delta: Own = object::<Wire<'_>>(data)
                        .and_then(|wire| known(wire.delta))
                        .unwrap_or_default();
                    self.bytes += ["text", "thinking", "partial_json", "content"]
                        .iter()
                        .filter_map(|key| delta.get(*key)?.as_str())
                        .map(|text| text.len() as u64)
                        .sum::<u64>();
                }
            },
            b"message_start" => {
                let message = object::<Wire<'_>>(data).and_then(|wire| wire.message);
                if let Some(message) = message.and_then(|raw| within::<Wire<'_>>(Some(raw))) {
                    self.message(&message, false);
                }
            }
            b"message_delta" => {
                let Some(wire) = object::<Wire<'_>>(data) else {
                    return;
                };
                self.count(wire.usage, true);
                let delta = wire.delta.and_then(|raw| within::<Wire<'_>>(Some(raw)));
                self.stop_messages(&delta.unwrap_or_default());
            }
            b"message_stop" => self.ended = true,
            b"error" => self.failed(object::<Wire<'_>>(data).and_then(|wire| wire.error)),
            _ => {}
        }
    }

    /// A message at its start, or whole.
    fn message(&mut self, wire: &Wire<'_>, is_whole: bool) {
        self.id = owned(wire.id);
        self.model = owned(wire.model);
        self.count(wire.usage, is_whole);
        self.stop_messages(wire);
    }

    fn stop_messages(&mut self, wire: &Wire<'_>) {
        if let Some(reason) = text(wire.stop_reason) {
            let sequence = known(wire.stop_sequence);
            let details = known(wire.stop_details);
            self.stop = Some(stop::read_messages(&reason, sequence, details));
        }
    }

    fn count(&mut self, later: Raw<'_>, is_final: bool) {
        if let Some(later) = known::<Own>(later) {
            usage::overwrite(&mut self.usage, later);
            self.tally = usage::read(self.dialect, &self.usage);
            self.tally.counted &= is_final;
        }
        if let Some(tier) = &self.service_tier {
            self.tally.service_tier = Some(tier.clone());
        }
    }

    fn failed(&mut self, error: Raw<'_>) {
        self.failure = Some(read_stream_error(&known(error).unwrap_or_default()));
        self.ended = true;
    }

    fn responses(&mut self, frame: sse::Frame<'_>) {
        let data = frame.data;
        let kind = kind_of(&frame);
        if kind.ends_with(b".delta") {
            match self.scanner.responses(data) {
                Scan::Words(bytes) => self.bytes += bytes,
                Scan::Unclear => {
                    self.bytes += written(object::<Wire<'_>>(data).and_then(|wire| wire.delta));
                }
            }
            return;
        }
        match kind {
            b"response.created"
            | b"response.completed"
            | b"response.incomplete"
            | b"response.failed"
            | b"response.cancelled" => {
                let response = object::<Wire<'_>>(data).and_then(|wire| wire.response);
                if let Some(response) = response.and_then(|raw| within::<Wire<'_>>(Some(raw))) {
                    self.response(&response);
                }
            }
            // Nested or flat.
            b"error" => {
                let nested = object::<Wire<'_>>(data).and_then(|wire| wire.error);
                self.failed(nested.or_else(|| serde_json::from_slice(data).ok()));
            }
            b"" => {
                if let Some(error) = object::<Wire<'_>>(data).and_then(|wire| wire.error) {
                    self.failed(Some(error));
                }
            }
            _ => {}
        }
    }

    /// A response, as its status says.
    fn response(&mut self, wire: &Wire<'_>) {
        self.id = owned(wire.id).or(self.id.take());
        self.model = owned(wire.model).or(self.model.take());
        self.service_tier = owned(wire.service_tier).or(self.service_tier.take());
        for item in known::<Vec<Item<'_>>>(wire.output).unwrap_or_default() {
            match text(item.kind).as_deref() {
                Some("function_call" | "custom_tool_call") => self.held.calls = true,
                Some("message") => {
                    let parts: Vec<Item<'_>> = known(item.content).unwrap_or_default();
                    let refuses = |part: &Item<'_>| text(part.kind).as_deref() == Some("refusal");
                    self.held.refusal |= parts.iter().any(refuses);
                }
                _ => {}
            }
        }
        self.count(wire.usage, true);
        let status = text(wire.status).unwrap_or_default();
        match status.as_ref() {
            "in_progress" | "queued" => return,
            "failed" | "cancelled" => return self.failed(wire.error),
            _ => {}
        }
        if wire.error.is_some() {
            return self.failed(wire.error);
        }
        let details: Own = known(wire.incomplete_details).unwrap_or_default();
        let reason = details
            .get("reason")
            .and_then(Value::as_str)
            .unwrap_or_default();
        self.stop = Some(stop::read_responses(&status, reason, self.held));
        self.ended = true;
    }

    fn chat(&mut self, data: &[u8]) {
        if data.trim_ascii() == b"[DONE]" {
            self.ended = true;
            return;
        }
        if self.events > 1
            && let Scan::Words(bytes) = self.scanner.chat(data)
        {
            self.bytes += bytes;
        } else if let Some(wire) = object::<Wire<'_>>(data) {
            self.completion(&wire);
        }
    }

    /// A chunk, or a whole completion.
    fn completion(&mut self, wire: &Wire<'_>) {
        if wire.error.is_some() {
            return self.failed(wire.error);
        }
        self.id = self.id.take().or_else(|| owned(wire.id));
        self.model = self.model.take().or_else(|| owned(wire.model));
        self.service_tier = owned(wire.service_tier).or(self.service_tier.take());
        self.count(wire.usage, true);
        for choice in known::<Vec<Choice<'_>>>(wire.choices).unwrap_or_default() {
            self.count(choice.usage, true);
            if let Some(message) = known(choice.delta) {
                self.words(&message);
            }
            match text(choice.finish_reason).as_deref() {
                None => {}
                Some("error") => self.failed(None),
                Some(reason) => self.stop = Some(stop::read_chat(reason, self.held)),
            }
        }
    }

    fn words(&mut self, message: &Message<'_>) {
        // Servers that fill several fields say the same in each.
        let shown = written(message.reasoning_content).max(written(message.reasoning));
        let refusal = written(message.refusal);
        self.bytes += written(message.content) + shown + refusal;
        self.held.refusal |= refusal > 0;
        for call in known::<Vec<Value>>(message.tool_calls).unwrap_or_default() {
            self.held.calls = true;
            let input = call
                .pointer("/function/arguments")
                .or_else(|| call.pointer("/custom/input"));
            let input = input.and_then(Value::as_str).unwrap_or_default();
            self.bytes += input.len() as u64;
        }
    }

    /// A body that came whole.
    pub(crate) fn whole(&mut self, body: &[u8]) {
        self.ended = true;
        let Some(wire) = object::<Wire<'_>>(body) else {
            self.failure = Some(no_answer(self.dialect, "it is no JSON object", body));
            return;
        };
        if wire.error.is_none() && !wire.is_answer(self.dialect) {
            let what = "it has nothing of an answer";
            self.failure = Some(no_answer(self.dialect, what, body));
            return;
        }
        match self.dialect {
            Dialect::Messages if wire.error.is_some() => self.failed(wire.error),
            Dialect::Messages => self.message(&wire, true),
            Dialect::Responses => self.response(&wire),
            Dialect::Chat => self.completion(&wire),
        }
    }
}

/// What an event calls itself: its name, or its `type` where it has none.
fn kind_of<'a>(frame: &sse::Frame<'a>) -> &'a [u8] {
    if !frame.event.is_empty() && frame.event != b"message" {
        return frame.event;
    }
    let Some(rest) = frame.data.strip_prefix(b"{\"type\":\"") else {
        return slow_kind(frame.data);
    };
    let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
    &rest[..end]
}

/// The `type` of an event that does not begin with it.
fn slow_kind(data: &[u8]) -> &[u8] {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<&'a str>,
    }
    let typed: Option<Typed<'_>> = serde_json::from_slice(data).ok();
    typed.and_then(|it| it.kind).unwrap_or_default().as_bytes()
}

/// Bytes of a string as it is written.
fn written(raw: Raw<'_>) -> u64 {
    let json = raw.map_or("", RawValue::get);
    if json.starts_with('"') {
        json.len() as u64 - 2
    } else {
        0
    }
}
