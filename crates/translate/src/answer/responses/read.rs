//! Responses' events and whole responses, as events of ours. Items may interleave, come without deltas, or only in the
//! last event.

use quire_dialect::Dialect;
use quire_dialect::sse::Frame;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::error::{cut, malformed, no_answer, read_stream_error};
use crate::answer::line::Line;
use crate::answer::responses::item::{Item, Key, Kind, Words, implied};
use crate::answer::stop::{self, Held};
use crate::answer::usage;
use crate::answer::wire::{Raw, drop_keys, known, object, owned, take_text, text, within};
use crate::answer::{Begin, Delta, Event, Finish, Stop, Tally};
use crate::refusal::Refusal;
use crate::request::Own;

type Out<'a> = &'a mut dyn FnMut(Event);

/// Reads the events of one response.
#[derive(Debug)]
pub(crate) struct ResponsesReader {
    begun: bool,
    pub(crate) ended: bool,
    /// What the response said of itself at its start.
    own: Own,
    items: Vec<Item>,
    line: Line<Key>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Raw<'a>,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(default)]
    content_index: Option<u64>,
    #[serde(default)]
    summary_index: Option<u64>,
    #[serde(borrow, default)]
    item_id: Raw<'a>,
    #[serde(borrow, default)]
    delta: Raw<'a>,
    #[serde(borrow, default)]
    logprobs: Raw<'a>,
    #[serde(borrow, default)]
    item: Raw<'a>,
    #[serde(borrow, default)]
    part: Raw<'a>,
    #[serde(borrow, default)]
    annotation: Raw<'a>,
    #[serde(borrow, default)]
    response: Raw<'a>,
    #[serde(borrow, default)]
    error: Raw<'a>,
}

impl ResponsesReader {
    pub(crate) fn new() -> Self {
        Self {
            begun: false,
            ended: false,
            own: Own::new(),
            items: Vec::new(),
            line: Line::new(),
        }
    }

    pub(crate) fn frame(&mut self, frame: Frame<'_>, out: Out<'_>) {
        if frame.data.trim_ascii() == b"[DONE]" {
            return;
        }
        let Some(wire) = object::<Wire<'_>>(frame.data) else {
            return self.odd(frame, out);
        };
        let kind = text(wire.kind).unwrap_or_else(|| String::from_utf8_lossy(frame.event));
        match kind.as_ref() {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.begin(within(wire.response), out);
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                let response = within(wire.response).unwrap_or_default();
                let status = kind.trim_start_matches("response.");
                self.end(response, status, out);
            }
            "error" => {
                let error = wire
                    .error
                    .or_else(|| serde_json::from_slice(frame.data).ok());
                let error = known::<Value>(error).unwrap_or_default();
                self.fail(read_stream_error(&error), out);
            }
            _ if wire.error.is_some() => {
                let error = known::<Value>(wire.error).unwrap_or_default();
                self.fail(read_stream_error(&error), out);
            }
            kind => {
                self.begin(None, out);
                self.grow(kind, &wire, frame.data, out);
            }
        }
    }

    /// An event that is no object is an error only if it is one that matters.
    fn odd(&mut self, frame: Frame<'_>, out: Out<'_>) {
        let name = String::from_utf8_lossy(frame.event);
        let matters = name.is_empty()
            || implied(&name).is_some()
            || name.starts_with("response.output_item.")
            || matches!(
                name.as_ref(),
                "response.completed" | "response.incomplete" | "response.failed"
            );
        if name == "error" {
            let words = String::from_utf8_lossy(frame.data).into_owned();
            self.fail(read_stream_error(&Value::String(words)), out);
        } else if matters {
            self.fail(
                malformed(Dialect::Responses, "an event is no JSON object"),
                out,
            );
        }
    }

    /// Reads a response that came whole.
    pub(crate) fn whole(&mut self, body: &[u8], out: Out<'_>) {
        let Some(response) = object::<Own>(body) else {
            let refusal = no_answer(Dialect::Responses, "it is no JSON object", body);
            return self.fail(refusal, out);
        };
        if !response.get("output").is_some_and(Value::is_array)
            && response.get("error").is_none_or(Value::is_null)
        {
            let refusal = no_answer(Dialect::Responses, "a response without output", body);
            return self.fail(refusal, out);
        }
        self.end(response, "completed", out);
    }

    fn begin(&mut self, response: Option<Own>, out: Out<'_>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let mut own = response.unwrap_or_default();
        let id = take_text(&mut own, "id").unwrap_or_default();
        let model = take_text(&mut own, "model").unwrap_or_default();
        drop_keys(&mut own, ELSEWHERE);
        own.shift_remove("completed_at");
        self.own.clone_from(&own);
        out(Event::Begin(Begin {
            id,
            model,
            tally: Tally::default(),
            own,
        }));
    }

    fn grow(&mut self, kind: &str, wire: &Wire<'_>, data: &[u8], out: Out<'_>) {
        let part = wire.content_index.unwrap_or(0);
        let thought = wire.summary_index.unwrap_or(part);
        let more = text(wire.delta).unwrap_or_default();
        match kind {
            "response.output_item.added" => {
                if let Some(item) = within::<Own>(wire.item) {
                    let index = wire.output_index.unwrap_or(self.items.len() as u64);
                    self.add(index, item, out);
                }
                return;
            }
            "response.output_item.done" => {
                if let Some(item) = within::<Own>(wire.item) {
                    self.done(wire.output_index, &item, out);
                }
                return;
            }
            _ => {}
        }
        let Some(at) = self.find(kind, wire, out) else {
            return;
        };
        let (item, line) = (&mut self.items[at], &mut self.line);
        match kind {
            "response.output_text.delta" => {
                item.words(part, Words::Text, &more, line, out);
                if let Some(list) = known::<Vec<Value>>(wire.logprobs)
                    && !list.is_empty()
                {
                    let logprobs = Delta::Other(json!({ "logprobs": list }));
                    line.grow(&(item.index, part), logprobs, out);
                }
            }
            "response.refusal.delta" => item.words(part, Words::Refusal, &more, line, out),
            "response.content_part.added" => {
                let part_own: Own = within(wire.part).unwrap_or_default();
                match part_own.get("type").and_then(Value::as_str) {
                    Some("refusal") => item.open_part(part, Words::Refusal, &Own::new(), line, out),
                    Some("output_text") => {
                        item.open_part(part, Words::Text, &Own::new(), line, out);
                    }
                    _ => {}
                }
            }
            "response.output_text.annotation.added" => {
                if let Some(note) = known(wire.annotation) {
                    item.note(part, note, line, out);
                }
            }
            "response.reasoning_summary_part.added" | "response.reasoning_summary_text.delta" => {
                item.think(thought, false, &more, line, out);
            }
            "response.reasoning_text.delta" => item.think(thought, true, &more, line, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                item.input(&more, line, out);
            }
            _ if matches!(item.kind, Kind::Other(_)) => {
                let mut event: Own = object(data).unwrap_or_default();
                event.shift_remove("sequence_number");
                line.grow(&(item.index, 0), Delta::Other(Value::Object(event)), out);
            }
            _ => {}
        }
    }

    /// The open item that an event is about; begun by it where a server left that out.
    fn find(&mut self, kind: &str, wire: &Wire<'_>, out: Out<'_>) -> Option<usize> {
        let known = match wire.output_index {
            Some(index) => self.items.iter().rposition(|item| item.index == index),
            None => self.items.iter().rposition(|item| !item.is_done),
        };
        if let Some(at) = known {
            return (!self.items[at].is_done).then_some(at);
        }
        let mut item = implied(kind)?;
        if let Some(id) = owned(wire.item_id) {
            item.insert("id".into(), id.into());
        }
        let index = wire.output_index.unwrap_or(self.items.len() as u64);
        self.add(index, item, out);
        Some(self.items.len() - 1)
    }

    fn add(&mut self, index: u64, item: Own, out: Out<'_>) {
        if self.items.iter().any(|known| known.index == index) {
            return;
        }
        self.items
            .push(Item::begin(index, item, &mut self.line, out));
    }

    fn done(&mut self, index: Option<u64>, item: &Own, out: Out<'_>) {
        let known = match index {
            Some(index) => self.items.iter().position(|known| known.index == index),
            None => self.items.iter().position(|known| !known.is_done),
        };
        let at = known.unwrap_or_else(|| {
            let index = index.unwrap_or(self.items.len() as u64);
            self.items
                .push(Item::begin(index, item.clone(), &mut self.line, out));
            self.items.len() - 1
        });
        self.items[at].done(item, &mut self.line, out);
    }

    /// The response as it is at its end.
    fn end(&mut self, mut response: Own, status: &str, out: Out<'_>) {
        if self.ended {
            return;
        }
        self.begin(Some(response.clone()), out);
        let status = take_text(&mut response, "status").unwrap_or_else(|| status.to_owned());
        if let Some(error) = response.get("error").filter(|error| !error.is_null()) {
            return self.fail(read_stream_error(error), out);
        }
        if matches!(status.as_str(), "failed" | "cancelled") {
            let message = format!("the upstream's answer was {status}");
            return self.fail(read_stream_error(&json!({ "message": message })), out);
        }
        let output = match response.shift_remove("output") {
            Some(Value::Array(output)) => output,
            _ => Vec::new(),
        };
        for (index, item) in (0..).zip(output) {
            if let Value::Object(item) = item {
                self.done(Some(index), &item, out);
            }
        }
        self.line.close_all(out);
        self.ended = true;
        let held = Held {
            calls: self.items.iter().any(Item::is_call),
            refusal: self.items.iter().any(Item::refuses),
        };
        out(Event::Finish(self.last(&status, response, held)));
    }

    fn last(&self, status: &str, mut response: Own, held: Held) -> Finish {
        let reason = response
            .get("incomplete_details")
            .and_then(|details| details.get("reason")?.as_str())
            .unwrap_or_default();
        let stop = match response.get("object").and_then(Value::as_str) {
            Some("response.compaction") => Stop::Compaction,
            _ => stop::read_responses(status, reason, held),
        };
        let mut tally = match response.get("usage") {
            Some(Value::Object(counts)) => usage::read(Dialect::Responses, counts),
            _ => Tally::default(),
        };
        tally.service_tier = take_text(&mut response, "service_tier");
        drop_keys(&mut response, ELSEWHERE);
        drop_keys(&mut response, &["id", "model"]);
        response.retain(|key, value| self.own.get(key) != Some(value));
        Finish {
            stop,
            tally,
            own: response,
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, out: Out<'_>) {
        self.fail(cut(), out);
    }

    pub(crate) fn fail(&mut self, refusal: Refusal, out: Out<'_>) {
        if !std::mem::replace(&mut self.ended, true) {
            out(Event::Failed(refusal));
        }
    }
}

/// Members of a response that are said elsewhere.
const ELSEWHERE: &[&str] = &[
    "object",
    "status",
    "output",
    "usage",
    "error",
    "incomplete_details",
    "service_tier",
];
